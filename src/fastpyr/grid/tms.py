"""Finding a tile matrix set by name or by path, and the sets that come with fastpyr.

Built-in sets are kept as facts: a few grids (origin, cells, matrix sizes), and for each set its coordinate reference
system and its grid. In ``data/tile_matrix_sets.json`` a grid has

- ``origin`` [x, y] of all levels, or ``first_centre`` when levels share the centre of their first pixel instead;
- ``cells`` finest first, or ``levels`` with ``finest`` (doubled upwards) or ``coarsest`` (halved downwards), in both
  cases rounded to 15 significant digits;
- ``sizes`` [columns, rows] of each matrix finest first, or ``size`` of the finest, halved upwards and rounded up;
- ``tile`` in pixels when it is not 256.

Level ids count from "0", the coarsest.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import GridError
from .matrix import TileMatrix, TileMatrixSet, TmsKind
from .tms_json import read_tms_file, tms_from_json

__all__ = ["TileMatrix", "TileMatrixSet", "TmsKind", "load_tms", "tms_from_json", "tms_names"]

_DIRECTORY_VARIABLE = "ROK4_TMS_DIRECTORY"


def load_tms(name_or_path: str | os.PathLike[str]) -> TileMatrixSet:
    """The tile matrix set of that name (with or without ``.json``) or in that file.

    Looked up in this order: an existing file, when the text ends with ``.json`` or holds a path separator; the folder
    of the environment variable ROK4_TMS_DIRECTORY; the built-in sets. Raises GridError when there is none or when the
    file is not a valid set.
    """
    text = os.fspath(name_or_path)
    if "\0" in text or not text:
        raise GridError(f"tile matrix set {text!r}: not a name")
    is_path = os.path.dirname(text) != ""
    if (is_path or text.endswith(".json")) and os.path.isfile(text):
        return read_tms_file(Path(text))
    name = text.removesuffix(".json")
    if not is_path:
        folder = os.environ.get(_DIRECTORY_VARIABLE)
        if folder:
            for candidate in (Path(folder, name + ".json"), Path(folder, name)):
                if candidate.is_file():
                    return read_tms_file(candidate)
        if name in _facts()["sets"]:
            return _built_in(name)
    raise GridError(_unknown(text, name, is_path))


def tms_names() -> list[str]:
    """Names of the built-in sets and of those in ROK4_TMS_DIRECTORY, sorted."""
    names = set(_facts()["sets"])
    folder = os.environ.get(_DIRECTORY_VARIABLE)
    if folder and os.path.isdir(folder):
        names.update(path.stem for path in Path(folder).glob("*.json") if path.is_file())
    return sorted(names)


def _unknown(text: str, name: str, is_path: bool) -> str:
    shown = text if len(text) <= 200 else text[:197] + "..."
    if is_path:
        return f"tile matrix set {shown!r}: no such file"
    close = [known for known in _facts()["sets"] if known.lower() == name.lower()]
    hint = f"did you mean {close[0]}?" if close else "give a name listed by `fastpyr tms`, or the path of a JSON file"
    return f"unknown tile matrix set {shown!r}: {hint} (names are also looked up in {_DIRECTORY_VARIABLE})"


@lru_cache(maxsize=1)
def _facts() -> dict[str, Any]:
    text = Path(__file__).with_name("data").joinpath("tile_matrix_sets.json").read_text("utf-8")
    facts: dict[str, Any] = json.loads(text)
    return facts


@lru_cache(maxsize=128)
def _built_in(name: str) -> TileMatrixSet:
    crs, grid_name, *identifier = _facts()["sets"][name]
    grid = _facts()["grids"][grid_name]
    cells = _cells(grid)
    tile = grid.get("tile", 256)
    matrices = []
    for rank, (cell, size) in enumerate(zip(cells, _sizes(grid, len(cells)), strict=True)):
        x, y = _origin(grid, cell)
        matrices.append(TileMatrix(str(len(cells) - 1 - rank), cell, x, y, tile, tile, size[0], size[1]))
    geographic = grid_name.startswith("world-degrees")
    return TileMatrixSet(
        name=name,
        crs=crs,
        matrices=tuple(matrices),
        identifier=identifier[0] if identifier else name,
        axes=("Lon", "Lat") if geographic else ("X", "Y"),
    )


def _cells(grid: dict[str, Any]) -> list[float]:
    if "cells" in grid:
        return [float(cell) for cell in grid["cells"]]
    levels: int = grid["levels"]
    if "finest" in grid:
        exact = [grid["finest"] * 2.0**rank for rank in range(levels)]
    else:
        exact = [grid["coarsest"] / 2.0 ** (levels - 1 - rank) for rank in range(levels)]
    return [float(f"{cell:.15g}") for cell in exact]


def _sizes(grid: dict[str, Any], levels: int) -> list[tuple[int, int]]:
    if "sizes" in grid:
        return [(columns, rows) for columns, rows in grid["sizes"]]
    columns, rows = grid["size"]
    return [(_halved(columns, rank), _halved(rows, rank)) for rank in range(levels)]


def _halved(size: int, times: int) -> int:
    """``size`` divided by 2**times, rounded up."""
    return -(-size // (1 << times))


def _origin(grid: dict[str, Any], cell: float) -> tuple[float, float]:
    if "origin" in grid:
        return float(grid["origin"][0]), float(grid["origin"][1])
    x, y = grid["first_centre"]
    return x - cell / 2, y + cell / 2
