#include "fp_convert.h"

#include <string.h>

/* Weights in 1/10000; 2550000 + 5000 is the largest sum. */
FP_INLINE uint8_t luminance(const uint8_t *rgb)
{
    uint32_t sum = 2125u * rgb[0] + 7154u * rgb[1] + 721u * rgb[2];
    return (uint8_t)((sum + 5000u) / 10000u);
}

FP_INLINE void convert_row(const uint8_t *p, uint8_t *q, ptrdiff_t cols, const int from, const int to)
{
    for (ptrdiff_t x = 0; x < cols; x++, p += from, q += to) {
        if (to < 3) q[0] = from < 3 ? p[0] : luminance(p);
        else for (int k = 0; k < 3; k++) q[k] = from < 3 ? p[0] : p[k];
        if (to == 2 || to == 4) q[to - 1] = from == 2 || from == 4 ? p[from - 1] : 255;
    }
}

typedef void convert_fn(const uint8_t *p, uint8_t *q, ptrdiff_t cols);

#define DEFINE_CONVERT(from, to) \
    static void convert_##from##_##to(const uint8_t *p, uint8_t *q, ptrdiff_t cols) \
    { \
        convert_row(p, q, cols, from, to); \
    }

#define DEFINE_CONVERT_FROM(from) \
    DEFINE_CONVERT(from, 1) \
    DEFINE_CONVERT(from, 2) \
    DEFINE_CONVERT(from, 3) \
    DEFINE_CONVERT(from, 4)

DEFINE_CONVERT_FROM(1)
DEFINE_CONVERT_FROM(2)
DEFINE_CONVERT_FROM(3)
DEFINE_CONVERT_FROM(4)

#define CONVERTERS_FROM(from) {convert_##from##_1, convert_##from##_2, convert_##from##_3, convert_##from##_4}

static convert_fn *const converters[4][4] = {CONVERTERS_FROM(1), CONVERTERS_FROM(2), CONVERTERS_FROM(3),
                                             CONVERTERS_FROM(4)};

void fp_convert_u8(const fp_view *src, const fp_view *out)
{
    convert_fn *convert = converters[src->channels - 1][out->channels - 1];
    for (ptrdiff_t y = 0; y < src->rows; y++) {
        if (src->channels == out->channels)
            memcpy(fp_row(out, y), fp_row(src, y), (size_t)(src->cols * src->channels));
        else
            convert(fp_row(src, y), fp_row(out, y), src->cols);
    }
}

void fp_convert_f32(const fp_view *src, const fp_view *out)
{
    for (ptrdiff_t y = 0; y < src->rows; y++) {
        const float *p = (const float *)fp_row(src, y);
        float *q = (float *)fp_row(out, y);
        if (src->channels == out->channels) {
            memcpy(q, p, (size_t)(src->cols * src->channels) * sizeof(float));
        } else if (out->channels == 1) {
            for (ptrdiff_t x = 0; x < src->cols; x++) q[x] = p[3 * x];
        } else {
            for (ptrdiff_t x = 0; x < src->cols; x++) q[3 * x] = q[3 * x + 1] = q[3 * x + 2] = p[x];
        }
    }
}
