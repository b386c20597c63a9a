/* Separable resampling: taps and weights of each axis are planned by the caller. */
#ifndef FP_RESAMPLE_H
#define FP_RESAMPLE_H

#include "fp_common.h"

/* One axis, for each of n output coordinates: `taps` source pixels from first[k] on (all inside the source), their
 * weights (sum 1), the share of the whole kernel that they are, and the nearest source pixel (-1: outside). */
typedef struct {
    const int32_t *first;
    const float *weights; /* (n, taps) */
    const float *inside;
    const int32_t *nearest;
    ptrdiff_t taps;
} fp_axis;

typedef struct {
    fp_view src, out;
    fp_view mask, out_mask; /* data NULL: absent */
    fp_axis x, y;
    const uint8_t *nodata;  /* one pixel */
} fp_resample_job;

/* uint8 or float32 (told by the item size of src), 1 to 4 channels.
 *
 * Columns first, then rows, in float32: sum = w0 v0, then sum = sum + wk vk in tap order, each product and sum rounded.
 * uint8 output is floor(sum + 0.5), clamped. With a mask, weights and values of masked pixels count 0 in both sums and
 * their quotient is taken at the end; below 0.1 of the whole kernel the nearest pixel is taken. */
fp_status fp_resample(const fp_resample_job *job);

/* out[j, i] = src[y.nearest[j], x.nearest[i]], nodata where an index is -1 or the mask 0; pixels of any size. */
void fp_resample_nearest(const fp_resample_job *job);

#endif
