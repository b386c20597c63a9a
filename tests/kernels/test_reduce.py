"""reduce2x2 and decimate against their definitions, on every path."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpyr import _native
from fastpyr.errors import ConfigError
from fastpyr.kernels import decimate, gamma_table, reduce2x2, reference

NATIVE = [np.dtype(np.uint8), np.dtype(np.float32)]
JIT = [np.dtype(t) for t in (np.int16, np.uint16, np.int32, np.float64)]
VECTOR = 32  # output pixels of the longest vector turn


def random_pixels(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    if dtype.kind == "f":
        return (rng.standard_normal(shape) * 1000).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def framed(array: np.ndarray, left: int, right: int, fill: int = 0xA5) -> tuple[np.ndarray, np.ndarray]:
    """A row-strided view that holds a copy of array, and the whole buffer around it."""
    rows, cols = array.shape[:2]
    frame = np.full((rows + 2, left + cols + right, *array.shape[2:]), fill, array.dtype)
    view = frame[1:-1, left : left + cols]
    view[...] = array
    return view, frame


def patchy_mask(rng: np.random.Generator, rows: int, cols: int) -> np.ndarray:
    """Long full and empty runs with ragged edges, odd values for data."""
    field = np.cumsum(rng.choice([-1, 1], (rows, cols)), axis=1) + np.arange(cols) // 40 % 3 * 8 - 8
    return np.where(field > 0, rng.integers(1, 256, (rows, cols)), 0).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", NATIVE, ids=str)
def test_every_width_equals_the_definition(cpu_path: str, dtype: np.dtype[Any], channels: int) -> None:
    rng = np.random.default_rng(channels)
    for width in range(1, 2 * VECTOR + 4):
        src, _ = framed(random_pixels(rng, (4, 2 * width, channels), dtype), width % 5, 0)
        out, around = framed(np.zeros((2, width, channels), dtype), width % 3, 2)
        got, mask = reduce2x2(src, out)
        assert got is out
        assert mask is None
        np.testing.assert_array_equal(out, reference.reduce2x2(src)[0])
        out[...] = 0xA5  # nothing but the view was written
        assert (around == np.array(0xA5, dtype)).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", NATIVE, ids=str)
def test_masked_equals_the_definition(cpu_path: str, dtype: np.dtype[Any], channels: int) -> None:
    rng = np.random.default_rng(channels)
    nodata = [7, 0, 255, 31][:channels]
    for width in [*range(1, 20), 63, 64, 65, 127, 129, 200, 333]:
        src, _ = framed(random_pixels(rng, (6, 2 * width, channels), dtype), 1, 0)
        mask, _ = framed(patchy_mask(rng, 6, 2 * width), 3, 0)
        out, around = framed(np.zeros((3, width, channels), dtype), 1, 1)
        out_mask, around_mask = framed(np.zeros((3, width), np.uint8), 2, 1)
        reduce2x2(src, out, mask=mask, out_mask=out_mask, nodata=nodata)
        expected, expected_mask = reference.reduce2x2(src, mask, nodata)
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(out_mask, expected_mask)
        out[...] = out_mask[...] = 0xA5
        assert (around == np.array(0xA5, dtype)).all()
        assert (around_mask == 0xA5).all()


def test_four_valid_pixels_round_to_the_nearest_ties_down(cpu_path: str) -> None:
    """All 1021 sums, in every channel position: floor((sum + 1) / 4)."""
    sums = np.arange(1021)
    parts = np.stack([np.clip(sums - 255 * k, 0, 255) for k in range(4)]).astype(np.uint8)
    for channels in range(1, 5):
        src = np.empty((2, 2 * 1021, channels), np.uint8)
        src[0, 0::2], src[0, 1::2], src[1, 0::2], src[1, 1::2] = (np.repeat(p[:, None], channels, 1) for p in parts)
        out, _ = reduce2x2(src)
        np.testing.assert_array_equal(out[0], np.repeat(((sums + 1) // 4)[:, None], channels, 1))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_all_sums_of_fewer_pixels_follow_the_table(count: int) -> None:
    """G[floor(4 sum / count)] of the format, worked out in whole numbers for gamma 1."""
    sums = np.arange(255 * count + 1)
    src = np.zeros((2, 2 * len(sums), 1), np.uint8)
    mask = np.zeros(src.shape[:2], np.uint8)
    corners = [(0, 1), (1, 0), (0, 0), (1, 1)]
    for k in range(4):
        y, x = corners[k]
        src[y, x::2, 0] = np.clip(sums - 255 * k, 0, 255) if k < count else 99
        mask[y, x::2] = 200 if k < count else 0
    out, out_mask = reduce2x2(src, mask=mask)
    np.testing.assert_array_equal(out[0, :, 0], (sums * 4 // count + 1) // 4)
    assert out_mask is not None
    assert (out_mask == 255).all()


def test_gamma_table_of_one_is_the_arithmetic_rule() -> None:
    assert reference.gamma_table(1.0) == [(s + 1) // 4 for s in range(1021)]
    assert gamma_table(1.0) is None


@pytest.mark.parametrize("gamma", [0.4, 1.7])
@pytest.mark.parametrize("channels", [1, 3])
def test_gamma(cpu_path: str, gamma: float, channels: int) -> None:
    rng = np.random.default_rng(5)
    src = random_pixels(rng, (20, 90, channels), np.dtype(np.uint8))
    mask = patchy_mask(rng, 20, 90)
    plain, _ = reduce2x2(src)
    got, _ = reduce2x2(src, gamma=gamma)
    np.testing.assert_array_equal(got, reference.reduce2x2(src, gamma=gamma)[0])
    assert (got.mean() > plain.mean()) == (gamma > 1)
    masked, _ = reduce2x2(src, mask=mask, gamma=gamma)
    np.testing.assert_array_equal(masked, reference.reduce2x2(src, mask, gamma=gamma)[0])


@pytest.mark.parametrize("dtype", JIT, ids=str)
def test_other_sample_types_have_the_same_definition(dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(3)
    src, _ = framed(random_pixels(rng, (8, 30, 2), dtype), 1, 1)
    mask = patchy_mask(rng, 8, 30)
    np.testing.assert_array_equal(reduce2x2(src)[0], reference.reduce2x2(src)[0])
    got, got_mask = reduce2x2(src, mask=mask, nodata=[3, 4])
    expected, expected_mask = reference.reduce2x2(src, mask, [3, 4])
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(got_mask, expected_mask)


def test_float_mean_is_close_to_the_exact_mean(cpu_path: str) -> None:
    src = (np.random.default_rng(2).random((64, 130, 1)) * 4000).astype(np.float32)
    exact = src.astype(np.float64).reshape(32, 2, 65, 2, 1).mean(axis=(1, 3))
    np.testing.assert_allclose(reduce2x2(src)[0], exact, rtol=2e-7)


def test_float_special_values(cpu_path: str) -> None:
    """Infinities and NaN go through where valid and never leak where not; the sign of zero survives."""
    src = np.tile(np.float32([[[np.inf], [1], [-0.0], [-0.0]], [[2], [3], [-0.0], [-0.0]]]), (1, 9, 1))
    full = reduce2x2(src)[0]
    assert np.isposinf(full[0, 0::2, 0]).all()
    assert np.signbit(full[0, 1::2, 0]).all()
    mask = np.full((2, 36), 255, np.uint8)
    mask[0, 0::4] = 0
    src[0, 0::4] = np.nan
    masked, out_mask = reduce2x2(src, mask=mask)
    assert (masked[0, 0::2, 0] == 2).all()
    assert np.signbit(masked[0, 1::2, 0]).all()
    assert out_mask is not None
    assert out_mask.all()


def test_without_mask_out_mask_is_filled() -> None:
    out_mask = np.zeros((3, 5), np.uint8)
    _, got = reduce2x2(np.zeros((6, 10, 1), np.uint8), out_mask=out_mask)
    assert got is out_mask
    assert (out_mask == 255).all()


def test_one_valid_pixel_is_not_enough() -> None:
    src = np.full((2, 4, 1), 9, np.uint8)
    mask = np.array([[1, 0, 1, 1], [0, 0, 0, 0]], np.uint8)
    out, out_mask = reduce2x2(src, mask=mask, nodata=[77])
    assert out.ravel().tolist() == [77, 9]
    assert out_mask is not None
    assert out_mask.ravel().tolist() == [0, 255]


def test_quadrant_of_a_parent_is_filled_in_place(cpu_path: str) -> None:
    src = random_pixels(np.random.default_rng(8), (64, 64, 3), np.dtype(np.uint8))
    parent = np.zeros((64, 64, 3), np.uint8)
    reduce2x2(src, parent[32:, :32])
    np.testing.assert_array_equal(parent[32:, :32], reference.reduce2x2(src)[0])
    assert not parent[:32].any()
    assert not parent[32:, 32:].any()


def test_flipped_rows_and_empty_arrays(cpu_path: str) -> None:
    src = random_pixels(np.random.default_rng(8), (10, 80, 3), np.dtype(np.uint8))
    np.testing.assert_array_equal(reduce2x2(src[::-1])[0], reference.reduce2x2(src)[0][::-1])
    assert reduce2x2(np.zeros((0, 8, 1), np.uint8))[0].shape == (0, 4, 1)
    assert reduce2x2(np.zeros((8, 0, 1), np.float32), mask=np.zeros((8, 0), np.uint8))[0].shape == (4, 0, 1)


@settings(max_examples=60)
@given(data=st.data())
def test_any_shape_mask_and_path(data: st.DataObject) -> None:
    rows, cols = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 150))
    channels = data.draw(st.integers(1, 4))
    dtype = data.draw(st.sampled_from(NATIVE))
    gamma = data.draw(st.sampled_from([1.0, 1.0, 2.2])) if dtype == np.uint8 else 1.0
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    src = random_pixels(rng, (2 * rows, 2 * cols, channels), dtype)
    density = data.draw(st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]))
    mask = (rng.random(src.shape[:2]) < density).astype(np.uint8) * 255
    nodata = rng.integers(0, 256, channels).tolist()
    before = _native.cpu_paths()
    expected, expected_mask = reference.reduce2x2(src, mask, nodata, gamma)
    try:
        for path in before:
            _native.set_cpu_paths([path])
            out, out_mask = reduce2x2(src, mask=mask, nodata=nodata, gamma=gamma)
            np.testing.assert_array_equal(out, expected)
            np.testing.assert_array_equal(out_mask, expected_mask)
    finally:
        _native.set_cpu_paths(before)


GRAY = np.zeros((4, 6, 1), np.uint8)


@pytest.mark.parametrize(
    ("src", "options", "message"),
    [
        (GRAY[:3], {}, r"src: shape \(3, 6, 1\), the 2x2 mean needs"),
        (GRAY[:, :5], {}, "the 2x2 mean needs"),
        (GRAY[..., 0], {}, "the 2x2 mean needs"),
        (np.zeros((4, 6, 5), np.uint8), {}, "5 channels, expected 1 to 4"),
        (GRAY[:, ::2][:, :2], {}, "pixels of a row must be contiguous"),
        (np.zeros((4, 6, 3), np.uint8)[..., ::2], {}, "channels of a pixel must be contiguous"),
        (GRAY.astype(">f4"), {}, "not native numbers|no 2x2 mean"),
        (GRAY.astype(np.complex64), {}, "no 2x2 mean"),
        (GRAY, {"out": np.zeros((2, 2, 1), np.uint8)}, "out: shape"),
        (GRAY, {"out": np.zeros((2, 3, 1), np.float32)}, "out: samples of format 'f'"),
        (GRAY, {"mask": np.zeros((4, 5), np.uint8)}, r"mask: shape \(4, 5\), expected \(4, 6\)"),
        (GRAY, {"mask": np.zeros((4, 6), bool)}, "mask: a mask holds uint8"),
        (GRAY, {"out_mask": np.zeros((4, 6), np.uint8)}, "out_mask: shape"),
        (GRAY, {"nodata": [1, 2]}, "nodata: 2 values for 1 channels"),
        (GRAY, {"nodata": [-9999]}, "uint8 samples hold 0 to 255"),
        (GRAY, {"nodata": [0.5]}, "uint8 samples hold 0 to 255"),
        (GRAY.astype(np.int16), {"nodata": [1, 2]}, "nodata: 2 values"),
        (GRAY.astype(np.int16), {"out": np.zeros((2, 3, 1), np.int32)}, "out: int32"),
        (GRAY.astype(np.int16), {"mask": np.zeros((4, 5), np.uint8)}, r"mask: uint8 \(4, 5\)"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(src: np.ndarray, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reduce2x2(src, **options)


@pytest.mark.parametrize("gamma", [0, -1, float("nan"), float("inf")])
def test_gamma_that_cannot_work_is_refused(gamma: float) -> None:
    with pytest.raises(ConfigError, match=f"gamma {gamma}: expected a positive number"):
        reduce2x2(GRAY, gamma=gamma)
    with pytest.raises(ConfigError, match="only uint8 has a gamma"):
        reduce2x2(GRAY.astype(np.float32), gamma=gamma)


def test_unaligned_and_read_only_buffers_are_refused() -> None:
    unaligned = np.frombuffer(bytearray(4 * 24 + 1), np.uint8)[1:].view(np.float32).reshape(4, 6, 1)
    with pytest.raises(ValueError, match=r"not aligned|not native"):
        reduce2x2(unaligned)
    out = np.zeros((2, 3, 1), np.uint8)
    out.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        reduce2x2(GRAY, out)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("ratio", "offset"), [(1, (0, 0)), (2, (1, 0)), (5, (2, 4)), (7, (0, 6))])
def test_decimate(dtype: str, channels: int, ratio: int, offset: tuple[int, int]) -> None:
    rng = np.random.default_rng(ratio)
    rows, cols = 5, 9
    shape = (offset[1] + (rows - 1) * ratio + 1, offset[0] + (cols - 1) * ratio + 1)  # the last pixel is just inside
    src, _ = framed(random_pixels(rng, (*shape, channels), np.dtype(dtype)), 1, 2)
    mask, _ = framed(rng.integers(0, 2, shape, np.uint8) * 255, 0, 1)
    out, around = framed(np.zeros((rows, cols, channels), dtype), 1, 1)
    out_mask = np.zeros((rows, cols), np.uint8)
    decimate(src, ratio, offset, out, mask=mask, out_mask=out_mask)
    np.testing.assert_array_equal(out, reference.decimate(src, ratio, offset, rows, cols))
    np.testing.assert_array_equal(out_mask, reference.decimate(mask, ratio, offset, rows, cols))
    out[...] = 0xA5
    assert (around == np.array(0xA5, dtype)).all()
    decimate(src, ratio, offset, out, out_mask=out_mask)
    assert (out_mask == 255).all()
    for wider in (np.zeros((rows + 1, cols, channels), dtype), np.zeros((rows, cols + 1, channels), dtype)):
        with pytest.raises(ValueError, match="do not fit in src"):
            decimate(src, ratio, offset, wider)


@pytest.mark.parametrize(
    ("ratio", "offset", "message"),
    [
        (0, (0, 0), "must be positive"),
        (2, (-1, 0), "must be positive"),
        (2, (0, -1), "must be positive"),
        (2**62, (0, 0), "do not fit"),
        (1, (2**62, 0), "do not fit"),
    ],
)
def test_decimate_refuses_what_lies_outside(ratio: int, offset: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decimate(GRAY, ratio, offset, np.zeros((2, 2, 1), np.uint8))


def test_decimate_refuses_masks_of_another_shape() -> None:
    out, out_mask = np.zeros((2, 3, 1), np.uint8), np.zeros((2, 3), np.uint8)
    with pytest.raises(ValueError, match="mask: shape"):
        decimate(GRAY, 2, (0, 0), out, mask=np.zeros((4, 5), np.uint8), out_mask=out_mask)
    with pytest.raises(ValueError, match="out_mask: shape"):
        decimate(GRAY, 2, (0, 0), out, out_mask=out_mask[:1])
    with pytest.raises(ValueError, match="40 bytes"):
        decimate(np.zeros((4, 4, 5)), 2, (0, 0), np.zeros((2, 2, 5)))
