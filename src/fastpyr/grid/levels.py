"""Choosing the levels of a pyramid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import GridError
from .crs import Transform
from .footprint import affine_bounds, mean_pixel_area
from .matrix import TileMatrix, TileMatrixSet

if TYPE_CHECKING:
    from .crs import CrsLike

__all__ = ["bottom_level", "footprint_resolution", "level_range"]

_MIN_RATIO, _MAX_RATIO = 0.8, 1.6
"""Resolution of the source over that of a level: between these the level can be the bottom."""


def footprint_resolution(
    affine: Sequence[float], width: int, height: int, source_crs: CrsLike, target_crs: CrsLike
) -> float:
    """Side of a mean pixel of a raster in units of ``target_crs``: sqrt(area of the reprojected footprint / pixels).

    ``affine`` = (a, b, c, d, e, f) from pixel corners: x = a*col + b*row + c, y = d*col + e*row + f. Raises GridError
    when no part of the raster has coordinates in ``target_crs``.
    """
    transform = Transform(source_crs, target_crs, bounds=affine_bounds(affine, width, height))
    return math.sqrt(mean_pixel_area(affine, width, height, transform))


def bottom_level(tms: TileMatrixSet, resolution: float) -> tuple[TileMatrix, float]:
    """The level that suits a source of that resolution, and the ratio resolution / cell size.

    Among the levels whose ratio lies in 0.8 .. 1.6, the one nearest to 1. Raises GridError when there is none, naming
    the two closest levels.
    """
    if not (math.isfinite(resolution) and resolution > 0):
        raise GridError(f"source resolution {resolution} is not a positive number")
    ratios = [(resolution / matrix.cell_size, matrix) for matrix in tms.matrices]
    fitting = [(ratio, matrix) for ratio, matrix in ratios if _MIN_RATIO <= ratio <= _MAX_RATIO]
    if fitting:
        ratio, matrix = min(fitting, key=lambda pair: abs(pair[0] - 1))
        return matrix, ratio
    closest = sorted(ratios, key=lambda pair: abs(math.log(pair[0])))[:2]
    shown = " and ".join(f"{matrix.id} (ratio {ratio:.3g})" for ratio, matrix in closest)
    raise GridError(
        f"no level of tile matrix set {tms.name} suits a source resolution of {resolution:.6g}: "
        f"a bottom needs a ratio to its cell size in {_MIN_RATIO} to {_MAX_RATIO}, the closest are {shown}; "
        "choose one with --bottom"
    )


def level_range(tms: TileMatrixSet, bottom: str, top: str) -> tuple[TileMatrix, ...]:
    """The levels from ``bottom`` to ``top``, both included, finest first.

    Levels are ordered by cell size, never by id. Raises GridError for an unknown level or when ``top`` is finer than
    ``bottom``.
    """
    first, last = tms.index(bottom), tms.index(top)
    if first > last:
        raise GridError(
            f"tile matrix set {tms.name}: top level {top} (cell {tms.matrices[last].cell_size:.6g}) is finer than "
            f"bottom level {bottom} (cell {tms.matrices[first].cell_size:.6g}): exchange them"
        )
    return tms.matrices[first : last + 1]
