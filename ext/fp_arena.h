/* One region of memory lent in pieces, whose pages stay when a piece comes back. Not safe for two threads at a time. */
#ifndef FP_ARENA_H
#define FP_ARENA_H

#include "fp_common.h"

typedef struct fp_arena fp_arena;

/* An arena of `size` bytes, which take no memory before they are lent and written; NULL without address space. */
fp_arena *fp_arena_new(size_t size);

/* Gives the region back to the system. No piece may be in use. */
void fp_arena_free(fp_arena *arena);

/* A piece of at least `size` bytes (more than 0) at the lowest free place, its start a multiple of 64; NULL when none
 * is large enough. */
void *fp_arena_take(fp_arena *arena, size_t size);

/* Takes back what fp_arena_take gave for the same size. */
void fp_arena_give(fp_arena *arena, void *piece, size_t size);

/* Bytes lent now. */
size_t fp_arena_used(const fp_arena *arena);

#endif
