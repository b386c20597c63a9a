"""The definition of overlays in plain NumPy, float64: the oracle of tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["overlay"]

Array = npt.NDArray[Any]

_TINY = 1e-6


def _split(samples: Array) -> tuple[Array, Array]:
    """Colour (..., 3) and alpha (...) of samples (..., 1..4)."""
    channels = samples.shape[-1]
    values = samples.astype(np.float64)
    colour = np.repeat(values[..., :1], 3, axis=-1) if channels < 3 else values[..., :3]
    if channels % 2:
        return colour, np.ones(samples.shape[:-1])
    return colour, values[..., -1] / (255.0 if samples.dtype == np.uint8 else 1.0)


def overlay(
    layers: Sequence[tuple[Array, Array | None]],
    channels: int,
    *,
    method: str,
    background: Sequence[float],
    transparent: Sequence[float] | None = None,
) -> tuple[Array, Array]:
    """(pixels, mask) of layers, the lowest first, as ``fastpyr.kernels.overlay`` says."""
    rows, cols = layers[0][0].shape[:2]
    dtype = layers[0][0].dtype
    colour, alpha = _split(np.broadcast_to(np.array(background, dtype), (rows, cols, channels)))
    found = np.zeros((rows, cols), bool)
    for pixels, mask in layers:
        above, above_alpha = _split(pixels)
        if transparent is not None:
            room = 0.001 * np.abs(np.array(transparent, np.float64)) if dtype == np.float32 else 0
            same = (np.abs(above - np.array(transparent, np.float64)) <= room).all(axis=-1)
            above_alpha = np.where(same, 0.0, above_alpha)
        data = np.ones((rows, cols), bool) if mask is None else mask != 0
        new, new_alpha = _composed(method, colour, alpha, above, above_alpha, found, dtype == np.uint8)
        colour = np.where(data[..., None], new, colour)
        alpha = np.where(data, new_alpha, alpha)
        found |= data
    return _written(colour, alpha, channels, dtype), np.where(found, 255, 0).astype(np.uint8)


def _composed(
    method: str, below: Array, below_alpha: Array, above: Array, above_alpha: Array, found: Array, is_uint8: bool
) -> tuple[Array, Array]:
    if method == "top":
        return above, above_alpha
    with np.errstate(all="ignore"):
        if method == "multiply":
            colour = below * above / 255.0 if is_uint8 else below * above
            return np.where(found[..., None], colour, above), np.where(found, below_alpha * above_alpha, above_alpha)
        rest = 1.0 - above_alpha
        alpha = above_alpha + below_alpha * rest
        a, b, r = above_alpha[..., None], below_alpha[..., None], rest[..., None]
        colour = (a * above + b * below * r) / alpha[..., None]
    keep, take = above_alpha == 0, below_alpha == 0
    colour = np.where(keep[..., None], below, np.where(take[..., None], above, colour))
    return colour, np.where(keep, below_alpha, np.where(take, above_alpha, alpha))


def _written(colour: Array, alpha: Array, channels: int, dtype: npt.DTypeLike) -> Array:
    is_uint8 = dtype == np.uint8
    if channels < 3:
        red, green, blue = colour[..., 0], colour[..., 1], colour[..., 2]
        gray = 0.2125 * red + 0.7154 * green + 0.0721 * blue
        gray = np.floor(gray + 0.5) if is_uint8 else gray
        gray = np.where((red == green) & (green == blue), red, gray)
        colour = gray[..., None]
    if channels == 1 and is_uint8:
        colour = np.floor(colour + _TINY)
    if channels % 2:
        with np.errstate(invalid="ignore"):
            colour = np.where(alpha[..., None] == 1, colour, alpha[..., None] * colour)
    else:
        colour = np.concatenate([colour, alpha[..., None] * (255.0 if is_uint8 else 1.0)], axis=-1)
    return np.floor(colour + _TINY).astype(np.uint8) if is_uint8 else colour.astype(np.float32)
