/* Statistics of raster blocks: see fp_dbstats.h. Plain loops: reading the block costs about as much. */
#include "fp_dbstats.h"

#include <math.h>

void fp_count_u8(const fp_view *src, const fp_view *mask, uint64_t *counts)
{
    for (ptrdiff_t y = 0; y < src->rows; y++) {
        const uint8_t *row = fp_row(src, y);
        if (mask->data) {
            const uint8_t *valid = fp_row(mask, y);
            for (ptrdiff_t x = 0; x < src->cols; x++) counts[row[x]] += valid[x] != 0;
        } else {
            for (ptrdiff_t x = 0; x < src->cols; x++) counts[row[x]]++;
        }
    }
}

void fp_count_u16(const fp_view *src, const fp_view *mask, uint64_t *counts)
{
    for (ptrdiff_t y = 0; y < src->rows; y++) {
        const uint16_t *row = (const uint16_t *)fp_row(src, y);
        const uint8_t *valid = mask->data ? fp_row(mask, y) : 0;
        for (ptrdiff_t x = 0; x < src->cols; x++) counts[row[x]] += !valid || valid[x] != 0;
    }
}

void fp_sum_i32(const fp_view *src, const fp_view *mask, int is_signed, fp_integer_sums *sums)
{
    fp_integer_sums s = {0, INT64_MAX, INT64_MIN, 0, 0, 0, 0};
    for (ptrdiff_t y = 0; y < src->rows; y++) {
        const uint32_t *row = (const uint32_t *)fp_row(src, y);
        const uint8_t *valid = mask->data ? fp_row(mask, y) : 0;
        for (ptrdiff_t x = 0; x < src->cols; x++) {
            if (valid && !valid[x]) continue;
            int64_t v = is_signed ? (int64_t)(int32_t)row[x] : (int64_t)row[x];
            int64_t b = v & 65535, a = (v - b) / 65536;
            s.count++;
            s.sum += v;
            s.high += a * a;
            s.middle += a * b;
            s.low += b * b;
            if (v < s.least) s.least = v;
            if (v > s.most) s.most = v;
        }
    }
    *sums = s;
}

FP_INLINE double sample_of(const uint8_t *row, ptrdiff_t x, ptrdiff_t item)
{
    return item == 4 ? (double)((const float *)row)[x] : ((const double *)row)[x];
}

FP_INLINE void sum_floats(const fp_view *src, const fp_view *mask, ptrdiff_t item, fp_float_sums *s)
{
    double least = INFINITY, most = -INFINITY;
    /* Lane x % 8 of each row: sums that do not wait for one another, in an order that never changes. */
    double lanes[8] = {0}, squares[8] = {0}, rests[8] = {0}, sum = 0, square = 0, rest = 0;
    for (ptrdiff_t y = 0; y < src->rows; y++) {
        const uint8_t *row = fp_row(src, y), *valid = mask->data ? fp_row(mask, y) : 0;
        for (ptrdiff_t x = 0; x < src->cols; x++) {
            double v = sample_of(row, x, item);
            if ((valid && !valid[x]) || !isfinite(v)) continue;
            s->count++;
            lanes[x & 7] += v;
            if (v < least) least = v;
            if (v > most) most = v;
        }
    }
    s->least = least;
    s->most = most;
    s->mean = 0;
    s->deviations = 0;
    if (!s->count) return;
    for (int k = 0; k < 8; k++) sum += lanes[k];
    s->mean = sum / (double)s->count;
    for (ptrdiff_t y = 0; y < src->rows; y++) {
        const uint8_t *row = fp_row(src, y), *valid = mask->data ? fp_row(mask, y) : 0;
        for (ptrdiff_t x = 0; x < src->cols; x++) {
            double v = sample_of(row, x, item), d = v - s->mean;
            if ((valid && !valid[x]) || !isfinite(v)) continue;
            squares[x & 7] += d * d;
            rests[x & 7] += d;
        }
    }
    for (int k = 0; k < 8; k++) {
        square += squares[k];
        rest += rests[k];
    }
    /* The mean was rounded: what is left of the deviations corrects both. */
    s->mean += rest / (double)s->count;
    s->deviations = square - rest * (rest / (double)s->count);
    if (s->deviations < 0) s->deviations = 0;
}

void fp_sum_float(const fp_view *src, const fp_view *mask, fp_float_sums *sums)
{
    fp_float_sums s = {0, 0, 0, 0, 0};
    if (src->item == 4) {
        sum_floats(src, mask, 4, &s);
    } else {
        sum_floats(src, mask, 8, &s);
    }
    *sums = s;
}

FP_INLINE double value_of(const uint8_t *row, ptrdiff_t x, char kind)
{
    if (kind == 'f') return ((const float *)row)[x];
    if (kind == 'd') return ((const double *)row)[x];
    return kind == 'i' ? (double)((const int32_t *)row)[x] : (double)((const uint32_t *)row)[x];
}

FP_INLINE void fill_histogram(const fp_view *src, const fp_view *mask, char kind, double origin, double scale,
                              double first, ptrdiff_t bins, uint64_t *counts)
{
    const double last = (double)(bins - 1);
    for (ptrdiff_t y = 0; y < src->rows; y++) {
        const uint8_t *row = fp_row(src, y), *valid = mask->data ? fp_row(mask, y) : 0;
        for (ptrdiff_t x = 0; x < src->cols; x++) {
            double v = value_of(row, x, kind);
            if ((valid && !valid[x]) || !isfinite(v)) continue;
            double scaled = (v - origin) * scale;
            double k = scaled == 0 && v < origin ? -1 - first : floor(scaled) - first; /* a product may vanish */
            counts[k > 0 ? (k < last ? (ptrdiff_t)k : bins - 1) : 0]++; /* NaN of 0 * inf goes to bin 0 */
        }
    }
}

void fp_histogram(const fp_view *src, const fp_view *mask, char kind, double origin, double scale, double first,
                  ptrdiff_t bins, uint64_t *counts)
{
    if (kind == 'f') {
        fill_histogram(src, mask, 'f', origin, scale, first, bins, counts);
    } else if (kind == 'd') {
        fill_histogram(src, mask, 'd', origin, scale, first, bins, counts);
    } else if (kind == 'i') {
        fill_histogram(src, mask, 'i', origin, scale, first, bins, counts);
    } else {
        fill_histogram(src, mask, 'I', origin, scale, first, bins, counts);
    }
}
