#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "fp_arena.h"

#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#define GRAIN ((size_t)64)
#define PAGE ((size_t)4096)

/* A free stretch of the region. */
typedef struct {
    size_t start, size;
} stretch;

struct fp_arena {
    uint8_t *memory, *start; /* as allocated, and its first page */
    size_t size, used, lent; /* bytes in all and lent, pieces lent */
    size_t count, room;      /* free stretches, and for how many there is room */
    stretch *free;           /* by place; no two touch */
};

static size_t rounded(size_t size)
{
    return (size + GRAIN - 1) & ~(GRAIN - 1);
}

/* Memory that is not written to costs nothing anywhere. No large pages: on virtual machines whose free memory goes back
 * to the host, one of them may take milliseconds. */
static uint8_t *reserve(size_t size)
{
#if defined(__linux__)
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
#else
    return malloc(size);
#endif
}

static void release(uint8_t *memory, size_t size)
{
#if defined(__linux__)
    munmap(memory, size);
#else
    (void)size;
    free(memory);
#endif
}

fp_arena *fp_arena_new(size_t size)
{
    if (size > SIZE_MAX - 2 * PAGE) return NULL;
    fp_arena *arena = calloc(1, sizeof *arena);
    if (!arena) return NULL;
    arena->size = rounded(size);
    arena->room = 64;
    arena->free = malloc(arena->room * sizeof *arena->free);
    arena->memory = arena->free ? reserve(arena->size + PAGE) : NULL;
    if (!arena->memory) {
        free(arena->free);
        free(arena);
        return NULL;
    }
    arena->start = arena->memory + (PAGE - (uintptr_t)arena->memory % PAGE) % PAGE;
    arena->free[arena->count++] = (stretch){0, arena->size};
    return arena;
}

void fp_arena_free(fp_arena *arena)
{
    if (!arena) return;
    release(arena->memory, arena->size + PAGE);
    free(arena->free);
    free(arena);
}

void *fp_arena_take(fp_arena *arena, size_t size)
{
    if (size > arena->size) return NULL;
    size = rounded(size);
    /* Pieces coming back never need memory: between and around n pieces there are at most n + 1 free stretches. */
    if (arena->lent + 2 > arena->room) {
        stretch *more = realloc(arena->free, 2 * arena->room * sizeof *more);
        if (!more) return NULL;
        arena->free = more;
        arena->room *= 2;
    }
    for (size_t i = 0; i < arena->count; i++) {
        stretch *found = &arena->free[i];
        if (found->size < size) continue;
        uint8_t *piece = arena->start + found->start;
        found->start += size;
        found->size -= size;
        if (!found->size) {
            arena->count--;
            memmove(found, found + 1, (arena->count - i) * sizeof *found);
        }
        arena->used += size;
        arena->lent++;
        return piece;
    }
    return NULL;
}

void fp_arena_give(fp_arena *arena, void *piece, size_t size)
{
    const size_t start = (size_t)((uint8_t *)piece - arena->start);
    size_t i = 0;
    size = rounded(size);
    while (i < arena->count && arena->free[i].start < start) i++;
    stretch *next = &arena->free[i];
    const int joins_last = i > 0 && next[-1].start + next[-1].size == start;
    const int joins_next = i < arena->count && start + size == next->start;
    if (joins_last && joins_next) {
        next[-1].size += size + next->size;
        arena->count--;
        memmove(next, next + 1, (arena->count - i) * sizeof *next);
    } else if (joins_last) {
        next[-1].size += size;
    } else if (joins_next) {
        next->start = start;
        next->size += size;
    } else {
        memmove(next + 1, next, (arena->count - i) * sizeof *next);
        *next = (stretch){start, size};
        arena->count++;
    }
    arena->used -= size;
    arena->lent--;
}

size_t fp_arena_used(const fp_arena *arena)
{
    return arena->used;
}
