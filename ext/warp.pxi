# Pixels read at positions given by a grid of nodes.

from libc.stdint cimport int16_t


cdef extern from "fp_warp.h" nogil:
    const int FP_WARP_LIMIT
    ctypedef struct fp_warp_axis:
        const int16_t *integers
        const float *floats
        int taps
        int stride
    ctypedef struct fp_warp_job:
        fp_view src, out, mask, out_mask
        const double *nodes
        ptrdiff_t node_rows, node_cols, step
        fp_warp_axis x, y
        int bits
        const uint8_t *nodata
    int fp_warp(const fp_warp_job *job)
    int fp_warp_nearest(const fp_warp_job *job)


cdef int fill_axis(fp_warp_axis *axis, const int16_t[:, ::1] integers, const float[:, ::1] floats, int taps,
                   str name) except -1:
    """Checks a table: whole vector loads, an even number of taps, and weights for every phase."""
    cdef ptrdiff_t stride = integers.shape[1]
    if integers.shape[0] != 1024 or floats.shape[0] != 1024 or floats.shape[1] != stride:
        raise ValueError(f"{name}: tables of shape ({integers.shape[0]}, {stride}) and "
                         f"({floats.shape[0]}, {floats.shape[1]}), expected 1024 rows and equal shapes")
    if taps < 2 or taps % 2 or taps > 4096 or stride != (4 if taps <= 4 else (taps + 7) // 8 * 8):
        raise ValueError(f"{name}: {taps} taps in rows of {stride}, expected an even number up to 4096 in rows of 4 or "
                         "of a multiple of 8")
    axis.integers = &integers[0, 0]
    axis.floats = &floats[0, 0]
    axis.taps = taps
    axis.stride = <int>stride
    return 0


cdef class WarpJob:
    """The checked part that all kernels share; keeps the buffers open."""
    cdef PixelView src, out, mask, out_mask
    cdef const double[:, :, ::1] nodes
    cdef const uint8_t[::1] nodata
    cdef fp_warp_job job

    def __init__(self, src, out, nodes, ptrdiff_t step, mask, out_mask, nodata):
        cdef PixelView s = open_view(src, "src", 3, False)
        cdef PixelView o = open_view(out, "out", 3, True)
        self.src, self.out, self.nodes, self.nodata = s, o, nodes, nodata
        self.mask = open_mask(mask, "mask", s.view.rows, s.view.cols, False)
        self.out_mask = open_mask(out_mask, "out_mask", o.view.rows, o.view.cols, True)
        require_same_samples(o, "out", s)
        require_shape(o, "out", o.view.rows, o.view.cols, s.view.channels)
        if not 1 <= s.view.channels <= 4 or s.view.item > 8:
            raise ValueError(f"src: {s.view.channels} channels of {s.view.item} bytes, expected 1 to 4 of at most 8")
        if s.view.rows < 1 or s.view.cols < 1 or s.view.rows > FP_WARP_LIMIT - 8192 or s.view.cols > FP_WARP_LIMIT - 8192:
            raise ValueError(f"src: shape ({s.view.rows}, {s.view.cols}), expected sides of 1 to {FP_WARP_LIMIT - 8192}")
        if self.nodata.shape[0] != s.view.item * s.view.channels:
            raise ValueError(f"nodata: {self.nodata.shape[0]} bytes, expected one pixel")
        if step < 1 or self.nodes.shape[2] != 2:
            raise ValueError(f"nodes: step {step} and {self.nodes.shape[2]} coordinates, expected 1 or more, and 2")
        if (o.view.rows > 0 and (o.view.rows - 1 + step - 1) // step + 1 > self.nodes.shape[0]) or (
            o.view.cols > 0 and (o.view.cols - 1 + step - 1) // step + 1 > self.nodes.shape[1]
        ):
            raise ValueError(
                f"nodes: shape ({self.nodes.shape[0]}, {self.nodes.shape[1]}) with step {step} does not cover out of "
                f"shape ({o.view.rows}, {o.view.cols})"
            )
        self.job.src, self.job.out = s.view, o.view
        self.job.mask, self.job.out_mask = self.mask.view, self.out_mask.view
        self.job.nodata = &self.nodata[0]
        self.job.node_rows, self.job.node_cols, self.job.step = self.nodes.shape[0], self.nodes.shape[1], step
        self.job.nodes = &self.nodes[0, 0, 0] if self.nodes.shape[0] and self.nodes.shape[1] else NULL


def warp_nearest(src, out, nodes, ptrdiff_t step, mask, out_mask, nodata):
    cdef WarpJob work = WarpJob(src, out, nodes, step, mask, out_mask, nodata)
    cdef int status
    with nogil:
        status = fp_warp_nearest(&work.job)
    if status:
        raise MemoryError("warp: no memory for the grid of nodes")


def warp(src, out, nodes, ptrdiff_t step, x_table, y_table, int bits, mask, out_mask, nodata):
    cdef WarpJob work = WarpJob(src, out, nodes, step, mask, out_mask, nodata)
    cdef const int16_t[:, ::1] x_integers = x_table[1], y_integers = y_table[1]
    cdef const float[:, ::1] x_floats = x_table[2], y_floats = y_table[2]
    cdef int status
    require_samples(work.src, "src", b"Bf")
    fill_axis(&work.job.x, x_integers, x_floats, x_table[0], "x_table")
    fill_axis(&work.job.y, y_integers, y_floats, y_table[0], "y_table")
    if not 6 <= bits <= 7:
        raise ValueError(f"bits: {bits}, expected 6 or 7")
    work.job.bits = bits
    with nogil:
        status = fp_warp(&work.job)
    if status:
        raise MemoryError("warp: no memory for the summary of the mask")
