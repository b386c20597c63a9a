"""Data masks: uint8 planes, 0 = nodata, anything else = data (255 when written)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _native

__all__ = ["fill_nodata", "mask_states", "nodata_mask", "paint"]


def paint(
    dst: npt.NDArray[Any],
    dst_mask: npt.NDArray[np.uint8] | None,
    src: npt.NDArray[Any],
    src_mask: npt.NDArray[np.uint8] | None = None,
) -> None:
    """Copies ``src`` over ``dst`` where ``src_mask`` is not 0 (everywhere without it) and marks ``dst_mask`` 255.

    Pixels (rows, cols, channels) of equal shape and dtype, masks (rows, cols); row-strided views accepted, no overlap.
    ValueError when they do not match.
    """
    _native.paint(dst, dst_mask, src, src_mask)


def fill_nodata(pixels: npt.NDArray[Any], mask: npt.NDArray[np.uint8], nodata: Sequence[float]) -> None:
    """Writes ``nodata`` (one value per channel) in place where ``mask`` is 0. ValueError if shapes differ."""
    if pixels.ndim != 3 or len(nodata) != pixels.shape[2]:
        raise ValueError(f"nodata: {len(nodata)} values for pixels of shape {pixels.shape}")
    _native.fill_nodata(pixels, mask, np.asarray(nodata, pixels.dtype).view(np.uint8))


def nodata_mask(
    pixels: npt.NDArray[Any], nodata: Sequence[float], out: npt.NDArray[np.uint8] | None = None
) -> npt.NDArray[np.uint8]:
    """Mask of (rows, cols, channels) pixels: 0 where all channels equal ``nodata`` (one value each), else 255.

    NaN equals NaN. Values that the sample type cannot hold (-9999 in uint8, 12.5 in an integer) are found nowhere;
    float32 samples are compared with the nearest float32. ValueError on shapes that do not match.
    """
    if pixels.ndim != 3 or len(nodata) != pixels.shape[2]:
        raise ValueError(f"nodata: {len(nodata)} values for pixels of shape {pixels.shape}")
    if out is None:
        out = np.empty(pixels.shape[:2], np.uint8)
    if out.shape != pixels.shape[:2] or out.dtype != np.uint8:
        raise ValueError(f"out: {out.dtype} {out.shape}, expected uint8 {pixels.shape[:2]}")
    is_float = pixels.dtype.kind == "f"
    if not is_float:
        limits = np.iinfo(pixels.dtype)
        if not all(limits.min <= v <= limits.max and v == int(v) for v in nodata):
            out[...] = 255
            return out
    with np.errstate(over="ignore"):
        values = np.array([v if is_float else int(v) for v in nodata], pixels.dtype)
    if pixels.dtype in (np.uint8, np.float32) and 1 <= len(nodata) <= 4:
        _native.nodata_mask(pixels, values.tolist(), out)
        return out
    same = pixels == values
    if is_float:
        same |= np.isnan(pixels) & np.isnan(values)
    out[...] = np.where(same.all(axis=2), 0, 255)
    return out


def mask_states(mask: npt.NDArray[np.uint8], tile_height: int, tile_width: int) -> npt.NDArray[np.uint8]:
    """State of each tile of a mask, uint8 (rows / tile_height, cols / tile_width).

    0: no data pixel, 1: some, 2: all. ValueError when the mask is not a whole number of tiles.
    """
    shape = (mask.shape[0] // max(tile_height, 1), mask.shape[1] // max(tile_width, 1))
    states = np.empty(shape, np.uint8)
    _native.mask_states(mask, tile_height, tile_width, states)
    return states
