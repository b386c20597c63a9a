"""JPEG tiles: baseline, chroma halved in both directions, standard tables, the same bytes as libjpeg-turbo."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from ..errors import EncodeError
from ..formats import Compression, PixelFormat
from .base import TileEncoder

__all__ = ["QUALITIES", "JpegEncoder"]

QUALITIES = {Compression.JPG: 75, Compression.JPG90: 90}


class JpegEncoder(TileEncoder):
    """One JFIF stream per tile, 3 channels of uint8."""

    def __init__(self, fmt: PixelFormat, tile_width: int, tile_height: int) -> None:
        super().__init__(fmt, tile_width, tile_height)
        if max(tile_width, tile_height) > 65500:
            raise EncodeError(f"a JPEG tile of {tile_width} x {tile_height} pixels is too large: 65500 is the limit")
        self._quality = QUALITIES[fmt.format.compression]

    def _pack(self, tile: npt.NDArray[Any]) -> bytes:
        from imagecodecs import jpeg8_encode

        return bytes(jpeg8_encode(tile, self._quality, colorspace="RGB", subsampling="420"))
