/* AVX-512 paths (byte permutes, dot products of words) of the warp of uint8. Included by fp_warp_x86.h.
 *
 * Sixteen pixels at a time, while their taps lie in one stretch of 64 or 128 bytes of each source row: a byte permute
 * sets the samples of a tap pair of a channel side by side as words, one dword a pixel. A multiply-add leaves the half
 * sum A of the first pair or B of the second, cut to 16 bits; [A B] times the row's weight is added to the sum. Pixels
 * of such a group may start in different rows: each row has a weight for every pixel, which is 0 outside its taps. */

#define AVX512_INLINE FP_TARGET_AVX512ICL FP_INLINE
#define SIXTEEN 16

/* Rows of four weights of sixteen pixels: those of pixels 0 to 7, and of 8 to 15. */
typedef struct {
    __m512i low, high;
} weights16;

AVX512_INLINE __m256i four_rows(const int16_t *table, const int32_t *q, int size)
{
    const __m128d a = _mm_loadh_pd(_mm_load_sd((const double *)(table + (q[0] & 1023) * size)),
                                   (const double *)(table + (q[1] & 1023) * size));
    const __m128d b = _mm_loadh_pd(_mm_load_sd((const double *)(table + (q[2] & 1023) * size)),
                                   (const double *)(table + (q[3] & 1023) * size));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_castpd_si128(a)), _mm_castpd_si128(b), 1);
}

/* Weights 0 to 3 from `table` on, rows of `size`, at the fractions of positions q: single loads, because gathers are no
 * faster here, and slow where microcode mends them. */
AVX512_INLINE weights16 load_weights16(const int16_t *table, const int32_t *q, int size)
{
    weights16 w;
    w.low = _mm512_inserti64x4(_mm512_castsi256_si512(four_rows(table, q, size)), four_rows(table, q + 4, size), 1);
    w.high = _mm512_inserti64x4(_mm512_castsi256_si512(four_rows(table, q + 8, size)), four_rows(table, q + 12, size), 1);
    return w;
}

/* Word `n` of the four of each pixel, twice. */
AVX512_INLINE __m512i weight_of_row(weights16 w, int n)
{
    const __m512i base = _mm512_set_epi32(0x3C003C, 0x380038, 0x340034, 0x300030, 0x2C002C, 0x280028, 0x240024, 0x200020,
                                          0x1C001C, 0x180018, 0x140014, 0x100010, 0x0C000C, 0x080008, 0x040004, 0);
    return _mm512_permutex2var_epi16(w.low, _mm512_add_epi16(base, _mm512_set1_epi16((short)n)), w.high);
}

/* Of a group: first taps, relative to the least column and row, which are (x, y); `bytes` from there on in a row. */
typedef struct {
    ptrdiff_t x, y;
    __m512i dx, dy;
    int bytes, rows;
} group16;

/* 0 where positions do not run evenly (then the end ones are not the extreme ones) or too far apart. */
AVX512_INLINE int find_group16(const int32_t *qx, const int32_t *qy, int channels, int taps, group16 *group)
{
    const int32_t x0 = qx[0] >> 10, x1 = qx[SIXTEEN - 1] >> 10, y0 = qy[0] >> 10, y1 = qy[SIXTEEN - 1] >> 10;
    const int32_t x = x0 < x1 ? x0 : x1, y = y0 < y1 ? y0 : y1;
    const int32_t across = (x0 < x1 ? x1 : x0) - x, down = (y0 < y1 ? y1 : y0) - y;
    group->bytes = (across + taps) * channels;
    group->rows = down + taps;
    if (across > 128 / channels - taps || down > (taps > 4 ? 3 : 4)) return 0;
    group->x = x + 1 - taps / 2, group->y = y + 1 - taps / 2;
    group->dx = _mm512_sub_epi32(_mm512_srai_epi32(_mm512_loadu_si512(qx), 10), _mm512_set1_epi32(x));
    group->dy = _mm512_sub_epi32(_mm512_srai_epi32(_mm512_loadu_si512(qy), 10), _mm512_set1_epi32(y));
    return !(_mm512_cmpgt_epu32_mask(group->dx, _mm512_set1_epi32(across)) |
             _mm512_cmpgt_epu32_mask(group->dy, _mm512_set1_epi32(down)));
}

AVX512_INLINE __mmask64 first_bytes(int n)
{
    return n >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << n) - 1;
}

/* Sums of sixteen pixels to bytes, pixel by pixel. */
AVX512_INLINE void store16(const __m512i *sum, int channels, uint8_t *out)
{
    const __m512i zero = _mm512_setzero_si512();
    if (channels == 1) {
        _mm_storeu_si128((__m128i *)out, _mm512_cvtusepi32_epi8(_mm512_max_epi32(sum[0], zero)));
        return;
    }
    /* in each lane, bytes of four pixels: channel 0, 1, 2, 3 */
    const __m512i words = _mm512_packs_epi32(sum[0], sum[1]);
    const __m512i others = channels == 2 ? zero : _mm512_packs_epi32(sum[2], channels == 4 ? sum[3] : zero);
    const __m512i bytes = _mm512_packus_epi16(words, others);
    if (channels == 4) {
        const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_storeu_si512(out, _mm512_shuffle_epi8(bytes, _mm512_broadcast_i32x4(order)));
    } else if (channels == 3) {
        const __m128i order = _mm_setr_epi8(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, -1, -1, -1, -1);
        const __m512i whole = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15);
        const __m512i packed = _mm512_permutexvar_epi32(whole, _mm512_shuffle_epi8(bytes, _mm512_broadcast_i32x4(order)));
        _mm256_storeu_si256((__m256i *)out, _mm512_castsi512_si256(packed));
        _mm_storeu_si128((__m128i *)(out + 32), _mm512_extracti32x4_epi32(packed, 2));
    } else {
        const __m128i order = _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, -1, -1, -1, -1, -1, -1, -1, -1);
        const __m512i whole = _mm512_setr_epi64(0, 2, 4, 6, 7, 7, 7, 7);
        const __m512i packed = _mm512_permutexvar_epi64(whole, _mm512_shuffle_epi8(bytes, _mm512_broadcast_i32x4(order)));
        _mm256_storeu_si256((__m256i *)out, _mm512_castsi512_si256(packed));
    }
}

/* Samples of a row at `order`, as words. */
AVX512_INLINE __m512i pick_samples(__m512i a, __m512i b, __m512i order, int is_long)
{
    const __mmask64 low = 0x5555555555555555u;
    return is_long ? _mm512_maskz_permutex2var_epi8(low, a, order, b) : _mm512_maskz_permutexvar_epi8(low, order, a);
}

/* Bytes of the first taps within a row, as both words of a pixel. */
AVX512_INLINE __m512i places16(const group16 *group, int channels)
{
    __m512i at = group->dx;
    if (channels == 3) at = _mm512_add_epi32(at, _mm512_slli_epi32(at, 1));
    if (channels == 2) at = _mm512_slli_epi32(at, 1);
    if (channels == 4) at = _mm512_slli_epi32(at, 2);
    return _mm512_or_si512(at, _mm512_slli_epi32(at, 16));
}

/* A group: taps x taps (2 or 4), 7 bits between the passes. */
AVX512_INLINE void warp16(const fp_warp_job *job, const int32_t *qx, const int32_t *qy, const group16 *group, uint8_t *out,
                          const int channels, const int taps, const int is_long)
{
    const weights16 wx = load_weights16(job->x.integers, qx, 4);
    weights16 wy = load_weights16(job->y.integers, qy, 4), more = wy;
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    const __m512i w01 = _mm512_permutex2var_epi32(wx.low, even, wx.high);
    const __m512i w23 = _mm512_permutex2var_epi32(wx.low, odd, wx.high);
    if (group->rows > taps) {
        /* rows of weights as 64-bit numbers, moved up by whole words: those beyond four rows are in `more` */
        const __m512i by = _mm512_slli_epi32(group->dy, 4), all = _mm512_set1_epi64(64);
        const __m512i by_low = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(by));
        const __m512i by_high = _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(by, 1));
        more.low = _mm512_srlv_epi64(wy.low, _mm512_sub_epi64(all, by_low));
        more.high = _mm512_srlv_epi64(wy.high, _mm512_sub_epi64(all, by_high));
        wy.low = _mm512_sllv_epi64(wy.low, by_low);
        wy.high = _mm512_sllv_epi64(wy.high, by_high);
    }
    const __m512i at = places16(group, channels);
    __m512i order[8], sum[4];
    for (int c = 0; c < channels; c++) {
        order[2 * c] = _mm512_add_epi32(at, _mm512_set1_epi32(c | (channels + c) << 16));
        order[2 * c + 1] = _mm512_add_epi32(order[2 * c], _mm512_set1_epi32(2 * channels * 0x10001));
        sum[c] = _mm512_set1_epi32(rounding_u8(job));
    }
    const uint8_t *p = job->src.data + group->y * job->src.stride + group->x * channels;
    const __mmask64 near_bytes = first_bytes(group->bytes), far_bytes = is_long ? first_bytes(group->bytes - 64) : 0;
    for (int r = 0; r < group->rows; r++, p += job->src.stride) {
        const __m512i w = weight_of_row(r < 4 ? wy : more, r & 3);
        const __m512i a = _mm512_maskz_loadu_epi8(near_bytes, p);
        const __m512i b = is_long ? _mm512_maskz_loadu_epi8(far_bytes, p + 64) : a;
        for (int c = 0; c < channels; c++) {
            const __m512i first = _mm512_madd_epi16(pick_samples(a, b, order[2 * c], is_long), w01);
            __m512i halves = _mm512_srli_epi32(first, 7);
            if (taps == 4) {
                const __m512i second = _mm512_madd_epi16(pick_samples(a, b, order[2 * c + 1], is_long), w23);
                halves = _mm512_mask_blend_epi16(0xAAAAAAAA, halves, _mm512_slli_epi32(second, 9));
            } else {
                halves = _mm512_and_si512(halves, _mm512_set1_epi32(0xFFFF));
            }
            sum[c] = _mm512_dpwssd_epi32(sum[c], halves, w);
        }
    }
    for (int c = 0; c < channels; c++) sum[c] = _mm512_srai_epi32(sum[c], WEIGHT_BITS + 7);
    store16(sum, channels, out);
}

/* A group: taps x taps, 6 or 8: lanczos, and bicubic up to twice the source's pixel. A of pairs 0, 2, B of 1, 3. */
AVX512_INLINE void warp16_wide(const fp_warp_job *job, const int32_t *qx, const int32_t *qy, const group16 *group,
                               uint8_t *out, const int channels, const int taps, const int is_long)
{
    const __m512i zero = _mm512_setzero_si512();
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    const weights16 x0 = load_weights16(job->x.integers, qx, 8), x4 = load_weights16(job->x.integers + 4, qx, 8);
    const __m512i wx[4] = {_mm512_permutex2var_epi32(x0.low, even, x0.high), _mm512_permutex2var_epi32(x0.low, odd, x0.high),
                           _mm512_permutex2var_epi32(x4.low, even, x4.high), _mm512_permutex2var_epi32(x4.low, odd, x4.high)};
    /* rows of weights as 128-bit numbers, moved up by whole words: up to eleven rows */
    const weights16 y0 = load_weights16(job->y.integers, qy, 8), y4 = load_weights16(job->y.integers + 4, qy, 8);
    const __m512i by = _mm512_slli_epi32(group->dy, 4);
    const __m512i by_low = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(by));
    const __m512i by_high = _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(by, 1));
    const weights16 wy[3] = {
        {_mm512_sllv_epi64(y0.low, by_low), _mm512_sllv_epi64(y0.high, by_high)},
        {_mm512_shldv_epi64(y4.low, y0.low, by_low), _mm512_shldv_epi64(y4.high, y0.high, by_high)},
        {_mm512_shldv_epi64(zero, y4.low, by_low), _mm512_shldv_epi64(zero, y4.high, by_high)}};
    const __m512i at = places16(group, channels);
    const __m128i cut = _mm_cvtsi32_si128(WEIGHT_BITS - job->bits), lift = _mm_cvtsi32_si128(16 - WEIGHT_BITS + job->bits);
    __m512i sum[4];
    for (int c = 0; c < channels; c++) sum[c] = _mm512_set1_epi32(rounding_u8(job));
    const uint8_t *p = job->src.data + group->y * job->src.stride + group->x * channels;
    const __mmask64 near_bytes = first_bytes(group->bytes), far_bytes = is_long ? first_bytes(group->bytes - 64) : 0;
    for (int r = 0; r < group->rows; r++, p += job->src.stride) {
        const __m512i w = weight_of_row(wy[r >> 2], r & 3);
        const __m512i a = _mm512_maskz_loadu_epi8(near_bytes, p);
        const __m512i b = is_long ? _mm512_maskz_loadu_epi8(far_bytes, p + 64) : a;
        for (int c = 0; c < channels; c++) {
            __m512i half[2] = {zero, zero};
            for (int t = 0; t < taps / 2; t++) {
                const int first = c + 2 * t * channels;
                const __m512i order = _mm512_add_epi32(at, _mm512_set1_epi32(first | (channels + first) << 16));
                half[t & 1] = _mm512_dpwssd_epi32(half[t & 1], pick_samples(a, b, order, is_long), wx[t]);
            }
            const __m512i halves = _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srl_epi32(half[0], cut),
                                                           _mm512_sll_epi32(half[1], lift));
            sum[c] = _mm512_dpwssd_epi32(sum[c], halves, w);
        }
    }
    const __m128i shift = _mm_cvtsi32_si128(WEIGHT_BITS + job->bits);
    for (int c = 0; c < channels; c++) sum[c] = _mm512_sra_epi32(sum[c], shift);
    store16(sum, channels, out);
}

/* Groups that are too far apart, and a last one of eight, go the AVX2 way. */
AVX512_INLINE void run_sixteens(const fp_warp_job *original, const int32_t *qx, const int32_t *qy, int n, uint8_t *out,
                                const int channels, const int taps, run_function other)
{
    const fp_warp_job job = *original;
    group16 group;
    int k = 0;
    for (; k + SIXTEEN <= n; k += SIXTEEN, out += SIXTEEN * channels) {
        if (!find_group16(qx + k, qy + k, channels, taps, &group))
            other(&job, qx + k, qy + k, SIXTEEN, out);
        else if (taps > 4 && group.bytes <= 64)
            warp16_wide(&job, qx + k, qy + k, &group, out, channels, taps, 0);
        else if (taps > 4)
            warp16_wide(&job, qx + k, qy + k, &group, out, channels, taps, 1);
        else if (group.bytes <= 64)
            warp16(&job, qx + k, qy + k, &group, out, channels, taps, 0);
        else
            warp16(&job, qx + k, qy + k, &group, out, channels, taps, 1);
    }
    _mm256_zeroupper();
    if (k < n) other(&job, qx + k, qy + k, n - k, out);
}

#define DEFINE_RUN512(name, taps, channels, other) \
    FP_TARGET_AVX512ICL static void name(const fp_warp_job *job, const int32_t *qx, const int32_t *qy, int n, uint8_t *out) \
    { \
        run_sixteens(job, qx, qy, n, out, channels, taps, other); \
    }

#define DEFINE_RUNS512(channels) \
    DEFINE_RUN512(run_2x2_c##channels##_avx512, 2, channels, run_2x2_c##channels##_avx2) \
    DEFINE_RUN512(run_4x4_c##channels##_avx512, 4, channels, run_4x4_c##channels##_avx2) \
    DEFINE_RUN512(run_6x6_c##channels##_avx512, 6, channels, run_wide_c##channels##_avx2) \
    DEFINE_RUN512(run_8x8_c##channels##_avx512, 8, channels, run_wide_c##channels##_avx2)

DEFINE_RUNS512(1)
DEFINE_RUNS512(2)
DEFINE_RUNS512(3)
DEFINE_RUNS512(4)

/* Path for uint8, or `other`: by taps (2, 4, 6, 8) and channels. */
static run_function choose_avx512(ptrdiff_t channels, int taps, run_function other)
{
#define RUNS512(n) {run_##n##x##n##_c1_avx512, run_##n##x##n##_c2_avx512, run_##n##x##n##_c3_avx512, run_##n##x##n##_c4_avx512}
    static const run_function runs[4][4] = {RUNS512(2), RUNS512(4), RUNS512(6), RUNS512(8)};
#undef RUNS512
    if (taps < 2 || taps > 8 || !(fp_cpu_live() & FP_CPU_AVX512ICL)) return other;
    return runs[taps / 2 - 1][channels - 1];
}
