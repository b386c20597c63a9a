/* What symbols are expected to cost. Integers only: the same tile gives the same bytes everywhere. */
#include "fp_deflate_cost.h"

/* A covered byte is worth more than bytes cost on average: who covers more is through with fewer matches. */
#define WORTH 2 /* times the average */
#define LEAST_WORTH 192  /* 1/256 bit a byte */
#define MOST_WORTH 2048
#define NEVER (1 << 24) /* price of matches that are too short */

/* log2 in 1/32 bit, straight lines between powers of two. */
static int log2_32(uint32_t value)
{
    unsigned bits = fp_log2_floor(value);
    uint32_t rest = value - ((uint32_t)1 << bits);
    return (int)(bits << 5) + (int)(bits >= 5 ? rest >> (bits - 5) : rest << (5 - bits));
}

/* From the price of symbols to that of distances, extra bits included. */
static void price_distances(fp_costs *costs, const int *symbols)
{
    for (unsigned symbol = 0, first = 0; symbol < FP_DISTANCES; symbol++) { /* `first`: of its distances, less 1 */
        unsigned extra = fp_distance_extra(symbol), last = first + (1u << extra) - 1;
        int price = symbols[symbol] + (int)(32 * extra);
        if (first < 256)
            for (unsigned k = first; k <= last; k++) costs->distance[k] = price;
        else
            for (unsigned k = first >> 7; k <= last >> 7; k++) costs->distance[256 + k] = price;
        first = last + 1;
    }
}

/* From the price of symbols, and the worth of a byte in 1/256 bit, to what matches bring. */
static void value_lengths(fp_costs *costs, unsigned unit, const int *symbols, unsigned byte)
{
    costs->pixel = (int)(unit * byte / 8);
    for (unsigned length = 0; length <= FP_MAX_MATCH; length += unit) {
        unsigned symbol = fp_length_symbol[length < FP_MIN_MATCH ? FP_MIN_MATCH : length];
        int price = length < FP_MIN_MATCH ? NEVER : symbols[symbol] + 32 * fp_length_extra[symbol];
        int64_t worth = (int64_t)(length * byte / 8) - price;
        int64_t match = worth * ((int64_t)1 << 32) + (int64_t)(length << 16);
        for (unsigned k = length; k < length + unit && k <= FP_MAX_MATCH; k++) costs->match[k] = match;
    }
}

void fp_costs_start(fp_costs *costs, unsigned unit)
{
    for (int i = 0; i < 256; i++) costs->literal[i] = 5 * 32;
    int cost[FP_LENGTHS];
    for (int symbol = 0; symbol < FP_LENGTHS; symbol++) cost[symbol] = 32 * 4;
    value_lengths(costs, unit, cost, 256 * 4 / unit);
    int distance[FP_DISTANCES];
    for (int symbol = 0; symbol < FP_DISTANCES; symbol++) distance[symbol] = 32 * 4;
    price_distances(costs, distance);
}

void fp_costs_learn(fp_costs *costs, unsigned unit, fp_histogram *past, const fp_segment *segment)
{
    const fp_histogram *used = &segment->used;
    uint32_t literals = 0, distances = 0;
    uint64_t bits = used->extra;
    for (unsigned i = 0; i < FP_LITERALS; i++) {
        past->literal[i] = past->literal[i] / 2 + 4 * used->literal[i];
        literals += past->literal[i] + 1;
    }
    for (unsigned i = 0; i < FP_DISTANCES; i++) {
        past->distance[i] = past->distance[i] / 2 + 4 * used->distance[i];
        distances += past->distance[i] + 1;
    }
    int all = log2_32(literals), cost[FP_LENGTHS];
    bits *= 32;
    for (unsigned i = 0; i < 256; i++) {
        costs->literal[i] = all - log2_32(past->literal[i] + 1);
        bits += (uint64_t)used->literal[i] * (uint64_t)costs->literal[i];
    }
    for (unsigned i = 0; i < FP_LENGTHS; i++) {
        cost[i] = all - log2_32(past->literal[257 + i] + 1);
        bits += (uint64_t)used->literal[257 + i] * (uint64_t)cost[i];
    }
    int distance[FP_DISTANCES];
    all = log2_32(distances);
    for (unsigned i = 0; i < FP_DISTANCES; i++) {
        distance[i] = all - log2_32(past->distance[i] + 1);
        bits += (uint64_t)used->distance[i] * (uint64_t)distance[i];
    }
    price_distances(costs, distance);
    uint64_t worth = bits * 8 * WORTH / (segment->bytes ? segment->bytes : 1);
    worth = worth < LEAST_WORTH ? LEAST_WORTH : worth > MOST_WORTH ? MOST_WORTH : worth;
    value_lengths(costs, unit, cost, (unsigned)worth);
}
