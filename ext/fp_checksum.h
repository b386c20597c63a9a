/* Checksums of the containers around deflate streams: CRC-32 (PNG) and Adler-32 (zlib). */
#ifndef FP_CHECKSUM_H
#define FP_CHECKSUM_H

#include "fp_common.h"

/* Checksum of `size` more bytes after `value`, which is 0 at the start for CRC-32, 1 for Adler-32. */
uint32_t fp_crc32(uint32_t value, const uint8_t *data, size_t size);
uint32_t fp_adler32(uint32_t value, const uint8_t *data, size_t size);

#endif
