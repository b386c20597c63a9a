"""The relational raster store: rasters in the tables of a geodatabase, in SQLite or PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .bridge import DatasetSource, PyramidInput
    from .catalog import CatalogItem, RasterCatalog
    from .check import CheckReport
    from .codec import BlockCodec
    from .colormap import ColorMap
    from .database import Geodatabase
    from .dataset import RasterDataset
    from .importer import ImportOptions
    from .inputs import ArrayInput, open_input
    from .mosaic import MosaicResult
    from .pixels import Compression, PixelType
    from .st_raster import STRaster

__all__ = [
    "ArrayInput",
    "BlockCodec",
    "CatalogItem",
    "CheckReport",
    "ColorMap",
    "Compression",
    "DatasetSource",
    "Geodatabase",
    "ImportOptions",
    "MosaicResult",
    "PixelType",
    "PyramidInput",
    "RasterCatalog",
    "RasterDataset",
    "STRaster",
    "open_input",
]

_MODULES = {
    "bridge": ("DatasetSource", "PyramidInput"),
    "catalog": ("CatalogItem", "RasterCatalog"),
    "check": ("CheckReport",),
    "codec": ("BlockCodec",),
    "colormap": ("ColorMap",),
    "database": ("Geodatabase",),
    "dataset": ("RasterDataset",),
    "importer": ("ImportOptions",),
    "inputs": ("ArrayInput", "open_input"),
    "mosaic": ("MosaicResult",),
    "pixels": ("Compression", "PixelType"),
    "st_raster": ("STRaster",),
}
__getattr__ = lazy_names(__name__, _MODULES)
