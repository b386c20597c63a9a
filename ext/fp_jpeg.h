/* Baseline JPEG of RGB tiles, chroma halved in both directions, standard Huffman tables: the bytes of libjpeg-turbo. */
#ifndef FP_JPEG_H
#define FP_JPEG_H

#include "fp_common.h"

#define FP_JPEG_MAX_SIDE 65500 /* pixels, as libjpeg */

/* Tables and scratch memory of one quality. One encoder serves one call at a time. */
typedef struct fp_jpeg fp_jpeg;

/* quality 1..100; NULL when there is no memory. */
fp_jpeg *fp_jpeg_new(int quality);
void fp_jpeg_free(fp_jpeg *encoder);

/* Encodes the tiles of a block of uint8 RGB pixels, row by row from the top left, those with wanted[tile] != 0 (NULL:
 * all). The block is a whole number of tiles of 1..FP_JPEG_MAX_SIDE pixels a side. ends[tile] receives where the
 * bytes of the tile end in fp_jpeg_bytes(); they start where those of the tile before end. On FP_NO_MEMORY nothing is
 * valid. */
fp_status fp_jpeg_encode_tiles(fp_jpeg *encoder, const fp_view *block, ptrdiff_t tile_rows, ptrdiff_t tile_cols,
                               const uint8_t *wanted, size_t *ends);

/* The bytes of the last call, until the next one. */
const uint8_t *fp_jpeg_bytes(const fp_jpeg *encoder);

#endif
