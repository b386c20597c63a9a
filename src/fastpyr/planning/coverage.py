"""Which blocks and slabs of a level take part in a build, and in which order.

A *block* is a square of tiles, the unit of work: its side is a power of two that divides the slab's sides, so blocks
nest in slabs and, in a quadtree, four blocks nest in one block of the next level.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..frozen import frozen
from ..grid import TileLimits

__all__ = ["AxisLinks", "Coverage", "block_side", "morton_order"]

MAX_BLOCK_SIDE = 4
"""Tiles per block side: 1024 x 1024 pixels keep a block and its source window within a second-level cache slice."""


def block_side(tiles_per_width: int, tiles_per_height: int) -> int:
    """Largest power of two up to 4 that divides both slab sides (in tiles)."""
    side = MAX_BLOCK_SIDE
    while tiles_per_width % side or tiles_per_height % side:
        side //= 2
    return side


def morton_order(columns: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.intp]:
    """Indices that sort cells along the Z curve: siblings of a quadtree come one after the other.

    ``columns`` and ``rows`` are non-negative and below 2**31.
    """
    return np.argsort(_spread(columns) | (_spread(rows) << np.uint64(1)), kind="stable")


def _spread(values: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Insert a zero bit before every bit of a 32-bit number."""
    x = values.astype(np.uint64)
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):
        x = (x | (x << np.uint64(shift))) & np.uint64(mask)
    return x


class Coverage:
    """A set of grid cells kept as a bitmap over its bounding rectangle: one byte a cell.

    ``column`` and ``row`` are the indices of the bitmap's top-left cell.
    """

    __slots__ = ("cells", "column", "row")

    def __init__(self, column: int, row: int, cells: NDArray[np.bool_]) -> None:
        self.column = column
        self.row = row
        self.cells = cells

    @classmethod
    def of_ranges(cls, ranges: list[TileLimits]) -> Coverage:
        """Union of inclusive index ranges (at least one)."""
        box = ranges[0]
        for item in ranges[1:]:
            box = box.union(item)
        cells = np.zeros((box.rows, box.columns), np.bool_)
        for item in ranges:
            cells[
                item.min_row - box.min_row : item.max_row - box.min_row + 1,
                item.min_col - box.min_col : item.max_col - box.min_col + 1,
            ] = True
        return cls(box.min_col, box.min_row, cells)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.cells))

    def __contains__(self, cell: tuple[int, int]) -> bool:
        """Whether (column, row) is one of the set."""
        column, row = cell[0] - self.column, cell[1] - self.row
        height, width = self.cells.shape
        return 0 <= column < width and 0 <= row < height and bool(self.cells[row, column])

    def count(self, columns: range, rows: range) -> int:
        """Cells of the set inside a rectangle of indices (step 1 ranges)."""
        top, left = max(rows.start - self.row, 0), max(columns.start - self.column, 0)
        bottom, right = max(rows.stop - self.row, 0), max(columns.stop - self.column, 0)
        return int(np.count_nonzero(self.cells[top:bottom, left:right]))

    def clipped(self, columns: int, rows: int) -> Coverage:
        """The part with indices in ``0..columns-1`` and ``0..rows-1``."""
        top, left = max(-self.row, 0), max(-self.column, 0)
        cells = self.cells[top : max(rows - self.row, 0), left : max(columns - self.column, 0)]
        return Coverage(self.column + left, self.row + top, cells)

    def coarser(self, columns: AxisLinks, rows: AxisLinks) -> Coverage:
        """Cells of the derived level that receive something from this one."""
        first_row, last_row = rows.targets(self.row).start, rows.targets(self.row + self.cells.shape[0] - 1).stop
        by_rows = np.zeros((last_row - first_row, self.cells.shape[1]), np.bool_)
        for i in range(self.cells.shape[0]):
            hit = rows.targets(self.row + i)
            by_rows[hit.start - first_row : hit.stop - first_row] |= self.cells[i]
        first, last = columns.targets(self.column).start, columns.targets(self.column + self.cells.shape[1] - 1).stop
        cells = np.zeros((by_rows.shape[0], last - first), np.bool_)
        for i in range(self.cells.shape[1]):
            hit = columns.targets(self.column + i)
            cells[:, hit.start - first : hit.stop - first] |= by_rows[:, i : i + 1]
        return Coverage(first, first_row, cells)

    def grouped(self, width: int, height: int) -> Coverage:
        """Coarser cells of ``width`` x ``height`` cells that hold at least one cell of the set."""
        rows, cols = np.nonzero(self.cells)
        rows = (rows + self.row) // height
        cols = (cols + self.column) // width
        column, row = int(cols.min()), int(rows.min())
        cells = np.zeros((int(rows.max()) - row + 1, int(cols.max()) - column + 1), np.bool_)
        cells[rows - row, cols - column] = True
        return Coverage(column, row, cells)

    def finer(self, width: int, height: int) -> Coverage:
        """Every cell as ``width`` x ``height`` finer ones: what ``grouped`` makes of them is this set again."""
        cells = self.cells.repeat(height, 0).repeat(width, 1)
        return Coverage(self.column * width, self.row * height, cells)

    def common(self, limits: TileLimits) -> Coverage:
        """The cells inside an inclusive index range, which holds one at least."""
        top, left = max(limits.min_row - self.row, 0), max(limits.min_col - self.column, 0)
        cells = self.cells[top : max(limits.max_row - self.row + 1, 0), left : max(limits.max_col - self.column + 1, 0)]
        return Coverage(self.column + left, self.row + top, cells)

    def in_order(self, group_width: int, group_height: int, *, by_rows: bool = False) -> Iterator[tuple[int, int]]:
        """(column, row) of every cell: groups along the Z curve, and cells along it inside each group.

        With slabs as groups, few slabs are open at a time whatever the size of the set. ``by_rows``: groups row by row
        instead, every other row from the right, so that a row begins where the one before ended.
        """
        groups = self.grouped(group_width, group_height)
        rows, cols = np.nonzero(groups.cells)
        rows, cols = rows + groups.row, cols + groups.column
        for g in np.lexsort((np.where(rows % 2, -cols, cols), rows)) if by_rows else morton_order(cols, rows):
            left, top = int(cols[g]) * group_width - self.column, int(rows[g]) * group_height - self.row
            part = self.cells[max(top, 0) : top + group_height, max(left, 0) : left + group_width]
            r, c = np.nonzero(part)
            r, c = r + max(top, 0) + self.row, c + max(left, 0) + self.column
            for i in morton_order(c, r):
                yield int(c[i]), int(r[i])


@frozen
class AxisLinks:
    """How cells of a source level and of a level derived from it meet, along one axis.

    A target pixel t takes source pixels around ``ratio * t + offset``. ``size`` is the cell size in pixels, the same
    in both levels; ``mean`` says that the pixel is the mean of ``ratio`` pixels starting there (offset 0) rather than
    the one pixel whose centre coincides.
    """

    ratio: int
    offset: int
    size: int
    mean: bool

    def owner(self, pixel: int) -> int:
        """Target pixel whose area holds the centre of a source pixel."""
        if self.mean:
            return pixel // self.ratio
        return (2 * (pixel - self.offset) + self.ratio) // (2 * self.ratio)

    def targets(self, cell: int) -> range:
        """Target cells that a source cell reaches, without a gap to those that the next one reaches."""
        if self.mean:
            return range(cell // self.ratio, cell // self.ratio + 1)
        return range(
            self.owner(cell * self.size) // self.size,
            self.owner((cell + 1) * self.size - 1) // self.size + 1,
        )

    def sources(self, cell: int) -> range:
        """Source cells that reach a target cell."""
        first = (cell * self.size * self.ratio + self.offset - self.ratio) // self.size
        last = ((cell + 1) * self.size * self.ratio + self.offset + self.ratio) // self.size
        hits = [c for c in range(first, last + 1) if cell in self.targets(c)]
        return range(hits[0], hits[-1] + 1)

    def picks(self, source_cell: int, target_cell: int) -> tuple[int, int, int]:
        """What a source cell gives to a target cell: (first source pixel in its cell, first target pixel in its
        cell, number of target pixels)."""
        begin, end = source_cell * self.size, (source_cell + 1) * self.size
        first = -((self.offset - begin) // self.ratio) if not self.mean else -(-begin // self.ratio)
        stop = -((self.offset - end) // self.ratio) if not self.mean else end // self.ratio
        first = max(first, target_cell * self.size)
        stop = min(stop, (target_cell + 1) * self.size)
        return first * self.ratio + self.offset - begin, first - target_cell * self.size, max(0, stop - first)
