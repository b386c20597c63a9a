/* Grids of reprojection nodes: (rows, cols) pairs of source positions x, y. */
#ifndef FP_NODES_H
#define FP_NODES_H

#include "fp_common.h"

typedef struct {
    int finite, whole;      /* some node is finite, all are */
    double low[2], high[2]; /* range of the finite nodes */
    double ratio[2];        /* median length of the gradient of x and of y, per pixel; 1 when there is none */
} fp_node_facts;

/* Facts of (rows, cols) nodes `step` pixels apart; `scratch` has room for 2 * rows * cols numbers. */
void fp_node_facts_of(const double *nodes, ptrdiff_t rows, ptrdiff_t cols, double step, double *scratch,
                      fp_node_facts *facts);

/* Largest distance along an axis between `exact` positions at pixels ys[rows], xs[cols] and those interpolated between
 * nodes (node_cols in a row, `step` pixels apart); infinite where only one of them exists. Positions on neither side
 * within `margin` of 0..size do not count; size NULL: all do. */
double fp_node_error(const double *nodes, ptrdiff_t node_cols, double step, const double *exact, const double *ys,
                     ptrdiff_t rows, const double *xs, ptrdiff_t cols, const double *size, double margin);

#endif
