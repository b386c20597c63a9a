/* AVX2 bodies of fp_dbblock.c: 32 pixels of a mask at a time, swaps as byte shuffles (the compiler's own vectors). */
#include <immintrin.h>

FP_TARGET_AVX2 static void swap_avx2(const uint8_t *FP_RESTRICT in, ptrdiff_t count, int item, uint8_t *FP_RESTRICT out)
FP_SWAP_BODY

FP_TARGET_AVX2 static int pack_mask_avx2(const uint8_t *mask, ptrdiff_t count, uint8_t *out)
{
    /* A sign mask has the first byte in its lowest bit, the format in the highest one of each byte: so reverse eights. */
    const __m256i reverse = _mm256_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1,
                                             0, 15, 14, 13, 12, 11, 10, 9, 8);
    uint32_t any = 0, all = 0xffffffffu;
    ptrdiff_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m256i bytes = _mm256_shuffle_epi8(_mm256_loadu_si256((const __m256i *)(mask + i)), reverse);
        uint32_t bits = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_setzero_si256()));
        any |= bits;
        all &= bits;
        memcpy(out + i / 8, &bits, sizeof bits);
    }
    return pack_mask_from(mask, i, count, out, any != 0, all == 0xffffffffu);
}

FP_TARGET_AVX2 static int unpack_mask_avx2(const uint8_t *data, ptrdiff_t count, uint8_t set, uint8_t *mask)
{
    const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3,
                                            3, 3, 3, 3, 3, 3);
    const __m256i bit = _mm256_set1_epi64x(0x0102040810204080ll); /* first pixel: most significant bit */
    const __m256i value = _mm256_set1_epi8((char)set);
    uint32_t any = 0, all = 0xffffffffu;
    ptrdiff_t i = 0;
    for (; i + 32 <= count; i += 32) {
        uint32_t bits;
        memcpy(&bits, data + i / 8, sizeof bits);
        __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), spread);
        __m256i is_set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
        _mm256_storeu_si256((__m256i *)(mask + i), _mm256_and_si256(is_set, value));
        any |= bits;
        all &= bits;
    }
    return unpack_mask_from(data, i, count, set, mask, any != 0, all == 0xffffffffu);
}
