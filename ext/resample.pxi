# Separable resampling, and nearest pixels by column and row.

cdef extern from "fp_resample.h" nogil:
    ctypedef struct fp_axis:
        const int32_t *first
        const float *weights
        const float *inside
        const int32_t *nearest
        ptrdiff_t taps
    ctypedef struct fp_resample_job:
        fp_view src, out, mask, out_mask
        fp_axis x, y
        const uint8_t *nodata
    int fp_resample(const fp_resample_job *job)
    void fp_resample_nearest(const fp_resample_job *job)


cdef class ResampleJob:
    """The checked part that all kernels share; keeps the buffers open."""
    cdef PixelView src, out, mask, out_mask
    cdef const uint8_t[::1] nodata
    cdef object kept
    cdef fp_resample_job job

    def __init__(self, src, out, mask, out_mask, nodata):
        cdef PixelView s = open_view(src, "src", 3, False)
        cdef PixelView o = open_view(out, "out", 3, True)
        self.src, self.out, self.nodata, self.kept = s, o, nodata, []
        self.mask = open_mask(mask, "mask", s.view.rows, s.view.cols, False)
        self.out_mask = open_mask(out_mask, "out_mask", o.view.rows, o.view.cols, True)
        require_same_samples(o, "out", s)
        require_shape(o, "out", o.view.rows, o.view.cols, s.view.channels)
        if not 1 <= s.view.channels <= 4 or s.view.item > 8:
            raise ValueError(f"src: {s.view.channels} channels of {s.view.item} bytes, expected 1 to 4 of at most 8")
        if not (1 <= s.view.rows < 1 << 31 and 1 <= s.view.cols < 1 << 31):
            raise ValueError(f"src: shape ({s.view.rows}, {s.view.cols}), expected sides of 1 to 2147483647")
        if self.nodata.shape[0] != s.view.item * s.view.channels:
            raise ValueError(f"nodata: {self.nodata.shape[0]} bytes, expected one pixel")
        self.job.src, self.job.out = s.view, o.view
        self.job.mask, self.job.out_mask = self.mask.view, self.out_mask.view
        self.job.nodata = &self.nodata[0]

    cdef int set_nearest(self, fp_axis *axis, const int32_t[::1] nearest, ptrdiff_t n, ptrdiff_t size, str name) except -1:
        cdef ptrdiff_t k
        if nearest.shape[0] != n:
            raise ValueError(f"{name}: {nearest.shape[0]} nearest pixels for {n} output pixels")
        for k in range(n):
            if not -1 <= nearest[k] < size:
                raise ValueError(f"{name}: nearest pixel {nearest[k]} of a source of {size}")
        axis.nearest = &nearest[0] if n else NULL
        self.kept.append(nearest)
        return 0

    cdef int set_taps(self, fp_axis *axis, const int32_t[::1] first, const float[:, ::1] weights,
                      const float[::1] inside, ptrdiff_t n, ptrdiff_t size, str name) except -1:
        cdef ptrdiff_t k
        if first.shape[0] != n or weights.shape[0] != n or inside.shape[0] != n:
            raise ValueError(f"{name}: taps for {first.shape[0]}, {weights.shape[0]} and {inside.shape[0]} pixels, "
                             f"expected {n}")
        axis.taps = weights.shape[1]
        if not 1 <= axis.taps <= size:
            raise ValueError(f"{name}: {axis.taps} taps in a source of {size}")
        for k in range(n):
            if not 0 <= first[k] <= size - axis.taps:
                raise ValueError(f"{name}: {axis.taps} taps from {first[k]} on in a source of {size}")
        axis.first = &first[0] if n else NULL
        axis.weights = &weights[0, 0] if n else NULL
        axis.inside = &inside[0] if n else NULL
        self.kept.append((first, weights, inside))
        return 0


def resample_nearest(src, out, x_nearest, y_nearest, mask, out_mask, nodata):
    cdef ResampleJob work = ResampleJob(src, out, mask, out_mask, nodata)
    work.set_nearest(&work.job.x, x_nearest, work.out.view.cols, work.src.view.cols, "x")
    work.set_nearest(&work.job.y, y_nearest, work.out.view.rows, work.src.view.rows, "y")
    with nogil:
        fp_resample_nearest(&work.job)


def resample(src, out, x, y, mask, out_mask, nodata):
    cdef ResampleJob work = ResampleJob(src, out, mask, out_mask, nodata)
    cdef int status
    require_samples(work.src, "src", b"Bf")
    work.set_taps(&work.job.x, x[0], x[1], x[2], work.out.view.cols, work.src.view.cols, "x")
    work.set_taps(&work.job.y, y[0], y[1], y[2], work.out.view.rows, work.src.view.rows, "y")
    work.set_nearest(&work.job.x, x[3], work.out.view.cols, work.src.view.cols, "x")
    work.set_nearest(&work.job.y, y[3], work.out.view.rows, work.src.view.rows, "y")
    with nogil:
        status = fp_resample(&work.job)
    if status:
        raise MemoryError("resample: no memory for a row of sums")
