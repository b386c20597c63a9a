/* What the files of the JPEG encoder share: tables, scratch memory, the bit writer and the three stages.
 *
 * A tile is encoded in chunks of up to FP_JPEG_MCUS minimum coded units side by side (16x16 pixels each: four luma
 * blocks, one Cb, one Cr), so that everything between the pixels and the bits stays in the first-level cache:
 * colour (pixels to planes), transform (planes to quantised blocks), entropy (blocks to bits). */
#ifndef FP_JPEG_INTERNAL_H
#define FP_JPEG_INTERNAL_H

#include <string.h>

#include "fp_jpeg.h"

#if defined(_MSC_VER)
#include <intrin.h>
#include <stdlib.h>
#endif

#ifndef FP_JPEG_MCUS
#define FP_JPEG_MCUS 16
#endif
#define FP_JPEG_COLS (FP_JPEG_MCUS * 16)
#define FP_JPEG_BLOCKS (FP_JPEG_MCUS * 6)
#define FP_JPEG_SYMBOLS (FP_JPEG_BLOCKS * 64) /* a DC, 63 others or fewer and an end mark */
#define FP_JPEG_BLOCK_BYTES 208               /* 22 bits of DC and 63 times 26 bits, and some */
#define FP_JPEG_HEADER 623
#define FP_JPEG_SLACK 64 /* bytes that vector loads and stores may touch beyond an end */

/* Two words as one number, for vectors of such pairs. */
#define FP_JPEG_WORDS(low, high) ((int)((uint32_t)(uint16_t)(low) | (uint32_t)(uint16_t)(high) << 16))

/* Natural (row by row) position of each zigzag position. */
extern const uint8_t fp_jpeg_natural[64];

/* Divisors of one component, 8 * step, as the transform leaves a factor of 8; natural order, and for vectors the eight
 * numbers of a row once per lane of 128 bits. A quotient is (|x| + bias) * reciprocal >> 16 >> shift, or with the last
 * shift as a product with scale, >> 16. */
typedef struct {
    uint16_t bias[8][32];
    uint16_t reciprocal[8][32];
    uint16_t shift[8][32];
    uint16_t scale[8][32];
} fp_jpeg_quant;

/* Huffman codes of luma [0] and chroma [1]. An entry is a code with its value bits behind it, and their number in the
 * top byte; the symbol of a value of `size` bits after `run` zeros is run << 4 | size. */
typedef struct {
    uint32_t dc[2][16];          /* entries without value bits, by size */
    uint32_t ac[2][256];         /* code << 8 | length, by symbol */
    uint32_t entries[2][16][256]; /* by run and value as a byte */
    uint8_t planes[2][4][128];   /* entries without value bits, byte by byte from the lowest, by run << 3 | size */
    uint8_t sizes[128];          /* bits of a value without its sign */
    uint8_t ones[128];           /* as many bits set */
    uint8_t compaction[256][8];  /* positions of the bits set in a byte, then zeros */
} fp_jpeg_codes;

/* Bits not yet written are the lowest `count` (0..7) of `bits`. */
typedef struct {
    uint64_t bits;
    unsigned count;
    uint8_t *out;
} fp_jpeg_writer;

typedef struct {
    uint8_t pixels[16][FP_JPEG_COLS * 3]; /* chunks at the right and lower edges, completed */
    int16_t luma[16][FP_JPEG_COLS];       /* -128..127 */
    int16_t chroma[2][8][FP_JPEG_COLS / 2];
    /* Quantised blocks in coding order. A block is wide when a value other than its DC does not fit in a byte. */
    int8_t zigzag[FP_JPEG_BLOCKS][64];   /* vector paths: saturated values, the DC among them */
    uint64_t nonzero[FP_JPEG_BLOCKS];    /* by zigzag position, the DC's bit is 1 */
    int16_t dc[FP_JPEG_BLOCKS];
    uint32_t dc_entries[FP_JPEG_BLOCKS];
    uint8_t wide[FP_JPEG_BLOCKS];
    int16_t values[FP_JPEG_BLOCKS][64]; /* zigzag order; vector paths: wide blocks only */
    /* Symbols of vector paths: values, zigzag positions (bit 6: chroma), entries. */
    int8_t symbols[FP_JPEG_SLACK + FP_JPEG_SYMBOLS + FP_JPEG_SLACK];
    uint8_t places[FP_JPEG_SLACK + FP_JPEG_SYMBOLS + FP_JPEG_SLACK];
    int starts[FP_JPEG_BLOCKS]; /* of blocks among the symbols */
    uint16_t indices[FP_JPEG_SYMBOLS + FP_JPEG_SLACK]; /* into the table of entries */
    uint32_t entries[FP_JPEG_SYMBOLS + FP_JPEG_SLACK];
    uint8_t raw[FP_JPEG_BLOCKS * FP_JPEG_BLOCK_BYTES + FP_JPEG_SLACK]; /* bits of a chunk, 0xFF not yet escaped */
} fp_jpeg_scratch;

struct fp_jpeg {
    fp_jpeg_scratch scratch;
    fp_jpeg_codes codes;
    fp_jpeg_quant quant[2];
    uint8_t header[FP_JPEG_HEADER];
    int16_t last_dc[3];
    fp_jpeg_writer writer;
    uint8_t *out;
    size_t size, capacity;
    void *memory; /* what to free: the struct itself starts on a cache line */
};

/* Colour: `mcus` times 16 columns of 16 rows of RGB to the planes. */
typedef void (*fp_jpeg_colour)(const uint8_t *rgb, ptrdiff_t stride, int mcus, fp_jpeg_scratch *scratch);
/* Transform: the planes of `mcus` units to quantised blocks; may write all blocks of the scratch memory. */
typedef void (*fp_jpeg_transform)(fp_jpeg *encoder, int mcus);
/* Entropy: `mcus` units of blocks to the writer. */
typedef void (*fp_jpeg_entropy)(fp_jpeg *encoder, int mcus);
/* Copies bytes with a 0 behind each 0xFF; reads and writes up to FP_JPEG_SLACK more. Returns the end of the copy. */
typedef uint8_t *(*fp_jpeg_escape)(uint8_t *to, const uint8_t *from, size_t count);

fp_jpeg_colour fp_jpeg_colour_path(void);
fp_jpeg_transform fp_jpeg_transform_path(void);
fp_jpeg_entropy fp_jpeg_entropy_path(void);
fp_jpeg_escape fp_jpeg_escape_path(void);

/* Fills codes, steps and header for a quality; see fp_jpeg_tables.c. */
void fp_jpeg_fill_tables(fp_jpeg *encoder, int quality);

/* Position of the lowest and of the highest bit set; not for 0. */
FP_INLINE unsigned fp_jpeg_lowest(uint64_t x)
{
#if defined(_MSC_VER)
    unsigned long k;
    _BitScanForward64(&k, x);
    return k;
#else
    return (unsigned)__builtin_ctzll(x);
#endif
}

FP_INLINE unsigned fp_jpeg_highest(uint64_t x)
{
#if defined(_MSC_VER)
    unsigned long k;
    _BitScanReverse64(&k, x);
    return k;
#else
    return 63u ^ (unsigned)__builtin_clzll(x);
#endif
}

/* Bits that a number needs without its sign; 0 for 0. */
FP_INLINE unsigned fp_jpeg_bit_length(int x)
{
    const int sign = x >> 31; /* signs are as good as random: no branches */
    return fp_jpeg_highest((uint64_t)(uint32_t)((x ^ sign) - sign) << 1 | 1);
}

/* The `size` bits that stand for a value: itself, or for negative ones value - 1. */
FP_INLINE uint32_t fp_jpeg_value_bits(int value, unsigned size)
{
    return (uint32_t)(value + (value >> 31)) & ((1u << size) - 1);
}

FP_INLINE void fp_jpeg_store_be64(uint8_t *out, uint64_t x)
{
#if defined(_MSC_VER)
    x = _byteswap_uint64(x);
#elif !defined(__BYTE_ORDER__) || __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    memcpy(out, &x, 8);
}

/* Appends the lowest `length` (0..57) bits; bits above them must be 0. Stores 8 bytes whatever the length. */
FP_INLINE void fp_jpeg_put(fp_jpeg_writer *w, uint64_t bits, unsigned length)
{
    w->bits = w->bits << length | bits;
    w->count += length;
    fp_jpeg_store_be64(w->out, w->bits << (-w->count & 63));
    w->out += w->count >> 3;
    w->count &= 7;
}

#endif
