"""Windows of stored pixels: blocks fetched by rectangles, decoded on threads, put in their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, DatabaseError, DecodeError
from ..ordered import in_order
from .block_io import StoredBlock, read_blocks
from .blocks import BlockGrid, Window
from .state import RasterState

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .engine import Single

__all__ = ["MAX_READ_BYTES", "decode_block", "is_one_statement", "read_window"]

MAX_READ_BYTES = 2**31
"""Largest result of one read, pixels and masks together."""

_GROUP = 8
"""Blocks decoded by one task."""
_FETCH = 256
"""Blocks asked for at once, about."""
_FETCH_BYTES = 64 << 20
"""What they may have, unpacked, about."""

Pixels = npt.NDArray[Any]
Masks = npt.NDArray[np.uint8]


def decode_block(state: RasterState, block: StoredBlock) -> tuple[Pixels, Masks | None]:
    """Pixels (rows, cols) and mask of a stored block. DecodeError names its place."""
    try:
        return state.codec.decode(bytes(block.data))
    except DecodeError as error:
        place = f"band {block.band}, level {block.level}, row {block.row}, column {block.col}"
        raise DecodeError(f"{state.entry.full_name}, block of {place}: {error}") from error


def read_window(
    connection: Connection | Single,
    state: RasterState,
    bands: Sequence[int],
    level: int,
    window: Window,
    pool: Executor | None = None,
) -> tuple[Pixels, Masks]:
    """Pixels and masks, both (bands, rows, cols), of a window in pixels of a level counted from the block origin.

    ``bands``: ids. Where nothing is stored pixels and mask are 0. ConfigError for more than MAX_READ_BYTES.
    """
    if level not in state.levels:
        known = ", ".join(map(str, state.levels))
        raise DatabaseError(f"{state.entry.full_name} has no level {level}: its levels are {known}")
    width, height = window.right - window.left, window.bottom - window.top
    size = len(bands) * max(width, 0) * max(height, 0) * (state.pixel_type.dtype.itemsize + 1)
    if min(width, height) < 1 or size > MAX_READ_BYTES:
        raise ConfigError(
            f"a window of {width} x {height} pixels and {len(bands)} band(s) has {size} bytes, "
            f"expected 1 to {MAX_READ_BYTES}: read a smaller window, or a coarser level"
        )
    pixels = np.zeros((len(bands), height, width), state.pixel_type.dtype)
    masks = np.zeros((len(bands), height, width), np.uint8)
    grid = state.grid.level(level)
    inside = window.intersection(grid.window)
    if inside is None:
        return pixels, masks
    place = {band: number for number, band in enumerate(bands)}

    def paste(group: list[StoredBlock]) -> None:
        for block in group:
            number = place[block.band]
            _paste(state, grid, window, inside, block, pixels[number], masks[number])

    groups = _groups(connection, state, bands, level, *grid.blocks_of(inside))
    if pool is None:
        for group in groups:
            paste(group)
    else:
        for _ in in_order(pool, paste, groups, 16):
            pass
    return pixels, masks


def is_one_statement(state: RasterState, bands: Sequence[int], level: int, window: Window) -> bool:
    """Whether ``read_window`` asks the database once at most: then it needs no transaction."""
    grid = state.grid.level(level)
    inside = window.intersection(grid.window)
    if inside is None:
        return True
    rows, cols = grid.blocks_of(inside)
    return len(rows) <= _rows_at_once(state, bands, cols)


def _rows_at_once(state: RasterState, bands: Sequence[int], cols: range) -> int:
    """Rows of blocks that are asked for at once."""
    raw = state.block_shape[0] * state.block_shape[1] * state.pixel_type.dtype.itemsize
    most = max(1, min(_FETCH, _FETCH_BYTES // raw))
    return max(1, most // max(1, len(cols) * len(bands)))


def _groups(
    connection: Connection | Single, state: RasterState, bands: Sequence[int], level: int, rows: range, cols: range
) -> Iterator[list[StoredBlock]]:
    step = _rows_at_once(state, bands, cols)
    for first in range(rows.start, rows.stop, step):
        some = range(first, min(first + step, rows.stop))
        group: list[StoredBlock] = []
        for block in read_blocks(connection, state.tables, bands, level, some, cols):
            group.append(block)
            if len(group) == _GROUP:
                yield group
                group = []
        if group:
            yield group


def _paste(
    state: RasterState,
    grid: BlockGrid,
    window: Window,
    inside: Window,
    block: StoredBlock,
    pixels: Pixels,
    masks: Masks,
) -> None:
    """Put what a block has of a window in its place; ``inside`` is the window's part in the raster."""
    own = grid.block_window(block.row, block.col)
    shared = own.intersection(inside)
    if shared is None:
        return
    values, mask = decode_block(state, block)
    left, top, right, bottom = shared.left, shared.top, shared.right, shared.bottom
    there = np.s_[top - own.top : bottom - own.top, left - own.left : right - own.left]
    here = np.s_[top - window.top : bottom - window.top, left - window.left : right - window.left]
    if mask is None:
        pixels[here] = values[there]
        masks[here] = 255
        return
    part = mask[there]
    np.copyto(pixels[here], values[there], where=part != 0)
    masks[here] = part
