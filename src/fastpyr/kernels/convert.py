"""Change of channel count: 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _native

__all__ = ["convert_channels"]


def convert_channels(src: npt.NDArray[Any], channels: int, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
    """Pixels (rows, cols, 1..4) as (rows, cols, channels), same dtype.

    uint8, any to any: gray is replicated into colours; colours become gray by 0.2125 R + 0.7154 G + 0.0721 B, rounded
    to the nearest, ties up (the ROK4 tools truncate, which loses 1 on eight pure grays); alpha is kept where both have
    it, 255 where only the result has it, dropped where only the source has it, never multiplied in.
    float32: 1 to 3 replicates, 3 to 1 keeps the first channel, equal counts copy; anything else is a ValueError.
    Row-strided views accepted. Without ``out`` and with nothing to convert, ``src`` itself is returned.
    """
    if src.ndim != 3:
        raise ValueError(f"src: shape {src.shape}, expected (rows, cols, channels)")
    if out is None:
        if channels == src.shape[2]:
            return src
        if not 1 <= channels <= 4:
            raise ValueError(f"channels: {channels}, expected 1 to 4")
        out = np.empty((*src.shape[:2], channels), src.dtype)
    elif out.ndim != 3 or out.shape[2] != channels:
        raise ValueError(f"out: shape {out.shape}, expected {(*src.shape[:2], channels)}")
    _native.convert_channels(src, out)
    return out
