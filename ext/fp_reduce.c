#include "fp_reduce.h"

#include <string.h>

#include "fp_cpu.h"

/* ---- rows whose pixels are all valid: the definition, and the body the vector rows end with ---- */

FP_INLINE void row_u8(const uint8_t *r0, const uint8_t *r1, uint8_t *out, ptrdiff_t pixels, const int channels,
                      const uint8_t *table)
{
    for (ptrdiff_t j = 0; j < pixels; j++) {
        for (int k = 0; k < channels; k++) {
            ptrdiff_t at = 2 * channels * j + k;
            uint32_t sum = (uint32_t)r0[at] + r0[at + channels] + r1[at] + r1[at + channels];
            out[channels * j + k] = table ? table[sum] : (uint8_t)((sum + 1) >> 2);
        }
    }
}

FP_INLINE void row_f32(const float *r0, const float *r1, float *out, ptrdiff_t pixels, const int channels)
{
    for (ptrdiff_t j = 0; j < pixels; j++) {
        for (int k = 0; k < channels; k++) {
            ptrdiff_t at = 2 * channels * j + k;
            out[channels * j + k] = (((r0[at] + r0[at + channels]) + r1[at]) + r1[at + channels]) * 0.25f;
        }
    }
}

typedef void row_u8_fn(const uint8_t *r0, const uint8_t *r1, uint8_t *out, ptrdiff_t pixels, const uint8_t *table);
typedef void row_f32_fn(const float *r0, const float *r1, float *out, ptrdiff_t pixels);

#define DEFINE_ROWS(channels) \
    static void row_u8_c##channels(const uint8_t *r0, const uint8_t *r1, uint8_t *out, ptrdiff_t pixels, \
                                   const uint8_t *table) \
    { \
        (void)table; \
        row_u8(r0, r1, out, pixels, channels, NULL); \
    } \
    static void row_u8_c##channels##_table(const uint8_t *r0, const uint8_t *r1, uint8_t *out, ptrdiff_t pixels, \
                                           const uint8_t *table) \
    { \
        row_u8(r0, r1, out, pixels, channels, table); \
    } \
    static void row_f32_c##channels(const float *r0, const float *r1, float *out, ptrdiff_t pixels) \
    { \
        row_f32(r0, r1, out, pixels, channels); \
    }

DEFINE_ROWS(1)
DEFINE_ROWS(2)
DEFINE_ROWS(3)
DEFINE_ROWS(4)

static row_u8_fn *const rows_u8[] = {row_u8_c1, row_u8_c2, row_u8_c3, row_u8_c4};
static row_u8_fn *const rows_u8_table[] = {row_u8_c1_table, row_u8_c2_table, row_u8_c3_table, row_u8_c4_table};
static row_f32_fn *const rows_f32[] = {row_f32_c1, row_f32_c2, row_f32_c3, row_f32_c4};

#if defined(FP_X86)
#include "fp_reduce_x86.h"
static row_u8_fn *const rows_u8_avx2[] = {row_u8_c1_avx2, row_u8_c2_avx2, row_u8_c3_avx2, row_u8_c4_avx2};
#endif

/* `channels` is 1..4. */
static row_u8_fn *choose_row_u8(ptrdiff_t channels, const uint8_t *table)
{
    if (table) return rows_u8_table[channels - 1];
#if defined(FP_X86)
    if (fp_cpu_live() & FP_CPU_AVX2) return rows_u8_avx2[channels - 1];
#endif
    return rows_u8[channels - 1];
}

static row_f32_fn *choose_row_f32(ptrdiff_t channels)
{
#if defined(FP_X86)
    if (channels == 1 && (fp_cpu_live() & FP_CPU_AVX2)) return row_f32_c1_avx2;
#endif
    return rows_f32[channels - 1];
}

/* ---- rows with some nodata: pixel by pixel ---- */

/* Valid pixels of a block and their weights: 1 or 0 for the four pixels in reading order. */
typedef struct {
    uint32_t valid[4];
    uint32_t count;
} block;

FP_INLINE block block_of(const uint8_t *m0, const uint8_t *m1, ptrdiff_t j)
{
    block b = {{m0[2 * j] != 0, m0[2 * j + 1] != 0, m1[2 * j] != 0, m1[2 * j + 1] != 0}, 0};
    b.count = b.valid[0] + b.valid[1] + b.valid[2] + b.valid[3];
    return b;
}

/* floor(4 sum / count) as (sum * factor) >> 16, exact for every sum of `count` bytes. */
static const uint32_t quarters_factor[5] = {0, 0, 131072, 87382, 65536};

FP_INLINE void mixed_u8(const uint8_t *r0, const uint8_t *r1, const uint8_t *m0, const uint8_t *m1, uint8_t *out,
                        uint8_t *out_mask, ptrdiff_t pixels, const int channels, const uint8_t *nodata,
                        const uint8_t *table)
{
    for (ptrdiff_t j = 0; j < pixels; j++) {
        block b = block_of(m0, m1, j);
        for (int k = 0; k < channels; k++) {
            ptrdiff_t at = 2 * channels * j + k;
            uint32_t sum = r0[at] * b.valid[0] + r0[at + channels] * b.valid[1] + r1[at] * b.valid[2] +
                           r1[at + channels] * b.valid[3];
            uint32_t quarters = (sum * quarters_factor[b.count]) >> 16;
            uint8_t mean = table ? table[quarters] : (uint8_t)((quarters + 1) >> 2);
            out[channels * j + k] = b.count < 2 ? nodata[k] : mean;
        }
        if (out_mask) out_mask[j] = b.count < 2 ? 0 : 255;
    }
}

FP_INLINE void mixed_f32(const float *r0, const float *r1, const uint8_t *m0, const uint8_t *m1, float *out,
                         uint8_t *out_mask, ptrdiff_t pixels, const int channels, const float *nodata)
{
    for (ptrdiff_t j = 0; j < pixels; j++) {
        block b = block_of(m0, m1, j);
        for (int k = 0; k < channels; k++) {
            ptrdiff_t at = 2 * channels * j + k;
            const float samples[4] = {r0[at], r0[at + channels], r1[at], r1[at + channels]};
            float sum = -0.0f; /* the neutral element: 0 + -0 would lose the sign */
            for (int i = 0; i < 4; i++) sum += b.valid[i] ? samples[i] : -0.0f;
            out[channels * j + k] = b.count < 2 ? nodata[k] : sum / (float)b.count;
        }
        if (out_mask) out_mask[j] = b.count < 2 ? 0 : 255;
    }
}

typedef void mixed_u8_fn(const uint8_t *r0, const uint8_t *r1, const uint8_t *m0, const uint8_t *m1, uint8_t *out,
                         uint8_t *out_mask, ptrdiff_t pixels, const uint8_t *nodata, const uint8_t *table);
typedef void mixed_f32_fn(const float *r0, const float *r1, const uint8_t *m0, const uint8_t *m1, float *out,
                          uint8_t *out_mask, ptrdiff_t pixels, const float *nodata);

#define DEFINE_MIXED(channels) \
    static void mixed_u8_c##channels(const uint8_t *r0, const uint8_t *r1, const uint8_t *m0, const uint8_t *m1, \
                                     uint8_t *out, uint8_t *out_mask, ptrdiff_t pixels, const uint8_t *nodata, \
                                     const uint8_t *table) \
    { \
        mixed_u8(r0, r1, m0, m1, out, out_mask, pixels, channels, nodata, table); \
    } \
    static void mixed_f32_c##channels(const float *r0, const float *r1, const uint8_t *m0, const uint8_t *m1, \
                                      float *out, uint8_t *out_mask, ptrdiff_t pixels, const float *nodata) \
    { \
        mixed_f32(r0, r1, m0, m1, out, out_mask, pixels, channels, nodata); \
    }

DEFINE_MIXED(1)
DEFINE_MIXED(2)
DEFINE_MIXED(3)
DEFINE_MIXED(4)

static mixed_u8_fn *const mixed_rows_u8[] = {mixed_u8_c1, mixed_u8_c2, mixed_u8_c3, mixed_u8_c4};
static mixed_f32_fn *const mixed_rows_f32[] = {mixed_f32_c1, mixed_f32_c2, mixed_f32_c3, mixed_f32_c4};

/* ---- whole images: runs of one state ---- */

enum state { EMPTY, MIXED, FULL };

/* Output pixels whose state is decided together. */
#define SEGMENT 64

static enum state state_of(const uint8_t *m0, const uint8_t *m1, ptrdiff_t pixels)
{
    uint8_t low = 255, high = 0;
    for (ptrdiff_t i = 0; i < 2 * pixels; i++) {
        uint8_t a = m0[i] < m1[i] ? m0[i] : m1[i];
        uint8_t b = m0[i] < m1[i] ? m1[i] : m0[i];
        low = a < low ? a : low;
        high = b > high ? b : high;
    }
    return low ? FULL : high ? MIXED : EMPTY;
}

/* Length of the run of segments that starts at pixel `start` and their common state. */
static ptrdiff_t next_run(const uint8_t *m0, const uint8_t *m1, ptrdiff_t start, ptrdiff_t cols, enum state *state)
{
    ptrdiff_t at = start;
    while (at < cols) {
        ptrdiff_t size = cols - at < SEGMENT ? cols - at : SEGMENT;
        enum state here = state_of(m0 + 2 * at, m1 + 2 * at, size);
        if (at == start) *state = here;
        if (here != *state) break;
        at += size;
    }
    return at - start;
}

static void fill_pixels(uint8_t *out, ptrdiff_t pixels, const void *value, size_t pixel_size)
{
    for (ptrdiff_t j = 0; j < pixels; j++) memcpy(out + j * pixel_size, value, pixel_size);
}

void fp_reduce2x2_u8(const fp_view *src, const fp_view *out, const fp_view *mask, const fp_view *out_mask,
                     const uint8_t *nodata, const uint8_t *table)
{
    const ptrdiff_t cols = out->cols, channels = out->channels;
    row_u8_fn *full_row = choose_row_u8(channels, table);
    mixed_u8_fn *mixed_row = mixed_rows_u8[channels - 1];
    for (ptrdiff_t y = 0; y < out->rows; y++) {
        const uint8_t *r0 = fp_row(src, 2 * y), *r1 = fp_row(src, 2 * y + 1);
        uint8_t *to = fp_row(out, y);
        uint8_t *to_mask = out_mask->data ? fp_row(out_mask, y) : NULL;
        if (!mask->data) {
            full_row(r0, r1, to, cols, table);
            if (to_mask) memset(to_mask, 255, (size_t)cols);
            continue;
        }
        const uint8_t *m0 = fp_row(mask, 2 * y), *m1 = fp_row(mask, 2 * y + 1);
        ptrdiff_t run = 0;
        for (ptrdiff_t j = 0; j < cols; j += run) {
            enum state state = EMPTY;
            run = next_run(m0, m1, j, cols, &state);
            const ptrdiff_t at = j * channels;
            if (state == MIXED) {
                mixed_row(r0 + 2 * at, r1 + 2 * at, m0 + 2 * j, m1 + 2 * j, to + at, to_mask ? to_mask + j : NULL, run,
                          nodata, table);
                continue;
            }
            if (state == FULL) full_row(r0 + 2 * at, r1 + 2 * at, to + at, run, table);
            else fill_pixels(to + at, run, nodata, (size_t)channels);
            if (to_mask) memset(to_mask + j, state == FULL ? 255 : 0, (size_t)run);
        }
    }
}

void fp_reduce2x2_f32(const fp_view *src, const fp_view *out, const fp_view *mask, const fp_view *out_mask,
                      const float *nodata)
{
    const ptrdiff_t cols = out->cols, channels = out->channels;
    row_f32_fn *full_row = choose_row_f32(channels);
    mixed_f32_fn *mixed_row = mixed_rows_f32[channels - 1];
    for (ptrdiff_t y = 0; y < out->rows; y++) {
        const float *r0 = (const float *)fp_row(src, 2 * y), *r1 = (const float *)fp_row(src, 2 * y + 1);
        float *to = (float *)fp_row(out, y);
        uint8_t *to_mask = out_mask->data ? fp_row(out_mask, y) : NULL;
        if (!mask->data) {
            full_row(r0, r1, to, cols);
            if (to_mask) memset(to_mask, 255, (size_t)cols);
            continue;
        }
        const uint8_t *m0 = fp_row(mask, 2 * y), *m1 = fp_row(mask, 2 * y + 1);
        ptrdiff_t run = 0;
        for (ptrdiff_t j = 0; j < cols; j += run) {
            enum state state = EMPTY;
            run = next_run(m0, m1, j, cols, &state);
            const ptrdiff_t at = j * channels;
            if (state == MIXED) {
                mixed_row(r0 + 2 * at, r1 + 2 * at, m0 + 2 * j, m1 + 2 * j, to + at, to_mask ? to_mask + j : NULL, run,
                          nodata);
                continue;
            }
            if (state == FULL) full_row(r0 + 2 * at, r1 + 2 * at, to + at, run);
            else fill_pixels((uint8_t *)(to + at), run, nodata, (size_t)channels * sizeof(float));
            if (to_mask) memset(to_mask + j, state == FULL ? 255 : 0, (size_t)run);
        }
    }
}

/* ---- decimation ---- */

#define DECIMATE_ROW(size) \
    for (ptrdiff_t i = 0; i < out->cols; i++) memcpy(to + i * (size), from + i * ratio * (size), (size))

void fp_decimate(const fp_view *src, ptrdiff_t ratio, ptrdiff_t x0, ptrdiff_t y0, const fp_view *out)
{
    const size_t size = (size_t)(src->item * src->channels);
    for (ptrdiff_t j = 0; j < out->rows; j++) {
        const uint8_t *from = fp_row(src, y0 + j * ratio) + x0 * (ptrdiff_t)size;
        uint8_t *to = fp_row(out, j);
        switch (size) { /* constant sizes let the compiler copy in registers */
        case 1: DECIMATE_ROW(1); break;
        case 2: DECIMATE_ROW(2); break;
        case 3: DECIMATE_ROW(3); break;
        case 4: DECIMATE_ROW(4); break;
        default: DECIMATE_ROW(size);
        }
    }
}
