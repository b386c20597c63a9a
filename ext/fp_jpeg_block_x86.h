/* AVX2 and AVX-512 paths of the JPEG transform. Included by fp_jpeg_block.c. */

#include <immintrin.h>

#define VEC __m256i
#define VOP(op) _mm256_##op
#define VLOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define VOR(a, b) _mm256_or_si256(a, b)
#define TARGET FP_TARGET_AVX2
#define NAME(function) function##_avx2
#define VDOT(start, x, w) _mm256_add_epi32(start, _mm256_madd_epi16(x, w))
#define VDIVIDE(x, quant, row) \
    _mm256_mulhi_epu16(_mm256_mulhi_epu16(x, VLOAD((quant)->reciprocal[row])), VLOAD((quant)->scale[row]))
#define VNEGATE(x, sign) _mm256_sign_epi16(x, sign)
#define VWITHOUT_DC(x) _mm256_blend_epi16(x, _mm256_setzero_si256(), 1)
#include "fp_jpeg_dct_x86.h"
#undef VEC
#undef VOP
#undef VLOAD
#undef VOR
#undef TARGET
#undef NAME
#undef VDOT
#undef VDIVIDE
#undef VNEGATE
#undef VWITHOUT_DC

#define VEC __m512i
#define VOP(op) _mm512_##op
#define VLOAD(p) _mm512_loadu_si512(p)
#define VOR(a, b) _mm512_or_si512(a, b)
#define TARGET FP_TARGET_AVX512ICL
#define NAME(function) function##_avx512icl
#define VDOT(start, x, w) _mm512_dpwssd_epi32(start, x, w)
#define VDIVIDE(x, quant, row) \
    _mm512_srlv_epi16(_mm512_mulhi_epu16(x, VLOAD((quant)->reciprocal[row])), VLOAD((quant)->shift[row]))
#define VNEGATE(x, sign) _mm512_mask_sub_epi16(x, _mm512_movepi16_mask(sign), _mm512_setzero_si512(), x)
#define VWITHOUT_DC(x) _mm512_maskz_mov_epi16(0xFEFEFEFE, x)
#include "fp_jpeg_dct_x86.h"

/* Keeps the values of a wide block, in zigzag order; rows of 8 * lanes words. */
static FP_NOINLINE void keep_values(fp_jpeg_scratch *scratch, int block, const int16_t *rows, int lane, int lanes)
{
    for (int k = 0; k < 64; k++) {
        const int natural = fp_jpeg_natural[k];
        scratch->values[block][k] = rows[natural / 8 * 8 * lanes + lane * 8 + natural % 8];
    }
}

/* 16 zigzag positions as a shuffle of the bytes of rows 2s and 2s + 1. */
#define PICK(n, s) ((n) / 16 == (s) ? (n) % 16 : -1)
#define PICKS(s, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \
    _mm256_broadcastsi128_si256(_mm_setr_epi8( \
        PICK(a, s), PICK(b, s), PICK(c, s), PICK(d, s), PICK(e, s), PICK(f, s), PICK(g, s), PICK(h, s), \
        PICK(i, s), PICK(j, s), PICK(k, s), PICK(l, s), PICK(m, s), PICK(n, s), PICK(o, s), PICK(p, s)))
#define PICKED(s, quarter) _mm256_shuffle_epi8(rows[s], EXPAND(PICKS(s, quarter)))
#define EXPAND(x) x
#define QUARTER0 0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5
#define QUARTER1 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28
#define QUARTER2 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51
#define QUARTER3 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63

/* Two blocks side by side. */
FP_TARGET_AVX2 static void two_blocks(const int16_t *plane, ptrdiff_t stride, const fp_jpeg_quant *quant,
                                      fp_jpeg_scratch *scratch, const int block[2])
{
    __m256i r[8], rows[4], zigzag[4];
    const __m256i any = quantised_avx2(plane, stride, quant, r);
    for (int k = 0; k < 4; k++) rows[k] = _mm256_packs_epi16(r[2 * k], r[2 * k + 1]);
    zigzag[0] = _mm256_or_si256(_mm256_or_si256(PICKED(0, QUARTER0), PICKED(1, QUARTER0)), PICKED(2, QUARTER0));
    zigzag[1] = _mm256_or_si256(_mm256_or_si256(PICKED(0, QUARTER1), PICKED(1, QUARTER1)),
                                _mm256_or_si256(PICKED(2, QUARTER1), PICKED(3, QUARTER1)));
    zigzag[2] = _mm256_or_si256(_mm256_or_si256(PICKED(0, QUARTER2), PICKED(1, QUARTER2)),
                                _mm256_or_si256(PICKED(2, QUARTER2), PICKED(3, QUARTER2)));
    zigzag[3] = _mm256_or_si256(_mm256_or_si256(PICKED(1, QUARTER3), PICKED(2, QUARTER3)), PICKED(3, QUARTER3));
    uint64_t zeros[2] = {0, 0};
    for (int k = 0; k < 4; k++) {
        const __m256i empty = _mm256_cmpeq_epi8(zigzag[k], _mm256_setzero_si256());
        const uint32_t mask = (uint32_t)_mm256_movemask_epi8(empty);
        zeros[0] |= (uint64_t)(mask & 0xFFFF) << 16 * k;
        zeros[1] |= (uint64_t)(mask >> 16) << 16 * k;
        _mm_storeu_si128((__m128i *)scratch->zigzag[block[0]] + k, _mm256_castsi256_si128(zigzag[k]));
        _mm_storeu_si128((__m128i *)scratch->zigzag[block[1]] + k, _mm256_extracti128_si256(zigzag[k], 1));
    }
    const int wide = _mm256_movemask_epi8(_mm256_cmpgt_epi16(any, _mm256_set1_epi16(127)));
    const int16_t dc[2] = {(int16_t)_mm256_extract_epi16(r[0], 0), (int16_t)_mm256_extract_epi16(r[0], 8)};
    for (int lane = 0; lane < 2; lane++) {
        scratch->nonzero[block[lane]] = ~zeros[lane] | 1;
        scratch->dc[block[lane]] = dc[lane];
        scratch->wide[block[lane]] = (wide >> 16 * lane & 0xFFFF) != 0;
    }
    if (wide) {
        int16_t all[8][16];
        for (int k = 0; k < 8; k++) _mm256_storeu_si256((__m256i *)all[k], r[k]);
        for (int lane = 0; lane < 2; lane++) keep_values(scratch, block[lane], all[0], lane, 2);
    }
}

FP_TARGET_AVX2 static void transform_avx2(fp_jpeg *encoder, int mcus)
{
    fp_jpeg_scratch *scratch = &encoder->scratch;
    for (int half = 0; half < 2; half++)
        for (int col = 0; col < 2 * mcus; col += 2) {
            const int block[2] = {luma_block(half, col), luma_block(half, col + 1)};
            two_blocks(scratch->luma[8 * half] + 8 * col, FP_JPEG_COLS, &encoder->quant[0], scratch, block);
        }
    for (int c = 0; c < 2; c++)
        for (int col = 0; col < mcus; col += 2) {
            const int block[2] = {chroma_block(c, col), chroma_block(c, col + 1)};
            two_blocks(scratch->chroma[c][0] + 8 * col, FP_JPEG_COLS / 2, &encoder->quant[1], scratch, block);
        }
    _mm256_zeroupper();
}

/* Four blocks side by side. */
FP_TARGET_AVX512ICL static void four_blocks(const int16_t *plane, ptrdiff_t stride, const fp_jpeg_quant *quant,
                                            fp_jpeg_scratch *scratch, const int block[4])
{
    __m512i r[8], rows[4], half[4], zigzag[4];
    const __m512i any = quantised_avx512icl(plane, stride, quant, r), order = _mm512_loadu_si512(fp_jpeg_natural);
    int16_t dc[32];
    _mm512_storeu_si512(dc, r[0]);
    for (int k = 0; k < 4; k++) rows[k] = _mm512_packs_epi16(r[2 * k], r[2 * k + 1]);
    /* lanes of (row pair, block) to (block, row pair) */
    half[0] = _mm512_shuffle_i32x4(rows[0], rows[1], 0x44);
    half[1] = _mm512_shuffle_i32x4(rows[2], rows[3], 0x44);
    half[2] = _mm512_shuffle_i32x4(rows[0], rows[1], 0xEE);
    half[3] = _mm512_shuffle_i32x4(rows[2], rows[3], 0xEE);
    for (int k = 0; k < 2; k++) {
        zigzag[2 * k] = _mm512_shuffle_i32x4(half[2 * k], half[2 * k + 1], 0x88);
        zigzag[2 * k + 1] = _mm512_shuffle_i32x4(half[2 * k], half[2 * k + 1], 0xDD);
    }
    const uint32_t wide = _mm512_cmpgt_epi16_mask(any, _mm512_set1_epi16(127));
    for (int k = 0; k < 4; k++) {
        const __m512i values = _mm512_permutexvar_epi8(order, zigzag[k]);
        _mm512_storeu_si512(scratch->zigzag[block[k]], values);
        scratch->nonzero[block[k]] = _mm512_test_epi8_mask(values, values) | 1;
        scratch->dc[block[k]] = dc[8 * k];
        scratch->wide[block[k]] = (wide >> 8 * k & 0xFF) != 0;
    }
    if (wide) {
        int16_t all[8][32];
        for (int k = 0; k < 8; k++) _mm512_storeu_si512(all[k], r[k]);
        for (int k = 0; k < 4; k++) keep_values(scratch, block[k], all[0], k, 4);
    }
}

FP_TARGET_AVX512ICL static void transform_avx512icl(fp_jpeg *encoder, int mcus)
{
    fp_jpeg_scratch *scratch = &encoder->scratch;
    for (int half = 0; half < 2; half++)
        for (int col = 0; col < 2 * mcus; col += 4) {
            int block[4];
            for (int k = 0; k < 4; k++) block[k] = luma_block(half, col + k);
            four_blocks(scratch->luma[8 * half] + 8 * col, FP_JPEG_COLS, &encoder->quant[0], scratch, block);
        }
    for (int c = 0; c < 2; c++)
        for (int col = 0; col < mcus; col += 4) {
            int block[4];
            for (int k = 0; k < 4; k++) block[k] = chroma_block(c, col + k);
            four_blocks(scratch->chroma[c][0] + 8 * col, FP_JPEG_COLS / 2, &encoder->quant[1], scratch, block);
        }
    _mm256_zeroupper();
}
