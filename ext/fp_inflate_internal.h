/* Tables of an inflating decoder, shared by its parts.
 *
 * A table is looked up with the next bits of the stream, first bit lowest. Of an entry,
 *   bits 0-5    say how many bits it takes,
 *   bit 6       that a literal is the last of it,
 *   bits 8-13   how many of its bits are codes; those above are extra bits of a length or distance,
 *   bits 14-15  how many literals it has (0 to 2),
 *   bits 16-23  the first literal,
 *   bits 24-31  the second one, or the least length - 3 of a copy, which may follow one literal.
 * So one look-up gives two bytes, or a byte and a copy, wherever both codes fit into the index.
 * Entries of distances have the least distance in bits 16-31.
 * Bit 7 marks odd entries, with their kind in bits 14-15 where others have their literals; a link to a second table has
 * that one's index bits in bits 8-13 and its first entry in bits 16-31. */
#ifndef FP_INFLATE_INTERNAL_H
#define FP_INFLATE_INTERNAL_H

#include "fp_inflate.h"

#define SYMBOL_BITS 12 /* index bits of the table of literals and lengths */
#define DISTANCE_BITS 8
#define LENGTH_BITS 7 /* the longest code of lengths */
#define MAX_CODE_BITS 15
#define SYMBOLS 288
#define DISTANCES 32
#define LENGTHS 19

#define ENTRY_BITS 0x3Fu
#define ENTRY_LITERAL 0x40u
#define ENTRY_ODD 0x80u
#define ENTRY_ONE 0x4000u /* one literal */
#define ENTRY_KIND 0xC080u
#define ENTRY_LINK 0x0080u
#define ENTRY_END 0x4080u
#define ENTRY_INVALID 0x8080u
#define ENTRY_RARE 0xC080u /* not for steady turns: a copy of more than 10 bytes, or from nearer than 13 */

/* Number of literals, of codes' bits (or index bits of a link). */
#define LITERALS(entry) ((entry) >> 14 & 3)
#define CODE_BITS(entry) ((entry) >> 8 & 63)

/* Linked tables: at least two long codes share one, which has an index of the bits that the main one lacks. */
#define SYMBOL_ENTRIES ((1 << SYMBOL_BITS) + SYMBOLS / 2 * (1 << (MAX_CODE_BITS - SYMBOL_BITS)))
#define DISTANCE_ENTRIES ((1 << DISTANCE_BITS) + DISTANCES / 2 * (1 << (MAX_CODE_BITS - DISTANCE_BITS)))

typedef struct {
    uint32_t symbols[SYMBOL_ENTRIES];
    uint32_t distances[DISTANCE_ENTRIES];
    uint8_t lengths[SYMBOLS + DISTANCES];
    int is_steady; /* nearly all copies are of at most 10 bytes, from 13 bytes away or farther */
    int is_fixed; /* the tables are those of fixed codes */
} fp_inflate_tables;

/* A stream being decoded. Bits taken from `in` but not used yet are the low `count` bits of `bits`. */
typedef struct {
    fp_inflate_tables *tables;
    const uint8_t *in, *in_end;
    uint8_t *out, *out_start, *out_end;
    uint64_t bits;
    uint32_t count;
    uint32_t sum;         /* Adler-32 of the blocks that are complete */
    uint8_t *block_start; /* where in out the current block begins */
    int is_last;          /* it is the last one */
    int is_open;          /* its codes are being decoded */
    fp_inflate_status status;
    int is_done;
} fp_inflate_stream;

/* Tables of code lengths: `symbols` literals and lengths, then `distances`. 0 when no stream has these lengths. */
int fp_inflate_build(fp_inflate_tables *tables, int symbols, int distances);

/* Table of the codes that lengths are written in; its entries are single literals. 0 when no stream has these. */
int fp_inflate_build_lengths(uint32_t *table, const uint8_t *lengths);

#endif
