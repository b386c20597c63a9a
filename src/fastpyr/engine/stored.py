"""Levels that are there already, read so that those above them can be made again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pyramid import Pyramid
from .base import Base
from .block import EMPTY, FULL, MIXED

__all__ = ["StoredLevels"]


class StoredLevels:
    """Blocks of the levels of a pyramid, ``base`` being the same one. Safe for many threads."""

    def __init__(self, pyramid: Pyramid, base: Base) -> None:
        self._limits = {level.id: level.limits for level in pyramid.levels}
        self._base = base
        matrix = pyramid.levels[0].matrix
        self._tile = matrix.tile_height, matrix.tile_width

    def read(self, level: str, column: int, row: int, pixels: NDArray[Any], mask: NDArray[np.uint8]) -> int:
        """Fill a block whose first tile is (``column``, ``row``): its state; ``mask`` is filled for a MIXED one.

        Tiles outside the limits of the level are not looked at. Raises DecodeError, SlabError or StoreError naming
        level and tile.
        """
        height, width = self._tile
        limits = self._limits[level]
        found, whole = 0, 0
        side = pixels.shape[0] // height
        for j, i in np.ndindex(side, side):
            part = np.s_[j * height : (j + 1) * height, i * width : (i + 1) * width]
            inside = limits.contains(column + i, row + j)
            tile = self._base.decoded(level, column + i, row + j) if inside else None
            if tile is None:
                mask[part] = 0
                continue
            pixels[part], mask[part] = tile
            found += 1
            whole += bool(tile[1].all())
        if whole == side * side:
            return FULL
        return MIXED if found else EMPTY
