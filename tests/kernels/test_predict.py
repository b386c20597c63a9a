"""TIFF predictors undone, on every path, against imagecodecs and NumPy sums."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastpyr import _native

SHAPES = [(1, 1), (2, 3), (3, 5), (2, 15), (3, 16), (1, 17), (2, 31), (2, 33), (5, 100), (2, 255)]


def stored(samples, predictor):
    """Rows of bytes as a TIFF writer lays them out before compression."""
    rows, _, channels = samples.shape
    if predictor == 3:
        return imagecodecs.floatpred_encode(samples, axis=-2, dist=1).reshape(rows, -1).view(np.uint8).copy()
    words = samples.view(f"u{samples.itemsize}")
    if predictor == 2:
        words = np.diff(words, axis=1, prepend=np.zeros((rows, 1, channels), words.dtype))
    return np.ascontiguousarray(words).reshape(rows, -1).view(np.uint8).copy()


def pixels(rng, shape, channels, dtype):
    if dtype == "uint8":
        return rng.integers(0, 256, (*shape, channels), np.uint8)
    # any bits: NaN, infinities and subnormals too
    return rng.integers(0, 2**32, (*shape, channels), np.uint32).view(np.float32)


CASES = [("uint8", 1), ("uint8", 2), ("float32", 1), ("float32", 2), ("float32", 3)]


@pytest.mark.parametrize(("dtype", "predictor"), CASES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_bits_come_back(cpu_path, dtype, predictor, channels):
    rng = np.random.default_rng(channels)
    for shape in SHAPES:
        wanted = pixels(rng, shape, channels, dtype)
        out = np.empty_like(wanted)
        _native.unpredict(stored(wanted, predictor), predictor, out)
        np.testing.assert_array_equal(out.view(np.uint8), wanted.view(np.uint8))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_part_of_a_block_into_a_strided_place(cpu_path, data):
    """A block's padding is left behind, nothing beside the window is written, unaligned rows are read."""
    dtype, predictor = data.draw(st.sampled_from(CASES))
    channels, rows, stored_cols = (data.draw(st.integers(1, n)) for n in (4, 6, 70))
    cols, left, skip = (
        data.draw(st.integers(1, stored_cols)),
        data.draw(st.integers(0, 5)),
        data.draw(st.integers(0, 3)),
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    block = pixels(rng, (rows, stored_cols), channels, dtype)
    packed = stored(block, predictor)
    src = np.empty(packed.size + skip, np.uint8)[skip:].reshape(packed.shape)
    src[...] = packed
    frame = np.full((rows + 2, cols + left + 3, channels), 7, dtype)
    _native.unpredict(src, predictor, frame[1:-1, left : left + cols])
    wanted = np.full_like(frame, 7)
    wanted[1:-1, left : left + cols] = block[:, :cols]
    np.testing.assert_array_equal(frame.view(np.uint8), wanted.view(np.uint8))


def test_against_imagecodecs_delta(cpu_path):
    rng = np.random.default_rng(5)
    differences = rng.integers(0, 256, (9, 77, 3), np.uint8)
    out = np.empty_like(differences)
    _native.unpredict(differences.reshape(9, -1).copy(), 2, out)
    np.testing.assert_array_equal(out, imagecodecs.delta_decode(differences, axis=-2))


@pytest.mark.parametrize(
    ("src", "predictor", "out", "message"),
    [
        ((4, 30), 2, np.zeros((4, 11, 3), np.uint8), "src: 4 rows of 30 bytes, expected 4 of at least 33"),
        ((3, 30), 2, np.zeros((4, 10, 3), np.uint8), "src: 3 rows"),
        ((4, 30), 3, np.zeros((4, 10, 3), np.uint8), "predictor: 3 is not known"),
        ((4, 30), 0, np.zeros((4, 10, 3), np.uint8), "predictor: 0 is not known"),
        ((4, 42), 3, np.zeros((4, 5, 2), np.float32), "not whole pixels of 8"),
        ((4, 50), 2, np.zeros((4, 10, 5), np.uint8), "out: 5 channels"),
        ((4, 80), 2, np.zeros((4, 10, 1), np.float64), "out: samples of format 'd'"),
        ((4, 10, 3), 2, np.zeros((4, 10, 3), np.uint8), "src: 3 dimensions"),
    ],
)
def test_layouts_that_do_not_fit(src, predictor, out, message):
    with pytest.raises(ValueError, match=message):
        _native.unpredict(np.zeros(src, np.uint8), predictor, out)
