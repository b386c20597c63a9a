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

/* Coordinates of the pixels (ys[rows], xs[cols]) of a block whose first pixel is px, py of a matrix with that origin. */
void fp_node_coordinates(const double *xs, ptrdiff_t cols, const double *ys, ptrdiff_t rows, double px, double py,
                         double origin_x, double origin_y, double cell, double *x, double *y);

/* Source positions x, y of `count` points from their coordinates by an affine a b c, d e f; pixel centres are whole.
 * Infinite where a coordinate is not finite. */
void fp_node_positions(const double *x, const double *y, ptrdiff_t count, const double *affine, double *positions);

/* Nodes `step` pixels apart for height x width pixels, ((height - 1) / step + 2) x ((width - 1) / step + 2) of them,
 * from `exact` positions (rows, cols) of every (step / stride)-th pixel and the last one. Those beyond the last pixel
 * continue the last interval. */
void fp_node_grid(const double *exact, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t height, ptrdiff_t width,
                  ptrdiff_t step, ptrdiff_t stride, double *nodes);

#endif
