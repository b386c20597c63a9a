"""Block pyramids: a block of a level from four (or sixteen) below it, all of them or only those over changed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ConfigError
from ..ordered import in_order
from .aux_objects import Presence
from .block_io import BlockWriter, StoredBlock, delete_level, read_blocks
from .blocks import Block
from .pyramid_kernels import Method, parent_block, skipped
from .registry import lock_entry
from .state import RasterState, load_presence, load_state, save_presence, save_state
from .window import decode_block

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .dataset import RasterDataset

__all__ = ["Rebuilt", "build_pyramid", "check_method", "parents_of", "planned_levels", "rebuild", "rebuild_above"]

_RUN = 16
"""Parents in a row that one task makes."""

Key = tuple[int, int]


class Rebuilt(NamedTuple):
    """Blocks of the pyramid that were looked at again (written or removed)."""

    blocks: int


@dataclass(frozen=True, slots=True)
class _Task:
    """A run of parents of one band and what is stored below them."""

    band: int
    parents: tuple[Key, ...]
    children: tuple[StoredBlock, ...]


def check_method(method: str, *, has_colormap: bool) -> str:
    """The method's name in small letters. ConfigError for an unknown one, or one that mixes indices of colours."""
    lower = str(Method.of(method).value)
    if has_colormap and lower != "nearest":
        raise ConfigError(
            "a raster with a colour map can only have a pyramid of nearest pixels: --interpolation nearest"
        )
    return lower


def planned_levels(state: RasterState, pyramid: str, skip_level1: bool) -> tuple[int, ...]:
    """The levels above the base for what was asked: ``auto``, ``esri`` or a number. Raises ConfigError."""
    top = int(pyramid) if pyramid.lstrip("-").isdigit() and len(pyramid) < 4 else pyramid
    return state.grid.levels(top, skip_level1)[1:]


def build_pyramid(
    dataset: RasterDataset,
    levels: str | int = "auto",
    *,
    skip_level1: bool = False,
    method: str = "bilinear",
    quality: int | None = None,
) -> tuple[int, ...]:
    """Replace the pyramid of a raster in one transaction; the levels stored now. 0 levels remove it.

    ``quality``: of jpeg and jp2, 1 to 100, also of blocks that mosaics will write; None keeps the stored one. Raises
    ConfigError for arguments that cannot be.
    """
    from .database import refresh_definition
    from .engine import write

    with write(dataset.database.engine) as connection:
        lock_entry(connection, dataset.state.entry)
        state = load_state(connection, dataset.state.entry, dataset.state.row)
        chosen = check_method(method, has_colormap=dataset.colormap is not None)
        asked = str(levels)
        settings = replace(state.settings, pyramid=asked, skip_level1=skip_level1, method=chosen)
        if quality is not None:
            if not state.compression.is_lossy:
                raise ConfigError(f"{state.entry.full_name}: quality is of jpeg and jp2, its blocks are lossless")
            if not 1 <= quality <= 100:
                raise ConfigError(f"quality {quality}: expected 1 to 100")
            settings = replace(settings, quality=quality)
        presences = load_presence(connection, state)
        drop_levels(connection, state, presences, state.settings.levels)
        state = replace(state, settings=replace(settings, levels=planned_levels(state, asked, skip_level1)))
        rebuild(connection, state, presences, dataset.database.pool, dirty=None)
        save_state(connection, state)
        save_presence(connection, state, presences)
        refresh_definition(connection, state)
    dataset.state = state
    return state.settings.levels


def drop_levels(
    connection: Connection, state: RasterState, presences: Sequence[Presence], levels: Iterable[int]
) -> None:
    """Remove whole levels."""
    gone = list(levels)
    if not gone:
        return
    for band, presence in zip(state.band_ids, presences, strict=True):
        delete_level(connection, state.tables, band, gone)
        for level in gone:
            presence.drop_level(level)


def rebuild(
    connection: Connection,
    state: RasterState,
    presences: Sequence[Presence],
    pool: Executor,
    dirty: Sequence[set[Key]] | None,
) -> Rebuilt:
    """Make the levels of ``state.settings`` anew: all blocks, or those over the dirty blocks of the base.

    ``dirty``: per band (row, col) of level 0 blocks that were written or removed. Presence is kept up to date.
    """
    if dirty is None:
        return rebuild_above(connection, state, presences, pool, 0, state.settings.levels)
    return _rebuild(connection, state, presences, pool, [set(one) for one in dirty], 0, state.settings.levels, False)


def rebuild_above(
    connection: Connection,
    state: RasterState,
    presences: Sequence[Presence],
    pool: Executor,
    below: int,
    levels: Sequence[int],
) -> Rebuilt:
    """Make levels of which no block is stored, from all blocks of the level ``below`` them."""
    changed = [set(presence.blocks(below)) for presence in presences]
    return _rebuild(connection, state, presences, pool, changed, below, levels, True)


def _rebuild(
    connection: Connection,
    state: RasterState,
    presences: Sequence[Presence],
    pool: Executor,
    changed: list[set[Key]],
    below: int,
    levels: Sequence[int],
    whole: bool,
) -> Rebuilt:
    touched = 0
    for level in levels:
        writer = BlockWriter(connection, state.tables, replace=not whole)
        for number, band in enumerate(state.band_ids):
            parents = parents_of(changed[number], level - below, state.settings.method)
            _level(connection, state, presences[number], pool, writer, band, level, below, parents)
            changed[number] = parents
        writer.flush()
        touched += writer.touched if not whole else writer.written
        below = level
    return Rebuilt(touched)


def parents_of(children: Iterable[Key], steps: int, method: str) -> set[Key]:
    """Blocks ``steps`` levels up that may show pixels of ``children``: bicubic reads one pixel further."""
    found = set(children)
    for _ in range(steps):
        near = found
        if method == "bicubic":
            near = {(row + y, col + x) for row, col in found for y in (-1, 0, 1) for x in (-1, 0, 1)}
        found = {(row >> 1, col >> 1) for row, col in near}
    return found


def _level(
    connection: Connection,
    state: RasterState,
    presence: Presence,
    pool: Executor,
    writer: BlockWriter,
    band: int,
    level: int,
    below: int,
    parents: set[Key],
) -> None:
    """Write the given blocks of one level of one band."""
    rows, cols = state.grid.level(level).blocks_of(state.grid.level(level).window)
    inside = sorted(key for key in parents if key[0] in rows and key[1] in cols)
    work = _maker(state, level - below)
    tasks = _tasks(connection, state, band, below, level - below, inside)
    for made in in_order(pool, work, tasks, 8):
        for (row, col), data in made:
            writer.put(band, level, row, col, data)
            if data is None:
                presence.discard(level, row, col)
            else:
                presence.add(level, row, col)


def _tasks(
    connection: Connection, state: RasterState, band: int, below: int, steps: int, parents: Sequence[Key]
) -> Iterator[_Task]:
    """Runs of neighbouring parents with the blocks below them, read in the connection's own thread."""
    margin = (1 << steps) - 1 if state.settings.method == "bicubic" else 0
    for run in _runs(parents):
        row, first, last = run[0][0], run[0][1], run[-1][1]
        rows = range((row << steps) - margin, ((row + 1) << steps) + margin)
        cols = range((first << steps) - margin, ((last + 1) << steps) + margin)
        children = tuple(read_blocks(connection, state.tables, [band], below, rows, cols))
        yield _Task(band, tuple(run), children)


def _runs(parents: Sequence[Key]) -> Iterator[list[Key]]:
    run: list[Key] = []
    for key in parents:
        if run and (key != (run[-1][0], run[-1][1] + 1) or len(run) == _RUN):
            yield run
            run = []
        run.append(key)
    if run:
        yield run


def _maker(state: RasterState, steps: int) -> Callable[[_Task], list[tuple[Key, bytes | None]]]:
    """What a task does: decode, reduce ``steps`` times, encode."""
    method = Method(state.settings.method)
    shape, kind = state.block_shape, state.pixel_type

    def make(task: _Task) -> list[tuple[Key, bytes | None]]:
        stored = {(child.row, child.col): child for child in task.children}
        decoded: dict[Key, Block] = {}

        def base(row: int, col: int) -> Block | None:
            key = (row, col)
            if key not in stored:
                return None
            if key not in decoded:
                decoded[key] = decode_block(state, stored[key])
            return decoded[key]

        fetch = base if steps == 1 else skipped(base, shape, kind, method)
        results: list[tuple[Key, bytes | None]] = []
        for row, col in task.parents:
            made = parent_block(fetch, row, col, shape, kind, method)
            results.append(((row, col), None if made is None else state.codec.encode(*made)))
        return results

    return make
