"""Boxes in coordinates and ranges of tiles. Axis order is always x (or longitude) first, y upwards."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["BoundingBox", "TileLimits"]


class BoundingBox(NamedTuple):
    """A box in the units of its coordinate reference system."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom

    @property
    def is_finite(self) -> bool:
        """True when no side is NaN or infinite."""
        return all(math.isfinite(side) for side in self)

    @property
    def is_valid(self) -> bool:
        """True for finite sides that enclose an area."""
        return self.is_finite and self.left < self.right and self.bottom < self.top

    def intersects(self, other: BoundingBox) -> bool:
        """True when the interiors meet: boxes that only share an edge do not intersect."""
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    def intersection(self, other: BoundingBox) -> BoundingBox | None:
        """The common area, None when there is none."""
        if not self.intersects(other):
            return None
        return BoundingBox(
            max(self.left, other.left),
            max(self.bottom, other.bottom),
            min(self.right, other.right),
            min(self.top, other.top),
        )

    def union(self, other: BoundingBox) -> BoundingBox:
        """The smallest box around both."""
        return BoundingBox(
            min(self.left, other.left),
            min(self.bottom, other.bottom),
            max(self.right, other.right),
            max(self.top, other.top),
        )

    def __str__(self) -> str:
        return f"({self.left:.10g}, {self.bottom:.10g}, {self.right:.10g}, {self.top:.10g})"


class TileLimits(NamedTuple):
    """A range of tiles of one level, all four ends inclusive. Row 0 is the topmost, column 0 the leftmost."""

    min_row: int
    max_row: int
    min_col: int
    max_col: int

    @property
    def columns(self) -> int:
        """Number of tile columns."""
        return self.max_col - self.min_col + 1

    @property
    def rows(self) -> int:
        """Number of tile rows."""
        return self.max_row - self.min_row + 1

    @property
    def count(self) -> int:  # type: ignore[override]
        """Number of tiles; takes the place of the tuple method, which makes no sense here."""
        return self.columns * self.rows

    def contains(self, col: int, row: int) -> bool:
        return self.min_col <= col <= self.max_col and self.min_row <= row <= self.max_row

    def intersection(self, other: TileLimits) -> TileLimits | None:
        """The common tiles, None when there are none."""
        both = TileLimits(
            max(self.min_row, other.min_row),
            min(self.max_row, other.max_row),
            max(self.min_col, other.min_col),
            min(self.max_col, other.max_col),
        )
        return both if both.rows > 0 and both.columns > 0 else None

    def union(self, other: TileLimits) -> TileLimits:
        """The smallest range around both."""
        return TileLimits(
            min(self.min_row, other.min_row),
            max(self.max_row, other.max_row),
            min(self.min_col, other.min_col),
            max(self.max_col, other.max_col),
        )
