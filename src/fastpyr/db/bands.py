"""Band records: rows of the band table, or entries of the JSON object in the ST_Raster profile."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from ..errors import DatabaseError
from ..grid.bounds import BoundingBox
from .pixels import Compression, PixelType, parse_band_types
from .schema import RasterTables

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Band", "RasterRow", "delete_raster", "insert_raster", "load_bands", "raster_rows", "save_bands"]

_MAX_SIDE = 2**31 - 1
_BLOCK_SIDES = range(1, 4097)


@dataclass(frozen=True, slots=True)
class Band:
    """One band: the columns of the band table, in their order. Extents are centres of the first and last pixels."""

    rasterband_id: int
    sequence_nbr: int
    raster_id: int
    name: str | None
    band_flags: int
    band_width: int
    band_height: int
    band_types: int
    block_width: int
    block_height: int
    block_origin_x: float
    block_origin_y: float
    eminx: float
    eminy: float
    emaxx: float
    emaxy: float
    cdate: int
    mdate: int

    @property
    def pixel_type(self) -> PixelType:
        return parse_band_types(self.band_types)[0]

    @property
    def compression(self) -> Compression:
        return parse_band_types(self.band_types)[1]

    def checked(self) -> Band:
        """The same. DatabaseError when its numbers cannot be: they may come from anywhere."""
        for name in _COLUMNS:
            value = getattr(self, name)
            real = isinstance(value, int | float) and math.isfinite(value)
            if name != "name" and not (real if name in _REAL else isinstance(value, int)):
                raise DatabaseError(f"band {self.rasterband_id}: {name} is {value!r:.40}: the band table is damaged")
        sides = self.block_width in _BLOCK_SIDES and self.block_height in _BLOCK_SIDES
        if not sides or not (1 <= self.band_width <= _MAX_SIDE and 1 <= self.band_height <= _MAX_SIDE):
            raise DatabaseError(
                f"band {self.rasterband_id}: {self.band_width} x {self.band_height} pixels in blocks of "
                f"{self.block_width} x {self.block_height}: the band table is damaged"
            )
        parse_band_types(self.band_types)
        return self


@dataclass(frozen=True, slots=True)
class RasterRow:
    """One row of a business table."""

    objectid: int
    name: str
    raster_id: int
    fid: int | None
    description: str | None = None
    """Of the raster table: what was imported."""


_REAL = frozenset({"block_origin_x", "block_origin_y", "eminx", "eminy", "emaxx", "emaxy"})
_COLUMNS = tuple(field.name for field in fields(Band))


def raster_rows(connection: Connection, tables: RasterTables, which: int | str | None = None) -> list[RasterRow]:
    """The rows of the business table, by object id; those of one object id or name only when it is given."""
    import sqlalchemy as sa

    main, ras = tables.business, tables.ras
    asked = sa.select(main) if ras is None else sa.select(main, ras.c.description).outerjoin_from(main, ras)
    if which is not None:
        asked = asked.where((main.c.objectid if isinstance(which, int) else main.c.name) == which)
    rows = connection.execute(asked.order_by(main.c.objectid))
    if ras is not None:
        return [RasterRow(row.objectid, row.name, row.raster, row.footprint, row.description) for row in rows]
    objects = [(row, _object(row.raster)) for row in rows]
    return [RasterRow(row.objectid, row.name, int(item["raster_id"]), None, _described(item)) for row, item in objects]


def _described(item: dict[str, Any]) -> str | None:
    properties = item.get("properties")
    text = properties.get("description") if isinstance(properties, dict) else None
    return text[:65] if isinstance(text, str) else None


def load_bands(connection: Connection, tables: RasterTables, raster: RasterRow) -> tuple[Band, ...]:
    """The bands of a raster by sequence. DatabaseError when there is none, or when one cannot be."""
    import sqlalchemy as sa

    if tables.bnd is None:
        main = tables.business
        text = connection.execute(sa.select(main.c.raster).where(main.c.objectid == raster.objectid)).scalar_one()
        bands = [_band_of_object(item, raster.raster_id) for item in _object(text)["rasterband_list"]]
    else:
        bnd = tables.bnd
        asked = sa.select(*[bnd.c[name] for name in _COLUMNS]).where(bnd.c.raster_id == raster.raster_id)
        bands = [Band(*row) for row in connection.execute(asked.order_by(bnd.c.sequence_nbr))]
    if not bands:
        raise DatabaseError(f"raster {raster.raster_id} of {tables.business.name} has no bands")
    return tuple(band.checked() for band in bands)


def insert_raster(connection: Connection, tables: RasterTables, raster: RasterRow, bands: tuple[Band, ...]) -> None:
    """Add a raster and its bands; its feature must be there already."""
    main = tables.business
    row: dict[str, Any] = {"objectid": raster.objectid, "name": raster.name}
    if tables.bnd is None or tables.ras is None:
        connection.execute(main.insert(), row | {"raster": _object_text(raster, bands)})
        return
    values = {"raster_id": raster.raster_id, "raster_flags": None, "description": raster.description}
    connection.execute(tables.ras.insert(), values)
    connection.execute(tables.bnd.insert(), [asdict(band) for band in bands])
    connection.execute(main.insert(), row | {"raster": raster.raster_id, "footprint": raster.fid})


def save_bands(connection: Connection, tables: RasterTables, raster: RasterRow, bands: tuple[Band, ...]) -> None:
    """Replace the records of bands that exist."""
    if tables.bnd is None:
        main = tables.business
        text = _object_text(raster, bands)
        connection.execute(main.update().where(main.c.objectid == raster.objectid).values(raster=text))
        return
    for band in bands:
        values = asdict(band)
        key = values.pop("rasterband_id")
        connection.execute(tables.bnd.update().where(tables.bnd.c.rasterband_id == key).values(**values))


def delete_raster(connection: Connection, tables: RasterTables, raster: RasterRow, bands: tuple[Band, ...]) -> None:
    """Remove a raster with its blocks, objects, bands, feature and business row."""
    for band in bands:
        for table in (tables.blk, tables.aux):
            connection.execute(table.delete().where(table.c.rasterband_id == band.rasterband_id))
    main = tables.business
    connection.execute(main.delete().where(main.c.objectid == raster.objectid))
    if tables.bnd is None or tables.ras is None or tables.feature is None or tables.index is None:
        return
    connection.execute(tables.bnd.delete().where(tables.bnd.c.raster_id == raster.raster_id))
    connection.execute(tables.ras.delete().where(tables.ras.c.raster_id == raster.raster_id))
    connection.execute(tables.index.delete().where(tables.index.c.sp_fid == raster.fid))
    connection.execute(tables.feature.delete().where(tables.feature.c.fid == raster.fid))


def _object(text: str) -> dict[str, Any]:
    """The ST_Raster object. DatabaseError unless it has the expected parts."""
    try:
        value = json.loads(text)
        if isinstance(value, dict) and isinstance(value["rasterband_list"], list) and int(value["raster_id"]) >= 0:
            return value
    except (KeyError, RecursionError, TypeError, ValueError):
        pass
    raise DatabaseError("the raster object of a business table is damaged: expected a JSON object with its bands")


_IN_OBJECT = {
    "rasterband_id": "rasterband_id",
    "sequence": "sequence_nbr",
    "name": "name",
    "types": "band_types",
    "width": "band_width",
    "height": "band_height",
    "block_width": "block_width",
    "block_height": "block_height",
    "flags": "band_flags",
    "cdate": "cdate",
    "mdate": "mdate",
}


def _band_of_object(item: Any, raster_id: int) -> Band:
    try:
        values = {column: item[name] for name, column in _IN_OBJECT.items()}
        values |= dict(zip(("eminx", "eminy", "emaxx", "emaxy"), map(float, item["extent"]), strict=True))
        values |= dict(zip(("block_origin_x", "block_origin_y"), map(float, item["block_origin"]), strict=True))
        name = values.pop("name")
        whole: dict[str, Any] = {
            key: value if isinstance(value, float) else int(value) for key, value in values.items()
        }
        return Band(**whole, raster_id=raster_id, name=None if name is None else str(name))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise DatabaseError(f"a band of raster object {raster_id} is damaged") from None


def _object_text(raster: RasterRow, bands: tuple[Band, ...]) -> str:
    """The object as JSON; its fields are named as those of the ST_Raster type."""
    extent = BoundingBox(bands[0].eminx, bands[0].eminy, bands[0].emaxx, bands[0].emaxy)
    listed = [
        {
            **{name: getattr(band, column) for name, column in _IN_OBJECT.items()},
            "extent": [band.eminx, band.eminy, band.emaxx, band.emaxy],
            "block_origin": [band.block_origin_x, band.block_origin_y],
        }
        for band in bands
    ]
    whole: dict[str, Any] = {"raster_id": raster.raster_id, "type": "ST_RASTER", "extent": list(extent)}
    whole["properties"] = {"description": raster.description}
    return json.dumps(whole | {"rasterband_list": listed})
