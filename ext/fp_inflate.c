#include "fp_inflate.h"

#include <stdlib.h>
#include <string.h>

#include "fp_checksum.h"
#include "fp_cpu.h"
#include "fp_inflate_internal.h"

/* Bytes of input that a fast turn reads at most, and bytes of output that it writes. */
#define FAST_INPUT 16
#define FAST_OUTPUT (8 + 258 + 32)
/* The same of a steady turn, with some to spare, and bytes of output after which there may be any. */
#define STEADY_INPUT 8
#define STEADY_OUTPUT 16
#define STEADY_START 32768
/* A distance that does no harm where there is no copy. */
#define NOWHERE (1500u << 16)

#if defined(__GNUC__) || defined(__clang__)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#else
#define UNLIKELY(condition) (condition)
#endif

#define SYMBOL_MASK ((1 << SYMBOL_BITS) - 1)
#define DISTANCE_MASK ((1 << DISTANCE_BITS) - 1)

FP_INLINE uint64_t load_bits(const uint8_t *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof value);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

FP_INLINE void store_literals(uint8_t *out, uint32_t entry)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint16_t both = (uint16_t)(entry >> 16);
    memcpy(out, &both, 2);
#else
    out[0] = (uint8_t)(entry >> 16), out[1] = (uint8_t)(entry >> 24);
#endif
}

/* At least 56 bits. Bits above those counted are the bytes that follow, so or-ing these once more changes nothing. */
#define REFILL() (bits |= load_bits(in) << (count & 63), in += ~(count >> 3) & 7, count |= 56)
/* Only the low six bits of count matter, so that what else an entry has does no harm. */
#define TAKE(entry) (bits >>= (entry) & ENTRY_BITS, count -= (entry))
#define LINKED(table, entry) ((table)[((entry) >> 16) + (bits & ((1u << CODE_BITS(entry)) - 1))])
/* Both bytes are always written: what is no literal is written over. */
#define STORE_LITERALS(entry) (store_literals(out, entry), out += LITERALS(entry))

/* Extra bits of an entry, above those of its codes. */
FP_INLINE uint32_t extra_generic(uint64_t bits, uint32_t entry)
{
    return (uint32_t)((bits & (((uint64_t)1 << (entry & ENTRY_BITS)) - 1)) >> CODE_BITS(entry));
}

/* Is there room for fast turns? */
static int is_roomy(const fp_inflate_stream *stream)
{
    return stream->in_end - stream->in >= FAST_INPUT && stream->out_end - stream->out >= FAST_OUTPUT;
}

/* Repeats the last `distance` (below 16) bytes for `length` bytes; writes up to 31 bytes more. */
FP_INLINE void repeat_generic(uint8_t *out, uint32_t distance, uint32_t length)
{
    const uint8_t *from = out - distance;
    const uint8_t *const end = out + length;
    /* a period of at least 8 bytes, copied 8 at a time */
    uint32_t period = distance;
    while (period < 8) {
        for (uint32_t i = 0; i < distance; i++) out[i] = from[i];
        out += distance, period += distance;
    }
    for (from = out - period; out < end; out += 8, from += 8) memcpy(out, from, 8);
}

/* `value`, or `other` if the entry's last is a literal. Compilers like to branch here, which no machine foresees. */
FP_INLINE uint32_t unless_literal(uint32_t entry, uint32_t value, uint32_t other)
{
#if defined(FP_X86) && (defined(__GNUC__) || defined(__clang__))
    __asm__("testb $0x40, %b1\n\tcmovne %2, %0" : "+r"(value) : "r"(entry), "r"(other) : "cc");
    return value;
#else
    const uint32_t mask = (uint32_t)((int32_t)(entry << 25) >> 31);
    return (value & ~mask) | (other & mask);
#endif
}

FP_INLINE uint32_t literals_generic(uint32_t entry)
{
    return LITERALS(entry);
}

/* Bytes that may be written before a fast turn is too long; of a roomy stream. */
static size_t room_of(const fp_inflate_stream *stream)
{
    return (size_t)(stream->out_end - stream->out) - FAST_OUTPUT;
}

/* A stream in steady turns. */
typedef struct {
    const uint8_t *in;
    uint8_t *out;
    uint64_t bits;  /* at least one symbol's */
    uint64_t place; /* bits of `in` that are used up */
} steady_lane;

#define LOOP_TARGET
#define LOOP(name) name##_generic
#include "fp_inflate_loop.h"
#undef LOOP
#undef LOOP_TARGET

/* How this machine makes pairs of a table's entries and decodes most of a block. */
typedef struct {
    void (*pair)(uint32_t *table);
    int (*fast)(fp_inflate_stream *stream, size_t room);
    int (*steady_two)(fp_inflate_stream *const streams[2], int *result);
} inflate_path;

/* From the top down: the entry of the bits behind a literal is at a lower index, and still a single one. Those bits,
 * with zeros above, are a whole code if its length says so. */
static void pair_generic(uint32_t *table)
{
    for (uint32_t i = SYMBOL_MASK + 1; i-- > 0;) {
        const uint32_t first = table[i], second = table[i >> (first & ENTRY_BITS)];
        if (!(first & ENTRY_LITERAL) || (second & ENTRY_ODD)) continue;
        if ((first & ENTRY_BITS) + CODE_BITS(second) > SYMBOL_BITS) continue;
        const uint32_t moved = (second & 0xFFFF) + ((second & 0xFF0000) << 8);
        table[i] = first - ENTRY_LITERAL + (second & ENTRY_LITERAL ? moved : second);
    }
}

static int fast_generic(fp_inflate_stream *stream, size_t room)
{
    return inflate_generic(stream, room);
}

static int steady_both_generic(fp_inflate_stream *const streams[2], int *result)
{
    return steady_two_generic(streams, result);
}

#if defined(FP_X86)
#include "fp_inflate_x86.h"
#endif

static inflate_path choose_path(void)
{
#if defined(FP_X86)
    if (fp_cpu_live() & FP_CPU_AVX2) return (inflate_path){pair_avx2, fast_avx2, steady_two_avx2};
#endif
    return (inflate_path){pair_generic, fast_generic, steady_both_generic};
}

/* Fills up to at least 48 bits, or with all there is. */
static void refill_slowly(fp_inflate_stream *stream)
{
    while (stream->count <= 55 && stream->in < stream->in_end) {
        stream->bits |= (uint64_t)*stream->in++ << stream->count;
        stream->count += 8;
    }
}

/* Takes n <= 32 bits; 0 when there are not so many. */
static int take_bits(fp_inflate_stream *stream, uint32_t n, uint32_t *value)
{
    if (stream->count < n) refill_slowly(stream);
    if (stream->count < n) return 0;
    *value = (uint32_t)(stream->bits & (((uint64_t)1 << n) - 1));
    stream->bits >>= n, stream->count -= n;
    return 1;
}

/* The next entry, its bits being there; an odd one with *status set if there is none. */
static uint32_t next_entry(fp_inflate_stream *stream, const uint32_t *table, uint32_t index_bits, int *status)
{
    refill_slowly(stream);
    uint32_t entry = table[stream->bits & ((1u << index_bits) - 1)];
    if ((entry & ENTRY_KIND) == ENTRY_LINK && stream->count >= index_bits) {
        stream->bits >>= index_bits, stream->count -= index_bits;
        entry = table[(entry >> 16) + (stream->bits & ((1u << CODE_BITS(entry)) - 1))];
    }
    if ((entry & ENTRY_KIND) == ENTRY_INVALID) *status = FP_INFLATE_DAMAGED;
    if ((entry & ENTRY_KIND) == ENTRY_LINK || stream->count < (entry & ENTRY_BITS)) *status = FP_INFLATE_TRUNCATED;
    return entry;
}

/* Takes an entry's bits; returns the value of those behind its codes. */
static uint32_t take_entry(fp_inflate_stream *stream, uint32_t entry)
{
    const uint32_t extra = extra_generic(stream->bits, entry);
    stream->bits >>= entry & ENTRY_BITS, stream->count -= entry & ENTRY_BITS;
    return extra;
}

/* The rest of a block near the ends of input or output. */
static fp_inflate_status inflate_slowly(fp_inflate_stream *stream)
{
    int status = FP_INFLATE_OK;
    for (;;) {
        const uint32_t entry = next_entry(stream, stream->tables->symbols, SYMBOL_BITS, &status);
        if (status) return status;
        const uint32_t length = (entry >> 24) + 3 + take_entry(stream, entry);
        if ((entry & ENTRY_KIND) == ENTRY_END) return FP_INFLATE_OK;
        /* a pair that does not fit: no stream ends with a literal, so this one is too long anyway */
        const uint32_t literals = entry & ENTRY_ODD ? 0 : LITERALS(entry);
        if ((size_t)(stream->out_end - stream->out) < literals) return FP_INFLATE_LONG;
        for (uint32_t i = 0; i < literals; i++) *stream->out++ = (uint8_t)(entry >> (16 + 8 * i));
        if (entry & ENTRY_LITERAL) continue;
        const uint32_t place = next_entry(stream, stream->tables->distances, DISTANCE_BITS, &status);
        if (status) return status;
        const uint32_t distance = (place >> 16) + take_entry(stream, place);
        if (distance > (size_t)(stream->out - stream->out_start)) return FP_INFLATE_DAMAGED;
        if (length > (size_t)(stream->out_end - stream->out)) return FP_INFLATE_LONG;
        for (uint32_t i = 0; i < length; i++, stream->out++) *stream->out = *(stream->out - distance);
    }
}

/* All of a block but its tables. */
static fp_inflate_status inflate_codes(fp_inflate_stream *stream, const inflate_path *path)
{
    const int result = is_roomy(stream) ? path->fast(stream, room_of(stream)) : 0;
    if (result) return result < 0 ? (fp_inflate_status)-result : FP_INFLATE_OK;
    return inflate_slowly(stream);
}

/* Gives back the whole bytes among the bits, and drops the rest. */
static void align_to_byte(fp_inflate_stream *stream)
{
    stream->in -= stream->count >> 3;
    stream->bits = 0, stream->count = 0;
}

static fp_inflate_status copy_stored(fp_inflate_stream *stream)
{
    align_to_byte(stream);
    if (stream->in_end - stream->in < 4) return FP_INFLATE_TRUNCATED;
    const size_t size = (size_t)stream->in[0] | (size_t)stream->in[1] << 8;
    const size_t check = (size_t)stream->in[2] | (size_t)stream->in[3] << 8;
    if ((size ^ check) != 0xFFFF) return FP_INFLATE_DAMAGED;
    stream->in += 4;
    if ((size_t)(stream->in_end - stream->in) < size) return FP_INFLATE_TRUNCATED;
    if ((size_t)(stream->out_end - stream->out) < size) return FP_INFLATE_LONG;
    memcpy(stream->out, stream->in, size);
    stream->in += size, stream->out += size;
    return FP_INFLATE_OK;
}

static void fixed_lengths(uint8_t *lengths)
{
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    memset(lengths + SYMBOLS, 5, DISTANCES);
}

/* Lengths of the codes of a block: `wanted` of them, run by run, each a code of the code in `table`. */
static fp_inflate_status read_lengths(fp_inflate_stream *stream, const uint32_t *table, uint8_t *lengths, int wanted)
{
    static const uint8_t extra[3] = {2, 3, 7}, least[3] = {3, 3, 11};
    for (int have = 0; have < wanted;) {
        refill_slowly(stream);
        const uint32_t entry = table[stream->bits & ((1 << LENGTH_BITS) - 1)], symbol = entry >> 16;
        uint32_t more = 0;
        if (stream->count < (entry & ENTRY_BITS)) return FP_INFLATE_TRUNCATED;
        stream->bits >>= entry & ENTRY_BITS, stream->count -= entry & ENTRY_BITS;
        if (symbol < 16) {
            lengths[have++] = (uint8_t)symbol;
            continue;
        }
        if (symbol == 16 && !have) return FP_INFLATE_DAMAGED;
        if (!take_bits(stream, extra[symbol - 16], &more)) return FP_INFLATE_TRUNCATED;
        more += least[symbol - 16];
        if (more > (uint32_t)(wanted - have)) return FP_INFLATE_DAMAGED;
        memset(lengths + have, symbol == 16 ? lengths[have - 1] : 0, more);
        have += (int)more;
    }
    return FP_INFLATE_OK;
}

static fp_inflate_status read_tables(fp_inflate_stream *stream, const inflate_path *path)
{
    fp_inflate_tables *const tables = stream->tables;
    static const uint8_t order[LENGTHS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint32_t symbols, distances, codes, length;
    uint8_t lengths[LENGTHS] = {0};
    if (!take_bits(stream, 5, &symbols) || !take_bits(stream, 5, &distances) || !take_bits(stream, 4, &codes))
        return FP_INFLATE_TRUNCATED;
    symbols += 257, distances += 1, codes += 4;
    if (symbols > 286 || distances > 30) return FP_INFLATE_DAMAGED;
    for (uint32_t i = 0; i < codes; i++) {
        if (!take_bits(stream, 3, &length)) return FP_INFLATE_TRUNCATED;
        lengths[order[i]] = (uint8_t)length;
    }
    tables->is_fixed = 0;
    /* the table of distances has room for this one, and is not needed yet */
    if (!fp_inflate_build_lengths(tables->distances, lengths)) return FP_INFLATE_DAMAGED;
    const fp_inflate_status status =
        read_lengths(stream, tables->distances, tables->lengths, (int)(symbols + distances));
    if (status != FP_INFLATE_OK) return status;
    /* a block that cannot end */
    if (!tables->lengths[256]) return FP_INFLATE_DAMAGED;
    if (!fp_inflate_build(tables, (int)symbols, (int)distances)) return FP_INFLATE_DAMAGED;
    path->pair(tables->symbols);
    return FP_INFLATE_OK;
}

static fp_inflate_status open_block(fp_inflate_stream *stream, const inflate_path *path)
{
    uint32_t is_last, type;
    stream->block_start = stream->out;
    if (!take_bits(stream, 1, &is_last) || !take_bits(stream, 2, &type)) return FP_INFLATE_TRUNCATED;
    stream->is_last = (int)is_last;
    stream->is_open = type == 1 || type == 2;
    if (type == 0) return copy_stored(stream);
    if (type == 3) return FP_INFLATE_DAMAGED;
    if (type == 2) return read_tables(stream, path);
    if (!stream->tables->is_fixed) {
        fixed_lengths(stream->tables->lengths);
        fp_inflate_build(stream->tables, SYMBOLS, DISTANCES);
        path->pair(stream->tables->symbols);
        stream->tables->is_fixed = 1;
    }
    return FP_INFLATE_OK;
}

static fp_inflate_status check_end(fp_inflate_stream *stream)
{
    align_to_byte(stream);
    if (stream->in_end - stream->in < 4) return FP_INFLATE_TRUNCATED;
    const uint8_t *p = stream->in;
    stream->in += 4;
    return stream->sum == ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3])
               ? FP_INFLATE_OK
               : FP_INFLATE_CHECKSUM;
}

/* After a block: the stream's end, or the next block's tables. Sets is_done at the end and after a failure. */
static void go_on(fp_inflate_stream *stream, const inflate_path *path)
{
    do {
        stream->sum = fp_adler32(stream->sum, stream->block_start, (size_t)(stream->out - stream->block_start));
        stream->is_open = 0;
        if (stream->is_last) stream->status = check_end(stream), stream->is_done = 1;
        else stream->status = open_block(stream, path);
        stream->is_done |= stream->status != FP_INFLATE_OK;
    } while (!stream->is_open && !stream->is_done);
}

static void open_stream(fp_inflate_stream *stream, const fp_inflate_job *job, const inflate_path *path)
{
    const uint8_t *const src = job->src;
    stream->in = src, stream->in_end = src + job->size;
    stream->out = stream->out_start = stream->block_start = job->out, stream->out_end = job->out + job->room;
    stream->bits = 0, stream->count = 0, stream->sum = 1;
    stream->is_last = stream->is_open = 0;
    stream->status = FP_INFLATE_OK;
    stream->tables->is_fixed = stream->tables->is_steady = 0;
    if (job->size < 2) {
        stream->status = FP_INFLATE_TRUNCATED;
    } else {
        const uint32_t head = (uint32_t)src[0] << 8 | src[1];
        /* deflate, a window of at most 32 KiB, no dictionary */
        if ((head >> 8 & 15) != 8 || head >> 12 > 7 || head % 31 || (head & 32)) stream->status = FP_INFLATE_HEADER;
    }
    stream->is_done = stream->status != FP_INFLATE_OK;
    if (stream->is_done) return;
    stream->in += 2;
    go_on(stream, path);
}

/* Goes on behind a block, after its last codes if `result` of fast turns (as they return it) says so. */
static void leave_block(fp_inflate_stream *stream, const inflate_path *path, int result)
{
    if (result < 0)
        stream->status = (fp_inflate_status)-result;
    else if (!result)
        stream->status = inflate_codes(stream, path);
    if (stream->status == FP_INFLATE_OK)
        go_on(stream, path);
    else
        stream->is_done = 1;
}

/* Brings a stream to where steady_two can take it. 0: the rest of its block is decoded, or all of it. */
static int is_ready(fp_inflate_stream *stream, const inflate_path *path)
{
    int result = 0;
    const size_t done = (size_t)(stream->out - stream->out_start);
    if (stream->tables->is_steady && done < STEADY_START && is_roomy(stream)) {
        const size_t room = room_of(stream);
        result = path->fast(stream, room < STEADY_START - done ? room : STEADY_START - done);
    }
    if (!result && stream->tables->is_steady && is_roomy(stream)) return 1;
    leave_block(stream, path, result);
    return 0;
}

void fp_inflate_two(fp_inflate_job jobs[2])
{
    fp_inflate_stream streams[2], *const both[2] = {streams, streams + 1};
    const inflate_path path = choose_path();
    fp_inflate_tables *tables = malloc(2 * sizeof *tables);
    if (!tables) {
        jobs[0].status = jobs[1].status = FP_INFLATE_NO_MEMORY;
        return;
    }
    for (int k = 0; k < 2; k++) {
        streams[k].tables = tables + k;
        open_stream(streams + k, jobs + k, &path);
    }
    while (!streams[0].is_done && !streams[1].is_done) {
        int result;
        if (!is_ready(streams, &path) || !is_ready(streams + 1, &path)) continue;
        const int halted = path.steady_two(both, &result);
        leave_block(streams + halted, &path, result);
    }
    for (int k = 0; k < 2; k++) {
        while (!streams[k].is_done) leave_block(streams + k, &path, 0);
        jobs[k].written = (size_t)(streams[k].out - jobs[k].out);
        jobs[k].status = streams[k].status;
    }
    free(tables);
}
