/* JPEG colour: RGB to the Y, Cb, Cr of JFIF, with 16 bits of fraction as libjpeg; chroma halved both ways. */
#include "fp_jpeg_internal.h"

#include "fp_cpu.h"

/* Weights times 65536. Each sum of three is 65536 (Y) or 0 (Cb, Cr), so that no sum leaves 32 bits or the range of a
 * byte. Y is rounded half up; Cb and Cr are one unit short of it. */
#define Y_R 19595
#define Y_G 38470
#define Y_B 7471
#define CB_R 11059 /* taken away */
#define CB_G 21709 /* taken away */
#define CR_G 27439 /* taken away */
#define CR_B 5329  /* taken away */
#define HALF 32768 /* weight of B in Cb and of R in Cr, and the half that rounds */

/* Means of 2x2 are rounded with 1 and 2 in turn along a row. */
#define BIAS(col) (1 + ((col) & 1))

static void colour_generic(const uint8_t *rgb, ptrdiff_t stride, int mcus, fp_jpeg_scratch *scratch)
{
    for (int i = 0; i < 16; i += 2)
        for (int j = 0; j < mcus * 16; j += 2) {
            int32_t cb = BIAS(j / 2), cr = BIAS(j / 2);
            for (int k = 0; k < 4; k++) {
                const uint8_t *pixel = rgb + (i + k / 2) * stride + (j + k % 2) * 3;
                const int32_t r = pixel[0], g = pixel[1], b = pixel[2];
                scratch->luma[i + k / 2][j + k % 2] = (int16_t)(((Y_R * r + Y_G * g + Y_B * b + HALF) >> 16) - 128);
                cb += (HALF * b - CB_R * r - CB_G * g + HALF - 1) >> 16;
                cr += (HALF * r - CR_G * g - CR_B * b + HALF - 1) >> 16;
            }
            scratch->chroma[0][i / 2][j / 2] = (int16_t)(cb >> 2);
            scratch->chroma[1][i / 2][j / 2] = (int16_t)(cr >> 2);
        }
}

#if defined(FP_X86)
#include "fp_jpeg_colour_x86.h"
#endif

fp_jpeg_colour fp_jpeg_colour_path(void)
{
#if defined(FP_X86)
    if (fp_cpu_live() & FP_CPU_AVX512ICL) return colour_avx512icl;
    if (fp_cpu_live() & FP_CPU_AVX2) return colour_avx2;
#endif
    return colour_generic;
}
