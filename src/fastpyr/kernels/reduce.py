"""Half-size images: the 2x2 mean of QTree levels and the decimation of the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import ConfigError

__all__ = ["decimate", "gamma_table", "reduce2x2"]

NATIVE_DTYPES = (np.dtype(np.uint8), np.dtype(np.float32))


@lru_cache(maxsize=8)
def gamma_table(gamma: float) -> npt.NDArray[np.uint8] | None:
    """Table G of the ROK4 2x2 mean: 1021 values for floor(4 sum / count), or None for gamma 1 (pure arithmetic).

    G[i] = 255 - round(((1020 - i) / 1020) ** gamma * 255), halves rounded up. gamma > 1 brightens, < 1 darkens.
    ConfigError when gamma is not a positive finite number.
    """
    if not (math.isfinite(gamma) and gamma > 0):
        raise ConfigError(f"gamma {gamma}: expected a positive number, 1 for none")
    if gamma == 1:
        return None
    darkness = ((1020 - np.arange(1021)) / 1020) ** gamma
    table = (255 - np.floor(darkness * 255 + 0.5)).astype(np.uint8)
    table.setflags(write=False)
    return table


def reduce2x2(
    src: npt.NDArray[Any],
    out: npt.NDArray[Any] | None = None,
    *,
    mask: npt.NDArray[np.uint8] | None = None,
    out_mask: npt.NDArray[np.uint8] | None = None,
    nodata: Sequence[float] | None = None,
    gamma: float = 1.0,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8] | None]:
    """Mean of the valid pixels of each 2x2 block: (2h, 2w, C) to (h, w, C).

    A block with fewer than two valid pixels becomes ``nodata`` (one value per channel, 0 by default) with mask 0; any
    other has mask 255. Without ``mask`` every pixel is valid and ``out_mask``, if given, is filled with 255.

    Integers: floor((floor(4 sum / count) + 1) / 4), which for four pixels rounds to the nearest, ties down; with
    another ``gamma`` (uint8 only) the value comes from ``gamma_table``. Floats: ((a + b) + c) + d in the type of the
    samples, divided by the count.

    uint8 and float32 of 1 to 4 channels are native; int16, uint16, int32 and float64 go through Numba. Arrays may be
    row-strided views; ``out`` must not overlap ``src``. Returns (out, out_mask); the mask is None when neither
    ``mask`` nor ``out_mask`` was given. ValueError on odd sizes or arrays that do not fit,
    ConfigError on a gamma that cannot work.
    """
    if src.ndim != 3 or src.shape[0] % 2 or src.shape[1] % 2:
        raise ValueError(f"src: shape {src.shape}, the 2x2 mean needs (even rows, even columns, channels)")
    rows, cols, channels = src.shape[0] // 2, src.shape[1] // 2, src.shape[2]
    if out is None:
        out = np.empty((rows, cols, channels), src.dtype)
    if mask is not None and out_mask is None:
        out_mask = np.empty((rows, cols), np.uint8)
    values = (0,) * channels if nodata is None else tuple(nodata)
    if src.dtype == np.uint8 and not all(0 <= v <= 255 and v == int(v) for v in values):
        raise ValueError(f"nodata: {values}, uint8 samples hold 0 to 255")
    if gamma != 1 and src.dtype != np.uint8:
        raise ConfigError(f"gamma {gamma} on {src.dtype} samples: only uint8 has a gamma, use 1")
    table = gamma_table(gamma)
    if src.dtype in NATIVE_DTYPES:
        fill = [int(v) for v in values] if src.dtype == np.uint8 else values
        _native.reduce2x2(src, out, mask, out_mask, fill, table)
    else:
        from .jit_reduce import reduce2x2_jit

        reduce2x2_jit(src, out, mask, out_mask, values)
    return out, out_mask


def decimate(
    src: npt.NDArray[Any],
    ratio: int,
    offset: tuple[int, int],
    out: npt.NDArray[Any],
    *,
    mask: npt.NDArray[np.uint8] | None = None,
    out_mask: npt.NDArray[np.uint8] | None = None,
) -> None:
    """Takes every ``ratio``-th pixel: out[j, i] = src[oy + j * ratio, ox + i * ratio] with offset = (ox, oy).

    Any dtype, (rows, cols, channels), row-strided views accepted. ``mask`` goes to ``out_mask`` the same way; without
    ``mask``, ``out_mask`` is filled with 255. ValueError when ``out`` asks for pixels outside ``src``.
    """
    _native.decimate(src, ratio, offset[0], offset[1], out)
    if out_mask is None:
        return
    if out_mask.shape != out.shape[:2]:
        raise ValueError(f"out_mask: shape {out_mask.shape}, expected {out.shape[:2]}")
    if mask is None:
        out_mask[...] = 255
        return
    if mask.shape != src.shape[:2]:
        raise ValueError(f"mask: shape {mask.shape}, expected {src.shape[:2]}")
    _native.decimate(mask, ratio, offset[0], offset[1], out_mask)
