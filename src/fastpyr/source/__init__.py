"""Sources of pixels: raster files and arrays, found, opened, cached and put together into mosaics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

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
__getattr__ = lazy_names(__name__, _MODULES)
