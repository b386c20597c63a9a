"""Rows of the block table: written many per statement, read by rectangles of blocks."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from .schema import RasterTables

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from .engine import Single

__all__ = ["BlockWriter", "StoredBlock", "delete_level", "read_aux", "read_blocks", "write_aux"]

_BATCH_ROWS = 512
_BATCH_BYTES = 16 << 20
_MAX_ROWS = 400
"""Block rows named in one statement."""
_FEW_ROWS = 4


class StoredBlock(NamedTuple):
    """A row of the block table."""

    band: int
    level: int
    row: int
    col: int
    data: bytes


class BlockWriter:
    """Collects blocks and writes them in batches. Call ``flush`` at the end.

    ``replace``: rows of the same keys may exist; data None deletes the row. PostgreSQL takes batches by binary COPY.
    """

    def __init__(self, connection: Connection, tables: RasterTables, *, replace: bool) -> None:
        self._connection = connection
        self._table = tables.blk
        self._replace = replace
        self._copies = connection.dialect.name == "postgresql"
        self._insert: Any = self._table.insert()
        self._batch: list[tuple[int, int, int, int, bytes | None]] = []
        self._bytes = 0
        self.written = 0
        """Rows inserted."""
        self.touched = 0
        """Keys put."""

    def put(self, band: int, level: int, row: int, col: int, data: bytes | None) -> None:
        """One block; None: there is none any more."""
        if data is None and not self._replace:
            return
        self._batch.append((band, level, row, col, data))
        self._bytes += len(data or b"")
        if len(self._batch) >= _BATCH_ROWS or self._bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        batch, self._batch, self._bytes = self._batch, [], 0
        if not batch:
            return
        if self._replace:
            self._delete(batch)
        stored = [item for item in batch if item[4] is not None]
        self.touched += len(batch)
        self.written += len(stored)
        if stored and self._copies:
            self._copy(stored)
        elif stored:
            names = ("rasterband_id", "rrd_factor", "row_nbr", "col_nbr", "block_data")
            self._connection.execute(self._insert, [dict(zip(names, item, strict=True)) for item in stored])

    def _delete(self, batch: Sequence[tuple[int, int, int, int, bytes | None]]) -> None:
        import sqlalchemy as sa

        c = self._table.c
        same = (
            c.rasterband_id == sa.bindparam("band"),
            c.rrd_factor == sa.bindparam("level"),
            c.row_nbr == sa.bindparam("row"),
            c.col_nbr == sa.bindparam("col"),
        )
        keys = [dict(zip(("band", "level", "row", "col"), item[:4], strict=True)) for item in batch]
        self._connection.execute(self._table.delete().where(*same), keys)

    def _copy(self, stored: Sequence[tuple[int, int, int, int, bytes | None]]) -> None:
        """Binary COPY: a quarter faster than many INSERTs, and needs no parameters to be parsed."""
        head = struct.Struct(">hiiiiiiiii")  # 5 fields; four times length 4 and value; length of the block
        driver: Any = self._connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(f"COPY {self._table.name} FROM STDIN (FORMAT BINARY)") as copy:
            parts = [b"PGCOPY\n\xff\r\n\0" + bytes(8)]
            for band, level, row, col, data in stored:
                assert data is not None
                parts += (head.pack(5, 4, band, 4, level, 4, row, 4, col, len(data)), data)
            parts.append(b"\xff\xff")
            copy.write(b"".join(parts))


def read_blocks(
    connection: Connection | Single,
    tables: RasterTables,
    bands: Sequence[int],
    level: int,
    rows: range,
    cols: range,
) -> Iterator[StoredBlock]:
    """The stored blocks of a rectangle, in no particular order.

    Rows are listed one by one: an index range over rows would pass over all the columns in between. The drivers of
    PostgreSQL and SQLite are asked directly: for single blocks SQLAlchemy takes longer than they do, and gets bytes
    from PostgreSQL as hexadecimal text.
    """
    if not rows or not cols:
        return
    rectangle = {"postgresql": _postgresql, "sqlite": _sqlite}.get(connection.dialect.name, _any_database)
    for start in range(rows.start, rows.stop, _MAX_ROWS):
        some = range(start, min(start + _MAX_ROWS, rows.stop))
        for band, row, col, data in rectangle(connection, tables.blk, list(bands), level, some, cols):
            yield StoredBlock(band, level, row, col, data)


def _postgresql(
    connection: Any, table: Table, bands: Sequence[int], level: int, rows: range, cols: range
) -> Iterator[Any]:
    """Few rows are parameters of their own: arrays make PostgreSQL plan each statement anew, which takes longer."""
    driver = connection.connection.driver_connection
    few = len(rows) <= _FEW_ROWS
    among = f"IN ({','.join(['%s'] * len(rows))})" if few else "= ANY(%s)"
    query = (
        f"SELECT rasterband_id, row_nbr, col_nbr, block_data FROM {table.name} "
        f"WHERE rasterband_id IN ({','.join(str(int(band)) for band in bands)}) AND rrd_factor = %s "
        f"AND row_nbr {among} AND col_nbr BETWEEN %s AND %s"
    )
    with driver.cursor(binary=True) as cursor:
        yield from cursor.execute(query, (level, *(rows if few else [list(rows)]), cols.start, cols.stop - 1))


def _sqlite(connection: Any, table: Table, bands: Sequence[int], level: int, rows: range, cols: range) -> Iterator[Any]:
    driver = connection.connection.driver_connection
    query = (
        f"SELECT rasterband_id, row_nbr, col_nbr, block_data FROM {table.name} "
        f"WHERE rasterband_id IN ({','.join('?' * len(bands))}) AND rrd_factor = ? "
        f"AND row_nbr IN ({','.join('?' * len(rows))}) AND col_nbr BETWEEN ? AND ?"
    )
    found: Iterator[Any] = driver.execute(query, (*bands, level, *rows, cols.start, cols.stop - 1))
    return found


def _any_database(
    connection: Any, table: Table, bands: Sequence[int], level: int, rows: range, cols: range
) -> Iterator[Any]:
    given = {"bands": bands, "level": level, "rows": list(rows), "first": cols.start, "last": cols.stop - 1}
    found: Iterator[Any] = connection.execute(_rectangle(table), given)
    return found


@lru_cache(maxsize=256)
def _rectangle(table: Table) -> Any:
    import sqlalchemy as sa

    c = table.c
    return sa.select(c.rasterband_id, c.row_nbr, c.col_nbr, c.block_data).where(
        c.rasterband_id.in_(sa.bindparam("bands", expanding=True)),
        c.rrd_factor == sa.bindparam("level"),
        c.row_nbr.in_(sa.bindparam("rows", expanding=True)),
        c.col_nbr.between(sa.bindparam("first"), sa.bindparam("last")),
    )


def delete_level(connection: Connection, tables: RasterTables, band: int, levels: Iterable[int]) -> None:
    """Remove all blocks of a band's levels."""
    c = tables.blk.c
    connection.execute(tables.blk.delete().where(c.rasterband_id == band, c.rrd_factor.in_(list(levels))))


def read_aux(
    connection: Connection, tables: RasterTables, bands: Sequence[int], types: Sequence[int]
) -> dict[tuple[int, int], bytes]:
    """Auxiliary objects of bands by (band, type)."""
    import sqlalchemy as sa

    aux = tables.aux
    asked = sa.select(aux.c.rasterband_id, aux.c.type, aux.c.object).where(aux.c.rasterband_id.in_(list(bands)))
    asked = asked.where(aux.c.type.in_([int(each) for each in types]))
    return {(row[0], row[1]): bytes(row[2]) for row in connection.execute(asked)}


def write_aux(connection: Connection, tables: RasterTables, band: int, type: int, blob: bytes | None) -> None:
    """Put an auxiliary object in the place of the one there is; None removes it."""
    aux = tables.aux
    connection.execute(aux.delete().where(aux.c.rasterband_id == band, aux.c.type == int(type)))
    if blob is not None:
        connection.execute(aux.insert(), {"rasterband_id": band, "type": int(type), "object": blob})
