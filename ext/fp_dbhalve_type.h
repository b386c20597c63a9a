/* Rows of one sample type for one instruction set, included by fp_dbhalve.c with
 *   FP_NAME(f)  the name of function f, of FP_SHORT and FP_SET       FP_TGT   the target mark
 *   FP_T        the sample type       FP_WIDE  holds sums of 400 samples exactly (double for floats)
 *   FP_FLOATS   1 for floats, which are not rounded; FP_LARGE 1 for integers of 32 bits
 *   FP_LEAST    the smallest value of the type (0 for floats, which are not clamped)
 * Plain loops that compilers turn into vectors: the same operations in the same order for every instruction set. */

FP_INLINE FP_T FP_NAME(quarter)(FP_WIDE sum)
{
#if FP_FLOATS
    return (FP_T)(sum / 4);
#else
    return (FP_T)((sum + 2 - (sum < 0)) >> 2); /* halves away from 0 */
#endif
}

/* sum / count for count 1 to 4; anything for 0, where sum is 0 too. */
FP_INLINE FP_T FP_NAME(share)(FP_WIDE sum, int count)
{
#if FP_FLOATS
    return (FP_T)(sum / (count + (count == 0)));
#elif FP_LARGE
    double mean = (double)sum / (count + (count == 0));
    return (FP_T)(FP_WIDE)(mean + (mean < 0 ? -0.5 : 0.5));
#else
    /* Twelfths: 12 / count, then a division by a constant that cuts towards 0. */
    FP_WIDE twelfths = sum * (12 - 6 * (count > 1) - 2 * (count > 2) - (count > 3));
    return (FP_T)((twelfths + 6 - 12 * (twelfths < 0)) / 12);
#endif
}

FP_TGT static void FP_NAME(mean)(const FP_T *FP_RESTRICT a, const FP_T *FP_RESTRICT b, FP_T *FP_RESTRICT out, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        FP_WIDE sum = (FP_WIDE)a[2 * i] + (FP_WIDE)a[2 * i + 1] + (FP_WIDE)b[2 * i] + (FP_WIDE)b[2 * i + 1];
        out[i] = FP_NAME(quarter)(sum);
    }
}

FP_TGT static void FP_NAME(mean_masked)(const FP_T *FP_RESTRICT a, const FP_T *FP_RESTRICT b, const uint8_t *FP_RESTRICT ma,
                                        const uint8_t *FP_RESTRICT mb, FP_T *FP_RESTRICT out, uint8_t *FP_RESTRICT om,
                                        ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        int count = (ma[2 * i] != 0) + (ma[2 * i + 1] != 0) + (mb[2 * i] != 0) + (mb[2 * i + 1] != 0);
        FP_WIDE a0 = a[2 * i], a1 = a[2 * i + 1], b0 = b[2 * i], b1 = b[2 * i + 1];
#if FP_FLOATS || FP_LARGE
        /* What is not valid may be anything, NaN too, and is chosen away, not multiplied. */
        FP_WIDE sum = ma[2 * i] ? a0 : 0;
        sum += ma[2 * i + 1] ? a1 : 0;
        sum += mb[2 * i] ? b0 : 0;
        sum += mb[2 * i + 1] ? b1 : 0;
#else
        /* Without a branch, so that it becomes vectors. */
        FP_WIDE sum = (a0 & -(FP_WIDE)(ma[2 * i] != 0)) + (a1 & -(FP_WIDE)(ma[2 * i + 1] != 0)) +
                      (b0 & -(FP_WIDE)(mb[2 * i] != 0)) + (b1 & -(FP_WIDE)(mb[2 * i + 1] != 0));
#endif
        out[i] = FP_NAME(share)(sum, count);
        om[i] = (uint8_t)-(count != 0);
    }
}

FP_TGT static void FP_NAME(nearest)(const FP_T *FP_RESTRICT a, FP_T *FP_RESTRICT out, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) out[i] = a[2 * i];
}

FP_TGT static void FP_NAME(nearest_masked)(const FP_T *FP_RESTRICT a, const uint8_t *FP_RESTRICT ma, FP_T *FP_RESTRICT out,
                                           uint8_t *FP_RESTRICT om, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        FP_T value = a[2 * i];
        out[i] = ma[2 * i] ? value : 0;
        om[i] = ma[2 * i] ? 255 : 0;
    }
}

/* Rows r[0..3] from one pixel left of the first pair on: 2n + 2 samples each. */
FP_TGT static void FP_NAME(cubic)(const FP_T *const *r, FP_T *FP_RESTRICT out, ptrdiff_t n, FP_WIDE least, FP_WIDE most,
                                  void *scratch)
{
    const FP_T *FP_RESTRICT r0 = r[0], *FP_RESTRICT r1 = r[1], *FP_RESTRICT r2 = r[2], *FP_RESTRICT r3 = r[3];
    FP_WIDE *FP_RESTRICT column = (FP_WIDE *)scratch;
    for (ptrdiff_t i = 0; i < 2 * n + 2; i++) {
        column[i] = 9 * ((FP_WIDE)r1[i] + (FP_WIDE)r2[i]) - ((FP_WIDE)r0[i] + (FP_WIDE)r3[i]);
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        const FP_WIDE *c = column + 2 * i;
        FP_WIDE sum = 9 * (c[1] + c[2]) - (c[0] + c[3]);
#if FP_FLOATS
        (void)least, (void)most;
        out[i] = (FP_T)(sum / 256);
#else
        sum = (sum + 128 - (sum < 0)) >> 8;
        out[i] = (FP_T)(sum < least ? least : sum > most ? most : sum);
#endif
    }
}

/* Takes the cubics where all 16 are valid; the rows of the mask begin one pixel left of the first pair. */
FP_TGT static void FP_NAME(prefer)(const uint8_t *const *m, const FP_T *FP_RESTRICT cubic, FP_T *FP_RESTRICT out,
                                   ptrdiff_t n, uint8_t *FP_RESTRICT column)
{
    const uint8_t *FP_RESTRICT m0 = m[0], *FP_RESTRICT m1 = m[1], *FP_RESTRICT m2 = m[2], *FP_RESTRICT m3 = m[3];
    for (ptrdiff_t x = 0; x < 2 * n + 2; x++) {
        column[x] = (uint8_t)((m0[x] != 0) & (m1[x] != 0) & (m2[x] != 0) & (m3[x] != 0));
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        const uint8_t *c = column + 2 * i;
        FP_T value = cubic[i], other = out[i];
        out[i] = c[0] & c[1] & c[2] & c[3] ? value : other;
    }
}

static void FP_NAME(cubic_row)(const fp_view *src, const fp_view *mask, ptrdiff_t y, FP_T *out, ptrdiff_t n, double most,
                               double *scratch)
{
    const FP_T *rows[4];
    const uint8_t *masks[4];
    FP_T *cubics = mask->data ? (FP_T *)(scratch + 2 * n + 2) : out;
    for (ptrdiff_t j = 0; j < 4; j++) rows[j] = (const FP_T *)fp_row(src, 2 * y + j);
    FP_NAME(cubic)(rows, cubics, n, (FP_WIDE)FP_LEAST, (FP_WIDE)most, scratch);
    if (!mask->data) return;
    for (ptrdiff_t j = 0; j < 4; j++) masks[j] = fp_row(mask, 2 * y + j);
    FP_NAME(prefer)(masks, cubics, out, n, (uint8_t *)scratch);
}

static void FP_NAME(image)(const fp_view *src, const fp_view *out, const fp_view *mask, const fp_view *out_mask,
                           fp_halve_method method, ptrdiff_t margin, double most, double *scratch)
{
    for (ptrdiff_t y = 0; y < out->rows; y++) {
        const FP_T *a = (const FP_T *)fp_row(src, 2 * y + margin) + margin;
        const FP_T *b = (const FP_T *)fp_row(src, 2 * y + 1 + margin) + margin;
        FP_T *to = (FP_T *)fp_row(out, y);
        if (mask->data) {
            const uint8_t *ma = fp_row(mask, 2 * y + margin) + margin, *mb = fp_row(mask, 2 * y + 1 + margin) + margin;
            uint8_t *om = fp_row(out_mask, y);
            if (method == FP_HALVE_NEAREST) {
                FP_NAME(nearest_masked)(a, ma, to, om, out->cols);
            } else {
                FP_NAME(mean_masked)(a, b, ma, mb, to, om, out->cols);
            }
        } else if (method == FP_HALVE_NEAREST) {
            FP_NAME(nearest)(a, to, out->cols);
        } else if (method == FP_HALVE_BILINEAR) {
            FP_NAME(mean)(a, b, to, out->cols);
        }
        if (method == FP_HALVE_BICUBIC) FP_NAME(cubic_row)(src, mask, y, to, out->cols, most, scratch);
    }
}

#undef FP_T
#undef FP_SHORT
#undef FP_WIDE
#undef FP_FLOATS
#undef FP_LARGE
#undef FP_LEAST
