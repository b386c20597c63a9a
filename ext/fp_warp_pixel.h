/* One pixel of a warp in plain C: the definition that the vector paths repeat. Included by fp_warp.c. */

#define WEIGHT_BITS 14

FP_INLINE ptrdiff_t clamped(ptrdiff_t index, ptrdiff_t size)
{
    return index < 0 ? 0 : index >= size ? size - 1 : index;
}

FP_INLINE uint8_t to_u8(int32_t value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* Copies one pixel; sizes that are frequent become single moves. */
FP_INLINE void copy_pixel(uint8_t *out, const uint8_t *pixel, ptrdiff_t size)
{
    if (size == 3)
        memcpy(out, pixel, 3);
    else if (size == 4)
        memcpy(out, pixel, 4);
    else if (size == 1)
        *out = *pixel;
    else
        memcpy(out, pixel, (size_t)size);
}

/* What is added before the last shift: half a unit, and what two (one, with a single tap pair) shifts down lose. */
FP_INLINE int32_t rounding_u8(const fp_warp_job *job)
{
    return (1 << (WEIGHT_BITS - 1 + job->bits)) + (job->x.taps > 2 ? 1 << WEIGHT_BITS : 1 << (WEIGHT_BITS - 1));
}

/* What a pixel function may know as constants at its call. */
typedef struct {
    ptrdiff_t channels;
    int taps_x, taps_y, is_inside;
} pixel_shape;

/* Pixel whose first tap is (x0, y0); taps outside the source take its edge. */
FP_INLINE void pixel_u8(const fp_warp_job *job, ptrdiff_t x0, ptrdiff_t y0, const int16_t *wx, const int16_t *wy,
                        const pixel_shape shape, uint8_t *out)
{
    const fp_view *src = &job->src;
    const int shift = WEIGHT_BITS - job->bits;
    int32_t sum[4];
    for (ptrdiff_t c = 0; c < shape.channels; c++) sum[c] = rounding_u8(job);
    for (int r = 0; r < shape.taps_y; r++) {
        const uint8_t *row = fp_row(src, shape.is_inside ? y0 + r : clamped(y0 + r, src->rows));
        for (ptrdiff_t c = 0; c < shape.channels; c++) {
            int32_t a = 0, b = 0;
            for (int t = 0; t < shape.taps_x; t++) {
                const ptrdiff_t x = shape.is_inside ? x0 + t : clamped(x0 + t, src->cols);
                const int32_t product = wx[t] * row[x * shape.channels + c];
                if (t & 2)
                    b += product;
                else
                    a += product;
            }
            sum[c] += wy[r] * ((a >> shift) + (b >> shift));
        }
    }
    for (ptrdiff_t c = 0; c < shape.channels; c++) out[c] = to_u8(sum[c] >> (WEIGHT_BITS + job->bits));
}

FP_INLINE void pixel_f32(const fp_warp_job *job, ptrdiff_t x0, ptrdiff_t y0, const float *wx, const float *wy,
                         const pixel_shape shape, float *out)
{
    const fp_view *src = &job->src;
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int r = 0; r < shape.taps_y; r++) {
        const float *row = (const float *)fp_row(src, shape.is_inside ? y0 + r : clamped(y0 + r, src->rows));
        for (ptrdiff_t c = 0; c < shape.channels; c++) {
            float line = 0.0f;
            for (int t = 0; t < shape.taps_x; t++) {
                const ptrdiff_t x = shape.is_inside ? x0 + t : clamped(x0 + t, src->cols);
                line += wx[t] * row[x * shape.channels + c];
            }
            sum[c] += wy[r] * line;
        }
    }
    for (ptrdiff_t c = 0; c < shape.channels; c++) out[c] = sum[c];
}

/* Range of taps that lie inside the source. */
typedef struct {
    int from, to;
} tap_range;

FP_INLINE tap_range taps_inside(ptrdiff_t first, int taps, ptrdiff_t size)
{
    tap_range range;
    range.from = first < 0 ? (-first < taps ? (int)-first : taps) : 0;
    range.to = first + taps > size ? (size > first ? (int)(size - first) : 0) : taps;
    return range;
}

/* The masked rule: sums over the valid taps divided once; a denominator below 0.1 gives the nearest pixel. */
static void masked_pixel_u8(const fp_warp_job *job, ptrdiff_t x0, ptrdiff_t y0, const int16_t *wx, const int16_t *wy,
                            const uint8_t *nearest_pixel, uint8_t *out)
{
    const ptrdiff_t channels = job->src.channels;
    const tap_range rx = taps_inside(x0, job->x.taps, job->src.cols);
    const tap_range ry = taps_inside(y0, job->y.taps, job->src.rows);
    int64_t sum[4] = {0, 0, 0, 0}, total = 0;
    for (int r = ry.from; r < ry.to; r++) {
        const uint8_t *row = fp_row(&job->src, y0 + r), *valid = fp_row(&job->mask, y0 + r);
        int32_t row_sum[4] = {0, 0, 0, 0}, row_total = 0;
        for (int t = rx.from; t < rx.to; t++) {
            const int32_t w = valid[x0 + t] ? wx[t] : 0;
            row_total += w;
            for (ptrdiff_t c = 0; c < channels; c++) row_sum[c] += w * row[(x0 + t) * channels + c];
        }
        total += (int64_t)wy[r] * row_total;
        for (ptrdiff_t c = 0; c < channels; c++) sum[c] += (int64_t)wy[r] * row_sum[c];
    }
    const int is_weak = (double)total < 0.1 * (double)(1 << (2 * WEIGHT_BITS));
    for (ptrdiff_t c = 0; c < channels; c++)
        out[c] = is_weak ? nearest_pixel[c] : to_u8((int32_t)floor((double)sum[c] / (double)total + 0.5));
}

static void masked_pixel_f32(const fp_warp_job *job, ptrdiff_t x0, ptrdiff_t y0, const float *wx, const float *wy,
                             const float *nearest_pixel, float *out)
{
    const ptrdiff_t channels = job->src.channels;
    const tap_range rx = taps_inside(x0, job->x.taps, job->src.cols);
    const tap_range ry = taps_inside(y0, job->y.taps, job->src.rows);
    double sum[4] = {0, 0, 0, 0}, total = 0;
    for (int r = ry.from; r < ry.to; r++) {
        const float *row = (const float *)fp_row(&job->src, y0 + r);
        const uint8_t *valid = fp_row(&job->mask, y0 + r);
        for (int t = rx.from; t < rx.to; t++) {
            if (!valid[x0 + t]) continue;
            const double w = (double)wx[t] * (double)wy[r];
            total += w;
            for (ptrdiff_t c = 0; c < channels; c++) sum[c] += w * (double)row[(x0 + t) * channels + c];
        }
    }
    for (ptrdiff_t c = 0; c < channels; c++) out[c] = total < 0.1 ? nearest_pixel[c] : (float)(sum[c] / total);
}
