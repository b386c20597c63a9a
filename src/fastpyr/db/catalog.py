"""Raster catalogs: many rasters, their footprints, and what a box shows of them."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import ConfigError, DatabaseError
from ..grid.bounds import BoundingBox
from .bands import RasterRow, delete_raster, load_bands, raster_rows
from .dataset import RasterDataset
from .engine import read as reading
from .engine import write as writing
from .features import search_features, update_layer
from .importer import ImportOptions, add_raster, next_ids
from .inputs import as_input
from .registry import Entry, lock_entry
from .state import load_state
from .window import MAX_READ_BYTES, Masks, Pixels

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .database import Geodatabase

__all__ = ["CatalogItem", "RasterCatalog"]

Box = BoundingBox | tuple[float, float, float, float]


class CatalogItem(NamedTuple):
    """A raster of a catalog: its object id, its name and its footprint."""

    id: int
    name: str
    bounds: BoundingBox


class RasterCatalog:
    """Rasters of one CRS under one name; they may differ in everything else."""

    def __init__(self, database: Geodatabase, entry: Entry) -> None:
        self.database = database
        self.entry = entry

    def __repr__(self) -> str:
        return f"<RasterCatalog {self.name}>"

    def __len__(self) -> int:
        import sqlalchemy as sa

        with reading(self.database.engine) as connection:
            main = self.entry.tables.business
            return int(connection.execute(sa.select(sa.func.count()).select_from(main)).scalar_one())

    @property
    def name(self) -> str:
        """``DATABASE.OWNER.NAME``."""
        return self.entry.full_name

    @property
    def crs(self) -> str:
        """WKT of the footprints' CRS; empty where it is unknown."""
        return self.entry.reference.wkt

    def add(self, source: Any, name: str | None = None, *, srs: str | None = None, **options: Any) -> RasterDataset:
        """Store a raster, named after its file unless told otherwise. One transaction."""
        return self.add_many([(source, name)], srs=srs, **options)[0]

    def add_many(self, sources: Any, *, srs: str | None = None, **options: Any) -> list[RasterDataset]:
        """Store rasters, given as inputs or as pairs of an input and a name; all of them or none."""
        asked = ImportOptions(**options)
        added = []
        with writing(self.database.engine) as connection:
            lock_entry(connection, self.entry)
            entry = self.entry
            for given in sources:
                source, name = given if isinstance(given, tuple) else (given, None)
                found = as_input(source, srs)
                self._check_crs(found.info.wkt, found.info.name)
                ids = next_ids(connection, entry)
                label = name or os.path.splitext(os.path.basename(found.info.name))[0] or f"raster_{ids[0]}"
                entry, state = add_raster(
                    connection, entry, found, asked, self.database.pool, ids=ids, row_name=label[:255]
                )
                added.append(RasterDataset(self.database, state))
            update_layer(connection, entry)
        self.entry = entry
        return added

    def _check_crs(self, wkt: str, name: str) -> None:
        if not wkt and not self.crs:
            return
        from ..grid.crs import same_crs

        if not (wkt and self.crs and same_crs(wkt, self.crs)):
            raise DatabaseError(f"{name}: its CRS is not that of the catalog {self.name}: reproject it first")

    def items(self) -> list[CatalogItem]:
        """All rasters by object id."""
        return self._items(None)

    def search(self, bbox: Box) -> list[CatalogItem]:
        """Rasters whose footprints share an area with a box, by object id: grid cells first, then the exact boxes."""
        box = BoundingBox(*bbox)
        if not box.is_valid:
            raise ConfigError(f"the box {box} is empty or not finite: expected (left, bottom, right, top)")
        return self._items(box)

    def _items(self, box: BoundingBox | None) -> list[CatalogItem]:
        import sqlalchemy as sa

        tables = self.entry.tables
        assert tables.feature is not None
        main, f = tables.business.c, tables.feature.c
        asked = sa.select(main.objectid, main.name, f.eminx, f.eminy, f.emaxx, f.emaxy).select_from(
            tables.business.join(tables.feature, main.footprint == f.fid)
        )
        found = []
        with reading(self.database.engine) as connection:
            if box is None:
                found = list(connection.execute(asked))
            else:
                fids = search_features(connection, self.entry, box)
                statement = asked.where(f.fid.in_(sa.bindparam("fids", expanding=True)))
                for start in range(0, len(fids), 1000):
                    found += connection.execute(statement, {"fids": fids[start : start + 1000]})
        return sorted(CatalogItem(row[0], row[1], BoundingBox(*row[2:6])) for row in found)

    def raster(self, which: int | str) -> RasterDataset:
        """One raster, by object id or by name. DatabaseError when there is none."""
        with reading(self.database.engine) as connection:
            return RasterDataset(self.database, load_state(connection, self.entry, self._row(connection, which)))

    def _row(self, connection: Connection, which: int | str) -> RasterRow:
        possible = not isinstance(which, int) or abs(which) < 2**31
        for row in raster_rows(connection, self.entry.tables, which) if possible else ():
            return row
        raise DatabaseError(f"catalog {self.name} has no raster {str(which)[:80]!r}")

    def delete(self, which: int | str) -> None:
        """Remove one raster with everything that belongs to it."""
        with writing(self.database.engine) as connection:
            lock_entry(connection, self.entry)
            tables = self.entry.tables
            row = self._row(connection, which)
            delete_raster(connection, tables, row, load_bands(connection, tables, row))
            update_layer(connection, self.entry)

    def read(self, bbox: Box, resolution: float) -> tuple[Pixels, Masks]:
        """What the catalog shows in a box at a resolution: (rows, cols, bands) and mask (rows, cols).

        Rasters are painted in the order of their object ids, each from the level whose pixels are nearest to
        ``resolution`` from below, by its nearest pixels. They must have the same bands and pixel type.
        """
        box = BoundingBox(*bbox)
        if not (math.isfinite(resolution) and resolution > 0):
            raise ConfigError(f"resolution {resolution}: expected a size of pixels above 0")
        found = self.search(box)
        width, height = math.ceil(box.width / resolution - 1e-6), math.ceil(box.height / resolution - 1e-6)
        rasters = [self.raster(item.id) for item in found]
        kinds = {(raster.bands, raster.pixel_type) for raster in rasters}
        if len(kinds) > 1:
            raise ConfigError(f"catalog {self.name}: the rasters in {box} differ in bands or pixel type")
        bands = rasters[0].bands if rasters else 1
        dtype = rasters[0].state.pixel_type.dtype if rasters else np.dtype(np.uint8)
        if not 0 < width * height * bands * (dtype.itemsize + 1) <= MAX_READ_BYTES:
            raise ConfigError(f"{width} x {height} pixels: expected at least one, at most {MAX_READ_BYTES} bytes")
        pixels, mask = np.zeros((height, width, bands), dtype), np.zeros((height, width), np.uint8)
        x = box.left + (np.arange(width) + 0.5) * resolution
        y = box.top - (np.arange(height) + 0.5) * resolution
        for raster in rasters:
            _show(raster, x, y, resolution, pixels, mask)
        return pixels, mask


def _show(raster: RasterDataset, x: Any, y: Any, resolution: float, pixels: Pixels, mask: Masks) -> None:
    """Paint the nearest pixels of a raster at the given columns and rows of coordinates."""
    level = raster.level_for(resolution)
    first = raster.state.grid.level(level).window
    affine, factor = raster.state.affine, 2**level
    cols = np.floor((x - affine.c) / (affine.a * factor)).astype(np.int64) - first.left
    rows = np.floor((y - affine.f) / (affine.e * factor)).astype(np.int64) - first.top
    here_x = np.flatnonzero((cols >= 0) & (cols < first.right - first.left))
    here_y = np.flatnonzero((rows >= 0) & (rows < first.bottom - first.top))
    if not len(here_x) or not len(here_y):
        return
    cols, rows = cols[here_x], rows[here_y]
    window = (int(cols[0]), int(rows[0]), int(cols[-1]) + 1, int(rows[-1]) + 1)
    values, valid = raster.read(window=window, level=level)
    at = np.ix_(rows - window[1], cols - window[0])
    out = np.s_[here_y[0] : here_y[-1] + 1, here_x[0] : here_x[-1] + 1]
    seen = valid[at]
    np.copyto(pixels[out], values[at], where=seen[:, :, np.newaxis] != 0)
    mask[out] |= seen
