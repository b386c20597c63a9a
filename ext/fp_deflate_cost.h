/* What symbols are expected to cost, for the choice between matches. In 1/32 bit. */
#ifndef FP_DEFLATE_COST_H
#define FP_DEFLATE_COST_H

#include "fp_deflate_internal.h"

typedef struct {
    int literal[256];
    int64_t match[FP_MAX_MATCH + 1]; /* by equal bytes: bits 32..63 are the worth of the whole pixels in them, less the
                                        price of the length; bits 16..31 the length of those pixels */
    int distance[512];            /* by distance - 1 up to 256, then by 256 + (distance - 1) / 128 */
    int pixel;                    /* worth of a pixel, whatever way it is coded */
} fp_costs;

/* Before anything is known. */
void fp_costs_start(fp_costs *costs, unsigned unit);

/* After a segment: `past` is what was used so far, with old segments fading, and takes the new one in. `bytes` of the
 * stream were coded in the segment. */
void fp_costs_learn(fp_costs *costs, unsigned unit, fp_histogram *past, const fp_segment *segment);

/* Price of a distance 1..32768. */
FP_INLINE int fp_distance_cost(const fp_costs *costs, uint32_t distance)
{
    /* A choice without a branch, which would be a guess. */
    uint32_t near = distance - 1, far = 256 + (near >> 7), is_far = 0u - (uint32_t)(near > 255);
    return costs->distance[near ^ ((near ^ far) & is_far)];
}

#endif
