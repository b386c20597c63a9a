/* Pixels read at positions given by a grid of nodes: reprojection. */
#ifndef FP_WARP_H
#define FP_WARP_H

#include "fp_common.h"

/* Longest side of a source and farthest position that is told apart from outside, in pixels. */
#define FP_WARP_LIMIT (1 << 20)

/* Weights of one axis: 1024 rows of `stride` entries, `taps` of them used (even) and the others 0. Tap t of a position
 * p is pixel floor(p) + 1 - taps/2 + t; row of p is its fraction in 1/1024. The integers of a row sum to 2^14. */
typedef struct {
    const int16_t *integers;
    const float *floats;
    int taps;
    int stride;
} fp_warp_axis;

typedef struct {
    fp_view src, out;
    fp_view mask, out_mask; /* data NULL: absent */
    const double *nodes;    /* (node_rows, node_cols, 2): x, y in source pixels of output pixel (c * step, r * step) */
    ptrdiff_t node_rows, node_cols, step;
    fp_warp_axis x, y;      /* not used by the nearest neighbour */
    int bits;               /* bits behind the point that uint8 keeps between the passes: partial sums fit 16 bits */
    const uint8_t *nodata;  /* one pixel */
} fp_warp_job;

/* Kernel of x and y. src is uint8 or float32 (told by its item size), 1 to 4 channels.
 *
 * uint8, for each tap row: half sums A (tap pairs 0, 2, ..) and B (pairs 1, 3, ..) of weight * sample, each shifted
 * right to `bits` fractional bits, rounding down; the sum over rows of weight * (A + B), plus the mean loss of the
 * shifts, is rounded to the nearest. Integers only, so every path gives the same bytes. */
fp_status fp_warp(const fp_warp_job *job);

/* Nearest pixel, ties within 1e-7 pixel to the lower index; pixels of any size. */
fp_status fp_warp_nearest(const fp_warp_job *job);

#endif
