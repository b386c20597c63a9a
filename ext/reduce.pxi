# Half-size images: 2x2 mean and decimation.


def reduce2x2(src, out, mask, out_mask, nodata, const uint8_t[::1] table):
    cdef PixelView s = open_view(src, "src", 3, False)
    cdef PixelView o = open_view(out, "out", 3, True)
    cdef PixelView m = open_mask(mask, "mask", s.view.rows, s.view.cols, False)
    cdef PixelView om = open_mask(out_mask, "out_mask", o.view.rows, o.view.cols, True)
    cdef uint8_t bytes_nodata[4]
    cdef float float_nodata[4]
    cdef const uint8_t *gamma = NULL
    cdef ptrdiff_t k
    require_samples(s, "src", b"Bf")
    require_same_samples(o, "out", s)
    require_shape(o, "out", s.view.rows // 2, s.view.cols // 2, s.view.channels)
    if s.view.rows % 2 or s.view.cols % 2:
        raise ValueError(f"src: shape ({s.view.rows}, {s.view.cols}), the 2x2 mean needs even sizes")
    if not 1 <= s.view.channels <= 4:
        raise ValueError(f"src: {s.view.channels} channels, expected 1 to 4")
    if len(nodata) != s.view.channels:
        raise ValueError(f"nodata: {len(nodata)} values for {s.view.channels} channels")
    if table is not None:
        if table.shape[0] != FP_GAMMA_ENTRIES or s.kind != b'B':
            raise ValueError(f"table: {FP_GAMMA_ENTRIES} entries expected, and uint8 samples")
        gamma = &table[0]
    if s.kind == b'B':
        for k in range(s.view.channels):
            bytes_nodata[k] = nodata[k]
        with nogil:
            fp_reduce2x2_u8(&s.view, &o.view, &m.view, &om.view, bytes_nodata, gamma)
    else:
        for k in range(s.view.channels):
            float_nodata[k] = nodata[k]
        with nogil:
            fp_reduce2x2_f32(&s.view, &o.view, &m.view, &om.view, float_nodata)


def decimate(src, ptrdiff_t ratio, ptrdiff_t x0, ptrdiff_t y0, out):
    cdef int ndim = 2 if memoryview(src).ndim == 2 else 3
    cdef PixelView s = open_view(src, "src", ndim, False)
    cdef PixelView o = open_view(out, "out", ndim, True)
    require_same_samples(o, "out", s)
    require_shape(o, "out", o.view.rows, o.view.cols, s.view.channels)
    require_small_pixel(s, "src")
    if ratio < 1 or x0 < 0 or y0 < 0:
        raise ValueError(f"decimate: ratio {ratio} and offset ({x0}, {y0}) must be positive")
    # Divisions, because a product could overflow.
    if o.view.cols > 0 and o.view.rows > 0 and (
        x0 >= s.view.cols or (s.view.cols - 1 - x0) // ratio < o.view.cols - 1
        or y0 >= s.view.rows or (s.view.rows - 1 - y0) // ratio < o.view.rows - 1
    ):
        raise ValueError(
            f"decimate: {o.view.rows} rows and {o.view.cols} columns at offset ({x0}, {y0}) with ratio {ratio} "
            f"do not fit in src of shape ({s.view.rows}, {s.view.cols})"
        )
    with nogil:
        fp_decimate(&s.view, ratio, x0, y0, &o.view)
