/* What every file of the native core shares: compiler spellings and status codes. */
#ifndef FP_COMMON_H
#define FP_COMMON_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64)
#define FP_X86 1
#endif

#if defined(__aarch64__) || defined(_M_ARM64)
#define FP_NEON 1
#endif

/* Instruction set of one function. MSVC accepts any intrinsic anywhere, so it needs no mark. */
#if defined(__GNUC__) || defined(__clang__)
#define FP_TARGET(features) __attribute__((target(features)))
#define FP_INLINE static inline __attribute__((always_inline))
#define FP_NOINLINE __attribute__((noinline))
#else
#define FP_TARGET(features)
#define FP_INLINE static __forceinline
#define FP_NOINLINE __declspec(noinline)
#endif

/* Asks for a cache line that will be read soon; any address will do. */
#if defined(__GNUC__) || defined(__clang__)
#define FP_PREFETCH(address) __builtin_prefetch(address)
#else
#define FP_PREFETCH(address) ((void)(address))
#endif

#if defined(_MSC_VER)
#define FP_RESTRICT __restrict
#else
#define FP_RESTRICT restrict
#endif

/* The feature lists that functions are compiled for; fp_cpu.h has the matching run-time flags. */
#define FP_TARGET_AVX2 FP_TARGET("avx2,fma,bmi,bmi2")
#define FP_TARGET_AVX512 FP_TARGET("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,bmi,bmi2")
#define FP_TARGET_AVX512ICL \
    FP_TARGET("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,avx512vnni,avx2,fma,bmi,bmi2")

/* Result of a native call. Arguments are checked before the call, so kernels that need no memory return void. */
typedef enum {
    FP_OK = 0,
    FP_NO_MEMORY = -1
} fp_status;

/* Pixels in memory: rows of `channels` interleaved samples. The stride is in bytes and may be negative (flipped
 * views); the samples of a row touch each other. */
typedef struct {
    uint8_t *data;
    ptrdiff_t stride;
    ptrdiff_t rows;
    ptrdiff_t cols;
    ptrdiff_t channels;
    ptrdiff_t item; /* bytes per sample */
} fp_view;

FP_INLINE uint8_t *fp_row(const fp_view *view, ptrdiff_t row)
{
    return view->data + row * view->stride;
}

#endif
