"""Rasters written as file geodatabases, through the GDAL that the ``pyogrio`` wheel carries (its OpenFileGDB driver).

GDAL writes tables of file geodatabases but no rasters; a raster is four such tables, whose rows are the ones of the
relational store with the same block bytes. GDAL reads them back as a raster. Other readers have not been tried.
"""

from __future__ import annotations

import ctypes
import re
import shutil
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigError, StoreError
from .blocks import BlockGrid
from .pixels import Compression, PixelType, band_types

__all__ = ["FileGdbBlock", "block_key", "export_filegdb"]

_INTEGER, _REAL, _STRING, _BINARY = 0, 2, 4, 8
_NO_GEOMETRY, _POLYGON = 100, 6
_KEY_WIDTH = 22
_BAND_COLUMNS = (
    *((name, _INTEGER) for name in ("sequence_nbr", "raster_id")),
    ("name", _STRING),
    *((name, _INTEGER) for name in ("band_flags", "band_width", "band_height", "band_types")),
    *((name, _INTEGER) for name in ("block_width", "block_height")),
    *((name, _REAL) for name in ("block_origin_x", "block_origin_y", "eminx", "eminy", "emaxx", "emaxy")),
    *((name, _INTEGER) for name in ("cdate", "mdate", "srid")),
)
_BLOCK_COLUMNS = (
    *((name, _INTEGER) for name in ("rasterband_id", "rrd_factor", "row_nbr", "col_nbr")),
    ("block_data", _BINARY),
    ("block_key", _STRING),
)


class FileGdbBlock(NamedTuple):
    """A row of the block table; ``band`` counts from 1."""

    band: int
    level: int
    row: int
    col: int
    data: bytes


def block_key(band: int, level: int, row: int, col: int) -> str:
    """Key of a block: numbers in hexadecimal, negative rows and columns with a minus sign in front."""
    places = "".join(f"-{-number:04X}" if number < 0 else f"{number:04X}" for number in (row, col))
    return f"0000{band:04X}{level:02X}{places}"


def export_filegdb(
    path: Path,
    name: str,
    grid: BlockGrid,
    pixel_type: PixelType,
    compression: Compression,
    bands: int,
    blocks: Iterable[FileGdbBlock],
    wkt: str = "",
) -> None:
    """Write a new file geodatabase (a folder ``*.gdb``) with one raster of ``bands`` bands; levels are overviews.

    Readers of overviews want all levels from 0 on, and the raster's first pixel at the block origin: ConfigError for
    blocks of level 1 or more where ``grid.first_column`` or ``grid.first_row`` is not 0, or where a level is left out.
    ConfigError too for numbers that a key cannot hold and without pyogrio; StoreError when GDAL cannot write.
    """
    if path.exists() or path.suffix != ".gdb":
        raise ConfigError(f"{path}: a new folder whose name ends with .gdb is expected")
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,99}", name):
        raise ConfigError(f"{name!r}: a table needs a name of letters, digits and _, a letter first, 100 at most")
    if min(grid.width, grid.height) < 2:
        raise ConfigError(f"{name}: one pixel wide or high has no cell size in a file geodatabase, export a TIFF")
    gdal = Gdal()
    types = band_types(pixel_type, compression)
    dataset = gdal.create(path)
    try:
        try:
            _write(gdal, dataset, name, grid, types, bands, blocks, wkt)
        finally:
            gdal.close(dataset)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def _write(
    gdal: Gdal,
    dataset: int,
    name: str,
    grid: BlockGrid,
    types: int,
    bands: int,
    blocks: Iterable[FileGdbBlock],
    wkt: str,
) -> None:
    """The tables of one raster."""
    main = gdal.add_layer(dataset, name, _POLYGON, {"LAYER_ALIAS": "DERasterDataset"}, wkt)
    gdal.add_feature(main, {}, polygon=grid.extent)
    gdal.add_layer(dataset, f"fras_ras_{name}", _NO_GEOMETRY, {"FID": "raster_id"}).add_columns(
        (("raster_flags", _INTEGER), ("description", _STRING))
    )
    gdal.add_layer(dataset, f"fras_aux_{name}", _NO_GEOMETRY).add_columns(
        (("rasterband_id", _INTEGER), ("type", _INTEGER), ("object", _BINARY))
    )
    table = gdal.add_layer(dataset, f"fras_bnd_{name}", _NO_GEOMETRY, {"FID": "rasterband_id"})
    table.add_columns(_BAND_COLUMNS)
    # The reference of the first layer is the last one in GDAL's table of them, which begins with WGS 84.
    srid = gdal.execute(dataset, "SELECT * FROM GDB_SpatialRefs") if wkt else 0
    for number in range(1, bands + 1):
        gdal.add_feature(table, _band_row(grid, number, types, srid), fid=number)
    table = gdal.add_layer(dataset, f"fras_blk_{name}", _NO_GEOMETRY)
    table.add_columns(_BLOCK_COLUMNS, {"block_key": _KEY_WIDTH})
    for block in _checked(blocks, grid, bands):
        values = {column: value for (column, _), value in zip(_BLOCK_COLUMNS, block, strict=False)}
        gdal.add_feature(table, {**values, "block_key": block_key(*block[:4])})
    # Gives the index its full width; a minus sign sorts before all keys.
    gdal.add_feature(table, {"rasterband_id": 0, "block_key": "-" * _KEY_WIDTH})
    gdal.execute(dataset, f"CREATE INDEX block_index ON fras_blk_{name}(block_key)")


def _band_row(grid: BlockGrid, number: int, types: int, srid: int) -> dict[str, Any]:
    eminx, eminy, emaxx, emaxy = grid.centres
    return {
        "sequence_nbr": number,
        "raster_id": 1,
        "name": f"Band_{number}",
        "band_flags": 0,
        "band_width": grid.width,
        "band_height": grid.height,
        "band_types": types,
        "block_width": grid.block_width,
        "block_height": grid.block_height,
        "block_origin_x": grid.origin_x,
        "block_origin_y": grid.origin_y,
        "eminx": eminx,
        "eminy": eminy,
        "emaxx": emaxx,
        "emaxy": emaxy,
        "cdate": 0,
        "mdate": 0,
        "srid": srid,
    }


def _checked(blocks: Iterable[FileGdbBlock], grid: BlockGrid, bands: int) -> Iterator[FileGdbBlock]:
    levels = {0}
    for block in blocks:
        if not (1 <= block.band <= min(bands, 0xFFFF) and 0 <= block.level < 32):
            raise ConfigError(f"band {block.band}, level {block.level}: bands are 1 to {bands}, levels 0 to 31")
        if max(abs(block.row), abs(block.col)) > 0xFFFF:
            raise ConfigError(f"block row {block.row}, column {block.col}: keys hold 65535 at most, use larger blocks")
        if block.level and (grid.first_column or grid.first_row):
            raise ConfigError("overviews need the first pixel at the block origin: export without levels")
        levels.add(block.level)
        yield block
    if levels != set(range(len(levels))):
        raise ConfigError(f"levels {sorted(levels)}: a file geodatabase has all of them, export with level 1")


class _Layer:
    """A table that is being written."""

    def __init__(self, gdal: Gdal, handle: int) -> None:
        self.gdal, self.handle = gdal, handle
        self.columns: dict[str, tuple[int, int]] = {}

    def add_columns(self, columns: Iterable[tuple[str, int]], widths: dict[str, int] | None = None) -> None:
        call = self.gdal.call
        for name, kind in columns:
            column = call("OGR_Fld_Create", name, kind)
            if widths and name in widths:
                call("OGR_Fld_SetWidth", column, widths[name])
            call("OGR_L_CreateField", self.handle, column, 0)
            call("OGR_Fld_Destroy", column)
            self.columns[name] = (len(self.columns), kind)


_POINTER, _TEXT, _INT, _DOUBLE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_double
_STATUS = "status"
_MAYBE = "pointer or nothing"
_CALLS: dict[str, tuple[Any, list[Any]]] = {
    "GDALAllRegister": (None, []),
    "GDALGetDriverByName": (_POINTER, [_TEXT]),
    "GDALCreate": (_POINTER, [_POINTER, _TEXT, _INT, _INT, _INT, _INT, _POINTER]),
    "GDALClose": (None, [_POINTER]),
    "GDALDatasetCreateLayer": (_POINTER, [_POINTER, _TEXT, _POINTER, _INT, _POINTER]),
    "GDALDatasetExecuteSQL": (_MAYBE, [_POINTER, _TEXT, _POINTER, _TEXT]),
    "GDALDatasetReleaseResultSet": (None, [_POINTER, _POINTER]),
    "OGR_Fld_Create": (_POINTER, [_TEXT, _INT]),
    "OGR_Fld_SetWidth": (None, [_POINTER, _INT]),
    "OGR_Fld_Destroy": (None, [_POINTER]),
    "OGR_L_CreateField": (_STATUS, [_POINTER, _POINTER, _INT]),
    "OGR_L_GetLayerDefn": (_POINTER, [_POINTER]),
    "OGR_L_GetFeatureCount": (ctypes.c_int64, [_POINTER, _INT]),
    "OGR_L_CreateFeature": (_STATUS, [_POINTER, _POINTER]),
    "OGR_F_Create": (_POINTER, [_POINTER]),
    "OGR_F_Destroy": (None, [_POINTER]),
    "OGR_F_SetFID": (_STATUS, [_POINTER, ctypes.c_int64]),
    "OGR_F_SetFieldInteger": (None, [_POINTER, _INT, _INT]),
    "OGR_F_SetFieldDouble": (None, [_POINTER, _INT, _DOUBLE]),
    "OGR_F_SetFieldString": (None, [_POINTER, _INT, _TEXT]),
    "OGR_F_SetFieldBinary": (None, [_POINTER, _INT, _INT, ctypes.c_char_p]),
    "OGR_F_SetGeometryDirectly": (_STATUS, [_POINTER, _POINTER]),
    "OGR_G_CreateFromWkt": (_STATUS, [ctypes.POINTER(_TEXT), _POINTER, ctypes.POINTER(_POINTER)]),
    "OSRNewSpatialReference": (_POINTER, [_TEXT]),
    "OSRRelease": (None, [_POINTER]),
    "CPLGetLastErrorMsg": (_TEXT, []),
    "CPLErrorReset": (None, []),
    "CPLPushErrorHandler": (None, [_POINTER]),
    "CPLPopErrorHandler": (None, []),
    "CSLAddNameValue": (_POINTER, [_POINTER, _TEXT, _TEXT]),
    "CSLDestroy": (None, [_POINTER]),
}


class Gdal:
    """The C functions of pyogrio's GDAL that exports need. ConfigError when pyogrio or its library is not there."""

    def __init__(self) -> None:
        try:
            # Imported, not only found: it tells GDAL where its data files are.
            home = Path(str(import_module("pyogrio").__file__)).parent
        except ImportError:
            raise ConfigError("file geodatabases need the package pyogrio: pip install pyogrio") from None
        places = (home.with_name("pyogrio.libs").glob("libgdal*"), (home / ".dylibs").glob("libgdal*"))
        found = next((path for place in places for path in place), None)
        if found is None:
            raise ConfigError(f"no GDAL library beside {home}: install pyogrio from its wheel")
        self.library = ctypes.CDLL(str(found))
        for name, (result, arguments) in _CALLS.items():
            function = self.library[name]
            function.restype = {_STATUS: _INT, _MAYBE: _POINTER}.get(result, result)
            function.argtypes = arguments
            setattr(self.library, name, function)
        self._quiet = ctypes.cast(self.library["CPLQuietErrorHandler"], _POINTER)
        self.call("GDALAllRegister")

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function; texts become UTF-8. StoreError with GDAL's words when it fails."""
        function, (result, _) = getattr(self.library, name), _CALLS[name]
        encoded = [value.encode() if isinstance(value, str) else value for value in arguments]
        self.library.CPLErrorReset()
        self.library.CPLPushErrorHandler(self._quiet)
        try:
            value = function(*encoded)
        finally:
            self.library.CPLPopErrorHandler()
        failed = (result is _POINTER and not value) or (result is _STATUS and value != 0)
        if failed:
            raise StoreError(f"GDAL cannot write the file geodatabase: {self.last_error() or name}")
        return value

    def last_error(self) -> str:
        """GDAL's last message on one line."""
        message: bytes = self.library.CPLGetLastErrorMsg()
        return " ".join(message.decode("utf-8", "replace").split())

    def create(self, path: Path) -> int:
        driver = self.call("GDALGetDriverByName", "OpenFileGDB")
        dataset: int = self.call("GDALCreate", driver, str(path), 0, 0, 0, 0, None)
        return dataset

    def close(self, dataset: int) -> None:
        """StoreError when GDAL could not write all of it."""
        self.call("GDALClose", dataset)
        if self.last_error():
            raise StoreError(f"GDAL cannot write the file geodatabase: {self.last_error()}")

    def execute(self, dataset: int, sql: str) -> int:
        """How many rows a statement gives. StoreError when GDAL complains."""
        rows = self.call("GDALDatasetExecuteSQL", dataset, sql, None, None)
        if self.last_error():
            raise StoreError(f"GDAL cannot write the file geodatabase: {self.last_error()}")
        count: int = self.call("OGR_L_GetFeatureCount", rows, 1) if rows else 0
        if rows:
            self.call("GDALDatasetReleaseResultSet", dataset, rows)
        return count

    def add_layer(
        self, dataset: int, name: str, geometry: int, options: dict[str, str] | None = None, wkt: str = ""
    ) -> _Layer:
        reference = self.call("OSRNewSpatialReference", wkt) if wkt else None
        listed = None
        for key, value in (options or {}).items():
            listed = self.call("CSLAddNameValue", listed, key, value)
        try:
            return _Layer(self, self.call("GDALDatasetCreateLayer", dataset, name, reference, geometry, listed))
        finally:
            self.library.CSLDestroy(listed)
            if reference is not None:
                self.library.OSRRelease(reference)

    def add_feature(self, layer: _Layer, values: dict[str, Any], fid: int | None = None, polygon: Any = None) -> None:
        """A row; ``polygon`` is a box that becomes its geometry."""
        feature = self.call("OGR_F_Create", self.call("OGR_L_GetLayerDefn", layer.handle))
        try:
            if fid is not None:
                self.call("OGR_F_SetFID", feature, fid)
            for name, value in values.items():
                index, kind = layer.columns[name]
                if kind == _BINARY:
                    self.call("OGR_F_SetFieldBinary", feature, index, len(value), value)
                else:
                    verb = {_INTEGER: "Integer", _REAL: "Double", _STRING: "String"}[kind]
                    self.call(f"OGR_F_SetField{verb}", feature, index, value)
            if polygon is not None:
                self.call("OGR_F_SetGeometryDirectly", feature, self._polygon(polygon))
            self.call("OGR_L_CreateFeature", layer.handle, feature)
        finally:
            self.call("OGR_F_Destroy", feature)

    def _polygon(self, box: tuple[float, float, float, float]) -> int | None:
        left, bottom, right, top = box
        corners = [(left, bottom), (left, top), (right, top), (right, bottom), (left, bottom)]
        text = f"MULTIPOLYGON ((({', '.join(f'{x!r} {y!r}' for x, y in corners)})))".encode()
        pointer, geometry = _TEXT(text), _POINTER()
        self.call("OGR_G_CreateFromWkt", ctypes.byref(pointer), None, ctypes.byref(geometry))
        return geometry.value
