"""Separable resampling against its float64 definition."""

import numpy as np
import pytest
from every_path import on_every_path
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpyr.errors import ConfigError
from fastpyr.kernels.reference_resample import resample_reference
from fastpyr.kernels.resample import resample

KERNELS = ["nn", "linear", "bicubic", "lanczos"]


def amplitude(src):
    return max(float(np.abs(src.astype(np.float64)).max()), 1.0)


def check_close(pixels, exact, expected, src):
    if src.dtype == np.uint8:
        wrong = np.abs(pixels.astype(int) - expected.astype(int))
        # Where the exact value is about half way, both neighbours are right.
        near_half = np.abs(exact - np.floor(exact) - 0.5) < 2e-3
        assert wrong.max(initial=0) <= 1
        assert not (wrong.astype(bool) & ~near_half).any()
    elif src.dtype.kind in "iu":
        assert np.abs(pixels.astype(np.float64) - expected).max(initial=0) <= 1
    else:
        np.testing.assert_allclose(pixels, exact, atol=2e-6 * amplitude(src), rtol=0)


@settings(max_examples=100)
@given(data=st.data())
def test_equals_the_reference(data):
    draw = data.draw
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 30)), draw(st.integers(1, 40))
    channels = draw(st.integers(1, 4))
    dtype = draw(st.sampled_from([np.uint8, np.float32]))
    src = (rng.random((height, width, channels)) * 255).astype(dtype)
    mask = None
    if draw(st.booleans()):
        mask = np.where(rng.random((height, width)) < draw(st.sampled_from([0.0, 0.05, 0.7])), 0, 255).astype(np.uint8)
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 21))
    place = {
        "x0": draw(st.floats(-3, width)),
        "y0": draw(st.floats(-3, height)),
        "rx": draw(st.floats(0.3, 7.0)),
        "ry": draw(st.floats(0.3, 7.0)),
        "interpolation": draw(st.sampled_from(KERNELS)),
    }
    nodata = list(range(7, 7 + channels))
    expected, expected_mask, exact = resample_reference(src, shape, **place, mask=mask, nodata=nodata)

    def call():
        out = np.full((*shape, channels), 99, dtype)
        return resample(src, out, **place, mask=mask, out_mask=np.full(shape, 99, np.uint8), nodata=nodata)

    results = on_every_path(call)
    for out, out_mask in results:
        np.testing.assert_array_equal(out_mask, expected_mask)
        check_close(out, exact, expected, src)
        np.testing.assert_array_equal(out, results[0][0])


@pytest.mark.parametrize("interpolation", KERNELS)
@pytest.mark.parametrize(("rx", "ry"), [(0.8307, 0.8309), (1.2101, 1.3703), (3.3007, 2.9003)])
def test_nearly_all_bytes_are_exact(interpolation, rx, ry):
    # No round numbers: they make exact halves, which float64 itself rounds either way.
    src = np.random.default_rng(3).integers(0, 256, (120, 200, 3), np.uint8)
    shape = 30, 50
    place = {"x0": 0.30171, "y0": 1.70193, "rx": rx, "ry": ry, "interpolation": interpolation}
    expected, _, _ = resample_reference(src, shape, **place)
    for out, _ in on_every_path(lambda: resample(src, np.zeros((*shape, 3), np.uint8), **place)):
        assert np.abs(out.astype(int) - expected).max() <= 1
        assert (out == expected).mean() > 0.999


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.float64])
@pytest.mark.parametrize("interpolation", KERNELS)
@pytest.mark.parametrize("is_masked", [False, True])
def test_other_sample_types(dtype, interpolation, is_masked):
    rng = np.random.default_rng(5)
    src = (rng.random((17, 23, 2)) * 60000 - (0 if dtype is np.uint16 else 30000)).astype(np.int64)
    src = np.clip(src, -32768, 32767).astype(dtype) if dtype is np.int16 else src.astype(dtype)
    mask = np.where(rng.random((17, 23)) < 0.2, 0, 255).astype(np.uint8) if is_masked else None
    place = {"x0": -0.9, "y0": 0.4, "rx": 1.3, "ry": 0.7, "interpolation": interpolation}
    shape = 12, 20
    expected, expected_mask, exact = resample_reference(src, shape, **place, mask=mask, nodata=[1, 2])
    out_mask = np.zeros(shape, np.uint8)
    out, _ = resample(src, np.zeros((*shape, 2), dtype), **place, mask=mask, out_mask=out_mask, nodata=[1, 2])
    np.testing.assert_array_equal(out_mask, expected_mask)
    check_close(out, exact, expected, src)


@pytest.mark.parametrize("interpolation", KERNELS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_identity_keeps_every_pixel(interpolation, channels, cpu_path):
    src = np.random.default_rng(1).integers(0, 256, (40, 37, channels), np.uint8)
    out, _ = resample(src, np.zeros_like(src), x0=0, y0=0, rx=1, ry=1, interpolation=interpolation)
    np.testing.assert_array_equal(out, src)


@pytest.mark.parametrize("interpolation", KERNELS)
@pytest.mark.parametrize("rx", [0.4, 1.0, 5.0])
def test_a_constant_stays_constant(interpolation, rx, cpu_path):
    src = np.full((9, 11, 3), 203, np.uint8)
    mask = np.full((9, 11), 255, np.uint8)
    mask[3:5, 4] = 0
    for m in (None, mask):
        out_mask = np.zeros((8, 12), np.uint8)
        out, _ = resample(
            src, np.zeros((8, 12, 3), np.uint8), x0=-0.4, y0=-0.4, rx=rx, ry=rx, interpolation=interpolation,
            mask=m, out_mask=out_mask,
        )  # fmt: skip
        assert (out[out_mask == 255] == 203).all()
        assert (out[out_mask == 0] == 0).all()


@pytest.mark.parametrize("interpolation", KERNELS)
def test_masked_values_never_leak(interpolation, cpu_path):
    src = np.full((30, 30, 1), 100.0, np.float32)
    mask = np.full((30, 30), 255, np.uint8)
    mask[10:14, 8:19] = 0
    src[mask == 0] = np.nan
    out_mask = np.zeros((33, 33), np.uint8)
    out, _ = resample(
        src, np.zeros((33, 33, 1), np.float32), x0=0.1, y0=0.2, rx=0.85, ry=0.85, interpolation=interpolation,
        mask=mask, out_mask=out_mask, nodata=[-99999],
    )  # fmt: skip
    np.testing.assert_allclose(out[out_mask == 255], 100.0, rtol=1e-6)
    assert (out[out_mask == 0] == -99999).all()
    assert 20 < (out_mask == 0).sum() < 80


@pytest.mark.parametrize("interpolation", KERNELS)
def test_strided_views(interpolation, cpu_path):
    rng = np.random.default_rng(9)
    big, big_mask = rng.integers(0, 256, (60, 70, 3), np.uint8), rng.integers(0, 2, (60, 70), np.uint8)
    parent, parent_mask = np.full((64, 64, 3), 9, np.uint8), np.full((64, 64), 9, np.uint8)
    src, mask = big[5:45, 6:56][::-1], big_mask[5:45, 6:56][::-1]
    place = {"x0": 0.5, "y0": 0.25, "rx": 1.2, "ry": 1.1, "interpolation": interpolation, "nodata": [1, 2, 3]}
    resample(src, parent[32:, :32], **place, mask=mask, out_mask=parent_mask[32:, :32])
    out, out_mask = np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32), np.uint8)
    resample(src.copy(), out, **place, mask=mask.copy(), out_mask=out_mask)
    np.testing.assert_array_equal(parent[32:, :32], out)
    np.testing.assert_array_equal(parent_mask[32:, :32], out_mask)
    assert (parent[:32] == 9).all()
    assert (parent[:, 32:] == 9).all()


@pytest.mark.parametrize("interpolation", KERNELS)
def test_one_pixel_and_far_positions(interpolation, cpu_path):
    src = np.full((1, 1, 3), 77, np.uint8)
    for x0, rx, hits in ((0.0, 1.0, 1), (0.0, 7000.0, 1), (-0.4, 0.001, 5), (1e300, 1.0, 0), (-1e12, 1.0, 0)):
        out_mask = np.zeros((1, 5), np.uint8)
        out, _ = resample(
            src, np.zeros((1, 5, 3), np.uint8), x0=x0, y0=0.0, rx=rx, ry=rx, interpolation=interpolation,
            out_mask=out_mask, nodata=[1, 2, 3],
        )  # fmt: skip
        assert (out_mask != 0).sum() == hits
        assert (out[0, :hits] == 77).all()
        assert (out[0, hits:] == [1, 2, 3]).all()


def test_a_huge_reduction():
    src = (np.arange(20000) % 200).astype(np.uint8)[None, :, None]
    out, _ = resample(src, np.zeros((1, 3, 1), np.uint8), x0=3333.0, y0=0, rx=20000 / 3, ry=1, interpolation="bicubic")
    assert np.abs(out.astype(int) - 99).max() <= 1


def test_wrong_arguments(cpu_path):
    src, out = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
    place = {"x0": 0, "y0": 0, "rx": 1, "ry": 1, "interpolation": "linear"}
    with pytest.raises(ValueError, match="out: shape"):
        resample(src, np.zeros((4, 4, 1), np.uint8), **place)
    with pytest.raises(ValueError, match="out: samples"):
        resample(src, out.astype(np.float32), **place)
    with pytest.raises(ValueError, match="mask: shape"):
        resample(src, out, **place, mask=np.zeros((3, 4), np.uint8))
    with pytest.raises(ValueError, match="contiguous"):
        resample(np.zeros((4, 8, 3), np.uint8)[:, ::2], out, **place)
    with pytest.raises(ValueError, match="at least one pixel"):
        resample(src[:0], out, **place)
    with pytest.raises(ConfigError, match="nodata has 2 value"):
        resample(src, out, **place, nodata=[1, 2])
    with pytest.raises(ConfigError, match=r"outside 0\.\.255"):
        resample(src, out, **place, nodata=[1, 2, -99999])
    with pytest.raises(ConfigError, match="must be finite"):
        resample(src, out, **{**place, "x0": float("nan")})
    with pytest.raises(ConfigError, match="positive"):
        resample(src, out, **{**place, "ry": 0.0})
