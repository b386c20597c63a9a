/* Vector bodies of fp_checksum.c. */
#include <immintrin.h>

#define FP_TARGET_FOLD FP_TARGET("pclmul,sse4.1")

/* Sums of size % 32 == 0 bytes. b grows by 32 a for each group, and by 32, 31, .. 1 times its bytes. */
FP_TARGET_AVX2
static void adler_avx2(uint32_t sums[2], const uint8_t *data, size_t size)
{
    const __m256i falling = _mm256_setr_epi8(32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13,
                                             12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1);
    const __m256i zero = _mm256_setzero_si256(), ones = _mm256_set1_epi16(1);
    __m256i a = zero, before = zero, b = zero;
    for (size_t i = 0; i < size; i += 32) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(data + i));
        before = _mm256_add_epi32(before, a);
        a = _mm256_add_epi32(a, _mm256_sad_epu8(bytes, zero));
        b = _mm256_add_epi32(b, _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, falling), ones));
    }
    b = _mm256_add_epi32(b, _mm256_slli_epi32(before, 5));
    __m128i a4 = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    __m128i b4 = _mm_add_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
    a4 = _mm_add_epi32(a4, _mm_shuffle_epi32(a4, 0x4E));
    b4 = _mm_add_epi32(b4, _mm_shuffle_epi32(b4, 0x4E));
    b4 = _mm_add_epi32(b4, _mm_shuffle_epi32(b4, 0xB1));
    sums[1] += (uint32_t)size * sums[0] + (uint32_t)_mm_cvtsi128_si32(b4);
    sums[0] += (uint32_t)_mm_cvtsi128_si32(a4);
    _mm256_zeroupper();
}

/* x * constants, high and low halves apart, added up: moves 128 bits of the message forward. */
FP_TARGET_FOLD
static inline __m128i fold(__m128i x, __m128i constants, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(x, constants, 0x00), high = _mm_clmulepi64_si128(x, constants, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* The register of CRC-32 after size % 16 == 0 bytes, 64 or more. Constants are x^n modulo the polynomial, bit-reflected:
 * n = 4 * 128 + 32, 4 * 128 - 32; 128 + 32, 128 - 32; 64; then the Barrett pair. */
FP_TARGET_FOLD
static uint32_t crc32_folded(uint32_t crc, const uint8_t *data, size_t size)
{
    const __m128i by4 = _mm_set_epi64x(0x1C6E41596, 0x154442BD4), by1 = _mm_set_epi64x(0x0CCAA009E, 0x1751997D0);
    const __m128i by_half = _mm_set_epi64x(0, 0x163CD6124), barrett = _mm_set_epi64x(0x1F7011641, 0x1DB710641);
    const __m128i low32 = _mm_setr_epi32(-1, 0, -1, 0);
    const __m128i *at = (const __m128i *)data;
    __m128i x[4];
    for (int k = 0; k < 4; k++) x[k] = _mm_loadu_si128(at + k);
    x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)crc));
    for (at += 4, size -= 64; size >= 64; at += 4, size -= 64)
        for (int k = 0; k < 4; k++) x[k] = fold(x[k], by4, _mm_loadu_si128(at + k));
    for (int k = 1; k < 4; k++) x[0] = fold(x[0], by1, x[k]);
    for (; size >= 16; at++, size -= 16) x[0] = fold(x[0], by1, _mm_loadu_si128(at));
    __m128i r = _mm_xor_si128(_mm_clmulepi64_si128(x[0], by1, 0x10), _mm_srli_si128(x[0], 8));
    r = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(r, low32), by_half, 0x00), _mm_srli_si128(r, 4));
    __m128i t = _mm_clmulepi64_si128(_mm_and_si128(r, low32), barrett, 0x10);
    t = _mm_clmulepi64_si128(_mm_and_si128(t, low32), barrett, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(r, t), 1);
}
