/* AVX2 (with BMI2: shifts by a register) bodies of fp_inflate.c. */
#include <immintrin.h>

/* _bzhi_u64 takes the low byte of a number as it is. Literals, whose bit 6 it would take for 64 bits more, have no
 * extra bits that matter. */
FP_TARGET_AVX2 FP_INLINE uint32_t extra_bmi2(uint64_t bits, uint32_t entry)
{
    return (uint32_t)(_bzhi_u64(bits, entry) >> CODE_BITS(entry));
}

FP_TARGET_AVX2 FP_INLINE uint32_t literals_bmi2(uint32_t entry)
{
    return __bextr_u32(entry, 14 | 2 << 8);
}

/* Sixteen bytes of a pattern of 1 to 15, and how many of them are whole patterns. */
#define PATTERN(d) {0, 1 % d, 2 % d, 3 % d, 4 % d, 5 % d, 6 % d, 7 % d, 8 % d, 9 % d, 10 % d, 11 % d, 12 % d, 13 % d, \
                    14 % d, 15 % d}
static const uint8_t patterns[16][16] = {
    PATTERN(1), PATTERN(1), PATTERN(2),  PATTERN(3),  PATTERN(4),  PATTERN(5),  PATTERN(6),  PATTERN(7),
    PATTERN(8), PATTERN(9), PATTERN(10), PATTERN(11), PATTERN(12), PATTERN(13), PATTERN(14), PATTERN(15)};
#undef PATTERN
static const uint8_t pattern_steps[16] = {16, 16, 16, 15, 16, 15, 12, 14, 16, 9, 10, 11, 12, 13, 14, 15};

FP_TARGET_AVX2 FP_INLINE void repeat_bmi2(uint8_t *out, uint32_t distance, uint32_t length)
{
    const __m128i order = _mm_loadu_si128((const __m128i *)patterns[distance]);
    const __m128i last = _mm_loadu_si128((const __m128i *)(out - distance)), all = _mm_shuffle_epi8(last, order);
    const uint8_t *const end = out + length;
    for (; out < end; out += pattern_steps[distance]) _mm_storeu_si128((__m128i *)out, all);
}

#define LOOP_TARGET FP_TARGET_AVX2
#define LOOP(name) name##_bmi2
#include "fp_inflate_loop.h"
#undef LOOP
#undef LOOP_TARGET

/* pair_generic, eight entries a turn: what it reads of its own turn was read before it is written. */
FP_TARGET_AVX2 static void pair_avx2(uint32_t *table)
{
    const __m256i low = _mm256_set1_epi32(ENTRY_BITS), words = _mm256_set1_epi32(0xFFFF);
    const __m256i byte = _mm256_set1_epi32(0xFF0000), literal = _mm256_set1_epi32(ENTRY_LITERAL);
    const __m256i limit = _mm256_set1_epi32(SYMBOL_BITS), odd = _mm256_set1_epi32(ENTRY_ODD);
    __m256i index = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(SYMBOL_MASK - 7));
    for (int i = SYMBOL_MASK - 7; i >= 0; i -= 8, index = _mm256_sub_epi32(index, _mm256_set1_epi32(8))) {
        const __m256i first = _mm256_loadu_si256((const __m256i *)(table + i)), length = _mm256_and_si256(first, low);
        const __m256i second = _mm256_i32gather_epi32((const int *)table, _mm256_srlv_epi32(index, length), 4);
        const __m256i code = _mm256_and_si256(_mm256_srli_epi32(second, 8), low);
        const __m256i is_literal = _mm256_cmpeq_epi32(_mm256_and_si256(first, literal), literal);
        const __m256i no = _mm256_or_si256(_mm256_cmpeq_epi32(_mm256_and_si256(second, odd), odd),
                                           _mm256_cmpgt_epi32(_mm256_add_epi32(length, code), limit));
        const __m256i moved = _mm256_add_epi32(_mm256_and_si256(second, words),
                                               _mm256_slli_epi32(_mm256_and_si256(second, byte), 8));
        const __m256i ends = _mm256_cmpeq_epi32(_mm256_and_si256(second, literal), literal);
        const __m256i more = _mm256_sub_epi32(_mm256_blendv_epi8(second, moved, ends), literal);
        const __m256i use = _mm256_andnot_si256(no, is_literal);
        _mm256_storeu_si256((__m256i *)(table + i), _mm256_add_epi32(first, _mm256_and_si256(use, more)));
    }
    _mm256_zeroupper();
}

FP_TARGET_AVX2 static int fast_avx2(fp_inflate_stream *stream, size_t room)
{
    return inflate_bmi2(stream, room);
}

FP_NOINLINE FP_TARGET_AVX2 static int steady_two_avx2(fp_inflate_stream *const streams[2], int *result)
{
    return steady_two_bmi2(streams, result);
}
