/* AVX2 and AVX-512 paths of JPEG entropy coding. Included by fp_jpeg_entropy.c.
 *
 * Blocks become a row of symbols, symbols become entries (code, value bits and their number in 32 bits), and four
 * entries at a time are joined to one run of bits, so that the writer, where each step waits for the one before, takes
 * few steps. Wide blocks, whose values do not fit in a byte, go to the writer one value at a time. */

#include <immintrin.h>

#define LONGEST 57 /* bits that the writer takes at once */

/* Positions of the 16th, 32nd, 48th zero of each run of zeros before a value. */
static FP_NOINLINE uint64_t long_runs(uint64_t nonzero)
{
    uint64_t positions = 0;
    unsigned last = 0;
    for (uint64_t left = nonzero & ~(uint64_t)1; left; left &= left - 1) {
        const unsigned place = fp_jpeg_lowest(left);
        for (; place - last > 16; last += 16) positions |= (uint64_t)1 << (last + 16);
        last = place;
    }
    return positions;
}

/* Positions that have a symbol: the DC, all values that are not zero, and zeros that the tables make the right symbols:
 * run 15 and size 0 stands for sixteen zeros; run 0 and size 0, right behind the last value, ends a block. */
FP_INLINE uint64_t symbol_positions(uint64_t nonzero)
{
    const unsigned last = fp_jpeg_highest(nonzero);
    uint64_t zeros = ~nonzero & (((uint64_t)1 << last) - 1);
    zeros &= zeros >> 1;
    zeros &= zeros >> 2;
    zeros &= zeros >> 4;
    zeros &= zeros >> 8;
    if (zeros) nonzero |= long_runs(nonzero);
    return nonzero | (uint64_t)2 << last; /* nothing for the last position of all */
}

/* Symbols of the blocks first..end - 1, none of them wide; returns how many. */
FP_TARGET_AVX2 static int symbols_avx2(fp_jpeg *encoder, int first, int end)
{
    fp_jpeg_scratch *scratch = &encoder->scratch;
    ptrdiff_t count = FP_JPEG_SLACK;
    for (int block = first; block < end; block++) {
        const int8_t *zigzag = scratch->zigzag[block];
        __m128i places = _mm_set1_epi8(is_chroma(block) ? 0x40 : 0);
        scratch->starts[block] = (int)count - FP_JPEG_SLACK;
        for (uint64_t left = symbol_positions(scratch->nonzero[block]); left; left >>= 8, zigzag += 8) {
            const __m128i from = _mm_loadl_epi64((const __m128i *)encoder->codes.compaction[left & 0xFF]);
            const __m128i values = _mm_loadl_epi64((const __m128i *)zigzag);
            _mm_storel_epi64((__m128i *)(scratch->symbols + count), _mm_shuffle_epi8(values, from));
            _mm_storel_epi64((__m128i *)(scratch->places + count), _mm_add_epi8(from, places));
            places = _mm_add_epi8(places, _mm_set1_epi8(8));
            count += _mm_popcnt_u32((uint32_t)left & 0xFF);
        }
    }
    return (int)count - FP_JPEG_SLACK;
}

/* Where 32 symbols find their entries in the table: chroma << 12 | run << 8 | value. */
FP_TARGET_AVX2 FP_INLINE void find_entries(fp_jpeg_scratch *scratch, int i)
{
    const int8_t *symbols = scratch->symbols + FP_JPEG_SLACK + i;
    const uint8_t *places = scratch->places + FP_JPEG_SLACK + i;
    const __m256i value = _mm256_loadu_si256((const __m256i *)symbols);
    const __m256i place = _mm256_loadu_si256((const __m256i *)places);
    const __m256i before = _mm256_loadu_si256((const __m256i *)(places - 1));
    const __m256i run = _mm256_sub_epi8(_mm256_add_epi8(place, _mm256_set1_epi8(-1)), before);
    const __m256i chroma = _mm256_srli_epi16(_mm256_and_si256(place, _mm256_set1_epi8(0x40)), 2);
    const __m256i high = _mm256_or_si256(_mm256_and_si256(run, _mm256_set1_epi8(15)), chroma);
    /* quarters 0, 2, 1, 3, because unpacking takes the lower half of each lane first */
    const __m256i v = _mm256_permute4x64_epi64(value, 0xD8), h = _mm256_permute4x64_epi64(high, 0xD8);
    _mm256_storeu_si256((__m256i *)(scratch->indices + i), _mm256_unpacklo_epi8(v, h));
    _mm256_storeu_si256((__m256i *)(scratch->indices + i + 16), _mm256_unpackhi_epi8(v, h));
}

/* Entries of the blocks first..end - 1, none of them wide; zeros behind them. Returns how many. */
FP_TARGET_AVX2 static int entries_avx2(fp_jpeg *encoder, int first, int end)
{
    fp_jpeg_scratch *scratch = &encoder->scratch;
    uint32_t *entries = scratch->entries;
    const uint32_t *table = encoder->codes.entries[0][0];
    const int count = symbols_avx2(encoder, first, end);
    for (int i = 0; i < count; i += 32) find_entries(scratch, i);
    for (int i = 0; i < count; i += 8)
        for (int k = i; k < i + 8; k++) entries[k] = table[scratch->indices[k]];
    for (int block = first; block < end; block++) entries[scratch->starts[block]] = scratch->dc_entries[block];
    memset(entries + count, 0, FP_JPEG_SLACK / 2 * sizeof *entries);
    return count;
}

/* Joins the entries of each 64 bits: the first one before the second. */
FP_TARGET_AVX2 FP_INLINE void join_pairs_avx2(__m256i entries, __m256i *codes, __m256i *lengths)
{
    const __m256i code = _mm256_set1_epi64x(0xFFFFFF), second = _mm256_srli_epi64(entries, 32);
    const __m256i second_length = _mm256_srli_epi64(entries, 56);
    const __m256i first_length = _mm256_and_si256(_mm256_srli_epi64(entries, 24), _mm256_set1_epi64x(0xFF));
    *codes = _mm256_or_si256(_mm256_sllv_epi64(_mm256_and_si256(entries, code), second_length),
                             _mm256_and_si256(second, code));
    *lengths = _mm256_add_epi64(first_length, second_length);
}

/* Entries to bits; reads up to 15 entries more, which must be 0. */
FP_TARGET_AVX2 static void write_entries_avx2(fp_jpeg_writer *writer, const uint32_t *entries, int count)
{
    fp_jpeg_writer w = *writer;
    for (int i = 0; i < count; i += 16) {
        __m256i codes[2], lengths[2];
        for (int k = 0; k < 2; k++)
            join_pairs_avx2(_mm256_loadu_si256((const __m256i *)(entries + i + 8 * k)), &codes[k], &lengths[k]);
        const __m256i first = _mm256_unpacklo_epi64(codes[0], codes[1]);
        const __m256i second = _mm256_unpackhi_epi64(codes[0], codes[1]);
        const __m256i first_length = _mm256_unpacklo_epi64(lengths[0], lengths[1]);
        const __m256i second_length = _mm256_unpackhi_epi64(lengths[0], lengths[1]);
        const __m256i length = _mm256_add_epi64(first_length, second_length);
        uint64_t c[8], n[8];
        if (_mm256_testz_si256(_mm256_cmpgt_epi64(length, _mm256_set1_epi64x(LONGEST)), _mm256_set1_epi8(-1))) {
            _mm256_storeu_si256((__m256i *)c, _mm256_or_si256(_mm256_sllv_epi64(first, second_length), second));
            _mm256_storeu_si256((__m256i *)n, length);
            fp_jpeg_put(&w, c[0], (unsigned)n[0]);
            fp_jpeg_put(&w, c[2], (unsigned)n[2]);
            fp_jpeg_put(&w, c[1], (unsigned)n[1]);
            fp_jpeg_put(&w, c[3], (unsigned)n[3]);
        } else {
            for (int k = 0; k < 2; k++) {
                _mm256_storeu_si256((__m256i *)(c + 4 * k), codes[k]);
                _mm256_storeu_si256((__m256i *)(n + 4 * k), lengths[k]);
            }
            for (int k = 0; k < 8; k++) fp_jpeg_put(&w, c[k], (unsigned)n[k]);
        }
    }
    *writer = w;
}

/* First wide block from `block` on, or `blocks`. */
static int next_wide(const fp_jpeg_scratch *scratch, int block, int blocks)
{
    while (block < blocks && !scratch->wide[block]) block++;
    return block;
}

FP_TARGET_AVX2 static void entropy_avx2(fp_jpeg *encoder, int mcus)
{
    fill_dc_entries(encoder, mcus);
    for (int block = 0; block < 6 * mcus; block++) {
        const int end = next_wide(&encoder->scratch, block, 6 * mcus);
        if (end > block)
            write_entries_avx2(&encoder->writer, encoder->scratch.entries, entries_avx2(encoder, block, end));
        block = end;
        if (block < 6 * mcus) write_block(encoder, block);
    }
    _mm256_zeroupper();
}

FP_TARGET_AVX2 static uint8_t *escape_avx2(uint8_t *to, const uint8_t *from, size_t count)
{
    for (ptrdiff_t left = (ptrdiff_t)count; left > 0;) {
        const __m256i bytes = _mm256_loadu_si256((const __m256i *)from);
        const uint32_t full = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(-1)));
        const ptrdiff_t copied = full ? (ptrdiff_t)fp_jpeg_lowest(full) + 1 : 32;
        _mm256_storeu_si256((__m256i *)to, bytes);
        if (copied > left) return to + left;
        from += copied;
        to += copied;
        left -= copied;
        if (full) *to++ = 0;
    }
    return to;
}

/* Positions of a luma block. */
static const uint8_t first_places[64] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
    22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
    44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
};

/* As symbols_avx2. */
FP_TARGET_AVX512ICL static int symbols_avx512icl(fp_jpeg *encoder, int first, int end)
{
    const __m512i luma = _mm512_loadu_si512(first_places), chroma = _mm512_or_si512(luma, _mm512_set1_epi8(0x40));
    fp_jpeg_scratch *scratch = &encoder->scratch;
    int count = 0;
    for (int block = first; block < end; block++) {
        const uint64_t mask = symbol_positions(scratch->nonzero[block]);
        const __m512i places = is_chroma(block) ? chroma : luma;
        const __m512i values = _mm512_loadu_si512(scratch->zigzag[block]);
        _mm512_storeu_si512(scratch->symbols + FP_JPEG_SLACK + count, _mm512_maskz_compress_epi8(mask, values));
        _mm512_storeu_si512(scratch->places + FP_JPEG_SLACK + count, _mm512_maskz_compress_epi8(mask, places));
        scratch->starts[block] = count;
        count += (int)_mm_popcnt_u64(mask);
    }
    return count;
}

FP_TARGET_AVX512ICL FP_INLINE __m512i look_up(const uint8_t table[128], __m512i index)
{
    return _mm512_permutex2var_epi8(_mm512_loadu_si512(table), index, _mm512_loadu_si512(table + 64));
}

/* 64 symbols from symbol i on to entries; those of a DC receive anything. */
FP_TARGET_AVX512ICL FP_INLINE void look_up_entries(fp_jpeg *encoder, int i)
{
    const fp_jpeg_codes *codes = &encoder->codes;
    const __m512i value = _mm512_loadu_si512(encoder->scratch.symbols + FP_JPEG_SLACK + i);
    const __m512i place = _mm512_loadu_si512(encoder->scratch.places + FP_JPEG_SLACK + i);
    const __m512i before = _mm512_loadu_si512(encoder->scratch.places + FP_JPEG_SLACK + i - 1);
    const __m512i magnitude = _mm512_abs_epi8(value), ones = look_up(codes->ones, magnitude);
    const __m512i run = _mm512_sub_epi8(_mm512_add_epi8(place, _mm512_set1_epi8(-1)), before);
    /* lane L: symbols 4L..4L+3 of each sixteen, so that unpacking leaves them in order */
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    /* run << 3 | size, and the chroma bit above, which a table of 128 does not look at */
    __m512i index = _mm512_ternarylogic_epi32(_mm512_slli_epi16(run, 3), _mm512_set1_epi8(0x78),
                                              look_up(codes->sizes, magnitude), 0xEA);
    index = _mm512_ternarylogic_epi32(_mm512_add_epi8(place, place), _mm512_set1_epi8(-0x80), index, 0xEA);
    index = _mm512_permutexvar_epi32(order, index);
    __m512i bits = _mm512_mask_sub_epi8(magnitude, _mm512_movepi8_mask(value), ones, magnitude);
    bits = _mm512_permutexvar_epi32(order, bits);
    const __mmask64 chroma = _mm512_movepi8_mask(index);
    __m512i byte[4];
    for (int k = 0; k < 4; k++) {
        const __m512i luma_byte = look_up(codes->planes[0][k], index), chroma_byte = look_up(codes->planes[1][k], index);
        byte[k] = _mm512_mask_blend_epi8(chroma, luma_byte, chroma_byte);
    }
    byte[0] = _mm512_or_si512(byte[0], bits);
    const __m512i low[2] = {_mm512_unpacklo_epi8(byte[0], byte[1]), _mm512_unpackhi_epi8(byte[0], byte[1])};
    const __m512i high[2] = {_mm512_unpacklo_epi8(byte[2], byte[3]), _mm512_unpackhi_epi8(byte[2], byte[3])};
    for (int k = 0; k < 2; k++) {
        _mm512_storeu_si512(encoder->scratch.entries + i + 32 * k, _mm512_unpacklo_epi16(low[k], high[k]));
        _mm512_storeu_si512(encoder->scratch.entries + i + 32 * k + 16, _mm512_unpackhi_epi16(low[k], high[k]));
    }
}

FP_TARGET_AVX512ICL static int entries_avx512icl(fp_jpeg *encoder, int first, int end)
{
    fp_jpeg_scratch *scratch = &encoder->scratch;
    uint32_t *entries = scratch->entries;
    const int count = symbols_avx512icl(encoder, first, end);
    for (int i = 0; i < count; i += 64) look_up_entries(encoder, i);
    for (int block = first; block < end; block++) entries[scratch->starts[block]] = scratch->dc_entries[block];
    memset(entries + count, 0, FP_JPEG_SLACK / 2 * sizeof *entries);
    return count;
}

FP_TARGET_AVX512ICL FP_INLINE void join_pairs_avx512icl(__m512i entries, __m512i *codes, __m512i *lengths)
{
    const __m512i code = _mm512_set1_epi64(0xFFFFFF), second = _mm512_srli_epi64(entries, 32);
    const __m512i second_length = _mm512_srli_epi64(entries, 56);
    const __m512i first_length = _mm512_and_si512(_mm512_srli_epi64(entries, 24), _mm512_set1_epi64(0xFF));
    const __m512i shifted = _mm512_sllv_epi64(_mm512_and_si512(entries, code), second_length);
    *codes = _mm512_ternarylogic_epi64(shifted, second, code, 0xF8); /* shifted | second & code */
    *lengths = _mm512_add_epi64(first_length, second_length);
}

/* Entries to bits; reads up to 31 entries more, which must be 0. */
FP_TARGET_AVX512ICL static void write_entries_avx512icl(fp_jpeg_writer *writer, const uint32_t *entries, int count)
{
    fp_jpeg_writer w = *writer;
    for (int i = 0; i < count; i += 32) {
        __m512i codes[2], lengths[2];
        for (int k = 0; k < 2; k++)
            join_pairs_avx512icl(_mm512_loadu_si512(entries + i + 16 * k), &codes[k], &lengths[k]);
        const __m512i first = _mm512_unpacklo_epi64(codes[0], codes[1]);
        const __m512i second = _mm512_unpackhi_epi64(codes[0], codes[1]);
        const __m512i first_length = _mm512_unpacklo_epi64(lengths[0], lengths[1]);
        const __m512i second_length = _mm512_unpackhi_epi64(lengths[0], lengths[1]);
        const __m512i length = _mm512_add_epi64(first_length, second_length);
        uint64_t c[16], n[16];
        if (!_mm512_cmpgt_epi64_mask(length, _mm512_set1_epi64(LONGEST))) {
            _mm512_storeu_si512(c, _mm512_or_si512(_mm512_sllv_epi64(first, second_length), second));
            _mm512_storeu_si512(n, length);
            for (int k = 0; k < 8; k += 2) fp_jpeg_put(&w, c[k], (unsigned)n[k]);
            for (int k = 1; k < 8; k += 2) fp_jpeg_put(&w, c[k], (unsigned)n[k]);
        } else {
            for (int k = 0; k < 2; k++) {
                _mm512_storeu_si512(c + 8 * k, codes[k]);
                _mm512_storeu_si512(n + 8 * k, lengths[k]);
            }
            for (int k = 0; k < 16; k++) fp_jpeg_put(&w, c[k], (unsigned)n[k]);
        }
    }
    *writer = w;
}

FP_TARGET_AVX512ICL static void entropy_avx512icl(fp_jpeg *encoder, int mcus)
{
    fill_dc_entries(encoder, mcus);
    for (int block = 0; block < 6 * mcus; block++) {
        const int end = next_wide(&encoder->scratch, block, 6 * mcus);
        if (end > block)
            write_entries_avx512icl(&encoder->writer, encoder->scratch.entries, entries_avx512icl(encoder, block, end));
        block = end;
        if (block < 6 * mcus) write_block(encoder, block);
    }
    _mm256_zeroupper();
}
