/* Zlib streams (RFC 1950, 1951) into memory of known size, two at a time. */
#ifndef FP_INFLATE_H
#define FP_INFLATE_H

#include "fp_common.h"

typedef enum {
    FP_INFLATE_OK = 0,
    FP_INFLATE_NO_MEMORY = -1,
    FP_INFLATE_HEADER = 1,  /* not the two bytes that zlib writes first */
    FP_INFLATE_DAMAGED = 2, /* a code, a length or a distance that no stream has */
    FP_INFLATE_TRUNCATED = 3,
    FP_INFLATE_LONG = 4, /* more than `room` bytes */
    FP_INFLATE_CHECKSUM = 5
} fp_inflate_status;

/* One of two streams: `size` bytes from `src` on, of which those after the checksum are not looked at, and `room` bytes
 * at `out`. `written` and `status` are results. */
typedef struct {
    const uint8_t *src;
    size_t size;
    uint8_t *out;
    size_t room;
    size_t written;
    fp_inflate_status status;
} fp_inflate_job;

/* Decodes both streams, turn by turn: a core finds more to do in two than in one. Accepts what zlib accepts.
 * Reads and writes nothing but the bytes given, which do not overlap; after a failure what is left in a job's `out`
 * means nothing. */
void fp_inflate_two(fp_inflate_job jobs[2]);

#endif
