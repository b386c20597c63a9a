"""``fastpyr db``: rasters in a relational database."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import click

__all__ = ["db"]


@dataclass(frozen=True, slots=True)
class _Verb:
    module: str
    help: str


_VERBS = {
    "create": _Verb("db_manage", "Make a geodatabase, or an empty raster catalog in one."),
    "list": _Verb("db_manage", "List datasets and catalogs."),
    "describe": _Verb("db_manage", "Facts of a dataset or catalog."),
    "drop": _Verb("db_manage", "Remove a dataset or catalog with its tables."),
    "copy": _Verb("db_manage", "Copy a dataset or catalog, also to another database."),
    "search": _Verb("db_manage", "List the rasters of a catalog in a box."),
    "check": _Verb("db_manage", "Check rows, blocks, pyramid and statistics; exit 0 only if all is right."),
    "import": _Verb("db_pixels", "Store rasters as a new dataset, or in a catalog."),
    "mosaic": _Verb("db_pixels", "Put rasters over a dataset, or take them out of it."),
    "export": _Verb("db_pixels", "Write a dataset, or a part of it, as a GeoTIFF."),
    "pyramid": _Verb("db_pixels", "Build the pyramid of a dataset anew."),
    "stats": _Verb("db_objects", "Statistics of the bands: shown, or counted anew."),
    "colormap": _Verb("db_objects", "Show, set or remove the colour map."),
    "vat": _Verb("db_objects", "Show or build the value attribute table."),
    "xml": _Verb("db_objects", "The DataElement document of a dataset."),
}


class _LazyGroup(click.Group):
    """Verbs are imported when they are called: most need SQLAlchemy."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = _VERBS.get(cmd_name)
        if verb is None:
            return None
        module = importlib.import_module(f"{__package__}.{verb.module}")
        command: click.Command = getattr(module, f"{cmd_name}_verb")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in _VERBS.items()])


@click.group(cls=_LazyGroup)
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
