"""Arrays in memory that is used again: fresh pages cost more than the pixels written to them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import _native

__all__ = ["ARENA_BYTES", "pooled_empty"]

ARENA_BYTES = 256 << 20
"""Memory that is kept while any of it is in use; what does not fit in is allocated as usual."""
_LEAST = 1 << 16
"""Smaller arrays are not worth a loan."""

_arena = _native.Arena(ARENA_BYTES)


def pooled_empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """As ``numpy.empty``: an uninitialised C-contiguous array, often of memory that was used before.

    The memory is free again when neither the array nor a view of it is referred to: nothing has to be given back.
    Safe for many threads.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    loan = _arena.take(size) if size >= _LEAST else None
    if loan is None:
        return np.empty(shape, dtype)
    return np.frombuffer(loan, dtype).reshape(shape)
