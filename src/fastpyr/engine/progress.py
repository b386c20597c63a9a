"""What a running build tells: counts, never times (the listener has a clock)."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from ..frozen import frozen

__all__ = ["Counter", "Progress", "ProgressCallback"]


@frozen
class Progress:
    """State of a build at one moment.

    Attributes:
        blocks, blocks_total: finished and planned blocks over all levels.
        pixels: stored pixels of the tiles that hold data, over all levels.
        slabs, bytes: slabs written (masks included) and their bytes.
        level_blocks: finished and planned blocks per level id, finest level first.
        resumed_pixels, resumed_slabs: those among ``pixels`` and ``slabs`` that an earlier build had made.
    """

    blocks: int
    blocks_total: int
    pixels: int
    slabs: int
    bytes: int
    level_blocks: dict[str, tuple[int, int]]
    resumed_pixels: int = 0
    resumed_slabs: int = 0


ProgressCallback = Callable[[Progress], object]
"""Called from worker threads, one call at a time, after every finished block and slab; before them, once, when an
earlier build has left some."""


class Counter:
    """Counts of one build, updated by all workers. ``planned``: blocks per level id."""

    def __init__(self, planned: dict[str, int], callback: ProgressCallback | None = None) -> None:
        self.planned, self.callback = planned, callback
        self.pixels = self.tiles = self.slabs = self.bytes = 0
        self.resumed_pixels = self.resumed_slabs = 0
        self._blocks = 0
        self._levels = {level: (0, blocks) for level, blocks in planned.items()}
        self._lock = Lock()

    def block(self, level: str, tiles: int, tile_pixels: int) -> None:
        """A block of ``level`` is finished and holds ``tiles`` tiles with data."""
        with self._lock:
            self._count(level, 1, tiles, tile_pixels)
            self._tell()

    def slab(self, size: int) -> None:
        """A slab of ``size`` bytes is written."""
        with self._lock:
            self.slabs += 1
            self.bytes += size
            self._tell()

    def resumed(self, level: str, blocks: int, tiles: int, tile_pixels: int, sizes: list[int]) -> None:
        """A slab of ``level`` was finished by an earlier build: its blocks, tiles with data, and bytes per file.

        The listener hears of it with the next call; see ``tell``.
        """
        with self._lock:
            self._count(level, blocks, tiles, tile_pixels)
            self.resumed_pixels += tiles * tile_pixels
            self.slabs += len(sizes)
            self.resumed_slabs += len(sizes)
            self.bytes += sum(sizes)

    def part(self, blocks: dict[str, int], tiles: int, tile_pixels: int, sizes: list[int], *, resumed: bool) -> None:
        """Another process has finished so many blocks per level, with so many tiles in slabs of these bytes, in this
        build or in an earlier one."""
        with self._lock:
            for level, count in blocks.items():
                self._count(level, count, 0, 0)
            self.tiles += tiles
            self.pixels += tiles * tile_pixels
            self.slabs += len(sizes)
            self.bytes += sum(sizes)
            if resumed:
                self.resumed_pixels += tiles * tile_pixels
                self.resumed_slabs += len(sizes)
            self._tell()

    def tell(self) -> None:
        """Call the listener now."""
        with self._lock:
            self._tell()

    def _count(self, level: str, blocks: int, tiles: int, tile_pixels: int) -> None:
        done, planned = self._levels[level]
        self._levels[level] = done + blocks, planned
        self._blocks += blocks
        self.tiles += tiles
        self.pixels += tiles * tile_pixels

    def _tell(self) -> None:
        if self.callback is not None:
            self.callback(
                Progress(
                    self._blocks,
                    sum(self.planned.values()),
                    self.pixels,
                    self.slabs,
                    self.bytes,
                    self._levels.copy(),
                    self.resumed_pixels,
                    self.resumed_slabs,
                )
            )
