"""What blocks give to the levels above them, kept in scratch files record by record.

A record is a header, the pixels of a rectangle of the block above as they are, and its mask where it is mixed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import mask_states
from .scratch import Scratch
from .written import SlabSum

__all__ = ["BlockShape", "Gift", "RecordError", "pack", "read_records", "record_sum", "write_at"]

_HEADER = struct.Struct("<4sIIIIIIIIIQ")
"""Magic, CRC-32 of all that follows, level, column, row, x, y, width, height, state, tiles present."""
_MAGIC = b"FPg1"
_CRC_END = 8  # bytes of the header that the CRC does not cover
_EMPTY, _MIXED, _FULL = 0, 1, 2


class RecordError(Exception):
    """A scratch file does not hold what was written to it."""


@dataclass(frozen=True, slots=True)
class BlockShape:
    """Blocks of a build: rows and columns in pixels, channels, dtype, and tiles along a side."""

    height: int
    width: int
    channels: int
    dtype: str
    side: int


@dataclass(frozen=True, slots=True)
class Gift:
    """What a block of a level above has from one block below it.

    ``level``, ``column``, ``row`` name the block above. ``x``, ``y`` place ``pixels`` (rows, cols, channels) and
    ``mask`` (rows, cols) in it; they may be views. ``pixels`` None: no pixel is data. ``mask`` None: all are.
    ``present`` (side, side): tiles of the block above that are stored.
    """

    level: int
    column: int
    row: int
    x: int
    y: int
    pixels: NDArray[Any] | None
    mask: NDArray[np.uint8] | None
    present: NDArray[np.bool_]


def pack(gift: Gift, scratch: Scratch) -> tuple[NDArray[np.uint8], int]:
    """The record of a gift whose mask is not None when there are pixels, and its CRC-32. Valid until the next call."""
    height, width, state = 0, 0, _EMPTY
    if gift.pixels is not None and gift.mask is not None and gift.mask.size:
        height, width = gift.mask.shape
        state = int(mask_states(gift.mask, height, width)[0, 0])
    parts: list[NDArray[Any]] = []
    if state != _EMPTY and gift.pixels is not None and gift.mask is not None:
        parts = [gift.pixels] if state == _FULL else [gift.pixels, gift.mask]
    data = scratch.array("record", (_HEADER.size + sum(part.nbytes for part in parts),), "uint8")
    at = _HEADER.size
    for part in parts:
        np.copyto(data[at : at + part.nbytes].view(part.dtype).reshape(part.shape), part)
        at += part.nbytes
    present = int.from_bytes(np.packbits(gift.present).tobytes(), "big")
    fields = gift.level, gift.column, gift.row, gift.x, gift.y, width, height, state, present
    _HEADER.pack_into(data, 0, _MAGIC, 0, *fields)
    crc = _crc32(data[_CRC_END:])
    _HEADER.pack_into(data, 0, _MAGIC, crc, *fields)
    return data, crc


def write_at(path: str, data: NDArray[np.uint8], offset: int) -> None:
    """Write bytes at a place of a file, which is made if it does not exist. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        view = memoryview(data)
        while len(view):
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written
    finally:
        os.close(descriptor)


def read_records(path: Path, size: int, shape: BlockShape) -> Iterator[tuple[Gift, int]]:
    """Gifts and checksums in the first ``size`` bytes of a scratch file.

    Raises RecordError when a record is not whole, OSError when the file cannot be read.
    """
    if size == 0:
        return
    with open(path, "rb", buffering=0) as file:
        left = size
        while left:
            head = file.read(_HEADER.size)
            if left < _HEADER.size or len(head) < _HEADER.size:
                raise RecordError("it ends within a record")
            magic, crc, level, column, row, x, y, width, height, state, present = _HEADER.unpack(head)
            if magic != _MAGIC or state > _FULL or x + width > shape.width or y + height > shape.height:
                raise RecordError("it holds something else")
            tiles = shape.side * shape.side
            if present >> (8 * -(-tiles // 8)):
                raise RecordError("it holds something else")
            count = height * width
            pixel_bytes = count * shape.channels * np.dtype(shape.dtype).itemsize if state != _EMPTY else 0
            mask_bytes = count if state == _MIXED else 0
            left -= _HEADER.size + pixel_bytes + mask_bytes
            if left < 0:
                raise RecordError("it ends within a record")
            body = np.empty(pixel_bytes + mask_bytes, np.uint8)
            if body.size and file.readinto(memoryview(body)) != body.size:
                raise RecordError("it ends within a record")
            if _crc32(body, _crc32(head[_CRC_END:])) != crc:
                raise RecordError("a checksum does not fit")
            bits = np.frombuffer(present.to_bytes(-(-tiles // 8), "big"), np.uint8)
            pixels = mask = None
            if state != _EMPTY:
                pixels = body[:pixel_bytes].view(shape.dtype).reshape(height, width, shape.channels)
            if state == _MIXED:
                mask = body[pixel_bytes:].reshape(height, width)
            flags = np.unpackbits(bits, count=tiles).reshape(shape.side, shape.side).astype(np.bool_)
            yield Gift(level, column, row, x, y, pixels, mask, flags), crc


def record_sum(path: Path, size: int, shape: BlockShape) -> SlabSum | None:
    """What the first ``size`` bytes of a scratch file amount to; None when they are not whole records."""
    records = check = 0
    if size == 0:  # nothing was kept, and there may be no file
        return SlabSum()
    try:
        for _, crc in read_records(path, size, shape):
            records += 1
            check += crc
    except (OSError, RecordError):
        return None
    return SlabSum(size, records, check)


def _crc32(data: Any, start: int = 0) -> int:
    from isal import isal_zlib

    return int(isal_zlib.crc32(data, start))
