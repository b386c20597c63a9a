/* Prefix codes: lengths by the two-queue method, cut to the limit, canonical codes. */
#include "fp_deflate_internal.h"

#define MAX_BITS 15
#define MAX_SYMBOLS FP_LITERALS

/* Sorts keys (frequency << 9 | symbol) by frequency, stable. `other` is as large. */
static void sort(uint64_t *keys, uint64_t *other, unsigned count, uint32_t largest)
{
    for (unsigned shift = 9; shift == 9 || (uint64_t)largest >> (shift - 9); shift += 8) {
        unsigned starts[257] = {0};
        for (unsigned i = 0; i < count; i++) starts[((keys[i] >> shift) & 255) + 1]++;
        for (unsigned i = 1; i < 257; i++) starts[i] += starts[i - 1];
        for (unsigned i = 0; i < count; i++) other[starts[(keys[i] >> shift) & 255]++] = keys[i];
        memcpy(keys, other, count * sizeof *keys);
    }
}

/* How many leaves lie at each depth of the tree of `count` >= 2 weights in rising order. */
static void depths(const uint64_t *keys, unsigned count, unsigned *at_depth)
{
    uint64_t weight[MAX_SYMBOLS];    /* of inner nodes, in rising order too */
    uint16_t parent[2 * MAX_SYMBOLS]; /* leaves, then inner nodes */
    uint16_t depth[MAX_SYMBOLS];
    unsigned leaf = 0, inner = 0;
    for (unsigned made = 0; made < count - 1; made++) {
        uint64_t sum = 0;
        for (int child = 0; child < 2; child++) {
            if (leaf < count && (inner == made || keys[leaf] >> 9 <= weight[inner])) {
                sum += keys[leaf] >> 9;
                parent[leaf++] = (uint16_t)made;
            } else {
                sum += weight[inner];
                parent[count + inner++] = (uint16_t)made;
            }
        }
        weight[made] = sum;
    }
    depth[count - 2] = 0;
    for (unsigned i = count - 2; i-- > 0;) depth[i] = (uint16_t)(depth[parent[count + i]] + 1);
    for (unsigned i = 0; i < count; i++) at_depth[depth[parent[i]] + 1]++;
}

/* Moves leaves from depths beyond the limit up, and as many others down as that costs. */
static void cut(unsigned *at_depth, unsigned limit)
{
    uint64_t taken = 0;
    for (unsigned d = limit + 1; d < MAX_SYMBOLS; d++) {
        at_depth[limit] += at_depth[d];
        at_depth[d] = 0;
    }
    for (unsigned d = 1; d <= limit; d++) taken += (uint64_t)at_depth[d] << (limit - d);
    for (; taken > (uint64_t)1 << limit; taken--) {
        unsigned d = limit - 1;
        while (!at_depth[d]) d--;
        at_depth[limit]--;
        at_depth[d]--;
        at_depth[d + 1] += 2;
    }
}

void fp_huffman_assign(const uint8_t *lengths, unsigned count, uint16_t *codes)
{
    unsigned at_length[MAX_BITS + 1] = {0}, next[MAX_BITS + 1], code = 0;
    for (unsigned i = 0; i < count; i++) at_length[lengths[i]]++;
    at_length[0] = 0;
    for (unsigned bits = 1; bits <= MAX_BITS; bits++) {
        code = (code + at_length[bits - 1]) << 1;
        next[bits] = code;
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned bits = lengths[i], value = bits ? next[bits]++ : 0, reversed = 0;
        for (unsigned b = 0; b < bits; b++) reversed |= ((value >> b) & 1) << (bits - 1 - b);
        codes[i] = (uint16_t)reversed;
    }
}

void fp_huffman_code(const uint32_t *used, unsigned count, unsigned limit, uint8_t *lengths, uint16_t *codes)
{
    uint64_t keys[MAX_SYMBOLS], other[MAX_SYMBOLS];
    unsigned at_depth[MAX_SYMBOLS] = {0}, found = 0;
    uint32_t largest = 1;
    for (unsigned i = 0; i < count; i++) {
        lengths[i] = 0;
        if (!used[i]) continue;
        keys[found++] = (uint64_t)used[i] << 9 | i;
        if (used[i] > largest) largest = used[i];
    }
    /* Some decoders refuse codes of fewer than two symbols. */
    for (unsigned i = 0; found < 2; i++)
        if (!used[i]) keys[found++] = (uint64_t)1 << 9 | i;
    sort(keys, other, found, largest);
    depths(keys, found, at_depth);
    cut(at_depth, limit);
    unsigned symbol = 0;
    for (unsigned d = limit; d > 0; d--)
        for (unsigned k = 0; k < at_depth[d]; k++) lengths[keys[symbol++] & 511] = (uint8_t)d;
    fp_huffman_assign(lengths, count, codes);
}
