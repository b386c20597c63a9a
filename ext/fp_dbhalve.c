/* Halves of block pyramids: see fp_dbhalve.h. The same loops are compiled for each instruction set. */
#include "fp_dbhalve.h"

#include <string.h>

#include "fp_cpu.h"

#define FP_JOIN3(a, b, c) a##_##b##_##c
#define FP_JOIN(a, b, c) FP_JOIN3(a, b, c)
#define FP_NAME(function) FP_JOIN(function, FP_SHORT, FP_SET)

typedef void (*halve_fn)(const fp_view *, const fp_view *, const fp_view *, const fp_view *, fp_halve_method, ptrdiff_t,
                         double, double *);

#define FP_TABLE(set)                                                                                       \
    {                                                                                                       \
        image_u8_##set, image_s8_##set, image_u16_##set, image_s16_##set, image_u32_##set, image_s32_##set, \
            image_f32_##set, image_f64_##set                                                                \
    }

#define FP_SET generic
#define FP_TGT
#include "fp_dbhalve_types.h"
#undef FP_SET
#undef FP_TGT
static const halve_fn generic_images[] = FP_TABLE(generic);

#ifdef FP_X86
#define FP_SET avx2
#define FP_TGT FP_TARGET_AVX2
#include "fp_dbhalve_types.h"
#undef FP_SET
#undef FP_TGT
static const halve_fn avx2_images[] = FP_TABLE(avx2);
#endif

void fp_halve(const fp_view *src, const fp_view *out, const fp_view *mask, const fp_view *out_mask, char kind,
              fp_halve_method method, ptrdiff_t margin, double most, double *scratch)
{
    const char *found = strchr(FP_HALVE_KINDS, kind);
    const halve_fn *images = generic_images;
    if (!found || !kind) return;
#ifdef FP_X86
    if (fp_cpu_live() & FP_CPU_AVX2) images = avx2_images;
#endif
    images[found - FP_HALVE_KINDS](src, out, mask, out_mask, method, margin, most, scratch);
}
