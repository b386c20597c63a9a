/* One level of a block pyramid: every 2x2 pixels become one, for all sample types of the raster store. */
#ifndef FP_DBHALVE_H
#define FP_DBHALVE_H

#include "fp_common.h"

#define FP_HALVE_KINDS "BbHhIifd" /* struct format characters of the sample types */

typedef enum {
    FP_HALVE_NEAREST = 0,  /* the upper left pixel */
    FP_HALVE_BILINEAR = 1, /* mean of the valid ones of the four */
    FP_HALVE_BICUBIC = 2   /* weights -1 9 9 -1 (of 16) in both directions where all 16 are valid, else the mean */
} fp_halve_method;

/* src (2h + 2 margin, 2w + 2 margin) single samples, out (h, w); margin 0 or 1, and 1 for bicubic. Integers are rounded
 * to the nearest, halves away from 0; cubics are kept within the type and not above `most`. Means and cubics of floats
 * are computed in double. mask (of src) and out_mask have data both or neither; without, every pixel is valid. An out
 * pixel is valid when its upper left pixel is (nearest) or when one of its four is; else out and out_mask are 0.
 * out_mask is 255 where it is valid. scratch: 3w + 2 doubles for bicubic, NULL otherwise. */
void fp_halve(const fp_view *src, const fp_view *out, const fp_view *mask, const fp_view *out_mask, char kind,
              fp_halve_method method, ptrdiff_t margin, double most, double *scratch);

#endif
