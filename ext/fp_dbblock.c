/* Packing of raster blocks: see fp_dbblock.h. Generic C is the definition; the AVX2 bodies give the same bytes. */
#include "fp_dbblock.h"

#include <string.h>

#include "fp_cpu.h"

FP_INLINE uint16_t swap16(uint16_t v)
{
    return (uint16_t)(v << 8 | v >> 8);
}

FP_INLINE uint32_t swap32(uint32_t v)
{
    return v << 24 | (v & 0xff00u) << 8 | (v >> 8 & 0xff00u) | v >> 24;
}

FP_INLINE uint64_t swap64(uint64_t v)
{
    return (uint64_t)swap32((uint32_t)v) << 32 | swap32((uint32_t)(v >> 32));
}

/* Big-endian machines store the samples as they are. memcpy is how C reads and writes at any address. */
FP_INLINE int is_little_endian(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first;
}

#define FP_SWAP_LOOP(TYPE, SWAP)                                  \
    for (ptrdiff_t i = 0; i < count; i++) {                       \
        TYPE v;                                                   \
        memcpy(&v, in + i * (ptrdiff_t)sizeof v, sizeof v);       \
        v = SWAP(v);                                              \
        memcpy(out + i * (ptrdiff_t)sizeof v, &v, sizeof v);      \
    }

#define FP_SWAP_BODY                      \
    {                                     \
        if (item == 2) {                  \
            FP_SWAP_LOOP(uint16_t, swap16) \
        } else if (item == 4) {           \
            FP_SWAP_LOOP(uint32_t, swap32) \
        } else {                          \
            FP_SWAP_LOOP(uint64_t, swap64) \
        }                                 \
    }

static void swap_generic(const uint8_t *FP_RESTRICT in, ptrdiff_t count, int item, uint8_t *FP_RESTRICT out)
FP_SWAP_BODY

FP_INLINE int state_of(int any, int all)
{
    return all ? 2 : any ? 1 : 0;
}

/* Bits of up to 8 bytes that follow one another. */
FP_INLINE uint8_t bits_of(const uint8_t *mask, ptrdiff_t count)
{
    unsigned byte = 0;
    for (ptrdiff_t k = 0; k < count; k++) byte |= (unsigned)(mask[k] != 0) << (7 - k);
    return (uint8_t)byte;
}

/* From pixel `from` on, a multiple of 8. */
static int pack_mask_from(const uint8_t *mask, ptrdiff_t from, ptrdiff_t count, uint8_t *out, int any, int all)
{
    ptrdiff_t i = from;
    for (; i + 8 <= count; i += 8) {
        uint8_t byte = bits_of(mask + i, 8);
        any |= byte != 0;
        all &= byte == 0xff;
        out[i / 8] = byte;
    }
    if (i < count) {
        uint8_t byte = bits_of(mask + i, count - i);
        any |= byte != 0;
        all &= byte == (uint8_t)(0xff00u >> (count - i));
        out[i / 8] = byte;
    }
    return state_of(any, all);
}

static int unpack_mask_from(const uint8_t *data, ptrdiff_t from, ptrdiff_t count, uint8_t set, uint8_t *mask, int any,
                            int all)
{
    for (ptrdiff_t i = from; i < count; i++) {
        int bit = data[i / 8] >> (7 - i % 8) & 1;
        mask[i] = bit ? set : 0;
        any |= bit;
        all &= bit;
    }
    return state_of(any, all);
}

#ifdef FP_X86
#include "fp_dbblock_x86.h"
#endif

int fp_block_pack_mask(const uint8_t *mask, ptrdiff_t count, uint8_t *out)
{
#ifdef FP_X86
    if (fp_cpu_live() & FP_CPU_AVX2) return pack_mask_avx2(mask, count, out);
#endif
    return pack_mask_from(mask, 0, count, out, 0, 1);
}

int fp_block_unpack_mask(const uint8_t *data, ptrdiff_t count, uint8_t set, uint8_t *mask)
{
#ifdef FP_X86
    if (fp_cpu_live() & FP_CPU_AVX2) return unpack_mask_avx2(data, count, set, mask);
#endif
    return unpack_mask_from(data, 0, count, set, mask, 0, 1);
}

static void swap(const uint8_t *in, ptrdiff_t count, int item, uint8_t *out)
{
    if (item == 1 || !is_little_endian()) {
        memcpy(out, in, (size_t)count * (size_t)item);
        return;
    }
#ifdef FP_X86
    if (fp_cpu_live() & FP_CPU_AVX2) {
        swap_avx2(in, count, item, out);
        return;
    }
#endif
    swap_generic(in, count, item, out);
}

/* OR of all samples: tells whether one of them is too large. */
static unsigned union_of(const uint8_t *samples, ptrdiff_t count)
{
    uint8_t all = 0;
    for (ptrdiff_t i = 0; i < count; i++) all |= samples[i];
    return all;
}

static void pack_small(const uint8_t *samples, ptrdiff_t count, int bits, uint8_t *out)
{
    const int per_byte = 8 / bits;
    ptrdiff_t whole = count / per_byte;
    if (bits == 4) {
        for (ptrdiff_t i = 0; i < whole; i++) out[i] = (uint8_t)(samples[2 * i] << 4 | samples[2 * i + 1]);
    } else {
        for (ptrdiff_t i = 0; i < whole; i++) {
            const uint8_t *s = samples + 4 * i;
            out[i] = (uint8_t)(s[0] << 6 | s[1] << 4 | s[2] << 2 | s[3]);
        }
    }
    if (whole * per_byte < count) {
        unsigned byte = 0;
        for (ptrdiff_t i = whole * per_byte, at = 8 - bits; i < count; i++, at -= bits) {
            byte |= (unsigned)samples[i] << at;
        }
        out[whole] = (uint8_t)byte;
    }
}

static void unpack_small(const uint8_t *data, ptrdiff_t count, int bits, uint8_t *samples)
{
    const int per_byte = 8 / bits;
    ptrdiff_t whole = count / per_byte;
    if (bits == 4) {
        for (ptrdiff_t i = 0; i < whole; i++) {
            samples[2 * i] = data[i] >> 4;
            samples[2 * i + 1] = data[i] & 15;
        }
    } else {
        for (ptrdiff_t i = 0; i < whole; i++) {
            uint8_t *s = samples + 4 * i;
            s[0] = data[i] >> 6;
            s[1] = data[i] >> 4 & 3;
            s[2] = data[i] >> 2 & 3;
            s[3] = data[i] & 3;
        }
    }
    for (ptrdiff_t i = whole * per_byte, at = 8 - bits; i < count; i++, at -= bits) {
        samples[i] = (uint8_t)(data[whole] >> at & ((1 << bits) - 1));
    }
}

int fp_block_pack(const uint8_t *samples, ptrdiff_t count, int bits, uint8_t *out)
{
    if (bits < 8 && union_of(samples, count) >> bits) return 0;
    if (bits == 1) {
        fp_block_pack_mask(samples, count, out);
    } else if (bits < 8) {
        pack_small(samples, count, bits, out);
    } else {
        swap(samples, count, bits / 8, out);
    }
    return 1;
}

void fp_block_unpack(const uint8_t *data, ptrdiff_t count, int bits, uint8_t *samples)
{
    if (bits == 1) {
        fp_block_unpack_mask(data, count, 1, samples);
    } else if (bits < 8) {
        unpack_small(data, count, bits, samples);
    } else {
        swap(data, count, bits / 8, samples);
    }
}
