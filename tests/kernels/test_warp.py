"""Reprojection kernel against its float64 definition, GDAL, and the Fourier shift of a sinusoid."""

import numpy as np
import pytest
from every_path import on_every_path
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpyr.errors import ConfigError
from fastpyr.kernels.reference_resample import warp_reference
from fastpyr.kernels.warp import warp

KERNELS = ["nn", "linear", "bicubic", "lanczos"]


def affine_nodes(shape, step, origin, right, down):
    """Nodes of x = origin + column * right + row * down (each a pair)."""
    rows, cols = (-(-(n - 1) // step) + 1 for n in shape)
    row, col = np.mgrid[:rows, :cols] * float(step)
    return np.stack([origin[k] + col * right[k] + row * down[k] for k in (0, 1)], axis=-1)


def amplitude(src):
    return max(float(np.abs(np.nan_to_num(src).astype(np.float64)).max()), 1.0)


@settings(max_examples=120)
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
        mask = np.where(rng.random((height, width)) < draw(st.sampled_from([0.0, 0.02, 0.7])), 0, 255).astype(np.uint8)
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 21))
    step = draw(st.sampled_from([1, 2, 8, 64]))
    pace = draw(st.floats(0.3, 2.0))
    nodes = affine_nodes(
        shape, step, (draw(st.floats(-3, width)), draw(st.floats(-3, height))), (pace, draw(st.floats(-0.4, 0.4))),
        (draw(st.floats(-0.4, 0.4)), pace),
    )  # fmt: skip
    nodes += rng.normal(0, 0.2, nodes.shape)
    if draw(st.integers(0, 5)) == 0:
        nodes[tuple(rng.integers(0, n) for n in nodes.shape)] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e7]))
    place = {
        "interpolation": draw(st.sampled_from(KERNELS)),
        "ratio": (draw(st.floats(0.3, 7.0)), draw(st.floats(0.3, 7.0))) if draw(st.booleans()) else (pace, pace),
    }
    nodata = list(range(7, 7 + channels))
    expected, expected_mask, exact = warp_reference(src, nodes, step, shape, **place, mask=mask, nodata=nodata)

    def call():
        out = np.full((*shape, channels), 99, dtype)
        return warp(src, nodes, step, out, **place, mask=mask, out_mask=np.full(shape, 99, np.uint8), nodata=nodata)

    results = on_every_path(call)
    for out, out_mask in results:
        np.testing.assert_array_equal(out_mask, expected_mask)
        if dtype is np.uint8:
            # Integer weights err by up to 2^-14 a tap, the sums between the passes by 2^-6: rounding may differ then.
            near_half = np.abs(exact - np.floor(exact) - 0.5) < 0.1
            wrong = np.abs(out.astype(int) - expected)
            assert wrong.max(initial=0) <= 1
            assert not (wrong.astype(bool) & ~near_half).any()
            np.testing.assert_array_equal(out, results[0][0])
        else:
            np.testing.assert_allclose(out, exact, atol=2e-6 * amplitude(src), rtol=0)


@pytest.mark.parametrize("interpolation", KERNELS)
@pytest.mark.parametrize("ratio", [0.83, 1.2, 4.5])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_nearly_all_bytes_are_exact(interpolation, ratio, channels):
    src = np.random.default_rng(3).integers(0, 256, (260, 260, channels), np.uint8)
    shape = (24, 50) if ratio < 4 else (12, 25)
    nodes = affine_nodes(shape, 32, (14.3, 15.1), (ratio, 0.03), (-0.03, ratio))
    place = {"interpolation": interpolation, "ratio": (ratio, ratio)}
    expected, _, _ = warp_reference(src, nodes, 32, shape, **place)
    for out, _ in on_every_path(lambda: warp(src, nodes, 32, np.zeros((*shape, channels), np.uint8), **place)):
        assert np.abs(out.astype(int) - expected).max() <= 1
        assert (out == expected).mean() >= 0.99


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.float64])
@pytest.mark.parametrize("interpolation", KERNELS)
@pytest.mark.parametrize("is_masked", [False, True])
def test_other_sample_types(dtype, interpolation, is_masked):
    rng = np.random.default_rng(5)
    src = (rng.random((17, 23, 2)) * 30000).astype(dtype)
    mask = np.where(rng.random((17, 23)) < 0.2, 0, 255).astype(np.uint8) if is_masked else None
    shape = 12, 20
    nodes = affine_nodes(shape, 8, (-0.9, 0.4), (1.3, 0.1), (0.05, 1.2))
    nodes[-1, -1] = np.nan
    place = {"interpolation": interpolation, "ratio": (1.3, 1.2), "mask": mask, "nodata": [1, 2]}
    expected, expected_mask, _ = warp_reference(src, nodes, 8, shape, **place)
    out_mask = np.zeros(shape, np.uint8)
    out, _ = warp(src, nodes, 8, np.zeros((*shape, 2), dtype), **place, out_mask=out_mask)
    np.testing.assert_array_equal(out_mask, expected_mask)
    assert np.abs(out.astype(np.float64) - expected).max() <= (1 if np.dtype(dtype).kind in "iu" else 1e-6)


@pytest.mark.parametrize("interpolation", KERNELS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_identity_keeps_every_pixel(interpolation, channels, cpu_path):
    src = np.random.default_rng(1).integers(0, 256, (70, 137, channels), np.uint8)
    nodes = affine_nodes(src.shape[:2], 64, (0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    out_mask = np.zeros(src.shape[:2], np.uint8)
    out, _ = warp(src, nodes, 64, np.zeros_like(src), interpolation=interpolation, out_mask=out_mask)
    np.testing.assert_array_equal(out, src)
    assert (out_mask == 255).all()


@pytest.mark.parametrize("interpolation", KERNELS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_blocks_and_masks_without_holes_change_nothing(interpolation, channels, cpu_path):
    """Which pixels share a fast stretch depends on where a block starts; the result must not."""
    rng = np.random.default_rng(8)
    src = rng.integers(0, 256, (90, 190, channels), np.uint8)
    shape = 60, 160
    nodes = affine_nodes(shape, 16, (6.3, 7.1), (1.05, 0.03), (-0.02, 1.1))
    place = {"interpolation": interpolation, "ratio": (1.05, 1.1)}
    whole, _ = warp(src, nodes, 16, np.zeros((*shape, channels), np.uint8), **place)
    masked, _ = warp(
        src, nodes, 16, np.zeros((*shape, channels), np.uint8), **place, mask=np.full((90, 190), 255, np.uint8)
    )
    part, _ = warp(src, nodes[1:, 3:], 16, np.zeros((40, 51, channels), np.uint8), **place)
    np.testing.assert_array_equal(whole, masked)
    np.testing.assert_array_equal(whole[16:56, 48:99], part)


@pytest.mark.parametrize("interpolation", KERNELS)
@pytest.mark.parametrize("channels", [1, 3])
def test_holes_change_only_their_neighbourhood(interpolation, channels, cpu_path):
    rng = np.random.default_rng(8)
    src = rng.integers(0, 256, (200, 200, channels), np.uint8)
    mask = np.full((200, 200), 255, np.uint8)
    mask[90:97, 101] = 0
    shape = 180, 180
    nodes = affine_nodes(shape, 64, (6.3, 7.1), (1.0, 0.01), (-0.01, 1.0))
    out_mask = np.zeros(shape, np.uint8)
    plain, _ = warp(src, nodes, 64, np.zeros((*shape, channels), np.uint8), interpolation=interpolation)
    holed, _ = warp(
        src,
        nodes,
        64,
        np.zeros((*shape, channels), np.uint8),
        interpolation=interpolation,
        mask=mask,
        out_mask=out_mask,
    )
    rows, cols = np.nonzero((plain != holed).any(axis=-1))
    assert rows.min() >= 78
    assert rows.max() <= 94
    assert cols.min() >= 90
    assert cols.max() <= 101
    assert 5 <= (out_mask == 0).sum() <= 9


@pytest.mark.parametrize("interpolation", KERNELS)
def test_masked_values_never_leak(interpolation, cpu_path):
    src = np.full((80, 90, 1), 100.0, np.float32)
    mask = np.full((80, 90), 255, np.uint8)
    mask[30:44, 28:59] = 0
    src[mask == 0] = np.nan
    shape = 83, 90
    nodes = affine_nodes(shape, 32, (-1.0, -1.0), (0.97, 0.03), (-0.03, 0.97))
    out_mask = np.zeros(shape, np.uint8)
    out, _ = warp(
        src, nodes, 32, np.zeros((*shape, 1), np.float32), interpolation=interpolation, mask=mask, out_mask=out_mask,
        nodata=[-99999],
    )  # fmt: skip
    np.testing.assert_allclose(out[out_mask == 255], 100.0, rtol=1e-6)
    assert (out[out_mask == 0] == -99999).all()


def test_gdal_agrees(cpu_path):
    """Same kernels, exact transformation: EPSG:2154 to Web Mercator at about equal resolution."""
    import rasterio
    from pyproj import Transformer
    from rasterio.warp import Resampling, reproject

    rng = np.random.default_rng(12)
    grid = np.linspace(0, 40, 300)
    smooth = np.sin(grid)[:, None, None] * np.cos(1.7 * grid)[None, :, None] * [60, 80, 40] + 128
    src = np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
    left, top, cell = 700_000.0, 6_600_000.0, 10.0
    shape, to_map = (128, 150), Transformer.from_crs(2154, 3857, always_xy=True)
    x0, y0 = to_map.transform(left + 800, top - 800)
    size = 14.6  # ratio just below 1: GDAL widens its kernels above
    step_rows, step_cols = np.mgrid[:128, :150]
    xs, ys = to_map.transform(x0 + (step_cols + 0.5) * size, y0 - (step_rows + 0.5) * size, direction="INVERSE")
    nodes = np.stack([(xs - left) / cell - 0.5, (top - ys) / cell - 0.5], axis=-1)
    ratio = float(np.hypot(*(nodes[0, 1] - nodes[0, 0])))
    for name in KERNELS:
        out, _ = warp(src, nodes, 1, np.zeros((*shape, 3), np.uint8), interpolation=name, ratio=(min(ratio, 1.0),) * 2)
        gdal = np.zeros((3, *shape), np.uint8)
        reproject(
            src.transpose(2, 0, 1).copy(), gdal,
            src_transform=rasterio.Affine(cell, 0, left, 0, -cell, top), src_crs="EPSG:2154",
            dst_transform=rasterio.Affine(size, 0, x0, 0, -size, y0), dst_crs="EPSG:3857",
            resampling={"nn": Resampling.nearest, "linear": Resampling.bilinear, "bicubic": Resampling.cubic,
                        "lanczos": Resampling.lanczos}[name],
            tolerance=0,
        )  # fmt: skip
        difference = np.abs(out.astype(int) - gdal.transpose(1, 2, 0))
        assert (difference <= 1).mean() > 0.999, name
        assert (difference == 0).mean() > (0.999 if name == "nn" else 0.95), name


@pytest.mark.parametrize("interpolation", ["linear", "bicubic", "lanczos"])
def test_a_shift_is_where_it_should_be(interpolation, cpu_path):
    """The phase of a sinusoid tells a shift to far better than 0.01 pixel (lanczos itself is 0.016 off here)."""
    tolerance = 0.017 if interpolation == "lanczos" else 0.01
    period, size = 16, 128
    x = np.arange(size + 40)
    src = np.clip(128 + 100 * np.sin(2 * np.pi * x / period), 0, 255).round().astype(np.uint8)
    src = np.repeat(src[None, :, None], 40, axis=0)
    for shift in (0.125, 0.3, 0.77):
        nodes = affine_nodes((8, size), 64, (16 + shift, 16.0), (1.0, 0.0), (0.0, 1.0))
        for pixels, name in ((src, "x"), (src.transpose(1, 0, 2).copy(), "y")):
            grid = nodes if name == "x" else affine_nodes((size, 8), 64, (16.0, 16 + shift), (1.0, 0.0), (0.0, 1.0))
            shape = (8, size, 1) if name == "x" else (size, 8, 1)
            out, _ = warp(pixels, grid, 64, np.zeros(shape, np.uint8), interpolation=interpolation)
            line = out[3, :, 0] if name == "x" else out[:, 3, 0]
            phase = np.angle(np.sum(line * np.exp(-2j * np.pi * np.arange(size) / period)))
            found = (phase + np.pi / 2) * period / (2 * np.pi)
            assert abs((found - shift + period / 2) % period - period / 2) < tolerance


@pytest.mark.parametrize("interpolation", KERNELS)
def test_hostile_nodes_and_tiny_sources(interpolation, cpu_path):
    for value in (np.nan, np.inf, -np.inf, 1e300, -1e300, 2.0**20, -(2.0**20), 1e9):
        for shape in ((1, 1), (2, 3), (70, 70)):
            src = np.full((*shape, 3), 50, np.uint8)
            nodes = affine_nodes((70, 70), 8, (0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
            nodes[3, 3] = value
            nodes[5, 2, 1] = value
            out_mask = np.zeros((70, 70), np.uint8)
            out, _ = warp(
                src, nodes, 8, np.zeros((70, 70, 3), np.uint8), interpolation=interpolation, out_mask=out_mask,
                nodata=[9, 8, 7],
            )  # fmt: skip
            assert out_mask[0, 0] == 255
            assert (out[out_mask == 255] == 50).all()
            assert (out[out_mask == 0] == [9, 8, 7]).all()
            assert out_mask[20, 20] == 0


def test_a_far_node_bends_only_its_cells(cpu_path):
    """Positions inside the source stay right although one node of the cell is farther than fixed point reaches."""
    src = np.arange(200, dtype=np.uint8)[None, :, None].repeat(3, axis=0)
    nodes = np.array([[[0.0, 1.0], [4.0e6, 1.0]]])
    out_mask = np.zeros((1, 65536), np.uint8)
    warp(src, nodes, 65536, np.zeros((1, 65536, 1), np.uint8), interpolation="linear", out_mask=out_mask)
    assert (out_mask == 255).sum() == 4  # 61 pixels of source a step
    out, _ = warp(src, nodes, 65536, np.zeros((1, 4, 1), np.uint8), interpolation="nn")
    np.testing.assert_array_equal(out[0, :, 0], [0, 61, 122, 183])


@pytest.mark.parametrize("interpolation", KERNELS)
def test_strided_views(interpolation, cpu_path):
    rng = np.random.default_rng(9)
    big, big_mask = rng.integers(0, 256, (60, 70, 3), np.uint8), rng.integers(0, 4, (60, 70), np.uint8)
    parent, parent_mask = np.full((64, 64, 3), 9, np.uint8), np.full((64, 64), 9, np.uint8)
    nodes = affine_nodes((32, 32), 8, (0.5, 0.25), (1.2, 0.1), (-0.1, 1.1))
    for flip in (1, -1):
        src, mask = big[5:45, 6:56][::flip], big_mask[5:45, 6:56][::flip]
        for m in (mask, None):
            place = {"interpolation": interpolation, "nodata": [1, 2, 3]}
            warp(src, nodes, 8, parent[32:, :32], **place, mask=m, out_mask=parent_mask[32:, :32])
            out, out_mask = np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32), np.uint8)
            warp(src.copy(), nodes, 8, out, **place, mask=None if m is None else m.copy(), out_mask=out_mask)
            np.testing.assert_array_equal(parent[32:, :32], out)
            np.testing.assert_array_equal(parent_mask[32:, :32], out_mask)
            assert (parent[:32] == 9).all()
            assert (parent[:, 32:] == 9).all()


def test_wrong_arguments(cpu_path):
    src, out = np.zeros((4, 4, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)
    nodes = np.zeros((2, 2, 2))
    with pytest.raises(ValueError, match="does not cover"):
        warp(src, nodes, 4, out, interpolation="linear")
    with pytest.raises(ValueError, match="does not cover"):
        warp(src, nodes[:1], 8, out, interpolation="nn")
    with pytest.raises(ValueError, match="step 0"):
        warp(src, nodes, 0, out, interpolation="linear")
    with pytest.raises(ValueError, match="out: shape"):
        warp(src, nodes, 8, out[..., :1].copy(), interpolation="linear")
    with pytest.raises(ValueError, match="mask: shape"):
        warp(src, nodes, 8, out, interpolation="linear", mask=np.zeros((9, 9), np.uint8))
    with pytest.raises(ValueError, match="sides of 1 to"):
        warp(np.zeros((1, 1 << 20, 3), np.uint8), nodes, 8, out, interpolation="linear")
    with pytest.raises(ConfigError, match="reduce the source first"):
        warp(src, nodes, 8, out, interpolation="linear", ratio=(1.0, 1e5))
    warp(src, nodes, 8, out[:0], interpolation="linear")


@pytest.mark.parametrize("interpolation", ["linear", "bicubic", "lanczos"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_slants_and_ratios_that_share_vectors(interpolation, channels):
    """Groups of pixels whose taps begin in one to five rows, within 64 or 128 bytes or beyond; rows not in order."""
    rng = np.random.default_rng(channels)
    frame = rng.integers(0, 256, (240, 250, channels), np.uint8)
    src = frame[20:220, 3:230]  # strided: a view that neither starts nor ends its rows
    for pace in (0.2, 0.95, 1.0, 1.04, 1.3, 1.9, 3.0, -0.97):
        for slant in (0.0, 0.03, -0.07, 0.31, -0.9):
            cols, rows = (int(n) for n in rng.integers(1, 70, 2))
            origin = (110.0 - pace * cols / 2, 100.0 - slant * cols / 2)
            nodes = affine_nodes((rows, cols), 32, origin, (pace, slant), (-slant, pace))
            nodes += rng.normal(0, 0.3, nodes.shape) * (rng.random() < 0.3)
            place = {"interpolation": interpolation, "ratio": (abs(pace), abs(pace))}

            def call(nodes=nodes, shape=(rows, cols, channels), place=place):
                wider = np.full((shape[0], shape[1] + 3, channels), 7, np.uint8)
                warp(src, nodes, 32, wider[:, 1:-2], **place)
                return wider

            results = on_every_path(call)
            for other in results[1:]:
                np.testing.assert_array_equal(other, results[0])
            assert (results[0][:, 0] == 7).all()
            assert (results[0][:, -2:] == 7).all()
