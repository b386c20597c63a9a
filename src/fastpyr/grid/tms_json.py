"""Reading a tile matrix set from an OGC TMS v2 document that nobody vouches for."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from ..errors import GridError
from .matrix import TileMatrix, TileMatrixSet

__all__ = ["MAX_FILE_SIZE", "read_tms_file", "tms_from_json"]

MAX_FILE_SIZE = 4 << 20
"""Bytes: some 500 times the largest known set."""

_MAX_LEVELS = 100
_MAX_TILE = 1 << 14
_MAX_MATRIX = (1 << 31) - 1
_MAX_COORDINATE = 1e12
_MIN_CELL = 1e-12
# Ids become folder names, and object names are split on underscores.
_LEVEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:-]{0,63}")
_X_AXES = {"x", "e", "easting", "lon", "long", "longitude"}
_Y_AXES = {"y", "n", "northing", "lat", "latitude"}
_DEGREE_AXES = {"lon", "long", "longitude"}


def read_tms_file(path: Path) -> TileMatrixSet:
    """The set in a JSON file. Raises GridError naming the file and the field at fault."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise GridError(f"tile matrix set {path}: cannot be read ({error.strerror})") from None
    if len(data) > MAX_FILE_SIZE:
        raise GridError(f"tile matrix set {path}: larger than {MAX_FILE_SIZE >> 20} MiB, not a tile matrix set")
    name = path.name.removesuffix(".json")
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise GridError(f"tile matrix set {path}: not a JSON document ({_one_line(error)})") from None
    return tms_from_json(document, name, str(path))


def tms_from_json(document: Any, name: str, where: str) -> TileMatrixSet:
    """The set described by a parsed document. ``where`` names it in the GridError raised for any invalid field."""
    return _Reader(where).read(document, name)


class _Reader:
    """Checks every field it takes; messages start with where the document comes from."""

    def __init__(self, where: str) -> None:
        self._where = f"tile matrix set {where}"

    def _refuse(self, what: str) -> NoReturn:
        raise GridError(f"{self._where}: {what}")

    def read(self, document: Any, name: str) -> TileMatrixSet:
        if not isinstance(document, dict):
            self._refuse(f"expected a JSON object, found {_show(document)}")
        levels = self._list(document, "tileMatrices")
        if not 1 <= len(levels) <= _MAX_LEVELS:
            self._refuse(f"tileMatrices has {len(levels)} levels: expected 1 to {_MAX_LEVELS}")
        matrices = sorted((self._matrix(rank, level) for rank, level in enumerate(levels)), key=lambda m: m.cell_size)
        self._check_distinct(matrices)
        return TileMatrixSet(
            name=name,
            crs=self._crs(document),
            matrices=tuple(matrices),
            title=self._optional_text(document, "title"),
            identifier=self._optional_text(document, "id"),
            axes=self._axes(document),
        )

    def _list(self, document: dict[str, Any], key: str) -> list[Any]:
        value = document.get(key)
        if not isinstance(value, list):
            self._refuse(f"{key} must be a list, found {_found(document, key)}")
        return value

    def _optional_text(self, document: dict[str, Any], key: str) -> str | None:
        value = document.get(key)
        if value is not None and not isinstance(value, str):
            self._refuse(f"{key} must be a string, found {_show(value)}")
        return value

    def _crs(self, document: dict[str, Any]) -> str:
        value = document.get("crs")
        if isinstance(value, dict):
            value = value.get("uri")
        if not isinstance(value, str) or not value.strip() or len(value) > 1 << 16:
            self._refuse(f"crs must be a string such as EPSG:3857, found {_found(document, 'crs')}")
        return value.strip()

    def _axes(self, document: dict[str, Any]) -> tuple[str, str] | None:
        if document.get("orderedAxes") is None:
            return None
        axes = self._list(document, "orderedAxes")
        if len(axes) == 2 and all(isinstance(axis, str) for axis in axes):
            x, y = axes[0].lower(), axes[1].lower()
            if x in _X_AXES and y in _Y_AXES:
                return ("Lon", "Lat") if x in _DEGREE_AXES else ("X", "Y")
        self._refuse(
            f"orderedAxes must be [X, Y] or [Lon, Lat], found {_show(axes)}: "
            "ROK4 readers take coordinates x (longitude) first, rewrite orderedAxes and every pointOfOrigin so"
        )

    def _matrix(self, rank: int, level: Any) -> TileMatrix:
        if not isinstance(level, dict):
            self._refuse(f"tileMatrices[{rank}] must be an object, found {_show(level)}")
        id = level.get("id")
        if not isinstance(id, str) or not _LEVEL_ID.fullmatch(id):
            self._refuse(
                f"tileMatrices[{rank}].id must be a string of letters, digits, '.', '-', '+' or ':' "
                f"(no '_' nor '/'), found {_found(level, 'id')}"
            )
        if level.get("cornerOfOrigin", "topLeft") != "topLeft":
            self._refuse(f"level {id}: cornerOfOrigin must be topLeft, found {_show(level['cornerOfOrigin'])}")
        if level.get("variableMatrixWidths"):
            self._refuse(f"level {id}: variableMatrixWidths is not supported, ROK4 tiles have one width")
        x, y = self._origin(id, level)
        return TileMatrix(
            id=id,
            cell_size=self._cell_size(id, level),
            origin_x=x,
            origin_y=y,
            tile_width=self._size(id, level, "tileWidth", _MAX_TILE),
            tile_height=self._size(id, level, "tileHeight", _MAX_TILE),
            matrix_width=self._size(id, level, "matrixWidth", _MAX_MATRIX),
            matrix_height=self._size(id, level, "matrixHeight", _MAX_MATRIX),
        )

    def _origin(self, id: str, level: dict[str, Any]) -> tuple[float, float]:
        origin = level.get("pointOfOrigin")
        if isinstance(origin, list) and len(origin) == 2:
            x, y = _number(origin[0]), _number(origin[1])
            if x is not None and y is not None and max(abs(x), abs(y)) <= _MAX_COORDINATE:
                return x, y
        self._refuse(f"level {id}: pointOfOrigin must be two numbers [x, y], found {_found(level, 'pointOfOrigin')}")

    def _cell_size(self, id: str, level: dict[str, Any]) -> float:
        cell = _number(level.get("cellSize"))
        if cell is None or not _MIN_CELL <= cell <= _MAX_COORDINATE:
            self._refuse(f"level {id}: cellSize must be a positive number, found {_found(level, 'cellSize')}")
        return cell

    def _size(self, id: str, level: dict[str, Any], key: str, maximum: int) -> int:
        size = _number(level.get(key))
        if size is None or not 1 <= size <= maximum or size != int(size):
            self._refuse(f"level {id}: {key} must be an integer from 1 to {maximum}, found {_found(level, key)}")
        return int(size)

    def _check_distinct(self, matrices: list[TileMatrix]) -> None:
        ids: set[str] = set()
        for matrix in matrices:
            if matrix.id in ids:
                self._refuse(f"two levels have the id {matrix.id}")
            ids.add(matrix.id)
        for fine, coarse in pairwise(matrices):
            if fine.cell_size == coarse.cell_size:
                self._refuse(
                    f"levels {fine.id} and {coarse.id} have the same cellSize {fine.cell_size}: cannot be ordered"
                )


def _number(value: Any) -> float | None:
    """A finite float, None for anything else (booleans and huge integers included)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _found(parent: dict[str, Any], key: str) -> str:
    return _show(parent[key]) if key in parent else "nothing"


def _show(value: Any) -> str:
    """A value of unknown size in a few characters of one line."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list) and len(value) > 4:
        return f"a list of {len(value)} items"
    if isinstance(value, list):
        return "[" + ", ".join(_show(item) for item in value) + "]"
    if isinstance(value, str):
        value = value[:41]
    elif isinstance(value, int) and abs(value) >= 1 << 64:
        return "an integer beyond 64 bits"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120]
