/* Bodies of the passes in plain C, compiled once for each instruction set (the compiler vectorises the column pass).
 * No sum is reordered, so every set gives the same bits. Included by fp_resample.c. */

FP_INLINE float sample_at(const void *row, ptrdiff_t index, int is_u8)
{
    return is_u8 ? (float)((const uint8_t *)row)[index] : ((const float *)row)[index];
}

/* sum[i] = w v (is_first) or sum[i] + w v. */
FP_INLINE void add_row(float *FP_RESTRICT sum, const void *FP_RESTRICT row, float w, ptrdiff_t n, int is_u8, int is_first)
{
    if (is_first)
        for (ptrdiff_t i = 0; i < n; i++) sum[i] = w * sample_at(row, i, is_u8);
    else
        for (ptrdiff_t i = 0; i < n; i++) sum[i] = sum[i] + w * sample_at(row, i, is_u8);
}

FP_INLINE void add_four_rows(float *FP_RESTRICT sum, const void *const *rows, const float *w, ptrdiff_t n, int is_u8,
                             int is_first)
{
    const void *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
    const float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
    for (ptrdiff_t i = 0; i < n; i++) {
        float s = w0 * sample_at(r0, i, is_u8);
        if (!is_first) s = sum[i] + s;
        s = s + w1 * sample_at(r1, i, is_u8);
        s = s + w2 * sample_at(r2, i, is_u8);
        sum[i] = s + w3 * sample_at(r3, i, is_u8);
    }
}

/* Column pass of output row `row`: sum has the samples of source columns from..to-1, at their own index. */
FP_INLINE void columns_pass(const fp_resample_job *job, ptrdiff_t row, ptrdiff_t from, ptrdiff_t to, float *sum, int is_u8)
{
    const ptrdiff_t size = job->src.item * job->src.channels, n = (to - from) * job->src.channels;
    const float *w = job->y.weights + row * job->y.taps;
    const uint8_t *top = fp_row(&job->src, job->y.first[row]) + from * size;
    sum += from * job->src.channels;
    ptrdiff_t t = 0;
    for (; t + 4 <= job->y.taps; t += 4) {
        const void *rows[4];
        for (int r = 0; r < 4; r++) rows[r] = top + (t + r) * job->src.stride;
        if (t == 0)
            add_four_rows(sum, rows, w, n, is_u8, 1);
        else
            add_four_rows(sum, rows, w + t, n, is_u8, 0);
    }
    for (; t < job->y.taps; t++) add_row(sum, top + t * job->src.stride, w[t], n, is_u8, t == 0);
}

FP_INLINE void store_sample(void *out, ptrdiff_t index, float value, int is_u8)
{
    if (!is_u8) {
        ((float *)out)[index] = value;
        return;
    }
    value += 0.5f;
    ((uint8_t *)out)[index] = (uint8_t)(value < 0.0f ? 0.0f : value > 255.0f ? 255.0f : value);
}

/* Row pass for output pixels from..to-1 of one row; sum is indexed by source column. */
FP_INLINE void row_pass(const fp_resample_job *job, const float *sum, ptrdiff_t from, ptrdiff_t to, void *out, int is_u8)
{
    const ptrdiff_t channels = job->src.channels, taps = job->x.taps;
    for (ptrdiff_t i = from; i < to; i++) {
        const float *w = job->x.weights + i * taps, *v = sum + job->x.first[i] * channels;
        for (ptrdiff_t c = 0; c < channels; c++) {
            float s = w[0] * v[c];
            for (ptrdiff_t t = 1; t < taps; t++) s = s + w[t] * v[t * channels + c];
            store_sample(out, i * channels + c, s, is_u8);
        }
    }
}
