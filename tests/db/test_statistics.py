"""Statistics against NumPy in float64 and Fractions; any split and order of blocks gives the same."""

from __future__ import annotations

import math
import random
import struct
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastpyr.db.aux_objects import AuxType, pack_aux, unpack_aux
from fastpyr.db.colormap import ColorMap
from fastpyr.db.pixels import PixelType
from fastpyr.db.statistics import BandStatistics, BinFunction, Statistics
from fastpyr.errors import ConfigError, DecodeError

TYPES = list(PixelType)


def any_image(rng, pixel_type, shape):
    if not pixel_type.is_integer:
        image = (rng.normal(300, 40, shape)).astype(pixel_type.dtype)
        image[rng.random(shape) < 0.02] = rng.choice([np.nan, np.inf, -np.inf])
        return image
    return rng.integers(pixel_type.least, pixel_type.most, shape, endpoint=True, dtype=np.int64).astype(
        pixel_type.dtype
    )


def blocks_of(rng, image, mask):
    """The image in strided pieces, in any order."""
    cuts = [0, *sorted(rng.integers(0, image.shape[0] + 1, 3).tolist()), image.shape[0]]
    pieces = [slice(a, b) for a, b in pairwise(cuts) if a < b]
    halves = [slice(0, image.shape[1] // 2), slice(image.shape[1] // 2, None)]
    found = [(image[p, h], None if mask is None else mask[p, h]) for p in pieces for h in halves]
    return [found[k] for k in rng.permutation(len(found))]


@settings(max_examples=100)
@given(data=st.data())
def test_what_numpy_says(data) -> None:
    pixel_type = data.draw(st.sampled_from(TYPES))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    image = any_image(rng, pixel_type, (data.draw(st.integers(1, 40)), data.draw(st.integers(1, 70))))
    share = data.draw(st.sampled_from([None, 0.0, 0.01, 0.7]))
    mask = (
        None
        if share is None
        else (rng.random(image.shape) < share) * rng.integers(1, 256, image.shape).astype(np.uint8)
    )
    parts = [BandStatistics(pixel_type) for _ in range(3)]
    for number, (block, valid) in enumerate(blocks_of(rng, image, mask)):
        parts[number % 3].update(block, valid)
    total = parts[0]
    total.merge(parts[1])
    total.merge(parts[2])
    good = np.isfinite(image) if mask is None else (mask != 0) & np.isfinite(image)
    values = image[good].astype(np.float64)
    stored = BandStatistics.from_blob(total.to_blob(), pixel_type)
    assert (stored.count, stored.nodata_count) == (values.size, image.size - values.size)
    assert sum(stored.histogram.counts.tolist()) == values.size
    if not values.size:
        assert all(map(math.isnan, (stored.minimum, stored.maximum, stored.mean, stored.std)))
        return
    assert (stored.minimum, stored.maximum) == (values.min(), values.max())
    assert (total.minimum, total.maximum, total.count) == (stored.minimum, stored.maximum, stored.count)
    np.testing.assert_allclose(stored.mean, values.mean(), rtol=1e-12, atol=1e-12 * np.abs(values).max())
    np.testing.assert_allclose(stored.std, values.std(), rtol=1e-12, atol=1e-12 * np.abs(values).max())
    assert (stored.mean, stored.std) == (total.mean, total.std)
    check_histogram(stored.histogram, values)


def check_histogram(histogram, values):
    bins = len(histogram.counts)
    assert bins <= 256
    if histogram.function is BinFunction.DIRECT:
        wanted = np.bincount((values - values.min()).astype(np.int64))
        assert (histogram.low, histogram.high) == (values.min(), values.max())
    else:
        assert histogram.function is BinFunction.LINEAR
        width = (histogram.high - histogram.low) / bins
        assert histogram.low <= values.min() < histogram.low + width or histogram.low == values.min()
        numbers = np.floor((values - histogram.low) * (bins / (histogram.high - histogram.low)))
        wanted = np.bincount(np.minimum(numbers, bins - 1).astype(np.int64), minlength=bins)
    np.testing.assert_array_equal(histogram.counts, wanted)


def test_integers_are_exact_whatever_their_sums() -> None:
    """32-bit values near the end of the range: doubles would lose the deviations."""
    for pixel_type, base in ((PixelType.U32, 2**32 - 5), (PixelType.S32, -(2**31))):
        image = (base + np.arange(5, dtype=np.int64).repeat(2000).reshape(100, 100)).astype(pixel_type.dtype)
        counted = BandStatistics(pixel_type)
        for row in range(100):
            counted.update(image[row : row + 1])
        assert Fraction(counted.mean) == base + 2
        assert counted.std == math.sqrt(2)
        assert counted.result().histogram.counts.tolist()[:5] == [2000] * 5


def test_floats_far_from_zero_keep_their_deviations() -> None:
    rng = np.random.default_rng(2)
    image = 1e9 + rng.normal(0, 1, (300, 128))
    counted = BandStatistics(PixelType.F64)
    for block in np.split(image, 10):
        counted.update(block)
    np.testing.assert_allclose(counted.mean, image.mean(), rtol=1e-15)
    np.testing.assert_allclose(counted.std, np.std(image - 1e9), rtol=1e-7)


@settings(max_examples=100)
@given(
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300), min_size=1, max_size=30
    ),
    st.integers(1, 40),
    st.randoms(),
)
@example([0.0, 0.25], 3, random.Random(1))
@example([0.0, 0.25], 3, random.Random(2))
@example([0.0, 1e-30], 5, random.Random(2))
@example([0.0, -5e-65], 1, random.Random(2))
@example([0.0, 5e-324, -5e-324, 1e-300], 8, random.Random(2))
def test_the_lattice_does_not_know_the_order(values, bins, chance) -> None:
    def histogram(order, cut):
        left, right = (BandStatistics(PixelType.F64, BinFunction.LINEAR, bins) for _ in range(2))
        for number, value in enumerate(order):
            (left if number < cut else right).update(np.array([[value]]))
        left.merge(right)
        return left.result().histogram

    first = histogram(values, len(values))
    values = list(values)
    for cut in {0, 1, chance.randint(0, len(values)), len(values)}:
        chance.shuffle(values)
        second = histogram(values, cut)
        assert (first.low, first.high) == (second.low, second.high)
        assert first.counts.tolist() == second.counts.tolist()
    assert len(first.counts) <= max(bins, 2)
    assert first.low <= min(values)
    assert max(values) < first.high
    assert sum(first.counts.tolist()) == len(values)


@pytest.mark.parametrize(
    "pixel_type", [PixelType.U8, PixelType.S16, PixelType.U32, PixelType.F32], ids=lambda t: t.value
)
@pytest.mark.parametrize(
    "function", [BinFunction.NONE, BinFunction.LINEAR, BinFunction.LOGARITHM, BinFunction.EXPLICIT]
)
def test_bins_that_were_asked_for(pixel_type, function) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 200, (40, 50)).astype(pixel_type.dtype)
    mask = (rng.random(image.shape) < 0.8).astype(np.uint8)
    values = image[mask != 0].astype(np.float64)
    options = {
        BinFunction.NONE: {},
        BinFunction.LINEAR: {"bins": 7, "limits": (20.0, 160.0)},
        BinFunction.LOGARITHM: {"bins": 9, "limits": (10.0, 150.0)},
        BinFunction.EXPLICIT: {"edges": [3, 10.5, 11, 90]},
    }[function]
    one, two = (BandStatistics(pixel_type, function, **options) for _ in range(2))
    one.update(image[:11], mask[:11])
    two.update(image[11:], mask[11:])
    one.merge(two)
    histogram = Statistics.from_blob(one.to_blob()).histogram
    assert histogram.function is function
    if function is BinFunction.NONE:
        assert histogram.counts.size == 0
        return
    if function is BinFunction.LINEAR:
        edges = np.linspace(20, 160, 8)
    elif function is BinFunction.LOGARITHM:
        edges = 9 + 141 ** (np.arange(10) / 9)
    else:
        edges = histogram.edges
        assert edges.tolist() == [3, 10.5, 11, 90]
    inner = np.clip(values, edges[0], np.nextafter(edges[-1], 0))
    wanted = [int(((inner >= a) & (inner < b)).sum()) for a, b in pairwise(edges)]
    assert histogram.counts.tolist() == wanted


def test_16_bit_linear_bins_span_the_values() -> None:
    image = np.array([[-3, 0, 4, 900]], np.int16)
    counted = BandStatistics(PixelType.S16, bins=4)
    counted.update(image)
    histogram = counted.result().histogram
    assert (histogram.low, histogram.high, histogram.counts.tolist()) == (-3, 901, [3, 0, 0, 1])
    direct = BandStatistics(PixelType.S16, BinFunction.DIRECT)
    direct.update(image[:, :3])
    assert direct.result().histogram.counts.tolist() == [1, 0, 0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("pixel_type", "options"),
    [
        ("F32", {"function": BinFunction.DIRECT}),
        ("U32", {"function": BinFunction.LOGARITHM}),
        ("U8", {"function": BinFunction.EXPLICIT}),
        ("U8", {"edges": [1, 2]}),
        ("U8", {"function": BinFunction.EXPLICIT, "edges": [1, 1]}),
        ("U8", {"function": BinFunction.EXPLICIT, "edges": [1, math.nan]}),
        ("U8", {"bins": 0}),
        ("F64", {"limits": (1.0, 1.0)}),
        ("F64", {"limits": (0.0, math.inf)}),
    ],
)
def test_bins_that_cannot_be(pixel_type, options) -> None:
    with pytest.raises(ConfigError):
        BandStatistics(PixelType.of(pixel_type), **options)


def test_the_largest_doubles() -> None:
    """Nodata values that nobody has masked."""
    image = np.array([[1.79e308, -1.79e308, 1.79e308, 5.0]])
    counted = BandStatistics(PixelType.F64)
    counted.update(image)
    stored = BandStatistics.from_blob(counted.to_blob(), PixelType.F64)
    assert (stored.minimum, stored.maximum, stored.count) == (-1.79e308, 1.79e308, 4)
    assert stored.std == math.inf or math.isnan(stored.std)
    assert math.isfinite(stored.histogram.low)
    assert math.isfinite(stored.histogram.high)
    assert sum(stored.histogram.counts.tolist()) == 4


def test_others_do_not_fit() -> None:
    counted = BandStatistics(PixelType.U8)
    with pytest.raises(ValueError, match="block of int8: U8 pixels are uint8"):
        counted.update(np.zeros((2, 2), np.int8))
    with pytest.raises(ValueError, match="mask"):
        counted.update(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
    for other in (BandStatistics(PixelType.S8), BandStatistics(PixelType.U8, bins=9)):
        with pytest.raises(ValueError, match="cannot be merged"):
            counted.merge(other)
    assert counted.count == counted.nodata_count == 0


def test_the_blob_is_what_the_format_says() -> None:
    counted = BandStatistics(PixelType.U8)
    counted.update(np.array([[1, 2], [2, 9]], np.uint8), np.array([[1, 1], [1, 0]], np.uint8))
    payload = unpack_aux(AuxType.STATISTICS, counted.to_blob())
    std = math.sqrt(2 / 9)
    assert payload == struct.pack(">4dQQBI2d2Q", 1, 2, 5 / 3, std, 3, 1, 2, 2, 1, 2, 1, 2)
    explicit = BandStatistics(PixelType.U8, BinFunction.EXPLICIT, edges=[0, 5, 10])
    explicit.update(np.array([[1, 7]], np.uint8))
    assert unpack_aux(AuxType.STATISTICS, explicit.to_blob())[-40:] == struct.pack(">2Q3d", 1, 1, 0, 5, 10)


def test_hostile_statistics_are_refused() -> None:
    counted = BandStatistics(PixelType.U8)
    counted.update(np.array([[1, 2]], np.uint8))
    payload = unpack_aux(AuxType.STATISTICS, counted.to_blob())
    wrong = [payload[:-1], payload + b"\0", payload[:20]]
    head = struct.Struct(">4dQQBI2d")
    wrong += [head.pack(1, 2, 1.5, 0.5, 2, 0, 2, 2**32 - 1, 1, 2), head.pack(1, 2, 1.5, 0.5, 0, 0, 9, 0, 1, 2)]
    wrong += [head.pack(3, 2, 1.5, 0.5, 2, 0, 0, 0, 1, 2), head.pack(1, math.inf, 1, 0.5, 2, 0, 0, 0, 1, 2)]
    wrong += [head.pack(1, 2, 1.5, 0.5, 2, 0, 2, 2, 1, 2) + struct.pack(">2Q", 2**63, 2**63 + 2)]
    for each in wrong:
        with pytest.raises(DecodeError):
            Statistics.from_blob(pack_aux(AuxType.STATISTICS, each))
    other = pack_aux(AuxType.STATISTICS, head.pack(-1, 2, 1.5, 0.5, 2, 0, 0, 0, 1, 2))
    with pytest.raises(DecodeError, match="not those of U8 pixels"):
        BandStatistics.from_blob(other, PixelType.U8)


# --- colour maps ---


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colour_maps_come_back(channels, dtype) -> None:
    entries = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, (200, channels), dtype, endpoint=True)
    colours = ColorMap(entries)
    blob = colours.to_blob()
    assert ColorMap.from_blob(blob) == colours
    depth = entries.itemsize * 8
    assert (
        unpack_aux(AuxType.COLORMAP, blob)
        == struct.pack(">BBI", channels, depth, 200) + entries.astype(f">u{depth // 8}").tobytes()
    )
    pixels = np.array([[0, 199], [200, 255]], np.uint8)
    assert colours.apply(pixels).tolist() == [[entries[0].tolist(), entries[199].tolist()], [[0] * channels] * 2]


def test_colour_maps_that_cannot_be() -> None:
    for entries in (
        np.zeros((4, 2), np.uint8),
        np.zeros((0, 3), np.uint8),
        np.zeros((4, 3), np.int16),
        np.zeros(3, np.uint8),
    ):
        with pytest.raises(ConfigError, match="expected uint8 or uint16 with 3 or 4 columns"):
            ColorMap(entries)
    colours = ColorMap(np.zeros((300, 3), np.uint8))
    colours.check(PixelType.U16, 1)
    for pixel_type, bands in ((PixelType.U8, 1), (PixelType.S16, 1), (PixelType.U16, 3)):
        with pytest.raises(ConfigError):
            colours.check(pixel_type, bands)
    for payload in (b"", struct.pack(">BBI", 3, 8, 2**32 - 1), struct.pack(">BBI", 5, 8, 1) + bytes(5),
                    struct.pack(">BBI", 3, 12, 1) + bytes(3), struct.pack(">BBI", 3, 8, 1) + bytes(4)):  # fmt: skip
        with pytest.raises(DecodeError, match="colour map of"):
            ColorMap.from_blob(pack_aux(AuxType.COLORMAP, payload))
