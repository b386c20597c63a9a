"""Bins of the values of a band: a bin per value, equal, logarithmic or explicit ones, and a lattice that grows."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import ConfigError
from .pixels import Mask, Pixels

__all__ = ["MAX_BINS", "BinFunction", "Binning", "Histogram", "Lattice"]

MAX_BINS = 65536


class BinFunction(enum.IntEnum):
    """How values fall into bins; the numbers are those of stored statistics."""

    NONE = 0
    AUTO = 1
    DIRECT = 2
    LINEAR = 3
    LOGARITHM = 4
    EXPLICIT = 5


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """``counts``: uint64 (bins,), the sum is that of the data pixels.

    DIRECT: bin k is the value low + k. LINEAR: bins of equal width from low to high. LOGARITHM: bin k begins at
    low - 1 + (high - low + 1) ** (k / bins). EXPLICIT: bin k is [edges[k], edges[k + 1]). The first and the last bin
    also hold what is beyond them.
    """

    function: BinFunction
    low: float
    high: float
    counts: npt.NDArray[np.uint64]
    edges: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Binning:
    """Bins as asked for."""

    function: BinFunction
    bins: int
    limits: tuple[float, float] | None
    edges: npt.NDArray[np.float64] | None

    @classmethod
    def of(
        cls,
        function: BinFunction,
        bins: int,
        limits: tuple[float, float] | None,
        edges: npt.ArrayLike | None,
    ) -> Binning:
        """ConfigError for bins, limits or edges that cannot be."""
        if not 1 <= bins <= MAX_BINS:
            raise ConfigError(f"{bins} bins: expected 1 to {MAX_BINS}")
        if limits is not None and not (all(map(math.isfinite, limits)) and limits[0] < limits[1]):
            raise ConfigError(f"limits {limits}: expected finite numbers, the lower one first")
        if (edges is not None) != (function is BinFunction.EXPLICIT):
            raise ConfigError("EXPLICIT bins need edges, and only they have them")
        table = None
        if edges is not None:
            table = np.array(edges, np.float64)
            if table.ndim != 1 or not 2 <= table.size <= MAX_BINS + 1 or not (np.diff(table) > 0).all():
                raise ConfigError("edges of bins: expected 2 or more increasing numbers")
            bins = table.size - 1
        return cls(function, bins, limits, table)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for bins that can be merged."""
        return self.function, self.bins, self.limits, None if self.edges is None else self.edges.tobytes()

    @property
    def is_fixed(self) -> bool:
        """Whether the bins are known before the values."""
        return self.limits is not None or self.edges is not None

    def empty(self) -> Histogram:
        """No pixel, no bin."""
        edges = None if self.edges is None else self.edges[:1]
        return Histogram(self.function, 0.0, 0.0, np.zeros(0, np.uint64), edges)

    def histogram(self, counts: npt.NDArray[np.uint64] | None) -> Histogram:
        """Fixed bins with their counts, or none at all."""
        if counts is None:
            return self.empty()
        low, high = self._span()
        return Histogram(self.function, low, high, counts.copy(), self.edges)

    def count(self, block: Pixels, mask: Mask | None, counts: npt.NDArray[np.uint64]) -> None:
        """Count the data pixels of a block, 32 bits or floats, in fixed bins."""
        if self.function is BinFunction.LINEAR:
            low, high = self._span()
            _native.histogram(block, mask, low, self.bins / (high - low), 0.0, counts)
            return
        values = block[np.isfinite(block) if mask is None else (mask != 0) & np.isfinite(block)].astype(np.float64)
        counts += np.bincount(self._numbers(values, *self._span()), minlength=self.bins).astype(np.uint64)

    def of_values(self, values: npt.NDArray[np.int64], counts: npt.NDArray[np.uint64]) -> Histogram:
        """Bins of all values at once, ascending, each with its count; at least one has any."""
        seen = np.flatnonzero(counts)
        values, counts = values[seen[0] : seen[-1] + 1], counts[seen[0] : seen[-1] + 1]
        if self.function is BinFunction.NONE:
            return self.empty()
        if self.function is BinFunction.DIRECT:
            return Histogram(self.function, float(values[0]), float(values[-1]), counts.copy())
        low, high = self._span() if self.is_fixed else (float(values[0]), float(values[-1] + 1))
        bins = self.bins if self.is_fixed else min(self.bins, len(values))
        numbers = self._numbers(values.astype(np.float64), low, high, bins)
        binned = np.zeros(bins, np.uint64)
        np.add.at(binned, numbers, counts)
        return Histogram(self.function, low, high, binned, self.edges)

    def _span(self) -> tuple[float, float]:
        if self.edges is not None:
            return float(self.edges[0]), float(self.edges[-1])
        return self.limits if self.limits is not None else (0.0, 0.0)

    def _numbers(
        self, values: npt.NDArray[np.float64], low: float, high: float, bins: int | None = None
    ) -> npt.NDArray[np.intp]:
        """The bin of each value."""
        bins = self.bins if bins is None else bins
        if self.edges is not None:
            found = np.searchsorted(self.edges, values, "right") - 1
            return np.clip(found, 0, bins - 1)
        inside = np.clip(values, low, high)
        if self.function is BinFunction.LINEAR:
            share = (inside - low) * (bins / (high - low))
        else:
            share = np.log(inside - low + 1) * (bins / math.log(high - low + 1))
        return np.minimum(np.floor(share), bins - 1).astype(np.intp)


class Lattice:
    """Equal bins over whatever values come: their width is a power of two and their edges are multiples of it.

    The width follows from the smallest and the largest value alone, and a bin of twice the width is exactly two of the
    narrower ones: counts do not depend on the order of blocks or merges.
    """

    def __init__(self, bins: int, is_integer: bool) -> None:
        self._most_bins = max(bins, 2)  # multiples of any width have 0 among them: values on both sides need two
        self._is_integer = is_integer
        self._range: tuple[float, float] | None = None
        self._exponent = 0
        self._first = 0
        self._counts = np.zeros(0, np.uint64)

    def add(self, block: Pixels, mask: Mask | None, least: float, most: float) -> None:
        """Count a block whose data pixels lie between ``least`` and ``most``."""
        self._widen(least, most)
        _native.histogram(block, mask, 0.0, math.ldexp(1.0, -self._exponent), float(self._first), self._counts)

    def merge(self, other: Lattice) -> None:
        """Add the counts of another one."""
        if other._range is None:
            return
        self._widen(*other._range)
        self._put(other)

    def histogram(self) -> Histogram:
        """LINEAR bins around the values."""
        low = _edge(self._first, self._exponent)
        high = _edge(self._first + len(self._counts), self._exponent)
        return Histogram(BinFunction.LINEAR, low, high, self._counts.copy())

    def _put(self, other: Lattice) -> None:
        numbers = (other._first + np.arange(len(other._counts))) >> (self._exponent - other._exponent)
        np.add.at(self._counts, numbers - self._first, other._counts)

    def _widen(self, least: float, most: float) -> None:
        """Make room for values down to ``least`` and up to ``most``."""
        if self._range is not None:
            least, most = min(least, self._range[0]), max(most, self._range[1])
            if (least, most) == self._range:
                return
        before = Lattice(self._most_bins, self._is_integer)
        before._first, before._exponent, before._counts = self._first, self._exponent, self._counts
        self._range = (least, most)
        self._exponent = self._width_of(least, most)
        self._first, last = _multiple(least, self._exponent), _multiple(most, self._exponent)
        self._counts = np.zeros(last - self._first + 1, np.uint64)
        self._put(before)

    def _width_of(self, least: float, most: float) -> int:
        """Exponent of the narrowest bins that are few enough and whose numbers a double holds."""
        largest = max(abs(least), abs(most))
        exponent = 0 if self._is_integer else -1000
        if largest:
            exponent = max(exponent, math.frexp(largest)[1] - 52)
        quarter = most / 4 - least / 4  # of the smallest doubles it may be 0: then the narrowest bins will do
        if quarter:
            exponent = max(exponent, math.frexp(quarter)[1] - self._most_bins.bit_length())
        while _multiple(most, exponent) - _multiple(least, exponent) >= self._most_bins:
            exponent += 1
        return exponent


def _multiple(value: float, exponent: int) -> int:
    """floor(value / 2 ** exponent), also where the quotient is too small for a double."""
    return -1 if value < 0 and not math.ldexp(value, -exponent) else math.floor(math.ldexp(value, -exponent))


def _edge(multiple: int, exponent: int) -> float:
    """multiple * 2 ** exponent; the largest double where that is beyond it."""
    try:
        return math.ldexp(multiple, exponent)
    except OverflowError:
        return math.copysign(float(np.finfo(np.float64).max), multiple)
