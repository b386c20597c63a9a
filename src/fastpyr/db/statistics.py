"""Statistics of a band in one pass over its blocks, exact and mergeable: partial ones of any blocks, in any order.

Pixels of up to 16 bits are counted by value, which gives everything; integers of 32 bits have exact sums; floats are
summed block by block around the block's mean. The standard deviation is that of the population. Float pixels that are
not finite count as nodata.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import ConfigError, DecodeError
from .aux_objects import AuxType, pack_aux, unpack_aux
from .histograms import MAX_BINS, BinFunction, Binning, Histogram, Lattice
from .pixels import Mask, Pixels, PixelType

__all__ = ["BandStatistics", "BinFunction", "Histogram", "Statistics"]

_HEAD = struct.Struct(">4dQQBI2d")


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the ``count`` data pixels of a band; NaN when there is none. ``std`` is the population's.

    Doubles near the end of their range overflow in sums, as in NumPy: mean and std are then not finite.
    """

    minimum: float
    maximum: float
    mean: float
    std: float
    count: int
    nodata_count: int
    histogram: Histogram

    def to_blob(self) -> bytes:
        """Auxiliary object of type 2: doubles minimum, maximum, mean, std; uint64 count, nodata count; uint8 bin
        function; uint32 bins; doubles low, high; uint64 counts; for EXPLICIT the bins + 1 edges as doubles.
        """
        shown, values = self.histogram, (self.minimum, self.maximum, self.mean, self.std)
        counts = shown.counts.astype(">u8").tobytes()
        edges = b"" if shown.edges is None else np.asarray(shown.edges, ">f8").tobytes()
        numbers = (self.count, self.nodata_count, shown.function, len(shown.counts), shown.low, shown.high)
        return pack_aux(AuxType.STATISTICS, _HEAD.pack(*values, *numbers) + counts + edges)

    @classmethod
    def from_blob(cls, blob: bytes) -> Statistics:
        """DecodeError when it is not one, or contradicts itself."""
        payload = unpack_aux(AuxType.STATISTICS, blob)
        if len(payload) < _HEAD.size:
            raise DecodeError(f"statistics of {len(payload)} bytes: at least {_HEAD.size} expected")
        least, most, mean, std, count, nodata, function, bins, low, high = _HEAD.unpack_from(payload)
        explicit = function == BinFunction.EXPLICIT
        size = _HEAD.size + 8 * bins + (8 * (bins + 1) if explicit else 0)
        if function > BinFunction.EXPLICIT or len(payload) != size or bins > MAX_BINS:
            raise DecodeError(f"statistics of {len(payload)} bytes with {bins} bins of function {function}")
        counts = np.frombuffer(payload, ">u8", bins, _HEAD.size).astype(np.uint64)
        edges = np.frombuffer(payload, ">f8", bins + 1, _HEAD.size + 8 * bins).astype(np.float64) if explicit else None
        if bins and sum(counts.tolist()) != count:
            raise DecodeError(f"statistics of {count} pixels have a histogram of {sum(counts.tolist())}")
        # Sums of the largest doubles overflow: mean and std may then be infinite or NaN.
        if count and (not (math.isfinite(least) and least <= most < math.inf) or std < 0):
            raise DecodeError(f"statistics are wrong: minimum, maximum, mean, std {(least, most, mean, std)}")
        histogram = Histogram(BinFunction(function), low, high, counts, edges)
        return cls(least, most, mean, std, count, nodata, histogram)


class BandStatistics:
    """Counts blocks of one pixel type.

    ``function``: AUTO is a bin per value up to 8 bits, else LINEAR. ``bins``: that many at most. ``limits``: low, high
    of LINEAR and LOGARITHM bins; values outside count in the first and last one. Without them the bins span the values
    that are there: for 32 bits and floats of a width that is a power of two, which lets parts be merged exactly;
    LOGARITHM then needs limits. ``edges``: of EXPLICIT, increasing, one more than bins. ConfigError for what cannot be.
    """

    def __init__(
        self,
        pixel_type: PixelType,
        function: BinFunction = BinFunction.AUTO,
        bins: int = 256,
        limits: tuple[float, float] | None = None,
        edges: npt.ArrayLike | None = None,
    ) -> None:
        self.pixel_type = pixel_type
        self._counted = pixel_type.bits <= 16
        if function is BinFunction.AUTO:
            function = BinFunction.DIRECT if pixel_type.bits <= 8 else BinFunction.LINEAR
        if function is BinFunction.DIRECT and not self._counted:
            raise ConfigError(f"DIRECT bins count every value: {pixel_type.value} pixels have too many, use LINEAR")
        self._binning = Binning.of(function, bins, limits, edges)
        self.nodata_count = 0
        """Pixels without data, to which those of absent blocks may be added."""
        self._values: npt.NDArray[np.uint64] | None = None
        self._lattice: Lattice | None = None
        self._bins: npt.NDArray[np.uint64] | None = None
        if self._counted:
            self._values = np.zeros(1 << max(pixel_type.bits, 8), np.uint64)
        elif function is BinFunction.LINEAR and limits is None:
            self._lattice = Lattice(bins, pixel_type.is_integer)
        elif function is not BinFunction.NONE:
            self._bins = np.zeros(self._binning.bins, np.uint64)
            if not self._binning.is_fixed:
                raise ConfigError(f"{function.name} bins of {pixel_type.value} pixels need limits")
        self._sums: _IntegerSums | _FloatSums = _integer_sums() if pixel_type.is_integer else _FloatSums()

    def update(self, block: Pixels, mask: Mask | None = None) -> None:
        """Count a block, (rows, cols) of any size, rows may be strided; mask None when every pixel is data.

        ValueError for another dtype or shape.
        """
        if block.dtype != self.pixel_type.dtype:
            raise ValueError(f"block of {block.dtype}: {self.pixel_type.value} pixels are {self.pixel_type.dtype}")
        if self._values is not None:
            _native.count_values(block, mask, self._values)
            self.nodata_count += 0 if mask is None else block.size - int(np.count_nonzero(mask))
            return
        part: _IntegerSums | _FloatSums
        if self.pixel_type.is_integer:
            part = _IntegerSums(*_native.sum_integers(block, mask))
        else:
            part = _FloatSums(*_native.sum_floats(block, mask))
        self.nodata_count += block.size - part.count
        if not part.count:
            return
        self._sums.merge(part)
        least, most = part.least, part.most
        if self._lattice is not None:
            self._lattice.add(block, mask, float(least), float(most))
        elif self._bins is not None:
            self._binning.count(block, mask, self._bins)

    def merge(self, other: BandStatistics) -> None:
        """Add the pixels that another one has counted. ValueError unless it was made with the same arguments."""
        if (self.pixel_type, self._binning.key) != (other.pixel_type, other._binning.key):
            raise ValueError("statistics of other pixel types or other bins cannot be merged")
        self.nodata_count += other.nodata_count
        self._sums.merge(other._sums)
        for ours, theirs in ((self._values, other._values), (self._bins, other._bins)):
            if ours is not None and theirs is not None:
                ours += theirs
        if self._lattice is not None and other._lattice is not None:
            self._lattice.merge(other._lattice)

    @property
    def count(self) -> int:
        """Pixels with data."""
        return self._total().count

    @property
    def minimum(self) -> float:
        return self.result().minimum

    @property
    def maximum(self) -> float:
        return self.result().maximum

    @property
    def mean(self) -> float:
        return self.result().mean

    @property
    def std(self) -> float:
        return self.result().std

    def result(self) -> Statistics:
        """What has been counted so far."""
        total = self._total()
        if not total.count:
            nan = math.nan
            return Statistics(nan, nan, nan, nan, 0, self.nodata_count, self._binning.empty())
        least, most = float(total.least), float(total.most)
        if self._values is not None:
            histogram = self._binning.of_values(*self._by_value())
        elif self._lattice is not None:
            histogram = self._lattice.histogram()
        else:
            histogram = self._binning.histogram(self._bins)
        return Statistics(least, most, total.mean, total.std, total.count, self.nodata_count, histogram)

    def to_blob(self) -> bytes:
        """``result().to_blob()``."""
        return self.result().to_blob()

    @staticmethod
    def from_blob(blob: bytes, pixel_type: PixelType) -> Statistics:
        """Stored statistics of a band. DecodeError when they are none, or none of such pixels."""
        stored = Statistics.from_blob(blob)
        if stored.count and not (pixel_type.least <= stored.minimum and stored.maximum <= pixel_type.most):
            raise DecodeError(
                f"statistics from {stored.minimum} to {stored.maximum} are not those of {pixel_type.value} pixels"
            )
        return stored

    def _by_value(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
        """Values in order and how many pixels have them."""
        assert self._values is not None
        if self.pixel_type.least < 0:
            half = len(self._values) // 2
            return np.arange(-half, half), np.roll(self._values, half)
        return np.arange(len(self._values)), self._values

    def _total(self) -> _IntegerSums | _FloatSums:
        if self._values is None:
            return self._sums
        values, counts = self._by_value()
        seen = np.flatnonzero(counts)
        sums = _integer_sums()
        for value, count in zip(values[seen].tolist(), counts[seen].tolist(), strict=True):
            sums.add(count, value, value, value * count, value * value * count)
        return sums


@dataclass(slots=True)
class _IntegerSums:
    """Python integers: exact whatever the size of the raster."""

    count: int
    least: int
    most: int
    total: int
    squares: int

    def add(self, count: int, least: int, most: int, total: int, squares: int) -> None:
        self.least = min(self.least, least) if self.count else least
        self.most = max(self.most, most) if self.count else most
        self.count += count
        self.total += total
        self.squares += squares

    def merge(self, other: Any) -> None:
        if other.count:
            self.add(other.count, other.least, other.most, other.total, other.squares)

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def std(self) -> float:
        return math.sqrt((self.count * self.squares - self.total * self.total) / (self.count * self.count))


def _integer_sums() -> _IntegerSums:
    return _IntegerSums(0, 0, 0, 0, 0)


@dataclass(slots=True)
class _FloatSums:
    """Mean and squared deviations of parts, joined as Chan, Golub and LeVeque do."""

    count: int = 0
    least: float = math.nan
    most: float = math.nan
    mean: float = 0.0
    deviations: float = 0.0

    def add(self, count: int, least: float, most: float, mean: float, deviations: float) -> None:
        if not self.count:
            self.count, self.least, self.most, self.mean, self.deviations = count, least, most, mean, deviations
            return
        whole, apart = self.count + count, mean - self.mean
        self.mean += apart * (count / whole)
        self.deviations += deviations + apart * apart * (self.count * (count / whole))
        self.least, self.most, self.count = min(self.least, least), max(self.most, most), whole

    def merge(self, other: Any) -> None:
        if other.count:
            self.add(other.count, other.least, other.most, other.mean, other.deviations)

    @property
    def std(self) -> float:
        return math.sqrt(self.deviations / self.count)
