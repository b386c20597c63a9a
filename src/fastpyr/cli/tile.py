"""``fastpyr tile``: one tile as a file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .common import tms_option

__all__ = ["tile"]


@click.command()
@click.argument("descriptor")
@click.argument("level")
@click.argument("col", type=int)
@click.argument("row", type=int)
@click.option("-o", "--output", required=True, metavar="FILE", help="File to write, or - for stdout.")
@tms_option
def tile(descriptor: str, level: str, col: int, row: int, output: str, tms: str | None) -> None:
    """Extract one stored tile as a viewer expects it.

    LEVEL is the id of a level, COL and ROW the tile's indices in its tile matrix, counted from the top left. JPEG and
    PNG tiles are written as they are stored. Tiles stored as raw, lzw, pkb or zip get the header of a small TIFF. A
    FILE that ends with .png or .tif is converted when the tile is stored otherwise (float32 only to .tif).

    \b
    Examples:
      fastpyr tile out/ORTHO.json 18 135331 93104 -o tile.jpg
      fastpyr tile out/DEM.json 8 2242 22363 -o tile.tif
    """
    from ..pyramid import open_pyramid
    from ..pyramid.tile_file import tile_file

    data, _, what = tile_file(open_pyramid(descriptor, tms), level, col, row, Path(output).suffix)
    if output == "-":
        sys.stdout.buffer.write(data)
    else:
        from ..store import FileStore

        path = Path(output)
        FileStore(path.parent).put(path.name, [data])
    click.echo(f"{output}: {what}, {len(data)} bytes", err=output == "-")
