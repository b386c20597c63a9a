"""JPEG tiles: baseline, chroma halved in both directions, standard tables, the same bytes as libjpeg-turbo."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import EncodeError
from ..formats import Compression, PixelFormat
from .base import TileEncoder

__all__ = ["QUALITIES", "JpegEncoder"]

QUALITIES = {Compression.JPG: 75, Compression.JPG90: 90}


class JpegEncoder(TileEncoder):
    """One JFIF stream per tile, 3 channels of uint8.

    The native encoder does the work where it has a vector path, a whole block in one call; elsewhere imagecodecs
    (libjpeg-turbo) is faster. The bytes are the same.
    """

    remembers_constants = False

    def __init__(self, fmt: PixelFormat, tile_width: int, tile_height: int) -> None:
        super().__init__(fmt, tile_width, tile_height)
        if max(tile_width, tile_height) > 65500:
            raise EncodeError(f"a JPEG tile of {tile_width} x {tile_height} pixels is too large: 65500 is the limit")
        self._quality = QUALITIES[fmt.format.compression]
        self._native = _native.JpegEncoder(self._quality) if "avx2" in _native.cpu_paths() else None

    def _pack(self, tile: npt.NDArray[Any]) -> bytes:
        if self._native is not None:
            return self._native.encode(tile)
        from imagecodecs import jpeg8_encode

        return bytes(jpeg8_encode(tile, self._quality, colorspace="RGB", subsampling="420"))

    def _encode_tiles(self, pixels: npt.NDArray[Any], wanted: npt.NDArray[np.bool_]) -> list[list[bytes | None]]:
        if self._native is None:
            return super()._encode_tiles(pixels, wanted)
        return self._native.encode_tiles(pixels, self.tile_height, self.tile_width, wanted)
