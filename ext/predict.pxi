# TIFF predictors.


cdef extern from "fp_predict.h" nogil:
    void fp_unpredict_none(const fp_view *src, const fp_view *out)
    void fp_unpredict_u8(const fp_view *src, const fp_view *out)
    void fp_unpredict_u32(const fp_view *src, const fp_view *out)
    void fp_unpredict_f32(const fp_view *src, const fp_view *out)


def unpredict(src, int predictor, out):
    cdef PixelView s = open_view(src, "src", 2, True)
    cdef PixelView o = open_view(out, "out", 3, True)
    cdef ptrdiff_t needed = o.view.cols * o.view.channels * o.view.item
    require_samples(s, "src", b"B")
    require_samples(o, "out", b"Bf")
    if not 1 <= o.view.channels <= 4:
        raise ValueError(f"out: {o.view.channels} channels, expected 1 to 4")
    if not 1 <= predictor <= (2 if o.kind == b'B' else 3):
        raise ValueError(f"predictor: {predictor} is not known for these samples")
    if s.view.rows != o.view.rows or s.view.cols < needed:
        raise ValueError(
            f"src: {s.view.rows} rows of {s.view.cols} bytes, expected {o.view.rows} of at least {needed}"
        )
    if predictor == 3 and s.view.cols % (4 * o.view.channels):
        raise ValueError(f"src: rows of {s.view.cols} bytes are not whole pixels of {4 * o.view.channels}")
    with nogil:
        if predictor == 1:
            fp_unpredict_none(&s.view, &o.view)
        elif predictor == 3:
            fp_unpredict_f32(&s.view, &o.view)
        elif o.view.item == 1:
            fp_unpredict_u8(&s.view, &o.view)
        else:
            fp_unpredict_u32(&s.view, &o.view)
