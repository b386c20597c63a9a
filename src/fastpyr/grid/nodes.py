"""The reprojection grid of a block: source positions at some of its pixels, dense enough for bilinear interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from .. import _native
from .crs import FloatArray, Transform
from .matrix import TileMatrix

__all__ = ["coordinate_grid"]

_COARSEST = 256
"""Pixels between the nodes of the coarsest grid."""

_MARGIN = 64.0
"""Source pixels around a source that still need exact positions, for the reach of widened kernels."""


def coordinate_grid(
    to_source: Transform,
    matrix: TileMatrix,
    px: int,
    py: int,
    width: int,
    height: int,
    inverse_affine: Sequence[float],
    tolerance: float = 0.02,
    source_size: tuple[int, int] | None = None,
) -> tuple[FloatArray, int]:
    """Source pixel positions of a block of ``width`` x ``height`` pixels, and the distance of the nodes in pixels.

    ``to_source`` transforms coordinates of the matrix to coordinates of the source. (``px``, ``py``) is the block's
    first pixel, counted from the top-left pixel of the matrix. ``inverse_affine`` = (a, b, c, d, e, f) turns source
    coordinates into source pixels counted from the corner of the first pixel: col = a*x + b*y + c,
    row = d*x + e*y + f. ``source_size`` (columns, rows), when given, limits the control of errors to pixels that land
    on the source or within 64 pixels of it.

    Returns nodes, float64 (ny, nx, 2): column and row, 0.0 at the centre of the first source pixel, for the centre of
    block pixel (j*step, i*step). Nodes go at least one beyond the last pixel: nx = (width - 1) // step + 2, ny
    likewise; those beyond continue the last interval, so that only pixels of the block are ever transformed. Nodes are
    inf where the source has no coordinates. ``step`` is the power of two from 256 to 1 for which bilinear
    interpolation between nodes stays within ``tolerance`` source pixels of PROJ, as measured on a grid twice as dense,
    which is then the one returned (unless it would bring nothing). The result depends on the arguments only.
    """
    origin, affine = (matrix.origin_x, matrix.origin_y), tuple(float(value) for value in inverse_affine[:6])
    step = _COARSEST
    while True:
        fine = step // 2
        cols, rows = _positions(width, fine), _positions(height, fine)
        x, y = np.empty((2, rows.size * cols.size))
        _native.node_coordinates(cols, rows, (px, py), origin, matrix.cell_size, x, y)
        to_source.apply(x, y)
        exact = np.empty((rows.size, cols.size, 2))
        _native.node_positions(x, y, affine, exact)
        nodes = _nodes(exact, width, height, step, 2)
        error = _native.node_error(nodes, step, exact, cols, rows, source_size, _MARGIN)
        if error <= tolerance / 16:
            return nodes, step
        if error <= tolerance or fine == 1:
            return _nodes(exact, width, height, fine, 1), fine
        step = _next_step(step, error, tolerance)


@lru_cache(maxsize=64)
def _positions(count: int, step: int) -> FloatArray:
    """Every ``step``-th pixel of ``count``, and the last one. Read-only."""
    positions = np.arange(0, count, step, dtype=np.float64)
    if (count - 1) % step:
        positions = np.append(positions, count - 1.0)
    positions.flags.writeable = False
    return positions


def _nodes(exact: FloatArray, width: int, height: int, step: int, stride: int) -> FloatArray:
    """Nodes at multiples of ``step`` up to one beyond the last pixel, from values at ``step`` / ``stride``."""
    nodes = np.empty(((height - 1) // step + 2, (width - 1) // step + 2, 2))
    _native.node_grid(exact, height, width, step, stride, nodes)
    return nodes


def _next_step(step: int, error: float, tolerance: float) -> int:
    """The next step to try: errors of a smooth transform grow with the square of the step."""
    guess = step * (tolerance / error) ** 0.5
    step //= 2
    while step > 2 and step > guess:
        step //= 2
    return step
