/* Pixels of a raster block to the bytes that a database row holds, and back: big-endian samples, samples of 1, 2 and
 * 4 bits packed over the whole block without padding at the ends of rows, and a bit per pixel for the mask. */
#ifndef FP_DBBLOCK_H
#define FP_DBBLOCK_H

#include "fp_common.h"

/* `count` samples of 1, 2, 4, 8, 16, 32 or 64 bits. Samples of less than 8 bits lie in one byte each, the first one
 * goes to the most significant bits. Writes ceil(count * bits / 8) bytes; unused bits are 0. Returns 0 when a sample
 * of less than 8 bits is too large for its bits, and 1 otherwise. */
int fp_block_pack(const uint8_t *samples, ptrdiff_t count, int bits, uint8_t *out);

/* The reverse. Reads ceil(count * bits / 8) bytes; samples of more than 8 bits must be aligned. */
void fp_block_unpack(const uint8_t *data, ptrdiff_t count, int bits, uint8_t *samples);

/* A byte per pixel to a bit per pixel, the first one in the most significant bit: 1 where the byte is not 0. Writes
 * ceil(count / 8) bytes, unused bits are 0. Returns 0 when all bytes are 0, 2 when none is, else 1. */
int fp_block_pack_mask(const uint8_t *mask, ptrdiff_t count, uint8_t *out);

/* The reverse: `set` where the bit is 1, 0 elsewhere. Returns the same state. */
int fp_block_unpack_mask(const uint8_t *data, ptrdiff_t count, uint8_t set, uint8_t *mask);

#endif
