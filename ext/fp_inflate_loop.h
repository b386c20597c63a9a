/* The fast part of a block with codes: as long as there is room for the longest copy, and input for two refills.
 * Included by fp_inflate.c once per instruction set, which gives names (LOOP), its mark (LOOP_TARGET), and ways to cut
 * extra bits and numbers of literals out of entries and to repeat short patterns. */

/* Repeats what lies `distance` back for `length` bytes; writes up to 31 bytes more. */
LOOP_TARGET FP_INLINE void LOOP(copy)(uint8_t *out, uint32_t distance, uint32_t length)
{
    if (distance < 16) {
        LOOP(repeat)(out, distance, length);
        return;
    }
    const uint8_t *from = out - distance, *const end = out + length;
    for (; out < end; out += 32, from += 32) {
        memcpy(out, from, 16);
        memcpy(out + 16, from + 16, 16);
    }
}

/* Decodes until `room` more bytes are reached or the input is near its end; one symbol at least when it is not.
 * Returns 1 after the end of the block, 0 when the ends are near, or a failure below 0. */
LOOP_TARGET FP_INLINE int LOOP(inflate)(fp_inflate_stream *stream, size_t room)
{
    const uint32_t *const symbols = stream->tables->symbols, *const distances = stream->tables->distances;
    const uint8_t *in = stream->in, *const in_stop = stream->in_end - FAST_INPUT;
    uint8_t *out = stream->out, *const out_stop = out + room, *const out_start = stream->out_start;
    uint64_t bits = stream->bits, before;
    uint32_t count = stream->count;
    int result = 0;
    if (in > in_stop || out > out_stop) return 0;
    REFILL();
    uint32_t entry = symbols[bits & SYMBOL_MASK];
    while (in <= in_stop && out <= out_stop) {
        uint32_t length, distance, place;
        /* All 64 bits are right after a refill, though not all are counted: an entry looked up before is still it. */
        REFILL();
        for (int turn = 0; turn < 4; turn++) {
            before = bits;
            TAKE(entry);
            STORE_LITERALS(entry);
            if (!(entry & ENTRY_LITERAL)) goto general;
            entry = symbols[bits & SYMBOL_MASK];
        }
        continue;
    general:
        REFILL();
        if (entry & ENTRY_ODD) {
            out -= LITERALS(entry); /* that was its kind */
            if ((entry & ENTRY_KIND) == ENTRY_LINK) {
                entry = LINKED(symbols, entry);
                before = bits;
                TAKE(entry);
            }
            if ((entry & ENTRY_ODD) && (entry & ENTRY_KIND) != ENTRY_RARE) {
                result = (entry & ENTRY_KIND) == ENTRY_END ? 1 : -FP_INFLATE_DAMAGED;
                break;
            }
            if (entry & ENTRY_LITERAL) {
                *out++ = (uint8_t)(entry >> 16);
                entry = symbols[bits & SYMBOL_MASK];
                continue;
            }
        }
        /* 3 + 5 bits of a linked length and 15 + 13 of the distance: the refill covers all */
        length = (entry >> 24) + 3 + extra_generic(before, entry);
        place = distances[bits & DISTANCE_MASK];
        if (place & ENTRY_ODD) {
            if ((place & ENTRY_KIND) == ENTRY_LINK) {
                TAKE(place);
                place = LINKED(distances, place);
            }
            if ((place & ENTRY_ODD) && (place & ENTRY_KIND) != ENTRY_RARE) {
                result = -FP_INFLATE_DAMAGED;
                break;
            }
        }
        distance = (place >> 16) + extra_generic(bits, place);
        TAKE(place);
        entry = symbols[bits & SYMBOL_MASK];
        if (distance > (size_t)(out - out_start)) {
            result = -FP_INFLATE_DAMAGED;
            break;
        }
        LOOP(copy)(out, distance, length);
        out += length;
    }
    stream->in = in, stream->out = out, stream->bits = bits, stream->count = count & 63;
    return result;
}

/* Up to two literals, then what the next entry has: literals, a copy, or both; the first step is of nothing where that
 * is a copy. Without a branch that a machine has to guess. 0, with nothing done, when an entry is odd or rare.
 *
 * For streams that are steady and have written STEADY_START bytes, from where no distance is too far. A turn takes at
 * most 45 bits (two codes of symbols, one of a distance with 13 bits more) and writes 2 + 1 + 10 bytes, and 6 beyond. */
LOOP_TARGET FP_INLINE int LOOP(steady_turn)(steady_lane *lane, const uint32_t *symbols, const uint32_t *distances)
{
    uint64_t bits = load_bits(lane->in + (lane->place >> 3)) >> (lane->place & 7);
    uint32_t first = symbols[lane->bits & SYMBOL_MASK];
    first = unless_literal(first, 0, first);
    uint8_t *out = lane->out;
    store_literals(out, first);
    out += LOOP(literals)(first);
    bits >>= first & ENTRY_BITS;
    const uint32_t entry = symbols[bits & SYMBOL_MASK];
    store_literals(out, entry);
    out += LOOP(literals)(entry);
    bits >>= entry & ENTRY_BITS;
    uint32_t place = distances[bits & DISTANCE_MASK], length = (entry >> 24) + 3;
    place = unless_literal(entry, place, NOWHERE);
    length = unless_literal(entry, length, 0);
    if (UNLIKELY((entry | place) & ENTRY_ODD)) return 0;
    const uint32_t distance = (place >> 16) + LOOP(extra)(bits, place);
    lane->place += (first + entry + place) & ENTRY_BITS;
    lane->bits = bits >> (place & ENTRY_BITS);
    memcpy(out, out - distance, 16);
    lane->out = out + length;
    return 1;
}

LOOP_TARGET FP_INLINE steady_lane LOOP(open_lane)(const fp_inflate_stream *stream)
{
    const uint8_t *in = stream->in;
    uint64_t bits = stream->bits;
    uint32_t count = stream->count;
    REFILL();
    return (steady_lane){in - 8, stream->out, bits, 64 - count};
}

LOOP_TARGET FP_INLINE void LOOP(close_lane)(const steady_lane *lane, fp_inflate_stream *stream)
{
    const uint32_t odd = lane->place & 7;
    stream->in = lane->in + (lane->place >> 3) + (odd != 0);
    stream->count = (8 - odd) & 7;
    stream->bits = odd ? (uint64_t)stream->in[-1] >> odd : 0;
    stream->out = lane->out;
}

/* Both streams, as far as steady turns go in both, with a fast turn for what is odd. Returns the number of the stream
 * that has to be looked at, *result being what LOOP(inflate) returned for it. */
LOOP_TARGET FP_INLINE int LOOP(steady_two)(fp_inflate_stream *const streams[2], int *result)
{
    const uint32_t *const symbols[2] = {streams[0]->tables->symbols, streams[1]->tables->symbols};
    const uint32_t *const distances[2] = {streams[0]->tables->distances, streams[1]->tables->distances};
    for (;;) {
        size_t turns = SIZE_MAX;
        for (int k = 0; k < 2; k++) {
            *result = 0;
            if (!is_roomy(streams[k])) return k;
            const size_t input = (size_t)(streams[k]->in_end - streams[k]->in - FAST_INPUT) / STEADY_INPUT + 1;
            const size_t output = room_of(streams[k]) / STEADY_OUTPUT + 1;
            turns = input < turns ? input : turns;
            turns = output < turns ? output : turns;
        }
        steady_lane a = LOOP(open_lane)(streams[0]), b = LOOP(open_lane)(streams[1]);
        int halted = -1;
        do {
            if (!LOOP(steady_turn)(&a, symbols[0], distances[0])) {
                halted = 0;
                break;
            }
            if (!LOOP(steady_turn)(&b, symbols[1], distances[1])) {
                halted = 1;
                break;
            }
        } while (--turns);
        LOOP(close_lane)(&a, streams[0]);
        LOOP(close_lane)(&b, streams[1]);
        if (halted < 0) continue;
        *result = LOOP(inflate)(streams[halted], 0);
        if (*result) return halted;
    }
}
