"""Tiles without a format of their own around them: raw samples, TIFF LZW, PackBits."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from .base import TileEncoder

__all__ = ["LzwEncoder", "PackBitsEncoder", "RawEncoder"]


class RawEncoder(TileEncoder):
    """Samples as they are: interleaved channels, rows without padding, little-endian."""

    remembers_constants = False

    def _pack(self, tile: npt.NDArray[Any]) -> bytes:
        return tile.tobytes()


class LzwEncoder(TileEncoder):
    """One TIFF LZW stream per tile (most significant bit first, no predictor)."""

    def _pack(self, tile: npt.NDArray[Any]) -> bytes:
        from imagecodecs import lzw_encode

        return bytes(lzw_encode(tile.tobytes()))


class PackBitsEncoder(TileEncoder):
    """PackBits runs that end with each row. The control byte -128 is never written."""

    def _pack(self, tile: npt.NDArray[Any]) -> bytes:
        from imagecodecs import packbits_encode
        from numpy import ascontiguousarray

        return bytes(packbits_encode(ascontiguousarray(self._rows(tile)), axis=-1))
