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
        if (same > in_row) same = whole_pixels(w, same);                                                         \
        int64_t worth = (int64_t)w->costs.length[same] - fp_distance_cost(&w->costs, far);                       \
        int64_t choice = worth * ((int64_t)1 << 32) + (int64_t)(same << 16 | (far & 0xFFFF));                    \
        best = choice > best ? choice : best;                                                                    \
    } while (0)

/* Sequences of a whole tile. */
FP_PARSE_TARGET
static void FP_PARSE_NAME(fp_walk *w)
{
    const uint8_t *const stream = w->stream;
    const uint32_t size = w->size;
    uint16_t *const one = w->heads, *const three = one + FP_PLACES, *const six = three + FP_PLACES;
    while (w->at < size) {
        const uint8_t *here = stream + w->at;
        const uint16_t *cell = w->cells + w->pixel;
        fp_places p = places(cell);
        uint16_t low = (uint16_t)w->at;
        uint32_t far1 = (uint16_t)(low - one[p.one]), far3 = (uint16_t)(low - three[p.three]);
        uint32_t far6 = (uint16_t)(low - six[p.six]);
        one[p.one] = three[p.three] = six[p.six] = low;
        const uint32_t reach = w->at < FP_WINDOW ? w->at : FP_WINDOW;
        const uint32_t left = size - w->at, in_row = w->stride - w->in_row;
        const unsigned most = left < FP_MAX_MATCH ? left : FP_MAX_MATCH;
        int64_t best = ((int64_t)w->costs.pixel - literal_cost(w, here)) * ((int64_t)1 << 32);
        FP_TRY(w->stride);
        FP_TRY(far6);
        FP_TRY(far3);
        FP_TRY(far1);
        unsigned length = (unsigned)(best >> 16) & 0xFFFF;
        if (!length) {
            walk_pixel(w);
            continue;
        }
        if (length <= in_row) length = w->whole[length];
        unsigned covered = w->pixels[length < in_row ? length : in_row];
        for (unsigned k = 1; k < covered && k < REMEMBERED; k++) {
            p = places(cell + k);
            low = (uint16_t)(low + w->unit);
            one[p.one] = three[p.three] = six[p.six] = low;
        }
        walk_match(w, length, (uint32_t)best & 0xFFFF);
    }
}

#undef FP_TRY
