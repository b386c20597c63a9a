/* JPEG blocks: the integer transform of libjpeg's "islow" (Loeffler, Ligtenberg, Moschytz 1989) and quantisation.
 *
 * Both passes are sums of products with 13-bit constants, rounded once per result; the first pass leaves two bits of
 * fraction, the second takes them away. Sums are exact in any order, so the rotations may be multiplied out: an odd
 * result is four products, results 2 and 6 are two. The outcome is 8 times the orthonormal transform. */
#include "fp_jpeg_internal.h"

#include "fp_cpu.h"

/* Rotation of the even part, and the rows of the odd one for the differences 3-4, 2-5, 1-6, 0-7: sums of libjpeg's
 * constants (0.541196100 -> 4433, 0.765366865 -> 6270, 1.847759065 -> 15137, 1.175875602 -> 9633, ...). */
#define EVEN_A 4433
#define EVEN_B (4433 + 6270)
#define EVEN_C (4433 - 15137)
#define ODD1 (9633 - 7373), (9633 - 3196), 9633, (9633 + 12299 - 7373 - 3196)
#define ODD3 (9633 - 16069), (9633 - 20995), (9633 + 25172 - 20995 - 16069), 9633
#define ODD5 9633, (9633 + 16819 - 20995 - 3196), (9633 - 20995), (9633 - 3196)
#define ODD7 (9633 + 2446 - 7373 - 16069), 9633, (9633 - 16069), (9633 - 7373)

static const int16_t odd_rows[4][4] = {{ODD1}, {ODD3}, {ODD5}, {ODD7}};

/* Rounds half up and drops `bits` bits. */
static int32_t scaled(int32_t x, int bits)
{
    return (x + (1 << (bits - 1))) >> bits;
}

/* Transforms eight numbers `step` apart in place. */
static void transform_line(int16_t *x, int step, int second)
{
    const int bits = second ? 15 : 11;
    int32_t sum[4], difference[4]; /* of the pairs 0-7, 1-6, 2-5, 3-4 */
    for (int k = 0; k < 4; k++) {
        sum[k] = x[k * step] + x[(7 - k) * step];
        difference[k] = x[k * step] - x[(7 - k) * step];
    }
    const int32_t outer = sum[0] + sum[3], inner = sum[1] + sum[2];
    const int32_t a = sum[0] - sum[3], b = sum[1] - sum[2];
    x[0] = (int16_t)scaled((outer + inner) * 8192, bits);
    x[4 * step] = (int16_t)scaled((outer - inner) * 8192, bits);
    x[2 * step] = (int16_t)scaled(a * EVEN_B + b * EVEN_A, bits);
    x[6 * step] = (int16_t)scaled(a * EVEN_A + b * EVEN_C, bits);
    for (int k = 0; k < 4; k++) {
        const int16_t *row = odd_rows[k];
        const int32_t low = difference[3] * row[0] + difference[2] * row[1];
        x[(2 * k + 1) * step] = (int16_t)scaled(low + difference[1] * row[2] + difference[0] * row[3], bits);
    }
}

static uint16_t high_half(uint32_t x)
{
    return (uint16_t)(x >> 16);
}

/* A row over its divisors, halves away from zero. */
static void divide_row(int16_t x[8], const fp_jpeg_quant *quant, int row)
{
    for (int j = 0; j < 8; j++) {
        const int16_t sign = (int16_t)(x[j] >> 15);
        const uint16_t magnitude = (uint16_t)((uint16_t)((x[j] ^ sign) - sign) + quant->bias[row][j]);
        const uint16_t product = high_half((uint32_t)magnitude * quant->reciprocal[row][j]);
        x[j] = (int16_t)((high_half((uint32_t)product * quant->scale[row][j]) ^ sign) - sign);
    }
}

static void block_generic(const int16_t *plane, ptrdiff_t stride, const fp_jpeg_quant *quant, fp_jpeg_scratch *scratch,
                          int block)
{
    int16_t work[64];
    int16_t *values = scratch->values[block];
    uint64_t nonzero = 1;
    for (int i = 0; i < 8; i++) {
        memcpy(work + 8 * i, plane + i * stride, 16);
        transform_line(work + 8 * i, 1, 0);
    }
    for (int j = 0; j < 8; j++) transform_line(work + j, 8, 1);
    for (int i = 0; i < 8; i++) divide_row(work + 8 * i, quant, i);
    for (int k = 0; k < 64; k++) {
        values[k] = work[fp_jpeg_natural[k]];
        nonzero |= (uint64_t)(values[k] != 0) << k;
    }
    scratch->dc[block] = values[0];
    scratch->nonzero[block] = nonzero;
}

/* Coding order of the blocks of a plane: luma has two rows of two blocks in a unit. */
static int luma_block(int row, int col)
{
    return col / 2 * 6 + row * 2 + col % 2;
}

static int chroma_block(int component, int col)
{
    return col * 6 + 4 + component;
}

static void transform_generic(fp_jpeg *encoder, int mcus)
{
    fp_jpeg_scratch *scratch = &encoder->scratch;
    for (int half = 0; half < 2; half++)
        for (int col = 0; col < 2 * mcus; col++)
            block_generic(scratch->luma[8 * half] + 8 * col, FP_JPEG_COLS, &encoder->quant[0], scratch,
                          luma_block(half, col));
    for (int c = 0; c < 2; c++)
        for (int col = 0; col < mcus; col++)
            block_generic(scratch->chroma[c][0] + 8 * col, FP_JPEG_COLS / 2, &encoder->quant[1], scratch,
                          chroma_block(c, col));
}

#if defined(FP_X86)
#include "fp_jpeg_block_x86.h"
#endif

fp_jpeg_transform fp_jpeg_transform_path(void)
{
#if defined(FP_X86)
    if (fp_cpu_live() & FP_CPU_AVX512ICL) return transform_avx512icl;
    if (fp_cpu_live() & FP_CPU_AVX2) return transform_avx2;
#endif
    return transform_generic;
}
