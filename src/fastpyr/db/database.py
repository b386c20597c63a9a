"""A geodatabase: its datasets and catalogs, made, found, imported into and dropped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DatabaseError
from .bands import raster_rows
from .catalog import RasterCatalog
from .dataset import RasterDataset
from .engine import closing_errors, database_url, make_engine, shown
from .engine import read as reading
from .engine import write as writing
from .importer import ImportOptions, add_raster, next_ids
from .inputs import RasterInput, as_input
from .names import check_identifier
from .references import SpatialReference
from .registry import (
    Entry,
    Workspace,
    add_entry,
    create_registry,
    entries,
    find,
    lookup,
    open_workspace,
    remove_entry,
    set_definition,
)
from .state import RasterState, load_state

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["Geodatabase", "refresh_definition"]

_OWNER = "sde"


class Geodatabase:
    """Raster datasets and catalogs in an SQL database.

    ``url``: a file (SQLite), ``sqlite:///file`` or ``postgresql://user:password@host/name``. Methods may be called
    from many threads; each change is one transaction. Close it, or use it as a context manager.

    Raises ConfigError for an unusable URL, DatabaseError when there is no geodatabase.
    """

    def __init__(self, url: str | os.PathLike[str], *, threads: int | None = None) -> None:
        self._threads = threads
        self.engine: Engine = make_engine(database_url(url), create=False)
        with reading(self.engine) as connection:
            self.workspace = open_workspace(connection)

    @classmethod
    def create(
        cls,
        url: str | os.PathLike[str],
        *,
        database: str | None = None,
        owner: str = _OWNER,
        threads: int | None = None,
    ) -> Geodatabase:
        """Make the registry in a new SQLite file or in an existing database, and open it.

        ``database``: first part of names; the file's or database's own unless given. Raises DatabaseError when there
        is a geodatabase already.
        """
        target = database_url(url)
        workspace = Workspace(database or _default_name(target.database or ""), check_identifier(owner, "owner"))
        check_identifier(workspace.database, "database name")
        engine = make_engine(target, create=True)
        try:
            with writing(engine) as connection:
                try:
                    create_registry(connection, workspace)
                except DatabaseError as error:
                    raise DatabaseError(f"{shown(target)}: {error}") from None
        finally:
            engine.dispose()
        return cls(url, threads=threads)

    def __enter__(self) -> Geodatabase:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Geodatabase {self.location}>"

    @property
    def location(self) -> str:
        """The file, or the URL without its password."""
        return shown(self.engine.url)

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        """Threads that encode and decode."""
        return ThreadPoolExecutor(self._threads or os.cpu_count() or 1, "fastpyr-db")

    def close(self) -> None:
        """Give back connections and threads; a later call opens them again."""
        if "pool" in self.__dict__:
            self.__dict__.pop("pool").shutdown()
        with closing_errors(self.engine):
            self.engine.dispose()

    def entries(self) -> list[Entry]:
        """What the registry knows, in the order in which it was made."""
        with reading(self.engine) as connection:
            return entries(connection)

    def find(self, name: str) -> Entry:
        """What the registry knows of a dataset or catalog. Raises DatabaseError."""
        with reading(self.engine) as connection:
            return find(connection, name, self.workspace)

    def lookup(self, name: str) -> Entry | None:
        """As ``find``, None where there is nothing of that name."""
        with reading(self.engine) as connection:
            return lookup(connection, name, self.workspace)

    def dataset(self, name: str) -> RasterDataset:
        """The raster dataset of that name (``[[DATABASE.]OWNER.]NAME``, any case). Raises DatabaseError."""
        with reading(self.engine) as connection:
            entry = find(connection, name, self.workspace)
            if entry.is_catalog:
                raise DatabaseError(f"{entry.full_name} is a catalog of rasters: name one of them, or use .catalog")
            rows = raster_rows(connection, entry.tables)
            if len(rows) != 1:
                raise DatabaseError(f"{entry.full_name} has {len(rows)} rasters, a dataset has one: it is damaged")
            return RasterDataset(self, load_state(connection, entry, rows[0]))

    def catalog(self, name: str) -> RasterCatalog:
        """The raster catalog of that name. Raises DatabaseError."""
        with reading(self.engine) as connection:
            entry = find(connection, name, self.workspace)
        if not entry.is_catalog:
            raise DatabaseError(f"{entry.full_name} is a dataset, not a catalog: use .dataset")
        return RasterCatalog(self, entry)

    def create_catalog(self, name: str, crs: str = "") -> RasterCatalog:
        """Make an empty catalog. ``crs``: that of the footprints."""
        from .inputs import wkt_of

        with writing(self.engine) as connection:
            reference = SpatialReference.of(wkt_of(crs), None)
            entry = add_entry(connection, name, self.workspace, reference, is_catalog=True, storage="binary")
        return RasterCatalog(self, entry)

    def import_raster(
        self,
        sources: Any,
        name: str,
        *,
        storage: str = "binary",
        srs: str | None = None,
        **options: Any,
    ) -> RasterDataset:
        """Store rasters as a new dataset: the first one, the others mosaicked onto it, in one transaction.

        ``sources``: files, arrays (ArrayInput), sources, or a list of them. ``storage``: ``binary`` (seven tables) or
        ``st_raster`` (three). ``options``: attributes of ImportOptions. Raises DatabaseError when the name is taken,
        SourceError for what cannot be read.
        """
        if storage not in ("binary", "st_raster"):
            raise ConfigError(f"storage {storage[:40]!r}: expected binary or st_raster")
        asked = ImportOptions(**options)
        inputs = _inputs(sources, srs)
        first = _joined(inputs)
        with writing(self.engine) as connection:
            info = first.info
            reference = SpatialReference.of(info.wkt, info.transform.bounds(info.width, info.height))
            entry = add_entry(connection, name, self.workspace, reference, is_catalog=False, storage=storage)
            ids = next_ids(connection, entry)
            entry, state = add_raster(connection, entry, first, asked, self.pool, ids=ids)
            _finish(connection, state)
        return RasterDataset(self, state)

    def create_dataset(self, xml: bytes, name: str | None = None) -> RasterDataset:
        """Make a dataset without pixels from its XML description, under its own name unless told otherwise.

        Size, place, bands, pixel type, blocks and compression are the description's; its pyramid is made as pixels are
        mosaicked. Raises DecodeError for a description that makes no sense.
        """
        from .inputs import EmptyInput
        from .xml_element import from_xml

        element = from_xml(xml)
        first = element.bands[0]
        if any(
            (b.width, b.height, b.pixel_type) != (first.width, first.height, first.pixel_type) for b in element.bands
        ):
            raise DatabaseError(f"{element.name}: its bands differ in size or pixel type")
        source = EmptyInput(
            element.name,
            (first.width, first.height),
            first.pixel_type,
            first.extent,
            first.spatial_reference.wkt,
            tuple(band.name for band in element.bands),
        )
        return self.import_raster(
            source,
            name or element.name.rpartition(".")[2],
            block=element.block_width,
            block_height=element.block_height,
            compression=element.compression.value,
            quality=element.quality,
            interpolation=element.method.value,
            pyramid=str(element.pyramid_level),
        )

    def drop(self, name: str) -> None:
        """Remove a dataset or catalog with all its tables. Raises DatabaseError."""
        with writing(self.engine) as connection:
            remove_entry(connection, find(connection, name, self.workspace))

    def copy(self, name: str, new_name: str, target: Geodatabase | None = None) -> str:
        """Copy a dataset or catalog within this geodatabase or into another one, block for block; its full name."""
        from .copy import copy_entry

        return copy_entry(self, name, new_name, target or self).full_name


def _default_name(database: str) -> str:
    """A name made of a file's: letters, digits and ``_``."""
    stem = os.path.basename(database).partition(".")[0]
    plain = re.sub(r"\W", "_", stem, flags=re.ASCII)[:40]
    return plain if plain[:1].isalpha() else f"gdb_{plain}".rstrip("_")


def _inputs(sources: Any, srs: str | None) -> list[RasterInput]:
    single = isinstance(sources, (str, os.PathLike)) or hasattr(sources, "info")
    given: Iterable[Any] = [sources] if single else sources
    inputs = [as_input(each, srs) for each in given]
    if not inputs:
        raise ConfigError("no sources: give raster files")
    return inputs


def _joined(inputs: list[RasterInput]) -> RasterInput:
    """One input, or several of one grid as one."""
    from .joined import JoinedInput

    return inputs[0] if len(inputs) == 1 else JoinedInput(inputs)


def _finish(connection: Connection, state: RasterState) -> None:
    from .features import update_layer

    if state.row.fid is not None:
        update_layer(connection, state.entry)
    refresh_definition(connection, state)


def refresh_definition(connection: Connection, state: RasterState) -> None:
    """Write the XML of a dataset into the registry; a catalog's rasters have none of their own."""
    from .describe import element_of
    from .xml_element import to_xml

    if not state.entry.is_catalog:
        set_definition(connection, state.entry, to_xml(element_of(connection, state)))
