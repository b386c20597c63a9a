/* CRC-32 eight bytes at a time by tables, or by carry-less multiplication; Adler-32 by sums. */
#include "fp_checksum.h"
#include "fp_cpu.h"
#include "fp_deflate_internal.h"

#if defined(FP_X86)
#include "fp_checksum_x86.h"
#endif

#define POLYNOMIAL 0xEDB88320u
#define ADLER_PRIME 65521u
#define ADLER_CHUNK 5552 /* bytes whose sums stay below 2^32 */

static uint32_t tables[8][256];
static volatile int have_tables;

/* Idempotent: threads that race here write the same values. */
static void make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? POLYNOMIAL : 0);
        tables[0][i] = value;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++) tables[k][i] = tables[k - 1][i] >> 8 ^ tables[0][tables[k - 1][i] & 255];
    have_tables = 1;
}

static uint32_t crc32_generic(uint32_t crc, const uint8_t *data, size_t size)
{
    if (!have_tables) make_tables();
    for (; size >= 8; size -= 8, data += 8) {
        uint64_t x = fp_load64(data) ^ crc;
        crc = 0;
        for (int k = 0; k < 8; k++) crc ^= tables[7 - k][(x >> 8 * k) & 255];
    }
    for (; size; size--) crc = crc >> 8 ^ tables[0][(crc ^ *data++) & 255];
    return crc;
}

uint32_t fp_crc32(uint32_t value, const uint8_t *data, size_t size)
{
    uint32_t crc = ~value;
#if defined(FP_X86)
    if (size >= 64 && fp_cpu_live() & FP_CPU_AVX2) {
        size_t folded = size & ~(size_t)15;
        crc = crc32_folded(crc, data, folded);
        data += folded;
        size -= folded;
    }
#endif
    return ~crc32_generic(crc, data, size);
}

static void adler_generic(uint32_t sums[2], const uint8_t *data, size_t size)
{
    uint32_t a = sums[0], b = sums[1];
    for (size_t i = 0; i < size; i++) {
        a += data[i];
        b += a;
    }
    sums[0] = a;
    sums[1] = b;
}

uint32_t fp_adler32(uint32_t value, const uint8_t *data, size_t size)
{
    uint32_t sums[2] = {value & 0xFFFF, value >> 16};
    while (size) {
        size_t part = size < ADLER_CHUNK ? size : ADLER_CHUNK, done = 0;
#if defined(FP_X86)
        if (fp_cpu_live() & FP_CPU_AVX2) {
            done = part & ~(size_t)31;
            adler_avx2(sums, data, done);
        }
#endif
        adler_generic(sums, data + done, part - done);
        sums[0] %= ADLER_PRIME;
        sums[1] %= ADLER_PRIME;
        data += part;
        size -= part;
    }
    return sums[1] << 16 | sums[0];
}
