#include "fp_warp.h"

#include <stdlib.h>
#include <string.h>

#include "fp_cpu.h"
#include "fp_warp_grid.h"
#include "fp_warp_pixel.h"

/* Pixels that share one check of their surroundings, and the finer unit where that check fails. */
#define CHUNK 64
#define GROUP 8
/* Source rows that are fetched ahead at most: where an output row advances by more, it is seldom the memory that it
 * waits for. */
#define MOST_AHEAD 4.0
/* Bytes of a cache line. */
#define LINE 64
/* Side of the squares of source pixels that the summary of a mask describes, and what they have. */
#define SQUARE 16
#define HOLES 1
#define DATA 2
/* Boxes of more squares count as mixed: looking through them would cost more than careful pixels. */
#define MOST_SQUARES 4096

/* Writes n pixels (a multiple of GROUP) at rounded positions whose taps are all inside and valid. */
typedef void (*run_function)(const fp_warp_job *job, const int32_t *qx, const int32_t *qy, int n, uint8_t *out);

FP_INLINE void run_plain(const fp_warp_job *job, const int32_t *qx, const int32_t *qy, int n, uint8_t *out,
                         const pixel_shape shape, const int is_u8)
{
    for (int k = 0; k < n; k++, out += (is_u8 ? 1 : 4) * shape.channels) {
        const ptrdiff_t x0 = (qx[k] >> 10) + 1 - shape.taps_x / 2, y0 = (qy[k] >> 10) + 1 - shape.taps_y / 2;
        const ptrdiff_t wx = (qx[k] & 1023) * (ptrdiff_t)job->x.stride, wy = (qy[k] & 1023) * (ptrdiff_t)job->y.stride;
        if (is_u8)
            pixel_u8(job, x0, y0, job->x.integers + wx, job->y.integers + wy, shape, out);
        else
            pixel_f32(job, x0, y0, job->x.floats + wx, job->y.floats + wy, shape, (float *)out);
    }
}

/* Frequent shapes become constants: the compiler unrolls them, two to three times as fast as the last line. */
static void run_generic(const fp_warp_job *job, const int32_t *qx, const int32_t *qy, int n, uint8_t *out)
{
    const pixel_shape shape = {job->src.channels, job->x.taps, job->y.taps, 1};
    const int is_u8 = job->src.item == 1, taps = shape.taps_x == shape.taps_y ? shape.taps_x : 0;
#define PLAIN(known_channels, known_taps, known_u8) \
    if (shape.channels == (known_channels) && taps == (known_taps) && is_u8 == (known_u8)) { \
        const pixel_shape known = {known_channels, known_taps, known_taps, 1}; \
        run_plain(job, qx, qy, n, out, known, known_u8); \
        return; \
    }
    PLAIN(1, 2, 1)
    PLAIN(1, 4, 1)
    PLAIN(3, 2, 1)
    PLAIN(3, 4, 1)
    PLAIN(4, 4, 1)
    PLAIN(1, 2, 0)
    PLAIN(1, 4, 0)
    PLAIN(3, 4, 0)
#undef PLAIN
    run_plain(job, qx, qy, n, out, shape, is_u8);
}

/* A path, how it computes positions, and the bytes it loads from the first tap of a row on. */
typedef struct {
    run_function run;
    void (*fill)(const fp_warp_job *job, const grid_cell *cells, ptrdiff_t col, int n, int32_t *qx, int32_t *qy);
    ptrdiff_t load;
} warp_path;

#if defined(FP_X86)
#include "fp_warp_x86.h"
#endif

static warp_path choose_path(const fp_warp_job *job)
{
    warp_path path = {run_generic, fill_rounded, job->x.taps * job->src.channels * job->src.item};
#if defined(FP_X86)
    if (fp_cpu_live() & FP_CPU_AVX2) path = choose_avx2(job, path);
#endif
    return path;
}

/* State of one call. */
typedef struct {
    const fp_warp_job *job;
    warp_path path;
    ptrdiff_t x_last, y_last; /* greatest first tap that the path may take */
    grid_cell *cells;
    uint8_t *squares;         /* per square of the mask: which of HOLES and DATA it has */
    ptrdiff_t square_cols;
    ptrdiff_t ahead;          /* from the first row of a pixel's taps to that which the next output row needs first */
    int rows_ahead;           /* rows that it needs anew; negative where it goes up */
} warp_state;

static void summarise_mask(const fp_warp_job *job, uint8_t *squares, ptrdiff_t square_cols)
{
    for (ptrdiff_t y = 0; y < job->mask.rows; y++) {
        const uint8_t *row = fp_row(&job->mask, y);
        uint8_t *line = squares + y / SQUARE * square_cols;
        if (y % SQUARE == 0) memset(line, 0, (size_t)square_cols);
        for (ptrdiff_t s = 0; s < square_cols; s++) {
            const ptrdiff_t from = s * SQUARE, to = from + SQUARE < job->mask.cols ? from + SQUARE : job->mask.cols;
            uint8_t holes = 0, data = 0;
            if (to - from == SQUARE)
                for (int i = 0; i < SQUARE; i++) holes |= row[from + i] == 0, data |= row[from + i];
            else
                for (ptrdiff_t x = from; x < to; x++) holes |= row[x] == 0, data |= row[x];
            line[s] |= (uint8_t)((holes ? HOLES : 0) | (data ? DATA : 0));
        }
    }
}

/* Where reading goes from one output row to the next, at the left edge. */
static void look_ahead(warp_state *state, const fp_warp_job *job)
{
    state->ahead = 0, state->rows_ahead = 0;
    if (job->node_rows < 2) return;
    const double down = (job->nodes[2 * job->node_cols + 1] - job->nodes[1]) / (double)job->step;
    if (!(fabs(down) < MOST_AHEAD)) return;
    state->ahead = down < 0 ? -1 : job->y.taps > 1 ? job->y.taps : 1; /* the nearest neighbour has no taps */
    state->rows_ahead = down < 0 ? (int)floor(down) : (int)ceil(down);
}

static fp_status open_state(warp_state *state, const fp_warp_job *job)
{
    const size_t cells = (size_t)job->node_cols * sizeof(grid_cell);
    const size_t square_rows = job->mask.data ? (size_t)(job->mask.rows + SQUARE - 1) / SQUARE : 0;
    state->job = job;
    state->square_cols = (job->src.cols + SQUARE - 1) / SQUARE;
    look_ahead(state, job);
    state->cells = malloc(cells + square_rows * (size_t)state->square_cols);
    if (!state->cells) return FP_NO_MEMORY;
    state->squares = (uint8_t *)state->cells + cells;
    if (square_rows) summarise_mask(job, state->squares, state->square_cols);
    return FP_OK;
}

/* What the squares have that columns x0..x1 and rows y0..y1 (inside the source) lie in. */
static int box_content(const warp_state *state, ptrdiff_t x0, ptrdiff_t y0, ptrdiff_t x1, ptrdiff_t y1)
{
    int content = 0;
    x0 /= SQUARE, y0 /= SQUARE, x1 /= SQUARE, y1 /= SQUARE;
    if ((x1 - x0 + 1) * (y1 - y0 + 1) > MOST_SQUARES) return HOLES | DATA;
    for (ptrdiff_t y = y0; y <= y1; y++)
        for (ptrdiff_t x = x0; x <= x1; x++) content |= state->squares[y * state->square_cols + x];
    return content;
}

/* Are all mask pixels of the box (inside the source) valid? By squares, or exactly when it is small. */
static int is_box_valid(const warp_state *state, ptrdiff_t x0, ptrdiff_t y0, ptrdiff_t x1, ptrdiff_t y1)
{
    const int content = box_content(state, x0, y0, x1, y1);
    if (content != (HOLES | DATA) || x1 - x0 > 2 * SQUARE || y1 - y0 > 2 * SQUARE) return content == DATA;
    int holes = 0;
    for (ptrdiff_t y = y0; y <= y1; y++) {
        const uint8_t *row = fp_row(&state->job->mask, y);
        for (ptrdiff_t x = x0; x <= x1; x++) holes |= row[x] == 0;
    }
    return !holes;
}

/* Has no pixel at positions of the box a valid nearest pixel? (As far as the squares tell.) */
static int is_box_empty(const warp_state *state, const grid_box *box)
{
    const fp_view *src = &state->job->src;
    const ptrdiff_t x0 = nearest(box->left), x1 = nearest(box->right), y0 = nearest(box->top), y1 = nearest(box->bottom);
    if (x1 < 0 || y1 < 0 || x0 >= src->cols || y0 >= src->rows) return 1;
    if (!state->job->mask.data) return 0;
    return box_content(state, x0 < 0 ? 0 : x0, y0 < 0 ? 0 : y0, x1 < src->cols ? x1 : src->cols - 1,
                       y1 < src->rows ? y1 : src->rows - 1) == HOLES;
}

static void nodata_pixels(const fp_warp_job *job, int n, uint8_t *out, uint8_t *out_mask)
{
    const ptrdiff_t size = job->src.item * job->src.channels;
    for (int k = 0; k < n; k++) copy_pixel(out + k * size, job->nodata, size);
    if (out_mask) memset(out_mask, 0, (size_t)n);
}

/* May the path take pixels at rounded positions in this box: all taps, and all its loads, inside and valid? */
static int is_easy(const warp_state *state, int32_t left, int32_t right, int32_t top, int32_t bottom)
{
    const fp_warp_job *job = state->job;
    const ptrdiff_t x0 = (left >> 10) + 1 - job->x.taps / 2, x1 = (right >> 10) + 1 - job->x.taps / 2;
    const ptrdiff_t y0 = (top >> 10) + 1 - job->y.taps / 2, y1 = (bottom >> 10) + 1 - job->y.taps / 2;
    if (x0 < 0 || y0 < 0 || x1 > state->x_last || y1 > state->y_last) return 0;
    return !job->mask.data || is_box_valid(state, x0, y0, x1 + job->x.taps - 1, y1 + job->y.taps - 1);
}

static int is_group_easy(const warp_state *state, const int32_t *qx, const int32_t *qy, int n)
{
    int32_t left = qx[0], right = qx[0], top = qy[0], bottom = qy[0];
    for (int k = 1; k < n; k++) {
        left = qx[k] < left ? qx[k] : left, right = qx[k] > right ? qx[k] : right;
        top = qy[k] < top ? qy[k] : top, bottom = qy[k] > bottom ? qy[k] : bottom;
    }
    return is_easy(state, left, right, top, bottom);
}

/* One pixel anywhere. Returns its mask. */
static uint8_t careful_pixel(const warp_state *state, int64_t px, int64_t py, int32_t qx, int32_t qy, uint8_t *out)
{
    const fp_warp_job *job = state->job;
    const fp_view *src = &job->src;
    const ptrdiff_t size = src->item * src->channels, nx = nearest(px), ny = nearest(py);
    if (nx < 0 || ny < 0 || nx >= src->cols || ny >= src->rows || (job->mask.data && !fp_row(&job->mask, ny)[nx])) {
        copy_pixel(out, job->nodata, size);
        return 0;
    }
    const uint8_t *near_pixel = fp_row(src, ny) + nx * size;
    const ptrdiff_t x0 = (qx >> 10) + 1 - job->x.taps / 2, y0 = (qy >> 10) + 1 - job->y.taps / 2;
    const ptrdiff_t x1 = x0 + job->x.taps - 1, y1 = y0 + job->y.taps - 1;
    const int is_inside = x0 >= 0 && y0 >= 0 && x1 < src->cols && y1 < src->rows;
    const pixel_shape shape = {src->channels, job->x.taps, job->y.taps, is_inside};
    const int is_masked = job->mask.data && !(is_inside && is_box_valid(state, x0, y0, x1, y1));
    const ptrdiff_t wx = (qx & 1023) * (ptrdiff_t)job->x.stride, wy = (qy & 1023) * (ptrdiff_t)job->y.stride;
    if (src->item == 1) {
        if (is_masked)
            masked_pixel_u8(job, x0, y0, job->x.integers + wx, job->y.integers + wy, near_pixel, out);
        else
            pixel_u8(job, x0, y0, job->x.integers + wx, job->y.integers + wy, shape, out);
    } else if (is_masked) {
        masked_pixel_f32(job, x0, y0, job->x.floats + wx, job->y.floats + wy, (const float *)near_pixel, (float *)out);
    } else {
        pixel_f32(job, x0, y0, job->x.floats + wx, job->y.floats + wy, shape, (float *)out);
    }
    return 255;
}

/* Fetches what the next output row needs anew below (or above) taps that begin at `first`. */
FP_INLINE void fetch_rows(const warp_state *state, const uint8_t *first)
{
    const ptrdiff_t stride = state->job->src.stride;
    const uint8_t *p = first + state->ahead * stride;
    for (int r = state->rows_ahead; r > 0; r--, p += stride) FP_PREFETCH(p);
    for (int r = state->rows_ahead; r < 0; r++, p -= stride) FP_PREFETCH(p);
}

/* The source is read on slightly slanting lines, from row to row, which the machine does not foresee: asks for what the
 * next output row needs beside these pixels. More than halves the time of large sources. */
static void fetch_ahead(const warp_state *state, const int32_t *qx, const int32_t *qy, int n)
{
    const fp_view *src = &state->job->src;
    const ptrdiff_t size = src->item * src->channels;
    const int step = (int)(LINE / size);
    for (int k = 0; k < n; k += step) {
        const ptrdiff_t x = (qx[k] >> 10) + 1 - state->job->x.taps / 2, y = (qy[k] >> 10) + 1 - state->job->y.taps / 2;
        fetch_rows(state, src->data + y * src->stride + x * size);
    }
}

/* Runs the path over n <= GROUP or CHUNK pixels; a number that is no multiple of GROUP goes through a buffer. */
static void run_path(const warp_state *state, int32_t *qx, int32_t *qy, int n, uint8_t *out)
{
    const int whole = n / GROUP * GROUP;
    const ptrdiff_t size = state->job->src.item * state->job->src.channels;
    fetch_ahead(state, qx, qy, n);
    if (whole) state->path.run(state->job, qx, qy, whole, out);
    if (whole == n) return;
    uint8_t buffer[GROUP * 16];
    int32_t tx[GROUP], ty[GROUP];
    for (int k = 0; k < GROUP; k++) {
        tx[k] = qx[whole + k < n ? whole + k : n - 1];
        ty[k] = qy[whole + k < n ? whole + k : n - 1];
    }
    state->path.run(state->job, tx, ty, GROUP, buffer);
    memcpy(out + whole * size, buffer, (size_t)((n - whole) * size));
}

/* A chunk that is not easy as a whole: group by group, the others pixel by pixel. */
static void warp_groups(const warp_state *state, ptrdiff_t col, int n, uint8_t *out, uint8_t *out_mask)
{
    const ptrdiff_t size = state->job->src.item * state->job->src.channels;
    int64_t px[CHUNK], py[CHUNK];
    int32_t qx[CHUNK], qy[CHUNK];
    fill_positions(state->job, state->cells, col, n, px, py);
    for (int k = 0; k < n; k++) {
        qx[k] = rounded(px[k]);
        qy[k] = rounded(py[k]);
    }
    for (int g = 0; g < n; g += GROUP) {
        const int m = n - g < GROUP ? n - g : GROUP;
        if (is_group_easy(state, qx + g, qy + g, m)) {
            run_path(state, qx + g, qy + g, m, out + g * size);
            if (out_mask) memset(out_mask + g, 255, (size_t)m);
            continue;
        }
        for (int k = g; k < g + m; k++) {
            const uint8_t valid = careful_pixel(state, px[k], py[k], qx[k], qy[k], out + k * size);
            if (out_mask) out_mask[k] = valid;
        }
    }
}

static void warp_chunk(const warp_state *state, ptrdiff_t col, int n, uint8_t *out, uint8_t *out_mask)
{
    grid_box box;
    int32_t qx[CHUNK + GROUP], qy[CHUNK + GROUP];
    if (!find_box(state->job, state->cells, col, n, &box)) {
        warp_groups(state, col, n, out, out_mask);
    } else if (is_easy(state, rounded(box.left), rounded(box.right), rounded(box.top), rounded(box.bottom))) {
        state->path.fill(state->job, state->cells, col, n, qx, qy);
        run_path(state, qx, qy, n, out);
        if (out_mask) memset(out_mask, 255, (size_t)n);
    } else if (is_box_empty(state, &box)) {
        nodata_pixels(state->job, n, out, out_mask);
    } else {
        warp_groups(state, col, n, out, out_mask);
    }
}

fp_status fp_warp(const fp_warp_job *job)
{
    warp_state state;
    if (open_state(&state, job) != FP_OK) return FP_NO_MEMORY;
    const ptrdiff_t size = job->src.item * job->src.channels;
    const ptrdiff_t row_bytes = job->src.cols * size;
    state.path = choose_path(job);
    /* Division rounds to zero, so a row shorter than a load must be told apart. */
    state.x_last = row_bytes >= state.path.load ? (row_bytes - state.path.load) / size : -1;
    if (state.x_last > job->src.cols - job->x.taps) state.x_last = job->src.cols - job->x.taps;
    state.y_last = job->src.rows - job->y.taps;
    for (ptrdiff_t row = 0; row < job->out.rows; row++) {
        load_cells(job, row, state.cells);
        for (ptrdiff_t col = 0; col < job->out.cols; col += CHUNK) {
            const int n = job->out.cols - col < CHUNK ? (int)(job->out.cols - col) : CHUNK;
            uint8_t *out_mask = job->out_mask.data ? fp_row(&job->out_mask, row) + col : NULL;
            warp_chunk(&state, col, n, fp_row(&job->out, row) + col * size, out_mask);
        }
    }
    free(state.cells);
    return FP_OK;
}

/* Are the nearest pixels of the box inside and valid? */
static int is_nearest_easy(const warp_state *state, const grid_box *box)
{
    const fp_view *src = &state->job->src;
    const ptrdiff_t x0 = nearest(box->left), x1 = nearest(box->right), y0 = nearest(box->top), y1 = nearest(box->bottom);
    if (x0 < 0 || y0 < 0 || x1 >= src->cols || y1 >= src->rows) return 0;
    return !state->job->mask.data || is_box_valid(state, x0, y0, x1, y1);
}

/* n nearest pixels of `size` bytes (a constant at the call, so that the copies are single moves). */
FP_INLINE void nearest_chunk(const warp_state *state, ptrdiff_t col, int n, ptrdiff_t size, uint8_t *out,
                             uint8_t *out_mask)
{
    const fp_warp_job *job = state->job;
    const uint8_t *src = job->src.data, *mask = job->mask.data, *nodata = job->nodata;
    const ptrdiff_t stride = job->src.stride, mask_stride = job->mask.stride;
    const uint64_t cols = (uint64_t)job->src.cols, rows = (uint64_t)job->src.rows;
    int64_t px[CHUNK], py[CHUNK];
    grid_box box;
    const int is_near = find_box(job, state->cells, col, n, &box);
    if (is_near && is_box_empty(state, &box)) {
        nodata_pixels(job, n, out, out_mask);
        return;
    }
    if (is_near && is_nearest_easy(state, &box)) {
        for (grid_part part = first_part(job, state->cells, col, n); part.k < n; part = next_part(job, part, n)) {
            const int64_t dx = part.cell->dx, dy = part.cell->dy;
            int64_t x = part.cell->x + part.inside * dx, y = part.cell->y + part.inside * dy;
            for (int k = part.k; k < part.end; k += (int)(LINE / size)) {
                const int64_t to = k - part.k;
                fetch_rows(state, src + nearest(y + to * dy) * stride + nearest(x + to * dx) * size);
            }
            for (int k = part.k; k < part.end; k++, x += dx, y += dy)
                memcpy(out + k * size, src + nearest(y) * stride + nearest(x) * size, (size_t)size);
        }
        if (out_mask) memset(out_mask, 255, (size_t)n);
        return;
    }
    fill_positions(job, state->cells, col, n, px, py);
    for (int k = 0; k < n; k++) {
        const ptrdiff_t x = nearest(px[k]), y = nearest(py[k]);
        /* Unsigned comparison: negative indices are large. */
        const int is_valid = (uint64_t)x < cols && (uint64_t)y < rows && (!mask || mask[y * mask_stride + x]);
        memcpy(out + k * size, is_valid ? src + y * stride + x * size : nodata, (size_t)size);
        if (out_mask) out_mask[k] = is_valid ? 255 : 0;
    }
}

fp_status fp_warp_nearest(const fp_warp_job *job)
{
    const ptrdiff_t size = job->src.item * job->src.channels;
    warp_state state;
    if (open_state(&state, job) != FP_OK) return FP_NO_MEMORY;
    for (ptrdiff_t row = 0; row < job->out.rows; row++) {
        load_cells(job, row, state.cells);
        for (ptrdiff_t col = 0; col < job->out.cols; col += CHUNK) {
            const int n = job->out.cols - col < CHUNK ? (int)(job->out.cols - col) : CHUNK;
            uint8_t *out = fp_row(&job->out, row) + col * size;
            uint8_t *out_mask = job->out_mask.data ? fp_row(&job->out_mask, row) + col : NULL;
            switch (size) {
            case 1: nearest_chunk(&state, col, n, 1, out, out_mask); break;
            case 3: nearest_chunk(&state, col, n, 3, out, out_mask); break;
            case 4: nearest_chunk(&state, col, n, 4, out, out_mask); break;
            default: nearest_chunk(&state, col, n, size, out, out_mask);
            }
        }
    }
    free(state.cells);
    return FP_OK;
}
