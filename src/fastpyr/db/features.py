"""Footprints: the feature table, and the spatial index of one to three grids over it.

A footprint is in the finest grid of which it touches at most four cells. The number of a cell is
``floor((x - falsex) / size) + grid * 2**24`` with grid 0 to 2, boxes are in whole system units.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..errors import DatabaseError
from ..grid.bounds import BoundingBox
from .references import SpatialReference
from .registry import Entry, set_layer

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

__all__ = ["add_features", "search_features", "set_feature", "update_layer"]

_AREA = 8
"""``entity`` of polygons."""
_GRID_OFFSET = 1 << 24
_MOST_CELLS = 4
_TOO_MANY_CELLS = 64
_RATIO = 4.0
"""Size of a grid's cells over those of the finer one; at least 3."""
_MAX_QUERY_CELLS = 4096
_MANY = 500

Grids = tuple[float, float, float]


def _polygon(box: BoundingBox) -> bytes:
    """Well-known binary of a box, little-endian, counter-clockwise."""
    left, bottom, right, top = box
    ring = (left, bottom, right, bottom, right, top, left, top, left, bottom)
    return struct.pack("<BIII10d", 1, 3, 1, 5, *ring)


def _feature(fid: int, box: BoundingBox) -> dict[str, Any]:
    return {
        "fid": fid,
        "numofpts": 5,
        "entity": _AREA,
        "eminx": box.left,
        "eminy": box.bottom,
        "emaxx": box.right,
        "emaxy": box.top,
        "area": box.width * box.height,
        "len": 2 * (box.width + box.height),
        "points": _polygon(box),
    }


def _cells(reference: SpatialReference, box: BoundingBox, size: float) -> tuple[range, range]:
    """Columns and rows of the cells that a box touches."""
    first = reference.cell(box.left, reference.falsex, size), reference.cell(box.bottom, reference.falsey, size)
    last = reference.cell(box.right, reference.falsex, size), reference.cell(box.top, reference.falsey, size)
    return range(first[0], last[0] + 1), range(first[1], last[1] + 1)


def _level_of(reference: SpatialReference, box: BoundingBox, grids: Grids) -> tuple[int, range, range]:
    """The grid a box belongs to, and its cells there."""
    for level, size in enumerate(grids[:-1]):
        columns, rows = _cells(reference, box, size)
        if len(columns) * len(rows) <= _MOST_CELLS:
            return level, columns, rows
    return len(grids) - 1, *_cells(reference, box, grids[-1])


def _index_rows(reference: SpatialReference, fid: int, box: BoundingBox, grids: Grids) -> list[dict[str, int]]:
    level, columns, rows = _level_of(reference, box, grids)
    low, high = reference.units(box.left, box.bottom), reference.units(box.right, box.top)
    units = dict(zip(("eminx", "eminy", "emaxx", "emaxy"), (*low, *high), strict=True))
    offset = level * _GRID_OFFSET
    return [{"sp_fid": fid, "gx": gx + offset, "gy": gy + offset, **units} for gx in columns for gy in rows]


def _fits(reference: SpatialReference, box: BoundingBox, grids: Grids) -> bool:
    """Whether a box touches few enough cells of the coarsest grid."""
    columns, rows = _cells(reference, box, grids[2])
    return len(columns) * len(rows) <= _TOO_MANY_CELLS


def _grids_for(reference: SpatialReference, boxes: Sequence[BoundingBox]) -> Grids:
    """Sizes for boxes: the finest cell as large as the middle one of their longer sides."""
    sides = sorted(max(box.width, box.height) for box in boxes)
    first = max(sides[len(sides) // 2], reference.smallest_grid())
    second = max(first * _RATIO, sides[len(sides) * 95 // 100])
    return first, second, max(second * _RATIO, sides[-1])


def add_features(connection: Connection, entry: Entry, features: Iterable[tuple[int, BoundingBox]]) -> Entry:
    """Add footprints (fid, box). The entry comes back with its grid sizes, which may have changed.

    DatabaseError for a box outside of the range of the layer's spatial reference.
    """
    tables, reference = entry.tables, entry.reference
    if tables.feature is None or tables.index is None:
        return entry
    new = list(features)
    for _, box in new:
        if not reference.covers(box):
            raise DatabaseError(f"{entry.full_name}: the box {box} is outside of the range of its spatial reference")
    grids = entry.grid_sizes
    if new:
        connection.execute(tables.feature.insert(), [_feature(fid, box) for fid, box in new])
    if grids[0] <= 0 or not all(_fits(reference, box, grids) for _, box in new):
        return _regrid(connection, entry)
    rows = [row for fid, box in new for row in _index_rows(reference, fid, box, grids)]
    if rows:
        connection.execute(tables.index.insert(), rows)
    _analyze(connection, entry, len(new))
    return entry


def _analyze(connection: Connection, entry: Entry, added: int) -> None:
    """Tell PostgreSQL about many new rows: it would scan the tables, not knowing their sizes."""
    if added < _MANY or connection.dialect.name != "postgresql":
        return
    for table in (entry.tables.feature, entry.tables.index):
        assert table is not None
        connection.exec_driver_sql(f"ANALYZE {table.name}")


def _boxes(connection: Connection, entry: Entry) -> list[tuple[int, BoundingBox]]:
    import sqlalchemy as sa

    feature = entry.tables.feature
    assert feature is not None
    c = feature.c
    rows = connection.execute(sa.select(c.fid, c.eminx, c.eminy, c.emaxx, c.emaxy))
    return [(row[0], BoundingBox(row[1], row[2], row[3], row[4])) for row in rows]


def _regrid(connection: Connection, entry: Entry) -> Entry:
    """Choose grid sizes for all footprints, and index them anew."""
    index, reference = entry.tables.index, entry.reference
    assert index is not None
    boxes = _boxes(connection, entry)
    if not boxes:
        return entry
    grids = _grids_for(reference, [box for _, box in boxes])
    connection.execute(index.delete())
    connection.execute(index.insert(), [row for fid, box in boxes for row in _index_rows(reference, fid, box, grids)])
    set_layer(connection, entry, dict(zip(("gsize1", "gsize2", "gsize3"), grids, strict=True)))
    _analyze(connection, entry, len(boxes))
    return replace(entry, grid_sizes=grids)


def set_feature(connection: Connection, entry: Entry, fid: int, box: BoundingBox) -> Entry:
    """Give a footprint another box."""
    tables = entry.tables
    if tables.feature is None or tables.index is None:
        return entry
    connection.execute(tables.index.delete().where(tables.index.c.sp_fid == fid))
    values = _feature(fid, box)
    values.pop("fid")
    connection.execute(tables.feature.update().where(tables.feature.c.fid == fid).values(**values))
    if not entry.reference.covers(box):
        raise DatabaseError(f"{entry.full_name}: the box {box} is outside of the range of its spatial reference")
    if entry.grid_sizes[0] <= 0 or not _fits(entry.reference, box, entry.grid_sizes):
        return _regrid(connection, entry)
    connection.execute(tables.index.insert(), _index_rows(entry.reference, fid, box, entry.grid_sizes))
    return entry


def update_layer(connection: Connection, entry: Entry) -> None:
    """Write the box around all footprints into the layer."""
    import sqlalchemy as sa

    feature = entry.tables.feature
    if feature is None:
        return
    low = [sa.func.min(feature.c[name]) for name in ("eminx", "eminy")]
    high = [sa.func.max(feature.c[name]) for name in ("emaxx", "emaxy")]
    found = connection.execute(sa.select(*low, *high)).one()
    set_layer(connection, entry, dict(zip(("minx", "miny", "maxx", "maxy"), found, strict=True)))


def search_features(connection: Connection, entry: Entry, box: BoundingBox) -> list[int]:
    """Ids of the footprints that share an area with a box, in ascending order: cells, then boxes."""
    import sqlalchemy as sa

    feature, index = entry.tables.feature, entry.tables.index
    if feature is None or index is None:
        raise DatabaseError(f"{entry.full_name} has no spatial index")
    f = feature.c
    exact = sa.and_(f.eminx < box.right, f.emaxx > box.left, f.eminy < box.top, f.emaxy > box.bottom)
    cells = _query_cells(entry, box)
    if cells is None:
        return [row[0] for row in connection.execute(sa.select(f.fid).where(exact).order_by(f.fid))]
    low = entry.reference.units(box.left, box.bottom)
    high = entry.reference.units(box.right, box.top)
    given: dict[str, Any] = {"left": low[0], "bottom": low[1], "right": high[0], "top": high[1]}
    for level, (columns, rows, offset) in enumerate(cells):
        given[f"columns{level}"] = [column + offset for column in columns]
        given |= {f"first{level}": rows.start + offset, f"last{level}": rows.stop - 1 + offset}
    candidates = sorted({row[0] for row in connection.execute(_cell_query(index), given)})
    inside = []
    for start in range(0, len(candidates), 1000):
        corners = {"left": box.left, "bottom": box.bottom, "right": box.right, "top": box.top}
        rows_found = connection.execute(_exact_query(feature), corners | {"fids": candidates[start : start + 1000]})
        inside += [row[0] for row in rows_found]
    return sorted(inside)


@lru_cache(maxsize=64)
def _cell_query(index: Table) -> Any:
    """Features of some cells of the three grids whose boxes, in system units, touch a box."""
    import sqlalchemy as sa

    s, given = index.c, sa.bindparam
    # columns one by one: an index range over columns would pass over all the rows in between
    grids = [
        sa.and_(
            s.gx.in_(given(f"columns{level}", expanding=True)),
            s.gy.between(given(f"first{level}"), given(f"last{level}")),
        )
        for level in range(3)
    ]
    near = (s.eminx <= given("right"), s.emaxx >= given("left"), s.eminy <= given("top"), s.emaxy >= given("bottom"))
    return sa.select(s.sp_fid).where(sa.or_(*grids), *near)


@lru_cache(maxsize=64)
def _exact_query(feature: Table) -> Any:
    """Those of some features that share an area with a box."""
    import sqlalchemy as sa

    f, given = feature.c, sa.bindparam
    exact = (f.eminx < given("right"), f.emaxx > given("left"), f.eminy < given("top"), f.emaxy > given("bottom"))
    return sa.select(f.fid).where(f.fid.in_(given("fids", expanding=True)), *exact)


def _query_cells(entry: Entry, box: BoundingBox) -> list[tuple[range, range, int]] | None:
    """Cells of each grid under a box; None where looking at every footprint is cheaper."""
    if entry.grid_sizes[0] <= 0 or not entry.reference.covers(box):
        return None
    cells = []
    for level, size in enumerate(entry.grid_sizes):
        columns, rows = _cells(entry.reference, box, size)
        if len(columns) * len(rows) > _MAX_QUERY_CELLS:
            return None
        cells.append((columns, rows, level * _GRID_OFFSET))
    return cells
