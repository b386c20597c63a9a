# Masks, painting and channel conversion.


def paint(dst, dst_mask, src, src_mask):
    cdef PixelView s = open_view(src, "src", 3, False)
    cdef PixelView d = open_view(dst, "dst", 3, True)
    cdef PixelView sm = open_mask(src_mask, "src_mask", s.view.rows, s.view.cols, False)
    cdef PixelView dm = open_mask(dst_mask, "dst_mask", d.view.rows, d.view.cols, True)
    require_same_samples(d, "dst", s)
    require_shape(d, "dst", s.view.rows, s.view.cols, s.view.channels)
    with nogil:
        fp_paint(&d.view, &dm.view, &s.view, &sm.view)


def fill_nodata(pixels, mask, const uint8_t[::1] nodata):
    cdef PixelView p = open_view(pixels, "pixels", 3, True)
    cdef PixelView m = open_mask(mask, "mask", p.view.rows, p.view.cols, False)
    require_small_pixel(p, "pixels")
    if mask is None or nodata is None or nodata.shape[0] != p.view.item * p.view.channels or nodata.shape[0] == 0:
        raise ValueError("fill_nodata: a mask and the bytes of one pixel are needed")
    with nogil:
        fp_fill_nodata(&p.view, &m.view, &nodata[0])


def nodata_mask(pixels, nodata, out):
    cdef PixelView p = open_view(pixels, "pixels", 3, False)
    cdef PixelView o = open_mask(out, "out", p.view.rows, p.view.cols, True)
    cdef uint8_t bytes_nodata[4]
    cdef float float_nodata[4]
    cdef ptrdiff_t k
    require_samples(p, "pixels", b"Bf")
    if out is None or not 1 <= p.view.channels <= 4 or len(nodata) != p.view.channels:
        raise ValueError(f"nodata_mask: {len(nodata)} values for {p.view.channels} channels, expected one for each of 1 to 4")
    if p.kind == b'B':
        for k in range(p.view.channels):
            bytes_nodata[k] = nodata[k]
        with nogil:
            fp_nodata_mask_u8(&p.view, bytes_nodata, &o.view)
    else:
        for k in range(p.view.channels):
            float_nodata[k] = nodata[k]
        with nogil:
            fp_nodata_mask_f32(&p.view, float_nodata, &o.view)


def mask_states(mask, ptrdiff_t tile_rows, ptrdiff_t tile_cols, out):
    cdef PixelView m = open_view(mask, "mask", 2, False)
    cdef PixelView o
    require_samples(m, "mask", b"B")
    if tile_rows < 1 or tile_cols < 1 or m.view.rows % tile_rows or m.view.cols % tile_cols:
        raise ValueError(
            f"mask: shape ({m.view.rows}, {m.view.cols}) is not a whole number of tiles of ({tile_rows}, {tile_cols})"
        )
    o = open_mask(out, "out", m.view.rows // tile_rows, m.view.cols // tile_cols, True)
    if out is None:
        raise ValueError("mask_states: out is needed")
    with nogil:
        fp_mask_states(&m.view, tile_rows, tile_cols, &o.view)


def convert_channels(src, out):
    cdef PixelView s = open_view(src, "src", 3, False)
    cdef PixelView o = open_view(out, "out", 3, True)
    require_samples(s, "src", b"Bf")
    require_same_samples(o, "out", s)
    require_shape(o, "out", s.view.rows, s.view.cols, o.view.channels)
    if not (1 <= s.view.channels <= 4 and 1 <= o.view.channels <= 4):
        raise ValueError(f"convert_channels: {s.view.channels} to {o.view.channels} channels, expected 1 to 4")
    if s.kind == b'B':
        with nogil:
            fp_convert_u8(&s.view, &o.view)
    elif s.view.channels == o.view.channels or (s.view.channels, o.view.channels) in ((1, 3), (3, 1)):
        with nogil:
            fp_convert_f32(&s.view, &o.view)
    else:
        raise ValueError(f"convert_channels: no rule from {s.view.channels} to {o.view.channels} channels of float32")
