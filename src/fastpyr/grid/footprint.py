"""Where a raster lands in another coordinate reference system: its envelope and the size of its pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import GridError
from .bounds import BoundingBox
from .crs import FloatArray, Transform

__all__ = ["affine_bounds", "mean_pixel_area", "project_bounds", "project_boxes"]

_SIDE = 64
"""Intervals sampled along each side of a box."""

_INTERIOR = 15
"""Points a side of the grid sampled inside a box."""

_PARTS = 24
"""Parts a side of a raster whose areas are added up."""

_MIN_ROUNDS, _MAX_ROUNDS = 3, 12
_WINDOW = np.linspace(-1.0, 1.0, 9)


def affine_bounds(affine: Sequence[float], width: int, height: int) -> BoundingBox:
    """Box around a raster of ``width`` x ``height`` pixels, ``affine`` = (a, b, c, d, e, f) from pixel corners:
    x = a*col + b*row + c, y = d*col + e*row + f."""
    a, b, c, d, e, f = affine[:6]
    xs = [a * col + b * row + c for col in (0, width) for row in (0, height)]
    ys = [d * col + e * row + f for col in (0, width) for row in (0, height)]
    return BoundingBox(min(xs), min(ys), max(xs), max(ys))


def project_bounds(bbox: BoundingBox, transform: Transform) -> BoundingBox:
    """The envelope of a box in the target system, bulges of its sides and of its inside included.

    The union of ``project_boxes``. Raises GridError when no point of the box has coordinates there.
    """
    first, *others = project_boxes(bbox, transform)
    for other in others:
        first = first.union(other)
    return first


def project_boxes(bbox: BoundingBox, transform: Transform) -> tuple[BoundingBox, ...]:
    """The envelope of a box in the target system, as one box for each turn of longitudes it reaches into.

    Two boxes come out of a geographic box that crosses the antimeridian (for example longitudes 170 to 190), one
    otherwise. Raises GridError when the box is not valid or when none of its points has coordinates there.
    """
    if not bbox.is_valid:
        raise GridError(f"bounds {bbox} enclose no area")
    if transform.is_identity:
        return (bbox,)
    boxes = [_envelope(part, transform) for part in _turns(bbox, transform)]
    found = tuple(box for box in boxes if box is not None)
    if not found:
        raise _outside(bbox, transform)
    return found


def _outside(bbox: BoundingBox, transform: Transform) -> GridError:
    return GridError(
        f"bounds {bbox} in CRS {transform.source.name} lie outside the domain of CRS {transform.target.name}: "
        "check the CRS of the source (--srs) and the tile matrix set"
    )


def _turns(bbox: BoundingBox, transform: Transform) -> list[BoundingBox]:
    """The box cut at the antimeridian, each part brought back between -180 and 180 degrees."""
    if transform.source_wrap is None:
        return [bbox]
    turn = transform.source_wrap[1]
    first = math.floor(bbox.left / turn + 0.5)
    last = math.ceil(bbox.right / turn - 0.5)
    parts = []
    for count in range(first, min(last, first + 2) + 1):
        left, right = max(bbox.left - count * turn, -turn / 2), min(bbox.right - count * turn, turn / 2)
        if left < right:
            parts.append(BoundingBox(left, bbox.bottom, right, bbox.top))
    return parts


def _envelope(bbox: BoundingBox, transform: Transform) -> BoundingBox | None:
    """Extremes over a sample of the box, then searched around each extreme with finer and finer grids."""
    u, v = _samples()
    x, y = bbox.left + u * bbox.width, bbox.bottom + v * bbox.height
    tx, ty = _checked(transform, x, y, bbox)
    if not np.isfinite(tx).any():
        return None
    # Rows: -x, x, -y, y, so that each extreme is a maximum.
    best = np.full(4, -np.inf)
    at = np.zeros((4, 2))
    half = 1 / (_INTERIOR + 1)
    for count in range(_MAX_ROUNDS + 1):
        values = np.stack([-tx, tx, -ty, ty])
        values[:, ~np.isfinite(tx)] = -np.inf
        where = values.argmax(axis=1)
        reached = values[np.arange(4), where]
        better = reached > best
        gain = np.where(better, reached - best, 0.0)
        at[better] = np.stack([u[where], v[where]], axis=1)[better]
        best = np.maximum(best, reached)
        extent = max(best[0] + best[1], best[2] + best[3])
        if count == _MAX_ROUNDS or (count >= _MIN_ROUNDS and gain.max() <= 1e-9 * extent):
            break
        u, v = _windows(at, half)
        half /= 4
        x, y = bbox.left + u * bbox.width, bbox.bottom + v * bbox.height
        tx, ty = _checked(transform, x, y, bbox)
    return BoundingBox(-float(best[0]), -float(best[2]), float(best[1]), float(best[3]))


def _samples() -> tuple[FloatArray, FloatArray]:
    """Fractions of width and height: the four sides and a grid inside."""
    t = np.linspace(0.0, 1.0, _SIDE + 1)
    zero, one = np.zeros_like(t), np.ones_like(t)
    inside = np.linspace(0.0, 1.0, _INTERIOR + 2)[1:-1]
    grid_u, grid_v = np.meshgrid(inside, inside)
    return (
        np.concatenate([t, t, zero, one, grid_u.ravel()]),
        np.concatenate([zero, one, t, t, grid_v.ravel()]),
    )


def _windows(at: FloatArray, half: float) -> tuple[FloatArray, FloatArray]:
    """A small grid around each of the four extremes, kept inside the box."""
    grid_u, grid_v = np.meshgrid(_WINDOW * half, _WINDOW * half)
    u = np.clip(at[:, :1] + grid_u.ravel(), 0.0, 1.0)
    v = np.clip(at[:, 1:] + grid_v.ravel(), 0.0, 1.0)
    return u.ravel(), v.ravel()


def _checked(transform: Transform, x: FloatArray, y: FloatArray, bbox: BoundingBox) -> tuple[FloatArray, FloatArray]:
    """Transformed points, inf for those that do not come back where they started.

    Outside their domain some projections return the coordinates of another place instead of none.
    """
    tx, ty = transform.forward(x, y)
    back_x, back_y = transform.inverse.forward(tx, ty)
    with np.errstate(invalid="ignore"):
        away_x = np.abs(back_x - x)
        if transform.source.is_geographic:
            turn = 2 * math.pi / float(transform.source.axis_info[0].unit_conversion_factor)
            away_x = np.abs(away_x - turn * np.round(away_x / turn))
        lost = ~(np.maximum(away_x, np.abs(back_y - y)) <= 0.01 * max(bbox.width, bbox.height))
    tx[lost] = np.inf
    ty[lost] = np.inf
    return tx, ty


def mean_pixel_area(affine: Sequence[float], width: int, height: int, transform: Transform) -> float:
    """Area of the reprojected footprint over the number of pixels, in square units of the target system.

    Only the part of the raster that has coordinates there counts. Raises GridError when there is no such part.
    """
    a, b, c, d, e, f = affine[:6]
    middle = (np.arange(_PARTS) + 0.5) / _PARTS
    col, row = (axis.ravel() for axis in np.meshgrid(middle * width, middle * height))
    step_x, step_y = max(0.5, width / 1024), max(0.5, height / 1024)
    # Four points around each sample: the area of their parallelogram is the Jacobian, exact to second order.
    cols = np.stack([col - step_x, col + step_x, col, col])
    rows = np.stack([row, row, row - step_y, row + step_y])
    bbox = affine_bounds(affine, width, height)
    tx, ty = _checked(transform, a * cols + b * rows + c, d * cols + e * rows + f, bbox)
    with np.errstate(invalid="ignore"):
        areas = np.abs((tx[1] - tx[0]) * (ty[3] - ty[2]) - (tx[3] - tx[2]) * (ty[1] - ty[0]))
    areas = areas[np.isfinite(areas)] / (4 * step_x * step_y)
    if not areas.size:
        raise _outside(bbox, transform)
    # A sample across the antimeridian measures the whole world.
    return float(areas[areas <= 1000 * _median(areas)].mean())


def _median(values: FloatArray) -> FloatArray:
    """The median along the first axis, of one value at least: np.median's, which loads masked arrays for it."""
    ordered = np.sort(values, axis=0)
    middle = len(ordered) // 2
    found: FloatArray = (ordered[middle] + ordered[-1 - middle]) / 2
    return found
