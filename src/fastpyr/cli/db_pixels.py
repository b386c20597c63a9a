"""Verbs of ``fastpyr db`` that move pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ..db import Geodatabase, PyramidInput, RasterCatalog
from ..db.export import export_filegdb_raster
from ..errors import ConfigError
from ..grid.bounds import BoundingBox
from ..pyramid import open_pyramid
from ..source import find_sources
from .common import BoxType, WorkProgress
from .db_manage import open_entry, open_raster

__all__ = ["export_verb", "import_verb", "mosaic_verb", "pyramid_verb"]


def _sources(names: Sequence[str], level: str | None, bbox: BoundingBox | None) -> list[Any]:
    """Files, folders and globs; descriptors of pyramids (.json) give a level."""
    pyramids = [name for name in names if name.endswith(".json")]
    files = [name for name in names if name not in pyramids]
    if (level is not None or bbox is not None) and not pyramids:
        raise ConfigError("--level and --bbox are for a pyramid's descriptor (.json) as SOURCE")
    found: list[Any] = list(find_sources(files)) if files else []
    return found + [PyramidInput(open_pyramid(name), level, bbox) for name in pyramids]


@click.command("import")
@click.argument("arguments", nargs=-1, metavar="SOURCE... URL NAME")
@click.option("--block", type=int, default=128, show_default=True, metavar="N", help="Pixels along a block's side.")
@click.option("--compression", default="lz77", show_default=True, metavar="NAME", help="lz77, jpeg, jp2 or none.")
@click.option("--quality", type=int, default=75, show_default=True, metavar="Q", help="Of jpeg and jp2, 1 to 100.")
@click.option("--pyramid", default="auto", show_default=True, metavar="auto|esri|N", help="Levels; 0 for none.")
@click.option("--skip-level1", is_flag=True, help="Leave out level 1: a pyramid of 8 % instead of 33 %.")
@click.option(
    "--interpolation",
    metavar="NAME",
    help="nearest, bilinear or bicubic. [default: bilinear; nearest with a colour map and below 8 bits]",
)
@click.option("--storage", default="binary", show_default=True, metavar="NAME", help="binary or st_raster.")
@click.option("--srs", metavar="CRS", help="CRS of files that carry none.")
@click.option("--level", metavar="LEVEL", help="Of a pyramid as SOURCE. [default: the finest]")
@click.option("--bbox", type=BoxType(), help="Of a pyramid as SOURCE: only this box.")
def import_verb(
    arguments: tuple[str, ...],
    level: str | None,
    bbox: BoundingBox | None,
    storage: str,
    srs: str | None,
    **options: Any,
) -> None:
    """Store rasters as the new dataset NAME, or add them to the catalog NAME.

    SOURCE: raster files, folders, globs, or a pyramid's descriptor. Several ones for a dataset must share one grid of
    pixels; those of a catalog need not.
    """
    if len(arguments) < 3:
        raise ConfigError("give SOURCE..., URL and NAME, e.g. fastpyr db import ortho.tif rasters.sqlite ORTHO")
    *names, url, name = arguments
    sources = _sources(names, level, bbox)
    with Geodatabase(url) as opened, WorkProgress():
        known = opened.lookup(name)
        if known is not None and known.is_catalog:
            added = opened.catalog(name).add_many(sources, srs=srs, **options)
            click.echo(f"{known.full_name}: {len(added)} raster(s) added")
            return
        made = opened.import_raster(sources, name, storage=storage, srs=srs, **options)
        levels = ", ".join(map(str, made.levels))
        click.echo(f"{made.name}: {made.width} x {made.height} pixels, {made.bands} band(s), levels {levels}")


@click.command("mosaic")
@click.argument("arguments", nargs=-1, metavar="SOURCE... URL NAME")
@click.option("--mode", default="merge", show_default=True, metavar="merge|delete", help="Put over, or take out.")
@click.option("--srs", metavar="CRS", help="CRS of files that carry none.")
@click.option("--level", metavar="LEVEL", help="Of a pyramid as SOURCE. [default: the finest]")
@click.option("--raster", metavar="ID|NAME", help="The raster of a catalog.")
def mosaic_verb(arguments: tuple[str, ...], mode: str, srs: str | None, level: str | None, raster: str | None) -> None:
    """Put rasters over the dataset NAME, which grows in any direction, or clear their pixels in it.

    Pixels must be of one size and on one grid. Only touched blocks and those above them are written.
    """
    if len(arguments) < 3:
        raise ConfigError("give SOURCE..., URL and NAME, e.g. fastpyr db mosaic more.tif rasters.sqlite ORTHO")
    *names, url, name = arguments
    sources = _sources(names, level, None)
    with Geodatabase(url) as opened:
        dataset = open_raster(opened, name, raster)
        done = dataset.mosaic(sources, mode, srs=srs)
        blocks = f"{done.base_blocks} blocks and {done.pyramid_blocks} of the pyramid"
        click.echo(f"{dataset.name}: {dataset.width} x {dataset.height} pixels, {blocks} rewritten")


@click.command("export")
@click.argument("url")
@click.argument("name")
@click.argument("out", metavar="OUT.tif|OUT.gdb")
@click.option("--level", type=int, default=0, show_default=True, help="Pyramid level.")
@click.option("--bbox", type=BoxType(), help="Only this box, in the CRS of the raster.")
@click.option("--raster", metavar="ID|NAME", help="One raster of a catalog.")
def export_verb(
    url: str,
    name: str,
    out: str,
    level: int,
    bbox: BoundingBox | None,
    raster: str | None,
) -> None:
    """Write a dataset, a level or a part of it, as a georeferenced GeoTIFF; all of it to OUT.gdb, block for block."""
    with Geodatabase(url) as opened:
        dataset = open_raster(opened, name, raster)
        if out.endswith(".gdb"):
            if level or bbox is not None:
                raise ConfigError("a file geodatabase gets the whole raster: leave out --level and --bbox")
            levels = export_filegdb_raster(dataset, out)
            click.echo(f"{out}: {dataset.width} x {dataset.height} pixels, levels {', '.join(map(str, levels))}")
            return
        with WorkProgress() as progress:
            window = dataset.export(
                out, level=level, bbox=bbox, progress=lambda done, total: progress.update("writing", done, total)
            )
    click.echo(f"{out}: {window[2] - window[0]} x {window[3] - window[1]} pixels")


@click.command("pyramid")
@click.argument("url")
@click.argument("name")
@click.argument("levels", default="auto", metavar="[auto|esri|N]")
@click.option("--skip-level1", is_flag=True, help="Leave out level 1: a pyramid of 8 % instead of 33 %.")
@click.option("--interpolation", "method", default="bilinear", show_default=True, metavar="NAME")
@click.option("--quality", type=int, metavar="Q", help="Of jpeg and jp2, 1 to 100. [default: that of the import]")
@click.option("--raster", metavar="ID|NAME", help="One raster of a catalog. [default: all of them]")
def pyramid_verb(
    url: str, name: str, levels: str, skip_level1: bool, method: str, quality: int | None, raster: str | None
) -> None:
    """Build the pyramid of a dataset anew: auto, esri or a number of levels, 0 to remove it."""
    with Geodatabase(url) as opened:
        found = open_raster(opened, name, raster) if raster else open_entry(opened, name)
        rasters = [found.raster(i.id) for i in found.items()] if isinstance(found, RasterCatalog) else [found]
        for each in rasters:
            made = each.build_pyramid(levels, skip_level1=skip_level1, method=method, quality=quality)
            click.echo(f"{each.name}: levels {', '.join(map(str, (0, *made)))}")
