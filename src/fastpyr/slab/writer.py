"""Tiles in, slab bytes out: header, index, payloads.

The first tile follows the index directly; every other tile starts at the next multiple of 16 after the end of the one
before it, the gap filled with zeros. The file ends with the last tile's last byte.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ..errors import SlabError
from ..formats import PixelFormat
from .header import MAX_SLAB_SIZE, first_tile_offset, slab_header, vector_header

__all__ = ["slab_bytes", "slab_chunks", "slab_size", "vector_slab_chunks"]

_ALIGNMENT = 16
_GAPS = tuple(bytes(n) for n in range(_ALIGNMENT))


def slab_size(sizes: Sequence[int]) -> int:
    """Bytes of a slab whose tiles have these sizes, in tile order."""
    position = end = first_tile_offset(len(sizes))
    for size in sizes:
        end = position + size
        position = end + -end % _ALIGNMENT
    return end


def _layout(tiles: Sequence[bytes]) -> tuple[list[int], list[int], list[bytes]]:
    """Starts, sizes, and the payloads with the gaps between them."""
    starts: list[int] = []
    sizes: list[int] = []
    chunks: list[bytes] = []
    position = first_tile_offset(len(tiles))
    gap = 0
    for tile in tiles:
        if gap and tile:
            chunks.append(_GAPS[gap])
            gap = 0
        starts.append(position)
        size = len(tile)
        sizes.append(size)
        if size:
            chunks.append(tile)
            end = position + size
            gap = -end % _ALIGNMENT
            position = end + gap
            if end > MAX_SLAB_SIZE:
                raise SlabError(
                    f"the slab would exceed {MAX_SLAB_SIZE} bytes (2 GiB - 1), which no reader can address: "
                    "use fewer tiles per slab (--width, --height) or a stronger compression"
                )
    return starts, sizes, chunks


def _index(starts: list[int], sizes: list[int]) -> bytes:
    return struct.pack(f"<{len(starts)}I{len(sizes)}I", *starts, *sizes)


def slab_chunks(
    fmt: PixelFormat, tile_width: int, tile_height: int, cols: int, rows: int, tiles: Sequence[bytes]
) -> list[bytes]:
    """The bytes of a slab as a list to be written one after the other: header, index, tiles and gaps.

    ``tiles`` are the ``cols`` * ``rows`` encoded tiles, row by row from the top left; nothing is copied. Raises
    SlabError for a wrong number of tiles, an empty tile (a raster slab holds all its tiles) or more than 2 GiB - 1.
    """
    if len(tiles) != cols * rows:
        raise SlabError(f"a slab of {cols} x {rows} tiles needs {cols * rows} of them, not {len(tiles)}")
    starts, sizes, chunks = _layout(tiles)
    if 0 in sizes:
        raise SlabError(f"tile {sizes.index(0)} of the slab is empty: write the nodata tile instead")
    header = slab_header(fmt, tile_width, tile_height, cols, rows, first_tile=(starts[0], sizes[0]))
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
    header = vector_header(len(tiles), first_tile=(starts[0], sizes[0]) if tiles else None)
    return [header, _index(starts, sizes), *chunks]
