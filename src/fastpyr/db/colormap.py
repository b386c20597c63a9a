"""Colour maps: the colour of each pixel value of a single band of unsigned 8 or 16 bits."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, DecodeError
from .aux_objects import AuxType, pack_aux, unpack_aux
from .pixels import PixelType

__all__ = ["ColorMap"]

_HEAD = struct.Struct(">BBI")
_MAX_ENTRIES = 65536


@dataclass(frozen=True, slots=True, eq=False)
class ColorMap:
    """``entries``: (values, 3) RGB or (values, 4) RGBA, uint8 or uint16; row v is the colour of pixel value v.

    ConfigError for any other array.
    """

    entries: npt.NDArray[Any]

    def __post_init__(self) -> None:
        shape, dtype = self.entries.shape, self.entries.dtype
        fits = len(shape) == 2 and shape[1] in (3, 4) and 1 <= shape[0] <= _MAX_ENTRIES
        if not fits or dtype not in (np.uint8, np.uint16):
            raise ConfigError(f"colour map of {dtype} {shape}: expected uint8 or uint16 with 3 or 4 columns")

    def check(self, pixel_type: PixelType, bands: int) -> None:
        """ConfigError unless a raster of this type and band count can have this colour map."""
        if pixel_type not in (PixelType.U8, PixelType.U16) or bands != 1:
            raise ConfigError(f"{bands} band(s) of {pixel_type.value}: colour maps need a single band of U8 or U16")
        if len(self.entries) > pixel_type.most + 1:
            raise ConfigError(
                f"colour map of {len(self.entries)} entries: {pixel_type.value} has {pixel_type.most + 1}"
            )

    def apply(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Colours (rows, cols, 3 or 4) of pixels (rows, cols); values beyond the map are black (and transparent)."""
        last = len(self.entries)
        table = np.concatenate([self.entries, np.zeros((1, self.entries.shape[1]), self.entries.dtype)])
        colours: npt.NDArray[Any] = table[np.minimum(pixels, last)]
        return colours

    def to_blob(self) -> bytes:
        """Auxiliary object of type 3: uint8 model (3 RGB, 4 RGBA), uint8 depth (8 or 16), uint32 entries, entries."""
        count, channels = self.entries.shape
        size = self.entries.dtype.itemsize
        body = np.ascontiguousarray(self.entries, f">u{size}").tobytes()
        return pack_aux(AuxType.COLORMAP, _HEAD.pack(channels, 8 * size, count) + body)

    @classmethod
    def from_blob(cls, blob: bytes) -> ColorMap:
        """DecodeError when it is not one."""
        payload = unpack_aux(AuxType.COLORMAP, blob)
        channels, depth, count = _HEAD.unpack_from(payload) if len(payload) >= _HEAD.size else (0, 0, 0)
        known = channels in (3, 4) and depth in (8, 16) and 1 <= count <= _MAX_ENTRIES
        if not known or len(payload) != _HEAD.size + count * channels * depth // 8:
            raise DecodeError(f"colour map of {len(payload)} bytes: {count} entries, model {channels}, depth {depth}")
        entries = np.frombuffer(payload, f">u{depth // 8}", count * channels, _HEAD.size)
        return cls(entries.astype(f"u{depth // 8}").reshape(count, channels))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ColorMap):
            return NotImplemented
        return self.entries.dtype == other.entries.dtype and np.array_equal(self.entries, other.entries)

    __hash__ = None  # type: ignore[assignment]
