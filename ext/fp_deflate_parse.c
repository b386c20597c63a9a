/* From bytes to literals and matches, in one pass without looking back.
 *
 * Only whole pixels are looked for and taken: in an image, what starts elsewhere is chance. Candidates are the pixel
 * above and, unless that one is equal for long, where the next 1, 3 and 6 pixels were seen last (when pixels are small:
 * 3 bytes and some more). All are compared, and the one that saves most is taken at once. Of what a match covers, the
 * first pixels are remembered as starts of groups; alone only the very first. */
#include "fp_cpu.h"
#include "fp_deflate_cost.h"

#if defined(FP_X86)
#include <immintrin.h>
#endif

#define REMEMBERED 6  /* pixels of a match */
#define LONG_ABOVE 24 /* equal bytes above that are not compared with other places */

/* Where the parser stands. Sizes fit 32 bits: FP_DEFLATE_MAX_TILE. */
typedef struct {
    fp_parse *parse;
    const uint8_t *stream;
    const uint16_t *hashes[FP_HASHES]; /* of the next 1, 3, 6 pixels, by pixel */
    uint16_t *heads;             /* where the next 1, 3, 6 pixels were last, by their hash; modulo 65536 */
    fp_sequence *sequences;      /* the next one */
    uint32_t at, size;           /* in the stream */
    uint32_t in_row, stride;     /* of `at`; the filter byte is 0 */
    uint32_t pixel;              /* the one at `at`, or the next one */
    uint32_t lead, unit;
    uint32_t literals; /* pending */
    uint32_t segment_start, segment_end, segment_size;
    fp_sequence *segment_first;
    fp_histogram *used; /* of the segment */
    fp_histogram past;
    fp_costs costs;
    uint16_t pixels[FP_MAX_MATCH + 1]; /* whole pixels in so many bytes */
} fp_walk;

static void open_segment(fp_walk *w)
{
    fp_parse *parse = w->parse;
    w->used = &parse->segments[parse->segment_count++].used;
    memset(w->used, 0, sizeof *w->used);
    w->segment_start = w->at;
    w->segment_first = w->sequences;
    w->segment_end = parse->segment_count == FP_MAX_SEGMENTS ? w->size : w->at + w->segment_size;
}

static FP_NOINLINE void next_segment(fp_walk *w)
{
    fp_parse *parse = w->parse;
    if (w->literals) {
        *w->sequences++ = (fp_sequence){w->literals, 0, 0};
        w->literals = 0;
    }
    fp_segment *segment = &parse->segments[parse->segment_count - 1];
    segment->sequences = (size_t)(w->sequences - w->segment_first);
    segment->bytes = w->at - w->segment_start;
    for (unsigned i = 0; i < FP_LENGTHS; i++)
        w->used->extra += w->used->literal[FP_END_OF_BLOCK + 1 + i] * fp_length_extra[i];
    for (unsigned i = 0; i < FP_DISTANCES; i++) w->used->extra += w->used->distance[i] * fp_distance_extra(i);
    if (w->at == w->size) return;
    /* Prices change little later on, and asking for them is not free. */
    fp_costs_learn(&w->costs, w->unit, &w->past, segment);
    open_segment(w);
}

FP_INLINE int literal_cost(const fp_walk *w, const uint8_t *here)
{
    int cost = w->costs.literal[here[0]];
    if (w->unit > 1) cost += w->costs.literal[here[1]];
    if (w->unit > 2) cost += w->costs.literal[here[2]];
    if (w->unit > 3) cost += w->costs.literal[here[3]];
    return cost;
}

static void walk_bytes(fp_walk *w, unsigned bytes)
{
    const uint8_t *here = w->stream + w->at;
    for (unsigned k = 0; k < bytes; k++) w->used->literal[here[k]]++;
    w->literals += bytes;
    w->at += bytes;
    w->in_row += bytes;
}

static void walk_start(fp_walk *w, fp_parse *parse)
{
    memset(w, 0, sizeof *w);
    w->parse = parse;
    w->stream = parse->stream;
    for (int k = 0; k < FP_HASHES; k++) w->hashes[k] = parse->hashes[k];
    w->heads = parse->heads;
    w->sequences = parse->sequences;
    w->size = (uint32_t)parse->size;
    w->stride = (uint32_t)parse->stride;
    w->lead = parse->lead;
    w->unit = parse->unit;
    uint32_t share = w->size / FP_MAX_SEGMENTS + 1;
    w->segment_size = share < LEAST_SEGMENT ? LEAST_SEGMENT : share;
    for (unsigned n = 0; n <= FP_MAX_MATCH; n++) w->pixels[n] = (uint16_t)(n / parse->unit);
    memset(parse->heads, 0, FP_HASHES * FP_PLACES * sizeof *parse->heads);
    fp_costs_start(&w->costs, parse->unit);
    parse->segment_count = 0;
    open_segment(w);
    walk_bytes(w, w->lead);
    walk_bytes(w, w->unit); /* nothing to look back at */
    w->pixel = 1;
    if (w->in_row == w->stride) { /* one pixel wide */
        w->in_row = 0;
        if (w->at < w->size) walk_bytes(w, w->lead);
    }
}

/* What is in fp_costs.match, for a match that goes beyond the row: cut so that it ends with a pixel there. */
static FP_NOINLINE int64_t crossing(const fp_walk *w, uint32_t in_row, unsigned equal)
{
    uint32_t end = in_row + equal;
    while (end > w->stride) end -= w->stride;
    uint32_t length = equal - (end - w->lead) % w->unit;
    return (w->costs.match[length] & ~(int64_t)UINT32_MAX) + (int64_t)(length << 16);
}

static inline unsigned equal_generic(const uint8_t *a, const uint8_t *b, unsigned limit)
{
    unsigned n = 0;
    for (; n + 8 <= limit; n += 8) {
        uint64_t differ = fp_load64(a + n) ^ fp_load64(b + n);
        if (differ) {
#if defined(__GNUC__) || defined(__clang__)
            return n + (unsigned)(__builtin_ctzll(differ) >> 3);
#else
            break;
#endif
        }
    }
    while (n < limit && a[n] == b[n]) n++;
    return n;
}

#define FP_PARSE_NAME parse_generic
#define FP_PARSE_TARGET 
#define FP_PARSE_EQUAL equal_generic
#include "fp_deflate_parse.h"
#undef FP_PARSE_NAME
#undef FP_PARSE_TARGET
#undef FP_PARSE_EQUAL

#if defined(FP_X86)

FP_TARGET_AVX2
static inline uint32_t differ32(const uint8_t *a, const uint8_t *b)
{
    __m256i x = _mm256_loadu_si256((const __m256i *)a), y = _mm256_loadu_si256((const __m256i *)b);
    return ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, y));
}

FP_TARGET_AVX2
static inline unsigned equal_avx2(const uint8_t *a, const uint8_t *b, unsigned limit)
{
    unsigned n = 0;
    do {
        uint64_t differ = differ32(a + n, b + n) | (uint64_t)differ32(a + n + 32, b + n + 32) << 32;
        if (differ) {
            n += (unsigned)_tzcnt_u64(differ);
            break;
        }
        n += 64;
    } while (n < limit);
    return n < limit ? n : limit;
}

#define FP_PARSE_NAME parse_avx2
#define FP_PARSE_TARGET FP_TARGET_AVX2
#define FP_PARSE_EQUAL equal_avx2
#include "fp_deflate_parse.h"
#undef FP_PARSE_NAME
#undef FP_PARSE_TARGET
#undef FP_PARSE_EQUAL

FP_TARGET_AVX512
static inline unsigned equal_avx512(const uint8_t *a, const uint8_t *b, unsigned limit)
{
    unsigned n = 0;
    do {
        uint64_t differ = _mm512_cmpneq_epi8_mask(_mm512_loadu_si512(a + n), _mm512_loadu_si512(b + n));
        if (differ) {
            n += (unsigned)_tzcnt_u64(differ);
            break;
        }
        n += 64;
    } while (n < limit);
    return n < limit ? n : limit;
}

#define FP_PARSE_NAME parse_avx512
#define FP_PARSE_TARGET FP_TARGET_AVX512
#define FP_PARSE_EQUAL equal_avx512
#include "fp_deflate_parse.h"
#undef FP_PARSE_NAME
#undef FP_PARSE_TARGET
#undef FP_PARSE_EQUAL

#endif

void fp_deflate_parse(fp_parse *parse)
{
    fp_walk w;
    walk_start(&w, parse);
#if defined(FP_X86)
    uint32_t live = fp_cpu_live();
    if (live & FP_CPU_AVX512) {
        parse_avx512(&w);
    } else if (live & FP_CPU_AVX2) {
        parse_avx2(&w);
    } else {
        parse_generic(&w);
    }
#else
    parse_generic(&w);
#endif
    next_segment(&w);
}
