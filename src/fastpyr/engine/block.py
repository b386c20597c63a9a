"""Blocks in the making: pixels, and which of them are data, told by a plane only where it differs from tile to tile."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import mask_states
from ..kernels.memory import pooled_empty

__all__ = ["EMPTY", "FULL", "MIXED", "Area", "Block", "BlockPool"]

EMPTY, MIXED, FULL = 0, 1, 2
"""States of tiles, blocks and windows: no pixel is data, some are, all are."""

Area = tuple[slice, slice]
"""Rows and columns of a rectangle of pixels in a block."""


class Block:
    """A block and the tiles of it that are stored (``present``).

    ``mask`` None: the pixels of the areas in ``whole`` are data and no others. ``given``: a rectangle beyond which no
    child has given pixels, None for a block without children. ``remaining``: children that have not given their pixels
    yet.
    """

    __slots__ = ("given", "mask", "pixels", "present", "remaining", "whole")

    def __init__(self, pixels: NDArray[Any], present: NDArray[np.bool_], remaining: int = 0) -> None:
        self.pixels, self.present, self.remaining = pixels, present, remaining
        self.mask: NDArray[np.uint8] | None = None
        self.whole: list[Area] = []
        self.given: Area | None = None

    @property
    def all_of_it(self) -> Area:
        return slice(0, self.pixels.shape[0]), slice(0, self.pixels.shape[1])

    def states(self, tile_height: int, tile_width: int, pool: BlockPool) -> NDArray[np.uint8]:
        """State of each tile, (tile rows, tile columns). With a MIXED tile, and where areas leave gaps, there is a mask
        after the call. For a block that is complete."""
        if self.mask is None:
            shape = (self.pixels.shape[0] // tile_height, self.pixels.shape[1] // tile_width)
            known = sum((rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in self.whole)
            if known == 0:
                return np.full(shape, EMPTY, np.uint8)
            if known == self.pixels.shape[0] * self.pixels.shape[1]:
                return np.full(shape, FULL, np.uint8)
            self._draw(pool.take_mask())
        assert self.mask is not None  # drawn now if it was not
        if self.given is None:
            return mask_states(self.mask, tile_height, tile_width)
        # A block at the edge of the data, as most are in the coarsest levels, is not looked at where nothing can be.
        states = np.full([self.mask.shape[0] // tile_height, self.mask.shape[1] // tile_width], EMPTY, np.uint8)
        (top, bottom), (left, right) = (
            (part.start // size, -(-part.stop // size))
            for part, size in zip(self.given, (tile_height, tile_width), strict=True)
        )
        part = self.mask[top * tile_height : bottom * tile_height, left * tile_width : right * tile_width]
        states[top:bottom, left:right] = mask_states(part, tile_height, tile_width)
        return states

    def give(self, area: Area, lock: Lock, pool: BlockPool, *, full: bool) -> NDArray[np.uint8] | None:
        """Note that a child fills ``area``, which is no other child's.

        ``full``: with data everywhere; nothing is left to do then. Else returns the part of the mask to be filled.
        """
        spare = None if full or self.mask is not None else pool.take_mask()
        with lock:
            self.given = area if self.given is None else _around(self.given, area)
            if self.mask is None:
                if full:
                    self.whole.append(area)
                    return None
                assert spare is not None  # a mask stays once it is there
                self._draw(spare)
                spare = None
            mask = self.mask
        if spare is not None:
            pool.give_mask(spare)
        assert mask is not None
        if not full:
            return mask[area]
        mask[area] = 255
        return None

    def _draw(self, mask: NDArray[np.uint8]) -> None:
        """Say the same with a mask."""
        mask.fill(0)
        for area in self.whole:
            mask[area] = 255
        self.whole.clear()
        self.mask = mask


def _around(first: Area, second: Area) -> Area:
    """The smallest rectangle that holds both."""
    rows, columns = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return rows, columns


class BlockPool:
    """Block-sized arrays of pixels and masks handed out and taken back, shared by all workers of a build."""

    def __init__(self, height: int, width: int, channels: int, dtype: str) -> None:
        self.shape = (height, width, channels)
        self.dtype = dtype
        self._pixels: list[NDArray[Any]] = []
        self._masks: list[NDArray[np.uint8]] = []

    def take(self) -> NDArray[Any]:
        """Uninitialised pixels."""
        # list.pop is atomic; asking first would not be
        try:
            return self._pixels.pop()
        except IndexError:
            return pooled_empty(self.shape, self.dtype)

    def take_mask(self) -> NDArray[np.uint8]:
        """An uninitialised mask."""
        try:
            return self._masks.pop()
        except IndexError:
            return pooled_empty(self.shape[:2], np.uint8)

    def give(self, block: Block) -> None:
        """Take the memory of a block back. The caller keeps no reference to it."""
        self._pixels.append(block.pixels)
        if block.mask is not None:
            self._masks.append(block.mask)

    def give_mask(self, mask: NDArray[np.uint8]) -> None:
        """Take a mask back."""
        self._masks.append(mask)
