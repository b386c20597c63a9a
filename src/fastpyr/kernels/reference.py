"""The definitions of reduction, decimation, masks and channel conversion in plain NumPy: the oracle of tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "convert_channels",
    "decimate",
    "fill_nodata",
    "gamma_table",
    "mask_states",
    "nodata_mask",
    "paint",
    "reduce2x2",
]

Array = npt.NDArray[Any]


def gamma_table(gamma: float) -> list[int]:
    """G[i] = 255 - round(((1020 - i) / 1020) ** gamma * 255) for i in 0..1020, halves up."""
    return [255 - int(((1020 - i) / 1020) ** gamma * 255 + 0.5) for i in range(1021)]


def reduce2x2(
    src: Array, mask: Array | None = None, nodata: Sequence[float] | None = None, gamma: float = 1.0
) -> tuple[Array, Array]:
    """Mean of the valid pixels of 2x2 blocks. Returns (out, out_mask)."""
    rows, cols, channels = src.shape
    valid = np.ones((rows, cols), bool) if mask is None else mask != 0
    corners = [(slice(y, None, 2), slice(x, None, 2)) for y in (0, 1) for x in (0, 1)]
    count = sum((valid[c].astype(np.int64) for c in corners), np.zeros((rows // 2, cols // 2), np.int64))
    enough = count >= 2
    divisor = np.where(enough, count, 1)[..., None]
    if src.dtype.kind == "f":
        # Summed in reading order and in the type of the samples: -0.0 is the neutral element of addition.
        total = np.full((rows // 2, cols // 2, channels), -0.0, src.dtype)
        for c in corners:
            total = np.where(valid[c][..., None], total + src[c], total)
        mean = (total / divisor.astype(src.dtype)).astype(src.dtype)
    else:
        total = np.zeros((rows // 2, cols // 2, channels), np.int64)
        for c in corners:
            total += np.where(valid[c][..., None], src[c].astype(np.int64), 0)
        quarters = np.floor(total * 4.0 / divisor).astype(np.int64)
        if src.dtype == np.uint8:
            mean = np.array(gamma_table(gamma))[np.where(enough[..., None], quarters, 0)].astype(np.uint8)
        else:
            mean = np.floor((quarters + 1) / 4).astype(src.dtype)
    fill = np.asarray((0,) * channels if nodata is None else nodata, src.dtype)
    return np.where(enough[..., None], mean, fill), np.where(enough, 255, 0).astype(np.uint8)


def decimate(src: Array, ratio: int, offset: tuple[int, int], rows: int, cols: int) -> Array:
    """The (rows, cols) pixels of src that lie ``ratio`` apart, the first at offset (x, y)."""
    ys = offset[1] + ratio * np.arange(rows)
    xs = offset[0] + ratio * np.arange(cols)
    return src[np.ix_(ys, xs)]


def paint(dst: Array, dst_mask: Array, src: Array, src_mask: Array | None = None) -> tuple[Array, Array]:
    """(dst, dst_mask) after src was laid over them where its mask is not 0."""
    over = np.ones(src.shape[:2], bool) if src_mask is None else src_mask != 0
    return np.where(over[..., None], src, dst), np.where(over, 255, dst_mask).astype(np.uint8)


def fill_nodata(pixels: Array, mask: Array, nodata: Sequence[float]) -> Array:
    """pixels with nodata where mask is 0."""
    return np.where((mask == 0)[..., None], np.asarray(nodata, pixels.dtype), pixels)


def nodata_mask(pixels: Array, nodata: Sequence[float]) -> Array:
    """0 where every channel equals its nodata value, NaN included, else 255."""
    planes = []
    for k, value in enumerate(nodata):
        samples = pixels[..., k].astype(np.float64)
        exact = float(np.float32(value)) if pixels.dtype == np.float32 else float(value)
        planes.append(np.isnan(samples) if np.isnan(exact) else samples == exact)
    return np.where(np.all(planes, axis=0), 0, 255).astype(np.uint8)


def mask_states(mask: Array, tile_height: int, tile_width: int) -> Array:
    """0 no data pixel, 1 some, 2 all, per tile."""
    rows, cols = mask.shape[0] // tile_height, mask.shape[1] // tile_width
    tiles = (mask != 0).reshape(rows, tile_height, cols, tile_width)
    return np.where(tiles.all(axis=(1, 3)), 2, tiles.any(axis=(1, 3))).astype(np.uint8)


def convert_channels(src: Array, channels: int) -> Array:
    """The table of channel conversions of the ROK4 format, gray rounded instead of truncated."""
    count = src.shape[2]
    if src.dtype.kind == "f":
        table = {1: [0], 3: [0, 0, 0] if count == 1 else [0, 1, 2]}
        return src[..., list(range(count)) if channels == count else table[channels]]
    colour = src[..., :3].astype(np.float64) if count >= 3 else np.repeat(src[..., :1], 3, axis=2).astype(np.float64)
    gray = src[..., 0] if count < 3 else np.floor(colour @ (0.2125, 0.7154, 0.0721) + 0.5)
    alpha = src[..., -1] if count in (2, 4) else np.full(src.shape[:2], 255)
    planes = [gray] if channels < 3 else [colour[..., k] for k in range(3)]
    if channels in (2, 4):
        planes.append(alpha)
    return np.stack(planes, axis=2).astype(np.uint8)
