/* Between the files of the deflate encoder. */
#ifndef FP_DEFLATE_INTERNAL_H
#define FP_DEFLATE_INTERNAL_H

#include "fp_deflate.h"

#include <string.h>

#define FP_MIN_MATCH 3
#define FP_MAX_MATCH 258
#define FP_WINDOW 32768
#define FP_LITERALS 286 /* literals, end of block, lengths */
#define FP_LENGTHS 29
#define FP_DISTANCES 30
#define FP_END_OF_BLOCK 256
#define FP_MAX_SEGMENTS 64
#define FP_READ_AHEAD 128   /* bytes behind the stream that vector compares may read */
#define FP_CELLS_AHEAD 8    /* pixels behind the last one whose hashes are read */
#define FP_HASH_BITS 12
#define FP_HASHES 3
#define FP_PLACES (1 << FP_HASH_BITS) /* of a table */
#define LEAST_SEGMENT 24576 /* bytes of the stream */

/* `literals` bytes as they are, then `length` bytes (0: nothing) from `distance` bytes back. */
typedef struct {
    uint32_t literals;
    uint16_t length;
    uint16_t distance;
} fp_sequence;

/* How often symbols are used, and the extra bits behind them. */
typedef struct {
    uint32_t literal[FP_LITERALS];
    uint32_t distance[FP_DISTANCES];
    uint32_t extra;
} fp_histogram;

/* A stretch of sequences with the symbols of its own. */
typedef struct {
    size_t sequences; /* how many */
    size_t bytes;     /* of the stream */
    fp_histogram used;
} fp_segment;

/* Bytes to be packed, and what the parser made of them. */
typedef struct {
    uint8_t *stream; /* rows, each behind `lead` bytes, FP_READ_AHEAD bytes after the last */
    size_t size;
    size_t stride; /* from row to row */
    size_t rows, cols;
    unsigned lead; /* filter bytes before each row: 0 or 1 */
    unsigned unit; /* bytes that make a pixel, 1..4 */
    uint16_t *hashes[FP_HASHES]; /* of the next 1, 3, 6 pixels (of what starts there when they are small), by pixel */
    uint16_t *heads; /* FP_HASHES tables of the parser */
    fp_sequence *sequences;
    fp_segment segments[FP_MAX_SEGMENTS];
    size_t segment_count;
} fp_parse;

extern const uint8_t fp_length_symbol[FP_MAX_MATCH + 1]; /* 0..28 */
extern const uint16_t fp_length_base[FP_LENGTHS];
extern const uint8_t fp_length_extra[FP_LENGTHS];

FP_INLINE unsigned fp_log2_floor(uint32_t value)
{
#if defined(__GNUC__) || defined(__clang__)
    return 31u - (unsigned)__builtin_clz(value);
#else
    unsigned bits = 0;
    while (value >>= 1) bits++;
    return bits;
#endif
}

/* Symbol of a distance 1..32768; it has symbol / 2 - 1 extra bits from symbol 4 on. */
FP_INLINE unsigned fp_distance_symbol(uint32_t distance)
{
    uint32_t far = distance - 1;
    if (far < 4) return far;
    unsigned bits = fp_log2_floor(far);
    return 2 * bits + ((far >> (bits - 1)) & 1);
}

FP_INLINE unsigned fp_distance_extra(unsigned symbol)
{
    return symbol < 4 ? 0 : symbol / 2 - 1;
}

/* Little-endian, wherever it lies. */
FP_INLINE uint32_t fp_load32(const void *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap32(value);
#endif
    return value;
}

FP_INLINE uint64_t fp_load64(const void *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

FP_INLINE void fp_store64(void *at, uint64_t value)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    memcpy(at, &value, 8);
}

/* Fills `hashes`. */
void fp_deflate_hash(const fp_parse *parse);

/* Finds sequences that make the stream, and cuts them into segments. The stream has at least one pixel. */
void fp_deflate_parse(fp_parse *parse);

/* Bytes that fp_deflate_write() may touch for a stream of `size` bytes. */
size_t fp_deflate_bound(size_t size);

/* Writes the parsed stream as deflate blocks (RFC 1951) and returns how many bytes they take. */
size_t fp_deflate_write(const fp_parse *parse, uint8_t *out);

/* Code lengths, at most `limit`, of a prefix code that is complete: `count` symbols, at least two of which get a
 * code. Codes are bit-reversed, as deflate wants them. */
void fp_huffman_code(const uint32_t *used, unsigned count, unsigned limit, uint8_t *lengths, uint16_t *codes);

/* Codes of given lengths. */
void fp_huffman_assign(const uint8_t *lengths, unsigned count, uint16_t *codes);

#endif
