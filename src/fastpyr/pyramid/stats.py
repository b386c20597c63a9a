"""How much a pyramid holds: slabs, tiles and bytes per level, from the slabs' indexes alone."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ..formats import SlabKind
from .reader import Pyramid
from .slabs import SlabRef
from .window import Level

__all__ = ["LevelStats", "PyramidStats", "pyramid_stats"]


@dataclass(frozen=True, slots=True)
class LevelStats:
    """Counts of one level. Sizes are bytes; ``slab_bytes`` and ``mask_bytes`` are whole slabs, index included.

    ``tiles`` are those stored, ``tiles_in_limits`` those inside the tile limits among them; the sizes of the smallest,
    the mean and the largest tile are of all stored data tiles, 0 without any.
    """

    level: str
    slabs: int
    mask_slabs: int
    slab_bytes: int
    mask_bytes: int
    tiles: int
    tiles_in_limits: int
    smallest_tile: int
    mean_tile: float
    largest_tile: int

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class PyramidStats:
    """Counts of all levels, finest first."""

    levels: tuple[LevelStats, ...]

    @property
    def bytes(self) -> int:
        """Bytes of all slabs, data and masks."""
        return sum(level.slab_bytes + level.mask_bytes for level in self.levels)

    @property
    def slabs(self) -> int:
        """Slabs of data; masks are counted per level."""
        return sum(level.slabs for level in self.levels)

    @property
    def tiles(self) -> int:
        return sum(level.tiles for level in self.levels)


def pyramid_stats(pyramid: Pyramid, threads: int | None = None) -> PyramidStats:
    """Read the index of every slab of ``pyramid`` and count. Raises StoreError or SlabError for an unreadable one."""
    by_level: dict[str, list[SlabRef]] = {level.id: [] for level in pyramid.levels}
    for ref in pyramid.slabs():
        by_level[ref.level].append(ref)
    with ThreadPoolExecutor(threads or os.cpu_count() or 1, "stats") as pool:
        return PyramidStats(tuple(_level_stats(pyramid, level, by_level[level.id], pool) for level in pyramid.levels))


def _level_stats(pyramid: Pyramid, level: Level, refs: list[SlabRef], pool: ThreadPoolExecutor) -> LevelStats:
    sizes: list[int] = []
    inside = 0
    data = [ref for ref in refs if ref.kind is SlabKind.DATA]
    masks = [ref for ref in refs if ref.kind is SlabKind.MASK]
    for ref, tile_sizes in zip(data, pool.map(pyramid.tile_sizes, data), strict=True):
        for number, size in enumerate(tile_sizes):
            if size:
                row, col = divmod(number, level.tiles_per_width)
                sizes.append(size)
                inside += level.limits.contains(
                    ref.col * level.tiles_per_width + col, ref.row * level.tiles_per_height + row
                )
    return LevelStats(
        level=level.id,
        slabs=len(data),
        mask_slabs=len(masks),
        slab_bytes=sum(pool.map(pyramid.slab_bytes, data)),
        mask_bytes=sum(pool.map(pyramid.slab_bytes, masks)),
        tiles=len(sizes),
        tiles_in_limits=inside,
        smallest_tile=min(sizes, default=0),
        mean_tile=sum(sizes) / len(sizes) if sizes else 0.0,
        largest_tile=max(sizes, default=0),
    )
