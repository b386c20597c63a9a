"""Tiles in, slabs out: holds the encoded tiles of the slabs in progress and lets each go when it is whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ..formats import SlabKind
from ..grid import TileLimits
from ..plan import LevelPlan, Plan

__all__ = ["FinishedSlab", "SlabAssembler"]

TileRows = Sequence[Sequence[bytes | None]]
"""Encoded tiles of a block, row by row; None where the tile has no data of its own."""


@dataclass(frozen=True, slots=True)
class FinishedSlab:
    """A slab whose tiles are all there: ``tiles`` in row-major order."""

    level: str
    kind: SlabKind
    column: int
    row: int
    tiles: Sequence[bytes]


@dataclass(slots=True)
class _OpenSlab:
    remaining: int
    data: dict[int, bytes] = field(default_factory=dict)
    masks: dict[int, bytes] = field(default_factory=dict)
    present: bool = False


class SlabAssembler:
    """Slabs of one level. Safe for many threads.

    A slab is complete when every block planned in it has been added; one without a present tile is dropped. Missing
    tiles become nodata tiles, never gaps. ``nodata_tile`` and ``nodata_mask`` are the bytes of such tiles.
    """

    def __init__(
        self,
        plan: Plan,
        level: LevelPlan,
        nodata_tile: bytes,
        nodata_mask: bytes,
        write: Callable[[FinishedSlab], None],
    ) -> None:
        self._level = level
        self._block = plan.block
        self._width, self._height = plan.options.width, plan.options.height
        self._mask = plan.options.mask
        self._nodata = nodata_tile, nodata_mask
        self._write = write
        self._open: dict[tuple[int, int], _OpenSlab] = {}
        self._lock = Lock()
        self._limits: TileLimits | None = None

    @property
    def limits(self) -> TileLimits | None:
        """Range of the tiles present so far, None before the first one."""
        return self._limits

    def add(
        self, column: int, row: int, present: NDArray[np.bool_], data: TileRows | None, masks: TileRows | None
    ) -> None:
        """Add a finished block. ``present`` marks its tiles that count as stored; ``data`` None: no such tile."""
        left, top = column * self._block, row * self._block
        key = (left // self._width, top // self._height)
        rows, cols = np.nonzero(present)
        with self._lock:
            slab = self._open.get(key)
            if slab is None:
                slab = self._open[key] = _OpenSlab(self._planned(*key))
            slab.remaining -= 1
            if len(rows):
                slab.present = True
                self._extend(
                    left + int(cols.min()), top + int(rows.min()), left + int(cols.max()), top + int(rows.max())
                )
            first = (top - key[1] * self._height) * self._width + left - key[0] * self._width
            for target, tiles in ((slab.data, data), (slab.masks, masks)):
                for j, tile_row in enumerate(tiles or ()):
                    for i, tile in enumerate(tile_row):
                        if tile is not None:
                            target[first + j * self._width + i] = tile
            if slab.remaining:
                return
            del self._open[key]
        if slab.present:
            self._finish(key, slab)

    def _planned(self, column: int, row: int) -> int:
        """Blocks planned inside a slab."""
        across, down = self._width // self._block, self._height // self._block
        columns, rows = range(column * across, (column + 1) * across), range(row * down, (row + 1) * down)
        return self._level.blocks.count(columns, rows)

    def _extend(self, left: int, top: int, right: int, bottom: int) -> None:
        found = TileLimits(top, bottom, left, right)
        self._limits = found if self._limits is None else self._limits.union(found)

    def _finish(self, key: tuple[int, int], slab: _OpenSlab) -> None:
        count = self._width * self._height
        kinds = [(SlabKind.DATA, slab.data, self._nodata[0])]
        if self._mask:
            kinds.append((SlabKind.MASK, slab.masks, self._nodata[1]))
        for kind, tiles, missing in kinds:
            whole = [tiles.get(number, missing) for number in range(count)]
            self._write(FinishedSlab(self._level.id, kind, *key, whole))
