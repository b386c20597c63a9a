"""Pixels read at positions given by a grid of nodes: the kernel of reprojection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..formats import Interpolation
from .resample import nodata_pixel
from .weights import phase_table

__all__ = ["warp"]


def warp(
    src: NDArray[Any],
    nodes: NDArray[np.float64],
    step: int,
    out: NDArray[Any],
    *,
    interpolation: Interpolation | str,
    ratio: tuple[float, float] = (1.0, 1.0),
    mask: NDArray[np.uint8] | None = None,
    out_mask: NDArray[np.uint8] | None = None,
    nodata: Sequence[float] | None = None,
) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
    """Fills ``out`` (rows, cols, channels) from ``src`` (rows, cols, channels) of the same dtype: (out, out_mask).

    ``nodes`` (ny, nx, 2) are source pixel coordinates (x, y; centre of pixel 0 at 0.0) of output pixels
    (column * step, row * step), with ny >= ceil((rows - 1) / step) + 1 and likewise nx; between nodes positions are
    bilinear, then rounded to 1/1024 pixel. Pixels of a cell with a node that is not finite are nodata.

    ``ratio`` (x, y) is destination / source resolution; above 1 the kernel widens to S = s * ratio. Where the nearest
    pixel (ties to the lower index) is outside src or its ``mask`` is 0, out is ``nodata`` (0 when not given) and
    ``out_mask`` 0; elsewhere out_mask is 255. Without mask, taps outside src take the value of its edge. With one,
    masked and outside taps are left out and the weights of the others normalised; where these are less than 0.1 of
    the whole, out is the nearest pixel.

    uint8 is computed in integers with 14-bit weights: at most 1 from exact, mostly equal, and the same bytes on
    every CPU. float32 is within 1e-6 of the local amplitude. Other dtypes are computed in float64 by numba, integers
    rounded as floor(v + 0.5). src, out and masks may be row-strided views. Sides of src: at most 1040384 pixels.

    Raises ValueError on arrays that do not fit together, ConfigError on a ratio that is no positive number or needs
    more than 4096 taps.
    """
    interpolation = Interpolation(interpolation)
    nodes = np.ascontiguousarray(nodes, dtype=np.float64)
    pixel = nodata_pixel(nodata, src)
    common = (mask, out_mask, pixel.view(np.uint8))
    if interpolation is Interpolation.NN:
        _native.warp_nearest(src, out, nodes, step, *common)
        return out, out_mask
    tables = phase_table(interpolation, ratio[0]), phase_table(interpolation, ratio[1])
    if src.dtype in (np.uint8, np.float32):
        x, y = ((table.taps, table.integers, table.floats) for table in tables)
        _native.warp(src, out, nodes, step, x, y, tables[0].fraction_bits, *common)
    else:
        from .jit_resample import warp_any

        # The nearest pixel decides about nodata as everywhere, and checks the arguments; numba then overwrites.
        valid = np.empty(out.shape[:2], np.uint8) if out_mask is None else out_mask
        _native.warp_nearest(src, out, nodes, step, mask, valid, pixel.view(np.uint8))
        warp_any(src, nodes, step, out, tables[0].weights, tables[1].weights, mask, valid)
    return out, out_mask
