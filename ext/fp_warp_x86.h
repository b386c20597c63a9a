/* AVX2 paths of the warp, and the choice of paths. Included by fp_warp.c.
 *
 * A uint8 pixel of 2 to 4 channels: 16 bytes of each tap row go to both lanes of a register, a byte shuffle sets the
 * four taps of a channel side by side as 16-bit words (channels 0, 1 in the low lane, 2, 3 in the high one), and a
 * multiply-add leaves the half sums A and B of each channel. Two rows, cut to 16 bits, share a register: one
 * multiply-add with the pair of vertical weights, and A + B at the end. */

#include <immintrin.h>

#define AVX2_INLINE FP_TARGET_AVX2 FP_INLINE

/* fill_rounded, eight pixels a turn: writes up to seven more than asked. */
FP_TARGET_AVX2 static void fill_rounded_avx2(const fp_warp_job *job, const grid_cell *cells, ptrdiff_t col, int n,
                                             int32_t *qx, int32_t *qy)
{
    for (grid_part part = first_part(job, cells, col, n); part.k < n; part = next_part(job, part, n)) {
        const int64_t from[2] = {part.cell->x + part.inside * part.cell->dx, part.cell->y + part.inside * part.cell->dy};
        const int64_t by[2] = {part.cell->dx, part.cell->dy};
        for (int axis = 0; axis < 2; axis++) {
            int32_t *q = axis ? qy : qx;
            const int64_t d = by[axis], p = from[axis] + ((int64_t)1 << 21);
            const __m256i four = _mm256_set1_epi64x(4 * d), eight = _mm256_set1_epi64x(8 * d);
            __m256i a = _mm256_setr_epi64x(p, p + d, p + 2 * d, p + 3 * d);
            for (int k = part.k; k < part.end; k += 8, a = _mm256_add_epi64(a, eight)) {
                const __m256 low = _mm256_castsi256_ps(_mm256_srli_epi64(a, 22));
                const __m256 high = _mm256_castsi256_ps(_mm256_srli_epi64(_mm256_add_epi64(a, four), 22));
                const __m256i both = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0x88));
                _mm256_storeu_si256((__m256i *)(q + k), _mm256_permute4x64_epi64(both, 0xD8));
            }
        }
    }
}

#define NONE (-128)
/* Words of taps 0..3 of channel c from bytes of pixels of `n` channels; LINEAR: taps 0 and 1 from byte `at`. */
#define TAPS4(c, n) (c), NONE, (c) + (n), NONE, (c) + 2 * (n), NONE, (c) + 3 * (n), NONE
#define TAPS2(c, n, at) (at) + (c), NONE, (at) + (c) + (n), NONE
#define NO_TAPS4 NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE
#define NO_TAPS2 NONE, NONE, NONE, NONE

FP_INLINE int32_t load_i32(const void *p)
{
    int32_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

FP_INLINE int64_t load_i64(const void *p)
{
    int64_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

FP_INLINE int load_u16(const uint8_t *p)
{
    uint16_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

AVX2_INLINE __m128i load_128(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

/* Of a group of pixels: byte offsets of the first tap in src, and of the row of weights in both tables. */
typedef struct {
    int32_t at[GROUP], wx[GROUP], wy[GROUP];
} group_places;

AVX2_INLINE group_places locate(const fp_warp_job *job, const int32_t *qx, const int32_t *qy, int weight_size)
{
    const __m256i phase = _mm256_set1_epi32(1023);
    const __m256i x = _mm256_loadu_si256((const __m256i *)qx), y = _mm256_loadu_si256((const __m256i *)qy);
    const __m256i x0 = _mm256_add_epi32(_mm256_srai_epi32(x, 10), _mm256_set1_epi32(1 - job->x.taps / 2));
    const __m256i y0 = _mm256_add_epi32(_mm256_srai_epi32(y, 10), _mm256_set1_epi32(1 - job->y.taps / 2));
    const __m256i pixel = _mm256_set1_epi32((int32_t)(job->src.channels * job->src.item));
    const __m256i stride = _mm256_set1_epi32((int32_t)job->src.stride);
    group_places places;
    _mm256_storeu_si256((__m256i *)places.at,
                        _mm256_add_epi32(_mm256_mullo_epi32(y0, stride), _mm256_mullo_epi32(x0, pixel)));
    _mm256_storeu_si256((__m256i *)places.wx, _mm256_mullo_epi32(_mm256_and_si256(x, phase),
                                                                 _mm256_set1_epi32(job->x.stride * weight_size)));
    _mm256_storeu_si256((__m256i *)places.wy, _mm256_mullo_epi32(_mm256_and_si256(y, phase),
                                                                 _mm256_set1_epi32(job->y.stride * weight_size)));
    return places;
}

/* Head of a run: a copy of the job, because stores of bytes could change the original for all the compiler knows. */
#define RUN_SETUP(kind) \
    const fp_warp_job job = *original; \
    const uint8_t *const src = job.src.data; \
    const uint8_t *const wx = (const uint8_t *)job.x.kind, *const wy = (const uint8_t *)job.y.kind; \
    const ptrdiff_t stride = job.src.stride

AVX2_INLINE __m256i shuffle_taps4(int channels)
{
    if (channels == 2) return _mm256_setr_epi8(TAPS4(0, 2), TAPS4(1, 2), NO_TAPS4, NO_TAPS4);
    if (channels == 3) return _mm256_setr_epi8(TAPS4(0, 3), TAPS4(1, 3), TAPS4(2, 3), NO_TAPS4);
    return _mm256_setr_epi8(TAPS4(0, 4), TAPS4(1, 4), TAPS4(2, 4), TAPS4(3, 4));
}

/* Low words of row 0 and of row 1, after the shift to `bits` (dwords of sums in, word pairs out). */
#define PAIR_ROWS(r0, r1, shift) \
    _mm256_blend_epi16(_mm256_srli_epi32(r0, shift), _mm256_slli_epi32(r1, 16 - (shift)), 0xAA)

/* Stores pixels 0..3 from words [c0 c1 of pixels 0..3 | c2 c3 of pixels 0..3]. */
AVX2_INLINE void store_pixels4(__m256i words, int channels, uint8_t *out)
{
    const __m256i bytes = _mm256_packus_epi16(words, words);
    const __m128i pixels = _mm_unpacklo_epi16(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
    if (channels == 4) {
        _mm_storeu_si128((__m128i *)out, pixels);
    } else if (channels == 3) {
        const __m128i order = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, NONE, NONE, NONE, NONE);
        const __m128i packed = _mm_shuffle_epi8(pixels, order);
        const int32_t last = _mm_extract_epi32(packed, 2);
        _mm_storel_epi64((__m128i *)out, packed);
        memcpy(out + 8, &last, 4);
    } else {
        _mm_storel_epi64((__m128i *)out, _mm256_castsi256_si128(bytes));
    }
}

/* From sums [c0A c0B c1A c1B | c2A c2B c3A c3B] of four pixels to their bytes. */
AVX2_INLINE void finish_pixels4(const __m256i *sum, __m256i rounding, __m128i shift, int channels, uint8_t *out)
{
    __m256i a = _mm256_hadd_epi32(sum[0], sum[1]), b = _mm256_hadd_epi32(sum[2], sum[3]);
    a = _mm256_sra_epi32(_mm256_add_epi32(a, rounding), shift);
    b = _mm256_sra_epi32(_mm256_add_epi32(b, rounding), shift);
    store_pixels4(_mm256_packs_epi32(a, b), channels, out);
}

/* 4x4 taps, 2 to 4 channels, 7 bits between the passes. */
AVX2_INLINE void run_4x4(const fp_warp_job *original, const int32_t *qx, const int32_t *qy, int n,
                         uint8_t *out, const int channels)
{
    RUN_SETUP(integers);
    const uint8_t *const base[4] = {src, src + stride, src + 2 * stride, src + 3 * stride};
    const __m256i order = shuffle_taps4(channels), rounding = _mm256_set1_epi32(rounding_u8(&job));
    const __m128i shift = _mm_cvtsi32_si128(WEIGHT_BITS + 7);
    for (int g = 0; g < n; g += GROUP) {
        const group_places places = locate(&job, qx + g, qy + g, 2);
        for (int h = 0; h < GROUP; h += 4, out += 4 * channels) {
            __m256i sum[4];
            for (int i = 0; i < 4; i++) {
                const ptrdiff_t at = places.at[h + i], vertical = places.wy[h + i];
                const __m256i w = _mm256_set1_epi64x(load_i64(wx + places.wx[h + i]));
                __m256i row[4];
                for (int r = 0; r < 4; r++) {
                    const __m256i taps = _mm256_broadcastsi128_si256(load_128(base[r] + at));
                    row[r] = _mm256_madd_epi16(_mm256_shuffle_epi8(taps, order), w);
                }
                const __m256i w01 = _mm256_set1_epi32(load_i32(wy + vertical));
                const __m256i w23 = _mm256_set1_epi32(load_i32(wy + vertical + 4));
                sum[i] = _mm256_add_epi32(_mm256_madd_epi16(PAIR_ROWS(row[0], row[1], 7), w01),
                                          _mm256_madd_epi16(PAIR_ROWS(row[2], row[3], 7), w23));
            }
            finish_pixels4(sum, rounding, shift, channels, out);
        }
    }
    _mm256_zeroupper();
}

/* Any even number of taps, 2 to 4 channels: four taps at a time. */
AVX2_INLINE void run_wide(const fp_warp_job *original, const int32_t *qx, const int32_t *qy, int n,
                          uint8_t *out, const int channels, const int taps_x, const int taps_y)
{
    RUN_SETUP(integers);
    const __m256i order = shuffle_taps4(channels), rounding = _mm256_set1_epi32(rounding_u8(&job));
    const __m128i cut = _mm_cvtsi32_si128(WEIGHT_BITS - job.bits), lift = _mm_cvtsi32_si128(16 - WEIGHT_BITS + job.bits);
    const __m128i shift = _mm_cvtsi32_si128(WEIGHT_BITS + job.bits);
    for (int g = 0; g < n; g += GROUP) {
        const group_places places = locate(&job, qx + g, qy + g, 2);
        for (int h = 0; h < GROUP; h += 4, out += 4 * channels) {
            __m256i sum[4];
            for (int i = 0; i < 4; i++) {
                const uint8_t *p = src + places.at[h + i], *vertical = wy + places.wy[h + i];
                const uint8_t *horizontal = wx + places.wx[h + i];
                sum[i] = _mm256_setzero_si256();
                for (int r = 0; r < taps_y; r += 2, p += 2 * stride) {
                    __m256i a = _mm256_setzero_si256(), b = a;
                    for (int t = 0; t < taps_x; t += 4) {
                        const __m256i w = _mm256_set1_epi64x(load_i64(horizontal + 2 * t));
                        const __m256i va = _mm256_broadcastsi128_si256(load_128(p + t * channels));
                        const __m256i vb = _mm256_broadcastsi128_si256(load_128(p + stride + t * channels));
                        a = _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_shuffle_epi8(va, order), w));
                        b = _mm256_add_epi32(b, _mm256_madd_epi16(_mm256_shuffle_epi8(vb, order), w));
                    }
                    const __m256i rows = _mm256_blend_epi16(_mm256_srl_epi32(a, cut), _mm256_sll_epi32(b, lift), 0xAA);
                    const __m256i w = _mm256_set1_epi32(load_i32(vertical + 2 * r));
                    sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(rows, w));
                }
            }
            finish_pixels4(sum, rounding, shift, channels, out);
        }
    }
    _mm256_zeroupper();
}

AVX2_INLINE __m256i shuffle_taps2(int channels)
{
    if (channels == 2)
        return _mm256_setr_epi8(TAPS2(0, 2, 0), TAPS2(1, 2, 0), NO_TAPS2, NO_TAPS2,
                                TAPS2(0, 2, 8), TAPS2(1, 2, 8), NO_TAPS2, NO_TAPS2);
    if (channels == 3)
        return _mm256_setr_epi8(TAPS2(0, 3, 0), TAPS2(1, 3, 0), TAPS2(2, 3, 0), NO_TAPS2,
                                TAPS2(0, 3, 8), TAPS2(1, 3, 8), TAPS2(2, 3, 8), NO_TAPS2);
    return _mm256_setr_epi8(TAPS2(0, 4, 0), TAPS2(1, 4, 0), TAPS2(2, 4, 0), TAPS2(3, 4, 0),
                            TAPS2(0, 4, 8), TAPS2(1, 4, 8), TAPS2(2, 4, 8), TAPS2(3, 4, 8));
}

/* Eight bytes at p in the low half and at q in the high half of both lanes. */
AVX2_INLINE __m256i load_two(const uint8_t *p, const uint8_t *q)
{
    return _mm256_broadcastsi128_si256(_mm_insert_epi64(_mm_cvtsi64_si128(load_i64(p)), load_i64(q), 1));
}

AVX2_INLINE __m256i two_weights(const uint8_t *p, const uint8_t *q)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_set1_epi32(load_i32(p))),
                                   _mm_set1_epi32(load_i32(q)), 1);
}

/* 2x2 taps, 2 to 4 channels: a pixel in each lane, one sum a channel. */
AVX2_INLINE void run_2x2(const fp_warp_job *original, const int32_t *qx, const int32_t *qy, int n,
                         uint8_t *out, const int channels)
{
    RUN_SETUP(integers);
    const __m256i order = shuffle_taps2(channels), rounding = _mm256_set1_epi32(rounding_u8(&job));
    /* Words [pixel 0, pixel 2 | pixel 1, pixel 3], four channels each, to channel pairs as store_pixels4 takes them. */
    const __m256i regroup = _mm256_setr_epi32(0, 4, 2, 6, 1, 5, 3, 7);
    for (int g = 0; g < n; g += GROUP) {
        const group_places places = locate(&job, qx + g, qy + g, 2);
        for (int h = 0; h < GROUP; h += 4, out += 4 * channels) {
            __m256i sum[2];
            for (int i = 0; i < 2; i++) {
                const int k = h + 2 * i;
                const uint8_t *p = src + places.at[k], *q = src + places.at[k + 1];
                const __m256i w = two_weights(wx + places.wx[k], wx + places.wx[k + 1]);
                const __m256i upper = _mm256_madd_epi16(_mm256_shuffle_epi8(load_two(p, q), order), w);
                const __m256i lower = _mm256_madd_epi16(_mm256_shuffle_epi8(load_two(p + stride, q + stride), order), w);
                const __m256i vertical = two_weights(wy + places.wy[k], wy + places.wy[k + 1]);
                const __m256i total = _mm256_madd_epi16(PAIR_ROWS(upper, lower, 7), vertical);
                sum[i] = _mm256_srai_epi32(_mm256_add_epi32(total, rounding), WEIGHT_BITS + 7);
            }
            store_pixels4(_mm256_permutevar8x32_epi32(_mm256_packs_epi32(sum[0], sum[1]), regroup), channels, out);
        }
    }
    _mm256_zeroupper();
}

/* Six taps get loops of constant length: lanczos, and bicubic up to ratio 1.5. */
#define DEFINE_RUNS(channels) \
    FP_TARGET_AVX2 static void run_4x4_c##channels##_avx2(const fp_warp_job *job, const int32_t *qx, \
                                                          const int32_t *qy, int n, uint8_t *out) \
    { \
        run_4x4(job, qx, qy, n, out, channels); \
    } \
    FP_TARGET_AVX2 static void run_2x2_c##channels##_avx2(const fp_warp_job *job, const int32_t *qx, \
                                                          const int32_t *qy, int n, uint8_t *out) \
    { \
        run_2x2(job, qx, qy, n, out, channels); \
    } \
    FP_TARGET_AVX2 static void run_wide_c##channels##_avx2(const fp_warp_job *job, const int32_t *qx, \
                                                           const int32_t *qy, int n, uint8_t *out) \
    { \
        if (job->x.taps == 6 && job->y.taps == 6) \
            run_wide(job, qx, qy, n, out, channels, 6, 6); \
        else \
            run_wide(job, qx, qy, n, out, channels, job->x.taps, job->y.taps); \
    }

DEFINE_RUNS(2)
DEFINE_RUNS(3)
DEFINE_RUNS(4)

#include "fp_warp_gray_x86.h"
#include "fp_warp_avx512.h"

/* The path for the job, or `other`. Loads count from the first tap of a row. */
static warp_path choose_avx2(const fp_warp_job *job, warp_path other)
{
    static const run_function c4x4[] = {run_4x4_c1_avx2, run_4x4_c2_avx2, run_4x4_c3_avx2, run_4x4_c4_avx2};
    static const run_function c2x2[] = {run_2x2_c1_avx2, run_2x2_c2_avx2, run_2x2_c3_avx2, run_2x2_c4_avx2};
    static const run_function wide[] = {run_wide_c1_avx2, run_wide_c2_avx2, run_wide_c3_avx2, run_wide_c4_avx2};
    const ptrdiff_t channels = job->src.channels;
    const int both = job->x.taps == job->y.taps ? job->x.taps : 0;
    warp_path path = other;
    /* Offsets of taps are computed in 32 bits. */
    const ptrdiff_t stride = job->src.stride < 0 ? -job->src.stride : job->src.stride;
    if (stride >= INT32_MAX / job->src.rows) return other;
    path.fill = fill_rounded_avx2;
    if (job->src.item == 4) {
        if (channels != 1) return path;
        if (both == 4)
            path.run = run_4x4_f32_avx2;
        else if (both == 2)
            path.run = run_2x2_f32_avx2;
        else if (job->x.taps > 2)
            path.run = run_wide_f32_avx2;
    } else if (both == 4 && job->bits == 7) {
        path.run = c4x4[channels - 1];
        path.load = channels == 1 ? 4 : 16;
        path.run = choose_avx512(channels, 4, path.run);
    } else if (both == 2 && job->bits == 7) {
        path.run = c2x2[channels - 1];
        path.load = channels == 1 ? 2 : 8;
        path.run = choose_avx512(channels, 2, path.run);
    } else {
        const int step = channels == 1 && job->x.taps > 4 ? 8 : 4; /* taps that one load serves */
        const int whole = (job->x.taps + step - 1) / step * step;
        path.run = wide[channels - 1];
        path.load = channels == 1 ? whole : (whole - 4) * channels + 16;
        if (both > 4) path.run = choose_avx512(channels, both, path.run);
    }
    return path;
}
