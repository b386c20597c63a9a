"""Images laid over each other: the first data from the top, alpha blending, products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _native

__all__ = ["overlay"]

Layer = tuple[npt.NDArray[Any], npt.NDArray[np.uint8] | None]


def overlay(
    layers: Sequence[Layer],
    channels: int,
    *,
    method: str,
    background: Sequence[float],
    transparent: Sequence[float] | None = None,
    out: npt.NDArray[Any] | None = None,
    out_mask: npt.NDArray[np.uint8] | None = None,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """(pixels (rows, cols, channels), mask) of images of equal size, the lowest first.

    ``layers``, 1 to 64: pixels (rows, cols, 1..4), all uint8 or all float32, with a mask (rows, cols) each, 0 = nodata,
    None where all is data. Channels are gray, gray and alpha, RGB, RGBA, also mixed. A pixel's colour is three numbers
    (gray three times) and an alpha of 0..1 (1 without one; uint8 samples are divided by 255). The canvas begins as
    ``background``, one value per channel of the result; then, where a layer's mask is not 0, from the lowest up:

    * ``method`` "top": the layer's colour and alpha are taken.
    * "alphatop": unchanged where the layer's alpha is 0, taken where the canvas's is 0, else
      a = aa + ab (1 - aa), colour = (aa ca + ab cb (1 - aa)) / a.
    * "multiply": colour = cb ca / 255 (float32: cb ca), alpha = ab aa. The first data is taken as it is: a background,
      which stands for nodata, is no factor (the ROK4 tools multiply it in: black, or all of it transparent).

    ``transparent``, three values: alpha is 0 where a layer's colour equals it (float32: within 0.1 %).

    Written are, of uint8, whole numbers truncated: 4 channels colour and 255 alpha, 2 the same of gray, 3 alpha times
    colour, 1 alpha times truncated gray; of float32 the same without truncation and without 255. What is whole but for
    the rounding of 1/255 counts as whole. The gray of a gray colour is itself, of others 0.2125 R + 0.7154 G +
    0.0721 B, of uint8 to the nearest (the ROK4 tools truncate, which takes 1 from eight grays).

    The mask is 255 where a layer has data, else 0. Row-strided views accepted; ValueError when something does not fit.
    """
    rows, cols = layers[0][0].shape[:2] if layers else (0, 0)
    if out is None:
        out = np.empty((rows, cols, channels), layers[0][0].dtype if layers else np.uint8)
    elif out.shape != (rows, cols, channels):
        raise ValueError(f"out: shape {out.shape}, expected {(rows, cols, channels)}")
    if out_mask is None:
        out_mask = np.empty((rows, cols), np.uint8)
    _native.overlay(layers, method, background, transparent, out, out_mask)
    return out, out_mask
