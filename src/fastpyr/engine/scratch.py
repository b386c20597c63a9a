"""Memory that is used again: fresh pages cost more than the pixels written to them."""

from __future__ import annotations

import math
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.memory import pooled_empty

__all__ = ["BlockPool", "Scratch"]


class Scratch:
    """Named buffers of one worker that only grow. Not for use by two threads."""

    def __init__(self) -> None:
        self._buffers: dict[str, NDArray[np.uint8]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """An uninitialised C-contiguous array, valid until the next call with the same name."""
        wanted = math.prod(shape) * np.dtype(dtype).itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.nbytes < wanted:
            # Room for a little more, because windows of neighbouring blocks differ by a few rows.
            buffer = self._buffers[name] = np.empty(wanted + wanted // 8, np.uint8)
        return buffer[:wanted].view(dtype).reshape(shape)


class BlockPool:
    """Block-sized pixel and mask arrays handed out and taken back, shared by all workers of a build."""

    def __init__(self, height: int, width: int, channels: int, dtype: str) -> None:
        self.shape = (height, width, channels)
        self.dtype = dtype
        self._free: list[tuple[NDArray[Any], NDArray[np.uint8]]] = []
        self._lock = Lock()

    def take(self) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """(pixels, mask): pixels are uninitialised, the mask is all 0."""
        with self._lock:
            pair = self._free.pop() if self._free else None
        if pair is None:
            return pooled_empty(self.shape, self.dtype), np.zeros(self.shape[:2], np.uint8)
        pair[1].fill(0)
        return pair

    def give(self, pixels: NDArray[Any], mask: NDArray[np.uint8]) -> None:
        """Take a pair back. The caller keeps no reference to it."""
        with self._lock:
            self._free.append((pixels, mask))
