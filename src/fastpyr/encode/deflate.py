"""Deflate: zlib streams for ZIP tiles and masks, and the engine behind PNG tiles."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import EncodeError
from ..formats import PixelFormat
from .base import TileEncoder

__all__ = ["DEFAULT_LEVEL", "Compress", "DeflateEncoder", "MixedEncoder", "deflater"]

Compress = Callable[[Any], bytes]
"""A contiguous array in, one zlib stream out."""

DEFAULT_LEVEL = 2
"""Effort of deflate where nothing else is asked for, 1 to 12: 1 and 2 are ISA-L (the fastest there is), 3 to 12
libdeflate (smaller, slower); encoders of levels 3 to 8 give drawn tiles to the native encoder. Tiles of one colour are
always its work.

Microseconds and bytes of one 256 x 256 RGB tile with PNG's filter bytes, one core:

=============  =============  =============
level          aerial photo   scanned map
=============  =============  =============
1              711 / 174802   346 / 36203
2              858 / 171882   344 / 35819
6              2693 / 159267  2355 / 26729
native         -              650 / 26200
12             10416 / 148574 66399 / 23201
zlib 6         6572 / 162078  6418 / 27040
=============  =============  =============
"""

_LAST_ISAL_LEVEL = 2  # level 3 of ISA-L takes longer and is not smaller on maps
_FIRST_NATIVE_LEVEL, _LAST_NATIVE_LEVEL = 2, 8  # from 9 on, libdeflate is smaller on drawn tiles too
_ONE_COLOUR, _DRAWN = 2, 1  # of _native.flat_tiles


def deflater(level: int = DEFAULT_LEVEL) -> Compress:
    """A compressor of that level; it lets other threads run while it works. Raises EncodeError outside 1..12."""
    if not 1 <= level <= 12:
        raise EncodeError(f"deflate level {level} does not exist: use 1 (fast) to 12 (small)")
    if level <= _LAST_ISAL_LEVEL:
        from isal.igzip_lib import COMP_ZLIB, compress

        return lambda data: bytes(compress(data, level, COMP_ZLIB))
    from imagecodecs import deflate_encode

    return lambda data: bytes(deflate_encode(data, level))


class MixedEncoder(TileEncoder):
    """Tiles of one colour and, at levels 2 to 8, drawn tiles (see ``_native.flat_tiles``) by the native encoder, which
    finds whole pixels, a block in one call; all others by a general one."""

    remembers_constants = False  # the native encoder does

    def __init__(self, fmt: PixelFormat, tile_width: int, tile_height: int, level: int | None, png: bool) -> None:
        super().__init__(fmt, tile_width, tile_height)
        effort = DEFAULT_LEVEL if level is None else level
        self._compress = deflater(effort)
        self._native = _native.DeflateEncoder(png)
        self._least = _DRAWN if _FIRST_NATIVE_LEVEL <= effort <= _LAST_NATIVE_LEVEL else _ONE_COLOUR

    def _pack(self, tile: npt.NDArray[Any]) -> bytes:
        if _native.flat_tiles(tile, self.tile_height, self.tile_width)[0] < self._least:
            return self._general(tile)
        return self._native.encode(tile)

    def _encode_tiles(self, pixels: npt.NDArray[Any], wanted: npt.NDArray[np.bool_]) -> list[list[bytes | None]]:
        height, width = self.tile_height, self.tile_width
        flat = np.frombuffer(_native.flat_tiles(pixels, height, width), np.uint8).reshape(wanted.shape)
        native = flat >= self._least
        tiles = self._native.encode_tiles(pixels, height, width, wanted & native)
        for y, x in np.argwhere(wanted & ~native).tolist():
            tiles[y][x] = self._general(pixels[y * height : (y + 1) * height, x * width : (x + 1) * width])
        return tiles

    @abstractmethod
    def _general(self, tile: npt.NDArray[Any]) -> bytes:
        """Bytes of a checked tile by the general compressor."""


class DeflateEncoder(MixedEncoder):
    """One zlib stream of the raw samples per tile."""

    def __init__(self, fmt: PixelFormat, tile_width: int, tile_height: int, level: int | None = None) -> None:
        super().__init__(fmt, tile_width, tile_height, level, png=False)

    def _general(self, tile: npt.NDArray[Any]) -> bytes:
        return self._compress(np.ascontiguousarray(self._rows(tile)))
