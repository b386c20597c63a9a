#include "fp_cpu.h"

#if defined(FP_X86)
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

#if defined(FP_X86)

static void cpuid(uint32_t leaf, uint32_t sub, uint32_t out[4])
{
#if defined(_MSC_VER)
    int regs[4];
    __cpuidex(regs, (int)leaf, (int)sub);
    for (int i = 0; i < 4; i++) out[i] = (uint32_t)regs[i];
#else
    __cpuid_count(leaf, sub, out[0], out[1], out[2], out[3]);
#endif
}

/* State components that the operating system saves on a context switch. */
static uint64_t saved_state(void)
{
#if defined(_MSC_VER)
    return _xgetbv(0);
#else
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
#endif
}

static int has(uint32_t reg, uint32_t bits)
{
    return (reg & bits) == bits;
}

static uint32_t detect(void)
{
    uint32_t r[4]; /* eax, ebx, ecx, edx */
    cpuid(0, 0, r);
    if (r[0] < 7) return 0;
    cpuid(1, 0, r);
    if (!has(r[2], 1u << 1 | 1u << 12 | 1u << 27 | 1u << 28)) return 0; /* PCLMULQDQ, FMA, OSXSAVE, AVX */
    uint64_t state = saved_state();
    if ((state & 0x06) != 0x06) return 0; /* XMM, YMM */
    cpuid(7, 0, r);
    if (!has(r[1], 1u << 3 | 1u << 5 | 1u << 8)) return 0; /* BMI1, AVX2, BMI2 */
    uint32_t flags = FP_CPU_AVX2;
    if ((state & 0xE0) != 0xE0) return flags;                                /* opmask, ZMM */
    if (!has(r[1], 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31)) return flags; /* F, DQ, BW, VL */
    flags |= FP_CPU_AVX512;
    if (has(r[2], 1u << 1 | 1u << 6 | 1u << 11)) flags |= FP_CPU_AVX512ICL; /* VBMI, VBMI2, VNNI */
    return flags;
}

#elif defined(FP_NEON)

static uint32_t detect(void)
{
    return FP_CPU_NEON;
}

#else

static uint32_t detect(void)
{
    return 0;
}

#endif

#define NOT_ASKED 0x80000000u

/* Detection is idempotent, so two threads that race here write the same value. */
static volatile uint32_t available_flags = NOT_ASKED;
static volatile uint32_t live_flags = NOT_ASKED;

uint32_t fp_cpu_available(void)
{
    uint32_t flags = available_flags;
    if (flags == NOT_ASKED) available_flags = flags = detect();
    return flags;
}

uint32_t fp_cpu_live(void)
{
    uint32_t flags = live_flags;
    if (flags == NOT_ASKED) live_flags = flags = fp_cpu_available();
    return flags;
}

void fp_cpu_set_live(uint32_t flags)
{
    live_flags = flags & fp_cpu_available();
}
