/* Which vector paths this machine has, and which of them are live. */
#ifndef FP_CPU_H
#define FP_CPU_H

#include "fp_common.h"

/* Paths build on one another: a set flag implies all lower ones. 0 is the generic C path, always there. */
#define FP_CPU_AVX2 1u      /* AVX2, FMA, BMI1, BMI2, PCLMULQDQ */
#define FP_CPU_AVX512 2u    /* AVX-512 F, BW, VL, DQ */
#define FP_CPU_AVX512ICL 4u /* AVX-512 VBMI, VBMI2, VNNI */
#define FP_CPU_NEON 8u      /* Advanced SIMD, baseline of 64-bit ARM */

/* Flags of the machine and its operating system, asked once. */
uint32_t fp_cpu_available(void);

/* Flags kernels may use: a subset of the available ones. Safe from any thread. */
uint32_t fp_cpu_live(void);

/* Restricts the live paths to `flags` (and to what is available). Kernels already running keep their path. */
void fp_cpu_set_live(uint32_t flags);

#endif
