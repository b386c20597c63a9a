"""Rectangles of pixels and those that meet a window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["RectIndex"]


class RectIndex:
    """Which of many rectangles meet a window. ``rects``: int64 (n, 4), x0 y0 x1 y1, right and bottom excluded."""

    def __init__(self, rects: npt.NDArray[np.int64]) -> None:
        self._order = np.argsort(rects[:, 0], kind="stable")
        self._sorted = rects[self._order]
        self._widest = int((rects[:, 2] - rects[:, 0]).max())

    def query(self, x0: int, y0: int, x1: int, y1: int) -> list[int]:
        """Indexes of the rectangles that share a pixel with the window, ascending."""
        lefts = self._sorted[:, 0]
        start = np.searchsorted(lefts, x0 - self._widest, side="right")
        part = self._sorted[start : np.searchsorted(lefts, x1, side="left")]
        hits = np.flatnonzero((part[:, 2] > x0) & (part[:, 1] < y1) & (part[:, 3] > y0))
        return sorted(self._order[start + hits].tolist())
