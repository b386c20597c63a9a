"""Levels of block pyramids against slow references: fractions for integers, float64 for floats, one pixel at a time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastpyr.db.blocks import Window, assemble, cut_blocks
from fastpyr.db.pixels import PixelType
from fastpyr.db.pyramid_kernels import Method, default_method, halve, parent_block, skipped
from fastpyr.errors import ConfigError

TYPES, METHODS = list(PixelType), list(Method)
WEIGHTS = (-1, 9, 9, -1)
each_path = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def half_away(value: Fraction) -> int:
    return int(abs(value) + Fraction(1, 2)) * (1 if value >= 0 else -1)


def slow_halve(image, valid, method, pixel_type):
    """Pixels and validity (ceil(h / 2), ceil(w / 2)) of an image counted from an even origin, odd sizes too."""
    height, width = image.shape
    out = np.zeros((-(-height // 2), -(-width // 2)), image.dtype)
    out_valid = np.zeros(out.shape, bool)

    def at(y, x):
        inside = 0 <= y < height and 0 <= x < width
        return image[y, x].item() if inside and valid[y, x] else None

    for j, i in np.ndindex(out.shape):
        four = [at(2 * j + k // 2, 2 * i + k % 2) for k in range(4)]
        sixteen = [at(2 * j - 1 + k // 4, 2 * i - 1 + k % 4) for k in range(16)]
        good = [v for v in four if v is not None]
        if (method is Method.NEAREST and four[0] is None) or not good:
            continue
        out_valid[j, i] = True
        exact = Fraction if pixel_type.is_integer else float
        if method is Method.NEAREST:
            value = exact(four[0])
        elif method is Method.BICUBIC and None not in sixteen:
            columns = [sum(WEIGHTS[y] * exact(sixteen[4 * y + x]) for y in range(4)) for x in range(4)]
            value = sum(WEIGHTS[x] * columns[x] for x in range(4)) / 256
        else:
            value = sum((exact(v) for v in good), start=exact(0)) / len(good)
        out[j, i] = min(max(half_away(value), pixel_type.least), pixel_type.most) if exact is Fraction else value
    return out, out_valid


def any_image(rng, pixel_type, shape):
    if not pixel_type.is_integer:
        return (rng.normal(0, 100, shape) * 10.0 ** rng.integers(-3, 4, shape)).astype(pixel_type.dtype)
    edges = [pixel_type.least, pixel_type.most, pixel_type.least // 2, 0, 1]
    image = rng.integers(pixel_type.least, pixel_type.most, shape, endpoint=True, dtype=np.int64)
    return np.where(rng.random(shape) < 0.3, rng.choice(edges, shape), image).astype(pixel_type.dtype)


def check(got, wanted, pixel_type):
    pixels, mask = got
    values, valid = wanted
    np.testing.assert_array_equal(np.full(valid.shape, 255) if mask is None else mask, np.where(valid, 255, 0))
    assert (mask is None) == bool(valid.all())
    assert pixels.dtype == values.dtype
    if pixel_type.is_integer:
        np.testing.assert_array_equal(pixels, values)
    else:
        # The sums of a bicubic may cancel: what counts is the size of its terms.
        np.testing.assert_allclose(pixels, values, rtol=1e-6, atol=1e-6 * np.abs(values).max(initial=1))


@each_path
@given(data=st.data())
def test_every_type_method_and_mask(cpu_path, data) -> None:
    pixel_type, method = data.draw(st.sampled_from(TYPES)), data.draw(st.sampled_from(METHODS))
    shape = (2 * data.draw(st.integers(1, 5)), 2 * data.draw(st.integers(1, 40)))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    image = any_image(rng, pixel_type, shape)
    share = data.draw(st.sampled_from([None, 0.0, 0.3, 0.9, 0.99, 1.0]))
    valid = np.ones(shape, bool) if share is None else rng.random(shape) < share
    mask = None if share is None else valid * rng.integers(1, 256, shape).astype(np.uint8)
    wanted = slow_halve(image, valid, method, pixel_type)
    check(halve(image, mask, method, 0, pixel_type.most), wanted, pixel_type)
    # With the pixels around at hand the result may be strided, and those outside are nodata.
    frame, frame_mask = (
        np.zeros((shape[0] + 2, shape[1] + 5), image.dtype),
        np.zeros((shape[0] + 2, shape[1] + 5), np.uint8),
    )
    frame[1:-1, 1:-4], frame_mask[1:-1, 1:-4] = image, valid
    view = np.s_[:, : shape[1] + 2]
    check(halve(frame[view], frame_mask[view], method, 1, pixel_type.most), wanted, pixel_type)


@pytest.mark.parametrize("pixel_type", TYPES, ids=lambda t: t.value)
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.value)
def test_paths_give_the_same_bytes(cpu_path, pixel_type, method) -> None:
    """Floats too: against the generic path, whose rows the vectors cut at all widths."""
    from fastpyr import _native

    rng = np.random.default_rng(3)
    for width in (1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 127):
        image = any_image(rng, pixel_type, (8, 2 * width + 2))
        for mask in (None, (rng.random(image.shape) < 0.8).astype(np.uint8)):
            ours = halve(image, mask, method, 1, pixel_type.most)
            _native.set_cpu_paths([])
            generic = halve(image, mask, method, 1, pixel_type.most)
            _native.set_cpu_paths([cpu_path])
            assert ours[0].tobytes() == generic[0].tobytes()
            assert (ours[1] is None) == (generic[1] is None)
            assert ours[1] is None or ours[1].tobytes() == generic[1].tobytes()


def test_rounding_and_nan() -> None:
    quads = np.array([[1, 2, -1, -2, 3, 3, -3, -3], [1, 2, -1, -2, 2, 2, -2, -2]], np.int16)
    assert halve(quads, None, Method.BILINEAR)[0].tolist() == [[2, -2, 3, -3]]
    halves = np.array([[1, 0, -1, 0], [0, 1, 0, -1]], np.int32)
    assert halve(halves, None, Method.BILINEAR)[0].tolist() == [[1, -1]]
    floats = np.array([[np.nan, 1], [2, 3]], np.float32)
    assert np.isnan(halve(floats, None, Method.BILINEAR)[0]).all()
    assert halve(floats, np.array([[0, 1], [1, 1]], np.uint8), Method.BILINEAR)[0].tolist() == [[2]]
    four_bits = np.zeros((4, 4), np.uint8)
    four_bits[1:3, 1:3] = 15
    assert halve(four_bits, None, Method.BICUBIC, 1, PixelType.U4.most)[0].tolist() == [[15]]
    assert halve(four_bits, None, Method.BICUBIC, 1)[0].tolist() == [[19]]


def test_what_does_not_fit() -> None:
    for shape, margin in (((3, 4), 0), ((4, 4), 2), ((2, 4), 1), ((4,), 0), ((0, 2), 0)):
        with pytest.raises(ValueError, match="expected even sizes"):
            halve(np.zeros(shape, np.uint8), None, Method.NEAREST, margin)
    with pytest.raises(ValueError, match="samples of format"):
        halve(np.zeros((2, 2), np.int64), None, Method.NEAREST)
    with pytest.raises(ValueError, match="mask"):
        halve(np.zeros((2, 2), np.uint8), np.ones((2, 3), np.uint8), Method.NEAREST)
    with pytest.raises(ConfigError, match="unknown interpolation 'lanczos'"):
        Method.of("lanczos")
    assert [default_method(t) for t in (PixelType.U4, PixelType.U8)] == [Method.NEAREST, Method.BILINEAR]
    assert default_method(PixelType.U8, has_colormap=True) is Method.NEAREST


def stored(image, valid, window, size):
    """Blocks of an image that lies at ``window``, those without data absent."""
    blocks = {}
    for row, col, block, mask in cut_blocks(image, np.where(valid, 255, 0).astype(np.uint8), window, *size):
        if mask.any():
            blocks[row, col] = (block, None if mask.all() else mask)
    return blocks


@settings(max_examples=60)
@given(data=st.data())
def test_levels_of_a_raster_anywhere(data) -> None:
    """Odd sizes, one pixel, negative and absent blocks, odd block sizes, level 1 skipped: always the plain raster."""
    pixel_type = data.draw(st.sampled_from([PixelType.U8, PixelType.S16, PixelType.F64, PixelType.U1]))
    method, skip = data.draw(st.sampled_from(METHODS)), data.draw(st.booleans())
    size = (data.draw(st.integers(1, 7)), data.draw(st.sampled_from([1, 2, 4, 5])))
    left, top = data.draw(st.integers(-30, 9)), data.draw(st.integers(-9, 9))
    window = Window(left, top, left + data.draw(st.integers(1, 25)), top + data.draw(st.integers(1, 25)))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    image = any_image(rng, pixel_type, (window.height, window.width))
    valid = rng.random(image.shape) < data.draw(st.sampled_from([0.02, 0.8, 1.0]))
    fetch, shape = stored(image, valid, window, size).get, (size[1], size[0])

    def level0(row, col):
        return fetch((row, col))

    # The plain raster from an even origin, so that the reference pairs the same pixels.
    image, valid = image * valid.astype(image.dtype), valid
    below, steps = level0, 3
    for n in range(1, steps + 1):
        even = Window(window.left & ~1, window.top & ~1, window.right, window.bottom)
        frame, frame_valid = np.zeros((even.height, even.width), image.dtype), np.zeros((even.height, even.width), bool)
        here = window.slices_in(even)
        frame[here], frame_valid[here] = image, valid
        image, valid = slow_halve(frame, frame_valid, method, pixel_type)
        window = Window(
            even.left >> 1, even.top >> 1, (even.left >> 1) + image.shape[1], (even.top >> 1) + image.shape[0]
        )
        if skip and n == 1:
            below = skipped(level0, shape, pixel_type, method)
            continue
        made = {}
        rows, cols = (range(a // s - 1, b // s + 2) for a, b, s in (
            (window.top, window.bottom, size[1]), (window.left, window.right, size[0])))  # fmt: skip
        for row in rows:
            for col in cols:
                block = parent_block(below, row, col, shape, pixel_type, method)
                if block is not None:
                    made[row, col] = block
        below = lambda row, col, made=made: made.get((row, col))  # noqa: E731
        check(assemble(below, window, *size, pixel_type.dtype), (image, valid), pixel_type)
