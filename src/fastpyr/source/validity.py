"""Which pixels are data: nodata values, alpha, NaN and masks brought together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastpyr.formats import SampleType
from fastpyr.kernels import convert_channels, mask_states, nodata_mask

from .base import Mask, Pixels

__all__ = ["combine", "convert_pixels", "data_mask", "mask_state"]


def combine(mask: Mask | None, other: npt.NDArray[Any]) -> Mask | None:
    """Data where both are: ``other`` is anything with 0 (or False) for nodata. None when every pixel is data."""
    valid: npt.NDArray[np.bool_] = np.not_equal(other, 0)
    if mask is not None:
        valid &= mask != 0
    return None if valid.all() else valid.view(np.uint8) * np.uint8(255)


def data_mask(pixels: Pixels, nodata: Sequence[float] | None, *, has_alpha: bool) -> Mask | None:
    """Mask of stored samples, None when every pixel is data.

    A pixel is nodata where all bands equal their ``nodata``, where the last band is 0 and ``has_alpha``, or where a
    float32 band is NaN.
    """
    mask = None if nodata is None else combine(None, nodata_mask(pixels, nodata))
    if has_alpha:
        mask = combine(mask, pixels[:, :, -1])
    # min() is NaN as soon as one sample is: one cheap pass decides for nearly all windows
    if pixels.dtype == np.float32 and np.isnan(pixels.min()):
        mask = combine(mask, np.isnan(pixels).sum(axis=2) == 0)
    return mask


def mask_state(mask: Mask | None) -> int:
    """0 when no pixel is data, 1 for some, 2 for all (None counts as all)."""
    return 2 if mask is None else int(mask_states(mask, *mask.shape)[0, 0])


def convert_pixels(pixels: Pixels, channels: int, sample: SampleType) -> Pixels:
    """Pixels with the asked channel count and sample type; the same array when nothing changes.

    uint8 becomes float32 unchanged in value. ValueError where ``convert_channels`` has no rule.
    """
    if pixels.shape[2] != channels:
        pixels = convert_channels(pixels, channels)
    return pixels.astype(sample.dtype, copy=False)
