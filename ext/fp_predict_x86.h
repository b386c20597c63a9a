/* Bodies of fp_predict.c with byte shuffles, 16 bytes at a time: wider vectors gain nothing, since each step waits for
 * the carry of the one before. */
#include <immintrin.h>

/* Sums within a vector by doubling: after the step of n * C bytes a byte holds the sum of 2 n pixels. The carry repeats
 * the last C bytes of the vector before, so a vector need not start at a pixel's first channel: byte i of a vector
 * continues byte i - C, whatever channel that is. */
#define FP_PREFIX(C, I0, I1, I2, I3, I4, I5, I6, I7, I8, I9, I10, I11, I12, I13, I14, I15)                            \
    FP_TARGET_AVX2 static void prefix##C##_avx2(const uint8_t *src, uint8_t *dst, ptrdiff_t bytes, ptrdiff_t c)       \
    {                                                                                                                 \
        const __m128i last = _mm_setr_epi8(I0, I1, I2, I3, I4, I5, I6, I7, I8, I9, I10, I11, I12, I13, I14, I15);     \
        __m128i carry = _mm_setzero_si128();                                                                          \
        ptrdiff_t i = 0;                                                                                              \
        for (; i + 16 <= bytes; i += 16) {                                                                            \
            __m128i x = _mm_loadu_si128((const __m128i *)(src + i));                                                  \
            x = _mm_add_epi8(x, _mm_slli_si128(x, C));                                                                \
            x = _mm_add_epi8(x, _mm_slli_si128(x, 2 * C));                                                            \
            if (4 * C < 16) x = _mm_add_epi8(x, _mm_slli_si128(x, 4 * C));                                            \
            if (8 * C < 16) x = _mm_add_epi8(x, _mm_slli_si128(x, 8 * C));                                            \
            x = _mm_add_epi8(x, carry);                                                                               \
            _mm_storeu_si128((__m128i *)(dst + i), x);                                                                \
            carry = _mm_shuffle_epi8(x, last);                                                                        \
        }                                                                                                             \
        for (; i < bytes; i++) dst[i] = (uint8_t)(src[i] + (i < c ? 0 : dst[i - c]));                                 \
    }

FP_PREFIX(1, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15)
FP_PREFIX(2, 14, 15, 14, 15, 14, 15, 14, 15, 14, 15, 14, 15, 14, 15, 14, 15)
FP_PREFIX(3, 13, 14, 15, 13, 14, 15, 13, 14, 15, 13, 14, 15, 13, 14, 15, 13)
FP_PREFIX(4, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15)

#undef FP_PREFIX

FP_TARGET_AVX2 static void weave_avx2(const uint8_t *planes, ptrdiff_t length, uint8_t *dst, ptrdiff_t count)
{
    ptrdiff_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m128i p0 = _mm_loadu_si128((const __m128i *)(planes + i));
        __m128i p1 = _mm_loadu_si128((const __m128i *)(planes + length + i));
        __m128i p2 = _mm_loadu_si128((const __m128i *)(planes + 2 * length + i));
        __m128i p3 = _mm_loadu_si128((const __m128i *)(planes + 3 * length + i));
        __m128i low0 = _mm_unpacklo_epi8(p3, p2), low1 = _mm_unpacklo_epi8(p1, p0);
        __m128i high0 = _mm_unpackhi_epi8(p3, p2), high1 = _mm_unpackhi_epi8(p1, p0);
        __m128i *to = (__m128i *)(dst + 4 * i);
        _mm_storeu_si128(to, _mm_unpacklo_epi16(low0, low1));
        _mm_storeu_si128(to + 1, _mm_unpackhi_epi16(low0, low1));
        _mm_storeu_si128(to + 2, _mm_unpacklo_epi16(high0, high1));
        _mm_storeu_si128(to + 3, _mm_unpackhi_epi16(high0, high1));
    }
    for (; i < count; i++) {
        for (ptrdiff_t k = 0; k < 4; k++) dst[4 * i + k] = planes[(3 - k) * length + i];
    }
}
