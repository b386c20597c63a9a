/* Template: the transform and quantisation of LANES blocks side by side, one per lane of 128 bits. Included by
 * fp_jpeg_block_x86.h once per vector length, with
 *   VEC, VOP(op), VLOAD(p), VOR(a, b)   the vector, its intrinsics, loads, union
 *   TARGET, NAME(function)              attribute and suffix of the functions
 *   VDOT(start, x, w)                   start + products of pairs of words
 *   VDIVIDE(x, quant, row)              x * reciprocal >> 16 >> shift
 *   VNEGATE(x, sign)                    x, negated where sign is negative
 *   VWITHOUT_DC(x)                      x without the first word of each lane
 * Row r of a block is the eight words of its lane in vector r. */

/* Rows to columns in each lane. */
TARGET FP_INLINE void NAME(transpose)(VEC r[8])
{
    VEC a[8], b[8];
    for (int k = 0; k < 4; k++) {
        a[2 * k] = VOP(unpacklo_epi16)(r[k], r[k + 4]);
        a[2 * k + 1] = VOP(unpackhi_epi16)(r[k], r[k + 4]);
    }
    for (int k = 0; k < 4; k++) {
        b[2 * k] = VOP(unpacklo_epi16)(a[k], a[k + 4]);
        b[2 * k + 1] = VOP(unpackhi_epi16)(a[k], a[k + 4]);
    }
    for (int k = 0; k < 4; k++) {
        r[2 * k] = VOP(unpacklo_epi16)(b[k], b[k + 4]);
        r[2 * k + 1] = VOP(unpackhi_epi16)(b[k], b[k + 4]);
    }
}

/* Pairs of words (x, y) of the low and of the high half of each lane. */
typedef struct {
    VEC low, high;
} NAME(pair);

TARGET FP_INLINE NAME(pair) NAME(pairs)(VEC x, VEC y)
{
    const NAME(pair) p = {VOP(unpacklo_epi16)(x, y), VOP(unpackhi_epi16)(x, y)};
    return p;
}

/* Results of 32 bits to words, rounded before (see `half`). */
TARGET FP_INLINE VEC NAME(packed)(NAME(pair) x, int second)
{
    return second ? VOP(packs_epi32)(VOP(srai_epi32)(x.low, 15), VOP(srai_epi32)(x.high, 15))
                  : VOP(packs_epi32)(VOP(srai_epi32)(x.low, 11), VOP(srai_epi32)(x.high, 11));
}

/* start + p . (a, b) */
TARGET FP_INLINE NAME(pair) NAME(dots)(NAME(pair) start, NAME(pair) p, int a, int b)
{
    const VEC w = VOP(set1_epi32)(FP_JPEG_WORDS(a, b));
    const NAME(pair) x = {VDOT(start.low, p.low, w), VDOT(start.high, p.high, w)};
    return x;
}

/* Sums of pass results may fill 16 bits (eight times 8 * 128 * 4) but not leave them. */
TARGET FP_INLINE VEC NAME(even)(VEC x, int second)
{
    return second ? VOP(srai_epi16)(VOP(add_epi16)(x, VOP(set1_epi16)(2)), 2) : VOP(slli_epi16)(x, 2);
}

/* An odd result from the differences 3-4, 2-5 and 1-6, 0-7. */
TARGET FP_INLINE VEC NAME(odd)(NAME(pair) near, NAME(pair) far, int a, int b, int c, int d, NAME(pair) half, int second)
{
    return NAME(packed)(NAME(dots)(NAME(dots)(half, near, a, b), far, c, d), second);
}

/* One pass: from vector to vector. */
TARGET FP_INLINE void NAME(pass)(VEC r[8], int second)
{
    const VEC rounding = VOP(set1_epi32)(second ? 1 << 14 : 1 << 10);
    const NAME(pair) half = {rounding, rounding};
    VEC sum[4], difference[4];
    for (int k = 0; k < 4; k++) {
        sum[k] = VOP(add_epi16)(r[k], r[7 - k]);
        difference[k] = VOP(sub_epi16)(r[k], r[7 - k]);
    }
    const VEC outer = VOP(add_epi16)(sum[0], sum[3]), inner = VOP(add_epi16)(sum[1], sum[2]);
    const NAME(pair) cross = NAME(pairs)(VOP(sub_epi16)(sum[0], sum[3]), VOP(sub_epi16)(sum[1], sum[2]));
    const NAME(pair) near = NAME(pairs)(difference[3], difference[2]), far = NAME(pairs)(difference[1], difference[0]);
    r[0] = NAME(even)(VOP(add_epi16)(outer, inner), second);
    r[4] = NAME(even)(VOP(sub_epi16)(outer, inner), second);
    r[2] = NAME(packed)(NAME(dots)(half, cross, EVEN_B, EVEN_A), second);
    r[6] = NAME(packed)(NAME(dots)(half, cross, EVEN_A, EVEN_C), second);
    r[1] = NAME(odd)(near, far, ODD1, half, second);
    r[3] = NAME(odd)(near, far, ODD3, half, second);
    r[5] = NAME(odd)(near, far, ODD5, half, second);
    r[7] = NAME(odd)(near, far, ODD7, half, second);
}

/* Quantised blocks of LANES * 8 columns of a plane; returns the bits set in any magnitude of a lane but its DC. */
TARGET FP_INLINE VEC NAME(quantised)(const int16_t *plane, ptrdiff_t stride, const fp_jpeg_quant *quant, VEC r[8])
{
    VEC any;
    for (int k = 0; k < 8; k++) r[k] = VLOAD(plane + k * stride);
    NAME(transpose)(r);
    NAME(pass)(r, 0);
    NAME(transpose)(r);
    NAME(pass)(r, 1);
    for (int k = 0; k < 8; k++) {
        VEC x = VOP(add_epi16)(VOP(abs_epi16)(r[k]), VLOAD(quant->bias[k]));
        x = VDIVIDE(x, quant, k);
        any = k ? VOR(any, x) : VWITHOUT_DC(x);
        r[k] = VNEGATE(x, r[k]);
    }
    return any;
}
