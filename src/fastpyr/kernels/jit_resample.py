"""``resample`` and ``warp`` for sample types the native core does not know, in float64 by numba.

Compiled at first use (about two seconds a type). The nearest-neighbour pass of the native core has run before: ``out``
holds the nearest pixels and ``valid`` their mask, and only valid pixels are computed here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .weights import AxisTaps

__all__ = ["resample_any", "warp_any"]

_NO_MASK = np.zeros((0, 0), np.uint8)


def _limits(dtype: np.dtype[Any]) -> tuple[bool, float, float]:
    """(is integer, smallest, largest) of a sample type."""
    if dtype.kind == "f":
        return False, 0.0, 0.0
    limits = np.iinfo(dtype)
    return True, float(limits.min), float(limits.max)


def resample_any(
    src: NDArray[Any],
    out: NDArray[Any],
    x: AxisTaps,
    y: AxisTaps,
    mask: NDArray[np.uint8] | None,
    valid: NDArray[np.uint8],
) -> None:
    """Interpolates the valid pixels of ``out`` (rows, cols, channels) from taps on both axes."""
    _kernels()[0](
        src, out, x.first, x.weights, x.inside, y.first, y.weights, y.inside,
        _NO_MASK if mask is None else mask, mask is not None, valid, *_limits(out.dtype),
    )  # fmt: skip


def warp_any(
    src: NDArray[Any],
    nodes: NDArray[np.float64],
    step: int,
    out: NDArray[Any],
    x_weights: NDArray[np.float64],
    y_weights: NDArray[np.float64],
    mask: NDArray[np.uint8] | None,
    valid: NDArray[np.uint8],
) -> None:
    """Interpolates the valid pixels of ``out`` (rows, cols, channels) from weights (1024, taps) of both axes."""
    _kernels()[1](
        src, nodes, step, out, x_weights, y_weights,
        _NO_MASK if mask is None else mask, mask is not None, valid, *_limits(out.dtype),
    )  # fmt: skip


@lru_cache(maxsize=1)
def _kernels() -> tuple[Callable[..., None], Callable[..., None]]:
    """The compiled pair; numba is imported here because it takes as long as everything else together."""
    import numba

    @numba.njit(nogil=True, inline="never")  # type: ignore[untyped-decorator, unused-ignore]
    def store(out, j, i, c, value, is_integer, low, high):  # type: ignore[no-untyped-def]
        if is_integer:
            value = min(max(np.floor(value + 0.5), low), high)
        out[j, i, c] = value

    @numba.njit(nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
    def window(src, x0, y0, wx, wy, mask, is_masked, share, out, j, i, is_integer, low, high):  # type: ignore[no-untyped-def]
        height, width, channels = src.shape
        for c in range(channels):
            total, weight = 0.0, 0.0
            for r in range(len(wy)):
                y = y0 + r
                if is_masked and (y < 0 or y >= height):
                    continue
                y = min(max(y, 0), height - 1)
                for t in range(len(wx)):
                    x = x0 + t
                    if is_masked and (x < 0 or x >= width or mask[y, x] == 0):
                        continue
                    w = np.float64(wy[r]) * np.float64(wx[t])
                    total += w * np.float64(src[y, min(max(x, 0), width - 1), c])
                    weight += w
            # The nearest pixel, which is there already, stands where too little of the kernel is valid.
            if not is_masked:
                store(out, j, i, c, total, is_integer, low, high)
            elif weight * share >= 0.1:
                store(out, j, i, c, total / weight, is_integer, low, high)

    @numba.njit(nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
    def resample(  # type: ignore[no-untyped-def]
        src,
        out,
        x_first,
        x_weights,
        x_inside,
        y_first,
        y_weights,
        y_inside,
        mask,
        is_masked,
        valid,
        is_integer,
        low,
        high,
    ):
        for j in range(out.shape[0]):
            for i in range(out.shape[1]):
                if valid[j, i]:
                    window(
                        src, x_first[i], y_first[j], x_weights[i], y_weights[j], mask, is_masked,
                        x_inside[i] * y_inside[j], out, j, i, is_integer, low, high,
                    )  # fmt: skip

    @numba.njit(nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
    def warp(src, nodes, step, out, x_weights, y_weights, mask, is_masked, valid, is_integer, low, high):  # type: ignore[no-untyped-def]
        reach_x, reach_y = x_weights.shape[1] // 2 - 1, y_weights.shape[1] // 2 - 1
        for j in range(out.shape[0]):
            row = j // step
            below, fy = min(row + 1, nodes.shape[0] - 1), (j - row * step) / step
            for i in range(out.shape[1]):
                if valid[j, i] == 0:
                    continue
                col = i // step
                right, fx = min(col + 1, nodes.shape[1] - 1), (i - col * step) / step
                left_node = nodes[row, col] + (nodes[below, col] - nodes[row, col]) * fy
                right_node = nodes[row, right] + (nodes[below, right] - nodes[row, right]) * fy
                qx = int(np.floor((left_node[0] + (right_node[0] - left_node[0]) * fx) * 1024.0 + 0.5))
                qy = int(np.floor((left_node[1] + (right_node[1] - left_node[1]) * fx) * 1024.0 + 0.5))
                window(
                    src, (qx >> 10) - reach_x, (qy >> 10) - reach_y, x_weights[qx & 1023], y_weights[qy & 1023],
                    mask, is_masked, 1.0, out, j, i, is_integer, low, high,
                )  # fmt: skip

    return resample, warp
