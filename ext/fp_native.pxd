# C declarations of the rooms that _native.pyx opens.
from libc.stdint cimport uint8_t, uint32_t


cdef extern from "fp_common.h" nogil:
    ctypedef struct fp_view:
        uint8_t *data
        ptrdiff_t stride
        ptrdiff_t rows
        ptrdiff_t cols
        ptrdiff_t channels
        ptrdiff_t item


cdef extern from "fp_cpu.h" nogil:
    const uint32_t FP_CPU_AVX2
    const uint32_t FP_CPU_AVX512
    const uint32_t FP_CPU_AVX512ICL
    const uint32_t FP_CPU_NEON
    uint32_t fp_cpu_available()
    uint32_t fp_cpu_live()
    void fp_cpu_set_live(uint32_t flags)


cdef extern from "fp_reduce.h" nogil:
    int FP_GAMMA_ENTRIES
    void fp_reduce2x2_u8(const fp_view *src, const fp_view *out, const fp_view *mask, const fp_view *out_mask,
                         const uint8_t *nodata, const uint8_t *table)
    void fp_reduce2x2_f32(const fp_view *src, const fp_view *out, const fp_view *mask, const fp_view *out_mask,
                          const float *nodata)
    void fp_decimate(const fp_view *src, ptrdiff_t ratio, ptrdiff_t x0, ptrdiff_t y0, const fp_view *out)


cdef extern from "fp_mask.h" nogil:
    int FP_MAX_PIXEL
    void fp_paint(const fp_view *dst, const fp_view *dst_mask, const fp_view *src, const fp_view *src_mask)
    void fp_fill_nodata(const fp_view *pixels, const fp_view *mask, const uint8_t *nodata)
    void fp_nodata_mask_u8(const fp_view *pixels, const uint8_t *nodata, const fp_view *out)
    void fp_nodata_mask_f32(const fp_view *pixels, const float *nodata, const fp_view *out)
    void fp_mask_states(const fp_view *mask, ptrdiff_t tile_rows, ptrdiff_t tile_cols, const fp_view *states)


cdef extern from "fp_convert.h" nogil:
    void fp_convert_u8(const fp_view *src, const fp_view *out)
    void fp_convert_f32(const fp_view *src, const fp_view *out)


cdef extern from "fp_overlay.h" nogil:
    const int FP_MAX_LAYERS
    int FP_OVERLAY_TOP
    int FP_OVERLAY_ALPHATOP
    int FP_OVERLAY_MULTIPLY
    ctypedef struct fp_layer:
        fp_view pixels
        fp_view mask
    void fp_overlay_u8(const fp_layer *layers, ptrdiff_t count, int method, const double *background,
                       const double *transparent, const fp_view *out, const fp_view *out_mask)
    void fp_overlay_f32(const fp_layer *layers, ptrdiff_t count, int method, const double *background,
                        const double *transparent, const fp_view *out, const fp_view *out_mask)
