/* AVX2 rows of the nodata mask of uint8: how many pixels, a multiple of 16, were done. Included by fp_mask.c. */

#include <immintrin.h>

/* 255 where a bit is 0, sixteen of them. */
FP_TARGET_AVX2 FP_INLINE __m128i bytes_of_clear_bits(uint32_t bits)
{
    const __m128i spread = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
    const __m128i one = _mm_set1_epi64x((int64_t)0x8040201008040201ULL);
    const __m128i own = _mm_and_si128(_mm_shuffle_epi8(_mm_cvtsi32_si128((int)bits), spread), one);
    return _mm_cmpeq_epi8(own, _mm_setzero_si128());
}

/* 48 bytes are 48 bits of equality; a pixel is nodata where three in a row are set. */
FP_TARGET_AVX2 static ptrdiff_t nodata_row_c3_avx2(const uint8_t *p, const uint8_t *nodata, uint8_t *out, ptrdiff_t cols)
{
    uint8_t pattern[48];
    for (int i = 0; i < 48; i++) pattern[i] = nodata[i % 3];
    const __m256i low = _mm256_loadu_si256((const __m256i *)pattern);
    const __m128i high = _mm_loadu_si128((const __m128i *)(pattern + 32));
    ptrdiff_t x = 0;
    for (; x + 16 <= cols; x += 16, p += 48) {
        const __m256i a = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)p), low);
        const __m128i b = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(p + 32)), high);
        uint64_t equal = (uint32_t)_mm256_movemask_epi8(a) | (uint64_t)(uint32_t)_mm_movemask_epi8(b) << 32;
        equal &= equal >> 1 & equal >> 2 & 0x249249249249ULL;
        const uint32_t same = equal ? (uint32_t)_pext_u64(equal, 0x249249249249ULL) : 0;
        _mm_storeu_si128((__m128i *)(out + x), bytes_of_clear_bits(same));
    }
    _mm256_zeroupper();
    return x;
}

FP_TARGET_AVX2 static ptrdiff_t nodata_row_c4_avx2(const uint8_t *p, const uint8_t *nodata, uint8_t *out, ptrdiff_t cols)
{
    int32_t value;
    memcpy(&value, nodata, 4);
    const __m256i all = _mm256_set1_epi32(value);
    ptrdiff_t x = 0;
    for (; x + 16 <= cols; x += 16, p += 64) {
        const __m256i a = _mm256_cmpeq_epi32(_mm256_loadu_si256((const __m256i *)p), all);
        const __m256i b = _mm256_cmpeq_epi32(_mm256_loadu_si256((const __m256i *)(p + 32)), all);
        const uint32_t low = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(a));
        const uint32_t high = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(b));
        _mm_storeu_si128((__m128i *)(out + x), bytes_of_clear_bits(low | high << 8));
    }
    _mm256_zeroupper();
    return x;
}
