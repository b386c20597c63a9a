#include "fp_overlay.h"

#include "fp_mask.h"

#include <math.h>
#include <string.h>

/* Products with 1/255 of what is a whole number come out a little less: without this, truncation would take one. */
#define TINY 1e-6

typedef struct {
    double colour[3];
    double alpha;
} pixel;

FP_INLINE double sample(const uint8_t *row, ptrdiff_t at, const int is_float)
{
    return is_float ? (double)((const float *)row)[at] : (double)row[at];
}

FP_INLINE pixel canvas_pixel(const double *samples, ptrdiff_t channels, const int is_float)
{
    pixel p;
    for (int k = 0; k < 3; k++) p.colour[k] = samples[channels < 3 ? 0 : k];
    p.alpha = channels % 2 ? 1.0 : is_float ? samples[channels - 1] : samples[channels - 1] / 255.0;
    return p;
}

FP_INLINE int is_transparent(const double *colour, const double *transparent, const int is_float)
{
    for (int k = 0; k < 3; k++) {
        double room = is_float ? 0.001 * fabs(transparent[k]) : 0.0;
        if (!(fabs(colour[k] - transparent[k]) <= room)) return 0;
    }
    return 1;
}

FP_INLINE pixel layer_pixel(const uint8_t *row, ptrdiff_t x, ptrdiff_t channels, const double *transparent,
                            const int is_float)
{
    double samples[4] = {0};
    for (ptrdiff_t k = 0; k < channels; k++) samples[k] = sample(row, x * channels + k, is_float);
    pixel p = canvas_pixel(samples, channels, is_float);
    if (transparent && is_transparent(p.colour, transparent, is_float)) p.alpha = 0.0;
    return p;
}

FP_INLINE pixel blended(pixel below, pixel above)
{
    if (above.alpha == 0.0) return below;
    if (below.alpha == 0.0) return above;
    double rest = 1.0 - above.alpha;
    double alpha = above.alpha + below.alpha * rest;
    for (int k = 0; k < 3; k++)
        below.colour[k] = (above.alpha * above.colour[k] + below.alpha * below.colour[k] * rest) / alpha;
    below.alpha = alpha;
    return below;
}

FP_INLINE pixel multiplied(pixel below, pixel above, const int is_float)
{
    for (int k = 0; k < 3; k++)
        below.colour[k] = is_float ? below.colour[k] * above.colour[k] : below.colour[k] * above.colour[k] / 255.0;
    below.alpha = below.alpha * above.alpha;
    return below;
}

/* A gray colour is itself; of others the luminance, of bytes the nearest whole number. */
FP_INLINE double gray(const double *c, const int is_float)
{
    if (c[0] == c[1] && c[1] == c[2]) return c[0];
    double y = 0.2125 * c[0] + 0.7154 * c[1] + 0.0721 * c[2];
    return is_float ? y : floor(y + 0.5);
}

FP_INLINE double whole(double value)
{
    return floor(value + TINY);
}

FP_INLINE void write_pixel(pixel p, uint8_t *row, ptrdiff_t x, ptrdiff_t channels, const int is_float)
{
    double samples[4] = {0};
    if (channels < 3) samples[0] = gray(p.colour, is_float);
    else memcpy(samples, p.colour, sizeof p.colour);
    const ptrdiff_t colours = channels < 3 ? 1 : 3;
    if (channels % 2) {
        if (channels == 1 && !is_float) samples[0] = whole(samples[0]);
        for (ptrdiff_t k = 0; k < colours; k++) samples[k] = p.alpha == 1.0 ? samples[k] : p.alpha * samples[k];
    } else {
        samples[colours] = is_float ? p.alpha : p.alpha * 255.0;
    }
    for (ptrdiff_t k = 0; k < channels; k++) {
        if (is_float) ((float *)row)[x * channels + k] = (float)samples[k];
        else row[x * channels + k] = (uint8_t)whole(samples[k]);
    }
}

FP_INLINE int has_data(const fp_layer *layer, ptrdiff_t y, ptrdiff_t x)
{
    return layer->mask.data == NULL || fp_row(&layer->mask, y)[x] != 0;
}

/* Lowest layer of a pixel that the result depends on. */
FP_INLINE ptrdiff_t first_layer(const fp_layer *layers, ptrdiff_t count, ptrdiff_t y, ptrdiff_t x, const int method)
{
    ptrdiff_t n = 0;
    if (method == FP_OVERLAY_TOP)
        for (n = count - 1; n > 0 && !has_data(&layers[n], y, x); n--) {
        }
    return n;
}

FP_INLINE void overlay(const fp_layer *layers, ptrdiff_t count, const int method, const double *background,
                       const double *transparent, const fp_view *out, const fp_view *out_mask, const int is_float)
{
    const pixel canvas = canvas_pixel(background, out->channels, is_float);
    for (ptrdiff_t y = 0; y < out->rows; y++) {
        for (ptrdiff_t x = 0; x < out->cols; x++) {
            pixel p = canvas;
            int found = 0;
            for (ptrdiff_t n = first_layer(layers, count, y, x, method); n < count; n++) {
                if (!has_data(&layers[n], y, x)) continue;
                const fp_view *view = &layers[n].pixels;
                pixel above = layer_pixel(fp_row(view, y), x, view->channels, transparent, is_float);
                if (method == FP_OVERLAY_ALPHATOP) p = blended(p, above);
                else if (method == FP_OVERLAY_MULTIPLY && found) p = multiplied(p, above, is_float);
                else p = above;
                found = 1;
            }
            write_pixel(p, fp_row(out, y), x, out->channels, is_float);
            if (out_mask->data) fp_row(out_mask, y)[x] = found ? 255 : 0;
        }
    }
}

/* Whether the result's pixels are those of the layers: then there is nothing to compute. */
static int is_paint(const fp_layer *layers, ptrdiff_t count, int method, const double *transparent, ptrdiff_t channels)
{
    if (method != FP_OVERLAY_TOP || transparent) return 0;
    for (ptrdiff_t n = 0; n < count; n++)
        if (layers[n].pixels.channels != channels) return 0;
    return 1;
}

FP_INLINE void painted(const fp_layer *layers, ptrdiff_t count, const double *background, const fp_view *out,
                       const fp_view *out_mask, const int is_float)
{
    const ptrdiff_t size = out->item * out->channels;
    _Alignas(float) uint8_t canvas[FP_MAX_PIXEL];
    write_pixel(canvas_pixel(background, out->channels, is_float), canvas, 0, out->channels, is_float);
    for (ptrdiff_t y = 0; y < out->rows; y++) {
        for (ptrdiff_t x = 0; x < out->cols; x++) memcpy(fp_row(out, y) + x * size, canvas, (size_t)size);
        if (out_mask->data) memset(fp_row(out_mask, y), 0, (size_t)out->cols);
    }
    for (ptrdiff_t n = 0; n < count; n++) fp_paint(out, out_mask, &layers[n].pixels, &layers[n].mask);
}

#define DEFINE_OVERLAY(name, is_float) \
    void name(const fp_layer *layers, ptrdiff_t count, int method, const double *background, \
              const double *transparent, const fp_view *out, const fp_view *out_mask) \
    { \
        if (is_paint(layers, count, method, transparent, out->channels)) \
            painted(layers, count, background, out, out_mask, is_float); \
        else if (method == FP_OVERLAY_TOP) \
            overlay(layers, count, FP_OVERLAY_TOP, background, transparent, out, out_mask, is_float); \
        else if (method == FP_OVERLAY_ALPHATOP) \
            overlay(layers, count, FP_OVERLAY_ALPHATOP, background, transparent, out, out_mask, is_float); \
        else \
            overlay(layers, count, FP_OVERLAY_MULTIPLY, background, transparent, out, out_mask, is_float); \
    }

DEFINE_OVERLAY(fp_overlay_u8, 0)
DEFINE_OVERLAY(fp_overlay_f32, 1)
