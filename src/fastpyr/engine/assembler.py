"""Tiles in, slabs out: holds the encoded tiles of the slabs in progress and lets each go when it is whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ..formats import SlabKind
from ..frozen import frozen
from ..grid import TileLimits
from ..planning import LevelPlan, Plan
from .records import TileRows

__all__ = ["FinishedSlab", "SlabAssembler"]


@frozen
class FinishedSlab:
    """A slab whose tiles are all there: ``tiles`` in row-major order."""

    level: str
    kind: SlabKind
    column: int
    row: int
    tiles: Sequence[bytes]


class _OpenSlab:
    """Tiles in row-major order, nodata where no block has given one; ``count`` of them were given."""

    __slots__ = ("count", "data", "limits", "masks", "remaining")

    def __init__(self, remaining: int, data: list[bytes], masks: list[bytes]) -> None:
        self.remaining, self.data, self.masks = remaining, data, masks
        self.limits: TileLimits | None = None
        self.count = 0


class SlabAssembler:
    """Slabs of one level. Safe for many threads.

    A slab is complete when every block planned in it has been added; one without a present tile is dropped. Missing
    tiles become nodata tiles, never gaps. ``nodata_tile`` and ``nodata_mask`` are the bytes of such tiles.
    ``on_slab`` is called after all files of a slab are written, or after it is dropped, with its column, row, range of
    tiles (None: dropped) and number of tiles.
    """

    def __init__(
        self,
        plan: Plan,
        level: LevelPlan,
        nodata_tile: bytes,
        nodata_mask: bytes,
        write: Callable[[FinishedSlab], None],
        on_slab: Callable[[int, int, TileLimits | None, int], None] | None = None,
    ) -> None:
        self._level = level
        self._block = plan.block
        self._width, self._height = plan.options.width, plan.options.height
        self._mask = plan.options.mask
        self._nodata = nodata_tile, nodata_mask
        self._write = write
        self._on_slab = on_slab
        self._open: dict[tuple[int, int], _OpenSlab] = {}
        self._lock = Lock()
        self._limits: TileLimits | None = None

    @property
    def limits(self) -> TileLimits | None:
        """Range of the tiles of finished slabs, None before the first one."""
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
                slab = self._open[key] = self._opened(*key)
            slab.remaining -= 1
            if len(rows):
                found = TileLimits(
                    top + int(rows.min()), top + int(rows.max()), left + int(cols.min()), left + int(cols.max())
                )
                slab.limits = found if slab.limits is None else slab.limits.union(found)
                slab.count += len(rows)
            first = (top - key[1] * self._height) * self._width + left - key[0] * self._width
            for target, tiles in ((slab.data, data), (slab.masks, masks)):
                for down, tile_row in enumerate(tiles or ()):
                    for place, tile in enumerate(tile_row, first + down * self._width):
                        if tile is not None:
                            target[place] = tile
            if slab.remaining:
                return
            del self._open[key]
            self._extend(slab.limits)
        if slab.limits is not None:
            self._finish(key, slab)
        if self._on_slab is not None:
            self._on_slab(*key, slab.limits, slab.count)

    def restore(self, limits: TileLimits | None) -> None:
        """Count the tiles of a slab that was finished by an earlier build."""
        with self._lock:
            self._extend(limits)

    def _opened(self, column: int, row: int) -> _OpenSlab:
        across, down = self._width // self._block, self._height // self._block
        columns, rows = range(column * across, (column + 1) * across), range(row * down, (row + 1) * down)
        tiles = self._width * self._height
        return _OpenSlab(
            self._level.blocks.count(columns, rows),
            [self._nodata[0]] * tiles,
            [self._nodata[1]] * tiles if self._mask else [],
        )

    def _extend(self, found: TileLimits | None) -> None:
        if found is not None:
            self._limits = found if self._limits is None else self._limits.union(found)

    def _finish(self, key: tuple[int, int], slab: _OpenSlab) -> None:
        self._write(FinishedSlab(self._level.id, SlabKind.DATA, *key, slab.data))
        if self._mask:
            self._write(FinishedSlab(self._level.id, SlabKind.MASK, *key, slab.masks))
