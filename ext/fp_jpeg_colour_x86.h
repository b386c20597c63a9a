/* AVX2 and AVX-512 paths of the JPEG colour stage. Included by fp_jpeg_colour.c.
 *
 * A pixel is two pairs of words, (R, G) and (B, G) or (B, 1), and each component two multiply-adds. The weight 32768
 * does not fit in a word but -32768 does: chroma is computed as its complement -1 - c, which is the negated sum rounded
 * down, and the complement is taken back in the means. The weight of G in Y is split in two. */

#include <immintrin.h>

#define Y_RG FP_JPEG_WORDS(Y_R, Y_G / 2)
#define Y_BG FP_JPEG_WORDS(Y_B, Y_G / 2)
#define Y_INIT (HALF - (128 << 16))
#define CB_RG FP_JPEG_WORDS(CB_R, CB_G)
#define CB_B1 FP_JPEG_WORDS(-HALF, -HALF)
#define CR_RG FP_JPEG_WORDS(-HALF, CR_G)
#define CR_B1 FP_JPEG_WORDS(CR_B, -HALF)
/* Mean of four complements with the bias: (4 complements make -4) */
#define MEAN_EVEN (BIAS(0) - 4)
#define MEAN_ODD (BIAS(1) - 4)

#define NO -1
#define FIRST(at, a, b) (at) + (a), NO, (at) + (b), NO
#define RG_BYTES(at) FIRST(at, 0, 1), FIRST(at, 3, 4), FIRST(at, 6, 7), FIRST(at, 9, 10)
#define BG_BYTES(at) FIRST(at, 2, 1), FIRST(at, 5, 4), FIRST(at, 8, 7), FIRST(at, 11, 10)

/* One component, its 16 bits of fraction dropped, of pixels 0..3, 8..11 (a) and 4..7, 12..15 (b): in order. */
FP_TARGET_AVX2 FP_INLINE __m256i weigh_avx2(__m256i rg_a, __m256i b_a, __m256i rg_b, __m256i b_b, int rg, int b,
                                            int init)
{
    const __m256i w_rg = _mm256_set1_epi32(rg), w_b = _mm256_set1_epi32(b), start = _mm256_set1_epi32(init);
    __m256i x = _mm256_add_epi32(_mm256_madd_epi16(rg_a, w_rg), _mm256_madd_epi16(b_a, w_b));
    __m256i y = _mm256_add_epi32(_mm256_madd_epi16(rg_b, w_rg), _mm256_madd_epi16(b_b, w_b));
    if (init) x = _mm256_add_epi32(x, start), y = _mm256_add_epi32(y, start);
    return _mm256_packs_epi32(_mm256_srai_epi32(x, 16), _mm256_srai_epi32(y, 16));
}

/* 16 pixels (48 bytes, no more are read): stores Y, returns the complements of Cb and Cr. */
FP_TARGET_AVX2 FP_INLINE void pixels_avx2(const uint8_t *p, int16_t *luma, __m256i *cb, __m256i *cr)
{
    const __m256i first = _mm256_setr_epi8(RG_BYTES(0), RG_BYTES(0));
    const __m256i second = _mm256_setr_epi8(RG_BYTES(0), RG_BYTES(4));
    const __m256i first_b = _mm256_setr_epi8(BG_BYTES(0), BG_BYTES(0));
    const __m256i second_b = _mm256_setr_epi8(BG_BYTES(0), BG_BYTES(4));
    const __m256i a = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)p)),
                                              _mm_loadu_si128((const __m128i *)(p + 24)), 1);
    const __m256i b = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(p + 12))),
                                              _mm_loadu_si128((const __m128i *)(p + 32)), 1);
    const __m256i rg_a = _mm256_shuffle_epi8(a, first), rg_b = _mm256_shuffle_epi8(b, second);
    const __m256i bg_a = _mm256_shuffle_epi8(a, first_b), bg_b = _mm256_shuffle_epi8(b, second_b);
    const __m256i one = _mm256_set1_epi16(1);
    const __m256i b1_a = _mm256_blend_epi16(bg_a, one, 0xAA), b1_b = _mm256_blend_epi16(bg_b, one, 0xAA);
    _mm256_storeu_si256((__m256i *)luma, weigh_avx2(rg_a, bg_a, rg_b, bg_b, Y_RG, Y_BG, Y_INIT));
    *cb = weigh_avx2(rg_a, b1_a, rg_b, b1_b, CB_RG, CB_B1, 0);
    *cr = weigh_avx2(rg_a, b1_a, rg_b, b1_b, CR_RG, CR_B1, 0);
}

/* Means of 2x2 from two rows of complements: 8 numbers of 32 bits. */
FP_TARGET_AVX2 FP_INLINE __m256i means_avx2(__m256i upper, __m256i lower)
{
    const __m256i bias = _mm256_set1_epi64x((int64_t)((uint64_t)(uint32_t)MEAN_ODD << 32 | (uint32_t)MEAN_EVEN));
    const __m256i sums = _mm256_madd_epi16(_mm256_add_epi16(upper, lower), _mm256_set1_epi16(-1));
    return _mm256_srai_epi32(_mm256_add_epi32(sums, bias), 2);
}

/* A tile is a part of a wider block: its rows are too short for the machine to foresee the next ones. */
FP_INLINE void fetch_rows_ahead(const uint8_t *p, ptrdiff_t stride)
{
    FP_PREFETCH(p + 2 * stride);
    FP_PREFETCH(p + 3 * stride);
}

FP_TARGET_AVX2 static void colour_avx2(const uint8_t *rgb, ptrdiff_t stride, int mcus, fp_jpeg_scratch *scratch)
{
    for (int i = 0; i < 16; i += 2, rgb += 2 * stride)
        for (int j = 0; j < 16 * mcus; j += 16) {
            __m256i cb[2], cr[2];
            fetch_rows_ahead(rgb + 3 * j, stride);
            pixels_avx2(rgb + 3 * j, scratch->luma[i] + j, &cb[0], &cr[0]);
            pixels_avx2(rgb + stride + 3 * j, scratch->luma[i + 1] + j, &cb[1], &cr[1]);
            __m256i both = _mm256_packs_epi32(means_avx2(cb[0], cb[1]), means_avx2(cr[0], cr[1]));
            both = _mm256_permute4x64_epi64(both, 0xD8);
            _mm_storeu_si128((__m128i *)(scratch->chroma[0][i / 2] + j / 2), _mm256_castsi256_si128(both));
            _mm_storeu_si128((__m128i *)(scratch->chroma[1][i / 2] + j / 2), _mm256_extracti128_si256(both, 1));
        }
    _mm256_zeroupper();
}

/* Bytes of the words (R, G) and (B, G) of 16 pixels, and the words of two vectors that hold results: the high ones, the
 * low ones. */
#define WORDS8(k) (k), (k) + 2, (k) + 4, (k) + 6, (k) + 8, (k) + 10, (k) + 12, (k) + 14
static const int8_t rg_bytes[64] = {RG_BYTES(0), RG_BYTES(12), RG_BYTES(24), RG_BYTES(36)};
static const int8_t bg_bytes[64] = {BG_BYTES(0), BG_BYTES(12), BG_BYTES(24), BG_BYTES(36)};
static const uint16_t high_words[32] = {WORDS8(1), WORDS8(17), WORDS8(33), WORDS8(49)};
static const uint16_t low_words[32] = {WORDS8(0), WORDS8(16), WORDS8(32), WORDS8(48)};

FP_TARGET_AVX512ICL FP_INLINE __m512i weigh_avx512icl(const __m512i rg[2], const __m512i b[2], int w_rg, int w_b,
                                                      int init)
{
    const __m512i u = _mm512_set1_epi32(w_rg), v = _mm512_set1_epi32(w_b), start = _mm512_set1_epi32(init);
    const __m512i x = _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(start, rg[0], u), b[0], v);
    const __m512i y = _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(start, rg[1], u), b[1], v);
    return _mm512_permutex2var_epi16(x, _mm512_loadu_si512(high_words), y);
}

/* 32 pixels, or 16 when `second` is 0: a mask of the bytes to read of the second half. */
FP_TARGET_AVX512ICL FP_INLINE void pixels_avx512icl(const uint8_t *p, __mmask64 second, int16_t *luma, __m512i *cb,
                                                    __m512i *cr)
{
    const __m512i words_rg = _mm512_loadu_si512(rg_bytes), words_bg = _mm512_loadu_si512(bg_bytes);
    const __mmask64 low_bytes = 0x5555555555555555;
    const __m512i half[2] = {_mm512_maskz_loadu_epi8(0xFFFFFFFFFFFF, p), _mm512_maskz_loadu_epi8(second, p + 48)};
    __m512i rg[2], bg[2], b1[2];
    for (int k = 0; k < 2; k++) {
        rg[k] = _mm512_maskz_permutexvar_epi8(low_bytes, words_rg, half[k]);
        bg[k] = _mm512_maskz_permutexvar_epi8(low_bytes, words_bg, half[k]);
        b1[k] = _mm512_mask_blend_epi16(0xAAAAAAAA, bg[k], _mm512_set1_epi16(1));
    }
    _mm512_storeu_si512(luma, weigh_avx512icl(rg, bg, Y_RG, Y_BG, Y_INIT));
    *cb = weigh_avx512icl(rg, b1, CB_RG, CB_B1, 0);
    *cr = weigh_avx512icl(rg, b1, CR_RG, CR_B1, 0);
}

FP_TARGET_AVX512ICL FP_INLINE __m512i means_avx512icl(__m512i upper, __m512i lower)
{
    const __m512i bias = _mm512_set1_epi64((int64_t)((uint64_t)(uint32_t)MEAN_ODD << 32 | (uint32_t)MEAN_EVEN));
    const __m512i sums = _mm512_dpwssd_epi32(bias, _mm512_add_epi16(upper, lower), _mm512_set1_epi16(-1));
    return _mm512_srai_epi32(sums, 2);
}

FP_TARGET_AVX512ICL static void colour_avx512icl(const uint8_t *rgb, ptrdiff_t stride, int mcus,
                                                 fp_jpeg_scratch *scratch)
{
    for (int i = 0; i < 16; i += 2, rgb += 2 * stride)
        for (int j = 0; j < 16 * mcus; j += 32) {
            const __mmask64 second = j + 16 < 16 * mcus ? 0xFFFFFFFFFFFF : 0;
            __m512i cb[2], cr[2];
            fetch_rows_ahead(rgb + 3 * j, stride);
            fetch_rows_ahead(rgb + 3 * j + 48, stride);
            pixels_avx512icl(rgb + 3 * j, second, scratch->luma[i] + j, &cb[0], &cr[0]);
            pixels_avx512icl(rgb + stride + 3 * j, second, scratch->luma[i + 1] + j, &cb[1], &cr[1]);
            const __m512i both = _mm512_permutex2var_epi16(means_avx512icl(cb[0], cb[1]), _mm512_loadu_si512(low_words),
                                                           means_avx512icl(cr[0], cr[1]));
            _mm256_storeu_si256((__m256i *)(scratch->chroma[0][i / 2] + j / 2), _mm512_castsi512_si256(both));
            _mm256_storeu_si256((__m256i *)(scratch->chroma[1][i / 2] + j / 2), _mm512_extracti64x4_epi64(both, 1));
        }
    _mm256_zeroupper();
}
