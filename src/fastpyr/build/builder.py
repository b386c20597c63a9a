"""One pass from sources to slabs.

A worker makes a block of a bottom level, encodes its tiles while they are hot in cache, and reduces it straight into
its parent. The worker that delivers a parent's last child finishes the parent in the same way, and so on upwards.
No pixel is written anywhere but in slabs, and none is read twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encode import MASK_PIXELS, TileEncoder, encoder, mask_encoder
from ..formats import SlabKind
from ..grid import TileLimits
from ..kernels import decimate, fill_nodata, mask_states, reduce2x2
from ..plan import Link, Plan
from ..slab.writer import slab_chunks
from ..store import Staging
from ..store.naming import slab_key
from .assembler import FinishedSlab, SlabAssembler, TileRows
from .progress import Counter, ProgressCallback
from .render import Renderer
from .scratch import BlockPool, Scratch

__all__ = ["BuildResult", "Builder", "Worker", "WrittenSlab"]

_EMPTY, _MIXED, _FULL = 0, 1, 2


@dataclass(frozen=True, slots=True, order=True)
class WrittenSlab:
    """A slab in the store: level position (finest 0), kind, row and column in slabs, key below the tree, bytes."""

    level: int
    kind: str
    row: int
    column: int
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build wrote: per level (finest first) the range of tiles, and all slabs in a fixed order."""

    limits: tuple[TileLimits | None, ...]
    slabs: tuple[WrittenSlab, ...]
    tiles: int
    pixels: int


@dataclass(slots=True)
class _Block:
    """A block of a derived level that waits for its children."""

    pixels: NDArray[Any]
    mask: NDArray[np.uint8]
    present: NDArray[np.bool_]
    remaining: int


@dataclass(slots=True)
class Worker:
    """What one thread owns: scratch memory and encoders, which keep state and are not shared."""

    scratch: Scratch
    data: TileEncoder
    mask: TileEncoder


class Builder:
    """Runs the blocks of a plan against a staging area. Methods are called by any number of threads."""

    def __init__(self, plan: Plan, staging: Staging, progress: ProgressCallback | None = None) -> None:
        self.plan = plan
        self._staging = staging
        matrix = plan.levels[0].matrix
        self._tile = (matrix.tile_height, matrix.tile_width)
        side = plan.block
        pixel = plan.pixel
        self._pool = BlockPool(side * self._tile[0], side * self._tile[1], pixel.channels, pixel.dtype)
        self._links = [plan.links_of(index) for index in range(len(plan.levels))]
        self._renderers = [
            None
            if level.mosaic is None
            else Renderer(plan.mosaics[level.mosaic], level.matrix, plan.tms, pixel, plan.options.interpolation)
            for level in plan.levels
        ]
        first = self.worker()
        self._assemblers = [
            SlabAssembler(plan, level, first.data.nodata_tile, first.mask.nodata_tile, self._write_slab)
            for level in plan.levels
        ]
        self._full_mask_tile = first.mask.encode(np.full((*self._tile, 1), 255, np.uint8))
        self._by_mean = [level.derivation.method == "mean" for level in plan.levels]
        self._position = {level.id: index for index, level in enumerate(plan.levels)}
        self._waiting: dict[tuple[int, int, int], _Block] = {}
        self._lock = Lock()
        self._slabs: list[WrittenSlab] = []
        self._counter = Counter({level.id: len(level.blocks) for level in plan.levels}, progress)

    def worker(self) -> Worker:
        """Fresh state for one thread."""
        height, width = self._tile
        return Worker(Scratch(), encoder(self.plan.pixel, width, height), mask_encoder(width, height))

    def run(self, task: tuple[int, int, int], worker: Worker) -> None:
        """Make one block (level index, column, row) from the sources, and every ancestor it completes."""
        index, column, row = task
        renderer = self._renderers[index]
        assert renderer is not None  # source_blocks() only yields levels made from the sources
        pixels, mask = self._pool.take()
        side = self.plan.block
        drawn = renderer.render(column * side * self._tile[1], row * side * self._tile[0], pixels, mask, worker.scratch)
        present = np.zeros((side, side), np.bool_)
        ready = self._finish(index, column, row, _Block(pixels, mask, present, 0), worker, drawn)
        while ready:
            index, column, row, block = ready.pop()
            ready += self._finish(index, column, row, block, worker, bool(block.present.any()))

    def result(self) -> BuildResult:
        """What was written. Call when every task is done."""
        limits = tuple(assembler.limits for assembler in self._assemblers)
        return BuildResult(limits, tuple(sorted(self._slabs)), self._counter.tiles, self._counter.pixels)

    def _finish(
        self, index: int, column: int, row: int, block: _Block, worker: Worker, has_data: bool
    ) -> list[tuple[int, int, int, _Block]]:
        """Encode a complete block, hand its tiles to their slab and its pixels to its parents.

        ``has_data``: it may hold pixels that are data, or tiles that are stored for what lies below them.
        Returns the parents that are complete now. The block's memory goes back to the pool.
        """
        data: TileRows | None = None
        masks: TileRows | None = None
        states = None
        if has_data:
            states = mask_states(block.mask, *self._tile)
            if not self._by_mean[index]:
                self._mark_data(index, column, row, states, block.present)
            self._fill_mixed(block, states)
            data, masks = self._encode(block, states, worker)
        self._assemblers[index].add(column, row, block.present, data, masks)
        self._counter.block(self.plan.levels[index].id, int(block.present.sum()), self._tile[0] * self._tile[1])
        ready = []
        for link in self._links[index]:
            ready += self._hand_up(link, column, row, block, states)
        self._pool.give(block.pixels, block.mask)
        return ready

    def _fill_mixed(self, block: _Block, states: NDArray[np.uint8]) -> None:
        """Nodata wherever the mask is 0 in tiles that will be encoded. Pixels of empty tiles are never looked at."""
        height, width = self._tile
        for j, i in zip(*np.nonzero(states == _MIXED), strict=True):
            tile = np.s_[j * height : (j + 1) * height, i * width : (i + 1) * width]
            fill_nodata(block.pixels[tile], block.mask[tile], self.plan.pixel.nodata)

    def _encode(self, block: _Block, states: NDArray[np.uint8], worker: Worker) -> tuple[TileRows, TileRows | None]:
        data = worker.data.encode_block(block.pixels, (states != _EMPTY) & block.present)
        if not self.plan.options.mask:
            return data, None
        mixed, full = (states == _MIXED) & block.present, (states == _FULL) & block.present
        masks: Sequence[list[bytes | None]] = worker.mask.encode_block(block.mask[:, :, None], mixed)
        for j, i in zip(*np.nonzero(full), strict=True):
            masks[j][i] = self._full_mask_tile
        return data, masks

    def _hand_up(
        self, link: Link, column: int, row: int, block: _Block, states: NDArray[np.uint8] | None
    ) -> list[tuple[int, int, int, _Block]]:
        """Reduce or decimate a block into every parent it reaches along one link."""
        ready = []
        cells = self.plan.levels[link.target].blocks
        for target_row in link.rows.targets(row):
            for target_column in link.columns.targets(column):
                key = (link.target, target_column, target_row)
                if not cells.count(range(target_column, target_column + 1), range(target_row, target_row + 1)):
                    continue  # beyond the matrix
                parent = self._parent(key, link)
                if states is not None:
                    self._fill(link, column, row, target_column, target_row, block, states, parent)
                with self._lock:
                    parent.remaining -= 1
                    if parent.remaining == 0:
                        del self._waiting[key]
                        ready.append((*key, parent))
        return ready

    def _parent(self, key: tuple[int, int, int], link: Link) -> _Block:
        """The waiting block ``key``, created by its first child."""
        with self._lock:
            parent = self._waiting.get(key)
            if parent is None:
                source = self.plan.levels[self._position[self.plan.levels[link.target].derivation.source or ""]]
                children = source.blocks.count(link.columns.sources(key[1]), link.rows.sources(key[2]))
                side = self.plan.block
                parent = _Block(*self._pool.take(), np.zeros((side, side), np.bool_), children)
                self._waiting[key] = parent
            return parent

    def _fill(
        self,
        link: Link,
        column: int,
        row: int,
        target_column: int,
        target_row: int,
        block: _Block,
        states: NDArray[np.uint8],
        parent: _Block,
    ) -> None:
        """Write what one child gives to one parent: its own rectangle, so that children need no lock."""
        self._mark_present(link, column, row, target_column, target_row, block, parent)
        source_x, x, width = link.columns.picks(column, target_column)
        source_y, y, height = link.rows.picks(row, target_row)
        if not width or not height or not states.any():
            return
        out, out_mask = parent.pixels[y : y + height, x : x + width], parent.mask[y : y + height, x : x + width]
        full = bool((states == _FULL).all())
        if link.mean:
            mask = None if full else block.mask
            options = self.plan.options
            reduce2x2(
                block.pixels, out, mask=mask, out_mask=out_mask, nodata=self.plan.pixel.nodata, gamma=options.gamma
            )
        else:
            decimate(block.pixels, link.columns.ratio, (source_x, source_y), out, mask=block.mask, out_mask=out_mask)

    def _mark_present(
        self, link: Link, column: int, row: int, target_column: int, target_row: int, block: _Block, parent: _Block
    ) -> None:
        """A parent's tile is stored when a tile below it is, whatever the reduction left of its pixels."""
        side, level = self.plan.block, self.plan.levels[link.target]
        left, top = target_column * side, target_row * side
        columns, rows = self._tiles_of(link.target, target_column, target_row)
        if not link.mean:
            # A picked pixel may lie anywhere in the area it stands for: keep to the footprint of the sources.
            columns = range(max(columns.start, level.limits.min_col), min(columns.stop, level.limits.max_col + 1))
            rows = range(max(rows.start, level.limits.min_row), min(rows.stop, level.limits.max_row + 1))
        for j, i in zip(*np.nonzero(block.present), strict=True):
            for y in link.tile_rows.targets(row * side + int(j)):
                for x in link.tile_columns.targets(column * side + int(i)):
                    if y in rows and x in columns:
                        parent.present[y - top, x - left] = True

    def _tiles_of(self, index: int, column: int, row: int) -> tuple[range, range]:
        """Columns and rows of the tiles of a block that exist: edge blocks reach beyond the matrix."""
        side, matrix = self.plan.block, self.plan.levels[index].matrix
        left, top = column * side, row * side
        return (
            range(left, min(left + side, matrix.matrix_width)),
            range(top, min(top + side, matrix.matrix_height)),
        )

    def _mark_data(
        self, index: int, column: int, row: int, states: NDArray[np.uint8], present: NDArray[np.bool_]
    ) -> None:
        """Tiles that hold data are stored."""
        columns, rows = self._tiles_of(index, column, row)
        present[: len(rows), : len(columns)] |= states[: len(rows), : len(columns)] != _EMPTY

    def _write_slab(self, slab: FinishedSlab) -> None:
        options, plan = self.plan.options, self.plan
        height, width = self._tile
        pixel = plan.pixel if slab.kind is SlabKind.DATA else MASK_PIXELS
        chunks = slab_chunks(pixel, width, height, options.width, options.height, slab.tiles)
        key = slab_key(f"{slab.kind.value}/{slab.level}", slab.column, slab.row, options.path_depth)
        self._staging.put(key, chunks)
        size = sum(len(chunk) for chunk in chunks)
        position = self._position[slab.level]
        with self._lock:
            self._slabs.append(WrittenSlab(position, slab.kind.value, slab.row, slab.column, key, size))
        self._counter.slab(size)
