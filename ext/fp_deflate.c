/* Tiles to zlib streams and PNG files: the container, tiles of one colour, memory. */
#include "fp_checksum.h"
#include "fp_deflate_internal.h"

#include <stdlib.h>

#define PNG_HEAD 41 /* signature, IHDR, length and name of IDAT */
#define PNG_TAIL 16 /* checksum of IDAT, IEND */
#define ZLIB_HEAD 2
#define ZLIB_TAIL 4
#define SAMPLED 32 /* one row out of so many */
#define FEW 40     /* sampled pixels to a colour, at least, where colours are few */
#define COLOUR_BITS 11
#define COLOUR_WORDS (1 << (COLOUR_BITS - 6))

typedef struct {
    uint8_t pixel[FP_DEFLATE_MAX_PIXEL];
    ptrdiff_t rows, cols;
    uint8_t *bytes;
    size_t size;
} fp_constant;

struct fp_deflate {
    fp_wrap wrap;
    fp_parse parse;
    void *scratch; /* all arrays of `parse` */
    size_t scratch_size;
    uint8_t *out;
    size_t out_size, out_used;
    fp_constant constants[FP_DEFLATE_CONSTANTS];
    int constant_count;
};

fp_deflate *fp_deflate_new(fp_wrap wrap)
{
    fp_deflate *encoder = calloc(1, sizeof *encoder);
    if (encoder) encoder->wrap = wrap;
    return encoder;
}

void fp_deflate_free(fp_deflate *encoder)
{
    if (!encoder) return;
    for (int k = 0; k < encoder->constant_count; k++) free(encoder->constants[k].bytes);
    free(encoder->scratch);
    free(encoder->out);
    free(encoder);
}

const uint8_t *fp_deflate_bytes(const fp_deflate *encoder)
{
    return encoder->out;
}

const uint8_t *fp_deflate_constant(const fp_deflate *encoder, int which, size_t *size)
{
    *size = encoder->constants[which].size;
    return encoder->constants[which].bytes;
}

static size_t aligned(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

/* Lays out the arrays for tiles of that size. */
static fp_status prepare(fp_deflate *encoder, ptrdiff_t rows, ptrdiff_t cols, size_t pixel, size_t item)
{
    fp_parse *p = &encoder->parse;
    p->rows = (size_t)rows;
    p->lead = encoder->wrap == FP_WRAP_PNG;
    p->unit = (unsigned)(item == 1 && pixel <= 4 ? pixel : item);
    p->cols = (size_t)cols * pixel / p->unit;
    p->stride = p->lead + (size_t)cols * pixel;
    p->size = p->rows * p->stride;
    size_t pixels = p->rows * p->cols, stream = aligned(p->size + FP_READ_AHEAD);
    size_t hashes = aligned((pixels + FP_CELLS_AHEAD) * sizeof **p->hashes);
    size_t sequences = (p->size / FP_MIN_MATCH + FP_MAX_SEGMENTS + 1) * sizeof(fp_sequence);
    size_t heads = FP_HASHES * FP_PLACES * sizeof *p->heads;
    size_t needed = sequences + heads + FP_HASHES * hashes + stream;
    if (needed > encoder->scratch_size) {
        free(encoder->scratch);
        encoder->scratch = malloc(needed);
        encoder->scratch_size = encoder->scratch ? needed : 0;
        if (!encoder->scratch) return FP_NO_MEMORY;
    }
    uint8_t *at = encoder->scratch;
    p->sequences = (fp_sequence *)at;
    at += sequences;
    p->heads = (uint16_t *)at;
    at += heads;
    for (int k = 0; k < FP_HASHES; k++, at += hashes) p->hashes[k] = (uint16_t *)at;
    p->stream = at;
    memset(p->stream + p->size, 0, FP_READ_AHEAD);
    memset(p->hashes[0] + pixels, 0, FP_CELLS_AHEAD * sizeof **p->hashes);
    return FP_OK;
}

/* Room for `more` bytes behind those in use. */
static fp_status reserve(fp_deflate *encoder, size_t more)
{
    size_t needed = encoder->out_used + more;
    if (needed <= encoder->out_size) return FP_OK;
    size_t size = needed + encoder->out_size / 2;
    uint8_t *out = realloc(encoder->out, size);
    if (!out) return FP_NO_MEMORY;
    encoder->out = out;
    encoder->out_size = size;
    return FP_OK;
}

/* Whether all pixels of a tile are the same, bit by bit. */
static int is_constant(const fp_view *tile, size_t pixel)
{
    const uint8_t *first = fp_row(tile, 0);
    size_t row = (size_t)tile->cols * pixel;
    if (memcmp(first, fp_row(tile, tile->rows - 1) + row - pixel, pixel)) return 0;
    if (memcmp(first, first + pixel, row - pixel)) return 0;
    for (ptrdiff_t y = 1; y < tile->rows; y++)
        if (memcmp(first, fp_row(tile, y), row)) return 0;
    return 1;
}

static int find_constant(const fp_deflate *encoder, const fp_view *tile, size_t pixel)
{
    for (int k = 0; k < encoder->constant_count; k++) {
        const fp_constant *c = &encoder->constants[k];
        if (c->rows == tile->rows && c->cols == tile->cols && !memcmp(c->pixel, tile->data, pixel)) return k;
    }
    return -1;
}

/* Remembers the bytes of a tile of one colour if there is room; returns which it is, or -1. */
static int keep_constant(fp_deflate *encoder, const fp_view *tile, size_t pixel, const uint8_t *bytes, size_t size)
{
    if (encoder->constant_count == FP_DEFLATE_CONSTANTS) return -1;
    fp_constant *c = &encoder->constants[encoder->constant_count];
    c->bytes = malloc(size);
    if (!c->bytes) return -1;
    memcpy(c->bytes, bytes, size);
    memcpy(c->pixel, tile->data, pixel);
    c->rows = tile->rows;
    c->cols = tile->cols;
    c->size = size;
    return encoder->constant_count++;
}

static void big_endian(uint8_t *at, uint32_t value)
{
    for (int k = 0; k < 4; k++) at[k] = (uint8_t)(value >> (24 - 8 * k));
}

/* Rows into the stream, and their Adler-32. */
static uint32_t gather(fp_parse *p, const fp_view *tile)
{
    uint32_t adler = 1;
    size_t bytes = p->stride - p->lead;
    for (size_t y = 0; y < p->rows; y++) {
        uint8_t *to = p->stream + y * p->stride;
        to[0] = 0;
        memcpy(to + p->lead, fp_row(tile, (ptrdiff_t)y), bytes);
        adler = fp_adler32(adler, to, p->stride);
    }
    return adler;
}

static size_t zlib_stream(fp_parse *p, const fp_view *tile, uint8_t *out)
{
    uint32_t adler = gather(p, tile);
    fp_deflate_hash(p);
    fp_deflate_parse(p);
    out[0] = 0x78; /* deflate, a window of 32768 bytes */
    out[1] = 0x9C;
    size_t size = ZLIB_HEAD + fp_deflate_write(p, out + ZLIB_HEAD);
    big_endian(out + size, adler);
    return size + ZLIB_TAIL;
}

static size_t png_file(fp_parse *p, const fp_view *tile, uint8_t *out)
{
    static const uint8_t head[16] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    static const uint8_t end[12] = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xAE, 0x42, 0x60, 0x82};
    static const uint8_t colour_types[5] = {0, 0, 4, 2, 6};
    memcpy(out, head, sizeof head);
    big_endian(out + 16, (uint32_t)tile->cols);
    big_endian(out + 20, (uint32_t)tile->rows);
    out[24] = 8;
    out[25] = colour_types[tile->channels];
    memset(out + 26, 0, 3);
    big_endian(out + 29, fp_crc32(0, out + 12, 17));
    memcpy(out + 37, "IDAT", 4);
    size_t size = zlib_stream(p, tile, out + PNG_HEAD);
    big_endian(out + 33, (uint32_t)size);
    big_endian(out + PNG_HEAD + size, fp_crc32(0, out + 37, size + 4));
    memcpy(out + PNG_HEAD + size + 4, end, sizeof end);
    return PNG_HEAD + size + PNG_TAIL;
}

/* One tile behind the bytes in use; `constant` as in fp_deflate_encode_tiles(). */
static fp_status encode_tile(fp_deflate *encoder, const fp_view *tile, size_t pixel, int8_t *constant)
{
    int single = is_constant(tile, pixel);
    *constant = (int8_t)(single ? find_constant(encoder, tile, pixel) : -1);
    if (*constant >= 0) return FP_OK;
    size_t most = fp_deflate_bound(encoder->parse.size) + PNG_HEAD + PNG_TAIL + ZLIB_HEAD + ZLIB_TAIL;
    if (reserve(encoder, most)) return FP_NO_MEMORY;
    uint8_t *out = encoder->out + encoder->out_used;
    size_t size = encoder->wrap == FP_WRAP_PNG ? png_file(&encoder->parse, tile, out)
                                               : zlib_stream(&encoder->parse, tile, out);
    if (single) *constant = (int8_t)keep_constant(encoder, tile, pixel, out, size);
    if (*constant < 0) encoder->out_used += size;
    return FP_OK;
}

/* What a sample of the pixels shows. */
typedef struct {
    size_t looked, equal; /* to the left neighbour */
    size_t colours;       /* how many, or a few less; unknown (all) unless pixels have 3 or 4 bytes */
} fp_sample;

static void sample_row(fp_sample *s, const uint8_t *row, size_t cols, size_t pixel)
{
    for (size_t x = 1; x < cols; x++) s->equal += !memcmp(row + x * pixel, row + (x - 1) * pixel, pixel);
    s->looked += cols - 1;
    s->colours = s->looked;
}

/* The same for pixels of 3 or 4 bytes; `seen` has a bit per hash of a colour. */
static void sample_row_small(fp_sample *s, const uint8_t *row, size_t cols, size_t pixel, uint64_t seen[COLOUR_WORDS])
{
    unsigned over = pixel == 3; /* bytes of the pixel before that are loaded, because there may be none behind */
    uint32_t mask = over ? 0xFFFFFF : 0xFFFFFFFF, last = 0;
    memcpy(&last, row, pixel);
    last = fp_load32(&last);
    for (size_t x = 1; x < cols; x++) {
        uint32_t value = fp_load32(row + x * pixel - over) >> 8 * over & mask;
        uint32_t hash = (value * 0x9E3779B1u) >> (32 - COLOUR_BITS);
        s->equal += value == last;
        seen[hash >> 6] |= (uint64_t)1 << (hash & 63);
        last = value;
    }
    s->looked += cols - 1;
}

/* 3: all pixels are the same; 2 and 1: at least half of the sampled ones equal their left neighbour, and for 2 there
 * are few colours; 0: neither. */
static int flatness(const fp_view *tile, size_t pixel)
{
    fp_sample s = {0, 0, 0};
    uint64_t seen[COLOUR_WORDS] = {0};
    int small = pixel == 3 || pixel == 4;
    for (ptrdiff_t y = tile->rows < SAMPLED ? 0 : SAMPLED / 2; y < tile->rows; y += SAMPLED) {
        if (small) sample_row_small(&s, fp_row(tile, y), (size_t)tile->cols, pixel, seen);
        else sample_row(&s, fp_row(tile, y), (size_t)tile->cols, pixel);
    }
    if (s.equal == s.looked && is_constant(tile, pixel)) return 3;
    for (int k = 0; k < COLOUR_WORDS; k++)
        for (uint64_t bits = seen[k]; bits; bits &= bits - 1) s.colours++;
    if (2 * s.equal < s.looked) return 0;
    return FEW * s.colours <= s.looked ? 2 : 1;
}

void fp_deflate_flat_tiles(const fp_view *block, ptrdiff_t tile_rows, ptrdiff_t tile_cols, uint8_t *flat)
{
    ptrdiff_t pixel = block->channels * block->item;
    for (ptrdiff_t y = 0; y < block->rows; y += tile_rows)
        for (ptrdiff_t x = 0; x < block->cols; x += tile_cols) {
            fp_view tile = {fp_row(block, y) + x * pixel, block->stride, tile_rows, tile_cols, block->channels,
                            block->item};
            *flat++ = (uint8_t)flatness(&tile, (size_t)pixel);
        }
}

fp_status fp_deflate_encode_tiles(fp_deflate *encoder, const fp_view *block, ptrdiff_t tile_rows, ptrdiff_t tile_cols,
                                  const uint8_t *wanted, size_t *ends, int8_t *constants)
{
    size_t pixel = (size_t)(block->channels * block->item);
    if (prepare(encoder, tile_rows, tile_cols, pixel, (size_t)block->item)) return FP_NO_MEMORY;
    encoder->out_used = 0;
    ptrdiff_t k = 0;
    for (ptrdiff_t y = 0; y < block->rows; y += tile_rows)
        for (ptrdiff_t x = 0; x < block->cols; x += tile_cols, k++) {
            fp_view tile = {fp_row(block, y) + x * (ptrdiff_t)pixel, block->stride, tile_rows, tile_cols,
                            block->channels, block->item};
            constants[k] = -1;
            if ((!wanted || wanted[k]) && encode_tile(encoder, &tile, pixel, &constants[k])) return FP_NO_MEMORY;
            ends[k] = encoder->out_used;
        }
    return FP_OK;
}
