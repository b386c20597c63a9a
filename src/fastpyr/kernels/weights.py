"""Interpolation kernels and the weight tables made from them.

Positions are in source pixels: the centre of pixel 0 is at 0.0. ``ratio`` is destination resolution / source
resolution of one axis; above 1 (fewer pixels out than in) the kernel widens, so that no source pixel is skipped.

Two rules of widening exist, s being the half-width of the kernel and S = s * max(1, ratio):

* ``resample``: L = ceil(2 S - 1e-7) taps, kernel stretched to R = L / 2, which is a little more than S. This is how
  ROK4 pyramids are resampled.
* ``warp``: kernel stretched to S exactly, L = 2 * ceil(S) taps of which the outermost may weigh 0.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..formats import Interpolation
from ..frozen import frozen

__all__ = [
    "MAX_TAPS",
    "MAX_WEIGHTS",
    "PHASES",
    "WEIGHT_BITS",
    "AxisTaps",
    "PhaseTable",
    "axis_taps",
    "half_width",
    "kernel",
    "kernel_table",
    "nearest_index",
    "phase_table",
    "quantise",
    "tap_count",
]

PHASES = 1024
"""Positions inside a pixel that ``warp`` tells apart."""

WEIGHT_BITS = 14
"""Integer weights sum to 2 ** 14 exactly."""

MAX_TAPS = 4096
"""Most taps per axis of ``warp``: beyond, its tables would be larger than the pixels they serve."""

MAX_WEIGHTS = 1 << 25
"""Most weights per axis of ``resample`` (1 GiB while they are computed)."""

TIE = 1e-7
"""Positions this close (in pixels) to the border of two pixels count as on it, and belong to the lower one."""

_FAR = float(1 << 40)
_HALF_WIDTHS = {
    Interpolation.NN: 0.5,
    Interpolation.LINEAR: 1.0,
    Interpolation.BICUBIC: 2.0,
    Interpolation.LANCZOS: 3.0,
}

Floats = NDArray[np.float64]


def half_width(interpolation: Interpolation) -> float:
    """Half-width s of the kernel that is not widened, in source pixels."""
    return _HALF_WIDTHS[interpolation]


def kernel(interpolation: Interpolation, distance: NDArray[Any]) -> Floats:
    """Value of the kernel at a distance >= 0 in source pixels of a kernel that is not widened; 0 beyond s.

    linear: 1 - d. bicubic: Catmull-Rom, a = -0.5. lanczos: sinc(d) sinc(d / 3). nn: 1.
    """
    d = np.asarray(distance, dtype=np.float64)
    if interpolation is Interpolation.NN:
        return np.where(d <= 0.5, 1.0, 0.0)
    if interpolation is Interpolation.LINEAR:
        return np.maximum(1.0 - d, 0.0)
    if interpolation is Interpolation.BICUBIC:
        near = 1.0 + d * d * (1.5 * d - 2.5)
        far = 2.0 + d * (-4.0 + d * (2.5 - 0.5 * d))
        return np.where(d <= 1.0, near, np.where(d < 2.0, far, 0.0))
    return np.where(d < 3.0, np.sinc(d) * np.sinc(d / 3.0), 0.0)


@lru_cache(maxsize=8)
def kernel_table(interpolation: Interpolation) -> NDArray[np.float32]:
    """The kernel at 1025 distances from 0 to s, float32: what the ROK4 reference tools interpolate linearly."""
    table = kernel(interpolation, np.arange(1025) * (half_width(interpolation) / 1024.0)).astype(np.float32)
    table.flags.writeable = False
    return table


def _tabulated(interpolation: Interpolation, distance: Floats) -> Floats:
    table = kernel_table(interpolation).astype(np.float64)
    return np.interp(distance * (1024.0 / half_width(interpolation)), np.arange(1025.0), table, right=0.0)


def nearest_index(positions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index of the nearest pixel: ceil(p - 0.5 - 1e-7), so that a tie goes to the lower index.

    Positions that are not finite or beyond 2 ** 40 pixels give an index that lies in no array.
    """
    clean = np.nan_to_num(np.asarray(positions, dtype=np.float64), nan=-_FAR, posinf=_FAR, neginf=-_FAR)
    return np.ceil(np.clip(clean, -_FAR, _FAR) - (0.5 + TIE)).astype(np.int64)


def tap_count(interpolation: Interpolation, ratio: float) -> int:
    """L of ``resample``: ceil(2 S - 1e-7). ConfigError unless the ratio is a positive number."""
    if not isfinite(ratio) or ratio <= 0.0:
        raise ConfigError(f"resample: ratio {ratio} of destination to source resolution must be a positive number")
    if interpolation is Interpolation.NN:
        return 1
    return ceil(2.0 * half_width(interpolation) * max(1.0, ratio) - TIE)


@frozen
class AxisTaps:
    """What one axis of ``resample`` reads for each output coordinate.

    ``first`` int32 (n,): first source index, with ``first + L <= size``. ``weights`` float32 (n, L): sum 1 over the
    taps inside the source. ``inside`` float32 (n,): share of the whole kernel that these taps are (1 where the
    kernel lies inside, and everywhere with mirrored borders). ``nearest`` int32 (n,): nearest source index, -1 where
    that pixel is outside the source.
    """

    first: NDArray[np.int32]
    weights: NDArray[np.float32]
    inside: NDArray[np.float32]
    nearest: NDArray[np.int32]


def axis_taps(
    interpolation: Interpolation,
    positions: NDArray[np.float64],
    ratio: float,
    size: int,
    *,
    mirror: bool,
    tabulated: bool = False,
) -> AxisTaps:
    """Taps at ``positions`` (n,) of an axis of ``size`` source pixels, by the rule of ``resample``.

    Outside the source lies its mirror image, edge pixel repeated (``mirror``), or nothing. ``tabulated`` reads the
    kernel from the 1025-entry float32 table instead of computing it; weights then differ by less than 1e-5.
    """
    nearest = nearest_index(positions)
    is_inside = (nearest >= 0) & (nearest < size)
    safe = np.where(is_inside, positions, 0.0)
    count = tap_count(interpolation, ratio)
    if count * len(positions) > MAX_WEIGHTS:
        raise ConfigError(
            f"resample: {len(positions)} pixels of {count} taps each (ratio {ratio:g}) need too many weights: "
            "reduce the source first"
        )
    if interpolation is Interpolation.NN:
        index = np.where(is_inside, nearest, 0)[:, None]
        weights = np.ones((len(safe), 1))
    else:
        radius = count / 2.0
        index = np.ceil(safe - radius - TIE).astype(np.int64)[:, None] + np.arange(count)
        distance = np.abs(safe[:, None] - index) * (half_width(interpolation) / radius)
        weights = _tabulated(interpolation, distance) if tabulated else kernel(interpolation, distance)
        weights /= weights.sum(axis=1, keepdims=True)
    first, weights, inside = _fold(index, weights, size, mirror)
    return AxisTaps(
        first.astype(np.int32),
        np.ascontiguousarray(weights, dtype=np.float32),
        inside.astype(np.float32),
        np.where(is_inside, nearest, -1).astype(np.int32),
    )


def _fold(
    index: NDArray[np.int64], weights: Floats, size: int, mirror: bool
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Moves taps outside 0..size-1 to their mirror image, or drops them: (first, weights, share inside)."""
    count = index.shape[1]
    kept = min(count, size)
    first = np.clip(index[:, 0], 0, size - kept)
    inside = np.ones(len(index))
    crossing = np.flatnonzero((index[:, 0] < 0) | (index[:, -1] >= size))
    folded = weights[:, :kept].copy()
    folded[crossing] = 0.0
    if mirror:
        target = index[crossing] % (2 * size)
        target = np.minimum(target, 2 * size - 1 - target) - first[crossing, None]
        np.add.at(folded, (crossing[:, None], target), weights[crossing])
    else:
        row, tap = np.nonzero((index[crossing] >= 0) & (index[crossing] < size))
        row = crossing[row]
        folded[row, index[row, tap] - first[row]] = weights[row, tap]
        inside[crossing] = folded[crossing].sum(axis=1)
        folded[crossing] /= inside[crossing, None]
    return first, folded, inside


@frozen
class PhaseTable:
    """Weights of one axis of ``warp`` for every phase (position inside a pixel, in 1/1024).

    ``weights`` float64 (1024, taps) sum 1; tap t of a position in [b, b + 1) is source index b + 1 - taps/2 + t.
    ``integers`` int16 and ``floats`` float32 (1024, stride): the same, padded with zeros for whole vector loads;
    integers sum to 2 ** 14. ``fraction_bits`` (6 or 7): bits kept behind the point between the two passes.
    """

    taps: int
    weights: Floats
    integers: NDArray[np.int16]
    floats: NDArray[np.float32]
    fraction_bits: int


def phase_table(interpolation: Interpolation, ratio: float) -> PhaseTable:
    """Table of an interpolating kernel (not nn). ConfigError when the ratio asks for more than 4096 taps."""
    if not isfinite(ratio) or ratio <= 0.0:
        raise ConfigError(f"warp: ratio {ratio} of destination to source resolution must be a positive number")
    stretch = max(1.0, ratio)
    taps = 2 * ceil(half_width(interpolation) * stretch - TIE)
    if taps > MAX_TAPS:
        raise ConfigError(
            f"warp: ratio {ratio:g} needs a {taps}-tap {interpolation.value} kernel, at most {MAX_TAPS} are supported: "
            "reduce the source first"
        )
    return _phase_table(interpolation, stretch, taps)


@lru_cache(maxsize=16)
def _phase_table(interpolation: Interpolation, stretch: float, taps: int) -> PhaseTable:
    phase = np.arange(PHASES)[:, None] / PHASES
    distance = np.abs(np.arange(1 - taps // 2, taps // 2 + 1) - phase) / stretch
    weights = kernel(interpolation, distance)
    weights /= weights.sum(axis=1, keepdims=True)
    stride = 4 if taps <= 4 else -(-taps // 8) * 8
    integers = np.zeros((PHASES, stride), np.int16)
    integers[:, :taps] = quantise(weights)
    floats = np.zeros((PHASES, stride), np.float32)
    floats[:, :taps] = weights
    for table in (weights, integers, floats):
        table.flags.writeable = False
    return PhaseTable(taps, weights, integers, floats, _fraction_bits(integers))


def quantise(weights: Floats) -> NDArray[np.int16]:
    """Rows of weights (sum 1) as integers that sum to 2 ** 14 exactly, each less than 1 away from exact.

    Weights are rounded down, then the units that are missing go to the largest remainders.
    """
    scaled = weights * (1 << WEIGHT_BITS)
    floor = np.floor(scaled)
    missing = np.rint((1 << WEIGHT_BITS) - floor.sum(axis=1)).astype(np.int64)
    # Ranks of the remainders, largest first; stable, so that the table is the same on every machine.
    order = np.argsort(floor - scaled, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(weights.shape[1]), order.shape), axis=1)
    return np.asarray(floor + (rank < missing[:, None]), dtype=np.int16)


def _fraction_bits(integers: NDArray[np.int16]) -> int:
    """Bits that partial sums can keep in 16 bits: a row of taps is summed in two halves, pairs taken in turn."""
    pairs = integers.astype(np.int64).reshape(len(integers), -1, 2)
    largest = 0
    for half in (pairs[:, 0::2], pairs[:, 1::2]):
        largest = max(largest, int(np.where(half > 0, half, 0).sum(axis=(1, 2)).max(initial=0)))
        largest = max(largest, -int(np.where(half < 0, half, 0).sum(axis=(1, 2)).min(initial=0)))
    return 7 if (255 * largest) >> (WEIGHT_BITS - 7) <= 32767 else 6
