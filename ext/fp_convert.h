/* Change of channel count: 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA. */
#ifndef FP_CONVERT_H
#define FP_CONVERT_H

#include "fp_common.h"

/* out (rows, cols, 1..4 channels) from src (rows, cols, 1..4 channels) of uint8. Gray of a colour is
 * 0.2125 R + 0.7154 G + 0.0721 B rounded to the nearest, ties up, computed exactly; a missing alpha is 255. */
void fp_convert_u8(const fp_view *src, const fp_view *out);

/* float32, 1 to 3 channels (replicate) or 3 to 1 (the first). */
void fp_convert_f32(const fp_view *src, const fp_view *out);

#endif
