/* Hashes of what starts at each pixel, for the whole tile ahead of the parser, which would have to wait for each. */
#include "fp_cpu.h"
#include "fp_deflate_internal.h"

#if defined(FP_X86)
#include <immintrin.h>
#endif

/* Of one pixel, 16 bits. Pixels of 1 and 2 bytes are too small to be worth a match: 3 and 4 bytes are hashed. */
FP_INLINE void hash_pixels(const uint8_t *row, unsigned unit, size_t from, size_t cols, uint16_t *cells)
{
    uint32_t mask = unit & 1 ? 0xFFFFFF : 0xFFFFFFFF;
    for (size_t x = from; x < cols; x++)
        cells[x] = (uint16_t)(((fp_load32(row + x * unit) & mask) * 0x9E3779B1u) >> 16);
}

/* Places in the tables of `count` cells: of 3 and 6 cells by sums modulo 65536, which vectors do 16 at a time. */
FP_INLINE void hash_groups(uint16_t *FP_RESTRICT one, uint16_t *FP_RESTRICT three, uint16_t *FP_RESTRICT six, size_t count)
{
    for (size_t x = 0; x < count; x++) {
        uint16_t sum = (uint16_t)(one[x] * 0x9E37u + one[x + 1] * 0x79B1u + one[x + 2] * 0xD6E9u);
        uint16_t more = (uint16_t)(one[x + 3] * 0x68A5u + one[x + 4] * 0xC2B3u + one[x + 5] * 0x5D4Fu);
        three[x] = (uint16_t)(sum >> (16 - FP_HASH_BITS));
        six[x] = (uint16_t)((uint16_t)(sum * 0x85EBu + more) >> (16 - FP_HASH_BITS));
    }
    for (size_t x = 0; x < count; x++) one[x] &= (1u << FP_HASH_BITS) - 1;
}

static void hash_generic(const fp_parse *p)
{
    for (size_t y = 0; y < p->rows; y++)
        hash_pixels(p->stream + y * p->stride + p->lead, p->unit, 0, p->cols, p->hashes[0] + y * p->cols);
    hash_groups(p->hashes[0], p->hashes[1], p->hashes[2], p->rows * p->cols);
}

#if defined(FP_X86)

/* Pixels of 3 or 4 bytes, 16 at a time; returns how many were done. Reads up to 4 bytes behind them. */
FP_TARGET_AVX2
static size_t hash_pixels_avx2(const uint8_t *row, unsigned unit, size_t cols, uint16_t *cells)
{
    const __m128i three = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
    const __m128i four = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m256i places = _mm256_broadcastsi128_si256(unit == 3 ? three : four);
    const __m256i factor = _mm256_set1_epi32((int)0x9E3779B1u);
    size_t done = 0, half = 4 * (size_t)unit;
    for (; done + 16 <= cols; done += 16) {
        const uint8_t *at = row + done * unit;
        __m256i product[2];
        for (size_t k = 0; k < 2; k++) {
            /* Lanes cross over so that packing, lane by lane, puts them in order. */
            __m128i low = _mm_loadu_si128((const __m128i *)(at + k * half));
            __m128i high = _mm_loadu_si128((const __m128i *)(at + (k + 2) * half));
            __m256i pixels = _mm256_shuffle_epi8(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1), places);
            product[k] = _mm256_srli_epi32(_mm256_mullo_epi32(pixels, factor), 16);
        }
        _mm256_storeu_si256((__m256i *)(cells + done), _mm256_packus_epi32(product[0], product[1]));
    }
    return done;
}

FP_TARGET_AVX2
static void hash_avx2(const fp_parse *p)
{
    for (size_t y = 0; y < p->rows; y++) {
        const uint8_t *row = p->stream + y * p->stride + p->lead;
        uint16_t *cells = p->hashes[0] + y * p->cols;
        size_t done = p->unit < 3 ? 0 : hash_pixels_avx2(row, p->unit, p->cols, cells);
        hash_pixels(row, p->unit, done, p->cols, cells);
    }
    hash_groups(p->hashes[0], p->hashes[1], p->hashes[2], p->rows * p->cols);
}

#endif

void fp_deflate_hash(const fp_parse *parse)
{
#if defined(FP_X86)
    if (fp_cpu_live() & FP_CPU_AVX2) {
        hash_avx2(parse);
        return;
    }
#endif
    hash_generic(parse);
}
