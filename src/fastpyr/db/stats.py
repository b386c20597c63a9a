"""Statistics, colour maps and value attribute tables of stored rasters: counted in one pass over the blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, DatabaseError
from ..ordered import in_order
from .aux_objects import AuxType, Presence
from .block_io import StoredBlock, read_blocks, write_aux
from .colormap import ColorMap
from .registry import lock_entry
from .schema import vat_name, vat_table
from .state import RasterState, load_presence, load_state
from .statistics import BandStatistics, Statistics
from .window import decode_block

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .dataset import RasterDataset

__all__ = ["build_statistics", "build_vat", "count_statistics", "level_blocks", "read_vat", "set_colormap"]

_RUN = 64
_MAX_VALUES = 1 << 20


def level_blocks(
    connection: Connection, state: RasterState, number: int, presence: Presence, level: int
) -> Iterator[list[StoredBlock]]:
    """The stored blocks of one level of a band in runs along rows."""
    by_row: dict[int, list[int]] = {}
    for row, col in presence.blocks(level):
        by_row.setdefault(row, []).append(col)
    band = state.band_ids[number]
    for row in sorted(by_row):
        cols = sorted(by_row[row])
        for start in range(0, len(cols), _RUN):
            run = cols[start : start + _RUN]
            for part in _pieces(run):
                yield list(read_blocks(connection, state.tables, [band], level, range(row, row + 1), part))


def _pieces(cols: Sequence[int]) -> Iterator[range]:
    """Ascending numbers as ranges without gaps."""
    first = last = cols[0]
    for col in cols[1:]:
        if col != last + 1:
            yield range(first, last + 1)
            first = col
        last = col
    yield range(first, last + 1)


def _inside(state: RasterState, level: int, block: StoredBlock) -> tuple[slice, slice]:
    """The part of a block that is in the raster, not padding."""
    grid = state.grid.level(level)
    own, whole = grid.block_window(block.row, block.col), grid.window
    return (
        slice(max(0, whole.top - own.top), max(0, min(own.bottom, whole.bottom) - own.top)),
        slice(max(0, whole.left - own.left), max(0, min(own.right, whole.right) - own.left)),
    )


def count_statistics(
    connection: Connection,
    state: RasterState,
    number: int,
    presence: Presence,
    pool: Executor,
    level: int = 0,
    **options: Any,
) -> BandStatistics:
    """Statistics of a band's valid pixels, exact for level 0. ``options``: function, bins, limits, edges."""

    def work(blocks: list[StoredBlock]) -> tuple[BandStatistics, int]:
        counted, pixels = BandStatistics(state.pixel_type, **options), 0
        for block in blocks:
            values, mask = decode_block(state, block)
            part = _inside(state, level, block)
            inside = np.ascontiguousarray(values[part])
            counted.update(inside, None if mask is None else np.ascontiguousarray(mask[part]))
            pixels += inside.size
        return counted, pixels

    total = BandStatistics(state.pixel_type, **options)
    seen = 0
    for counted, pixels in in_order(pool, work, level_blocks(connection, state, number, presence, level), 8):
        total.merge(counted)
        seen += pixels
    window = state.grid.level(level).window
    _count_absent(total, (window.right - window.left) * (window.bottom - window.top) - seen)
    return total


def _count_absent(total: BandStatistics, pixels: int) -> None:
    """Pixels of blocks that are not stored are nodata."""
    total.nodata_count += pixels


def build_statistics(dataset: RasterDataset, *, level: int = 0, **options: Any) -> list[Statistics]:
    """Count statistics of every band and store them. ``level`` above 0: approximate, of a pyramid level, not stored."""
    from .engine import write

    made = []
    with write(dataset.database.engine) as connection:
        lock_entry(connection, dataset.state.entry)
        state = load_state(connection, dataset.state.entry, dataset.state.row)
        if level not in state.levels:
            raise DatabaseError(f"{dataset.name} has no level {level}: its levels are {state.levels}")
        presences = load_presence(connection, state)
        for number, band in enumerate(state.band_ids):
            pool = dataset.database.pool
            counted = count_statistics(connection, state, number, presences[number], pool, level, **options)
            blob = counted.to_blob()
            if level == 0:
                write_aux(connection, state.tables, band, AuxType.STATISTICS, blob)
            made.append(BandStatistics.from_blob(blob, state.pixel_type))
    return made


def set_colormap(dataset: RasterDataset, colormap: ColorMap | None) -> None:
    """Give a raster of one 8 or 16-bit band a colour map, or take it away (None)."""
    from .engine import write

    state = dataset.state
    if colormap is not None:
        if len(state.bands) != 1 or state.pixel_type.name not in ("U1", "U2", "U4", "U8", "U16"):
            raise ConfigError(f"{dataset.name}: a colour map needs a single band of up to 16 bits unsigned")
        if state.compression.name in ("JPEG", "JP2"):
            raise ConfigError(f"{dataset.name}: {state.compression.name} does not keep the indices of a colour map")
        if state.settings.levels and state.settings.method != "nearest":
            raise ConfigError(f"{dataset.name}: its pyramid mixes pixels: build it with --interpolation nearest first")
    with write(dataset.database.engine) as connection:
        lock_entry(connection, state.entry)
        blob = None if colormap is None else colormap.to_blob()
        write_aux(connection, state.tables, state.band_ids[0], AuxType.COLORMAP, blob)


def build_vat(dataset: RasterDataset, columns: Mapping[str, Mapping[int, Any]] | None = None) -> list[tuple[int, int]]:
    """Count the values of a single-band integer raster into its value attribute table; (value, count) by value.

    ``columns``: more columns, each a mapping of values to integers, floats or texts. An older table is replaced.
    """
    from .engine import write

    state = dataset.state
    if len(state.bands) != 1 or state.pixel_type.dtype.kind == "f":
        raise ConfigError(f"{dataset.name}: a value attribute table needs a single band of integers")
    extra = [(name, _kind(name, values)) for name, values in (columns or {}).items()]
    with write(dataset.database.engine) as connection:
        lock_entry(connection, state.entry)
        fresh = load_state(connection, state.entry, state.row)
        counts = _values(connection, fresh, load_presence(connection, fresh)[0], dataset.database.pool)
        object_id = state.row.objectid if state.entry.is_catalog else None
        table = vat_table(vat_name(state.entry.rastercolumn_id, object_id), extra)
        table.drop(connection, checkfirst=True)
        table.create(connection)
        rows = [
            {"objectid": number + 1, "value": value, "count": count}
            | {name: values.get(value) for name, values in (columns or {}).items()}
            for number, (value, count) in enumerate(counts)
        ]
        if rows:
            connection.execute(table.insert(), rows)
    return counts


def read_vat(dataset: RasterDataset) -> list[dict[str, Any]]:
    """Rows of the value attribute table by value; empty where there is none."""
    import sqlalchemy as sa

    from .engine import read

    state = dataset.state
    name = vat_name(state.entry.rastercolumn_id, state.row.objectid if state.entry.is_catalog else None)
    with read(dataset.database.engine) as connection:
        if not sa.inspect(connection).has_table(name):
            return []
        table = sa.Table(name, sa.MetaData(), autoload_with=connection)
        return [dict(row._mapping) for row in connection.execute(sa.select(table).order_by(table.c.value))]


def _kind(name: str, values: Mapping[int, Any]) -> str:
    """Column type that holds all values of a column."""
    from .names import check_identifier

    if check_identifier(name, "column").lower() in ("objectid", "value", "count"):
        raise ConfigError(f"column {name!r}: the table has it already")
    tests: list[tuple[str, Callable[[Any], bool]]] = [
        ("integer", lambda value: isinstance(value, int)),
        ("double", lambda value: isinstance(value, int | float)),
    ]
    given = [value for value in values.values() if value is not None]
    return next((kind for kind, fits in tests if all(map(fits, given))), "text")


def _values(connection: Connection, state: RasterState, presence: Presence, pool: Executor) -> list[tuple[int, int]]:
    def work(blocks: list[StoredBlock]) -> dict[int, int]:
        found: dict[int, int] = {}
        for block in blocks:
            values, mask = decode_block(state, block)
            part = _inside(state, 0, block)
            valid = values[part].ravel() if mask is None else values[part][mask[part] != 0]
            for value, count in zip(*(each.tolist() for each in np.unique(valid, return_counts=True)), strict=True):
                found[value] = found.get(value, 0) + count
        return found

    total: dict[int, int] = {}
    for found in in_order(pool, work, level_blocks(connection, state, 0, presence, 0), 8):
        for value, count in found.items():
            total[value] = total.get(value, 0) + count
        if len(total) > _MAX_VALUES:
            raise DatabaseError(f"{state.entry.full_name} has more than {_MAX_VALUES} values: too many for a table")
    return sorted(total.items())
