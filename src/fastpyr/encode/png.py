"""PNG tiles as readers of the format need them, which is much less than PNG allows.

=======  ==========================================================================
0        the 8-byte signature
8        IHDR: 8 bits, colour type by channels, no interlace
33       the only IDAT: a zlib stream of rows, each behind filter byte 0 (none)
end-12   IEND
=======  ==========================================================================

No other chunk, no filter, no second IDAT: the tile server inflates the bytes between fixed places and does not look
at filter bytes, so a tile from an ordinary PNG writer would be served with wrong pixels and no error.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import EncodeError
from ..formats import PixelFormat
from .deflate import Compress, MixedEncoder

__all__ = ["COLOUR_TYPES", "IDAT_AT", "PNG_END", "PngEncoder", "png_head", "png_tile"]

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""IHDR colour type of each channel count."""

IDAT_AT = 33
"""Position of the IDAT chunk."""

PNG_END = b"\0\0\0\0IEND\xae\x42\x60\x82"


def png_head(width: int, height: int, channels: int) -> bytes:
    """Signature and IHDR of an 8-bit image: the first 33 bytes."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + struct.pack(">I", _native.crc32(header))


def png_tile(head: bytes, rows: npt.NDArray[np.uint8], compress: Compress) -> bytes:
    """A whole PNG from its first 33 bytes and rows that carry their filter byte, (height, 1 + row bytes)."""
    stream = compress(rows)
    checksum = _native.crc32(stream, _native.crc32(b"IDAT"))
    return b"".join((head, struct.pack(">I", len(stream)), b"IDAT", stream, struct.pack(">I", checksum), PNG_END))


class PngEncoder(MixedEncoder):
    """PNG tiles, square because readers take width for height and height for width."""

    def __init__(self, fmt: PixelFormat, tile_width: int, tile_height: int, level: int | None = None) -> None:
        super().__init__(fmt, tile_width, tile_height, level, png=True)
        if tile_width != tile_height:
            raise EncodeError(
                f"PNG tiles must be square, these have {tile_width} x {tile_height} pixels: use zip or another grid"
            )
        self._head = png_head(tile_width, tile_height, fmt.channels)
        # Column 0 holds the filter bytes, zero for ever.
        self._filtered = np.zeros((tile_height, 1 + self._row_bytes), np.uint8)

    def _general(self, tile: npt.NDArray[Any]) -> bytes:
        self._filtered[:, 1:] = self._rows(tile)
        return png_tile(self._head, self._filtered, self._compress)
