"""From a pixel format to its encoder."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import EncodeError
from ..formats import MASK_FORMAT, Compression, PixelFormat
from .base import TileEncoder
from .deflate import DeflateEncoder
from .jpeg import JpegEncoder
from .plain import LzwEncoder, PackBitsEncoder, RawEncoder
from .png import PngEncoder

__all__ = ["MASK_PIXELS", "encoder", "mask_encoder"]

MASK_PIXELS = PixelFormat(MASK_FORMAT, 1, (0,))
"""Pixel format of mask slabs: one channel, nodata 0."""

_WITHOUT_LEVEL: dict[Compression, Callable[[PixelFormat, int, int], TileEncoder]] = {
    Compression.RAW: RawEncoder,
    Compression.LZW: LzwEncoder,
    Compression.PKB: PackBitsEncoder,
    Compression.JPG: JpegEncoder,
    Compression.JPG90: JpegEncoder,
}


def encoder(fmt: PixelFormat, tile_width: int, tile_height: int, level: int | None = None) -> TileEncoder:
    """An encoder of tiles of ``tile_width`` x ``tile_height`` pixels; make one per thread.

    ``level`` is the effort of deflate (ZIP and PNG only), 1 fast to 12 small. Raises EncodeError for a level or a tile
    size that the format cannot have.
    """
    compression = fmt.format.compression
    if compression in _WITHOUT_LEVEL:
        if level is not None:
            raise EncodeError(f"compression {compression.value.lower()} has no level: leave it out")
        return _WITHOUT_LEVEL[compression](fmt, tile_width, tile_height)
    if compression is Compression.PNG:
        return PngEncoder(fmt, tile_width, tile_height, level)
    return DeflateEncoder(fmt, tile_width, tile_height, level)


def mask_encoder(tile_width: int, tile_height: int, level: int | None = None) -> TileEncoder:
    """An encoder of mask tiles, uint8 (rows, cols) or (rows, cols, 1), 0 = nodata, 255 = data."""
    return encoder(MASK_PIXELS, tile_width, tile_height, level)
