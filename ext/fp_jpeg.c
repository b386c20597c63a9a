/* JPEG tiles: chunks, edges, and the bytes around the entropy-coded ones. */
#include "fp_jpeg_internal.h"

#include <stdlib.h>

#define ROWS_AT 163 /* of the image size in the header */

fp_jpeg *fp_jpeg_new(int quality)
{
    void *memory = calloc(1, sizeof(fp_jpeg) + 63);
    if (!memory) return NULL;
    fp_jpeg *encoder = (fp_jpeg *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
    encoder->memory = memory;
    fp_jpeg_fill_tables(encoder, quality);
    return encoder;
}

void fp_jpeg_free(fp_jpeg *encoder)
{
    if (!encoder) return;
    free(encoder->out);
    free(encoder->memory);
}

const uint8_t *fp_jpeg_bytes(const fp_jpeg *encoder)
{
    return encoder->out;
}

/* Room for that many bytes more, and what vector stores touch behind them. */
static fp_status reserve(fp_jpeg *encoder, size_t bytes)
{
    const size_t needed = encoder->size + bytes + FP_JPEG_SLACK;
    if (needed <= encoder->capacity) return FP_OK;
    const size_t capacity = needed + encoder->capacity; /* at least twice as much */
    uint8_t *out = realloc(encoder->out, capacity);
    if (!out) return FP_NO_MEMORY;
    encoder->out = out;
    encoder->capacity = capacity;
    return FP_OK;
}

static ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

/* Copies a chunk that is not a whole number of units: the last column goes on to the right and the last row downwards.
 * Conversion works pixel by pixel, so this is libjpeg's expansion of the converted rows. */
static void complete(const uint8_t *rgb, ptrdiff_t stride, int rows, int cols, uint8_t (*out)[FP_JPEG_COLS * 3])
{
    const int end = (cols + 15) / 16 * 48;
    for (int i = 0; i < 16; i++) {
        if (i >= rows) {
            memcpy(out[i], out[i - 1], (size_t)end);
            continue;
        }
        memcpy(out[i], rgb + i * stride, (size_t)cols * 3);
        for (int j = cols * 3; j < end; j++) out[i][j] = out[i][j - 3];
    }
}

/* libjpeg expands chroma downwards after the means: the last mean goes on, not the mean of the last row. */
static void extend_chroma(fp_jpeg_scratch *scratch, int rows)
{
    for (int c = 0; c < 2; c++)
        for (int i = (rows + 1) / 2; i < 8; i++)
            memcpy(scratch->chroma[c][i], scratch->chroma[c][i - 1], sizeof scratch->chroma[c][i]);
}

static void make_dummy(fp_jpeg_scratch *scratch, int block, int16_t dc)
{
    scratch->dc[block] = dc;
    scratch->nonzero[block] = 1;
    scratch->wide[block] = 0;
    memset(scratch->zigzag[block], 0, sizeof scratch->zigzag[block]);
}

/* Luma blocks that lie wholly outside the image hold nothing but the DC of the block coded before. */
static void replace_outside(fp_jpeg_scratch *scratch, int rows, int cols)
{
    const int mcus = (cols + 15) / 16;
    if (cols % 16 >= 1 && cols % 16 <= 8) {
        int16_t *last = scratch->dc + 6 * (mcus - 1);
        make_dummy(scratch, 6 * (mcus - 1) + 1, last[0]);
        make_dummy(scratch, 6 * (mcus - 1) + 3, last[2]);
    }
    for (int unit = 0; rows <= 8 && unit < mcus; unit++) {
        make_dummy(scratch, 6 * unit + 2, scratch->dc[6 * unit + 1]);
        make_dummy(scratch, 6 * unit + 3, scratch->dc[6 * unit + 1]);
    }
}

typedef struct {
    fp_jpeg_colour colour;
    fp_jpeg_transform transform;
    fp_jpeg_entropy entropy;
    fp_jpeg_escape escape;
} path;

/* Encodes up to FP_JPEG_MCUS units from pixel `rgb`, of which rows x cols pixels exist. */
static fp_status encode_chunk(fp_jpeg *encoder, const path *run, const uint8_t *rgb, ptrdiff_t stride, int rows,
                              int cols)
{
    fp_jpeg_scratch *scratch = &encoder->scratch;
    const int mcus = (cols + 15) / 16;
    if (rows < 16 || cols % 16) {
        complete(rgb, stride, rows, cols, scratch->pixels);
        run->colour(scratch->pixels[0], sizeof scratch->pixels[0], mcus, scratch);
        extend_chroma(scratch, rows);
    } else {
        run->colour(rgb, stride, mcus, scratch);
    }
    run->transform(encoder, mcus);
    replace_outside(scratch, rows, cols);
    encoder->writer.out = scratch->raw;
    run->entropy(encoder, mcus);
    const size_t bytes = (size_t)(encoder->writer.out - scratch->raw);
    if (reserve(encoder, 2 * bytes) != FP_OK) return FP_NO_MEMORY;
    encoder->size = (size_t)(run->escape(encoder->out + encoder->size, scratch->raw, bytes) - encoder->out);
    return FP_OK;
}

static fp_status encode_tile(fp_jpeg *encoder, const path *run, const uint8_t *rgb, ptrdiff_t stride, ptrdiff_t rows,
                             ptrdiff_t cols)
{
    if (reserve(encoder, FP_JPEG_HEADER) != FP_OK) return FP_NO_MEMORY;
    uint8_t *header = encoder->out + encoder->size;
    memcpy(header, encoder->header, FP_JPEG_HEADER);
    header[ROWS_AT] = (uint8_t)(rows >> 8);
    header[ROWS_AT + 1] = (uint8_t)rows;
    header[ROWS_AT + 2] = (uint8_t)(cols >> 8);
    header[ROWS_AT + 3] = (uint8_t)cols;
    encoder->size += FP_JPEG_HEADER;
    memset(encoder->last_dc, 0, sizeof encoder->last_dc);
    encoder->writer.bits = encoder->writer.count = 0;
    for (ptrdiff_t y = 0; y < rows; y += 16)
        for (ptrdiff_t x = 0; x < cols; x += FP_JPEG_COLS) {
            const int h = (int)smaller(16, rows - y), w = (int)smaller(FP_JPEG_COLS, cols - x);
            if (encode_chunk(encoder, run, rgb + y * stride + x * 3, stride, h, w) != FP_OK) return FP_NO_MEMORY;
        }
    uint8_t last[8]; /* the bits left over, filled up with ones */
    encoder->writer.out = last;
    fp_jpeg_put(&encoder->writer, 0x7F, 7);
    if (reserve(encoder, 4) != FP_OK) return FP_NO_MEMORY;
    uint8_t *out = encoder->out + encoder->size;
    if (encoder->writer.out > last) {
        *out++ = last[0];
        if (last[0] == 0xFF) *out++ = 0;
    }
    *out++ = 0xFF;
    *out++ = 0xD9;
    encoder->size = (size_t)(out - encoder->out);
    return FP_OK;
}

fp_status fp_jpeg_encode_tiles(fp_jpeg *encoder, const fp_view *block, ptrdiff_t tile_rows, ptrdiff_t tile_cols,
                               const uint8_t *wanted, size_t *ends)
{
    const path run = {fp_jpeg_colour_path(), fp_jpeg_transform_path(), fp_jpeg_entropy_path(), fp_jpeg_escape_path()};
    encoder->size = 0;
    ptrdiff_t tile = 0;
    for (ptrdiff_t y = 0; y < block->rows; y += tile_rows)
        for (ptrdiff_t x = 0; x < block->cols; x += tile_cols, tile++) {
            const uint8_t *rgb = fp_row(block, y) + x * 3;
            if ((!wanted || wanted[tile])
                && encode_tile(encoder, &run, rgb, block->stride, tile_rows, tile_cols) != FP_OK)
                return FP_NO_MEMORY;
            ends[tile] = encoder->size;
        }
    return FP_OK;
}
