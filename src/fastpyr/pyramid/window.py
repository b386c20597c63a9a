"""Levels of an open pyramid: their tiles, their pixels, and the coordinates of both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import ConfigError, DescriptorError
from ..frozen import frozen
from ..grid.bounds import BoundingBox, TileLimits
from ..grid.matrix import TileMatrix, TileMatrixSet
from .level import LevelDescriptor

__all__ = ["Level", "PixelWindow", "open_levels"]

_SNAP = 1e-6
"""Pixels by which a box may pass a pixel's edge and still not touch the pixel."""


class PixelWindow(NamedTuple):
    """Pixels x0 <= x < x1, y0 <= y < y1 of a level, counted from the top-left corner of its matrix."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0


@frozen
class Level:
    """One level of an open pyramid.

    ``limits`` are the inclusive tile indices that may hold data (the descriptor's, inside the matrix).
    """

    matrix: TileMatrix
    descriptor: LevelDescriptor
    limits: TileLimits

    @property
    def id(self) -> str:
        return self.matrix.id

    @property
    def tiles_per_width(self) -> int:
        return self.descriptor.tiles_per_width

    @property
    def tiles_per_height(self) -> int:
        return self.descriptor.tiles_per_height

    @property
    def bounds(self) -> BoundingBox:
        """Box around the tile limits, in the CRS of the tile matrix set."""
        return self.matrix.bounds_of(self.limits)

    def window(self, bbox: BoundingBox | None = None) -> PixelWindow:
        """Pixels that ``bbox`` touches (snapped outward to the pixel grid), or all pixels of the limits.

        The window may exceed the limits and the matrix. Raises ConfigError for an empty or non-finite box.
        """
        tw, th = self.matrix.tile_width, self.matrix.tile_height
        if bbox is None:
            limits = self.limits
            return PixelWindow(
                limits.min_col * tw, limits.min_row * th, (limits.max_col + 1) * tw, (limits.max_row + 1) * th
            )
        box = BoundingBox(*bbox)
        if not box.is_valid:
            raise ConfigError(f"the box {box} is empty or not finite: expected (left, bottom, right, top)")
        left, top = self.matrix.pixel_of(box.left, box.top)
        right, bottom = self.matrix.pixel_of(box.right, box.bottom)
        if not all(abs(value) < 2**52 for value in (left, top, right, bottom)):
            raise ConfigError(f"the box {box} is beyond all pixels of level {self.id}")
        x0, y0 = math.floor(left + _SNAP), math.floor(top + _SNAP)
        return PixelWindow(x0, y0, max(x0 + 1, math.ceil(right - _SNAP)), max(y0 + 1, math.ceil(bottom - _SNAP)))

    def window_bounds(self, window: PixelWindow) -> BoundingBox:
        """Box of a window in the CRS of the tile matrix set: with the array's shape, all its georeferencing."""
        m = self.matrix
        return BoundingBox(
            m.origin_x + window.x0 * m.cell_size,
            m.origin_y - window.y1 * m.cell_size,
            m.origin_x + window.x1 * m.cell_size,
            m.origin_y - window.y0 * m.cell_size,
        )

    def tiles_of(self, window: PixelWindow) -> TileLimits | None:
        """Tiles inside the limits that the window touches, None when there are none."""
        tw, th = self.matrix.tile_width, self.matrix.tile_height
        touched = TileLimits(window.y0 // th, (window.y1 - 1) // th, window.x0 // tw, (window.x1 - 1) // tw)
        return self.limits.intersection(touched)


def open_levels(name: str, described: Sequence[LevelDescriptor], tms: TileMatrixSet) -> tuple[Level, ...]:
    """The levels of the descriptor ``name``, finest first, limits clamped to their matrices as tile servers do.

    Raises DescriptorError for a level that the tile matrix set lacks and for limits outside the matrix.
    """
    by_id = {level.id: level for level in described}
    unknown = [id for id in by_id if id not in tms.ids]
    if unknown:
        raise DescriptorError(f"descriptor {name}: level {unknown[0]!r} is not in tile matrix set {tms.name}")
    levels = []
    for matrix in tms.matrices:
        level = by_id.get(matrix.id)
        if level is None:
            continue
        limits = level.limits.intersection(matrix.limits)
        if limits is None:
            raise DescriptorError(
                f"descriptor {name}: the tile limits of level {level.id} are outside its "
                f"{matrix.matrix_width} x {matrix.matrix_height} tiles"
            )
        levels.append(Level(matrix, level, limits))
    return tuple(levels)
