"""The 2x2 mean for the sample types that have no native kernel, compiled by Numba at first use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["JIT_DTYPES", "reduce2x2_jit"]

JIT_DTYPES = tuple(np.dtype(t) for t in (np.int16, np.uint16, np.int32, np.float64))


@cache
def _kernel(is_float: bool) -> Callable[..., None]:
    """Compiled lazily: importing Numba and compiling cost about a second. The GIL is released while it runs."""
    import numba

    def mean_of_integers(total: Any, count: int) -> Any:
        return (total * 4 // count + 1) // 4

    def mean_of_floats(total: Any, count: int) -> Any:
        return total / count

    mean: Callable[[Any, int], Any] = numba.njit(nogil=True)(mean_of_floats if is_float else mean_of_integers)
    zero = -0.0 if is_float else 0

    @numba.njit(nogil=True)
    def kernel(src: Any, out: Any, mask: Any, out_mask: Any, nodata: Any) -> None:
        for y in range(out.shape[0]):
            for x in range(out.shape[1]):
                count = 0
                for i in range(4):
                    if mask[2 * y + i // 2, 2 * x + i % 2] != 0:
                        count += 1
                out_mask[y, x] = 255 if count >= 2 else 0
                for k in range(out.shape[2]):
                    if count < 2:
                        out[y, x, k] = nodata[k]
                        continue
                    total = zero
                    for i in range(4):
                        if mask[2 * y + i // 2, 2 * x + i % 2] != 0:
                            total += src[2 * y + i // 2, 2 * x + i % 2, k]
                    out[y, x, k] = mean(total, count)

    compiled: Callable[..., None] = kernel
    return compiled


def reduce2x2_jit(
    src: npt.NDArray[Any],
    out: npt.NDArray[Any],
    mask: npt.NDArray[np.uint8] | None,
    out_mask: npt.NDArray[np.uint8] | None,
    nodata: Sequence[float],
) -> None:
    """``reduce2x2`` of int16, uint16, int32 and float64 samples, any number of channels. ValueError as there."""
    if src.dtype not in JIT_DTYPES:
        known = ", ".join(["uint8", "float32", *(d.name for d in JIT_DTYPES)])
        raise ValueError(f"src: {src.dtype} samples have no 2x2 mean: expected one of {known}")
    rows, cols, channels = src.shape[0] // 2, src.shape[1] // 2, src.shape[2]
    if out.dtype != src.dtype or out.shape != (rows, cols, channels):
        raise ValueError(f"out: {out.dtype} {out.shape}, expected {src.dtype} {(rows, cols, channels)}")
    if len(nodata) != channels:
        raise ValueError(f"nodata: {len(nodata)} values for {channels} channels")
    # Absent masks cost no memory: one value seen everywhere, and a scratch plane for results nobody wants.
    mask = np.broadcast_to(np.uint8(255), src.shape[:2]) if mask is None else mask
    out_mask = np.empty((rows, cols), np.uint8) if out_mask is None else out_mask
    for name, plane, shape in (("mask", mask, src.shape[:2]), ("out_mask", out_mask, (rows, cols))):
        if plane.dtype != np.uint8 or plane.shape != shape:
            raise ValueError(f"{name}: {plane.dtype} {plane.shape}, expected uint8 {shape}")
    _kernel(src.dtype.kind == "f")(src, out, mask, out_mask, np.asarray(nodata, src.dtype))
