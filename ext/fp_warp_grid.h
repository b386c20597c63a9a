/* Source positions along an output row, from the grid of nodes. Fixed point with 32 fractional bits, so that every
 * path rounds alike. Included by fp_warp.c. */

#include <math.h>

#define ONE ((int64_t)1 << 32)
/* A position outside every source. */
#define NOWHERE (-(int64_t)FP_WARP_LIMIT * ONE)
/* 0.5 + 1e-7 pixel: a position this far above a pixel still belongs to it. */
#define NEAREST_SHIFT (((int64_t)1 << 31) + 429)

/* A cell of one output row: positions run from (x, y) by (dx, dy) a pixel. */
typedef struct {
    int64_t x, y, dx, dy;
    double node_x, node_y; /* the node at its left, interpolated between two rows of nodes; NaN where not finite */
    int is_near;           /* both its nodes are finite and within FP_WARP_LIMIT: the fixed point holds */
} grid_cell;

FP_INLINE int64_t round_to_fixed(double value)
{
    return (int64_t)(value < 0.0 ? value - 0.5 : value + 0.5);
}

/* cells has a place for each node of a row; the last is a cell of no width. */
static void load_cells(const fp_warp_job *job, ptrdiff_t row, grid_cell *cells)
{
    const ptrdiff_t grid_row = row / job->step, n = job->node_cols;
    const double t = (double)(row - grid_row * job->step) / (double)job->step;
    const double *upper = job->nodes + grid_row * n * 2;
    const double *lower = grid_row + 1 < job->node_rows ? upper + n * 2 : upper;
    for (ptrdiff_t c = 0; c < n; c++) {
        const double x = upper[2 * c] + (lower[2 * c] - upper[2 * c]) * t;
        const double y = upper[2 * c + 1] + (lower[2 * c + 1] - upper[2 * c + 1]) * t;
        grid_cell *cell = cells + c;
        cell->node_x = x, cell->node_y = y;
        cell->is_near = fabs(x) < FP_WARP_LIMIT && fabs(y) < FP_WARP_LIMIT;
        cell->x = cell->is_near ? round_to_fixed(x * (double)ONE) : NOWHERE;
        cell->y = cell->is_near ? round_to_fixed(y * (double)ONE) : NOWHERE;
        cell->dx = cell->dy = 0;
    }
    for (ptrdiff_t c = 0; c + 1 < n; c++) {
        grid_cell *cell = cells + c;
        cell->is_near &= cell[1].is_near;
        cell->dx = round_to_fixed((double)(cell[1].x - cell->x) / (double)job->step);
        cell->dy = round_to_fixed((double)(cell[1].y - cell->y) / (double)job->step);
    }
}

/* A part of a row inside one cell: output pixels k..end-1 of a chunk, `inside` pixels from the cell's node on. */
typedef struct {
    const grid_cell *cell;
    ptrdiff_t inside;
    int k, end;
} grid_part;

FP_INLINE grid_part first_part(const fp_warp_job *job, const grid_cell *cells, ptrdiff_t col, int n)
{
    const ptrdiff_t c = col / job->step, inside = col - c * job->step;
    const grid_part part = {cells + c, inside, 0, job->step - inside < n ? (int)(job->step - inside) : n};
    return part;
}

FP_INLINE grid_part next_part(const fp_warp_job *job, grid_part part, int n)
{
    const grid_part next = {part.cell + 1, 0, part.end, job->step < n - part.end ? part.end + (int)job->step : n};
    return next;
}

/* Smallest and largest positions of a stretch of output pixels. */
typedef struct {
    int64_t left, right, top, bottom;
} grid_box;

/* 0 where a cell has no fixed point. */
static int find_box(const fp_warp_job *job, const grid_cell *cells, ptrdiff_t col, int n, grid_box *box)
{
    box->left = box->top = INT64_MAX, box->right = box->bottom = INT64_MIN;
    for (grid_part part = first_part(job, cells, col, n); part.k < n; part = next_part(job, part, n)) {
        const grid_cell *cell = part.cell;
        const ptrdiff_t more = part.end - part.k - 1;
        if (!cell->is_near) return 0;
        const int64_t x0 = cell->x + part.inside * cell->dx, x1 = x0 + more * cell->dx;
        const int64_t y0 = cell->y + part.inside * cell->dy, y1 = y0 + more * cell->dy;
        if (x0 < box->left) box->left = x0;
        if (x1 < box->left) box->left = x1;
        if (x0 > box->right) box->right = x0;
        if (x1 > box->right) box->right = x1;
        if (y0 < box->top) box->top = y0;
        if (y1 < box->top) box->top = y1;
        if (y0 > box->bottom) box->bottom = y0;
        if (y1 > box->bottom) box->bottom = y1;
    }
    return 1;
}

static int64_t far_position(double a, double b, double t)
{
    const double p = a + (b - a) * t;
    return fabs(p) < FP_WARP_LIMIT ? round_to_fixed(p * (double)ONE) : NOWHERE;
}

/* Positions of output pixels col .. col + n - 1 of the row. */
static void fill_positions(const fp_warp_job *job, const grid_cell *cells, ptrdiff_t col, int n, int64_t *x, int64_t *y)
{
    for (grid_part part = first_part(job, cells, col, n); part.k < n; part = next_part(job, part, n)) {
        const grid_cell *cell = part.cell, *next = cell + 1 < cells + job->node_cols ? cell + 1 : cell;
        int64_t px = cell->x + part.inside * cell->dx, py = cell->y + part.inside * cell->dy;
        if (cell->is_near) {
            for (int k = part.k; k < part.end; k++, px += cell->dx, py += cell->dy) x[k] = px, y[k] = py;
            continue;
        }
        for (int k = part.k; k < part.end; k++) {
            const double t = (double)(part.inside + k - part.k) / (double)job->step;
            x[k] = far_position(cell->node_x, next->node_x, t);
            y[k] = far_position(cell->node_y, next->node_y, t);
        }
    }
}

/* Index of the nearest pixel: ceil(p - 0.5 - 1e-7). */
FP_INLINE ptrdiff_t nearest(int64_t position)
{
    return (ptrdiff_t)((position - NEAREST_SHIFT + (ONE - 1)) >> 32);
}

/* Position rounded to 1/1024 pixel: pixel * 1024 + phase. |position| < 2^20 pixels, so that 32 bits hold it and the
 * bits that a logical shift brings in from above fall away. */
FP_INLINE int32_t rounded(int64_t position)
{
    return (int32_t)(uint32_t)((uint64_t)(position + ((int64_t)1 << 21)) >> 22);
}

/* Rounded positions of a chunk whose cells are all near. The arrays have room for a vector more than n. */
static void fill_rounded(const fp_warp_job *job, const grid_cell *cells, ptrdiff_t col, int n, int32_t *qx, int32_t *qy)
{
    for (grid_part part = first_part(job, cells, col, n); part.k < n; part = next_part(job, part, n)) {
        int64_t x = part.cell->x + part.inside * part.cell->dx, y = part.cell->y + part.inside * part.cell->dy;
        for (int k = part.k; k < part.end; k++, x += part.cell->dx, y += part.cell->dy) {
            qx[k] = rounded(x);
            qy[k] = rounded(y);
        }
    }
}
