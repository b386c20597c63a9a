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
