/* Half-size images: the 2x2 mean of QTree pyramids and the decimation of the others. */
#ifndef FP_REDUCE_H
#define FP_REDUCE_H

#include "fp_common.h"

/* Entries of a gamma table: one per value of floor(4 * sum / count), 0..1020. */
#define FP_GAMMA_ENTRIES 1021

/* Mean of the valid pixels of each 2x2 block, for blocks with at least two; the others get `nodata` and mask 0.
 *
 * out is (rows, cols), src and mask (2 rows, 2 cols), out_mask (rows, cols). A view whose data is NULL is absent:
 * without mask every pixel is valid. Rounding of uint8: table[floor(4 sum / count)], or, where table is NULL,
 * floor((floor(4 sum / count) + 1) / 4): to the nearest, ties down, for four valid pixels. */
void fp_reduce2x2_u8(const fp_view *src, const fp_view *out, const fp_view *mask, const fp_view *out_mask,
                     const uint8_t *nodata, const uint8_t *table);

/* The same for float32: (((a + b) + c) + d) / count over the valid pixels in reading order, every step in float32. */
void fp_reduce2x2_f32(const fp_view *src, const fp_view *out, const fp_view *mask, const fp_view *out_mask,
                      const float *nodata);

/* out[j, i] = src[y0 + j * ratio, x0 + i * ratio] for pixels of any size up to 32 bytes. The caller has checked that
 * the last pixel lies in src. */
void fp_decimate(const fp_view *src, ptrdiff_t ratio, ptrdiff_t x0, ptrdiff_t y0, const fp_view *out);

#endif
