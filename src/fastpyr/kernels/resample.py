"""Change of resolution or phase without change of axes: separable, each axis with its own taps."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..errors import ConfigError
from ..formats import Interpolation
from .weights import AxisTaps, axis_taps

__all__ = ["nodata_pixel", "resample"]


def resample(
    src: NDArray[Any],
    out: NDArray[Any],
    *,
    x0: float,
    y0: float,
    rx: float,
    ry: float,
    interpolation: Interpolation | str,
    mask: NDArray[np.uint8] | None = None,
    out_mask: NDArray[np.uint8] | None = None,
    nodata: Sequence[float] | None = None,
) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
    """Fills ``out`` (rows, cols, channels) from ``src`` (rows, cols, channels) of the same dtype: (out, out_mask).

    Output pixel (column i, row j) lies at source position (x0 + i * rx, y0 + j * ry), centre of pixel 0 at 0.0; rx and
    ry are destination / source resolution, and above 1 the kernel widens (see ``weights.axis_taps``).

    Where the nearest pixel (ties to the lower index) is outside src or its ``mask`` is 0, out is ``nodata`` (0 when
    not given) and ``out_mask`` 0; elsewhere out_mask is 255. Without mask, src is mirrored at its edges, edge pixel
    repeated. With one, masked and outside taps are left out and the result divided once by the weights of the others;
    where these are less than 0.1 of the whole, out is the nearest pixel.

    uint8 (rounded as floor(v + 0.5)) and float32 are computed in float32, columns first, products and sums rounded
    one by one in tap order: uint8 results are the same bytes on every CPU. Other dtypes are computed in float64 by
    numba. src, out and masks may be row-strided views.

    Raises ValueError on arrays that do not fit together, ConfigError on positions or ratios that cannot be used.
    """
    interpolation = Interpolation(interpolation)
    if not (isfinite(x0) and isfinite(y0)):
        raise ConfigError(f"resample: first position ({x0}, {y0}) must be finite")
    if min(src.shape[:2]) < 1:
        raise ValueError(f"src: shape {src.shape}, expected at least one pixel")
    mirror = mask is None
    x = axis_taps(interpolation, x0 + rx * np.arange(out.shape[1], dtype=np.float64), rx, src.shape[1], mirror=mirror)
    y = axis_taps(interpolation, y0 + ry * np.arange(out.shape[0], dtype=np.float64), ry, src.shape[0], mirror=mirror)
    pixel = nodata_pixel(nodata, src).view(np.uint8)
    if interpolation is Interpolation.NN:
        _native.resample_nearest(src, out, x.nearest, y.nearest, mask, out_mask, pixel)
    elif src.dtype in (np.uint8, np.float32):
        _native.resample(src, out, _axis(x), _axis(y), mask, out_mask, pixel)
    else:
        from .jit_resample import resample_any

        # The nearest pixel decides about nodata as everywhere, and checks the arguments; numba then overwrites.
        valid = np.empty(out.shape[:2], np.uint8) if out_mask is None else out_mask
        _native.resample_nearest(src, out, x.nearest, y.nearest, mask, valid, pixel)
        resample_any(src, out, x, y, mask, valid)
    return out, out_mask


def _axis(taps: AxisTaps) -> tuple[Any, ...]:
    return taps.first, taps.weights, taps.inside, taps.nearest


def nodata_pixel(nodata: Sequence[float] | None, pixels: NDArray[Any]) -> NDArray[Any]:
    """One pixel of nodata in the dtype and channel count of ``pixels`` (rows, cols, channels); 0 when not given.

    ConfigError when the number of values is not that of the channels, or a value does not fit the dtype.
    """
    channels = pixels.shape[-1]
    if nodata is None:
        return np.zeros(channels, pixels.dtype)
    if len(nodata) != channels:
        raise ConfigError(f"nodata has {len(nodata)} value(s) for {channels} channel(s): give one per channel")
    if pixels.dtype.kind in "iu":
        limits = np.iinfo(pixels.dtype)
        if not all(limits.min <= value <= limits.max for value in nodata):
            raise ConfigError(f"nodata {list(nodata)} is outside {limits.min}..{limits.max} of {pixels.dtype} samples")
    return np.array(nodata, pixels.dtype)
