/* TIFF predictors undone on the way from a decoded block to its place in an image. */
#ifndef FP_PREDICT_H
#define FP_PREDICT_H

#include "fp_common.h"

/* Row y of a block starts at src->data + y * src->stride and may be longer than a row of out: what is beyond is
 * padding. out is (rows, cols, channels), 1 to 4 channels. src and out do not overlap. */

/* Predictor 1: samples are stored as they are. */
void fp_unpredict_none(const fp_view *src, const fp_view *out);

/* Predictor 2 over uint8: each sample is the difference from the same channel of the pixel to its left, mod 256. */
void fp_unpredict_u8(const fp_view *src, const fp_view *out);

/* Predictor 2 over 32-bit samples: the same, mod 2^32. */
void fp_unpredict_u32(const fp_view *src, const fp_view *out);

/* Predictor 3 over float32: a row is all first (most significant) bytes of its samples, then all second ones and so
 * on, each byte the difference mod 256 from the one `channels` before it. src->cols is the length of a stored row in
 * bytes, a multiple of 4 * channels. Works in place first: src is garbage afterwards. Little-endian machines only. */
void fp_unpredict_f32(const fp_view *src, const fp_view *out);

#endif
