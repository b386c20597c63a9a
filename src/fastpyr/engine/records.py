"""What blocks give to the levels above them, kept in scratch files record by record.

A record is a header and its body: a rectangle of pixels as they are, or the encoded tiles of a finished block.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..frozen import frozen
from ..kernels import mask_states
from ..planning import Plan
from .scratch import Scratch
from .written import SlabSum

__all__ = [
    "BlockShape",
    "Gift",
    "Part",
    "Record",
    "RecordError",
    "TileRows",
    "Tiles",
    "pack",
    "read_records",
    "record_sum",
    "write_at",
]

_HEADER = struct.Struct("<4sIQIIIQIIIII")
"""Magic, CRC-32 of all that follows, bytes of the body, level, column, row, tiles present, and of pixels: x, y,
width, height, state."""
_MAGIC_PIXELS, _MAGIC_TILES = b"FPg1", b"FPt1"
_CRC_END = 8  # bytes of the header that the CRC does not cover
_EMPTY, _MIXED, _FULL = 0, 1, 2

TileRows: TypeAlias = Sequence[Sequence[bytes | None]]
"""Encoded tiles of a block, row by row; None where the tile has no data of its own."""


class RecordError(Exception):
    """A scratch file does not hold what was written to it."""


@frozen
class BlockShape:
    """Blocks of a build: rows and columns in pixels, channels, dtype, and tiles along a side."""

    height: int
    width: int
    channels: int
    dtype: str
    side: int

    @classmethod
    def of(cls, plan: Plan) -> BlockShape:
        """That of a plan's blocks."""
        matrix, side, pixel = plan.levels[0].matrix, plan.block, plan.pixel
        return cls(side * matrix.tile_height, side * matrix.tile_width, pixel.channels, pixel.dtype, side)

    @property
    def pixel_bytes(self) -> int:
        return self.channels * np.dtype(self.dtype).itemsize


@frozen
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


@frozen
class Tiles:
    """A finished block: what its slab gets. ``data`` and ``masks`` None: no such tile."""

    level: int
    column: int
    row: int
    present: NDArray[np.bool_]
    data: TileRows | None
    masks: TileRows | None


Record: TypeAlias = Gift | Tiles
Part: TypeAlias = bytes | memoryview


def pack(record: Record, scratch: Scratch) -> tuple[list[Part], int, int]:
    """The parts of a record's bytes, their size together and their CRC-32; valid until the next call."""
    present = int.from_bytes(np.packbits(record.present).tobytes(), "big")
    names = record.level, record.column, record.row, present
    if isinstance(record, Tiles):
        return _packed(_MAGIC_TILES, (*names, 0, 0, 0, 0, 0), _tile_parts(record))
    height, width, state = 0, 0, _EMPTY
    planes: list[NDArray[Any]] = []
    if record.pixels is not None and record.pixels.size:
        height, width = record.pixels.shape[:2]
        planes, state = [record.pixels], _FULL
        if record.mask is not None:
            state = int(mask_states(record.mask, height, width)[0, 0])
            planes = [[], [record.pixels, record.mask], [record.pixels]][state]
    # Copied once: rows of a view are too short to be written one by one.
    body = scratch.array("record", (sum(plane.nbytes for plane in planes),), "uint8")
    at = 0
    for plane in planes:
        np.copyto(body[at : at + plane.nbytes].view(plane.dtype).reshape(plane.shape), plane)
        at += plane.nbytes
    return _packed(_MAGIC_PIXELS, (*names, record.x, record.y, width, height, state), [body.data] if at else [])


def write_at(path: str, parts: Sequence[Part], offset: int) -> None:
    """Write parts one after the other at a place of a file, which is made if it does not exist. Raises OSError."""
    left = [memoryview(part) for part in parts]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        while left:
            written = os.pwritev(descriptor, left, offset)
            offset += written
            while left and written >= len(left[0]):
                written -= len(left[0])
                del left[0]
            if left:
                left[0] = left[0][written:]
    finally:
        os.close(descriptor)


def read_records(file: BinaryIO, size: int, shape: BlockShape) -> Iterator[tuple[Record, int]]:
    """Records and their checksums in the next ``size`` bytes of a scratch file, which is not shorter than that.

    Raises RecordError when a record is not whole, OSError when the file cannot be read.
    """
    left = size
    while left:
        head = file.read(_HEADER.size)
        if left < _HEADER.size or len(head) < _HEADER.size:
            raise RecordError("it ends within a record")
        crc, length = _HEADER.unpack(head)[1:3]
        left -= _HEADER.size + length
        if left < 0:
            raise RecordError("it ends within a record")
        body = np.empty(length, np.uint8)
        if length and file.readinto(body.data) != length:  # type: ignore[attr-defined]
            raise RecordError("it ends within a record")
        if _crc32(body.data, _crc32(head[_CRC_END:])) != crc:
            raise RecordError("a checksum does not fit")
        yield _record(head, body, shape), crc


def record_sum(file: BinaryIO, size: int, shape: BlockShape) -> SlabSum | None:
    """What the next ``size`` bytes of a scratch file amount to; None when they are not whole records."""
    records = check = 0
    try:
        for _, crc in read_records(file, size, shape):
            records += 1
            check += crc
    except (OSError, RecordError):
        return None
    return SlabSum(size, records, check)


def _packed(magic: bytes, fields: tuple[int, ...], body: list[Part]) -> tuple[list[Part], int, int]:
    """Header and body of a record, their size and CRC-32."""
    length = sum(map(len, body))
    crc = _crc32(_HEADER.pack(magic, 0, length, *fields)[_CRC_END:])
    for part in body:
        crc = _crc32(part, crc)
    return [_HEADER.pack(magic, crc, length, *fields), *body], _HEADER.size + length, crc


def _tile_parts(tiles: Tiles) -> list[Part]:
    """Sizes of all data tiles and all masks (0 where there is none), then the tiles."""
    nothing = [[None] * len(tiles.present)] * len(tiles.present)
    found = [tile or b"" for rows in (tiles.data, tiles.masks) for row in rows or nothing for tile in row]
    return [struct.pack(f"<{len(found)}I", *map(len, found)), *filter(None, found)]


def _record(head: bytes, body: NDArray[np.uint8], shape: BlockShape) -> Record:
    """The record of a header and a body that belong together. Raises RecordError for another format."""
    magic, _, _, level, column, row, present, x, y, width, height, state = _HEADER.unpack(head)
    count = shape.side * shape.side
    if present >> (8 * -(-count // 8)):
        raise RecordError("it holds something else")
    bits = np.frombuffer(present.to_bytes(-(-count // 8), "big"), np.uint8)
    flags = np.unpackbits(bits, count=count).reshape(shape.side, shape.side).astype(np.bool_)
    if magic == _MAGIC_TILES:
        return Tiles(level, column, row, flags, *_tile_rows(body, shape.side))
    if magic != _MAGIC_PIXELS or state > _FULL or x + width > shape.width or y + height > shape.height:
        raise RecordError("it holds something else")
    pixel_bytes = height * width * shape.pixel_bytes if state != _EMPTY else 0
    if body.size != pixel_bytes + (height * width if state == _MIXED else 0):
        raise RecordError("it holds something else")
    pixels = mask = None
    if state != _EMPTY:
        pixels = body[:pixel_bytes].view(shape.dtype).reshape(height, width, shape.channels)
    if state == _MIXED:
        mask = body[pixel_bytes:].reshape(height, width)
    return Gift(level, column, row, x, y, pixels, mask, flags)


def _tile_rows(body: NDArray[np.uint8], side: int) -> tuple[TileRows, TileRows]:
    count = side * side
    if body.size < 8 * count:
        raise RecordError("it holds something else")
    sizes = struct.unpack_from(f"<{2 * count}I", body.data)
    if sum(sizes) != body.size - 8 * count:
        raise RecordError("it holds something else")
    at, tiles = 8 * count, list[bytes | None]()
    for size in sizes:
        tiles.append(body[at : at + size].tobytes() if size else None)
        at += size
    rows = [tiles[first : first + side] for first in range(0, 2 * count, side)]
    return rows[:side], rows[side:]


def _crc32(data: Any, start: int = 0) -> int:
    from isal import isal_zlib

    return int(isal_zlib.crc32(data, start))
