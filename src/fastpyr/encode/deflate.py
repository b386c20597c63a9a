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
libdeflate (smaller, slower).

Microseconds and bytes of one 256 x 256 RGB tile with PNG's filter bytes, one core:

=============  =============  =============  ==============
level          aerial photo   scanned map    one colour
=============  =============  =============  ==============
1              722 / 185280   274 / 33747    19 / 1196
2              740 / 184570   233 / 33425    19 / 1196
3              2421 / 178494  1150 / 27405   278 / 697
6              2834 / 177217  1949 / 24782   276 / 662
zlib 5         6457 / 178421  3152 / 27236   829 / 698
zlib 6         6518 / 178421  5459 / 24982   828 / 698
=============  =============  =============  ==============
"""

_LAST_ISAL_LEVEL = 2  # level 3 of ISA-L takes longer and is not smaller on maps


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
    """Tiles that are drawn (see ``_native.flat_tiles``) by the native encoder, which finds whole pixels, a block in one
    call; all others, and all when a level is given, by a general one."""

    def __init__(self, fmt: PixelFormat, tile_width: int, tile_height: int, level: int | None, png: bool) -> None:
        super().__init__(fmt, tile_width, tile_height)
        self._compress = deflater(DEFAULT_LEVEL if level is None else level)
        self._native = _native.DeflateEncoder(png) if level is None else None
        self.remembers_constants = level is not None  # the native encoder does so itself

    def _pack(self, tile: npt.NDArray[Any]) -> bytes:
        if self._native is None or not _native.flat_tiles(tile, self.tile_height, self.tile_width)[0]:
            return self._general(tile)
        return self._native.encode(tile)

    def _encode_tiles(self, pixels: npt.NDArray[Any], wanted: npt.NDArray[np.bool_]) -> list[list[bytes | None]]:
        if self._native is None:
            return super()._encode_tiles(pixels, wanted)
        height, width = self.tile_height, self.tile_width
        flat = np.frombuffer(_native.flat_tiles(pixels, height, width), np.bool_).reshape(wanted.shape)
        tiles = self._native.encode_tiles(pixels, height, width, wanted & flat)
        for y, x in np.argwhere(wanted & ~flat).tolist():
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
