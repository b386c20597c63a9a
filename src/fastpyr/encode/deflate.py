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
libdeflate (smaller, slower). The native encoder has tiles of one colour at all levels, drawn tiles of few colours at
level 2, and all drawn tiles at levels 3 to 8.

Microseconds and bytes of one 256 x 256 RGB tile of a map scan with PNG's filter bytes, one core, all in one run; the
overview is the next level, means of 2 x 2 pixels, mostly not drawn:

=============  =============  =============
level          map            its overview
=============  =============  =============
1              263 / 23723    321 / 42091
2              244 / 23668    325 / 41443
6              1609 / 15852   1874 / 32869
native         382 / 15760    859 / 35359
12             78314 / 12759  53327 / 29743
zlib 6         3978 / 15459   6179 / 34493
=============  =============  =============
"""

_LAST_ISAL_LEVEL = 2  # level 3 of ISA-L takes longer and is not smaller on maps
_LAST_NATIVE_LEVEL = 8  # from 9 on, libdeflate is smaller on drawn tiles too
_ONE_COLOUR, _FEW_COLOURS, _DRAWN = 3, 2, 1  # of _native.flat_tiles


def deflater(level: int = DEFAULT_LEVEL) -> Compress:
    """A compressor of that level; it lets other threads run while it works. Raises EncodeError outside 1..12."""
    if not 1 <= level <= 12:
        raise EncodeError(f"deflate level {level} does not exist: use 1 (fast) to 12 (small)")
    if level <= _LAST_ISAL_LEVEL:
        from isal.igzip_lib import COMP_ZLIB, compress

        return lambda data: bytes(compress(data, level, COMP_ZLIB))
    from imagecodecs import deflate_encode

    return lambda data: bytes(deflate_encode(data, level))


def _least_flat(level: int) -> int:
    """From what value of ``_native.flat_tiles`` on tiles are the native encoder's at that level of effort."""
    if level == 1 or level > _LAST_NATIVE_LEVEL:
        return _ONE_COLOUR
    return _FEW_COLOURS if level <= _LAST_ISAL_LEVEL else _DRAWN


class MixedEncoder(TileEncoder):
    """Tiles of one colour, at level 2 drawn ones of few colours, at levels 3 to 8 all drawn ones (see
    ``_native.flat_tiles``) by the native encoder, which finds whole pixels, a block in one call; all others by a
    general one."""

    remembers_constants = False  # the native encoder does

    def __init__(self, fmt: PixelFormat, tile_width: int, tile_height: int, level: int | None, png: bool) -> None:
        super().__init__(fmt, tile_width, tile_height)
        effort = DEFAULT_LEVEL if level is None else level
        self._compress = deflater(effort)
        self._native = _native.DeflateEncoder(png)
        self._least = _least_flat(effort)

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
