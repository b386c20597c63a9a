"""``fastpyr export``: a level as a GeoTIFF."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .common import BoxType, WorkProgress, tms_option

if TYPE_CHECKING:
    from ..grid.bounds import BoundingBox

__all__ = ["export"]


@click.command()
@click.argument("descriptor")
@click.argument("level")
@click.argument("out", metavar="OUT.tif")
@click.option(
    "--bbox",
    type=BoxType(),
    help="Only this box: left,bottom,right,top in the CRS of the tile matrix set, snapped outward to pixels.",
)
@tms_option
def export(descriptor: str, level: str, out: str, bbox: BoundingBox | None, tms: str | None) -> None:
    """Write a level, or a part of it, as a georeferenced GeoTIFF.

    The file is tiled and deflated, of any size, and streamed: memory does not depend on it. Stored masks become the
    file's internal mask, otherwise nodata becomes its nodata tag. An existing OUT.tif is replaced when the new one is
    complete.

    \b
    Examples:
      fastpyr export out/ORTHO.json 18 ortho.tif
      fastpyr export out/ORTHO.json 15 part.tif --bbox 650000,5800000,655000,5804000
    """
    from ..pyramid import export_level, open_pyramid

    pyramid = open_pyramid(descriptor, tms)
    with WorkProgress() as progress:
        window = export_level(pyramid, level, out, bbox, lambda done, total: progress.update("writing", done, total))
    bounds = pyramid.level(level).window_bounds(window)
    click.echo(f"{out}: {window.width} x {window.height} pixels, {pyramid.tile_matrix_set.crs} {bounds}")
