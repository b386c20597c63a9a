#include "fp_mask.h"

#include <string.h>

#include "fp_cpu.h"

/* Number of leading pixels, at most n, that are data (wanted = 1) or nodata (wanted = 0). Eight at a time. */
static ptrdiff_t run_length(const uint8_t *mask, ptrdiff_t n, int wanted)
{
    ptrdiff_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, mask + i, 8);
        /* Top bit of each byte: set where the byte is not 0 (no carry crosses bytes). */
        uint64_t data = ((word & 0x7F7F7F7F7F7F7F7FULL) + 0x7F7F7F7F7F7F7F7FULL) | word;
        data &= 0x8080808080808080ULL;
        if (data != (wanted ? 0x8080808080808080ULL : 0)) break;
    }
    while (i < n && (mask[i] != 0) == wanted) i++;
    return i;
}

void fp_paint(const fp_view *dst, const fp_view *dst_mask, const fp_view *src, const fp_view *src_mask)
{
    const size_t size = (size_t)(src->item * src->channels);
    for (ptrdiff_t y = 0; y < src->rows; y++) {
        const uint8_t *from = fp_row(src, y), *mask = src_mask->data ? fp_row(src_mask, y) : NULL;
        uint8_t *to = fp_row(dst, y), *to_mask = dst_mask->data ? fp_row(dst_mask, y) : NULL;
        for (ptrdiff_t x = 0; x < src->cols;) {
            ptrdiff_t run = src->cols;
            if (mask) {
                x += run_length(mask + x, src->cols - x, 0);
                run = run_length(mask + x, src->cols - x, 1);
            }
            if (run) {
                memcpy(to + (size_t)x * size, from + (size_t)x * size, (size_t)run * size);
                if (to_mask) memset(to_mask + x, 255, (size_t)run);
            }
            x += run;
        }
    }
}

static void fill_run(uint8_t *to, ptrdiff_t run, const uint8_t *nodata, size_t size)
{
    if (run <= 0) return;
    if (size == 1) {
        memset(to, nodata[0], (size_t)run);
        return;
    }
    /* Twice as much each time. */
    const size_t whole = (size_t)run * size;
    memcpy(to, nodata, size);
    for (size_t done = size; done < whole; done *= 2) memcpy(to + done, to, done < whole - done ? done : whole - done);
}

void fp_fill_nodata(const fp_view *pixels, const fp_view *mask, const uint8_t *nodata)
{
    const size_t size = (size_t)(pixels->item * pixels->channels);
    for (ptrdiff_t y = 0; y < pixels->rows; y++) {
        const uint8_t *m = fp_row(mask, y);
        uint8_t *to = fp_row(pixels, y);
        for (ptrdiff_t x = 0; x < pixels->cols;) {
            x += run_length(m + x, pixels->cols - x, 1);
            ptrdiff_t run = run_length(m + x, pixels->cols - x, 0);
            fill_run(to + (size_t)x * size, run, nodata, size);
            x += run;
        }
    }
}

FP_INLINE int same_u8(uint8_t a, uint8_t b)
{
    return a == b;
}

FP_INLINE int same_f32(float a, float b)
{
    return (a == b) | ((a != a) & (b != b));
}

/* Leading pixels of a row that a vector path has done. */
typedef ptrdiff_t nodata_row_fn(const uint8_t *p, const uint8_t *nodata, uint8_t *out, ptrdiff_t cols);

#if defined(FP_X86)
#include "fp_mask_x86.h"
#endif

/* NULL where the generic row is as fast. */
static nodata_row_fn *nodata_path(const fp_view *pixels)
{
#if defined(FP_X86)
    static nodata_row_fn *const rows[4] = {NULL, NULL, nodata_row_c3_avx2, nodata_row_c4_avx2};
    if (pixels->item == 1 && (fp_cpu_live() & FP_CPU_AVX2)) return rows[pixels->channels - 1];
#endif
    (void)pixels;
    return NULL;
}

#define DEFINE_NODATA_ROW(type, suffix) \
    FP_INLINE void nodata_row_##suffix(const type *p, const type *nodata, uint8_t *out, ptrdiff_t cols, \
                                       const int channels) \
    { \
        for (ptrdiff_t x = 0; x < cols; x++) { \
            int same = 1; \
            for (int k = 0; k < channels; k++) same &= same_##suffix(p[x * channels + k], nodata[k]); \
            out[x] = same ? 0 : 255; \
        } \
    } \
    void fp_nodata_mask_##suffix(const fp_view *pixels, const type *nodata, const fp_view *out) \
    { \
        nodata_row_fn *const path = nodata_path(pixels); \
        for (ptrdiff_t y = 0; y < pixels->rows; y++) { \
            const ptrdiff_t done = path ? path(fp_row(pixels, y), (const uint8_t *)nodata, fp_row(out, y), pixels->cols) : 0; \
            const type *p = (const type *)fp_row(pixels, y) + done * pixels->channels; \
            uint8_t *to = fp_row(out, y) + done; \
            const ptrdiff_t rest = pixels->cols - done; \
            switch (pixels->channels) { \
            case 1: nodata_row_##suffix(p, nodata, to, rest, 1); break; \
            case 2: nodata_row_##suffix(p, nodata, to, rest, 2); break; \
            case 3: nodata_row_##suffix(p, nodata, to, rest, 3); break; \
            default: nodata_row_##suffix(p, nodata, to, rest, 4); \
            } \
        } \
    }

DEFINE_NODATA_ROW(uint8_t, u8)
DEFINE_NODATA_ROW(float, f32)

/* Smallest and largest value of a row piece, folded into *low and *high. */
static void row_range(const uint8_t *m, ptrdiff_t n, uint8_t *low, uint8_t *high)
{
    uint8_t least = *low, most = *high;
    for (ptrdiff_t i = 0; i < n; i++) {
        least = m[i] < least ? m[i] : least;
        most = m[i] > most ? m[i] : most;
    }
    *low = least;
    *high = most;
}

static uint8_t tile_state(const fp_view *mask, ptrdiff_t y0, ptrdiff_t x0, ptrdiff_t rows, ptrdiff_t cols)
{
    uint8_t low = 255, high = 0;
    for (ptrdiff_t y = 0; y < rows; y++) {
        row_range(fp_row(mask, y0 + y) + x0, cols, &low, &high);
        if (!low && high) return 1;
    }
    return low ? 2 : 0;
}

void fp_mask_states(const fp_view *mask, ptrdiff_t tile_rows, ptrdiff_t tile_cols, const fp_view *states)
{
    for (ptrdiff_t j = 0; j < states->rows; j++) {
        uint8_t *to = fp_row(states, j);
        for (ptrdiff_t i = 0; i < states->cols; i++)
            to[i] = tile_state(mask, j * tile_rows, i * tile_cols, tile_rows, tile_cols);
    }
}
