"""Sources of pixels: raster files and arrays, found, opened, cached and put together into mosaics."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .array import ArraySource
    from .attempts import Attempts
    from .base import Affine, BlockLayout, RasterInfo, Source
    from .cache import Chunk, ChunkCache
    from .gdal import GdalSource, open_source
    from .mosaic import Mosaic, build_mosaic
    from .pack import Pack
    from .reduced import ReducedPack
    from .scan import find_sources

__all__ = [
    "Affine",
    "ArraySource",
    "Attempts",
    "BlockLayout",
    "Chunk",
    "ChunkCache",
    "GdalSource",
    "Mosaic",
    "Pack",
    "RasterInfo",
    "ReducedPack",
    "Source",
    "build_mosaic",
    "find_sources",
    "open_source",
]

_MODULES = {
    "array": ("ArraySource",),
    "attempts": ("Attempts",),
    "base": ("Affine", "BlockLayout", "RasterInfo", "Source"),
    "cache": ("Chunk", "ChunkCache"),
    "gdal": ("GdalSource", "open_source"),
    "mosaic": ("Mosaic", "build_mosaic"),
    "pack": ("Pack",),
    "reduced": ("ReducedPack",),
    "scan": ("find_sources",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Public names are imported at first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
