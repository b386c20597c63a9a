/* Sums, extremes and histograms of the valid samples of a raster block. */
#ifndef FP_DBSTATS_H
#define FP_DBSTATS_H

#include "fp_common.h"

/* counts[v] += pixels of value v, of 8-bit (256 counts) or 16-bit samples (65536 counts), signed ones by their bits. A
 * mask without data means that every pixel is valid. */
void fp_count_u8(const fp_view *src, const fp_view *mask, uint64_t *counts);
void fp_count_u16(const fp_view *src, const fp_view *mask, uint64_t *counts);

typedef struct {
    int64_t count;
    int64_t least, most;         /* undefined when count is 0 */
    int64_t sum;                 /* exact below 2^31 pixels, as are the next three */
    int64_t high, middle, low;   /* v = a 65536 + b, 0 <= b < 65536: sums of a a, a b and b b */
} fp_integer_sums;

/* Sums of 32-bit samples; `is_signed` says how to read them. */
void fp_sum_i32(const fp_view *src, const fp_view *mask, int is_signed, fp_integer_sums *sums);

typedef struct {
    int64_t count; /* valid and finite ones: the others are left out of everything */
    double least, most; /* undefined when count is 0 */
    double mean;
    double deviations; /* sum of (v - mean)^2 */
} fp_float_sums;

/* Sums of one block of floats (item 4 or 8), in two passes and a fixed order. */
void fp_sum_float(const fp_view *src, const fp_view *mask, fp_float_sums *sums);

/* counts[k] += 1, k = floor((v - origin) * scale) - first kept within 0..bins-1, for valid (and finite) samples of kind
 * I, i, f or d. */
void fp_histogram(const fp_view *src, const fp_view *mask, char kind, double origin, double scale, double first,
                  ptrdiff_t bins, uint64_t *counts);

#endif
