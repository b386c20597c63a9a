"""Every table of a geodatabase as SQLAlchemy Core objects.

The registry has six tables, a raster dataset or catalog seven more (three in the ST_Raster profile), named after the
ids that the registry gives: ``sde_ras_<n>``, ``sde_bnd_<n>``, ``sde_blk_<n>``, ``sde_aux_<n>`` with n the raster
column, ``f<n>`` and ``s<n>`` with n the layer. Names are lower-case, so that no database needs quotes. Keys are given
by fastpyr, never by the database: a copy keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Column, Table

__all__ = ["RasterTables", "Registry", "drop_order", "raster_tables", "registry_tables", "vat_name", "vat_table"]

TEXT = 65
"""Characters of names and descriptions, as the layout has them."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry subset. ``all`` is in an order in which they can be created."""

    spatial_references: Table
    table_registry: Table
    column_registry: Table
    raster_columns: Table
    layers: Table
    items: Table

    @property
    def all(self) -> tuple[Table, ...]:
        return (
            self.spatial_references,
            self.table_registry,
            self.column_registry,
            self.raster_columns,
            self.layers,
            self.items,
        )


@dataclass(frozen=True, slots=True)
class RasterTables:
    """Tables of one raster column. The ST_Raster profile has ``business``, ``blk`` and ``aux`` only."""

    business: Table
    blk: Table
    aux: Table
    ras: Table | None = None
    bnd: Table | None = None
    feature: Table | None = None
    index: Table | None = None

    @property
    def all(self) -> tuple[Table, ...]:
        """In an order in which they can be created."""
        return tuple(
            table
            for table in (self.feature, self.index, self.ras, self.bnd, self.business, self.blk, self.aux)
            if table is not None
        )


def _types() -> tuple[Any, Any, Any, Any]:
    """Blob, short text, text of any length, double: bytea, varbinary(max) or blob and so on by dialect."""
    import sqlalchemy as sa
    from sqlalchemy.dialects import mssql

    sql_server: Any = mssql
    blob = sa.LargeBinary().with_variant(sql_server.VARBINARY("max"), "mssql")
    long_text = sa.UnicodeText().with_variant(mssql.NVARCHAR(None), "mssql")
    return blob, sa.Unicode(TEXT), long_text, sa.Double()


_NAME = 128
"""Characters of the parts of a qualified name."""


def _text(column: str, size: int = TEXT) -> Column[Any]:
    import sqlalchemy as sa

    return sa.Column(column, sa.Unicode(size))


def _ints(*names: str) -> list[Column[Any]]:
    import sqlalchemy as sa

    return [sa.Column(each, sa.Integer) for each in names]


def _doubles(*names: str) -> list[Column[Any]]:
    import sqlalchemy as sa

    return [sa.Column(each, sa.Double) for each in names]


def _key(*names: str) -> list[Column[Any]]:
    import sqlalchemy as sa

    return [sa.Column(each, sa.Unicode(_NAME), primary_key=True, nullable=False) for each in names]


@lru_cache(maxsize=1)
def registry_tables() -> Registry:
    """The registry's tables, the same objects every time."""
    import sqlalchemy as sa

    metadata = sa.MetaData()
    spatial = sa.Table(
        "sde_spatial_references",
        metadata,
        sa.Column("srid", sa.Integer, primary_key=True, autoincrement=False),
        _text("description"),
        _text("auth_name", 255),
        *_ints("auth_srid"),
        *_doubles("falsex", "falsey", "xyunits", "falsez", "zunits", "falsem", "munits"),
        *_doubles("xycluster_tol", "zcluster_tol", "mcluster_tol"),
        *_ints("object_flags"),
        sa.Column("srtext", _types()[2], nullable=False),
    )
    return Registry(spatial, *_name_tables(metadata), *_column_tables(metadata, spatial.c.srid), _items(metadata))


def _name_tables(metadata: Any) -> tuple[Table, Table]:
    """Registered tables, and their columns of shapes and rasters."""
    import sqlalchemy as sa

    names = ("table_name", "database_name", "owner")
    tables = sa.Table(
        "sde_table_registry",
        metadata,
        sa.Column("registration_id", sa.Integer, primary_key=True, autoincrement=False),
        *[sa.Column(each, sa.Unicode(_NAME), nullable=False) for each in names],
        _text("rowid_column", 32),
        _text("description"),
        *_ints("object_flags", "registration_date"),
        _text("config_keyword", 32),
        *_ints("minimum_id"),
        _text("imv_view_name", 32),
        sa.UniqueConstraint(*names, name="sde_table_registry_uk"),
    )
    columns = sa.Table(
        "sde_column_registry",
        metadata,
        *_key("database_name", "table_name", "owner", "column_name"),
        *_ints("sde_type", "column_size", "decimal_digits"),
        _text("description"),
        *_ints("object_flags", "object_id"),
    )
    return tables, columns


def _column_tables(metadata: Any, srid: Column[Any]) -> tuple[Table, Table]:
    """Raster columns and layers, whose numbers name the tables of pixels and of footprints."""
    import sqlalchemy as sa

    rasters = sa.Table(
        "sde_raster_columns",
        metadata,
        *_key("database_name", "owner", "table_name", "raster_column"),
        sa.Column("rastercolumn_id", sa.Integer, nullable=False, unique=True),
        _text("description"),
        *_ints("cdate"),
        _text("config_keyword", 32),
        *_ints("minimum_id", "base_rastercolumn_id", "rastercolumn_mask"),
        sa.Column("srid", sa.Integer, sa.ForeignKey(srid)),
    )
    layers = sa.Table(
        "sde_layers",
        metadata,
        *_key("database_name", "table_name", "owner", "spatial_column"),
        sa.Column("layer_id", sa.Integer, nullable=False, unique=True),
        _text("description"),
        *_ints("eflags", "layer_mask"),
        *_doubles("gsize1", "gsize2", "gsize3", "minx", "miny", "maxx", "maxy", "minz", "maxz", "minm", "maxm"),
        *_ints("cdate"),
        _text("layer_config", 32),
        *_ints("optimal_array_size", "stats_date", "minimum_id"),
        sa.Column("srid", sa.Integer, sa.ForeignKey(srid), nullable=False),
        *_ints("base_layer_id", "secondary_srid"),
    )
    return rasters, layers


def _items(metadata: Any) -> Table:
    """GDB_ITEMS, the columns that carry something here."""
    import sqlalchemy as sa

    return sa.Table(
        "gdb_items",
        metadata,
        sa.Column("objectid", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("uuid", sa.Unicode(38), nullable=False, unique=True),
        sa.Column("type", sa.Unicode(38), nullable=False),
        sa.Column("name", sa.Unicode(226)),
        sa.Column("physicalname", sa.Unicode(226)),
        sa.Column("path", sa.Unicode(260)),
        sa.Column("definition", _types()[2]),
    )


@lru_cache(maxsize=64)
def raster_tables(business: str, rastercolumn: int, layer: int | None) -> RasterTables:
    """Tables of a raster dataset or catalog; ``layer`` None is the ST_Raster profile."""
    import sqlalchemy as sa

    metadata = sa.MetaData()
    if layer is None:
        return _object_tables(business, rastercolumn)
    feature, index = _layer_tables(metadata, layer)
    ras, bnd = _band_tables(metadata, rastercolumn)
    main = sa.Table(
        business,
        metadata,
        sa.Column("objectid", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("footprint", sa.Integer, sa.ForeignKey(feature.c.fid)),
        sa.Column("raster", sa.Integer, sa.ForeignKey(ras.c.raster_id)),
        sa.Column("name", sa.Unicode(255)),
        sa.Index(f"{business[:50]}_i1", "footprint"),
        sa.Index(f"{business[:50]}_i2", "raster"),
    )
    blk, aux = _pixel_tables(metadata, rastercolumn, bnd.c.rasterband_id)
    return RasterTables(main, blk, aux, ras, bnd, feature, index)


def _object_tables(business: str, rastercolumn: int) -> RasterTables:
    """The ST_Raster profile: raster and band records are a JSON text of the business table."""
    import sqlalchemy as sa

    metadata = sa.MetaData()
    main = sa.Table(
        business,
        metadata,
        sa.Column("objectid", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("raster", _types()[2]),
        sa.Column("name", sa.Unicode(255)),
    )
    blk, aux = _pixel_tables(metadata, rastercolumn, None)
    return RasterTables(main, blk, aux)


def _layer_tables(metadata: Any, layer: int) -> tuple[Table, Table]:
    """Features, and the spatial index in integer system units: one row per footprint and grid cell."""
    import sqlalchemy as sa

    blob, *_ = _types()
    feature = sa.Table(
        f"f{layer}",
        metadata,
        sa.Column("fid", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("numofpts", sa.Integer, nullable=False),
        sa.Column("entity", sa.SmallInteger, nullable=False),
        *[sa.Column(each, sa.Double, nullable=False) for each in ("eminx", "eminy", "emaxx", "emaxy")],
        *[sa.Column(each, sa.Double) for each in ("eminz", "emaxz", "min_measure", "max_measure")],
        *[sa.Column(each, sa.Double, nullable=False) for each in ("area", "len")],
        sa.Column("points", blob),
    )
    key = [sa.Column("sp_fid", sa.Integer, sa.ForeignKey(feature.c.fid, ondelete="CASCADE"), primary_key=True)]
    key += [
        sa.Column(each, sa.BigInteger, primary_key=True, autoincrement=False)
        for each in ("gx", "gy", "eminx", "eminy", "emaxx", "emaxy")
    ]
    index = sa.Table(f"s{layer}", metadata, *key, sa.Index(f"s{layer}_ix1", "gx", "gy"))
    return feature, index


def _band_tables(metadata: Any, rastercolumn: int) -> tuple[Table, Table]:
    import sqlalchemy as sa

    ras = sa.Table(
        f"sde_ras_{rastercolumn}",
        metadata,
        sa.Column("raster_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("raster_flags", sa.Integer),
        sa.Column("description", sa.Unicode(TEXT)),
    )
    whole = ("band_flags", "band_width", "band_height", "band_types", "block_width", "block_height")
    real = ("block_origin_x", "block_origin_y", "eminx", "eminy", "emaxx", "emaxy")
    bnd = sa.Table(
        f"sde_bnd_{rastercolumn}",
        metadata,
        sa.Column("rasterband_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sequence_nbr", sa.Integer, nullable=False),
        sa.Column("raster_id", sa.Integer, sa.ForeignKey(ras.c.raster_id, ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.Unicode(TEXT)),
        *[sa.Column(each, sa.Integer, nullable=False) for each in whole],
        *[sa.Column(each, sa.Double, nullable=False) for each in real],
        *[sa.Column(each, sa.Integer, nullable=False) for each in ("cdate", "mdate")],
        sa.UniqueConstraint("sequence_nbr", "raster_id", name=f"sde_bnd_{rastercolumn}_uk"),
        sa.Index(f"sde_bnd_{rastercolumn}_ix1", "raster_id"),
    )
    return ras, bnd


def _pixel_tables(metadata: Any, rastercolumn: int, band: Any) -> tuple[Table, Table]:
    """Blocks and auxiliary objects; ``band`` is the column they refer to, None where bands are no rows."""
    import sqlalchemy as sa

    blob, *_ = _types()

    def band_id() -> Column[Any]:
        refers = [] if band is None else [sa.ForeignKey(band, ondelete="CASCADE")]
        return sa.Column("rasterband_id", sa.Integer, *refers, primary_key=True, autoincrement=False)

    blk = sa.Table(
        f"sde_blk_{rastercolumn}",
        metadata,
        band_id(),
        *[
            sa.Column(each, sa.Integer, primary_key=True, autoincrement=False)
            for each in ("rrd_factor", "row_nbr", "col_nbr")
        ],
        sa.Column("block_data", blob, nullable=False),
    )
    aux = sa.Table(
        f"sde_aux_{rastercolumn}",
        metadata,
        band_id(),
        sa.Column("type", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("object", blob, nullable=False),
    )
    # compressed already: PostgreSQL would try to compress it again
    ddl: Any = sa.DDL
    raw = ddl(f"ALTER TABLE {blk.name} ALTER COLUMN block_data SET STORAGE EXTERNAL")
    sa.event.listen(blk, "after_create", raw.execute_if(dialect="postgresql"))
    return blk, aux


def vat_name(rastercolumn: int, object_id: int | None = None) -> str:
    """Name of a value attribute table: of a dataset, or of one raster of a catalog."""
    return f"sde_vat_{rastercolumn}" if object_id is None else f"sde_vat_{rastercolumn}_{object_id}"


def vat_table(name: str, extra: Sequence[tuple[str, str]] = ()) -> Table:
    """A value attribute table; ``extra`` are columns of the user: (name, "integer" | "double" | "text")."""
    import sqlalchemy as sa

    kinds: dict[str, Any] = {"integer": sa.BigInteger, "double": sa.Double, "text": sa.Unicode(255)}
    return sa.Table(
        name,
        sa.MetaData(),
        sa.Column("objectid", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("value", sa.BigInteger, nullable=False, unique=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        *[sa.Column(column, kinds[kind]) for column, kind in extra],
    )


def drop_order(tables: Sequence[Table]) -> list[Table]:
    """Tables in an order in which they can be dropped."""
    return list(reversed(tables))
