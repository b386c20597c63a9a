/* Deflate made for tiles: matches are looked for pixel by pixel. Output is a zlib stream (RFC 1950) or a whole PNG. */
#ifndef FP_DEFLATE_H
#define FP_DEFLATE_H

#include "fp_common.h"

#define FP_DEFLATE_MAX_TILE (1 << 26) /* bytes of one tile, filter bytes of PNG included */
#define FP_DEFLATE_MAX_PIXEL 16       /* bytes of one pixel */
#define FP_DEFLATE_CONSTANTS 16       /* colours whose tiles are remembered */

typedef enum {
    FP_WRAP_ZLIB = 0, /* rows one after the other */
    FP_WRAP_PNG = 1   /* uint8 pixels; every row behind filter byte 0, one IDAT at byte 33, nothing but IHDR and IEND */
} fp_wrap;

/* Scratch memory, the bytes of the last call, tiles of one colour met before. One encoder serves one call at a time. */
typedef struct fp_deflate fp_deflate;

/* NULL when there is no memory. */
fp_deflate *fp_deflate_new(fp_wrap wrap);
void fp_deflate_free(fp_deflate *encoder);

/* Encodes the tiles of a block, row by row from the top left, those with wanted[tile] != 0 (NULL: all). The block is
 * a whole number of tiles; a tile has 1..FP_DEFLATE_MAX_TILE bytes and pixels of 1..FP_DEFLATE_MAX_PIXEL bytes, the
 * same in every call. ends[tile] receives where the bytes of the tile end in fp_deflate_bytes(); they start where
 * those of the tile before end. constants[tile] receives -1, or which of the remembered tiles of one colour it is:
 * then it has no bytes there but those of fp_deflate_constant(). On FP_NO_MEMORY nothing is valid. */
fp_status fp_deflate_encode_tiles(fp_deflate *encoder, const fp_view *block, ptrdiff_t tile_rows, ptrdiff_t tile_cols,
                                  const uint8_t *wanted, size_t *ends, int8_t *constants);

/* For each tile of a block, row by row: 3 where it has one colour; 2 and 1 where it is drawn rather than photographed,
 * that is where at least half of its pixels (a sample) equal the one to their left: what this encoder is made for; 2
 * where, besides, the sample has at most one colour per 40 pixels (of 3 or 4 bytes): it is much smaller here; else 0. */
void fp_deflate_flat_tiles(const fp_view *block, ptrdiff_t tile_rows, ptrdiff_t tile_cols, uint8_t *flat);

/* The bytes of the last call, until the next one. */
const uint8_t *fp_deflate_bytes(const fp_deflate *encoder);

/* The bytes of a remembered tile, for as long as the encoder lives. */
const uint8_t *fp_deflate_constant(const fp_deflate *encoder, int which, size_t *size);

#endif
