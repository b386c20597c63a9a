"""The reprojection grid of a block: source positions at some of its pixels, dense enough for bilinear interpolation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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
    block = _Block(to_source, matrix, px, py, width, height, inverse_affine)
    step = _COARSEST
    while True:
        fine = step // 2
        cols, rows = _positions(width, fine), _positions(height, fine)
        exact = block.source_positions(cols, rows)
        coarse = exact[np.ix_(_every_other(height, step, len(rows)), _every_other(width, step, len(cols)))]
        nodes = _extended(coarse, width, height, step)
        error = _error(nodes, step, exact, cols, rows, source_size)
        if error <= tolerance / 16:
            return nodes, step
        if error <= tolerance or fine == 1:
            return _extended(exact, width, height, fine), fine
        step = _next_step(step, error, tolerance)


class _Block:
    """Exact source positions of a block's pixels."""

    def __init__(
        self,
        to_source: Transform,
        matrix: TileMatrix,
        px: int,
        py: int,
        width: int,
        height: int,
        inverse_affine: Sequence[float],
    ) -> None:
        self._transform = to_source
        self._affine = tuple(float(value) for value in inverse_affine[:6])
        self._matrix = matrix
        self._first = (px, py)

    def source_positions(self, cols: FloatArray, rows: FloatArray) -> FloatArray:
        """Array (rows, cols, 2) for the centres of the block's pixels at those columns and rows."""
        cell = self._matrix.cell_size
        x = self._matrix.origin_x + (self._first[0] + cols + 0.5) * cell
        y = self._matrix.origin_y - (self._first[1] + rows + 0.5) * cell
        sx, sy = self._transform.forward(x[None, :], y[:, None])
        a, b, c, d, e, f = self._affine
        result = np.empty((*sx.shape, 2))
        unknown = ~np.isfinite(sx)
        sx[unknown] = sy[unknown] = 0.0
        result[..., 0] = a * sx + b * sy + (c - 0.5)
        result[..., 1] = d * sx + e * sy + (f - 0.5)
        result[unknown] = np.inf
        return result


def _positions(count: int, step: int) -> FloatArray:
    """Every ``step``-th pixel of ``count``, and the last one."""
    positions = np.arange(0, count, step, dtype=np.float64)
    return positions if (count - 1) % step == 0 else np.append(positions, count - 1.0)


def _every_other(count: int, step: int, fine_length: int) -> npt.NDArray[np.intp]:
    """Ranks of ``_positions(count, step)`` among the ``fine_length`` positions at half that step."""
    ranks = np.arange(0, (count - 1) // step + 1) * 2
    return ranks if (count - 1) % step == 0 else np.append(ranks, fine_length - 1)


def _extended(exact: FloatArray, width: int, height: int, step: int) -> FloatArray:
    """Nodes at multiples of ``step`` up to one beyond the last pixel, from values at ``_positions``."""
    nodes = _extended_axis(exact, height, step)
    return np.ascontiguousarray(_extended_axis(nodes.swapaxes(0, 1), width, step).swapaxes(0, 1))


def _extended_axis(values: FloatArray, count: int, step: int) -> FloatArray:
    last = (count - 1) % step
    if last == 0:
        return np.concatenate([values, values[-1:]])
    result = values.copy()
    with np.errstate(invalid="ignore"):
        result[-1] = values[-2] + (values[-1] - values[-2]) * (step / last)
    result[~np.isfinite(result)] = np.inf
    return result


def _error(
    nodes: FloatArray,
    step: int,
    exact: FloatArray,
    cols: FloatArray,
    rows: FloatArray,
    source_size: tuple[int, int] | None,
) -> float:
    """Largest distance along one axis between interpolated and exact positions, inf where only one exists."""
    return _native.node_error(nodes, step, exact, cols, rows, source_size, _MARGIN)


def _next_step(step: int, error: float, tolerance: float) -> int:
    """The next step to try: errors of a smooth transform grow with the square of the step."""
    guess = step * (tolerance / error) ** 0.5
    step //= 2
    while step > 2 and step > guess:
        step //= 2
    return step
