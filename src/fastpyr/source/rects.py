"""Rectangles of pixels and those that meet a window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastpyr import _native

__all__ = ["RectIndex"]


class RectIndex:
    """Which of many rectangles meet a window. ``rects``: int64 (n, 4), x0 y0 x1 y1, right and bottom excluded."""

    def __init__(self, rects: npt.NDArray[np.int64]) -> None:
        self._order = np.argsort(rects[:, 0], kind="stable").astype(np.int64, copy=False)
        self._sorted = np.ascontiguousarray(rects[self._order], np.int64)
        self._widest = int((rects[:, 2] - rects[:, 0]).max())

    def query(self, x0: int, y0: int, x1: int, y1: int) -> list[int]:
        """Indexes of the rectangles that share a pixel with the window, ascending."""
        return _native.rects_meeting(self._sorted, self._order, self._widest, x0, y0, x1, y1)
