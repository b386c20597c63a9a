"""Checking a stored raster in full: rows, relations, blocks, pyramid, statistics, extents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FastpyrError
from ..ordered import in_order
from .aux_objects import AuxType, Presence
from .block_io import read_aux
from .engine import read as reading
from .pyramid import parents_of
from .state import RasterState, load_presence, load_state
from .statistics import BandStatistics
from .stats import count_statistics, level_blocks
from .window import decode_block

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .dataset import RasterDataset

__all__ = ["CheckReport", "check_raster"]

_MOST = 1000
"""Findings kept."""


@dataclass
class CheckReport:
    """What a check looked at, and what is wrong: one line each."""

    name: str
    blocks: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    def add(self, line: str) -> None:
        if len(self.findings) < _MOST:
            self.findings.append(line)


def check_raster(dataset: RasterDataset) -> CheckReport:
    """Look at every row of a raster and decode every block; nothing is changed. All of one state of the database."""
    report = CheckReport(dataset.name)
    with reading(dataset.database.engine) as connection:
        try:
            state = load_state(connection, dataset.state.entry, dataset.state.row)
            presences = load_presence(connection, state)
        except FastpyrError as error:
            report.add(str(error))
            return report
        _check_orphans(connection, state, report)
        _check_extent(connection, state, report)
        for number in range(len(state.bands)):
            _check_presence(connection, state, number, presences[number], report)
            _check_parents(state, number, presences[number], report)
            for level in state.levels:
                _check_blocks(connection, dataset, state, number, presences[number], level, report)
            if report.ok:
                _check_statistics(connection, dataset, state, number, presences[number], report)
    return report


def _check_orphans(connection: Connection, state: RasterState, report: CheckReport) -> None:
    """Rows that refer to nothing, in every table of the dataset."""
    import sqlalchemy as sa

    tables = state.tables
    pairs: list[tuple[Any, Any, str]] = []
    if tables.bnd is not None and tables.ras is not None and tables.feature is not None and tables.index is not None:
        pairs += [
            (tables.bnd.c.raster_id, tables.ras.c.raster_id, "bands without a raster"),
            (tables.business.c.raster, tables.ras.c.raster_id, "rows without a raster"),
            (tables.business.c.footprint, tables.feature.c.fid, "rows without a footprint"),
            (tables.index.c.sp_fid, tables.feature.c.fid, "index entries without a footprint"),
        ]
        for table in (tables.blk, tables.aux):
            pairs.append((table.c.rasterband_id, tables.bnd.c.rasterband_id, f"rows of {table.name} without a band"))
    for column, key, what in pairs:
        missing = sa.select(sa.func.count()).select_from(column.table).where(column.not_in(sa.select(key)))
        count = connection.execute(missing).scalar_one()
        if count:
            report.add(f"{count} {what}")
    if tables.bnd is None:
        for table in (tables.blk, tables.aux):
            strange = sa.select(sa.func.count()).where(table.c.rasterband_id.not_in(list(state.band_ids)))
            if connection.execute(strange).scalar_one():
                report.add(f"rows of {table.name} without a band")


def _check_extent(connection: Connection, state: RasterState, report: CheckReport) -> None:
    """Extent against size and origin, and the footprint against both."""
    import sqlalchemy as sa

    grid = state.grid
    for band in state.bands:
        stored = (band.eminx, band.eminy, band.emaxx, band.emaxy)
        cells = (grid.cell_x, grid.cell_y) * 2
        if any(abs(a - b) > 0.01 * cell for a, b, cell in zip(stored, grid.centres, cells, strict=True)):
            report.add(f"band {band.sequence_nbr}: extent {stored} does not fit its size and origin")
        origin = state.affine.apply(0.5, 0.5)
        if max(abs(origin[0] - band.block_origin_x) / cells[0], abs(origin[1] - band.block_origin_y) / cells[1]) > 0.01:
            report.add(f"band {band.sequence_nbr}: block origin and transformation differ")
    feature = state.tables.feature
    if feature is None:
        return
    row = connection.execute(sa.select(feature).where(feature.c.fid == state.row.fid)).first()
    box = state.transform.bounds(grid.width, grid.height)
    if row is None:
        report.add("the raster has no footprint")
    elif not np.allclose((row.eminx, row.eminy, row.emaxx, row.emaxy), box, rtol=0, atol=0.01 * grid.cell_x):
        report.add(f"the footprint is not the raster's extent {box}")


def _check_presence(
    connection: Connection, state: RasterState, number: int, presence: Presence, report: CheckReport
) -> None:
    """The presence bitmap against the rows there are."""
    import sqlalchemy as sa

    c = state.tables.blk.c
    asked = sa.select(c.rrd_factor, c.row_nbr, c.col_nbr).where(c.rasterband_id == state.band_ids[number])
    stored: dict[int, set[tuple[int, int]]] = {}
    for level, row, col in connection.execute(asked.execution_options(yield_per=10_000)):
        stored.setdefault(level, set()).add((row, col))
    name = f"band {number + 1}"
    for level in sorted(set(stored) | set(state.levels)):
        rows = stored.get(level, set())
        if level not in state.levels:
            report.add(f"{name}: {len(rows)} blocks of level {level}, which the raster has not")
            continue
        known = set(presence.blocks(level))
        for row, col in sorted(known - rows)[:3]:
            report.add(f"{name}, level {level}: block row {row}, column {col} is missing")
        for row, col in sorted(rows - known)[:3]:
            report.add(f"{name}, level {level}: block row {row}, column {col} is not in the presence bitmap")
        inside = state.grid.level(level)
        block_rows, block_cols = inside.blocks_of(inside.window)
        for row, col in sorted(rows):
            if row not in block_rows or col not in block_cols:
                report.add(f"{name}, level {level}: block row {row}, column {col} is outside of the raster")
                break


def _check_parents(state: RasterState, number: int, presence: Presence, report: CheckReport) -> None:
    """Every block of a level must have its parent, and no parent may be without a child."""
    below = 0
    for level in state.settings.levels:
        children, steps = list(presence.blocks(below)), level - below
        parents = parents_of(children, steps, "nearest")
        possible = parents_of(children, steps, state.settings.method)
        found = set(presence.blocks(level))
        name = f"band {number + 1}, level {level}"
        for row, col in sorted(parents - found)[:3]:
            # nearest pixels may miss the few valid ones of a block
            if state.settings.method != "nearest":
                report.add(f"{name}: block row {row}, column {col} is missing over blocks of level {below}")
        for row, col in sorted(found - possible)[:3]:
            report.add(f"{name}: block row {row}, column {col} has nothing below it")
        below = level


def _check_blocks(
    connection: Connection,
    dataset: RasterDataset,
    state: RasterState,
    number: int,
    presence: Presence,
    level: int,
    report: CheckReport,
) -> None:
    """Decode all blocks of a level."""

    def work(blocks: list[Any]) -> list[str]:
        wrong = []
        for block in blocks:
            try:
                _, mask = decode_block(state, block)
            except FastpyrError as error:
                wrong.append(str(error))
                continue
            if mask is not None and not mask.any():
                wrong.append(f"band {number + 1}, level {level}: block row {block.row}, column {block.col} has no data")
        report.blocks += len(blocks)
        return wrong

    for lines in in_order(dataset.database.pool, work, level_blocks(connection, state, number, presence, level), 8):
        for line in lines:
            report.add(line)


def _check_statistics(
    connection: Connection,
    dataset: RasterDataset,
    state: RasterState,
    number: int,
    presence: Presence,
    report: CheckReport,
) -> None:
    """Recount the statistics, where there are any."""
    band = state.band_ids[number]
    blob = read_aux(connection, state.tables, [band], [AuxType.STATISTICS]).get((band, int(AuxType.STATISTICS)))
    if blob is None:
        return
    try:
        stored = BandStatistics.from_blob(blob, state.pixel_type)
    except FastpyrError as error:
        report.add(f"band {number + 1}: {error}")
        return
    counted = count_statistics(connection, state, number, presence, dataset.database.pool)
    if stored.count != counted.count:
        report.add(f"band {number + 1}: statistics of {stored.count} pixels, the raster has {counted.count}")
        return
    if not counted.count:
        return
    for what in ("minimum", "maximum", "mean", "std"):
        a, b = getattr(stored, what), getattr(counted, what)
        if abs(a - b) > 1e-9 * max(abs(a), abs(b), 1e-300):
            report.add(f"band {number + 1}: {what} {a!r} is stored, {b!r} counted")
