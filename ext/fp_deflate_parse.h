/* The parser's loop, once per way of comparing. The includer defines
 *   FP_PARSE_NAME    the function
 *   FP_PARSE_TARGET  its instruction set
 *   FP_PARSE_EQUAL   (a, b, limit): how many bytes at a and b are equal, at most limit. */

/* Looks at what lies `distance_` back and keeps it if it is better than the best so far. Which it is cannot be
 * predicted, so it is computed: what is too far or too short has a worth that nobody takes. */
#define FP_TRY(distance_)                                                                                        \
    do {                                                                                                         \
        uint32_t far = (uint32_t)(distance_) - 1;                                                                \
        far = 1 + (far & (0u - (uint32_t)(far < reach)));                                                        \
        unsigned same = FP_PARSE_EQUAL(here, here - far, most);                                                  \
        int64_t worth = same > rest ? crossing(w, in_row, same) : w->costs.match[same];                          \
        int64_t choice = worth - fp_distance_cost(&w->costs, far) * ((int64_t)1 << 32) + (far & 0xFFFF);         \
        best = choice > best ? choice : best;                                                                    \
    } while (0)

#define FP_CHOSEN ((unsigned)(best >> 16) & 0xFFFF)

/* Sequences of a whole tile. Where it stands is kept out of the struct: what is counted could lie there, as far as the
 * compiler knows. */
FP_PARSE_TARGET
static void FP_PARSE_NAME(fp_walk *w)
{
    const uint8_t *const stream = w->stream;
    const uint16_t *const hash_one = w->hashes[0], *const hash_three = w->hashes[1], *const hash_six = w->hashes[2];
    uint16_t *const one = w->heads, *const three = one + FP_PLACES, *const six = three + FP_PLACES;
    const uint32_t size = w->size, stride = w->stride, unit = w->unit, lead = w->lead;
    uint32_t at = w->at, in_row = w->in_row, pixel = w->pixel, literals = w->literals;
    while (at < size) {
        const uint8_t *here = stream + at;
        const uint32_t reach = at < FP_WINDOW ? at : FP_WINDOW, left = size - at, rest = stride - in_row;
        const unsigned most = left < FP_MAX_MATCH ? left : FP_MAX_MATCH;
        uint32_t *const used = w->used->literal;
        int64_t best = ((int64_t)w->costs.pixel - literal_cost(w, here)) * ((int64_t)1 << 32);
        FP_TRY(stride);
        if (FP_CHOSEN < LONG_ABOVE) {
            uint16_t low = (uint16_t)at;
            uint32_t far1 = (uint16_t)(low - one[hash_one[pixel]]), far3 = (uint16_t)(low - three[hash_three[pixel]]);
            uint32_t far6 = (uint16_t)(low - six[hash_six[pixel]]);
            FP_TRY(far6);
            FP_TRY(far3);
            FP_TRY(far1);
        }
        unsigned length = FP_CHOSEN, covered = 1;
        if (!length) {
            one[hash_one[pixel]] = three[hash_three[pixel]] = six[hash_six[pixel]] = (uint16_t)at;
            for (unsigned k = 0; k < unit; k++) used[here[k]]++;
            literals += length = unit;
        } else {
            covered = w->pixels[length < rest ? length : rest];
            one[hash_one[pixel]] = (uint16_t)at;
            for (unsigned k = 0; k < REMEMBERED; k++) {
                uint32_t ahead = k < covered ? k : covered - 1, x = pixel + ahead;
                three[hash_three[x]] = six[hash_six[x]] = (uint16_t)(at + ahead * unit);
            }
            uint32_t distance = (uint32_t)best & 0xFFFF;
            used[FP_END_OF_BLOCK + 1 + fp_length_symbol[length]]++;
            w->used->distance[fp_distance_symbol(distance)]++;
            *w->sequences++ = (fp_sequence){literals, (uint16_t)length, (uint16_t)distance};
            literals = 0;
        }
        at += length;
        pixel += covered;
        in_row += length;
        while (in_row > stride) { /* `covered` ended with the row */
            in_row -= stride;
            uint32_t end = in_row < stride ? in_row : stride;
            pixel += w->pixels[end - lead];
        }
        if (in_row == stride) {
            in_row = 0;
            if (lead && at < size) {
                used[stream[at++]]++;
                in_row = 1;
                literals++;
            }
        }
        if (at >= w->segment_end) {
            w->literals = literals;
            w->at = at;
            next_segment(w);
            literals = 0;
        }
    }
    w->literals = literals;
    w->at = at;
}

#undef FP_TRY
#undef FP_CHOSEN
