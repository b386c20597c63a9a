"""Mosaicking: rasters merged onto a stored one, or taken out of it; only touched blocks and their ancestors change."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import ConfigError, DatabaseError
from ..ordered import in_order
from .aux_objects import AuxType, Presence
from .block_io import BlockWriter, StoredBlock, read_aux, read_blocks, write_aux
from .blocks import Window
from .features import set_feature, update_layer
from .inputs import InputInfo, RasterInput, as_input
from .pyramid import drop_levels, planned_levels, rebuild, rebuild_above
from .registry import lock_entry
from .state import RasterState, load_presence, load_state, save_presence, save_state
from .stats import count_statistics
from .window import decode_block

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .dataset import RasterDataset

__all__ = ["MosaicResult", "mosaic"]

_CHUNK = 1024
_WHOLE_PIXEL = 0.01
"""Pixels by which an offset may miss a whole number, anywhere in the raster."""


class MosaicResult(NamedTuple):
    """Blocks of level 0 that were looked at again, and of the pyramid above them; all bands together."""

    base_blocks: int
    pyramid_blocks: int


@dataclass(frozen=True, slots=True)
class _Task:
    """Blocks of one band that the input touches, what is stored of them, and the window of the input there."""

    rows: range
    cols: range
    window: Window
    stored: tuple[StoredBlock, ...]


def mosaic(dataset: RasterDataset, sources: Any, mode: str = "merge", *, srs: str | None = None) -> MosaicResult:
    """Put inputs over a stored raster (``merge``: their valid pixels replace) or clear theirs (``delete``).

    The raster grows to hold what is merged, in any direction; its block origin stays. Statistics are exact
    afterwards, a colour map is dropped. All in one transaction: readers see the old raster until it ends.

    Raises ConfigError or DatabaseError when cell size, registration, bands, pixel type or CRS differ.
    """
    from .database import refresh_definition
    from .engine import write

    if mode not in ("merge", "delete"):
        raise ConfigError(f"mosaic mode {mode[:40]!r}: expected merge or delete")
    single = isinstance(sources, (str, os.PathLike)) or hasattr(sources, "info")
    inputs = [as_input(each, srs) for each in ([sources] if single else list(sources))]
    if not inputs:
        raise ConfigError("no sources: give raster files")
    with write(dataset.database.engine) as connection:
        lock_entry(connection, dataset.state.entry)
        state = load_state(connection, dataset.state.entry, dataset.state.row)
        presences = load_presence(connection, state)
        before, old_levels = state, state.settings.levels
        dirty: list[set[tuple[int, int]]] = [set() for _ in state.bands]
        for each in inputs:
            placed = _place(state, each.info)
            if mode == "merge":
                state = state.on_grid(state.grid.grown(placed))
            _paint(connection, state, presences, dirty, each, placed, mode, dataset.database.pool)
        state = state if state is not before else state.on_grid(state.grid)
        rebuilt = _renew_pyramid(connection, state, presences, dirty, dataset.database.pool, old_levels)
        state = rebuilt[0]
        _renew_objects(connection, state, presences, dataset.database.pool)
        entry = state.entry
        if state.row.fid is not None:
            box = state.transform.bounds(state.grid.width, state.grid.height)
            entry = set_feature(connection, entry, state.row.fid, box)
            update_layer(connection, entry)
        state = replace(state, entry=entry)
        save_state(connection, state)
        save_presence(connection, state, presences)
        refresh_definition(connection, state)
    dataset.state = state
    return MosaicResult(sum(map(len, dirty)), rebuilt[1])


def _place(state: RasterState, info: InputInfo) -> Window:
    """Where an input lies in the grid of level 0. Raises DatabaseError when it does not fit there."""
    name = state.entry.full_name
    if info.bands != len(state.bands) or info.pixel_type is not state.pixel_type:
        kinds = f"{info.bands} band(s) of {info.pixel_type.name}, {len(state.bands)} of {state.pixel_type.name}"
        raise DatabaseError(f"{info.name} cannot go onto {name}: {kinds}")
    if info.wkt and state.wkt:
        from ..grid.crs import same_crs

        if not same_crs(info.wkt, state.wkt):
            raise DatabaseError(f"{info.name}: its CRS is not that of {name}: reproject it first (gdalwarp -t_srs)")
    own, other = state.affine, info.transform
    sizes = ((own.a, other.a, info.width), (-own.e, -other.e, info.height))
    for cell, given, count in sizes:
        if abs(given - cell) * count > _WHOLE_PIXEL * cell:
            raise DatabaseError(f"{info.name}: pixels of {given:.12g} differ from those of {name}, {cell:.12g}")
    x, y = (other.c - own.c) / own.a, (own.f - other.f) / -own.e
    if not (abs(x) < 2**31 and abs(y) < 2**31):
        raise DatabaseError(f"{info.name}: is too far from {name}")
    left, top = round(x), round(y)
    if max(abs(x - left), abs(y - top)) > _WHOLE_PIXEL:
        raise DatabaseError(
            f"{info.name}: lies {x - left:+.3f}, {y - top:+.3f} pixels off the grid of {name}: resample it first"
        )
    return Window(left, top, left + info.width, top + info.height)


def _paint(
    connection: Connection,
    state: RasterState,
    presences: Sequence[Presence],
    dirty: list[set[tuple[int, int]]],
    source: RasterInput,
    placed: Window,
    mode: str,
    pool: Executor,
) -> None:
    """Rewrite the blocks of level 0 that an input touches."""
    writer = BlockWriter(connection, state.tables, replace=True)

    def work(task: _Task) -> list[tuple[int, int, int, bytes | None]]:
        window = task.window
        pixels, mask = source.read(
            window.left - placed.left, window.top - placed.top, window.right - placed.left, window.bottom - placed.top
        )
        made: list[tuple[int, int, int, bytes | None]] = []
        stored = {(block.band, block.row, block.col): block for block in task.stored}
        for number, band in enumerate(state.band_ids):
            own = mask if mask is None or mask.ndim == 2 else mask[number]
            for row in task.rows:
                for col in task.cols:
                    changed = _change(
                        state, stored.get((band, row, col)), (row, col), window, pixels[number], own, mode
                    )
                    if changed is not None:
                        made.append((number, row, col, changed[0]))
        return made

    for made in in_order(pool, work, _tasks(connection, state, placed), 4):
        for number, row, col, data in made:
            writer.put(state.band_ids[number], 0, row, col, data)
            dirty[number].add((row, col))
            if data is None:
                presences[number].discard(0, row, col)
            else:
                presences[number].add(0, row, col)
    writer.flush()


def _tasks(connection: Connection, state: RasterState, placed: Window) -> Iterator[_Task]:
    """Rectangles of blocks under the input with what is stored, read in the connection's own thread."""
    grid = state.grid
    rows, cols = grid.blocks_of(placed)
    high, wide = max(1, _CHUNK // grid.block_height), max(1, _CHUNK // grid.block_width)
    for row in range(rows.start, rows.stop, high):
        for col in range(cols.start, cols.stop, wide):
            some_rows, some_cols = range(row, min(row + high, rows.stop)), range(col, min(col + wide, cols.stop))
            window = Window(
                max(placed.left, col * grid.block_width),
                max(placed.top, row * grid.block_height),
                min(placed.right, some_cols.stop * grid.block_width),
                min(placed.bottom, some_rows.stop * grid.block_height),
            )
            stored = tuple(read_blocks(connection, state.tables, state.band_ids, 0, some_rows, some_cols))
            yield _Task(some_rows, some_cols, window, stored)


def _change(
    state: RasterState,
    stored: StoredBlock | None,
    place: tuple[int, int],
    window: Window,
    pixels: Any,
    mask: Any,
    mode: str,
) -> tuple[bytes | None] | None:
    """The new bytes of a block in a tuple ((None,): it is gone); None when nothing of it changes."""
    grid, shape = state.grid, state.block_shape
    left, top = place[1] * grid.block_width, place[0] * grid.block_height
    x0, y0 = max(left, window.left), max(top, window.top)
    x1, y1 = min(left + shape[1], window.right), min(top + shape[0], window.bottom)
    there = np.s_[y0 - window.top : y1 - window.top, x0 - window.left : x1 - window.left]
    here = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    valid = np.full((y1 - y0, x1 - x0), 255, np.uint8) if mask is None else mask[there]
    if not valid.any() or (mode == "delete" and stored is None):
        return None
    block, own = np.zeros(shape, state.pixel_type.dtype), np.zeros(shape, np.uint8)
    if stored is not None:
        values, known = decode_block(state, stored)
        block[...] = values
        own[...] = 255 if known is None else known
    if mode == "merge":
        np.copyto(block[here], pixels[there], where=valid != 0)
        own[here] |= valid
    else:
        own[here] &= ~valid
        block[own == 0] = 0
    return (state.codec.encode(block, own),)


def _renew_pyramid(
    connection: Connection,
    state: RasterState,
    presences: Sequence[Presence],
    dirty: Sequence[set[tuple[int, int]]],
    pool: Executor,
    old_levels: tuple[int, ...],
) -> tuple[RasterState, int]:
    """Rebuild the ancestors of dirty blocks; levels that a larger raster has more are made whole."""
    settings = state.settings
    levels = planned_levels(state, settings.pyramid, settings.skip_level1)
    state = replace(state, settings=replace(settings, levels=levels))
    drop_levels(connection, state, presences, set(old_levels) - set(levels))
    kept = tuple(level for level in levels if level in old_levels)
    part = replace(state, settings=replace(state.settings, levels=kept))
    count = rebuild(connection, part, presences, pool, dirty).blocks
    new = levels[len(kept) :]
    if new:
        count += rebuild_above(connection, state, presences, pool, kept[-1] if kept else 0, new).blocks
    return state, count


def _renew_objects(connection: Connection, state: RasterState, presences: Sequence[Presence], pool: Executor) -> None:
    """Count statistics again where there were any; drop the colour map, which another raster's pixels do not share."""
    had = read_aux(connection, state.tables, state.band_ids, [AuxType.STATISTICS, AuxType.COLORMAP])
    for number, band in enumerate(state.band_ids):
        if (band, int(AuxType.COLORMAP)) in had:
            write_aux(connection, state.tables, band, AuxType.COLORMAP, None)
        if (band, int(AuxType.STATISTICS)) in had:
            counted = count_statistics(connection, state, number, presences[number], pool)
            write_aux(connection, state.tables, band, AuxType.STATISTICS, counted.to_blob())
