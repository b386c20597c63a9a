"""Copies of datasets and catalogs, block for block, within a geodatabase or into another one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .bands import insert_raster, load_bands, raster_rows
from .block_io import BlockWriter
from .engine import read as reading
from .engine import write as writing
from .features import add_features, update_layer
from .registry import Entry, add_entry, find, lock_entry
from .schema import RasterTables, vat_name
from .state import load_state

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .database import Geodatabase

__all__ = ["copy_entry"]

_ROWS = 256


def copy_entry(database: Geodatabase, name: str, new_name: str, target: Geodatabase) -> Entry:
    """Copy a dataset or catalog under a new name, in one transaction of the target; what the copy is called.

    Blocks, flags and auxiliary objects are copied as bytes, whatever they mean; numbers of rasters and bands stay.
    """
    with writing(target.engine) as connection:
        if target is database:
            return _copy(connection, connection, database, name, new_name, target)
        with reading(database.engine) as source:
            return _copy(source, connection, database, name, new_name, target)


def _copy(
    source: Connection, connection: Connection, database: Geodatabase, name: str, new_name: str, target: Geodatabase
) -> Entry:
    from .database import refresh_definition

    old = find(source, name, database.workspace)
    if source is connection:  # which sees what others commit meanwhile; ``reading`` does not
        lock_entry(connection, old)
    new = add_entry(
        connection,
        new_name,
        target.workspace,
        old.reference,
        is_catalog=old.is_catalog,
        storage=old.storage,
        grid_sizes=old.grid_sizes,
    )
    for row in raster_rows(source, old.tables):
        state = load_state(source, old, row)
        if row.fid is not None:
            grid = state.grid
            new = add_features(connection, new, [(row.fid, state.transform.bounds(grid.width, grid.height))])
        bands = load_bands(source, old.tables, row)
        insert_raster(connection, new.tables, row, bands)
        for band in state.band_ids:
            _copy_band(source, connection, old.tables, new.tables, band)
        _copy_vat(source, connection, old, new, row.objectid if old.is_catalog else None)
        refresh_definition(connection, replace(state, entry=new))
    update_layer(connection, new)
    return new


def _copy_band(source: Connection, connection: Connection, old: RasterTables, new: RasterTables, band: int) -> None:
    import sqlalchemy as sa

    rows = source.execute(sa.select(old.aux).where(old.aux.c.rasterband_id == band)).all()
    if rows:
        connection.execute(new.aux.insert(), [dict(row._mapping) for row in rows])
    writer = BlockWriter(connection, new, replace=False)
    c = old.blk.c
    asked = sa.select(c.rrd_factor, c.row_nbr, c.col_nbr, c.block_data).where(c.rasterband_id == band)
    order = (c.rrd_factor, c.row_nbr, c.col_nbr)
    for level, row, col, data in source.execute(asked.order_by(*order).execution_options(yield_per=_ROWS)):
        writer.put(band, level, row, col, bytes(data))
    writer.flush()


def _copy_vat(source: Connection, connection: Connection, old: Entry, new: Entry, object_id: int | None) -> None:
    """The value attribute table with the columns it has."""
    import sqlalchemy as sa

    name = vat_name(old.rastercolumn_id, object_id)
    if not sa.inspect(source).has_table(name):
        return
    table: Any = sa.Table(name, sa.MetaData(), autoload_with=source)
    made = table.to_metadata(sa.MetaData(), name=vat_name(new.rastercolumn_id, object_id))
    for constraint in made.constraints:
        constraint.name = None  # the database gives others: those of the old table are taken
    made.create(connection)
    rows = [dict(row._mapping) for row in source.execute(sa.select(table))]
    if rows:
        connection.execute(made.insert(), rows)
