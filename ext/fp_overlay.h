/* Images laid over each other: the first data from the top, alpha blending, products. */
#ifndef FP_OVERLAY_H
#define FP_OVERLAY_H

#include "fp_common.h"

#define FP_MAX_LAYERS 64

enum { FP_OVERLAY_TOP, FP_OVERLAY_ALPHATOP, FP_OVERLAY_MULTIPLY };

typedef struct {
    fp_view pixels; /* 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA */
    fp_view mask;   /* 0 = nodata; data NULL where all is data */
} fp_layer;

/* out and out_mask (optional) from `count` layers, lowest first, over a canvas of the pixel `background` (as many
 * samples as out has). `transparent`: three samples of a colour whose alpha counts as 0, or NULL. All views have the
 * same rows and cols and samples of the same type. kernels/reference_overlay.py is the definition. */
void fp_overlay_u8(const fp_layer *layers, ptrdiff_t count, int method, const double *background,
                   const double *transparent, const fp_view *out, const fp_view *out_mask);
void fp_overlay_f32(const fp_layer *layers, ptrdiff_t count, int method, const double *background,
                    const double *transparent, const fp_view *out, const fp_view *out_mask);

#endif
