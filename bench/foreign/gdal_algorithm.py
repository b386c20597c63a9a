"""Runs a ``gdal`` command line algorithm inside the libgdal that a rasterio >= 1.5 wheel carries, through its C API.

usage: python gdal_algorithm.py raster tile [argument ...]

The wheel has no ``gdal`` program, but its library exports all that the program calls.
"""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, c_bool, c_char_p, c_int, c_void_p
from importlib.util import find_spec
from pathlib import Path

_DEPTH = 2
"""Words that name the algorithm (``raster tile``)."""


def _library() -> ctypes.CDLL:
    spec = find_spec("rasterio")
    if spec is None or spec.origin is None:
        raise SystemExit("rasterio is not installed in this environment")
    package = Path(spec.origin).parent
    os.environ["GDAL_DATA"] = str(package / "gdal_data")
    os.environ["PROJ_DATA"] = str(package / "proj_data")
    folders = [package.parent / "rasterio.libs", package / ".dylibs"]
    found = [path for folder in folders for path in folder.glob("libgdal*")]
    if not found:
        raise SystemExit("this rasterio has no libgdal of its own: install its wheel from PyPI")
    return ctypes.CDLL(str(found[0]))


def _declare(gdal: ctypes.CDLL) -> None:
    for name, result, arguments in (
        ("GDALAllRegister", None, []),
        ("GDALGetGlobalAlgorithmRegistry", c_void_p, []),
        ("GDALAlgorithmRegistryInstantiateAlg", c_void_p, [c_void_p, c_char_p]),
        ("GDALAlgorithmInstantiateSubAlgorithm", c_void_p, [c_void_p, c_char_p]),
        ("GDALAlgorithmParseCommandLineArguments", c_bool, [c_void_p, POINTER(c_char_p)]),
        ("GDALAlgorithmRun", c_bool, [c_void_p, c_void_p, c_void_p]),
        ("GDALAlgorithmFinalize", c_bool, [c_void_p]),
        ("GDALAlgorithmRelease", None, [c_void_p]),
        ("GDALVersionInfo", c_char_p, [c_char_p]),
        ("CPLGetLastErrorMsg", c_char_p, []),
        ("CPLSetConfigOption", None, [c_char_p, c_char_p]),
        ("GDALDestroyDriverManager", None, []),
        ("CPLGetLastErrorNo", c_int, []),
    ):
        function = getattr(gdal, name)
        function.restype, function.argtypes = result, arguments


def main(words: list[str]) -> int:
    """Exit code 0 when the algorithm ran to its end."""
    gdal = _library()
    _declare(gdal)
    if words == ["--version"]:
        print(gdal.GDALVersionInfo(b"RELEASE_NAME").decode())
        return 0
    gdal.GDALAllRegister()
    algorithm = gdal.GDALAlgorithmRegistryInstantiateAlg(gdal.GDALGetGlobalAlgorithmRegistry(), words[0].encode())
    for word in words[1:_DEPTH]:
        algorithm = gdal.GDALAlgorithmInstantiateSubAlgorithm(algorithm, word.encode())
    if not algorithm:
        raise SystemExit(f"this GDAL has no algorithm {' '.join(words[:_DEPTH])!r}")
    arguments = [word.encode() for word in words[_DEPTH:]]
    array = (c_char_p * (len(arguments) + 1))(*arguments, None)
    steps = (
        lambda: gdal.GDALAlgorithmParseCommandLineArguments(algorithm, array),
        lambda: gdal.GDALAlgorithmRun(algorithm, None, None),
        lambda: gdal.GDALAlgorithmFinalize(algorithm),
    )
    for step in steps:
        if not step():
            print(gdal.CPLGetLastErrorMsg().decode(errors="replace"), file=sys.stderr)
            return 1
    gdal.GDALAlgorithmRelease(algorithm)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
