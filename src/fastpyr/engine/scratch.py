"""Memory that is used again: fresh pages cost more than the pixels written to them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.memory import pooled_empty

__all__ = ["Scratch"]


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
            buffer = self._buffers[name] = pooled_empty((wanted + wanted // 8,), np.uint8)
        return buffer[:wanted].view(dtype).reshape(shape)
