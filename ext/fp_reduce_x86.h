/* AVX2 rows of the 2x2 mean: all pixels valid, no gamma. Included by fp_reduce.c. */

#include <immintrin.h>

/* Order of the bytes of a 16-byte lane that puts the two values to add side by side. */
#define PAIRS_C2 0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15
#define PAIRS_C3 0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11, -1, -1, -1, -1
#define PAIRS_C4 0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15

/* Sixteen words: floor((sum of the four samples + 1) / 4), from paired bytes of both rows. */
#define MEAN_OF_PAIRS(a, b) \
    _mm256_srli_epi16(_mm256_add_epi16(_mm256_add_epi16(_mm256_maddubs_epi16(a, ones), \
                                                        _mm256_maddubs_epi16(b, ones)), one), 2)

#define LOAD(p) _mm256_loadu_si256((const __m256i *)(p))

/* `n` output bytes of 1, 2 or 4 interleaved channels; PAIR brings the bytes of a register in paired order. */
#define DEFINE_ROW_AVX2(name, channels, PAIR) \
    FP_TARGET_AVX2 static void name(const uint8_t *r0, const uint8_t *r1, uint8_t *out, ptrdiff_t pixels, \
                                    const uint8_t *table) \
    { \
        const __m256i ones = _mm256_set1_epi8(1), one = _mm256_set1_epi16(1); \
        const ptrdiff_t n = pixels * (channels); \
        ptrdiff_t i = 0; \
        for (; i + 32 <= n; i += 32) { \
            __m256i a0 = LOAD(r0 + 2 * i), a1 = LOAD(r0 + 2 * i + 32); \
            __m256i b0 = LOAD(r1 + 2 * i), b1 = LOAD(r1 + 2 * i + 32); \
            a0 = PAIR(a0), a1 = PAIR(a1), b0 = PAIR(b0), b1 = PAIR(b1); \
            __m256i packed = _mm256_packus_epi16(MEAN_OF_PAIRS(a0, b0), MEAN_OF_PAIRS(a1, b1)); \
            _mm256_storeu_si256((__m256i *)(out + i), _mm256_permute4x64_epi64(packed, 0xD8)); \
        } \
        _mm256_zeroupper(); \
        row_u8(r0 + 2 * i, r1 + 2 * i, out + i, pixels - i / (channels), (channels), table); \
    }

#define PAIR_C1(v) (v)
#define PAIR_C2(v) _mm256_shuffle_epi8(v, _mm256_setr_epi8(PAIRS_C2, PAIRS_C2))
#define PAIR_C4(v) _mm256_shuffle_epi8(v, _mm256_setr_epi8(PAIRS_C4, PAIRS_C4))

DEFINE_ROW_AVX2(row_u8_c1_avx2, 1, PAIR_C1)
DEFINE_ROW_AVX2(row_u8_c2_avx2, 2, PAIR_C2)
DEFINE_ROW_AVX2(row_u8_c4_avx2, 4, PAIR_C4)

/* Four pixels of RGB in each lane, 12 of 16 bytes used: pixels 0-3 and 8-11 behind p, so that packing two of these
 * leaves the results in order. */
#define LOAD_RGB(p) \
    _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(p))), \
                            _mm_loadu_si128((const __m128i *)((p) + 24)), 1)

/* RGB: eight output pixels a turn. Loads read 4 bytes and the last store writes 4 bytes more than the turn's own,
 * so the loop stops while two more pixels are left. */
FP_TARGET_AVX2 static void row_u8_c3_avx2(const uint8_t *r0, const uint8_t *r1, uint8_t *out, ptrdiff_t pixels,
                                          const uint8_t *table)
{
    const __m256i ones = _mm256_set1_epi8(1), one = _mm256_set1_epi16(1);
    const __m256i pair = _mm256_setr_epi8(PAIRS_C3, PAIRS_C3);
    /* A lane holds the bytes of two loads, 6 used and 2 idle each. */
    const __m256i close = _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, -1, -1, -1, -1, 0, 1, 2, 3, 4, 5,
                                           8, 9, 10, 11, 12, 13, -1, -1, -1, -1);
    ptrdiff_t j = 0;
    for (; j + 10 <= pixels; j += 8) {
        const uint8_t *p = r0 + 6 * j, *q = r1 + 6 * j;
        __m256i a0 = LOAD_RGB(p), a1 = LOAD_RGB(p + 12);
        __m256i b0 = LOAD_RGB(q), b1 = LOAD_RGB(q + 12);
        a0 = _mm256_shuffle_epi8(a0, pair), a1 = _mm256_shuffle_epi8(a1, pair);
        b0 = _mm256_shuffle_epi8(b0, pair), b1 = _mm256_shuffle_epi8(b1, pair);
        __m256i packed = _mm256_packus_epi16(MEAN_OF_PAIRS(a0, b0), MEAN_OF_PAIRS(a1, b1));
        packed = _mm256_shuffle_epi8(packed, close);
        _mm_storeu_si128((__m128i *)(out + 3 * j), _mm256_castsi256_si128(packed));
        _mm_storeu_si128((__m128i *)(out + 3 * j + 12), _mm256_extracti128_si256(packed, 1));
    }
    _mm256_zeroupper();
    row_u8(r0 + 6 * j, r1 + 6 * j, out + 3 * j, pixels - j, 3, table);
}

/* float32, one channel: ((a + b) + c) + d, then an exact quarter. */
FP_TARGET_AVX2 static void row_f32_c1_avx2(const float *r0, const float *r1, float *out, ptrdiff_t pixels)
{
    const __m256 quarter = _mm256_set1_ps(0.25f);
    ptrdiff_t i = 0;
    for (; i + 8 <= pixels; i += 8) {
        __m256 a0 = _mm256_loadu_ps(r0 + 2 * i), a1 = _mm256_loadu_ps(r0 + 2 * i + 8);
        __m256 b0 = _mm256_loadu_ps(r1 + 2 * i), b1 = _mm256_loadu_ps(r1 + 2 * i + 8);
        __m256 sum = _mm256_add_ps(_mm256_shuffle_ps(a0, a1, 0x88), _mm256_shuffle_ps(a0, a1, 0xDD));
        sum = _mm256_add_ps(sum, _mm256_shuffle_ps(b0, b1, 0x88));
        sum = _mm256_mul_ps(_mm256_add_ps(sum, _mm256_shuffle_ps(b0, b1, 0xDD)), quarter);
        __m256d ordered = _mm256_castsi256_pd(_mm256_permute4x64_epi64(_mm256_castps_si256(sum), 0xD8));
        _mm256_storeu_ps(out + i, _mm256_castpd_ps(ordered));
    }
    _mm256_zeroupper();
    row_f32(r0 + 2 * i, r1 + 2 * i, out + i, pixels - i, 1);
}
