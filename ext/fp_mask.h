/* Data masks (0 nodata, anything else data) and what they steer: painting, filling, states of tiles. */
#ifndef FP_MASK_H
#define FP_MASK_H

#include "fp_common.h"

/* Largest pixel that the functions below take: four samples of eight bytes. */
#define FP_MAX_PIXEL 32

/* Copies src over dst where src_mask is not 0 (everywhere when absent) and marks dst_mask (when present) with 255.
 * All views have the same rows and cols. */
void fp_paint(const fp_view *dst, const fp_view *dst_mask, const fp_view *src, const fp_view *src_mask);

/* Writes the pixel `nodata` (item * channels bytes) where mask is 0. */
void fp_fill_nodata(const fp_view *pixels, const fp_view *mask, const uint8_t *nodata);

/* out = 0 where all channels equal nodata, else 255. float32: NaN equals NaN, -0 equals 0. */
void fp_nodata_mask_u8(const fp_view *pixels, const uint8_t *nodata, const fp_view *out);
void fp_nodata_mask_f32(const fp_view *pixels, const float *nodata, const fp_view *out);

/* Per tile of (tile_rows, tile_cols): 0 no data pixel, 1 some, 2 all. mask is an exact multiple of tiles,
 * states is (mask rows / tile_rows, mask cols / tile_cols). */
void fp_mask_states(const fp_view *mask, ptrdiff_t tile_rows, ptrdiff_t tile_cols, const fp_view *states);

#endif
