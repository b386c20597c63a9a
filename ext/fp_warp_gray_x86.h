/* AVX2 paths of the warp for one channel, uint8 and float32. Included by fp_warp_x86.h. */

/* Vertical weights [w0 w0 w1 w1 of pixel p, of pixel q | w2 w2 w3 w3 of pixel p, of pixel q]. */
AVX2_INLINE __m256i vertical_weights(const uint8_t *p, const uint8_t *q)
{
    const __m128i both = _mm_insert_epi64(_mm_cvtsi64_si128(load_i64(p)), load_i64(q), 1);
    const __m256i order = _mm256_setr_epi8(0, 1, 0, 1, 2, 3, 2, 3, 8, 9, 8, 9, 10, 11, 10, 11,
                                           4, 5, 4, 5, 6, 7, 6, 7, 12, 13, 12, 13, 14, 15, 14, 15);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(both), order);
}

/* Half sums [A B of rows 0, 1 | of rows 2, 3] with 7 fractional bits, from the sixteen samples of a pixel. */
AVX2_INLINE __m256i half_sums(const uint8_t *p, ptrdiff_t stride, const uint8_t *wx)
{
    __m128i taps = _mm_cvtsi32_si128(load_i32(p));
    taps = _mm_insert_epi32(taps, load_i32(p + stride), 1);
    taps = _mm_insert_epi32(taps, load_i32(p + 2 * stride), 2);
    taps = _mm_insert_epi32(taps, load_i32(p + 3 * stride), 3);
    return _mm256_srai_epi32(_mm256_madd_epi16(_mm256_cvtepu8_epi16(taps), _mm256_set1_epi64x(load_i64(wx))), 7);
}

/* Four sums with 21 fractional bits to bytes. */
AVX2_INLINE void store_four(__m128i sum, uint8_t *out)
{
    const __m128i words = _mm_srai_epi32(sum, WEIGHT_BITS + 7), packed = _mm_packs_epi32(words, words);
    const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(packed, packed));
    memcpy(out, &bytes, 4);
}

/* 4x4 taps: two pixels in a register for the vertical sums. */
FP_TARGET_AVX2 static void run_4x4_c1_avx2(const fp_warp_job *original, const int32_t *qx, const int32_t *qy, int n,
                                           uint8_t *out)
{
    RUN_SETUP(integers);
    const __m128i rounding = _mm_set1_epi32(rounding_u8(&job));
    for (int g = 0; g < n; g += GROUP) {
        const group_places places = locate(&job, qx + g, qy + g, 2);
        for (int h = 0; h < GROUP; h += 4, out += 4) {
            __m128i sum[2];
            for (int i = 0; i < 2; i++) {
                const int k = h + 2 * i;
                const __m256i half = _mm256_packs_epi32(half_sums(src + places.at[k], stride, wx + places.wx[k]),
                                                        half_sums(src + places.at[k + 1], stride, wx + places.wx[k + 1]));
                const __m256i w = vertical_weights(wy + places.wy[k], wy + places.wy[k + 1]);
                const __m256i rows = _mm256_madd_epi16(half, w);
                sum[i] = _mm_add_epi32(_mm256_castsi256_si128(rows), _mm256_extracti128_si256(rows, 1));
            }
            store_four(_mm_add_epi32(_mm_hadd_epi32(sum[0], sum[1]), rounding), out);
        }
    }
    _mm256_zeroupper();
}

/* 2x2 taps: the four samples of each of four pixels in one register. */
FP_TARGET_AVX2 static void run_2x2_c1_avx2(const fp_warp_job *original, const int32_t *qx, const int32_t *qy, int n,
                                           uint8_t *out)
{
    RUN_SETUP(integers);
    const __m128i rounding = _mm_set1_epi32(rounding_u8(&job));
    for (int g = 0; g < n; g += GROUP) {
        const group_places places = locate(&job, qx + g, qy + g, 2);
        for (int h = 0; h < GROUP; h += 4, out += 4) {
            int32_t samples[4], horizontal[4], vertical[4];
            for (int i = 0; i < 4; i++) {
                const uint8_t *p = src + places.at[h + i];
                samples[i] = (int32_t)((uint32_t)load_u16(p) | (uint32_t)load_u16(p + stride) << 16);
                horizontal[i] = load_i32(wx + places.wx[h + i]), vertical[i] = load_i32(wy + places.wy[h + i]);
            }
            const __m128i w = load_128(horizontal);
            const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_unpacklo_epi32(w, w)),
                                                         _mm_unpackhi_epi32(w, w), 1);
            __m256i rows = _mm256_madd_epi16(_mm256_cvtepu8_epi16(load_128(samples)), both);
            rows = _mm256_srai_epi32(rows, 7);
            const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(rows), _mm256_extracti128_si256(rows, 1));
            store_four(_mm_add_epi32(_mm_madd_epi16(words, load_128(vertical)), rounding), out);
        }
    }
    _mm256_zeroupper();
}

/* Samples of taps t..t+7 (..t+3 for a kernel of at most 4) of two rows as words, a row in each lane. */
AVX2_INLINE __m256i taps_of_two_rows(const uint8_t *p, const uint8_t *q, const int is_short)
{
    if (is_short) return _mm256_cvtepu8_epi16(_mm_set_epi64x((uint32_t)load_i32(q), (uint32_t)load_i32(p)));
    return _mm256_cvtepu8_epi16(_mm_insert_epi64(_mm_cvtsi64_si128(load_i64(p)), load_i64(q), 1));
}

/* Any even number of taps, two rows at a time; A in the even dwords, B in the odd ones. */
AVX2_INLINE void run_wide_gray(const fp_warp_job *original, const int32_t *qx, const int32_t *qy, int n, uint8_t *out,
                               const int taps_x, const int taps_y)
{
    RUN_SETUP(integers);
    const __m128i cut = _mm_cvtsi32_si128(WEIGHT_BITS - job.bits);
    const __m256i spread = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    const int is_short = taps_x <= 4;
    for (int g = 0; g < n; g += GROUP, out += GROUP) {
        const group_places places = locate(&job, qx + g, qy + g, 2);
        for (int k = 0; k < GROUP; k++) {
            const uint8_t *p = src + places.at[k], *horizontal = wx + places.wx[k], *vertical = wy + places.wy[k];
            __m256i sum = _mm256_setzero_si256();
            for (int r = 0; r < taps_y; r += 2, p += 2 * stride) {
                const __m128i pair = _mm_cvtepi16_epi32(_mm_cvtsi32_si128(load_i32(vertical + 2 * r)));
                const __m256i w = _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(pair), spread);
                __m256i rows = _mm256_setzero_si256();
                for (int t = 0; t < taps_x; t += 8) {
                    const __m128i weights = is_short ? _mm_cvtsi64_si128(load_i64(horizontal)) : load_128(horizontal + 2 * t);
                    const __m256i taps = taps_of_two_rows(p + t, p + stride + t, is_short);
                    rows = _mm256_add_epi32(rows, _mm256_madd_epi16(taps, _mm256_broadcastsi128_si256(weights)));
                }
                rows = _mm256_add_epi32(rows, _mm256_shuffle_epi32(rows, 0x4E));
                sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(_mm256_sra_epi32(rows, cut), w));
            }
            /* [A B A B of even rows | of odd rows] */
            const __m128i both = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
            const int32_t total = _mm_cvtsi128_si32(both) + _mm_extract_epi32(both, 1) + rounding_u8(&job);
            out[k] = to_u8(total >> (WEIGHT_BITS + job.bits));
        }
    }
    _mm256_zeroupper();
}

FP_TARGET_AVX2 static void run_wide_c1_avx2(const fp_warp_job *job, const int32_t *qx, const int32_t *qy, int n,
                                            uint8_t *out)
{
    if (job->x.taps == 6 && job->y.taps == 6)
        run_wide_gray(job, qx, qy, n, out, 6, 6);
    else
        run_wide_gray(job, qx, qy, n, out, job->x.taps, job->y.taps);
}

AVX2_INLINE __m256 two_rows(const uint8_t *p, const uint8_t *q)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps((const float *)p)), _mm_loadu_ps((const float *)q), 1);
}

/* float32, 4x4 taps: down the columns first, two pixels in a register. */
FP_TARGET_AVX2 static void run_4x4_f32_avx2(const fp_warp_job *original, const int32_t *qx, const int32_t *qy, int n,
                                            uint8_t *out)
{
    RUN_SETUP(floats);
    for (int g = 0; g < n; g += GROUP) {
        const group_places places = locate(&job, qx + g, qy + g, 4);
        for (int h = 0; h < GROUP; h += 4, out += 16) {
            __m256 sum[2];
            for (int i = 0; i < 2; i++) {
                const int k = h + 2 * i;
                const uint8_t *p = src + places.at[k], *q = src + places.at[k + 1];
                const __m256 w = two_rows(wy + places.wy[k], wy + places.wy[k + 1]);
                __m256 columns = _mm256_mul_ps(_mm256_permute_ps(w, 0x00), two_rows(p, q));
                columns = _mm256_fmadd_ps(_mm256_permute_ps(w, 0x55), two_rows(p + stride, q + stride), columns);
                columns = _mm256_fmadd_ps(_mm256_permute_ps(w, 0xAA), two_rows(p + 2 * stride, q + 2 * stride), columns);
                columns = _mm256_fmadd_ps(_mm256_permute_ps(w, 0xFF), two_rows(p + 3 * stride, q + 3 * stride), columns);
                sum[i] = _mm256_mul_ps(columns, two_rows(wx + places.wx[k], wx + places.wx[k + 1]));
            }
            /* [0 0 2 2 | 1 1 3 3], then one value a pixel. */
            const __m256 pairs = _mm256_hadd_ps(sum[0], sum[1]);
            const __m256 values = _mm256_hadd_ps(pairs, pairs);
            const __m128 four = _mm_unpacklo_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
            _mm_storeu_ps((float *)out, four);
        }
    }
    _mm256_zeroupper();
}

/* float32, 2x2 taps. */
FP_TARGET_AVX2 static void run_2x2_f32_avx2(const fp_warp_job *original, const int32_t *qx, const int32_t *qy, int n,
                                            uint8_t *out)
{
    RUN_SETUP(floats);
    for (int g = 0; g < n; g += GROUP, out += GROUP * 4) {
        const group_places places = locate(&job, qx + g, qy + g, 4);
        for (int k = 0; k < GROUP; k++) {
            const float *p = (const float *)(src + places.at[k]), *q = (const float *)(src + places.at[k] + stride);
            const float *horizontal = (const float *)(wx + places.wx[k]), *vertical = (const float *)(wy + places.wy[k]);
            const float left = vertical[0] * p[0] + vertical[1] * q[0], right = vertical[0] * p[1] + vertical[1] * q[1];
            ((float *)out)[k] = horizontal[0] * left + horizontal[1] * right;
        }
    }
    _mm256_zeroupper();
}

/* float32, more taps: eight columns at a time; the last load is masked, so that nothing outside the kernel is read. */
FP_TARGET_AVX2 static void run_wide_f32_avx2(const fp_warp_job *original, const int32_t *qx, const int32_t *qy, int n,
                                             uint8_t *out)
{
    RUN_SETUP(floats);
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (int g = 0; g < n; g += GROUP, out += GROUP * 4) {
        const group_places places = locate(&job, qx + g, qy + g, 4);
        for (int k = 0; k < GROUP; k++) {
            const float *horizontal = (const float *)(wx + places.wx[k]), *vertical = (const float *)(wy + places.wy[k]);
            __m256 sum = _mm256_setzero_ps();
            for (int t = 0; t < job.x.taps; t += 8) {
                const uint8_t *p = src + places.at[k];
                const __m256i use = _mm256_cmpgt_epi32(_mm256_set1_epi32(job.x.taps - t), lanes);
                __m256 columns = _mm256_setzero_ps();
                for (int r = 0; r < job.y.taps; r++, p += stride) {
                    const __m256 row = _mm256_maskload_ps((const float *)p + t, use);
                    columns = _mm256_fmadd_ps(_mm256_set1_ps(vertical[r]), row, columns);
                }
                sum = _mm256_fmadd_ps(columns, _mm256_maskload_ps(horizontal + t, use), sum);
            }
            __m128 four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
            four = _mm_add_ps(four, _mm_movehl_ps(four, four));
            four = _mm_add_ss(four, _mm_shuffle_ps(four, four, 1));
            ((float *)out)[k] = _mm_cvtss_f32(four);
        }
    }
    _mm256_zeroupper();
}
