#include "fp_resample.h"

#include <stdlib.h>
#include <string.h>

#include "fp_cpu.h"
#include "fp_resample_pass.h"

/* The two passes of one instruction set and sample type. */
typedef struct {
    void (*columns)(const fp_resample_job *job, ptrdiff_t row, ptrdiff_t from, ptrdiff_t to, float *sum);
    void (*row)(const fp_resample_job *job, const float *sum, ptrdiff_t from, ptrdiff_t to, void *out);
} resample_path;

#define DEFINE_PASSES(name, is_u8) \
    static void columns_##name(const fp_resample_job *job, ptrdiff_t row, ptrdiff_t from, ptrdiff_t to, float *sum) \
    { \
        columns_pass(job, row, from, to, sum, is_u8); \
    } \
    static void row_##name(const fp_resample_job *job, const float *sum, ptrdiff_t from, ptrdiff_t to, void *out) \
    { \
        row_pass(job, sum, from, to, out, is_u8); \
    }

DEFINE_PASSES(u8, 1)
DEFINE_PASSES(f32, 0)

#if defined(FP_X86)
#include "fp_resample_x86.h"
#endif

static resample_path choose_path(const fp_resample_job *job)
{
    const resample_path u8 = {columns_u8, row_u8}, f32 = {columns_f32, row_f32};
#if defined(FP_X86)
    if (fp_cpu_live() & FP_CPU_AVX2) return choose_avx2(job);
#endif
    return job->src.item == 1 ? u8 : f32;
}

/* State of one call. Arrays over source columns are indexed by column and used from `from` to `to`. */
typedef struct {
    const fp_resample_job *job;
    resample_path path;
    ptrdiff_t from, to;   /* source columns that the row pass reads */
    float smallest;       /* least share of the kernel inside, over the output columns */
    int all_inside;       /* has every output column a nearest pixel? */
    float *sum;           /* (cols, channels) */
    float *weight;        /* (cols): sum of the weights of valid pixels; with a mask only, as what follows */
    int32_t *count;       /* (cols): number of valid pixels among the taps */
    int32_t *holes;       /* (cols + 1): columns before this one that have a masked pixel among the taps */
    uint8_t *is_full;     /* (rows): all used pixels of a source row are valid */
    void *memory;
} resample_state;

static fp_status open_state(resample_state *state, const fp_resample_job *job)
{
    const size_t cols = (size_t)job->src.cols, rows = (size_t)job->src.rows;
    /* Vector loads of the row pass take up to three samples more than they use. */
    const size_t samples = cols * (size_t)job->src.channels + 8;
    const size_t masked = job->mask.data ? (3 * cols + 1) * 4 + rows : 0;
    state->job = job;
    state->memory = malloc(samples * sizeof(float) + masked);
    if (!state->memory) return FP_NO_MEMORY;
    state->sum = state->memory;
    memset(state->sum + samples - 8, 0, 8 * sizeof(float));
    state->weight = state->sum + samples;
    state->count = (int32_t *)(state->weight + cols);
    state->holes = state->count + cols;
    state->is_full = (uint8_t *)(state->holes + cols + 1);
    state->from = job->src.cols, state->to = 0;
    state->smallest = 1.0f, state->all_inside = 1;
    for (ptrdiff_t i = 0; i < job->out.cols; i++) {
        const ptrdiff_t first = job->x.first[i], last = first + job->x.taps;
        if (first < state->from) state->from = first;
        if (last > state->to) state->to = last;
        if (job->x.inside[i] < state->smallest) state->smallest = job->x.inside[i];
        if (job->x.nearest[i] < 0) state->all_inside = 0;
    }
    if (job->mask.data)
        for (ptrdiff_t y = 0; y < job->mask.rows; y++)
            state->is_full[y] = !memchr(fp_row(&job->mask, y) + state->from, 0, (size_t)(state->to - state->from));
    return FP_OK;
}

static ptrdiff_t next_valid(const uint8_t *mask, ptrdiff_t from, ptrdiff_t to)
{
    uint64_t eight;
    for (; from + 8 <= to; from += 8) {
        memcpy(&eight, mask + from, 8);
        if (eight) break;
    }
    while (from < to && !mask[from]) from++;
    return from;
}

static ptrdiff_t next_hole(const uint8_t *mask, ptrdiff_t from, ptrdiff_t to)
{
    const uint8_t *hole = memchr(mask + from, 0, (size_t)(to - from));
    return hole ? hole - mask : to;
}

/* Column pass over valid pixels only, run by run of each tap row. */
static void masked_columns(resample_state *state, ptrdiff_t row)
{
    const fp_resample_job *job = state->job;
    const ptrdiff_t channels = job->src.channels, from = state->from, to = state->to;
    memset(state->sum + from * channels, 0, (size_t)((to - from) * channels) * sizeof(float));
    memset(state->weight + from, 0, (size_t)(to - from) * sizeof(float));
    memset(state->count + from, 0, (size_t)(to - from) * sizeof(int32_t));
    for (ptrdiff_t t = 0; t < job->y.taps; t++) {
        const float w = job->y.weights[row * job->y.taps + t];
        const uint8_t *mask = fp_row(&job->mask, job->y.first[row] + t);
        const uint8_t *samples = fp_row(&job->src, job->y.first[row] + t);
        for (ptrdiff_t a = next_valid(mask, from, to), b; a < to; a = next_valid(mask, b, to)) {
            b = next_hole(mask, a, to);
            if (job->src.item == 1)
                add_row(state->sum + a * channels, samples + a * channels, w, (b - a) * channels, 1, 0);
            else
                add_row(state->sum + a * channels, samples + 4 * a * channels, w, (b - a) * channels, 0, 0);
            for (ptrdiff_t x = a; x < b; x++) state->weight[x] += w;
            for (ptrdiff_t x = a; x < b; x++) state->count[x] += 1;
        }
    }
    state->holes[from] = 0;
    for (ptrdiff_t x = from; x < to; x++) state->holes[x + 1] = state->holes[x] + (state->count[x] < job->y.taps);
}

/* One pixel with masked taps: quotient of the sums, or the nearest pixel. */
static void masked_pixel(const resample_state *state, ptrdiff_t row, ptrdiff_t col, uint8_t *out)
{
    const fp_resample_job *job = state->job;
    const ptrdiff_t channels = job->src.channels, taps = job->x.taps, first = job->x.first[col];
    const float *w = job->x.weights + col * taps;
    float total = 0.0f;
    for (ptrdiff_t t = 0; t < taps; t++) total = total + w[t] * state->weight[first + t];
    if (total * (job->x.inside[col] * job->y.inside[row]) < 0.1f) {
        const ptrdiff_t size = job->src.item * channels;
        memcpy(out + col * size, fp_row(&job->src, job->y.nearest[row]) + job->x.nearest[col] * size, (size_t)size);
        return;
    }
    for (ptrdiff_t c = 0; c < channels; c++) {
        float s = 0.0f;
        for (ptrdiff_t t = 0; t < taps; t++) s = s + w[t] * state->sum[(first + t) * channels + c];
        store_sample(out, col * channels + c, s / total, job->src.item == 1);
    }
}

/* Row pass after masked_columns: runs of pixels without a masked tap take the path of full rows. */
static void masked_row(resample_state *state, ptrdiff_t row, uint8_t *out)
{
    const fp_resample_job *job = state->job;
    const uint8_t *mask = fp_row(&job->mask, job->y.nearest[row]);
    const int is_whole = state->smallest * job->y.inside[row] >= 0.1f;
    ptrdiff_t start = 0; /* of the run that is open */
    for (ptrdiff_t i = 0; i < job->out.cols; i++) {
        const ptrdiff_t first = job->x.first[i];
        if (is_whole && state->holes[first + job->x.taps] == state->holes[first]) continue;
        if (start < i) state->path.row(job, state->sum, start, i, out);
        start = i + 1;
        if (job->x.nearest[i] >= 0 && mask[job->x.nearest[i]]) masked_pixel(state, row, i, out);
    }
    if (start < job->out.cols) state->path.row(job, state->sum, start, job->out.cols, out);
}

/* out_mask of one row, and nodata where it is 0. */
static void finish_row(const fp_resample_job *job, ptrdiff_t row, ptrdiff_t size, uint8_t *out, uint8_t *out_mask)
{
    const uint8_t *mask = job->mask.data ? fp_row(&job->mask, job->y.nearest[row]) : NULL;
    for (ptrdiff_t i = 0; i < job->out.cols; i++) {
        const int32_t x = job->x.nearest[i];
        const int is_valid = x >= 0 && (!mask || mask[x]);
        if (!is_valid) memcpy(out + i * size, job->nodata, (size_t)size);
        if (out_mask) out_mask[i] = is_valid ? 255 : 0;
    }
}

static void nodata_row(const fp_resample_job *job, ptrdiff_t size, uint8_t *out, uint8_t *out_mask)
{
    for (ptrdiff_t i = 0; i < job->out.cols; i++) memcpy(out + i * size, job->nodata, (size_t)size);
    if (out_mask) memset(out_mask, 0, (size_t)job->out.cols);
}

static int are_taps_full(const resample_state *state, ptrdiff_t row)
{
    const fp_axis *y = &state->job->y;
    if (!state->job->mask.data) return 1;
    if (state->smallest * y->inside[row] < 0.1f) return 0;
    return !memchr(state->is_full + y->first[row], 0, (size_t)y->taps);
}

fp_status fp_resample(const fp_resample_job *job)
{
    const ptrdiff_t size = job->src.item * job->src.channels;
    resample_state state;
    if (!job->out.rows || !job->out.cols) return FP_OK;
    if (open_state(&state, job) != FP_OK) return FP_NO_MEMORY;
    state.path = choose_path(job);
    for (ptrdiff_t row = 0; row < job->out.rows; row++) {
        uint8_t *out = fp_row(&job->out, row);
        uint8_t *out_mask = job->out_mask.data ? fp_row(&job->out_mask, row) : NULL;
        if (job->y.nearest[row] < 0) {
            nodata_row(job, size, out, out_mask);
            continue;
        }
        const int is_full = are_taps_full(&state, row);
        if (is_full) {
            state.path.columns(job, row, state.from, state.to, state.sum);
            state.path.row(job, state.sum, 0, job->out.cols, out);
        } else {
            masked_columns(&state, row);
            masked_row(&state, row, out);
        }
        if (is_full && state.all_inside) {
            if (out_mask) memset(out_mask, 255, (size_t)job->out.cols);
        } else {
            finish_row(job, row, size, out, out_mask);
        }
    }
    free(state.memory);
    return FP_OK;
}

/* `size` is a constant at the call, so that the copies are single moves. */
FP_INLINE void nearest_row(const fp_resample_job *job, const uint8_t *row, const uint8_t *mask, ptrdiff_t size,
                           uint8_t *out, uint8_t *out_mask)
{
    for (ptrdiff_t i = 0; i < job->out.cols; i++) {
        const int32_t x = job->x.nearest[i];
        const int is_valid = x >= 0 && (!mask || mask[x]);
        memcpy(out + i * size, is_valid ? row + x * size : job->nodata, (size_t)size);
        if (out_mask) out_mask[i] = is_valid ? 255 : 0;
    }
}

void fp_resample_nearest(const fp_resample_job *job)
{
    const ptrdiff_t size = job->src.item * job->src.channels;
    for (ptrdiff_t j = 0; j < job->out.rows; j++) {
        uint8_t *out = fp_row(&job->out, j), *out_mask = job->out_mask.data ? fp_row(&job->out_mask, j) : NULL;
        const int32_t y = job->y.nearest[j];
        if (y < 0) {
            nodata_row(job, size, out, out_mask);
            continue;
        }
        const uint8_t *row = fp_row(&job->src, y), *mask = job->mask.data ? fp_row(&job->mask, y) : NULL;
        switch (size) {
        case 1: nearest_row(job, row, mask, 1, out, out_mask); break;
        case 3: nearest_row(job, row, mask, 3, out, out_mask); break;
        case 4: nearest_row(job, row, mask, 4, out, out_mask); break;
        default: nearest_row(job, row, mask, size, out, out_mask);
        }
    }
}
