"""``fastpyr tms``: the tile matrix sets that pyramids can be built on."""

from __future__ import annotations

from typing import Any

import click

from ..grid.tms import TileMatrix, TileMatrixSet, load_tms, tms_names
from .common import print_facts, print_json, print_table
from .start import load_pyproj

__all__ = ["tms"]


@click.command()
@click.argument("name", required=False, metavar="[NAME|FILE]")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout; of one set: a file that --tms takes.")
def tms(name: str | None, as_json: bool) -> None:
    """List the known tile matrix sets, or show one.

    Known are the built-in sets and the files of the folder in ROK4_TMS_DIRECTORY. FILE is any tile matrix set in OGC
    JSON (version 2). Levels are listed finest first; coordinates are x (longitude) first.

    KIND says how upper levels are made: QTREE by 2x2 mean, NNGRAPH by picking pixels of a finer level whose centres
    coincide, IRREGULAR where some level can only be made from the sources.

    \b
    Examples:
      fastpyr tms
      fastpyr tms PM
      fastpyr tms LAMB93_10cm --json > my-grid.json
    """
    if name is not None:
        _show(load_tms(name), as_json)
        return
    sets = [load_tms(known) for known in tms_names()]
    if as_json:
        print_json([_summary(one) for one in sets])
        return
    header = ("NAME", "CRS", "KIND", "LEVELS", "FINEST", "COARSEST")
    print_table(header, [_row(one) for one in sets])


def _row(one: TileMatrixSet) -> tuple[object, ...]:
    finest, coarsest = one.matrices[0], one.matrices[-1]
    return (
        one.name,
        one.crs,
        one.kind,
        len(one.matrices),
        f"{finest.id} ({finest.cell_size:.6g})",
        f"{coarsest.id} ({coarsest.cell_size:.6g})",
    )


def _summary(one: TileMatrixSet) -> dict[str, Any]:
    return {"name": one.name, "title": one.title, "crs": one.crs, "kind": one.kind, "levels": list(one.ids)}


def _show(one: TileMatrixSet, as_json: bool) -> None:
    if as_json:
        load_pyproj()
        print_json(one.to_json())
        return
    facts: list[tuple[str, object]] = [("name", one.name), ("title", one.title), ("crs", one.crs), ("kind", one.kind)]
    print_facts([(key, value) for key, value in facts if value])
    click.echo()
    header = ("LEVEL", "CELL SIZE", "ORIGIN X", "ORIGIN Y", "TILE", "COLUMNS", "ROWS")
    print_table(header, [_matrix_row(matrix) for matrix in one.matrices])


def _matrix_row(matrix: TileMatrix) -> tuple[object, ...]:
    tile = f"{matrix.tile_width}x{matrix.tile_height}"
    size = (matrix.matrix_width, matrix.matrix_height)
    return (matrix.id, matrix.cell_size, matrix.origin_x, matrix.origin_y, tile, *size)
