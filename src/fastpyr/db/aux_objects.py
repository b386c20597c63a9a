"""Objects of the auxiliary table: a common frame, and what the types 1, 4 and 6 hold.

The layouts inside geodatabases are not public; these are our own, all numbers big-endian:

======  ========================================
offset
======  ========================================
0       ``FPX``, version 1 (uint8)
4       type (uint16)
6       size of the payload in bytes (uint32)
10      CRC-32 of the payload (uint32)
14      payload
======  ========================================
"""

from __future__ import annotations

import enum
import json
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, DecodeError

__all__ = ["AuxType", "Misc", "Presence", "Transformation", "pack_aux", "unpack_aux"]

_FRAME = struct.Struct(">3sBHII")
_MAGIC, _VERSION = b"FPX", 1


class AuxType(enum.IntEnum):
    """Column ``type`` of the auxiliary table."""

    MASK = 1
    STATISTICS = 2
    COLORMAP = 3
    TRANSFORMATION = 4
    RESERVED = 5
    MISC = 6
    PROPERTY_SET = 9


def pack_aux(aux_type: AuxType, payload: bytes) -> bytes:
    """The object of a payload."""
    return _FRAME.pack(_MAGIC, _VERSION, aux_type, len(payload), zlib.crc32(payload)) + payload


def unpack_aux(aux_type: AuxType, blob: bytes) -> bytes:
    """The payload of an object that must be of that type. DecodeError when it is another's, truncated or damaged."""
    name = aux_type.name.lower()
    if blob[:3] != _MAGIC or len(blob) < _FRAME.size:
        raise DecodeError(f"auxiliary object ({name}) of {len(blob)} bytes was not written by fastpyr")
    _, version, found, size, checksum = _FRAME.unpack_from(blob)
    payload = blob[_FRAME.size :]
    if version != _VERSION or found != aux_type:
        raise DecodeError(
            f"auxiliary object has version {version} and type {found}: {_VERSION} and {aux_type} expected"
        )
    if len(payload) != size or zlib.crc32(payload) != checksum:
        raise DecodeError(f"auxiliary object ({name}) is damaged: {len(payload)} of {size} bytes, or a wrong checksum")
    return payload


@dataclass(frozen=True, slots=True)
class Transformation:
    """Coordinate reference system and place of a band, type 4.

    ``wkt`` may be empty. ``affine``: (a, b, c, d, e, f), x = a col + b row + c and y = d col + e row + f, at the corner
    of the block origin's pixel (0, 0). Keeps cell sizes that centres alone do not tell (one pixel wide or high).
    """

    wkt: str
    affine: tuple[float, float, float, float, float, float]

    def to_blob(self) -> bytes:
        """6 doubles, then the text in UTF-8. ConfigError when a number is not finite."""
        if not all(map(math.isfinite, self.affine)):
            raise ConfigError(f"transformation {self.affine}: expected finite numbers")
        return pack_aux(AuxType.TRANSFORMATION, struct.pack(">6d", *self.affine) + self.wkt.encode())

    @classmethod
    def from_blob(cls, blob: bytes) -> Transformation:
        """DecodeError when it is not one."""
        payload = unpack_aux(AuxType.TRANSFORMATION, blob)
        if len(payload) < 48:
            raise DecodeError(f"transformation of {len(payload)} bytes: at least 48 expected")
        affine = struct.unpack_from(">6d", payload)
        if not all(map(math.isfinite, affine)):
            raise DecodeError(f"transformation {affine}: expected finite numbers")
        try:
            return cls(payload[48:].decode(), affine)
        except UnicodeDecodeError as error:
            raise DecodeError(f"text of the transformation is not UTF-8 ({error})") from None


@dataclass(frozen=True, slots=True)
class Misc:
    """Keys and values that have no place of their own, type 6: a JSON object in UTF-8."""

    values: dict[str, Any]

    def to_blob(self) -> bytes:
        """Same values, same bytes. ConfigError for what JSON cannot hold."""
        try:
            text = json.dumps(self.values, sort_keys=True, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(f"miscellaneous values cannot be written as JSON ({error})") from None
        return pack_aux(AuxType.MISC, text.encode())

    @classmethod
    def from_blob(cls, blob: bytes) -> Misc:
        """DecodeError when it is not a JSON object."""
        payload = unpack_aux(AuxType.MISC, blob)
        try:
            values = json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise DecodeError(f"miscellaneous values are not JSON ({error})") from None
        if not isinstance(values, dict):
            raise DecodeError(f"miscellaneous values are a {type(values).__name__}: an object expected")
        return cls(values)


_CHUNK = 64
_RECTANGLE = struct.Struct(">HiiHH")
_FULL_BITS = (1 << _CHUNK * _CHUNK) - 1


class Presence:
    """Which blocks of which levels are stored, type 1: an empty area is passed over without asking the database.

    Memory goes with the 64x64-block squares that hold something, not with the raster's size. Stored, each square is the
    rectangle around its blocks and a bit per block in it, the first one in the most significant bit: level (uint16),
    row, column (int32), rows, columns (uint16), bits.
    """

    def __init__(self) -> None:
        self._chunks: dict[tuple[int, int, int], int] = {}

    def add(self, level: int, row: int, col: int) -> None:
        key, bit = _place(level, row, col)
        self._chunks[key] = self._chunks.get(key, 0) | bit

    def discard(self, level: int, row: int, col: int) -> None:
        """Take a block away, if it is there."""
        key, bit = _place(level, row, col)
        left = self._chunks.get(key, 0) & ~bit
        if left:
            self._chunks[key] = left
        else:
            self._chunks.pop(key, None)

    def has(self, level: int, row: int, col: int) -> bool:
        key, bit = _place(level, row, col)
        return bool(self._chunks.get(key, 0) & bit)

    def drop_level(self, level: int) -> None:
        """Take all blocks of a level away."""
        for key in [key for key in self._chunks if key[0] == level]:
            del self._chunks[key]

    @property
    def levels(self) -> list[int]:
        """Levels with a block, in order."""
        return sorted({level for level, _, _ in self._chunks})

    def blocks(self, level: int) -> Iterator[tuple[int, int]]:
        """(row, column) of the blocks of a level: square by square, row by row."""
        for key in sorted(key for key in self._chunks if key[0] == level):
            for place in np.flatnonzero(_square(self._chunks[key])).tolist():
                yield key[1] * _CHUNK + place // _CHUNK, key[2] * _CHUNK + place % _CHUNK

    def count(self, level: int) -> int:
        """Blocks of a level."""
        return sum(bits.bit_count() for key, bits in self._chunks.items() if key[0] == level)

    def any_in(self, level: int, rows: range, cols: range) -> bool:
        """Whether one of these blocks is there."""
        if not rows or not cols:
            return False
        for chunk_row in range(rows.start // _CHUNK, (rows.stop - 1) // _CHUNK + 1):
            for chunk_col in range(cols.start // _CHUNK, (cols.stop - 1) // _CHUNK + 1):
                bits = self._chunks.get((level, chunk_row, chunk_col), 0)
                if bits and bits & _rectangle_bits(rows, cols, chunk_row, chunk_col):
                    return True
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Presence) and self._chunks == other._chunks

    __hash__ = None  # type: ignore[assignment]

    def to_blob(self) -> bytes:
        """Same blocks, same bytes. ConfigError for a level or block number that has no room."""
        parts = []
        for (level, chunk_row, chunk_col), bits in sorted(self._chunks.items()):
            square = _square(bits)
            rows, cols = np.flatnonzero(square.any(axis=1)), np.flatnonzero(square.any(axis=0))
            top, left = int(rows[0]), int(cols[0])
            part = square[top : rows[-1] + 1, left : cols[-1] + 1]
            try:
                parts.append(_RECTANGLE.pack(level, chunk_row * _CHUNK + top, chunk_col * _CHUNK + left, *part.shape))
            except struct.error:
                raise ConfigError(f"level {level} has blocks that cannot be numbered with 32 bits") from None
            parts.append(np.packbits(part).tobytes())
        return pack_aux(AuxType.MASK, b"".join(parts))

    @classmethod
    def from_blob(cls, blob: bytes) -> Presence:
        """DecodeError when it is not one."""
        payload = unpack_aux(AuxType.MASK, blob)
        self, at = cls(), 0
        while at < len(payload):
            if len(payload) - at < _RECTANGLE.size:
                raise DecodeError("presence bitmap is truncated")
            level, top, left, rows, cols = _RECTANGLE.unpack_from(payload, at)
            at += _RECTANGLE.size
            size = (rows * cols + 7) // 8
            inside = top % _CHUNK + rows <= _CHUNK and left % _CHUNK + cols <= _CHUNK
            if not (rows and cols and inside and size <= len(payload) - at):
                raise DecodeError(
                    f"presence bitmap has a rectangle of {rows} x {cols} blocks at row {top}, column {left}"
                )
            packed = np.frombuffer(payload, np.uint8, size, at)
            at += size
            square = np.zeros((_CHUNK, _CHUNK), np.uint8)
            y, x = top % _CHUNK, left % _CHUNK
            square[y : y + rows, x : x + cols] = np.unpackbits(packed, count=rows * cols).reshape(rows, cols)
            bits = int.from_bytes(np.packbits(square, bitorder="little").tobytes(), "little")
            key = (level, top // _CHUNK, left // _CHUNK)
            if bits:
                self._chunks[key] = self._chunks.get(key, 0) | bits
        return self


def _place(level: int, row: int, col: int) -> tuple[tuple[int, int, int], int]:
    return (level, row // _CHUNK, col // _CHUNK), 1 << (row % _CHUNK * _CHUNK + col % _CHUNK)


def _square(bits: int) -> npt.NDArray[np.uint8]:
    """The bits of a square as an array (rows, columns) of 0 and 1."""
    raw = np.frombuffer(bits.to_bytes(_CHUNK * _CHUNK // 8, "little"), np.uint8)
    return np.unpackbits(raw, bitorder="little").reshape(_CHUNK, _CHUNK)


def _rectangle_bits(rows: range, cols: range, chunk_row: int, chunk_col: int) -> int:
    """Bits of the part of a rectangle that lies in one square."""
    top, bottom = max(rows.start - chunk_row * _CHUNK, 0), min(rows.stop - chunk_row * _CHUNK, _CHUNK)
    left, right = max(cols.start - chunk_col * _CHUNK, 0), min(cols.stop - chunk_col * _CHUNK, _CHUNK)
    line = ((1 << (right - left)) - 1) << left
    if (top, bottom, line) == (0, _CHUNK, (1 << _CHUNK) - 1):
        return _FULL_BITS
    return sum(line << row * _CHUNK for row in range(top, bottom))
