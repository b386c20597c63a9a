"""Tiles in, slab bytes out: header, index, payloads.

The first tile follows the index directly; every other tile starts at the next multiple of 16 after the end of the one
before it, the gap filled with zeros. The file ends with the last tile's last byte.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import SlabError
from ..formats import PixelFormat
from .header import MAX_SLAB_SIZE, first_tile_offset, slab_header, vector_header

__all__ = ["slab_bytes", "slab_chunks", "slab_size", "vector_slab_chunks"]

_ALIGNMENT = 16
_GAPS = tuple(bytes(n) for n in range(_ALIGNMENT))
_JOINED = 1 << 22
"""Bytes up to which a slab's tiles are joined: hundreds of buffers cost more to hand around than to copy."""


def slab_size(sizes: Sequence[int]) -> int:
    """Bytes of a slab whose tiles have these sizes, in tile order."""
    position = end = first_tile_offset(len(sizes))
    for size in sizes:
        end = position + size
        position = end + -end % _ALIGNMENT
    return end


def _layout(tiles: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64], list[bytes]]:
    """Starts, sizes, and the payloads with the gaps between them: many small ones as one copy, large ones as they
    are."""
    sizes = np.fromiter(map(len, tiles), np.int64, len(tiles))
    first = first_tile_offset(len(tiles))
    used = np.flatnonzero(sizes)
    room = -(-sizes // _ALIGNMENT) * _ALIGNMENT
    if used.size:  # the only tile whose start may be no multiple
        room[used[0]] += -(first + sizes[used[0]]) % _ALIGNMENT - -sizes[used[0]] % _ALIGNMENT
    ends = first + np.cumsum(room)
    starts = ends - room
    total = int((starts + sizes).max(initial=0))
    if total > MAX_SLAB_SIZE:
        raise SlabError(
            f"the slab would exceed {MAX_SLAB_SIZE} bytes (2 GiB - 1), which no reader can address: "
            "use fewer tiles per slab (--width, --height) or a stronger compression"
        )
    gaps = room - sizes
    gaps[used[-1:]] = 0  # the file ends with the last tile
    parts: list[bytes] = [b""] * (2 * len(tiles))
    parts[::2] = tiles
    parts[1::2] = [_GAPS[gap] for gap in gaps.tolist()]
    chunks = [b"".join(parts)] if total <= _JOINED else [part for part in parts if part]
    return starts, sizes, chunks


def _index(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> bytes:
    return np.concatenate((starts, sizes)).astype("<u4").tobytes()


def slab_chunks(
    fmt: PixelFormat, tile_width: int, tile_height: int, cols: int, rows: int, tiles: Sequence[bytes]
) -> list[bytes]:
    """The bytes of a slab as a list to be written one after the other: header, index, tiles and gaps.

    ``tiles`` are the ``cols`` * ``rows`` encoded tiles, row by row from the top left; those of a slab up to 4 MiB come
    joined, those of a larger one are not copied. Raises
    SlabError for a wrong number of tiles, an empty tile (a raster slab holds all its tiles) or more than 2 GiB - 1.
    """
    if len(tiles) != cols * rows:
        raise SlabError(f"a slab of {cols} x {rows} tiles needs {cols * rows} of them, not {len(tiles)}")
    starts, sizes, chunks = _layout(tiles)
    if not sizes.all():
        raise SlabError(f"tile {int(np.argmin(sizes))} of the slab is empty: write the nodata tile instead")
    header = slab_header(fmt, tile_width, tile_height, cols, rows, first_tile=(int(starts[0]), int(sizes[0])))
    return [header, _index(starts, sizes), *chunks]


def slab_bytes(
    fmt: PixelFormat, tile_width: int, tile_height: int, cols: int, rows: int, tiles: Sequence[bytes]
) -> bytes:
    """The same as one bytes object."""
    return b"".join(slab_chunks(fmt, tile_width, tile_height, cols, rows, tiles))


def vector_slab_chunks(tiles: Sequence[bytes]) -> list[bytes]:
    """The bytes of a vector slab, ``b""`` standing for a missing tile (size 0 in the index).

    Payloads are stored as they are. Raises SlabError when there is no tile or more than 2 GiB - 1 bytes.
    """
    starts, sizes, chunks = _layout(tiles)
    header = vector_header(len(tiles), first_tile=(int(starts[0]), int(sizes[0])) if tiles else None)
    return [header, _index(starts, sizes), *chunks]
