#include <string.h>

#include "fp_inflate_internal.h"

#define STEADY_LONGEST 264 /* symbol of copies of 10 bytes; longer ones have extra bits */
#define STEADY_NEAREST 13  /* no copy of 10 bytes from there reads what it writes */

/* Least length or distance and extra bits by symbol, as an entry without the code's own bits. */
#define COPY(base, extra) ((uint32_t)((base) - 3) << 24 | (extra))
#define FAR(base, extra) ((uint32_t)(base) << 16 | (extra))

static const uint32_t lengths_of[SYMBOLS - 257] = {
    COPY(3, 0),   COPY(4, 0),   COPY(5, 0),   COPY(6, 0),   COPY(7, 0),    COPY(8, 0),    COPY(9, 0),    COPY(10, 0),
    COPY(11, 1),  COPY(13, 1),  COPY(15, 1),  COPY(17, 1),  COPY(19, 2),   COPY(23, 2),   COPY(27, 2),   COPY(31, 2),
    COPY(35, 3),  COPY(43, 3),  COPY(51, 3),  COPY(59, 3),  COPY(67, 4),   COPY(83, 4),   COPY(99, 4),   COPY(115, 4),
    COPY(131, 5), COPY(163, 5), COPY(195, 5), COPY(227, 5), COPY(258, 0),  ENTRY_INVALID, ENTRY_INVALID};

static const uint32_t distances_of[DISTANCES] = {
    FAR(1, 0),      FAR(2, 0),      FAR(3, 0),      FAR(4, 0),      FAR(5, 1),     FAR(7, 1),
    FAR(9, 2),      FAR(13, 2),     FAR(17, 3),     FAR(25, 3),     FAR(33, 4),    FAR(49, 4),
    FAR(65, 5),     FAR(97, 5),     FAR(129, 6),    FAR(193, 6),    FAR(257, 7),   FAR(385, 7),
    FAR(513, 8),    FAR(769, 8),    FAR(1025, 9),   FAR(1537, 9),   FAR(2049, 10), FAR(3073, 10),
    FAR(4097, 11),  FAR(6145, 11),  FAR(8193, 12),  FAR(12289, 12), FAR(16385, 13), FAR(24577, 13),
    ENTRY_INVALID,   ENTRY_INVALID};

/* Entry of a symbol whose code has `bits` bits in this table. */
static uint32_t entry_of(int symbol, uint32_t bits, int is_distance, int is_steady)
{
    uint32_t entry;
    if (is_distance)
        entry = distances_of[symbol];
    else if (symbol < 256)
        entry = (uint32_t)symbol << 16 | ENTRY_ONE | ENTRY_LITERAL;
    else
        entry = symbol == 256 ? ENTRY_END : lengths_of[symbol - 257];
    const int is_rare = is_distance ? entry >> 16 < STEADY_NEAREST : symbol > STEADY_LONGEST;
    if (is_steady && is_rare && !(entry & ENTRY_ODD)) entry |= ENTRY_RARE;
    return entry + (bits << 8 | bits);
}

/* The canonical code after `code`, both with their first bit lowest; `bits` long. */
FP_INLINE uint32_t next_code(uint32_t code, int bits)
{
    uint32_t bit = 1u << (bits - 1);
    while (code & bit) {
        code ^= bit;
        bit >>= 1;
    }
    return code | bit;
}

/* A table of a complete set of codes. `sorted`: symbols by length and number; count: symbols by length. */
static void fill_table(uint32_t *table, int index_bits, const uint16_t *sorted, const int *count, int longest,
                       int is_distance, int is_steady)
{
    const int link_bits = longest - index_bits;
    uint32_t code = 0, link = 0, free_entry = 1u << index_bits;
    int filled = 0; /* index bits whose entries are there: the rest repeats them */
    for (int bits = 1; bits <= longest; bits++) {
        if (bits <= index_bits) {
            if (filled) memcpy(table + (1u << filled), table, sizeof *table << filled);
            filled = bits;
        }
        for (int n = count[bits]; n > 0; n--, sorted++) {
            if (bits <= index_bits) {
                table[code] = entry_of(*sorted, (uint32_t)bits, is_distance, is_steady);
            } else {
                const uint32_t prefix = code & ((1u << index_bits) - 1);
                /* codes that share their first bits follow one another, and 0.. is never the first of long ones
                 * unless the table is new */
                if (free_entry == 1u << index_bits || prefix != link) {
                    link = prefix;
                    table[prefix] = free_entry << 16 | ENTRY_LINK | (uint32_t)link_bits << 8 | (uint32_t)index_bits;
                    free_entry += 1u << link_bits;
                }
                const uint32_t entry = entry_of(*sorted, (uint32_t)(bits - index_bits), is_distance, is_steady);
                uint32_t *linked = table + (free_entry - (1u << link_bits));
                for (uint32_t at = code >> index_bits; at < 1u << link_bits; at += 1u << (bits - index_bits))
                    linked[at] = entry;
            }
            code = next_code(code, bits);
        }
    }
    for (; filled < index_bits; filled++) memcpy(table + (1u << filled), table, sizeof *table << filled);
}

/* 2 for a complete set of codes, 1 for one code of one bit, or none, 0 for lengths that zlib refuses: others. */
static int build_table(uint32_t *table, int index_bits, const uint8_t *lengths, int symbols, int is_distance,
                       int is_steady)
{
    int count[MAX_CODE_BITS + 1] = {0}, start[MAX_CODE_BITS + 2], longest = MAX_CODE_BITS;
    uint16_t sorted[SYMBOLS];
    for (int s = 0; s < symbols; s++) count[lengths[s]]++;
    count[0] = 0;
    while (longest > 0 && !count[longest]) longest--;
    int32_t left = 1;
    start[1] = 0;
    for (int bits = 1; bits <= MAX_CODE_BITS; bits++) {
        left = 2 * left - count[bits];
        if (left < 0) return 0;
        start[bits + 1] = start[bits] + count[bits];
    }
    if (left > 0 && longest > 1) return 0;
    for (int s = 0; s < symbols; s++)
        if (lengths[s]) sorted[start[lengths[s]]++] = (uint16_t)s;
    if (left > 0) {
        for (uint32_t i = 0; i < 1u << index_bits; i++) table[i] = ENTRY_INVALID | 1u << 8 | 1u;
        for (uint32_t i = 0; longest && i < 1u << index_bits; i += 2)
            table[i] = entry_of(sorted[0], 1, is_distance, is_steady);
        return 1;
    }
    fill_table(table, index_bits, sorted, count, longest, is_distance, is_steady);
    return 2;
}

/* How much of all bit patterns, in units of 2^-15, begins with the codes of these symbols. */
static int32_t share(const uint8_t *lengths, int from, int to)
{
    int32_t sum = 0;
    for (int s = from; s <= to; s++)
        if (lengths[s]) sum += 1 << (MAX_CODE_BITS - lengths[s]);
    return sum;
}

int fp_inflate_build(fp_inflate_tables *tables, int symbols, int distances)
{
    const uint8_t *lengths = tables->lengths;
    const int shortest = symbols <= STEADY_LONGEST ? symbols - 1 : STEADY_LONGEST;
    const int32_t copies = share(lengths, 257, symbols - 1), longer = copies - share(lengths, 257, shortest);
    const int32_t far = share(lengths + symbols, 8, distances - 1);
    /* some copies at all, one of eight long at most, one of eight near at most */
    tables->is_steady = copies >= 1 << 11 && 8 * longer < copies && far > 7 << 12;
    return build_table(tables->symbols, SYMBOL_BITS, lengths, symbols, 0, tables->is_steady) &&
           build_table(tables->distances, DISTANCE_BITS, lengths + symbols, distances, 1, tables->is_steady);
}

int fp_inflate_build_lengths(uint32_t *table, const uint8_t *lengths)
{
    return build_table(table, LENGTH_BITS, lengths, LENGTHS, 0, 0) == 2;
}
