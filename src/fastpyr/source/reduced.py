"""A pack seen from afar: pixels averaged by a power of two as they are read."""

from __future__ import annotations

import numpy as np

from ..grid import BoundingBox
from ..kernels import reduce2x2
from .base import Affine, Mask, Pixels, RasterInfo
from .pack import Pack

__all__ = ["ReducedPack"]

_READ_PIXELS = 1 << 22
"""Source pixels read at a time."""


class ReducedPack:
    """``pack`` with pixels ``2**halvings`` times larger, each the mean of its data pixels, halved step by step.

    A pixel is data when at every halving at least two of its four parts are. Reads like a Pack; memory stays within
    a few megabytes whatever the reduction.
    """

    def __init__(self, pack: Pack, halvings: int) -> None:
        self._pack = pack
        self._halvings = halvings
        factor = 1 << halvings
        a, b, c, d, e, f = pack.transform
        self.transform = Affine(a * factor, b * factor, c, d * factor, e * factor, f)
        self.width, self.height = -(-pack.width // factor), -(-pack.height // factor)
        self.crs = pack.crs
        self.infos: tuple[RasterInfo, ...] = pack.infos

    @property
    def bounds(self) -> BoundingBox:
        """Envelope in the pack's CRS."""
        return self._pack.bounds

    def read(self, x0: int, y0: int, x1: int, y1: int, out: Pixels, out_mask: Mask) -> int:
        """Fill ``out`` and ``out_mask`` with a window of reduced pixels: as Pack.read, status included."""
        out[...] = 0
        out_mask[...] = 0
        left, top = max(x0, 0), max(y0, 0)
        right, bottom = min(x1, self.width), min(y1, self.height)
        if left < right and top < bottom:
            here = np.s_[top - y0 : bottom - y0, left - x0 : right - x0]
            self._fill(left, top, out[here], out_mask[here], self._halvings)
        if not out_mask.any():
            return 0
        return 2 if out_mask.all() else 1

    def _fill(self, x: int, y: int, out: Pixels, out_mask: Mask, halvings: int) -> None:
        """Pixels from (x, y) on of the pack halved ``halvings`` times."""
        rows, cols = out_mask.shape
        scale = 1 << halvings
        if rows * cols * scale * scale <= _READ_PIXELS or halvings == 0:
            self._fill_from_pack(x, y, out, out_mask, halvings)
        elif max(rows, cols) > 1:
            # Too much to read at once: quarter by quarter.
            for top, bottom in _halves(rows):
                for left, right in _halves(cols):
                    part = np.s_[top:bottom, left:right]
                    self._fill(x + left, y + top, out[part], out_mask[part], halvings)
        else:
            pixels = np.empty((2, 2, out.shape[2]), out.dtype)
            mask = np.zeros((2, 2), np.uint8)
            self._fill(2 * x, 2 * y, pixels, mask, halvings - 1)
            reduce2x2(pixels, out, mask=mask, out_mask=out_mask)

    def _fill_from_pack(self, x: int, y: int, out: Pixels, out_mask: Mask, halvings: int) -> None:
        rows, cols = out_mask.shape
        scale = 1 << halvings
        pixels = np.empty((rows * scale, cols * scale, out.shape[2]), out.dtype)
        mask = np.empty(pixels.shape[:2], np.uint8)
        if self._pack.read(x * scale, y * scale, (x + cols) * scale, (y + rows) * scale, pixels, mask) == 2:
            mask.fill(255)
        for _ in range(halvings):
            pixels, smaller = reduce2x2(pixels, mask=mask)
            assert smaller is not None  # a mask in, a mask out
            mask = smaller
        out[...] = pixels
        out_mask[...] = mask


def _halves(length: int) -> tuple[tuple[int, int], ...]:
    """Two ranges that make up ``length``, or one when it is 1."""
    middle = length // 2
    return ((0, middle), (middle, length)) if middle else ((0, length),)
