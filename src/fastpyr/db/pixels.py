"""Pixel types and compressions of the relational raster store, as the integers of its band tables.

``band_types`` of a band is ``bits << 19 | kind << 16 | compression << 8``: bits per pixel 1 to 64, kind 0 unsigned, 1
signed, 2 float. A float of 64 bits is written with kind 0, as there is no integer of that size; both are read.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, DecodeError

__all__ = ["Compression", "Mask", "PixelType", "Pixels", "band_types", "check_compression", "parse_band_types"]

Pixels = npt.NDArray[Any]
"""One band, (rows, cols), of a pixel type's dtype. Pixels of 1, 2 and 4 bits are unpacked, one uint8 each."""

Mask = npt.NDArray[np.uint8]
"""(rows, cols), 0 = nodata, anything else = data, written as 255."""

_UNSIGNED, _SIGNED, _FLOAT = 0, 1, 2


class Compression(enum.Enum):
    """How the bytes of a block are packed. Values are the names of the ST_Raster functions."""

    NONE = "NONE"
    LZ77 = "LZ77"
    JPEG = "JPEG"
    JP2 = "JP2"

    @property
    def code(self) -> int:
        """Bits 8 to 15 of ``band_types``."""
        return {"NONE": 0, "LZ77": 4, "JPEG": 8, "JP2": 12}[self.value]

    @property
    def xml_code(self) -> int:
        """Number in XML descriptions of a storage."""
        return {"NONE": 0, "LZ77": 1, "JPEG": 2, "JP2": 4}[self.value]

    @property
    def is_lossy(self) -> bool:
        return self in (Compression.JPEG, Compression.JP2)

    @classmethod
    def of(cls, name: str | int | Compression) -> Compression:
        """By name in any case (also ``JPEG2000``), or by ``code``. ConfigError naming the known ones otherwise."""
        if isinstance(name, Compression):
            return name
        text = str(name).upper()
        for member in cls:
            if text == member.value or (isinstance(name, int) and name == member.code):
                return member
        if text == "JPEG2000":
            return cls.JP2
        raise ConfigError(f"unknown compression {name!r}: expected none, lz77, jpeg or jp2")


class PixelType(enum.Enum):
    """Type of one pixel of a band. Values are the names in XML descriptions."""

    U1 = "U1"
    U2 = "U2"
    U4 = "U4"
    U8 = "U8"
    S8 = "S8"
    U16 = "U16"
    S16 = "S16"
    U32 = "U32"
    S32 = "S32"
    F32 = "F32"
    F64 = "F64"

    @property
    def bits(self) -> int:
        """Bits of a stored pixel."""
        return int(self.value[1:])

    @property
    def kind(self) -> int:
        """Bits 16 and 17 of ``band_types``."""
        if self is PixelType.F64:
            return _UNSIGNED
        return {"U": _UNSIGNED, "S": _SIGNED, "F": _FLOAT}[self.value[0]]

    @property
    def code(self) -> int:
        """``band_types`` of this pixel type without compression."""
        return self.bits << 19 | self.kind << 16

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type in memory, native byte order; uint8 for pixels of 1, 2 and 4 bits."""
        return _DTYPES[self]

    @property
    def is_integer(self) -> bool:
        return self.value[0] != "F"

    @property
    def least(self) -> float | int:
        """Smallest value that a pixel can have."""
        return int(np.iinfo(self.dtype).min) if self.is_integer else float(np.finfo(self.dtype).min)

    @property
    def most(self) -> float | int:
        """Largest value that a pixel can have: 15 for 4 bits."""
        if self.bits < 8:
            return (1 << self.bits) - 1
        return int(np.iinfo(self.dtype).max) if self.is_integer else float(np.finfo(self.dtype).max)

    @classmethod
    def of(cls, what: PixelType | int | str | np.dtype[Any] | type[Any]) -> PixelType:
        """By XML name, by ``band_types`` value (of any compression), or by NumPy dtype (uint8 is U8, bool U1).

        ConfigError for anything else.
        """
        if isinstance(what, PixelType):
            return what
        if isinstance(what, int):
            return parse_band_types(what)[0]
        if isinstance(what, str) and what.upper() in cls.__members__:
            return cls[what.upper()]
        try:
            dtype = np.dtype(what)
        except TypeError:
            dtype = np.dtype(object)
        name = {"b1": "U1", "u1": "U8", "i1": "S8", "u2": "U16", "i2": "S16", "u4": "U32", "i4": "S32"}
        name |= {"f4": "F32", "f8": "F64"}
        key = f"{dtype.kind}{dtype.itemsize}"
        if key not in name:
            raise ConfigError(f"no pixel type for {what!r}: expected one of {', '.join(cls.__members__)}")
        return cls[name[key]]


_DTYPES = {
    each: np.dtype({"U": "u", "S": "i", "F": "f"}[each.value[0]] + str(max(each.bits // 8, 1))) for each in PixelType
}


def band_types(pixel_type: PixelType, compression: Compression) -> int:
    """The integer of the band table. ConfigError when the compression cannot hold such pixels."""
    check_compression(pixel_type, compression)
    return pixel_type.code | compression.code << 8


def check_compression(pixel_type: PixelType, compression: Compression) -> None:
    """ConfigError unless blocks of this type can be stored so: JPEG and JPEG 2000 hold unsigned 8-bit pixels only."""
    if compression.is_lossy and pixel_type is not PixelType.U8:
        raise ConfigError(f"compression {compression.value} holds U8 pixels, not {pixel_type.value}: use LZ77 or NONE")


_TYPES = {member.code: member for member in PixelType} | {64 << 19 | _FLOAT << 16: PixelType.F64}
_COMPRESSIONS = {member.code: member for member in Compression}


def parse_band_types(value: int) -> tuple[PixelType, Compression]:
    """Pixel type and compression of a ``band_types`` value; bits without a known meaning are ignored.

    DecodeError when a part is unknown or the compression cannot hold such pixels.
    """
    pixel_type = _TYPES.get(value & (0x7F << 19 | 3 << 16))
    compression = _COMPRESSIONS.get(value >> 8 & 0xFF)
    if pixel_type is None or compression is None:
        raise DecodeError(
            f"band_types {value} is not known: {value >> 19 & 0x7F} bits of kind {value >> 16 & 3}, "
            f"compression {value >> 8 & 0xFF}"
        )
    try:
        check_compression(pixel_type, compression)
    except ConfigError as error:
        raise DecodeError(f"band_types {value} is wrong: {error}") from None
    return pixel_type, compression
