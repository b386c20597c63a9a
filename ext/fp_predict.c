#include "fp_predict.h"

#include <string.h>

#include "fp_cpu.h"

/* dst[i] = src[i] + dst[i - c], byte by byte; src may be dst. */
typedef void (*prefix_fn)(const uint8_t *src, uint8_t *dst, ptrdiff_t bytes, ptrdiff_t c);

/* Four byte planes `length` apart, most significant first, to `count` little-endian samples. */
typedef void (*weave_fn)(const uint8_t *planes, ptrdiff_t length, uint8_t *dst, ptrdiff_t count);

FP_INLINE void prefix_of(const uint8_t *src, uint8_t *dst, ptrdiff_t bytes, ptrdiff_t c)
{
    uint8_t sum[4] = {0, 0, 0, 0};
    for (ptrdiff_t i = 0; i < bytes; i += c) {
        for (ptrdiff_t k = 0; k < c; k++) dst[i + k] = sum[k] = (uint8_t)(sum[k] + src[i + k]);
    }
}

static void prefix_generic(const uint8_t *src, uint8_t *dst, ptrdiff_t bytes, ptrdiff_t c)
{
    /* constant counts keep the sums in registers: four times as fast */
    switch (c) {
    case 1: prefix_of(src, dst, bytes, 1); break;
    case 2: prefix_of(src, dst, bytes, 2); break;
    case 3: prefix_of(src, dst, bytes, 3); break;
    default: prefix_of(src, dst, bytes, 4); break;
    }
}

static void weave_generic(const uint8_t *planes, ptrdiff_t length, uint8_t *dst, ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i++) {
        for (ptrdiff_t k = 0; k < 4; k++) dst[4 * i + k] = planes[(3 - k) * length + i];
    }
}

#if defined(FP_X86)
#include "fp_predict_x86.h"
#endif

static prefix_fn pick_prefix(ptrdiff_t channels)
{
#if defined(FP_X86)
    static const prefix_fn by_channels[4] = {prefix1_avx2, prefix2_avx2, prefix3_avx2, prefix4_avx2};
    if (fp_cpu_live() & FP_CPU_AVX2) return by_channels[channels - 1];
#endif
    (void)channels;
    return prefix_generic;
}

static weave_fn pick_weave(void)
{
#if defined(FP_X86)
    if (fp_cpu_live() & FP_CPU_AVX2) return weave_avx2;
#endif
    return weave_generic;
}

void fp_unpredict_none(const fp_view *src, const fp_view *out)
{
    size_t bytes = (size_t)(out->cols * out->channels * out->item);
    for (ptrdiff_t y = 0; y < out->rows; y++) memcpy(fp_row(out, y), fp_row(src, y), bytes);
}

void fp_unpredict_u8(const fp_view *src, const fp_view *out)
{
    prefix_fn prefix = pick_prefix(out->channels);
    for (ptrdiff_t y = 0; y < out->rows; y++) {
        prefix(fp_row(src, y), fp_row(out, y), out->cols * out->channels, out->channels);
    }
}

void fp_unpredict_u32(const fp_view *src, const fp_view *out)
{
    ptrdiff_t channels = out->channels, samples = out->cols * channels;
    for (ptrdiff_t y = 0; y < out->rows; y++) {
        const uint8_t *from = fp_row(src, y);
        uint8_t *to = fp_row(out, y);
        uint32_t sum[4] = {0, 0, 0, 0}, value;
        for (ptrdiff_t i = 0; i < samples; i += channels) {
            for (ptrdiff_t k = 0; k < channels; k++) {
                memcpy(&value, from + 4 * (i + k), 4);
                sum[k] += value;
                memcpy(to + 4 * (i + k), &sum[k], 4);
            }
        }
    }
}

void fp_unpredict_f32(const fp_view *src, const fp_view *out)
{
    prefix_fn prefix = pick_prefix(out->channels);
    weave_fn weave = pick_weave();
    for (ptrdiff_t y = 0; y < out->rows; y++) {
        uint8_t *row = fp_row(src, y);
        prefix(row, row, src->cols, out->channels);
        weave(row, src->cols / 4, fp_row(out, y), out->cols * out->channels);
    }
}
