# Grids of reprojection nodes.


cdef extern from "fp_nodes.h" nogil:
    ctypedef struct fp_node_facts:
        int finite, whole
        double low[2]
        double high[2]
        double ratio[2]
    void fp_node_facts_of(const double *nodes, ptrdiff_t rows, ptrdiff_t cols, double step, double *scratch,
                          fp_node_facts *facts)
    double fp_node_error(const double *nodes, ptrdiff_t node_cols, double step, const double *exact, const double *ys,
                         ptrdiff_t rows, const double *xs, ptrdiff_t cols, const double *size, double margin)
    void fp_node_coordinates(const double *xs, ptrdiff_t cols, const double *ys, ptrdiff_t rows, double px, double py,
                             double origin_x, double origin_y, double cell, double *x, double *y)
    void fp_node_positions(const double *x, const double *y, ptrdiff_t count, const double *affine, double *positions)
    void fp_node_grid(const double *exact, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t height, ptrdiff_t width,
                      ptrdiff_t step, ptrdiff_t stride, double *nodes)


def node_facts(const double[:, :, ::1] nodes, double step):
    cdef ptrdiff_t rows = nodes.shape[0], cols = nodes.shape[1]
    cdef fp_node_facts facts
    cdef double *scratch
    if rows < 1 or cols < 1 or nodes.shape[2] != 2 or not step > 0:
        raise ValueError(f"nodes: shape ({rows}, {cols}, {nodes.shape[2]}) and step {step}, expected nodes and a distance")
    scratch = <double *>malloc(<size_t>(2 * rows * cols) * sizeof(double))
    if scratch == NULL:
        raise MemoryError("nodes: no memory for their gradients")
    with nogil:
        fp_node_facts_of(&nodes[0, 0, 0], rows, cols, step, scratch, &facts)
        free(scratch)
    if not facts.finite:
        return None
    return (facts.whole != 0, (facts.low[0], facts.low[1]), (facts.high[0], facts.high[1]),
            (facts.ratio[0], facts.ratio[1]))


def node_error(const double[:, :, ::1] nodes, double step, const double[:, :, ::1] exact, const double[::1] xs,
               const double[::1] ys, size, double margin):
    cdef ptrdiff_t rows = ys.shape[0], cols = xs.shape[0], k
    cdef double extent[2]
    cdef const double *limits = NULL
    cdef double worst
    if nodes.shape[2] != 2 or exact.shape[0] != rows or exact.shape[1] != cols or exact.shape[2] != 2 or not step > 0:
        raise ValueError(f"exact: shape ({exact.shape[0]}, {exact.shape[1]}, {exact.shape[2]}), expected ({rows}, {cols}, 2)")
    if rows < 1 or cols < 1:
        return 0.0
    for k in range(rows):
        if not 0 <= ys[k] < (nodes.shape[0] - 1) * step:
            raise ValueError(f"ys: {ys[k]} is beyond the nodes")
    for k in range(cols):
        if not 0 <= xs[k] < (nodes.shape[1] - 1) * step:
            raise ValueError(f"xs: {xs[k]} is beyond the nodes")
    if size is not None:
        extent[0], extent[1] = size
        limits = extent
    with nogil:
        worst = fp_node_error(&nodes[0, 0, 0], nodes.shape[1], step, &exact[0, 0, 0], &ys[0], rows, &xs[0], cols, limits,
                              margin)
    return worst


def node_coordinates(const double[::1] xs, const double[::1] ys, first, origin, double cell, double[::1] x, double[::1] y):
    cdef ptrdiff_t cols = xs.shape[0], rows = ys.shape[0]
    cdef double px = first[0], py = first[1], left = origin[0], top = origin[1]
    if x.shape[0] != rows * cols or y.shape[0] != rows * cols or not rows * cols:
        raise ValueError(f"{x.shape[0]} and {y.shape[0]} coordinates, expected {rows} x {cols}")
    with nogil:
        fp_node_coordinates(&xs[0], cols, &ys[0], rows, px, py, left, top, cell, &x[0], &y[0])


def node_positions(const double[::1] x, const double[::1] y, affine, double[:, :, ::1] out):
    cdef ptrdiff_t count = x.shape[0]
    cdef double line[6]
    if y.shape[0] != count or out.shape[0] * out.shape[1] != count or out.shape[2] != 2 or not count:
        raise ValueError(f"{count} and {y.shape[0]} coordinates for {out.shape[0]} x {out.shape[1]} x {out.shape[2]} numbers")
    line[0], line[1], line[2], line[3], line[4], line[5] = affine
    with nogil:
        fp_node_positions(&x[0], &y[0], count, line, &out[0, 0, 0])


cdef ptrdiff_t node_places(ptrdiff_t count, ptrdiff_t step):
    """Pixels at multiples of a step, and the last one."""
    return (count - 1) // step + 1 + ((count - 1) % step != 0)


def node_grid(const double[:, :, ::1] exact, ptrdiff_t height, ptrdiff_t width, ptrdiff_t step, ptrdiff_t stride,
              double[:, :, ::1] out):
    cdef ptrdiff_t rows = exact.shape[0], cols = exact.shape[1]
    if height < 1 or width < 1 or step < 1 or stride < 1 or step % stride or exact.shape[2] != 2 or out.shape[2] != 2:
        raise ValueError(f"{height} x {width} pixels, step {step} / {stride}: expected pairs, and a step made of strides")
    if rows != node_places(height, step // stride) or cols != node_places(width, step // stride):
        raise ValueError(f"exact: {rows} x {cols} positions do not belong to {height} x {width} pixels, step {step} / {stride}")
    if out.shape[0] != (height - 1) // step + 2 or out.shape[1] != (width - 1) // step + 2:
        raise ValueError(f"out: {out.shape[0]} x {out.shape[1]} nodes do not fit {height} x {width} pixels, step {step}")
    with nogil:
        fp_node_grid(&exact[0, 0, 0], rows, cols, height, width, step, stride, &out[0, 0, 0])
