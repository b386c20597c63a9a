"""Definition of ``resample`` and ``warp`` in NumPy float64, pixel by pixel: slow, obvious, and the oracle of the tests.

Shares no code with the fast paths. Masked rule of both: numerator and denominator are summed over all valid taps in two
dimensions and divided once at the end; a denominator below 0.1 gives the nearest pixel instead. Where the nearest
pixel is outside the source or masked, the output is nodata with mask 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, isfinite, pi, sin
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats import Interpolation

__all__ = ["resample_reference", "warp_positions", "warp_reference"]

Pixels = NDArray[Any]
Mask = NDArray[np.uint8]

_SUPPORT = {"nn": 0.5, "linear": 1.0, "bicubic": 2.0, "lanczos": 3.0}


def _k(name: str, d: float) -> float:
    if d >= _SUPPORT[name]:
        return 0.0
    if name == "linear":
        return 1.0 - d
    if name == "bicubic":
        return 1 - 2.5 * d**2 + 1.5 * d**3 if d <= 1 else 2 - 4 * d + 2.5 * d**2 - 0.5 * d**3
    return 1.0 if d == 0 else sin(pi * d) / (pi * d) * sin(pi * d / 3) / (pi * d / 3)


def _nearest(position: float) -> int:
    """Nearest pixel, ties (within 1e-7 pixel) to the lower index; -1 for positions that are not finite."""
    return ceil(position - 0.5 - 1e-7) if isfinite(position) else -1


def _resample_taps(name: str, x: float, ratio: float) -> list[tuple[int, float]]:
    """(index, weight) pairs with the kernel stretched to half the number of taps."""
    s = _SUPPORT[name]
    count = ceil(2 * s * max(1.0, ratio) - 1e-7)
    radius = count / 2
    first = ceil(x - radius - 1e-7)
    return _normalised([(i, _k(name, abs(x - i) * s / radius)) for i in range(first, first + count)])


def _warp_taps(name: str, x: float, ratio: float) -> list[tuple[int, float]]:
    """(index, weight) pairs with the kernel stretched to its exact support, at x rounded to 1/1024 pixel."""
    x = floor(x * 1024 + 0.5) / 1024
    stretch = max(1.0, ratio)
    reach = ceil(_SUPPORT[name] * stretch - 1e-7)
    base = floor(x)
    return _normalised([(i, _k(name, abs(x - i) / stretch)) for i in range(base - reach + 1, base + reach + 1)])


def _normalised(taps: list[tuple[int, float]]) -> list[tuple[int, float]]:
    total = sum(weight for _, weight in taps)
    return [(i, weight / total) for i, weight in taps]


def _place(index: int, size: int, border: str) -> int:
    """Index inside the source, or -1: ``mirror`` repeats the edge pixel, ``clamp`` holds it, ``drop`` has nothing."""
    if border == "mirror":
        index %= 2 * size
        return min(index, 2 * size - 1 - index)
    if border == "clamp":
        return min(max(index, 0), size - 1)
    return index if 0 <= index < size else -1


def _pixel(
    src: Pixels,
    mask: Mask | None,
    border: str,
    nearest: tuple[int, int],
    columns: list[tuple[int, float]],
    rows: list[tuple[int, float]],
) -> NDArray[np.float64]:
    """Value of one pixel (channels,): nearest is (column, row), inside the source and valid."""
    height, width, channels = src.shape
    numerator, denominator = np.zeros(channels), 0.0
    placed = [(_place(i, width, border), weight) for i, weight in columns]
    for j, vertical in rows:
        row = _place(j, height, border)
        for column, horizontal in placed:
            if row >= 0 and column >= 0 and (mask is None or mask[row, column]):
                numerator = numerator + vertical * horizontal * src[row, column].astype(np.float64)
                denominator += vertical * horizontal
    if denominator < 0.1:
        return np.asarray(src[nearest[1], nearest[0]], dtype=np.float64)
    return np.asarray(numerator / denominator)


def _finish(values: NDArray[np.float64], dtype: np.dtype[Any]) -> Pixels:
    """Integers: floor(v + 0.5), clamped to the type. Floats: unchanged."""
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.floor(values + 0.5), limits.min, limits.max).astype(dtype)


def _reference(
    src: Pixels,
    positions: NDArray[np.float64],
    name: str,
    taps: Any,
    ratio: tuple[float, float],
    border: str,
    mask: Mask | None,
    nodata: Sequence[float] | None,
) -> tuple[Pixels, Mask, NDArray[np.float64]]:
    height, width, channels = src.shape
    exact = np.zeros((*positions.shape[:2], channels))
    exact[:] = 0.0 if nodata is None else nodata
    out_mask = np.zeros(positions.shape[:2], np.uint8)
    for j, i in np.ndindex(*positions.shape[:2]):
        x, y = positions[j, i]
        nearest = (_nearest(x), _nearest(y))
        if not (0 <= nearest[0] < width and 0 <= nearest[1] < height):
            continue
        if mask is not None and not mask[nearest[1], nearest[0]]:
            continue
        out_mask[j, i] = 255
        if name == "nn":
            exact[j, i] = src[nearest[1], nearest[0]]
        else:
            exact[j, i] = _pixel(src, mask, border, nearest, taps(name, x, ratio[0]), taps(name, y, ratio[1]))
    return _finish(exact, src.dtype), out_mask, exact


def resample_reference(
    src: Pixels,
    shape: tuple[int, int],
    *,
    x0: float,
    y0: float,
    rx: float,
    ry: float,
    interpolation: Interpolation | str,
    mask: Mask | None = None,
    nodata: Sequence[float] | None = None,
) -> tuple[Pixels, Mask, NDArray[np.float64]]:
    """``resample`` of src (rows, cols, channels) to ``shape`` (rows, cols): (pixels, mask, exact float64 values).

    Without mask the source is mirrored at its edges, edge pixel repeated; with one, outside counts as masked.
    """
    positions = np.empty((*shape, 2))
    positions[..., 0] = x0 + rx * np.arange(shape[1])
    positions[..., 1] = (y0 + ry * np.arange(shape[0]))[:, None]
    name = Interpolation(interpolation).value
    border = "mirror" if mask is None else "drop"
    return _reference(src, positions, name, _resample_taps, (rx, ry), border, mask, nodata)


def warp_positions(nodes: NDArray[np.float64], step: int, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Source positions (rows, cols, 2) of ``shape`` pixels: bilinear between nodes; NaN in cells with a bad node."""
    positions = np.empty((*shape, 2))
    for j, i in np.ndindex(*shape):
        row, column = j // step, i // step
        fy, fx = (j - row * step) / step, (i - column * step) / step
        below, right = min(row + 1, len(nodes) - 1), min(column + 1, nodes.shape[1] - 1)
        corners = nodes[[row, row, below, below], [column, right, column, right]]
        weights = np.array([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx])
        positions[j, i] = weights @ corners if np.isfinite(corners).all() else np.nan
    return positions


def warp_reference(
    src: Pixels,
    nodes: NDArray[np.float64],
    step: int,
    shape: tuple[int, int],
    *,
    interpolation: Interpolation | str,
    ratio: tuple[float, float] = (1.0, 1.0),
    mask: Mask | None = None,
    nodata: Sequence[float] | None = None,
) -> tuple[Pixels, Mask, NDArray[np.float64]]:
    """``warp`` of src (rows, cols, channels) to ``shape`` (rows, cols): (pixels, mask, exact float64 values).

    Without mask, taps outside the source take the value of its edge; with one, they count as masked.
    """
    positions = warp_positions(np.asarray(nodes, np.float64), step, shape)
    name = Interpolation(interpolation).value
    border = "clamp" if mask is None else "drop"
    return _reference(src, positions, name, _warp_taps, ratio, border, mask, nodata)
