/* AVX2 passes of the resampling. Included by fp_resample.c. Products and sums are rounded one by one, in the order of
 * the plain C bodies, so the bits are the same. */

#include <immintrin.h>

#define AVX2_INLINE FP_TARGET_AVX2 FP_INLINE

FP_TARGET_AVX2 static void columns_u8_avx2(const fp_resample_job *job, ptrdiff_t row, ptrdiff_t from, ptrdiff_t to,
                                           float *sum)
{
    columns_pass(job, row, from, to, sum, 1);
}

FP_TARGET_AVX2 static void columns_f32_avx2(const fp_resample_job *job, ptrdiff_t row, ptrdiff_t from, ptrdiff_t to,
                                            float *sum)
{
    columns_pass(job, row, from, to, sum, 0);
}

/* Four sums of at most four channels each to bytes. */
AVX2_INLINE void store_u8(const __m128 *s, int channels, uint8_t *out)
{
    const __m128 half = _mm_set1_ps(0.5f);
    const __m128i a = _mm_packs_epi32(_mm_cvttps_epi32(_mm_add_ps(s[0], half)), _mm_cvttps_epi32(_mm_add_ps(s[1], half)));
    const __m128i b = _mm_packs_epi32(_mm_cvttps_epi32(_mm_add_ps(s[2], half)), _mm_cvttps_epi32(_mm_add_ps(s[3], half)));
    const __m128i pixels = _mm_packus_epi16(a, b);
    if (channels == 4) {
        _mm_storeu_si128((__m128i *)out, pixels);
    } else if (channels == 3) {
        const __m128i packed =
            _mm_shuffle_epi8(pixels, _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
        const int32_t last = _mm_extract_epi32(packed, 2);
        _mm_storel_epi64((__m128i *)out, packed);
        memcpy(out + 8, &last, 4);
    } else {
        _mm_storel_epi64((__m128i *)out, _mm_shuffle_epi8(pixels, _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1,
                                                                                -1, -1, -1, -1)));
    }
}

AVX2_INLINE void store_f32(const __m128 *s, int channels, float *out)
{
    for (int k = 0; k < 4; k++, out += channels) {
        if (channels == 4) {
            _mm_storeu_ps(out, s[k]);
        } else {
            _mm_storel_pi((__m64 *)out, s[k]);
            if (channels == 3) _mm_store_ss(out + 2, _mm_movehl_ps(s[k], s[k]));
        }
    }
}

/* 2 to 4 channels: a pixel in each register, all channels at once; four pixels a turn. */
AVX2_INLINE void row_channels(const fp_resample_job *job, const float *sum, ptrdiff_t from, ptrdiff_t to, void *out,
                              const int channels, const int is_u8, const ptrdiff_t taps)
{
    ptrdiff_t i = from;
    for (; i + 4 <= to; i += 4) {
        __m128 s[4];
        for (int k = 0; k < 4; k++) {
            const float *w = job->x.weights + (i + k) * taps, *v = sum + (ptrdiff_t)job->x.first[i + k] * channels;
            s[k] = _mm_mul_ps(_mm_set1_ps(w[0]), _mm_loadu_ps(v));
            for (ptrdiff_t t = 1; t < taps; t++)
                s[k] = _mm_add_ps(s[k], _mm_mul_ps(_mm_set1_ps(w[t]), _mm_loadu_ps(v + t * channels)));
        }
        if (is_u8)
            store_u8(s, channels, (uint8_t *)out + i * channels);
        else
            store_f32(s, channels, (float *)out + i * channels);
    }
    row_pass(job, sum, i, to, out, is_u8);
}

/* Frequent numbers of taps become constants. */
AVX2_INLINE void row_channels_of(const fp_resample_job *job, const float *sum, ptrdiff_t from, ptrdiff_t to, void *out,
                                 const int channels, const int is_u8)
{
    if (job->x.taps == 4)
        row_channels(job, sum, from, to, out, channels, is_u8, 4);
    else if (job->x.taps == 2)
        row_channels(job, sum, from, to, out, channels, is_u8, 2);
    else
        row_channels(job, sum, from, to, out, channels, is_u8, job->x.taps);
}

AVX2_INLINE __m256 two(__m128 low, __m128 high)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
}

/* sum + p0 + p1 + p2 + p3, in this order, of eight pixels whose products are columns: p[k] has those of pixels k and
 * k + 4. */
AVX2_INLINE __m256 add_taps(__m256 s, const __m256 *p, int is_first)
{
    const __m256 a = _mm256_unpacklo_ps(p[0], p[1]), b = _mm256_unpackhi_ps(p[0], p[1]);
    const __m256 c = _mm256_unpacklo_ps(p[2], p[3]), d = _mm256_unpackhi_ps(p[2], p[3]);
    const __m256 p0 = _mm256_shuffle_ps(a, c, 0x44), p1 = _mm256_shuffle_ps(a, c, 0xEE);
    const __m256 p2 = _mm256_shuffle_ps(b, d, 0x44), p3 = _mm256_shuffle_ps(b, d, 0xEE);
    s = is_first ? p0 : _mm256_add_ps(s, p0);
    return _mm256_add_ps(_mm256_add_ps(_mm256_add_ps(s, p1), p2), p3);
}

/* One channel: four taps of eight pixels a turn, transposed so that each pixel adds in tap order. Absent taps of the
 * last four load as 0 and add 0. */
AVX2_INLINE void row_single(const fp_resample_job *job, const float *sum, ptrdiff_t from, ptrdiff_t to, void *out,
                            const int is_u8)
{
    const ptrdiff_t taps = job->x.taps;
    const __m128i lanes = _mm_setr_epi32(0, 1, 2, 3);
    ptrdiff_t i = from;
    for (; i + 8 <= to; i += 8) {
        const float *w = job->x.weights + i * taps;
        const int32_t *first = job->x.first + i;
        __m256 s = _mm256_setzero_ps(), p[4];
        for (ptrdiff_t t = 0; t < taps; t += 4) {
            if (t + 4 <= taps) {
                for (int k = 0; k < 4; k++)
                    p[k] = _mm256_mul_ps(two(_mm_loadu_ps(w + k * taps + t), _mm_loadu_ps(w + (k + 4) * taps + t)),
                                         two(_mm_loadu_ps(sum + first[k] + t), _mm_loadu_ps(sum + first[k + 4] + t)));
            } else {
                const __m128i use = _mm_cmpgt_epi32(_mm_set1_epi32((int)(taps - t)), lanes);
                for (int k = 0; k < 4; k++)
                    p[k] = _mm256_mul_ps(two(_mm_maskload_ps(w + k * taps + t, use),
                                             _mm_maskload_ps(w + (k + 4) * taps + t, use)),
                                         two(_mm_maskload_ps(sum + first[k] + t, use),
                                             _mm_maskload_ps(sum + first[k + 4] + t, use)));
            }
            s = add_taps(s, p, t == 0);
        }
        if (is_u8) {
            const __m256i v = _mm256_cvttps_epi32(_mm256_add_ps(s, _mm256_set1_ps(0.5f)));
            const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
            _mm_storel_epi64((__m128i *)((uint8_t *)out + i), _mm_packus_epi16(words, words));
        } else {
            _mm256_storeu_ps((float *)out + i, s);
        }
    }
    row_pass(job, sum, i, to, out, is_u8);
}

#define DEFINE_ROW_AVX2(name, channels, is_u8) \
    FP_TARGET_AVX2 static void name(const fp_resample_job *job, const float *sum, ptrdiff_t from, ptrdiff_t to, void *out) \
    { \
        if ((channels) == 1) \
            row_single(job, sum, from, to, out, is_u8); \
        else \
            row_channels_of(job, sum, from, to, out, channels, is_u8); \
        _mm256_zeroupper(); \
    }

DEFINE_ROW_AVX2(row_u8_c1_avx2, 1, 1)
DEFINE_ROW_AVX2(row_u8_c2_avx2, 2, 1)
DEFINE_ROW_AVX2(row_u8_c3_avx2, 3, 1)
DEFINE_ROW_AVX2(row_u8_c4_avx2, 4, 1)
DEFINE_ROW_AVX2(row_f32_c1_avx2, 1, 0)
DEFINE_ROW_AVX2(row_f32_c2_avx2, 2, 0)
DEFINE_ROW_AVX2(row_f32_c3_avx2, 3, 0)
DEFINE_ROW_AVX2(row_f32_c4_avx2, 4, 0)

static resample_path choose_avx2(const fp_resample_job *job)
{
    static const resample_path paths[2][4] = {
        {{columns_u8_avx2, row_u8_c1_avx2}, {columns_u8_avx2, row_u8_c2_avx2},
         {columns_u8_avx2, row_u8_c3_avx2}, {columns_u8_avx2, row_u8_c4_avx2}},
        {{columns_f32_avx2, row_f32_c1_avx2}, {columns_f32_avx2, row_f32_c2_avx2},
         {columns_f32_avx2, row_f32_c3_avx2}, {columns_f32_avx2, row_f32_c4_avx2}},
    };
    return paths[job->src.item != 1][job->src.channels - 1];
}
