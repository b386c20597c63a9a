"""Painting, filling and looking at masks, against their definitions."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpyr.kernels import fill_nodata, mask_states, nodata_mask, paint, reference

DTYPES = ["uint8", "uint16", "float32", "float64"]


def runs(rng: np.random.Generator, rows: int, cols: int) -> np.ndarray:
    """Mask of runs from 1 to 40 pixels, any non-zero value for data."""
    lengths = rng.integers(1, 41, rows * cols)
    flags = np.repeat(np.arange(len(lengths)) % 2, lengths)[: rows * cols].reshape(rows, cols)
    return (flags * rng.integers(1, 256, (rows, cols))).astype(np.uint8)


def strided(array: np.ndarray) -> np.ndarray:
    """The same values as a window of a wider array, off its alignment."""
    frame = np.zeros((array.shape[0], array.shape[1] + 4, *array.shape[2:]), array.dtype)
    frame[:, 3:-1] = array
    return frame[:, 3:-1]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_paint_and_fill(dtype: str, channels: int) -> None:
    rng = np.random.default_rng(channels)
    for cols in [1, 2, 7, 8, 9, 15, 17, 64, 131]:
        src = strided(rng.integers(0, 255, (5, cols, channels)).astype(dtype))
        dst = strided(rng.integers(0, 255, (5, cols, channels)).astype(dtype))
        src_mask, dst_mask = strided(runs(rng, 5, cols)), strided(runs(rng, 5, cols))
        for mask in (src_mask, None):
            expected, expected_mask = reference.paint(dst, dst_mask, src, mask)
            paint(dst, dst_mask, src, mask)
            np.testing.assert_array_equal(dst, expected)
            np.testing.assert_array_equal(dst_mask, expected_mask)
        expected = reference.fill_nodata(dst, src_mask, range(channels))
        fill_nodata(dst, src_mask, range(channels))
        np.testing.assert_array_equal(dst, expected)
        assert not dst.base[:, :3].any()
        assert not dst.base[:, -1].any()


def test_paint_without_destination_mask() -> None:
    dst = np.zeros((1, 4, 1), np.uint8)
    paint(dst, None, np.full((1, 4, 1), 5, np.uint8), np.array([[0, 1, 255, 0]], np.uint8))
    assert dst.ravel().tolist() == [0, 5, 5, 0]


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [*DTYPES, "int16"])
def test_nodata_mask(dtype: str, channels: int) -> None:
    rng = np.random.default_rng(1)
    pixels = strided(rng.integers(0, 3, (9, 37, channels)).astype(dtype))
    nodata = [1, 2, 0, 1, 1][:channels]
    expected = reference.nodata_mask(pixels, nodata)
    assert set(np.unique(expected)) >= {255}
    np.testing.assert_array_equal(nodata_mask(pixels, nodata), expected)
    out = strided(np.zeros((9, 37), np.uint8))
    assert nodata_mask(pixels, nodata, out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_nodata_mask_of_any_width(cpu_path: str, channels: int) -> None:
    rng = np.random.default_rng(channels)
    for cols in (*range(1, 70), 255, 257):
        pixels = strided(rng.integers(6, 8, (3, cols, channels), np.uint8))
        out = strided(np.full((3, cols), 9, np.uint8))
        nodata_mask(pixels, [7, 6, 7, 7][:channels], out)
        same = (pixels == np.array([7, 6, 7, 7][:channels], np.uint8)).all(axis=2)
        np.testing.assert_array_equal(out, np.where(same, 0, 255))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nodata_of_floats(dtype: str) -> None:
    pixels = np.array([[[np.nan, 1], [np.nan, np.nan], [-9999.1, -0.0], [-3.4e38, np.inf]]], dtype)
    for nodata in ([np.nan, 1], [np.nan, np.nan], [-9999.1, 0.0], [-3.4e38, np.inf], [np.nan, 2]):
        expected = reference.nodata_mask(pixels, nodata)
        np.testing.assert_array_equal(nodata_mask(pixels, nodata), expected)
    assert nodata_mask(pixels, [-9999.1, 0.0]).tolist() == [[255, 255, 0, 255]]
    assert nodata_mask(pixels, [np.nan, 1]).tolist() == [[0, 255, 255, 255]]


@pytest.mark.parametrize("value", [-9999, 256, 12.5, np.nan, np.inf, 1e300])
def test_nodata_that_bytes_cannot_hold_is_nowhere(value: float) -> None:
    pixels = np.array([[[0], [12], [241], [255]]], np.uint8)
    assert nodata_mask(pixels, [value]).tolist() == [[255] * 4]


@settings(max_examples=60)
@given(
    tiles=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 33), st.integers(1, 70)),
    seed=st.integers(0, 2**32),
)
def test_mask_states(tiles: tuple[int, int], size: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 3, tiles)
    mask = np.kron(kinds == 2, np.ones(size)).astype(np.uint8) * 255
    for j, i in zip(*np.nonzero(kinds == 1), strict=True):
        part = mask[j * size[0] : (j + 1) * size[0], i * size[1] : (i + 1) * size[1]]
        part[...] = rng.choice([0, 9])
        part[rng.integers(size[0]), rng.integers(size[1])] = rng.choice([0, 1, 255])
    states = mask_states(strided(mask), *size)
    np.testing.assert_array_equal(states, reference.mask_states(mask, *size))
    assert (states[kinds == 2] == 2).all()
    assert (states[kinds == 0] == 0).all()


GRAY = np.zeros((4, 6, 1), np.uint8)
MASK = np.zeros((4, 6), np.uint8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paint(GRAY, MASK, GRAY[:3]), "dst: shape"),
        (lambda: paint(GRAY, MASK, GRAY.astype(np.float32)), "dst: samples"),
        (lambda: paint(GRAY, MASK[:2], GRAY), "dst_mask: shape"),
        (lambda: paint(GRAY, MASK, GRAY, MASK[:, 1:]), "src_mask: shape"),
        (lambda: fill_nodata(GRAY, MASK[1:], [0]), "mask: shape"),
        (lambda: fill_nodata(GRAY, MASK, [0, 0]), "nodata: 2 values"),
        (lambda: fill_nodata(np.zeros((4, 6, 5)), MASK, [0.0] * 5), "40 bytes"),
        (lambda: nodata_mask(GRAY, []), "nodata: 0 values"),
        (lambda: nodata_mask(GRAY, [0], MASK[1:]), "out: uint8"),
        (lambda: mask_states(MASK, 3, 2), "not a whole number of tiles"),
        (lambda: mask_states(MASK, 0, 2), "not a whole number of tiles"),
        (lambda: mask_states(MASK, 2, -2), "not a whole number of tiles"),
        (lambda: mask_states(MASK.astype(np.int16), 2, 2), "mask: samples"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
