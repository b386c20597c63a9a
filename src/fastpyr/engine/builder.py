"""One pass from sources to slabs.

A worker makes a block of a bottom level, encodes its tiles while they are hot in cache, and reduces it straight into
its parent. The worker that delivers a parent's last child finishes the parent in the same way, and so on upwards.
No pixel is read twice, and none is written anywhere but in slabs and, with a journal, in its scratch files.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..encode import MASK_PIXELS, TileEncoder, encoder, mask_encoder
from ..formats import SlabKind
from ..frozen import frozen
from ..grid import TileLimits
from ..kernels import decimate, fill_nodata, reduce2x2
from ..planning import AxisLinks, Link, Plan
from ..slab.writer import slab_chunks
from ..store import Staging
from .assembler import FinishedSlab, SlabAssembler
from .block import EMPTY, FULL, MIXED, Area, Block, BlockPool
from .journal import Journal
from .progress import Counter, ProgressCallback
from .records import Gift, TileRows, Tiles
from .render import Renderer
from .scratch import Scratch
from .written import SealedSlab, WrittenSlab

if TYPE_CHECKING:  # most builds have none
    from .base import Base
    from .stored import StoredLevels

__all__ = ["BuildResult", "Builder", "Task", "Worker"]

Task = tuple[int, int, int] | SealedSlab
"""A block to make from the sources (level index, column, row), or a slab of an earlier build to go on from."""


@frozen
class BuildResult:
    """What a build wrote: per level (finest first) the range of tiles, and all slabs in a fixed order."""

    limits: tuple[TileLimits | None, ...]
    slabs: tuple[WrittenSlab, ...]
    tiles: int
    pixels: int


@frozen
class Worker:
    """What one thread owns: scratch memory and encoders, which keep state and are not shared."""

    scratch: Scratch
    data: TileEncoder
    mask: TileEncoder


class Builder:
    """Runs the blocks of a plan against a staging area. Methods are called by any number of threads.

    With a journal, work can go on in another process, and what the journal restores is not made again. With a base,
    tiles without new pixels keep the bytes that they have there, and those with some get the others from there. Levels
    that are there already come from ``stored``.
    """

    def __init__(
        self,
        plan: Plan,
        staging: Staging,
        progress: ProgressCallback | None = None,
        journal: Journal | None = None,
        base: Base | None = None,
        stored: StoredLevels | None = None,
    ) -> None:
        self.plan = plan
        self._base = base
        self._stored = stored
        self._staging = staging
        self._journal = journal
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
        self._announce()
        first = self.worker()
        self._assemblers = [
            SlabAssembler(
                plan,
                level,
                first.data.nodata_tile if base is None else b"",
                first.mask.nodata_tile if base is None else b"",
                self._write_slab,
                None if journal is None else partial(_slab_done, journal, index),
            )
            for index, level in enumerate(plan.levels)
        ]
        self._full_mask_tile = first.mask.encode(np.full((*self._tile, 1), 255, np.uint8))
        self._by_mean = [level.derivation.method == "mean" for level in plan.levels]
        self._position = {level.id: index for index, level in enumerate(plan.levels)}
        self._source_of = {link.target: index for index, links in enumerate(self._links) for link in links}
        self._link_to = {link.target: link for links in self._links for link in links}
        self._waiting: dict[tuple[int, int, int], Block] = {}
        self._lock = Lock()
        self._slabs: list[WrittenSlab] = []
        self._counter = Counter({level.id: len(level.blocks) for level in plan.levels}, progress)
        if journal is not None:
            self._restore(journal)

    def _announce(self) -> None:
        """Tell mosaics of one level what will be read of them. Blocks of an earlier build are never done: their pixels
        stay until there is no room."""
        mosaics = [level.mosaic for level in self.plan.levels]
        height, width = (self.plan.block * length for length in self._tile)
        for level, renderer in zip(self.plan.levels, self._renderers, strict=True):
            if renderer is not None and mosaics.count(level.mosaic) == 1:
                renderer.expect(level.blocks, width, height)

    def worker(self) -> Worker:
        """Fresh state for one thread."""
        height, width = self._tile
        return Worker(Scratch(), encoder(self.plan.pixel, width, height), mask_encoder(width, height))

    def tasks(self) -> Iterator[Task]:
        """What ``run`` is to be called with, in the order of work."""
        journal = self._journal
        if journal is not None:
            yield from journal.unfed()
        for task in self.plan.source_blocks():
            if journal is None or not journal.is_restored(task):
                yield task

    def run(self, task: Task, worker: Worker) -> None:
        """Do one task: a block, or the blocks that an earlier build's slab completes, and every ancestor of them."""
        ready = self._feed(task) if isinstance(task, SealedSlab) else self._make(*task, worker)
        while ready:
            index, column, row, block = ready.pop()
            # Above stored levels no footprint of sources says beforehand where data may be.
            has_data = bool(block.present.any()) or (self._stored is not None and block.given is not None)
            ready += self._finish(index, column, row, block, worker, has_data)

    def _make(self, index: int, column: int, row: int, worker: Worker) -> list[tuple[int, int, int, Block]]:
        """Make one block from the sources, or read it. Returns the parents it completes."""
        pixels, mask = self._pool.take(), self._pool.take_mask()
        side, renderer = self.plan.block, self._renderers[index]
        if renderer is not None:
            x, y = column * side * self._tile[1], row * side * self._tile[0]
            state = renderer.render(x, y, pixels, mask, worker.scratch)
        else:
            assert self._stored is not None  # source_blocks() yields no other levels
            state = self._stored.read(self.plan.levels[index].id, column * side, row * side, pixels, mask)
        block = Block(pixels, np.zeros((side, side), np.bool_))
        if state == MIXED:
            block.mask = mask
        else:
            self._pool.give_mask(mask)
        if state == FULL:
            block.whole.append(block.all_of_it)
        return self._finish(index, column, row, block, worker, state != EMPTY)

    def result(self) -> BuildResult:
        """What was written. Call when every task is done."""
        limits = tuple(assembler.limits for assembler in self._assemblers)
        return BuildResult(limits, tuple(sorted(self._slabs)), self._counter.tiles, self._counter.pixels)

    def _finish(
        self, index: int, column: int, row: int, block: Block, worker: Worker, has_data: bool
    ) -> list[tuple[int, int, int, Block]]:
        """Encode a complete block, hand its tiles to their slab and its pixels to its parents.

        ``has_data``: it may hold pixels that are data, or tiles that are stored for what lies below them.
        Returns the parents that are complete now. The block's memory goes back to the pool.
        """
        data: TileRows | None = None
        masks: TileRows | None = None
        states = None
        if has_data:
            states = block.states(*self._tile, self._pool)
            if self._base is not None and block.mask is not None:
                side = self.plan.block
                level = self.plan.levels[index].id
                self._base.underlay(level, column * side, row * side, block.pixels, block.mask, states)
            if not self._by_mean[index]:
                self._mark_data(index, column, row, states, block.present)
            if not self.plan.levels[index].stored:
                self._fill_mixed(block, states)
                data, masks = self._encode(block, states, worker)
        ready = []
        for link in self._links[index]:
            ready += self._hand_up(link, column, row, block, states, worker)
        self._store_tiles(Tiles(index, column, row, block.present, data, masks), worker)
        self._pool.give(block)
        return ready

    def _store_tiles(self, tiles: Tiles, worker: Worker) -> None:
        """Hand the tiles of a finished block, all that it gives to other blocks being written down, to their slab."""
        journal, key = self._journal, (tiles.level, tiles.column, tiles.row)
        if journal is None:
            self._add_tiles(tiles)
            return
        home = journal.home(key)
        if home != journal.slab_of(key):
            journal.keep(home, tiles, worker.scratch)
        if not journal.is_stored(key):
            self._add_tiles(tiles)
        journal.block_done(home)

    def _add_tiles(self, tiles: Tiles) -> None:
        self._assemblers[tiles.level].add(tiles.column, tiles.row, tiles.present, tiles.data, tiles.masks)
        level, count = self.plan.levels[tiles.level].id, int(tiles.present.sum())
        self._counter.block(level, count, self._tile[0] * self._tile[1])

    def _fill_mixed(self, block: Block, states: NDArray[np.uint8]) -> None:
        """Nodata wherever the mask is 0 in tiles that will be encoded. Pixels of empty tiles are never looked at."""
        height, width = self._tile
        if block.mask is None:
            return
        for j, i in zip(*np.nonzero(states == MIXED), strict=True):
            tile = np.s_[j * height : (j + 1) * height, i * width : (i + 1) * width]
            fill_nodata(block.pixels[tile], block.mask[tile], self.plan.pixel.nodata)

    def _encode(self, block: Block, states: NDArray[np.uint8], worker: Worker) -> tuple[TileRows, TileRows | None]:
        data = worker.data.encode_block(block.pixels, (states != EMPTY) & block.present)
        if not self.plan.options.mask:
            return data, None
        side = self.plan.block
        masks: list[list[bytes | None]] = [[None] * side for _ in range(side)]
        if block.mask is not None:
            masks = worker.mask.encode_block(block.mask[:, :, None], (states == MIXED) & block.present)
        for j, i in np.argwhere((states == FULL) & block.present).tolist():
            masks[j][i] = self._full_mask_tile
        return data, masks

    def _hand_up(
        self, link: Link, column: int, row: int, block: Block, states: NDArray[np.uint8] | None, worker: Worker
    ) -> list[tuple[int, int, int, Block]]:
        """Reduce or decimate a block into every parent it reaches along one link."""
        ready: list[tuple[int, int, int, Block]] = []
        journal = self._journal
        home = None if journal is None else journal.home((self._source_of[link.target], column, row))
        cells = self.plan.levels[link.target].blocks
        for target_row in link.rows.targets(row):
            for target_column in link.columns.targets(column):
                key = (link.target, target_column, target_row)
                if (target_column, target_row) not in cells:
                    continue  # beyond the matrix
                if journal is not None and journal.is_restored(key):
                    continue
                parent = self._parent(key, link)
                if states is not None:
                    filled = self._fill(link, column, row, target_column, target_row, block, states, parent)
                    if journal is not None and home is not None and journal.home(key) != home:
                        journal.keep(home, _gift(key, parent, filled), worker.scratch)
                if self._given(key, parent, 1):
                    ready.append((*key, parent))
        return ready

    def _given(self, key: tuple[int, int, int], parent: Block, children: int) -> bool:
        """``children`` have given a waiting block what they had to give. True when it is complete."""
        with self._lock:
            parent.remaining -= children
            if parent.remaining:
                return False
            del self._waiting[key]
            return True

    def _parent(self, key: tuple[int, int, int], link: Link) -> Block:
        """The waiting block ``key``, created by its first child."""
        with self._lock:
            parent = self._waiting.get(key)
            if parent is None:
                source = self.plan.levels[self._source_of[link.target]]
                children = source.blocks.count(link.columns.sources(key[1]), link.rows.sources(key[2]))
                side = self.plan.block
                parent = Block(self._pool.take(), np.zeros((side, side), np.bool_), remaining=children)
                self._waiting[key] = parent
            return parent

    def _fill(
        self,
        link: Link,
        column: int,
        row: int,
        target_column: int,
        target_row: int,
        block: Block,
        states: NDArray[np.uint8],
        parent: Block,
    ) -> Area | None:
        """Write what one child gives to one parent: its own rectangle, so that children need no lock.

        Returns that rectangle, None when it gives no pixel.
        """
        self._mark_present(link, column, row, target_column, target_row, block, parent)
        source_x, x, width = link.columns.picks(column, target_column)
        source_y, y, height = link.rows.picks(row, target_row)
        if not width or not height or not states.any():
            return None
        filled = slice(y, y + height), slice(x, x + width)
        if not link.mean:
            full = bool((states == FULL).all())
            out_mask = parent.give(filled, self._lock, self._pool, full=full)
            mask, offset = None if full else block.mask, (source_x, source_y)
            decimate(block.pixels, link.columns.ratio, offset, parent.pixels[filled], mask=mask, out_mask=out_mask)
            return filled
        taken, full = self._data_area(states)
        rows, columns = (slice(part.start // 2, part.stop // 2) for part in taken)
        filled = slice(y + rows.start, y + rows.stop), slice(x + columns.start, x + columns.stop)
        reduce2x2(
            block.pixels[taken],
            parent.pixels[filled],
            mask=None if full or block.mask is None else block.mask[taken],
            out_mask=parent.give(filled, self._lock, self._pool, full=full),
            nodata=self.plan.pixel.nodata,
            gamma=self.plan.options.gamma,
        )
        return filled

    def _data_area(self, states: NDArray[np.uint8]) -> tuple[Area, bool]:
        """The rectangle of the tiles that are not empty, and whether all of its pixels are data."""
        height, width = self._tile
        if states.all() or height % 2 or width % 2:
            side = len(states)
            return (slice(0, side * height), slice(0, side * width)), bool((states == FULL).all())
        j, i = np.nonzero(states)
        top, bottom, left, right = int(j[0]), int(j[-1]) + 1, int(i.min()), int(i.max()) + 1
        area = slice(top * height, bottom * height), slice(left * width, right * width)
        return area, bool((states[top:bottom, left:right] == FULL).all())

    def _mark_present(
        self, link: Link, column: int, row: int, target_column: int, target_row: int, block: Block, parent: Block
    ) -> None:
        """A parent's tile is stored when a tile below it is, whatever the reduction left of its pixels."""
        side, level = self.plan.block, self.plan.levels[link.target]
        columns, rows = self._tiles_of(link.target, target_column, target_row)
        if not link.mean:
            # A picked pixel may lie anywhere in the area it stands for: keep to the footprint of the sources.
            columns = range(max(columns.start, level.limits.min_col), min(columns.stop, level.limits.max_col + 1))
            rows = range(max(rows.start, level.limits.min_row), min(rows.stop, level.limits.max_row + 1))
        down, across = (axis.tolist() for axis in block.present.nonzero())
        if not down:
            return
        box = down[0], down[-1], min(across), max(across)
        parts = [box]
        if len(down) != (box[1] - box[0] + 1) * (box[3] - box[2] + 1):  # not all tiles of a rectangle
            parts = [(y, y, x, x) for y, x in zip(down, across, strict=True)]
        for top, bottom, left, right in parts:
            hit_rows = _part(link.tile_rows, row * side + top, row * side + bottom, rows, target_row * side)
            hit_columns = _part(
                link.tile_columns, column * side + left, column * side + right, columns, target_column * side
            )
            parent.present[hit_rows, hit_columns] = True

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
        present[: len(rows), : len(columns)] |= states[: len(rows), : len(columns)] != EMPTY

    def _write_slab(self, slab: FinishedSlab) -> None:
        options, plan = self.plan.options, self.plan
        position = self._position[slab.level]
        if plan.levels[position].stored:
            return
        height, width = self._tile
        pixel = plan.pixel if slab.kind is SlabKind.DATA else MASK_PIXELS
        tiles = slab.tiles
        if self._base is not None:
            tiles = self._base.completed(slab.kind, slab.level, slab.column, slab.row, tiles)
        chunks = slab_chunks(pixel, width, height, options.width, options.height, tiles)
        key = self._staging.layout.slab(slab.kind, slab.level, slab.column, slab.row, options.path_depth)
        self._staging.put(key, chunks)
        size = sum(len(chunk) for chunk in chunks)
        written = WrittenSlab(position, slab.kind.value, slab.row, slab.column, key, size)
        if self._journal is not None:
            self._journal.wrote((position, slab.column, slab.row), written, chunks)
        with self._lock:
            self._slabs.append(written)
        self._counter.slab(size)

    def _restore(self, journal: Journal) -> None:
        """Count what an earlier build had finished."""
        for key, slab in journal.restored.items():
            self._assemblers[key[0]].restore(slab.limits)
            self._slabs += [written for written, _ in slab.files]
            sizes = [written.size for written, _ in slab.files]
            tile_pixels = self._tile[0] * self._tile[1]
            level = self.plan.levels[key[0]].id
            self._counter.resumed(level, journal.block_count(key), slab.tiles, tile_pixels, sizes)
        if journal.restored:
            self._counter.tell()

    def _feed(self, slab: SealedSlab) -> list[tuple[int, int, int, Block]]:
        """Give others what an earlier build kept of a slab. Returns the blocks that are complete now."""
        journal = self._journal
        assert journal is not None  # tasks() only yields slabs of a journal
        counts = journal.reached(slab.key)
        waiting = {key: self._parent(key, self._link_to[key[0]]) for key in counts}
        for record in journal.records(slab):
            if isinstance(record, Tiles):
                self._add_tiles(record)
                continue
            parent = waiting[record.level, record.column, record.row]
            parent.present |= record.present
            if record.pixels is not None:
                height, width = record.pixels.shape[:2]
                place = slice(record.y, record.y + height), slice(record.x, record.x + width)
                parent.pixels[place] = record.pixels
                plane = parent.give(place, self._lock, self._pool, full=record.mask is None)
                if plane is not None and record.mask is not None:
                    plane[...] = record.mask
        return [(*key, parent) for key, parent in waiting.items() if self._given(key, parent, counts[key])]


def _part(axis: AxisLinks, first: int, last: int, among: range, origin: int) -> slice:
    """The target tiles that source tiles reach, those that are ``among`` others, counted from tile ``origin``."""
    start, stop = axis.targets(first).start, axis.targets(last).stop
    low, high = among.start, among.stop
    return slice(max(low, min(start, high)) - origin, max(low, min(stop, high)) - origin)


def _gift(key: tuple[int, int, int], parent: Block, filled: Area | None) -> Gift:
    """What a waiting block has of the child that filled a part of it."""
    if filled is None:
        return Gift(*key, 0, 0, None, None, parent.present)
    rows, columns = filled
    mask = None if parent.mask is None else parent.mask[filled]  # None: all areas given so far are data
    return Gift(*key, columns.start, rows.start, parent.pixels[filled], mask, parent.present)


def _slab_done(journal: Journal, index: int, column: int, row: int, limits: TileLimits | None, tiles: int) -> None:
    journal.slab_done((index, column, row), limits, tiles)
