/* From sequences to deflate blocks: neighbouring segments share a block where that is shorter, and each block takes the
 * shortest of its three forms. */
#include "fp_deflate_internal.h"

#define ORDERED 19 /* code lengths of code lengths */
#define STORED_MOST 65535
#define HEADER_GUESS (640 * 1024) /* weight of a block's codes, before they are known */

typedef struct {
    uint8_t *at;
    uint64_t bits;
    unsigned count; /* less than 8 between calls */
} fp_bits;

/* What a code costs and how it is written. */
typedef struct {
    uint8_t lengths[FP_LITERALS + FP_DISTANCES + 4];
    uint16_t literal[FP_LITERALS + 2];
    uint16_t distance[FP_DISTANCES + 2];
    const uint8_t *literal_bits, *distance_bits;
} fp_codes;

/* The code lengths of a block in short, as (symbol, extra value) pairs. */
typedef struct {
    uint8_t symbol[FP_LITERALS + FP_DISTANCES];
    uint8_t extra[FP_LITERALS + FP_DISTANCES];
    unsigned count, literals, distances, ordered;
    uint8_t lengths[ORDERED];
    uint16_t codes[ORDERED];
    uint64_t bits;
} fp_header;

typedef struct {
    const fp_parse *parse;
    size_t first, sequences; /* of the block */
    const uint8_t *bytes;    /* of the stream */
    size_t size;
    fp_histogram used;
} fp_block;

static const uint8_t order[ORDERED] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
static const uint8_t repeat_extra[3] = {2, 3, 7};

/* `count` <= 56 bits; all 64 bits of `out` are stored. */
FP_INLINE void put(fp_bits *b, uint64_t value, unsigned count)
{
    b->bits |= value << b->count;
    b->count += count;
    fp_store64(b->at, b->bits);
    b->at += b->count >> 3;
    b->bits >>= b->count & 56;
    b->count &= 7;
}

static uint64_t log2_1024(uint32_t value)
{
    unsigned bits = fp_log2_floor(value);
    return ((uint64_t)bits << 10) + (((uint64_t)(value - ((uint32_t)1 << bits)) << 10) >> bits);
}

/* Estimated bits, times 1024, of symbols under a code of their own: the sum of n log2(all / n), with straight lines
 * for the logarithm between powers of two. */
static uint64_t weight(const uint32_t *used, unsigned count)
{
    uint64_t all = 0, sum = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!used[i]) continue;
        all += used[i];
        sum += used[i] * log2_1024(used[i]);
    }
    return all ? all * log2_1024((uint32_t)all) - sum : 0;
}

static uint64_t histogram_weight(const fp_histogram *used)
{
    return weight(used->literal, FP_LITERALS) + weight(used->distance, FP_DISTANCES);
}

static void add(fp_histogram *to, const fp_histogram *more)
{
    for (unsigned i = 0; i < FP_LITERALS; i++) to->literal[i] += more->literal[i];
    for (unsigned i = 0; i < FP_DISTANCES; i++) to->distance[i] += more->distance[i];
    to->extra += more->extra;
}

static void header_push(fp_header *h, unsigned symbol, unsigned extra)
{
    h->symbol[h->count] = (uint8_t)symbol;
    h->extra[h->count++] = (uint8_t)extra;
}

/* Runs of equal code lengths: 16 repeats the last one 3..6 times, 17 and 18 are 3..10 and 11..138 zeros. */
static void header_runs(fp_header *h, const uint8_t *lengths, unsigned count)
{
    for (unsigned i = 0, run; i < count; i += run) {
        uint8_t length = lengths[i];
        for (run = 1; i + run < count && lengths[i + run] == length;) run++;
        unsigned left = run;
        if (length) {
            header_push(h, length, 0);
            left--;
        }
        while (left >= 3) {
            unsigned most = length ? 6 : 138, part = left < most ? left : most;
            if (length) header_push(h, 16, part - 3);
            else if (part < 11) header_push(h, 17, part - 3);
            else header_push(h, 18, part - 11);
            left -= part;
        }
        while (left--) header_push(h, length, 0);
    }
}

/* Codes of a block and the header that tells them. `lengths` gets both codes one behind the other. */
static void header_make(fp_header *h, fp_codes *c, const fp_histogram *used)
{
    uint8_t literal[FP_LITERALS], distance[FP_DISTANCES];
    uint32_t symbols[ORDERED] = {0};
    fp_huffman_code(used->literal, FP_LITERALS, 15, literal, c->literal);
    fp_huffman_code(used->distance, FP_DISTANCES, 15, distance, c->distance);
    h->literals = FP_LITERALS;
    h->distances = FP_DISTANCES;
    while (h->literals > 257 && !literal[h->literals - 1]) h->literals--;
    while (h->distances > 1 && !distance[h->distances - 1]) h->distances--;
    memcpy(c->lengths, literal, FP_LITERALS);
    memcpy(c->lengths + FP_LITERALS, distance, FP_DISTANCES);
    c->literal_bits = c->lengths;
    c->distance_bits = c->lengths + FP_LITERALS;
    uint8_t both[FP_LITERALS + FP_DISTANCES];
    memcpy(both, literal, h->literals);
    memcpy(both + h->literals, distance, h->distances);
    h->count = 0;
    header_runs(h, both, h->literals + h->distances);
    for (unsigned i = 0; i < h->count; i++) symbols[h->symbol[i]]++;
    fp_huffman_code(symbols, ORDERED, 7, h->lengths, h->codes);
    h->ordered = ORDERED;
    while (h->ordered > 4 && !h->lengths[order[h->ordered - 1]]) h->ordered--;
    h->bits = 14 + 3 * h->ordered;
    for (unsigned i = 0; i < h->count; i++)
        h->bits += h->lengths[h->symbol[i]] + (h->symbol[i] < 16 ? 0u : repeat_extra[h->symbol[i] - 16]);
}

static void header_write(const fp_header *h, fp_bits *out)
{
    put(out, (h->literals - 257) | (h->distances - 1) << 5 | (h->ordered - 4) << 10, 14);
    for (unsigned i = 0; i < h->ordered; i++) put(out, h->lengths[order[i]], 3);
    for (unsigned i = 0; i < h->count; i++) {
        unsigned symbol = h->symbol[i];
        put(out, h->codes[symbol], h->lengths[symbol]);
        if (symbol >= 16) put(out, h->extra[i], repeat_extra[symbol - 16]);
    }
}

static void fixed_codes(fp_codes *c)
{
    uint8_t literal[FP_LITERALS + 2];
    memset(literal, 8, 144);
    memset(literal + 144, 9, 112);
    memset(literal + 256, 7, 24);
    memset(literal + 280, 8, 8);
    fp_huffman_assign(literal, FP_LITERALS + 2, c->literal);
    memcpy(c->lengths, literal, FP_LITERALS);
    memset(c->lengths + FP_LITERALS, 5, FP_DISTANCES + 2);
    fp_huffman_assign(c->lengths + FP_LITERALS, FP_DISTANCES + 2, c->distance);
    c->literal_bits = c->lengths;
    c->distance_bits = c->lengths + FP_LITERALS;
}

static uint64_t coded_bits(const fp_codes *c, const fp_histogram *used)
{
    uint64_t bits = used->extra;
    for (unsigned i = 0; i < FP_LITERALS; i++) bits += (uint64_t)used->literal[i] * c->literal_bits[i];
    for (unsigned i = 0; i < FP_DISTANCES; i++) bits += (uint64_t)used->distance[i] * c->distance_bits[i];
    return bits;
}

static void stored_write(fp_bits *out, const uint8_t *bytes, size_t size, int last)
{
    do {
        size_t part = size < STORED_MOST ? size : STORED_MOST;
        put(out, last && part == size, 3);
        put(out, 0, (8 - out->count) & 7);
        put(out, part | (part ^ 0xFFFF) << 16, 32);
        memcpy(out->at, bytes, part);
        out->at += part;
        bytes += part;
        size -= part;
    } while (size);
}

/* Symbols of the sequences. Four literals, or a match, are at most 60 and 48 bits. */
static void sequences_write(fp_bits *out, const fp_block *block, const fp_codes *c)
{
    uint32_t literal[256];                                 /* bits << 16 | code */
    uint32_t length[FP_MAX_MATCH + 1], distance[FP_DISTANCES]; /* bits << 24 | code, extra bits included for lengths */
    for (unsigned i = 0; i < 256; i++) literal[i] = (uint32_t)c->literal_bits[i] << 16 | c->literal[i];
    for (unsigned n = FP_MIN_MATCH; n <= FP_MAX_MATCH; n++) {
        unsigned symbol = fp_length_symbol[n], bits = c->literal_bits[257 + symbol];
        length[n] = (uint32_t)(bits + fp_length_extra[symbol]) << 24 | c->literal[257 + symbol] |
                    (uint32_t)(n - fp_length_base[symbol]) << bits;
    }
    for (unsigned i = 0; i < FP_DISTANCES; i++) distance[i] = (uint32_t)c->distance_bits[i] << 24 | c->distance[i];
    const uint8_t *from = block->bytes;
    fp_bits b = *out;
    for (size_t s = 0; s < block->sequences; s++) {
        fp_sequence sequence = block->parse->sequences[block->first + s];
        for (uint32_t left = sequence.literals; left;) {
            uint64_t value = 0;
            unsigned count = 0, part = left < 3 ? left : 3;
            for (unsigned k = 0; k < part; k++) {
                uint32_t code = literal[*from++];
                value |= (uint64_t)(code & 0xFFFF) << count;
                count += code >> 16;
            }
            put(&b, value, count);
            left -= part;
        }
        if (!sequence.length) continue;
        from += sequence.length;
        uint32_t code = length[sequence.length], far = sequence.distance;
        uint64_t value = code & 0xFFFFFF;
        unsigned count = code >> 24, symbol = fp_distance_symbol(far), extra = fp_distance_extra(symbol);
        value |= (uint64_t)(distance[symbol] & 0xFFFFFF) << count;
        count += distance[symbol] >> 24;
        value |= (uint64_t)((far - 1) & (((uint32_t)1 << extra) - 1)) << count;
        put(&b, value, count + extra);
    }
    put(&b, c->literal[FP_END_OF_BLOCK], c->literal_bits[FP_END_OF_BLOCK]);
    *out = b;
}

static void block_write(fp_bits *out, fp_block *block, int last)
{
    fp_header header;
    fp_codes own, fixed;
    block->used.literal[FP_END_OF_BLOCK] = 1;
    header_make(&header, &own, &block->used);
    fixed_codes(&fixed);
    uint64_t with_own = header.bits + coded_bits(&own, &block->used), with_fixed = coded_bits(&fixed, &block->used);
    uint64_t shortest = with_own < with_fixed ? with_own : with_fixed;
    uint64_t blocks = (block->size + STORED_MOST - 1) / STORED_MOST;
    if (8 * block->size + 40 * blocks <= shortest + 3) {
        stored_write(out, block->bytes, block->size, last);
    } else if (with_fixed <= with_own) {
        put(out, (unsigned)last | 1u << 1, 3);
        sequences_write(out, block, &fixed);
    } else {
        put(out, (unsigned)last | 2u << 1, 3);
        header_write(&header, out);
        sequences_write(out, block, &own);
    }
}

size_t fp_deflate_bound(size_t size)
{
    return size + 6 * (size / STORED_MOST + FP_MAX_SEGMENTS + 1) + 16;
}

size_t fp_deflate_write(const fp_parse *parse, uint8_t *out)
{
    fp_bits bits = {out, 0, 0};
    fp_block block = {parse, 0, parse->segments[0].sequences, parse->stream, parse->segments[0].bytes,
                      parse->segments[0].used};
    uint64_t alone = histogram_weight(&block.used);
    for (size_t k = 1; k < parse->segment_count; k++) {
        const fp_segment *next = &parse->segments[k];
        fp_histogram both = block.used;
        add(&both, &next->used);
        uint64_t next_alone = histogram_weight(&next->used), together = histogram_weight(&both);
        if (together <= alone + next_alone + HEADER_GUESS) {
            block.used = both;
            block.sequences += next->sequences;
            block.size += next->bytes;
            alone = together;
            continue;
        }
        block_write(&bits, &block, 0);
        block = (fp_block){parse, block.first + block.sequences, next->sequences, block.bytes + block.size, next->bytes,
                           next->used};
        alone = next_alone;
    }
    block_write(&bits, &block, 1);
    put(&bits, 0, (8 - bits.count) & 7);
    return (size_t)(bits.at - out);
}
