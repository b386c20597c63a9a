# Blocks of the raster store: packing, halves, statistics.

from libc.stdlib cimport free, malloc


cdef extern from "fp_dbblock.h" nogil:
    int fp_block_pack(const uint8_t *samples, ptrdiff_t count, int bits, uint8_t *out)
    void fp_block_unpack(const uint8_t *data, ptrdiff_t count, int bits, uint8_t *samples)
    int fp_block_pack_mask(const uint8_t *mask, ptrdiff_t count, uint8_t *out)
    int fp_block_unpack_mask(const uint8_t *data, ptrdiff_t count, uint8_t set, uint8_t *mask)


cdef extern from "fp_dbhalve.h" nogil:
    const char *FP_HALVE_KINDS
    ctypedef int fp_halve_method
    void fp_halve(const fp_view *src, const fp_view *out, const fp_view *mask, const fp_view *out_mask, char kind,
                  fp_halve_method method, ptrdiff_t margin, double most, double *scratch)


cdef extern from "fp_dbstats.h" nogil:
    ctypedef struct fp_integer_sums:
        int64_t count, least, most, sum, high, middle, low
    ctypedef struct fp_float_sums:
        int64_t count
        double least, most, mean, deviations
    void fp_count_u8(const fp_view *src, const fp_view *mask, uint64_t *counts)
    void fp_count_u16(const fp_view *src, const fp_view *mask, uint64_t *counts)
    void fp_sum_i32(const fp_view *src, const fp_view *mask, int is_signed, fp_integer_sums *sums)
    void fp_sum_float(const fp_view *src, const fp_view *mask, fp_float_sums *sums)
    void fp_histogram(const fp_view *src, const fp_view *mask, char kind, double origin, double scale, double first,
                      ptrdiff_t bins, uint64_t *counts)


cdef ptrdiff_t block_samples(PixelView v, str name, int bits) except -1:
    """Samples of a block without gaps whose sample size is the right one for `bits`."""
    if bits not in (1, 2, 4, 8, 16, 32, 64):
        raise ValueError(f"bits: {bits}, expected 1, 2, 4, 8, 16, 32 or 64")
    if v.view.item * 8 != max(bits, 8):
        raise ValueError(f"{name}: samples of {v.view.item} bytes for {bits} bits")
    if v.view.rows > 1 and v.view.stride != v.view.cols * v.view.item:
        raise ValueError(f"{name}: rows must follow one another without gaps")
    return v.view.rows * v.view.cols


def pack_block(pixels, int bits, mask, uint8_t[::1] out):
    cdef PixelView p = open_view(pixels, "pixels", 2, False)
    cdef PixelView m = open_mask(mask, "mask", p.view.rows, p.view.cols, False)
    cdef ptrdiff_t count = block_samples(p, "pixels", bits)
    cdef ptrdiff_t size, bitmap
    cdef int state = 2, fits = 1
    if m.view.data != NULL:
        block_samples(m, "mask", 8)
    size = (count * bits + 7) // 8
    bitmap = (count + 7) // 8 if m.view.data != NULL else 0
    if out is None or out.shape[0] < size + bitmap or count == 0:
        raise ValueError(f"out: {size + bitmap} bytes are needed for at least one pixel")
    with nogil:
        if m.view.data != NULL:
            state = fp_block_pack_mask(m.view.data, count, &out[size])
        if state != 0:
            fits = fp_block_pack(p.view.data, count, bits, &out[0])
    if not fits:
        return -1
    return 0 if state == 0 else size + bitmap if state == 1 else size


def unpack_block(const uint8_t[::1] data, int bits, pixels):
    cdef PixelView p = open_view(pixels, "pixels", 2, True)
    cdef ptrdiff_t count = block_samples(p, "pixels", bits)
    if data is None or count == 0 or data.shape[0] != (count * bits + 7) // 8:
        raise ValueError(f"data: {(count * bits + 7) // 8} bytes expected for {count} pixels of {bits} bits")
    with nogil:
        fp_block_unpack(&data[0], count, bits, p.view.data)


def unpack_mask(const uint8_t[::1] data, mask):
    cdef PixelView m = open_view(mask, "mask", 2, True)
    cdef ptrdiff_t count = block_samples(m, "mask", 8)
    cdef int state
    require_samples(m, "mask", b"B")
    if data is None or count == 0 or data.shape[0] != (count + 7) // 8:
        raise ValueError(f"data: {(count + 7) // 8} bytes expected for a mask of {count} pixels")
    with nogil:
        state = fp_block_unpack_mask(&data[0], count, 255, m.view.data)
    return state


def halve(src, out, mask, out_mask, int method, ptrdiff_t margin, double most):
    cdef PixelView s = open_view(src, "src", 2, False)
    cdef PixelView o = open_view(out, "out", 2, True)
    cdef PixelView m = open_mask(mask, "mask", s.view.rows, s.view.cols, False)
    cdef PixelView om = open_mask(out_mask, "out_mask", o.view.rows, o.view.cols, True)
    cdef double *scratch = NULL
    require_samples(s, "src", FP_HALVE_KINDS)
    require_same_samples(o, "out", s)
    if method not in (0, 1, 2) or margin not in (0, 1) or (method == 2 and margin == 0):
        raise ValueError(f"method {method} with margin {margin}: expected 0 or 1, or 2 with margin 1")
    if s.kind != b'f' and s.kind != b'd' and not 0 <= most <= 4294967295:
        raise ValueError(f"most: {most}, expected 0 to 4294967295")
    if (mask is None) != (out_mask is None):
        raise ValueError("mask and out_mask: expected both or none")
    require_shape(s, "src", 2 * o.view.rows + 2 * margin, 2 * o.view.cols + 2 * margin, 1)
    if method == 2:
        scratch = <double *>malloc(<size_t>(3 * o.view.cols + 2) * sizeof(double))
        if scratch == NULL:
            raise MemoryError
    with nogil:
        fp_halve(&s.view, &o.view, &m.view, &om.view, s.kind, method, margin, most, scratch)
        free(scratch)


def count_values(src, mask, uint64_t[::1] counts):
    cdef PixelView s = open_view(src, "src", 2, False)
    cdef PixelView m = open_mask(mask, "mask", s.view.rows, s.view.cols, False)
    require_samples(s, "src", b"BbHh")
    if counts is None or counts.shape[0] != 1 << (8 * s.view.item):
        raise ValueError(f"counts: {1 << (8 * s.view.item)} values expected")
    with nogil:
        if s.view.item == 1:
            fp_count_u8(&s.view, &m.view, &counts[0])
        else:
            fp_count_u16(&s.view, &m.view, &counts[0])


def sum_integers(src, mask):
    cdef PixelView s = open_view(src, "src", 2, False)
    cdef PixelView m = open_mask(mask, "mask", s.view.rows, s.view.cols, False)
    cdef fp_integer_sums sums
    require_samples(s, "src", b"iI")
    if s.view.rows * s.view.cols >= 1 << 31:
        raise ValueError("src: 2^31 pixels or more")
    with nogil:
        fp_sum_i32(&s.view, &m.view, s.kind == b'i', &sums)
    squares = (int(sums.high) << 32) + (int(sums.middle) << 17) + int(sums.low)
    return sums.count, sums.least, sums.most, sums.sum, squares


def sum_floats(src, mask):
    cdef PixelView s = open_view(src, "src", 2, False)
    cdef PixelView m = open_mask(mask, "mask", s.view.rows, s.view.cols, False)
    cdef fp_float_sums sums
    require_samples(s, "src", b"fd")
    with nogil:
        fp_sum_float(&s.view, &m.view, &sums)
    return sums.count, sums.least, sums.most, sums.mean, sums.deviations


def histogram(src, mask, double origin, double scale, double first, uint64_t[::1] counts):
    cdef PixelView s = open_view(src, "src", 2, False)
    cdef PixelView m = open_mask(mask, "mask", s.view.rows, s.view.cols, False)
    require_samples(s, "src", b"iIfd")
    if counts is None or counts.shape[0] < 1:
        raise ValueError("counts: at least one value expected")
    with nogil:
        fp_histogram(&s.view, &m.view, s.kind, origin, scale, first, counts.shape[0], &counts[0])
