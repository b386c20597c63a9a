"""Slab bytes in: index, one tile, whole slab. Nothing is trusted: every position is checked before it is used."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..encode.decode import decode_tile
from ..errors import DecodeError, SlabError
from ..formats import PixelFormat, TileFormat
from ..frozen import frozen
from .header import HEADER_SIZE, MAX_SLAB_SIZE, SlabHeader, first_tile_offset, parse_header

__all__ = ["GetRange", "SlabIndex", "index_problems", "parse_index", "read_index", "read_slab", "tile_bytes"]

GetRange = Callable[[int, int], bytes]
"""``get_range(offset, size)`` gives bytes of the slab, fewer at its end."""


@frozen
class SlabIndex:
    """Where the tiles are: absolute ``offsets`` and ``sizes`` in bytes, uint32 arrays of N, row by row."""

    offsets: npt.NDArray[np.uint32]
    sizes: npt.NDArray[np.uint32]

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __len__(self) -> int:
        return len(self.offsets)

    def tile_range(self, number: int) -> tuple[int, int]:
        """(offset, size) of tile ``number`` (row * tiles per row + column). Raises SlabError outside 0..N-1."""
        if not 0 <= number < len(self.offsets):
            raise SlabError(f"tile number {number} is outside a slab of {len(self.offsets)} tiles")
        return int(self.offsets[number]), int(self.sizes[number])

    @property
    def end(self) -> int:
        """First byte behind the farthest tile: the size the slab must have."""
        ends = self.offsets.astype(np.uint64) + self.sizes
        return int(ends.max(initial=first_tile_offset(len(self))))


def parse_index(data: bytes, count: int, name: str = "slab") -> SlabIndex:
    """Index of a slab of ``count`` tiles, from ``data`` that starts at byte 0 of the slab.

    The header itself is not looked at. Raises SlabError when ``data`` ends before the index does.
    """
    if count < 1:
        raise SlabError(f"{name}: a slab cannot have {count} tiles")
    if len(data) < first_tile_offset(count):
        raise SlabError(
            f"{name} is truncated: it has {len(data)} bytes, its header and index of {count} tiles need "
            f"{first_tile_offset(count)}"
        )
    words = np.frombuffer(data, "<u4", 2 * count, HEADER_SIZE).astype(np.uint32)
    return SlabIndex(words[:count], words[count:])


def read_index(source: bytes | GetRange, count: int | None = None, name: str = "slab") -> tuple[SlabHeader, SlabIndex]:
    """Header and index of a slab given as bytes or as a range reader.

    ``count`` is the number of tiles expected from the descriptor: with it one range is read instead of two, and
    another number in the header is refused. Raises SlabError.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        whole = bytes(source)
        head = whole[: first_tile_offset(count)] if count else whole
    elif count:
        head = source(0, first_tile_offset(count))
    else:
        head = source(0, HEADER_SIZE)
    header = parse_header(head, name)
    if count is None:
        count = header.tile_count
        if count > MAX_SLAB_SIZE // 8:
            raise SlabError(f"{name} is not a slab: its index counts {count} tiles")
        if callable(source):
            head += source(HEADER_SIZE, 8 * count)
    elif header.tile_count != count:
        raise SlabError(f"{name} holds {header.tile_count} tiles, the descriptor says {count}")
    return header, parse_index(head, count, name)


def tile_bytes(source: bytes | GetRange, index: SlabIndex, number: int, name: str = "slab") -> bytes | None:
    """Encoded bytes of a tile, None when its size is 0. Raises SlabError when the slab ends inside the tile."""
    offset, size = index.tile_range(number)
    if size == 0:
        return None
    if offset + size > MAX_SLAB_SIZE:
        raise SlabError(f"{name}: tile {number} would end at byte {offset + size}, beyond what a slab can hold")
    data = source(offset, size) if callable(source) else bytes(memoryview(source)[offset : offset + size])
    if len(data) != size:
        raise SlabError(f"{name} is truncated: tile {number} needs {size} bytes at {offset}, {len(data)} are there")
    return data


def index_problems(header: SlabHeader, index: SlabIndex, file_size: int) -> list[str]:
    """What in the index breaks the layout rules of the format, one short sentence each; empty when all holds.

    Checked: tiles inside the file, not over the header or index, none empty (raster), the first right behind the
    index, the others on 16, starts not decreasing inside a tile row and no partial overlap, no bytes after the last
    tile, not more than 2 GiB - 1.
    """
    problems: list[str] = []
    offsets, sizes = index.offsets.astype(np.int64), index.sizes.astype(np.int64)
    ends = offsets + sizes
    first = first_tile_offset(len(index))
    columns = header.columns or len(index)

    def report(bad: npt.NDArray[np.bool_], text: str) -> None:
        if bad.any():
            count = int(bad.sum())
            problems.append(f"tile {int(np.argmax(bad))} {text}" + (f" (and {count - 1} more)" if count > 1 else ""))

    stored = sizes > 0
    if not header.is_vector:
        report(~stored, "is empty")
    report(stored & (offsets < first), "starts inside the header or the index")
    report(stored & (ends > file_size), f"ends after the end of the file ({file_size} bytes)")
    report(stored & (offsets != first) & (offsets % 16 != 0), "does not start on a multiple of 16")
    if stored.any() and int(offsets[stored].min()) > first:
        problems.append(f"no tile starts at byte {first}, right behind the index")
    step = np.zeros(len(index), bool)
    step[1:] = (np.arange(1, len(index)) % columns != 0) & (offsets[1:] < offsets[:-1])
    report(step, "starts before its left neighbour")
    order = np.argsort(offsets[stored], kind="stable")
    starts, stops = offsets[stored][order], ends[stored][order]
    if np.any((starts[1:] < stops[:-1]) & (starts[1:] != starts[:-1])):
        problems.append("two tiles overlap")
    if file_size > int(ends.max(initial=first)):
        problems.append(f"{file_size - int(ends.max(initial=first))} bytes follow the last tile")
    if file_size > MAX_SLAB_SIZE:
        problems.append(f"the file has more than {MAX_SLAB_SIZE} bytes")
    if header.first_tile is not None and not header.is_vector and header.first_tile != index.tile_range(0):
        problems.append("the directory and the index disagree about the only tile")
    return problems


def read_slab(
    data: bytes, fmt: PixelFormat | TileFormat, name: str = "slab", max_pixels: int = 2**30
) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
    """All pixels of a slab, (rows, cols, channels), decoded under the restricted rules of ``fmt``.

    Raises SlabError for a broken header or index, a missing tile, a format that contradicts the header, or more than
    ``max_pixels`` pixels; DecodeError naming the tile that does not decode.
    """
    header, index = read_index(data, name=name)
    format = fmt.format if isinstance(fmt, PixelFormat) else fmt
    channels = fmt.channels if isinstance(fmt, PixelFormat) else header.channels
    if header.is_vector:
        raise SlabError(f"{name} holds vector tiles, not pixels")
    wrong = header.mismatch(format, channels, header.tile_width, header.tile_height)
    if wrong:
        raise SlabError(f"{name}: {wrong}")
    if header.width * header.height > max_pixels:
        raise SlabError(f"{name} has {header.width} x {header.height} pixels, more than the {max_pixels} allowed")
    th, tw = header.tile_height, header.tile_width
    out: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    out = np.empty((header.height, header.width, channels), format.sample.dtype)
    for number in range(len(index)):
        row, column = divmod(number, header.columns)
        encoded = tile_bytes(data, index, number, name)
        if encoded is None:
            raise SlabError(f"{name}: tile {number} is empty")
        try:
            pixels = decode_tile(format, channels, tw, th, encoded)
        except DecodeError as error:
            raise DecodeError(f"{name}, tile {number}: {error}") from error
        out[row * th : (row + 1) * th, column * tw : (column + 1) * tw] = pixels
    return out
