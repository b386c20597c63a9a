"""``fastpyr db``: rasters in a relational database."""

from __future__ import annotations

import click

from .lazy_group import LazyGroup
from .main import Verb

__all__ = ["db"]


_VERBS = {
    "create": Verb("db_manage", "Make a geodatabase, or an empty raster catalog in one."),
    "list": Verb("db_manage", "List datasets and catalogs."),
    "describe": Verb("db_manage", "Facts of a dataset or catalog."),
    "drop": Verb("db_manage", "Remove a dataset or catalog with its tables."),
    "copy": Verb("db_manage", "Copy a dataset or catalog, also to another database."),
    "search": Verb("db_manage", "List the rasters of a catalog in a box."),
    "check": Verb("db_manage", "Check rows, blocks, pyramid and statistics; exit 0 only if all is right."),
    "import": Verb("db_pixels", "Store rasters as a new dataset, or in a catalog."),
    "mosaic": Verb("db_pixels", "Put rasters over a dataset, or take them out of it."),
    "export": Verb("db_pixels", "Write a dataset, or a part of it, as a GeoTIFF."),
    "pyramid": Verb("db_pixels", "Build the pyramid of a dataset anew."),
    "stats": Verb("db_objects", "Statistics of the bands: shown, or counted anew."),
    "colormap": Verb("db_objects", "Show, set or remove the colour map."),
    "vat": Verb("db_objects", "Show or build the value attribute table."),
    "xml": Verb("db_objects", "The DataElement document of a dataset."),
}


@click.group(cls=LazyGroup, verbs=_VERBS, suffix="_verb")
def db() -> None:
    """Rasters in a relational database: SQLite files, PostgreSQL.

    URL is a file, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE; NAME is NAME, OWNER.NAME or
    DATABASE.OWNER.NAME.

    \b
    Example:
      fastpyr db create rasters.sqlite
      fastpyr db import ortho.tif rasters.sqlite ORTHO --compression lz77
      fastpyr db export rasters.sqlite ORTHO part.tif --bbox 650000,6860000,651000,6861000
    """
