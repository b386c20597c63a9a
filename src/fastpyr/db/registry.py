"""The registry: which datasets there are, under which numbers, in which tables, in which coordinates."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import DatabaseError
from .names import QualifiedName, physical_name
from .references import SpatialReference
from .schema import RasterTables, drop_order, raster_tables, registry_tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = [
    "Entry",
    "Workspace",
    "add_entry",
    "create_registry",
    "entries",
    "find",
    "lookup",
    "open_workspace",
    "remove_entry",
]

WORKSPACE = "{C673FE0F-7280-404F-8532-20755DD8FC06}"
DATASET = "{5ED667A3-9CA9-44A2-8029-D95BF23704B9}"
CATALOG = "{35B601F7-45CE-4AFF-ADB7-7702D3839B12}"
"""Values of ``gdb_items.type``."""

_SHAPE, _RASTER = 8, 9
BINARY, OBJECT = "BINARY", "ST_RASTER"
"""Values of ``config_keyword``: how a raster column is stored."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The geodatabase itself: the first two parts of the names in it."""

    database: str
    owner: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A raster dataset or catalog as the registry knows it."""

    database: str
    owner: str
    name: str
    physical: str
    registration_id: int
    rastercolumn_id: int
    layer_id: int | None
    is_catalog: bool
    reference: SpatialReference
    grid_sizes: tuple[float, float, float]
    item_id: int

    @property
    def full_name(self) -> str:
        return f"{self.database}.{self.owner}.{self.name}"

    @property
    def storage(self) -> str:
        """``binary`` (seven tables) or ``st_raster`` (three)."""
        return "binary" if self.layer_id is not None else "st_raster"

    @property
    def tables(self) -> RasterTables:
        return raster_tables(self.physical, self.rastercolumn_id, self.layer_id)


def create_registry(connection: Connection, workspace: Workspace) -> None:
    """Make the registry's tables. DatabaseError when they are there already."""
    import sqlalchemy as sa

    registry = registry_tables()
    if sa.inspect(connection).has_table(registry.items.name):
        raise DatabaseError("there is a geodatabase already")
    registry.items.metadata.create_all(connection, tables=list(registry.all))
    connection.execute(
        registry.items.insert(),
        {
            "objectid": 1,
            "uuid": _uuid(),
            "type": WORKSPACE,
            "name": workspace.database,
            "physicalname": workspace.owner,
            "path": "\\",
            "definition": "",
        },
    )


def open_workspace(connection: Connection) -> Workspace:
    """Names of the geodatabase. DatabaseError when the database has none."""
    import sqlalchemy as sa

    items = registry_tables().items
    if not sa.inspect(connection).has_table(items.name):
        raise DatabaseError("holds no geodatabase: make one with fastpyr db create")
    row = connection.execute(sa.select(items.c.name, items.c.physicalname).where(items.c.type == WORKSPACE)).first()
    if row is None:
        raise DatabaseError("the registry names no workspace: the geodatabase is damaged")
    return Workspace(row[0], row[1])


def lock_registry(connection: Connection) -> None:
    """Let other writers of the registry wait until this transaction ends (SQLite: they wait anyway)."""
    import sqlalchemy as sa

    items = registry_tables().items
    connection.execute(sa.select(items.c.objectid).where(items.c.type == WORKSPACE).with_for_update()).first()


def lock_entry(connection: Connection, entry: Entry) -> None:
    """Let other writers of this dataset wait. DatabaseError when it was dropped meanwhile."""
    import sqlalchemy as sa

    tables = registry_tables().table_registry
    asked = sa.select(tables.c.table_name).where(tables.c.registration_id == entry.registration_id).with_for_update()
    if connection.execute(asked).first() is None:
        raise DatabaseError(f"{entry.full_name} was dropped meanwhile")


def _query() -> Any:
    import sqlalchemy as sa

    registry = registry_tables()
    tables, rasters, layers = registry.table_registry, registry.raster_columns, registry.layers
    spatial, items = registry.spatial_references, registry.items
    same = [getattr(tables.c, each) == getattr(rasters.c, each) for each in ("database_name", "owner", "table_name")]
    in_layers = [
        getattr(layers.c, each) == getattr(tables.c, each) for each in ("database_name", "owner", "table_name")
    ]
    joined = (
        tables.join(rasters, sa.and_(*same))
        .join(spatial, spatial.c.srid == rasters.c.srid)
        .outerjoin(layers, sa.and_(*in_layers))
        .join(items, items.c.objectid == tables.c.object_flags)
    )
    return sa.select(
        tables.c.database_name,
        tables.c.owner,
        tables.c.table_name,
        tables.c.registration_id,
        rasters.c.rastercolumn_id,
        layers.c.layer_id,
        layers.c.gsize1,
        layers.c.gsize2,
        layers.c.gsize3,
        items.c.objectid.label("item_id"),
        items.c.type,
        items.c.physicalname,
        spatial,
    ).select_from(joined)


def _entry(row: Any) -> Entry:
    return Entry(
        row.database_name,
        row.owner,
        row.table_name,
        row.physicalname,
        row.registration_id,
        row.rastercolumn_id,
        row.layer_id,
        row.type == CATALOG,
        SpatialReference.of_row(row),
        (row.gsize1 or 0.0, row.gsize2 or 0.0, row.gsize3 or 0.0),
        row.item_id,
    )


def entries(connection: Connection) -> list[Entry]:
    """All datasets and catalogs, in the order in which they were made."""
    order = registry_tables().table_registry.c.registration_id
    return [_entry(row) for row in connection.execute(_query().order_by(order))]


def lookup(connection: Connection, name: str, workspace: Workspace) -> Entry | None:
    """The dataset or catalog of that name, whatever its case; None where there is none."""
    wanted = QualifiedName.parse(name)
    database, owner = wanted.database or workspace.database, wanted.owner or workspace.owner
    row = _lookup(connection, database, owner, wanted.name)
    return None if row is None else _entry(row)


def find(connection: Connection, name: str, workspace: Workspace) -> Entry:
    """The same. DatabaseError naming those there are where there is none."""
    found = lookup(connection, name, workspace)
    if found is None:
        known = [entry.full_name for entry in entries(connection)]
        some = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
        raise DatabaseError(f"there is no dataset or catalog {name}" + (f": there are {some}" if known else ""))
    return found


def _lookup(connection: Connection, database: str, owner: str, name: str) -> Any:
    import sqlalchemy as sa

    tables = registry_tables().table_registry
    same = [
        sa.func.lower(column) == text.lower()
        for column, text in ((tables.c.database_name, database), (tables.c.owner, owner), (tables.c.table_name, name))
    ]
    return connection.execute(_query().where(*same)).first()


def _next(connection: Connection, column: Any) -> int:
    """The number after the largest there is."""
    import sqlalchemy as sa

    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(column), 0))).scalar_one()) + 1


def _uuid() -> str:
    return "{" + str(uuid.uuid4()).upper() + "}"


def add_entry(
    connection: Connection,
    name: str,
    workspace: Workspace,
    reference: SpatialReference,
    *,
    is_catalog: bool,
    storage: str,
    grid_sizes: Iterable[float] = (0.0, 0.0, 0.0),
) -> Entry:
    """Register a new dataset or catalog and make its tables. DatabaseError when the name is taken."""
    import sqlalchemy as sa

    lock_registry(connection)
    wanted = QualifiedName.parse(name)
    database, owner = wanted.database or workspace.database, wanted.owner or workspace.owner
    if database.lower() != workspace.database.lower():
        raise DatabaseError(f"this geodatabase is {workspace.database}, {name} would belong to another")
    physical = physical_name(owner, wanted.name, workspace.owner)
    if _lookup(connection, database, owner, wanted.name) or sa.inspect(connection).has_table(physical):
        raise DatabaseError(f"{database}.{owner}.{wanted.name} exists already: drop it first, or mosaic onto it")
    registry = registry_tables()
    sizes = tuple(grid_sizes)
    entry = Entry(
        workspace.database,
        owner,
        wanted.name,
        physical,
        _next(connection, registry.table_registry.c.registration_id),
        _next(connection, registry.raster_columns.c.rastercolumn_id),
        _next(connection, registry.layers.c.layer_id) if storage == "binary" else None,
        is_catalog,
        reference.stored(connection),
        (sizes[0], sizes[1], sizes[2]),
        _next(connection, registry.items.c.objectid),
    )
    _insert(connection, entry)
    first = entry.tables.all[0]
    first.metadata.create_all(connection, tables=list(entry.tables.all), checkfirst=False)
    return entry


def _insert(connection: Connection, entry: Entry) -> None:
    """Rows of a new entry in every table of the registry."""
    registry, now = registry_tables(), int(time.time())
    owned = {"database_name": entry.database, "owner": entry.owner, "table_name": entry.name}
    keyword = BINARY if entry.layer_id is not None else OBJECT
    path = f"\\{entry.full_name}"
    item = {"objectid": entry.item_id, "uuid": _uuid(), "type": CATALOG if entry.is_catalog else DATASET}
    item |= {"name": entry.full_name, "physicalname": entry.physical, "path": path, "definition": ""}
    connection.execute(registry.items.insert(), item)
    table = {"registration_id": entry.registration_id, **owned, "rowid_column": "OBJECTID", "description": None}
    # object_flags is free in the layout: here it is the item that describes the table
    table |= {"object_flags": entry.item_id, "registration_date": now, "config_keyword": keyword, "minimum_id": 1}
    connection.execute(registry.table_registry.insert(), table)
    raster = {**owned, "raster_column": "RASTER", "rastercolumn_id": entry.rastercolumn_id, "cdate": now}
    raster |= {"config_keyword": keyword, "minimum_id": 1, "base_rastercolumn_id": 0, "rastercolumn_mask": 0}
    connection.execute(registry.raster_columns.insert(), raster | {"srid": entry.reference.srid})
    columns = [{**owned, "column_name": "RASTER", "sde_type": _RASTER, "object_id": entry.rastercolumn_id}]
    if entry.layer_id is not None:
        columns.append({**owned, "column_name": "FOOTPRINT", "sde_type": _SHAPE, "object_id": entry.layer_id})
        layer = {**owned, "spatial_column": "FOOTPRINT", "layer_id": entry.layer_id, "eflags": 0, "layer_mask": 0}
        sizes = dict(zip(("gsize1", "gsize2", "gsize3"), entry.grid_sizes, strict=True))
        layer |= {**sizes, "cdate": now, "minimum_id": 1, "srid": entry.reference.srid, "base_layer_id": 0}
        connection.execute(registry.layers.insert(), layer)
    for column in columns:
        column |= {"column_size": 4, "decimal_digits": 0, "object_flags": 0}
    connection.execute(registry.column_registry.insert(), columns)


def remove_entry(connection: Connection, entry: Entry) -> None:
    """Drop the tables of an entry, its value attribute tables too, and forget it."""
    import sqlalchemy as sa

    lock_registry(connection)
    lock_entry(connection, entry)
    prefix = f"sde_vat_{entry.rastercolumn_id}"
    for name in sa.inspect(connection).get_table_names():
        if name.lower() == prefix or name.lower().startswith(prefix + "_"):
            sa.Table(name, sa.MetaData()).drop(connection)
    for table in drop_order((*entry.tables.all,)):
        table.drop(connection, checkfirst=False)
    registry = registry_tables()
    for table in (registry.layers, registry.raster_columns, registry.column_registry):
        same = [getattr(table.c, each) == value for each, value in _owned(entry).items()]
        connection.execute(table.delete().where(*same))
    tables, items = registry.table_registry, registry.items
    connection.execute(tables.delete().where(tables.c.registration_id == entry.registration_id))
    connection.execute(items.delete().where(items.c.objectid == entry.item_id))


def _owned(entry: Entry) -> dict[str, str]:
    return {"database_name": entry.database, "owner": entry.owner, "table_name": entry.name}


def set_definition(connection: Connection, entry: Entry, xml: bytes) -> None:
    """Keep the XML description of an entry in its item."""
    items = registry_tables().items
    connection.execute(items.update().where(items.c.objectid == entry.item_id).values(definition=xml.decode("utf-8")))


def set_layer(connection: Connection, entry: Entry, values: dict[str, float | int | None]) -> None:
    """Change columns of the entry's layer: its box and its grid sizes."""
    layers = registry_tables().layers
    connection.execute(layers.update().where(layers.c.layer_id == entry.layer_id).values(**values))
