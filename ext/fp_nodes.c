#include "fp_nodes.h"

#include <math.h>

/* The k-th smallest of n numbers, which are reordered: those before it are not larger, those after it not smaller. */
static double nth(double *v, ptrdiff_t n, ptrdiff_t k)
{
    ptrdiff_t low = 0, high = n - 1;
    while (low < high) {
        const double pivot = v[low + (high - low) / 2];
        ptrdiff_t i = low - 1, j = high + 1;
        for (;;) {
            do i++; while (v[i] < pivot);
            do j--; while (v[j] > pivot);
            if (i >= j) break;
            const double t = v[i];
            v[i] = v[j];
            v[j] = t;
        }
        if (k <= j) high = j;
        else low = j + 1;
    }
    return v[k];
}

static double median(double *v, ptrdiff_t n)
{
    const double upper = nth(v, n, n / 2);
    if (n % 2) return upper;
    double lower = v[0];
    for (ptrdiff_t i = 1; i < n / 2; i++) lower = v[i] > lower ? v[i] : lower;
    return (lower + upper) / 2;
}

static void set_range(const double *nodes, ptrdiff_t count, fp_node_facts *facts)
{
    facts->finite = 0;
    facts->whole = 1;
    for (ptrdiff_t i = 0; i < count; i++) {
        const double *p = nodes + 2 * i;
        if (!isfinite(p[0]) || !isfinite(p[1])) {
            facts->whole = 0;
            continue;
        }
        for (int k = 0; k < 2; k++) {
            if (!facts->finite || p[k] < facts->low[k]) facts->low[k] = p[k];
            if (!facts->finite || p[k] > facts->high[k]) facts->high[k] = p[k];
        }
        facts->finite = 1;
    }
}

void fp_node_facts_of(const double *nodes, ptrdiff_t rows, ptrdiff_t cols, double step, double *scratch,
                      fp_node_facts *facts)
{
    double *lengths[2] = {scratch, scratch + rows * cols};
    ptrdiff_t found = 0;
    set_range(nodes, rows * cols, facts);
    for (ptrdiff_t j = 0; j + 1 < rows; j++) {
        for (ptrdiff_t i = 0; i + 1 < cols; i++) {
            const double *here = nodes + 2 * (j * cols + i), *right = here + 2, *below = here + 2 * cols;
            double length[2];
            for (int k = 0; k < 2; k++)
                length[k] = hypot((right[k] - here[k]) / step, (below[k] - here[k]) / step);
            if (!isfinite(length[0]) || !isfinite(length[1])) continue;
            lengths[0][found] = length[0];
            lengths[1][found++] = length[1];
        }
    }
    for (int k = 0; k < 2; k++) facts->ratio[k] = found ? median(lengths[k], found) : 1.0;
}

static int is_near(const double *p, const double *size, double margin)
{
    return p[0] > -margin && p[0] < size[0] + margin && p[1] > -margin && p[1] < size[1] + margin;
}

double fp_node_error(const double *nodes, ptrdiff_t node_cols, double step, const double *exact, const double *ys,
                     ptrdiff_t rows, const double *xs, ptrdiff_t cols, const double *size, double margin)
{
    double worst = 0.0;
    for (ptrdiff_t j = 0; j < rows; j++) {
        const double down = floor(ys[j] / step), v = ys[j] / step - down;
        const double *above = nodes + 2 * (ptrdiff_t)down * node_cols, *below = above + 2 * node_cols;
        for (ptrdiff_t i = 0; i < cols; i++) {
            const double across = floor(xs[i] / step), u = xs[i] / step - across;
            const ptrdiff_t at = 2 * (ptrdiff_t)across;
            const double *known = exact + 2 * (j * cols + i);
            double p[2];
            for (int k = 0; k < 2; k++) {
                const double left = above[at + k] * (1 - v) + below[at + k] * v;
                const double right = above[at + 2 + k] * (1 - v) + below[at + 2 + k] * v;
                p[k] = left * (1 - u) + right * u;
            }
            if (size && !is_near(p, size, margin) && !is_near(known, size, margin)) continue;
            const int has_p = isfinite(p[0]) && isfinite(p[1]), has_known = isfinite(known[0]) && isfinite(known[1]);
            if (has_p != has_known) return INFINITY;
            for (int k = 0; has_p && k < 2; k++) {
                const double error = fabs(p[k] - known[k]);
                worst = error > worst ? error : worst;
            }
        }
    }
    return worst;
}

void fp_node_coordinates(const double *xs, ptrdiff_t cols, const double *ys, ptrdiff_t rows, double px, double py,
                         double origin_x, double origin_y, double cell, double *x, double *y)
{
    for (ptrdiff_t j = 0; j < rows; j++) {
        const double at = origin_y - (py + ys[j] + 0.5) * cell;
        for (ptrdiff_t i = 0; i < cols; i++) {
            x[j * cols + i] = origin_x + (px + xs[i] + 0.5) * cell;
            y[j * cols + i] = at;
        }
    }
}

void fp_node_positions(const double *x, const double *y, ptrdiff_t count, const double *affine, double *positions)
{
    for (ptrdiff_t i = 0; i < count; i++) {
        const int known = isfinite(x[i]) && isfinite(y[i]);
        for (int k = 0; k < 2; k++) {
            const double *line = affine + 3 * k;
            positions[2 * i + k] = known ? line[0] * x[i] + line[1] * y[i] + (line[2] - 0.5) : INFINITY;
        }
    }
}

/* Where the line through two values, `rest` pixels apart, is `step` pixels after the first one. */
static double continued(double first, double last, ptrdiff_t step, ptrdiff_t rest)
{
    return first + (last - first) * ((double)step / (double)rest);
}

void fp_node_grid(const double *exact, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t height, ptrdiff_t width,
                  ptrdiff_t step, ptrdiff_t stride, double *nodes)
{
    const ptrdiff_t last_row = (height - 1) / step + 1, last_col = (width - 1) / step + 1;
    const ptrdiff_t row_rest = (height - 1) % step, col_rest = (width - 1) % step;
    for (ptrdiff_t j = 0; j <= last_row; j++) {
        const ptrdiff_t row = j * stride < rows ? j * stride : rows - 1;
        double *line = nodes + 2 * j * (last_col + 1);
        for (ptrdiff_t i = 0; i <= last_col; i++) {
            const ptrdiff_t col = i * stride < cols ? i * stride : cols - 1;
            for (int k = 0; k < 2; k++) {
                double value = exact[2 * (row * cols + col) + k];
                if (j == last_row && row_rest)
                    value = continued(exact[2 * ((j - 1) * stride * cols + col) + k], value, step, row_rest);
                line[2 * i + k] = row_rest && !isfinite(value) ? INFINITY : value;
            }
        }
        for (int k = 0; k < 2 && col_rest; k++) {
            line[2 * last_col + k] = continued(line[2 * last_col - 2 + k], line[2 * last_col + k], step, col_rest);
            for (ptrdiff_t i = 0; i <= last_col; i++)
                if (!isfinite(line[2 * i + k])) line[2 * i + k] = INFINITY;
        }
    }
}
