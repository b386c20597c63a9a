/* JPEG entropy coding: blocks to Huffman codes, and the escape of 0xFF bytes. */
#include "fp_jpeg_internal.h"

#include "fp_cpu.h"

/* Component of each block of a unit. */
static const uint8_t component_of[6] = {0, 0, 0, 0, 1, 2};

static int is_chroma(int block)
{
    return component_of[block % 6] > 0;
}

/* Entries of all differences to the DC of the block before of the same component. */
FP_INLINE void fill_dc_entries(fp_jpeg *encoder, int mcus)
{
    fp_jpeg_scratch *scratch = &encoder->scratch;
    for (int unit = 0; unit < mcus; unit++)
        for (int k = 0; k < 6; k++) {
            const int16_t dc = scratch->dc[6 * unit + k];
            const int difference = dc - encoder->last_dc[component_of[k]];
            const unsigned size = fp_jpeg_bit_length(difference);
            scratch->dc_entries[6 * unit + k] =
                encoder->codes.dc[component_of[k] > 0][size] | fp_jpeg_value_bits(difference, size);
            encoder->last_dc[component_of[k]] = dc;
        }
}

/* Writes a whole block value by value. */
static void write_block(fp_jpeg *encoder, int block)
{
    const uint32_t *table = encoder->codes.ac[is_chroma(block)], dc = encoder->scratch.dc_entries[block];
    const int16_t *values = encoder->scratch.values[block];
    fp_jpeg_writer w = encoder->writer; /* in registers */
    unsigned last = 0;
    fp_jpeg_put(&w, dc & 0xFFFFFF, dc >> 24);
    for (uint64_t left = encoder->scratch.nonzero[block] & ~(uint64_t)1; left; left &= left - 1) {
        const unsigned place = fp_jpeg_lowest(left);
        unsigned run = place - last - 1;
        for (; run > 15; run -= 16) fp_jpeg_put(&w, table[0xF0] >> 8, table[0xF0] & 0xFF);
        const unsigned size = fp_jpeg_bit_length(values[place]);
        const uint32_t code = table[run << 4 | size];
        fp_jpeg_put(&w, (uint64_t)(code >> 8) << size | fp_jpeg_value_bits(values[place], size), (code & 0xFF) + size);
        last = place;
    }
    if (last < 63) fp_jpeg_put(&w, table[0] >> 8, table[0] & 0xFF);
    encoder->writer = w;
}

static void entropy_generic(fp_jpeg *encoder, int mcus)
{
    fill_dc_entries(encoder, mcus);
    for (int block = 0; block < 6 * mcus; block++) write_block(encoder, block);
}

static uint8_t *escape_generic(uint8_t *to, const uint8_t *from, size_t count)
{
    for (const uint8_t *end = from + count; from < end; from++) {
        to[0] = *from;
        to[1] = 0;
        to += 1 + (*from == 0xFF);
    }
    return to;
}

#if defined(FP_X86)
#include "fp_jpeg_entropy_x86.h"
#endif

fp_jpeg_entropy fp_jpeg_entropy_path(void)
{
#if defined(FP_X86)
    if (fp_cpu_live() & FP_CPU_AVX512ICL) return entropy_avx512icl;
    if (fp_cpu_live() & FP_CPU_AVX2) return entropy_avx2;
#endif
    return entropy_generic;
}

fp_jpeg_escape fp_jpeg_escape_path(void)
{
#if defined(FP_X86)
    if (fp_cpu_live() & FP_CPU_AVX2) return escape_avx2;
#endif
    return escape_generic;
}
