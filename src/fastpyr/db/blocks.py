"""The block grid of a raster: which pixels, blocks and levels there are, and where they lie.

Pixels are counted from the block origin, the centre of pixel (0, 0), x right and y down; a raster that has grown to the
left or to the top has negative ones, and so have its blocks. The origin never moves, so pixel p of level L is
floor(p / 2^L) and block (r, c) of any level covers its pixels [c w, (c + 1) w) x [r h, (r + 1) h).

Tables hold the centres of the first and the last pixel; boxes here (``extent``, ``bounds_of``) are pixel edges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..grid.bounds import BoundingBox
from .codec import MAX_BLOCK_SIDE
from .pixels import Mask, Pixels

__all__ = ["Block", "BlockGrid", "Fetch", "Window", "ancestors", "assemble", "cut_blocks"]

Block = tuple[Pixels, Mask | None]
"""A full block: pixels (block height, block width) and mask, None when every pixel is data."""

Fetch = Callable[[int, int], Block | None]
"""A block by (row, column); None where no pixel is data."""

_MAX_LEVEL = 30
_SNAP = 1e-6
"""Pixels: edges of boxes nearer to an edge of a pixel lie on it."""
_OFFSET_TOLERANCE = 1e-3
"""Pixels that two rasters may be off one another's grid anywhere."""


class Window(NamedTuple):
    """Pixels [left, right) x [top, bottom) of one level, counted from the block origin."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def intersection(self, other: Window) -> Window | None:
        """The common pixels, None when there is none."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Window(left, top, right, bottom) if left < right and top < bottom else None

    def union(self, other: Window) -> Window:
        """The smallest window around both."""
        return Window(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def slices_in(self, frame: Window) -> tuple[slice, slice]:
        """Rows and columns of this window in an array that lies at ``frame`` around it."""
        return (
            slice(self.top - frame.top, self.bottom - frame.top),
            slice(self.left - frame.left, self.right - frame.left),
        )


@dataclass(frozen=True, slots=True)
class BlockGrid:
    """Blocks of one level of a band.

    ``origin_x``, ``origin_y``: centre of pixel (0, 0). ``cell_x``, ``cell_y`` > 0: size of a pixel. ``width``,
    ``height``: pixels of the raster, of which the first has column ``first_column`` and row ``first_row``. ConfigError
    on sizes, cells or coordinates that cannot be.
    """

    origin_x: float
    origin_y: float
    cell_x: float
    cell_y: float
    block_width: int
    block_height: int
    width: int
    height: int
    first_column: int = 0
    first_row: int = 0

    def __post_init__(self) -> None:
        numbers = (self.origin_x, self.origin_y, self.cell_x, self.cell_y)
        if not all(math.isfinite(number) for number in numbers) or min(self.cell_x, self.cell_y) <= 0:
            raise ConfigError(f"origin {numbers[:2]} and cell {numbers[2:]}: expected finite numbers, cells above 0")
        if not (1 <= self.block_width <= MAX_BLOCK_SIDE and 1 <= self.block_height <= MAX_BLOCK_SIDE):
            raise ConfigError(
                f"blocks of {self.block_width} x {self.block_height} pixels: expected 1 to {MAX_BLOCK_SIDE} on a side"
            )
        if self.width < 1 or self.height < 1:
            raise ConfigError(f"a raster of {self.width} x {self.height} pixels: expected at least one")
        if max(map(abs, self.window)) >= 1 << 31:
            raise ConfigError(f"a raster of {self.width} x {self.height} pixels at {self.window[:2]} exceeds 32 bits")

    @classmethod
    def of_band(
        cls,
        block_origin: tuple[float, float],
        centres: tuple[float, float, float, float],
        size: tuple[int, int],
        block_size: tuple[int, int],
        cell: tuple[float, float] | None = None,
    ) -> BlockGrid:
        """Grid of a row of the band table: (block_origin_x, block_origin_y), (eminx, eminy, emaxx, emaxy), (band_width,
        band_height), (block_width, block_height).

        ``cell`` (width, height) is needed where the raster is one pixel wide or high, as the centres do not tell it; it
        is taken as it is where given. ConfigError when missing or when the numbers cannot be.
        """
        eminx, eminy, emaxx, emaxy = centres
        if cell is None:
            if min(size) < 2:
                raise ConfigError(f"a raster of {size[0]} x {size[1]} pixels needs its cell size, which is not stored")
            cell = (emaxx - eminx) / (size[0] - 1), (emaxy - eminy) / (size[1] - 1)
        if not (min(cell) > 0 and all(map(math.isfinite, (*cell, *block_origin, *centres)))):
            raise ConfigError(f"centres {centres} of {size[0]} x {size[1]} pixels do not give a cell above 0")
        columns = round((eminx - block_origin[0]) / cell[0])
        rows = round((block_origin[1] - emaxy) / cell[1])
        return cls(*block_origin, *cell, *block_size, *size, columns, rows)

    @property
    def window(self) -> Window:
        """The raster's pixels."""
        return Window(self.first_column, self.first_row, self.first_column + self.width, self.first_row + self.height)

    @property
    def extent(self) -> BoundingBox:
        """The raster's outer pixel edges."""
        return self.bounds_of(self.window)

    @property
    def centres(self) -> tuple[float, float, float, float]:
        """(eminx, eminy, emaxx, emaxy): centres of the first and last pixels, as the band table holds them."""
        left, top, right, bottom = self.window
        return (
            self.origin_x + left * self.cell_x,
            self.origin_y - (bottom - 1) * self.cell_y,
            self.origin_x + (right - 1) * self.cell_x,
            self.origin_y - top * self.cell_y,
        )

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """(a, b, c, d, e, f): x = a col + b row + c, y = d col + e row + f at the corners of pixels."""
        left, _, _, top = self.extent
        return self.cell_x, 0.0, left, 0.0, -self.cell_y, top

    def level(self, n: int) -> BlockGrid:
        """The grid of level ``n`` above this one: cells 2^n times as large, the same corner of pixel (0, 0)."""
        if not 0 <= n <= _MAX_LEVEL:
            raise ConfigError(f"level {n}: expected 0 to {_MAX_LEVEL}")
        if n == 0:
            return self
        left, top, right, bottom = self.window
        shift = ((1 << n) - 1) / 2
        return replace(
            self,
            origin_x=self.origin_x + shift * self.cell_x,
            origin_y=self.origin_y - shift * self.cell_y,
            cell_x=self.cell_x * (1 << n),
            cell_y=self.cell_y * (1 << n),
            width=((right - 1) >> n) - (left >> n) + 1,
            height=((bottom - 1) >> n) - (top >> n) + 1,
            first_column=left >> n,
            first_row=top >> n,
        )

    def levels(self, top: str | int = "auto", skip_level1: bool = False) -> tuple[int, ...]:
        """Levels of a pyramid over this grid, 0 first.

        ``top``: ``auto``, until the raster fits in one block's size; ``esri``, while a level has four pixels or more to
        merge; or the number of the last level, -1 for auto. ``skip_level1`` leaves level 1 out: 0, 2, 3 ... ConfigError
        for anything else.
        """
        if top == "auto" or top == -1:
            side, last = max(self.block_width, self.block_height), 0
            while self._longest(last) > side:
                last += 1
        elif top == "esri":
            last = 0
            while (self.width >> last) * (self.height >> last) >= 4 and last < _MAX_LEVEL:
                last += 1
        elif isinstance(top, int) and 0 <= top <= _MAX_LEVEL:
            last = top
        else:
            raise ConfigError(f"pyramid {top!r}: expected auto, esri, or a level from 0 to {_MAX_LEVEL}")
        return tuple(n for n in range(last + 1) if n != 1 or not skip_level1)

    def _longest(self, level: int) -> int:
        grid = self.level(level)
        return max(grid.width, grid.height)

    def level_for(self, resolution: float, levels: Iterable[int]) -> int:
        """The coarsest of ``levels`` with pixels not larger than ``resolution`` (units per pixel), else the finest.

        ConfigError when the resolution is not a number above 0.
        """
        if not resolution > 0:
            raise ConfigError(f"resolution {resolution}: expected a number above 0")
        known = sorted(levels)
        fine = [n for n in known if max(self.cell_x, self.cell_y) * 2**n <= resolution * (1 + 1e-9)]
        return fine[-1] if fine else known[0]

    def blocks_of(self, window: Window) -> tuple[range, range]:
        """Rows and columns of the blocks that ``window`` touches."""
        return (
            range(window.top // self.block_height, -(-window.bottom // self.block_height)),
            range(window.left // self.block_width, -(-window.right // self.block_width)),
        )

    def blocks(self) -> tuple[range, range]:
        """Rows and columns of the blocks that the raster touches."""
        return self.blocks_of(self.window)

    def block_window(self, row: int, col: int) -> Window:
        """All pixels of a block, also those beyond the raster."""
        left, top = col * self.block_width, row * self.block_height
        return Window(left, top, left + self.block_width, top + self.block_height)

    def bounds_of(self, window: Window) -> BoundingBox:
        """Outer pixel edges of a window."""
        x0, y0 = self.origin_x - self.cell_x / 2, self.origin_y + self.cell_y / 2
        return BoundingBox(
            x0 + window.left * self.cell_x,
            y0 - window.bottom * self.cell_y,
            x0 + window.right * self.cell_x,
            y0 - window.top * self.cell_y,
        )

    def window_of(self, bbox: tuple[float, float, float, float], level: int = 0) -> Window | None:
        """Pixels of ``level`` that a box (left, bottom, right, top) touches, inside the raster; None without any.

        Edges within a millionth of a pixel of a pixel's edge lie on it. ConfigError unless the sides are in order.
        """
        grid = self.level(level)
        left, bottom, right, top = bbox
        if not (left <= right and bottom <= top):
            raise ConfigError(f"box {tuple(bbox)}: expected left <= right and bottom <= top")
        x0, y0 = grid.origin_x - grid.cell_x / 2, grid.origin_y + grid.cell_y / 2
        frame = grid.window
        # Clipped before they become integers: a box may be infinite.
        edges = [
            max(frame.left - 1.0, min(frame.right + 1.0, (left - x0) / grid.cell_x)),
            max(frame.top - 1.0, min(frame.bottom + 1.0, (y0 - top) / grid.cell_y)),
            max(frame.left - 1.0, min(frame.right + 1.0, (right - x0) / grid.cell_x)),
            max(frame.top - 1.0, min(frame.bottom + 1.0, (y0 - bottom) / grid.cell_y)),
        ]
        window = Window(
            math.floor(edges[0] + _SNAP), math.floor(edges[1] + _SNAP),
            math.ceil(edges[2] - _SNAP), math.ceil(edges[3] - _SNAP),
        )  # fmt: skip
        return window.intersection(frame)

    def offset_of(self, other: BlockGrid) -> tuple[int, int]:
        """(columns, rows) of ``other``'s first pixel in this grid.

        ConfigError unless cells are equal and pixels fall on pixels, within a thousandth of a pixel everywhere.
        """
        for name, ours, theirs, count in (
            ("width", self.cell_x, other.cell_x, other.width),
            ("height", self.cell_y, other.cell_y, other.height),
        ):
            if not abs(ours - theirs) * count <= _OFFSET_TOLERANCE * ours:
                raise ConfigError(f"pixel {name} {theirs!r} where the raster has {ours!r}: mosaics need equal cells")
        left, _, _, top = other.centres
        exact = (left - self.origin_x) / self.cell_x, (self.origin_y - top) / self.cell_y
        columns, rows = round(exact[0]), round(exact[1])
        off = max(abs(exact[0] - columns), abs(exact[1] - rows))
        if off > _OFFSET_TOLERANCE:
            raise ConfigError(
                f"pixels are {off:.4g} of a pixel off the raster's grid: mosaics need whole-pixel offsets"
            )
        return columns, rows

    def grown(self, window: Window) -> BlockGrid:
        """The grid of the smallest raster around this one and ``window``; the origin stays."""
        left, top, right, bottom = self.window.union(window)
        return replace(self, width=right - left, height=bottom - top, first_column=left, first_row=top)


def ancestors(blocks: Iterable[tuple[int, int]], steps: int = 1) -> set[tuple[int, int]]:
    """(row, column) of the blocks ``steps`` levels up that are made from ``blocks``."""
    return {(row >> steps, col >> steps) for row, col in blocks}


def assemble(
    fetch: Fetch, window: Window, block_width: int, block_height: int, dtype: npt.DTypeLike
) -> tuple[Pixels, Mask | None]:
    """Pixels of any window of one level from its blocks: new arrays (height, width), 0 where there is no data.

    The mask is None when every pixel is data.
    """
    pixels = np.zeros((window.height, window.width), dtype)
    mask: Mask | None = None
    for row in range(window.top // block_height, -(-window.bottom // block_height)):
        for col in range(window.left // block_width, -(-window.right // block_width)):
            frame = Window(col * block_width, row * block_height, (col + 1) * block_width, (row + 1) * block_height)
            part = frame.intersection(window)
            if part is None:
                continue
            block = fetch(row, col)
            if mask is None and (block is None or block[1] is not None):
                mask = np.full(pixels.shape, 255, np.uint8)
            here, there = part.slices_in(window), part.slices_in(frame)
            if block is not None:
                pixels[here] = block[0][there]
            if mask is not None and (block is None or block[1] is not None):
                mask[here] = 0 if block is None or block[1] is None else block[1][there]
    if mask is None or mask.all():
        return pixels, None
    pixels[mask == 0] = 0
    return pixels, mask


def cut_blocks(
    pixels: Pixels, mask: Mask | None, window: Window, block_width: int, block_height: int, repeat: bool = False
) -> Iterator[tuple[int, int, Pixels, Mask | None]]:
    """(row, column, block, mask) of all blocks that ``window`` touches, of the array that lies there.

    Blocks inside are views; those at its edges are padded with mask 0 and pixels 0, or with ``repeat`` the nearest
    pixels, which lossy codecs spoil least. ValueError when shapes do not fit.
    """
    shape = (window.height, window.width)
    if pixels.shape != shape or (mask is not None and mask.shape != shape):
        raise ValueError(f"pixels of shape {pixels.shape} do not lie at {window}")
    for row in range(window.top // block_height, -(-window.bottom // block_height)):
        for col in range(window.left // block_width, -(-window.right // block_width)):
            frame = Window(col * block_width, row * block_height, (col + 1) * block_width, (row + 1) * block_height)
            part = frame.intersection(window)
            if part is None:
                continue
            here = part.slices_in(window)
            block, valid = pixels[here], None if mask is None else mask[here]
            if part != frame:
                block, valid = _padded(block, valid, part, frame, repeat)
            yield row, col, block, valid


def _padded(block: Pixels, mask: Mask | None, part: Window, frame: Window, repeat: bool) -> tuple[Pixels, Mask]:
    around = (
        (part.top - frame.top, frame.bottom - part.bottom),
        (part.left - frame.left, frame.right - part.right),
    )
    valid = np.full(block.shape, 255, np.uint8) if mask is None else mask
    padded: npt.NDArray[Any] = np.pad(block, around, "edge") if repeat else np.pad(block, around)
    return padded, np.pad(valid, around)
