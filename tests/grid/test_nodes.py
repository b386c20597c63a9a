from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpyr.grid import BoundingBox, Transform, coordinate_grid, load_tms


def inverse_of(affine):
    a, b, c, d, e, f = affine
    det = a * e - b * d
    return (e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det)


def interpolate(nodes, step, width, height):
    """Bilinear interpolation, the slow way: nan where a touching node is not finite."""
    assert nodes.dtype == np.float64
    assert nodes.flags.c_contiguous
    assert nodes.shape == ((height - 1) // step + 2, (width - 1) // step + 2, 2)
    y, x = np.mgrid[0:height, 0:width]
    i, j, v, u = y // step, x // step, (y % step / step)[..., None], (x % step / step)[..., None]
    with np.errstate(invalid="ignore"):
        found = (nodes[i, j] * (1 - u) + nodes[i, j + 1] * u) * (1 - v)
        found += (nodes[i + 1, j] * (1 - u) + nodes[i + 1, j + 1] * u) * v
    return np.where(np.isfinite(found), found, np.nan)


def exact(source_crs, tms_crs, level, px, py, width, height, inverse):
    """PROJ at every pixel, by pyproj directly."""
    x = level.origin_x + (px + np.arange(width) + 0.5) * level.cell_size
    y = level.origin_y - (py + np.arange(height) + 0.5) * level.cell_size
    gx, gy = np.meshgrid(x, y)
    sx, sy = pyproj.Transformer.from_crs(tms_crs, source_crs, always_xy=True).transform(gx, gy)
    a, b, c, d, e, f = inverse
    with np.errstate(invalid="ignore"):
        return np.stack([a * sx + b * sy + c - 0.5, d * sx + e * sy + f - 0.5], axis=-1)


CASES = [
    # source CRS, affine, TMS, level, a point of the source in the middle of the block
    ("EPSG:2154", (0.5, 0, 920000, 0, -0.5, 6564000), "PM", "18"),
    ("IGNF:LAMB93", (100, 0, 600000, 0, -100, 6580000), "PM", "10"),
    ("IGNF:LAMB93", (1000, 0, 600000, 0, -1000, 6580000), "PM", "7"),
    ("IGNF:LAMB93", (0.1, 0, 988000, 0, -0.1, 6735000), "4326", "19"),
    ("EPSG:2154", (30, 40, 600000, 40, -30, 6580000), "PM", "11"),
    ("EPSG:4326", (0.01, 0, 2, 0, -0.01, 47), "LAMB93_IGNF", "7"),
    ("EPSG:3413", (250, 0, -1000000, 0, -250, -1500000), "PM", "6"),
    ("EPSG:32631", (10, 0, 300000, 0, -10, 5000000), "4326", "13"),
]


@pytest.mark.parametrize(("crs", "affine", "tms", "level"), CASES, ids=lambda value: str(value)[:12])
@pytest.mark.parametrize("size", [(512, 512), (300, 77)])
def test_error_is_within_the_tolerance(crs, affine, tms, level, size):
    tms = load_tms(tms)
    level = tms.level(level)
    there = Transform(crs, tms.crs)
    x, y = there.forward(affine[2], affine[5])
    px, py = (int(v) - 200 for v in level.pixel_of(float(x), float(y)))
    inverse = inverse_of(affine)
    expected = exact(crs, tms.crs, level, px, py, *size, inverse)
    steps = []
    for tolerance in (0.5, 0.02, 0.0005):
        nodes, step = coordinate_grid(there.inverse, level, px, py, *size, inverse, tolerance)
        error = np.abs(interpolate(nodes, step, *size) - expected).max()
        assert error <= tolerance, step
        steps.append(step)
    assert steps == sorted(steps, reverse=True)


def test_step_follows_the_need():
    pm = load_tms("PM")
    to_source = Transform("EPSG:2154", "EPSG:3857").inverse
    inverse = inverse_of((0.5, 0, 920000, 0, -0.5, 6564000))
    assert coordinate_grid(to_source, pm.level("18"), 135331 * 256, 93104 * 256, 1024, 1024, inverse)[1] == 256
    inverse = inverse_of((100, 0, 600000, 0, -100, 6580000))
    step = coordinate_grid(to_source, pm.level("10"), 516 * 256, 352 * 256, 1024, 1024, inverse)[1]
    assert 16 <= step <= 64


@settings(max_examples=60)
@given(
    st.integers(1, 700),
    st.integers(1, 700),
    st.tuples(*[st.floats(-3, 3)] * 4).filter(lambda t: abs(t[0] * t[3] - t[1] * t[2]) > 0.1),
)
def test_same_crs_is_exact_at_the_coarsest_step(width, height, matrix):
    affine = (matrix[0], matrix[1], 920000.25, matrix[2], matrix[3], 6564000.75)
    level = load_tms("2154_1m").level("17")
    to_source = Transform("IGNF:LAMB93", "EPSG:2154").inverse
    inverse = inverse_of(affine)
    nodes, step = coordinate_grid(to_source, level, 920100, 5436100, width, height, inverse)
    assert step == 256
    expected = exact("EPSG:2154", "EPSG:2154", level, 920100, 5436100, width, height, inverse)
    assert np.abs(interpolate(nodes, step, width, height) - expected).max() < 1e-6


def test_centre_of_the_first_pixel_is_zero():
    # A source laid on the matrix itself: positions are whole numbers.
    level = load_tms("2154_1m").level("17")
    inverse = inverse_of((1, 0, 1000, 0, -1, 12000000 - 2000))
    nodes, step = coordinate_grid(Transform("EPSG:2154", "EPSG:2154").inverse, level, 1005, 2007, 8, 8, inverse)
    assert interpolate(nodes, step, 8, 8)[3, 2] == pytest.approx((5 + 2, 7 + 3))


def test_pole_and_antimeridian_at_the_edge_of_the_matrix():
    # The last pixel centres lie inside the world, the next ones would not: no node may ask for them.
    level = load_tms("4326").level("0")
    to_source = Transform("EPSG:4258", "EPSG:4326", bounds=BoundingBox(-180, -90, 180, 90)).inverse
    inverse = inverse_of((0.5, 0, -180, 0, -0.5, 90))
    nodes, step = coordinate_grid(to_source, level, 0, 0, 512, 256, inverse)
    found = interpolate(nodes, step, 512, 256)
    assert found[0, 0] == pytest.approx((0.203125, 0.203125))
    assert found[-1, -1] == pytest.approx((720 - 1 - 0.203125, 360 - 1 - 0.203125))
    level = load_tms("PM").level("0")
    to_source = Transform("EPSG:4326", "EPSG:3857").inverse
    nodes, step = coordinate_grid(to_source, level, 0, 0, 256, 256, inverse)
    found = interpolate(nodes, step, 256, 256)
    assert np.isfinite(found).all()
    assert np.abs(found - exact("EPSG:4326", "EPSG:3857", level, 0, 0, 256, 256, inverse)).max() <= 0.02


def test_source_across_the_antimeridian():
    pm = load_tms("PM").level("5")
    to_source = Transform("EPSG:4326", "EPSG:3857", bounds=BoundingBox(170, -20, 190, 0)).inverse
    inverse = inverse_of((0.05, 0, 170, 0, -0.05, 0))
    size = (400, 400)
    east = interpolate(*coordinate_grid(to_source, pm, 0, 4096, 256, 256, inverse, source_size=size), 256, 256)
    west = interpolate(*coordinate_grid(to_source, pm, 8192 - 256, 4096, 256, 256, inverse, source_size=size), 256, 256)
    pixel = pm.cell_size / (20037508.3427892 / 180) / 0.05
    assert west[0, -1, 0] + 0.5 == pytest.approx(200 - pixel / 2, abs=0.02)
    assert east[0, 0, 0] + 0.5 == pytest.approx(200 + pixel / 2, abs=0.02)


def test_jump_inside_the_block_is_followed_pixel_by_pixel():
    # A global source seen from the pole: longitudes jump from 180 to -180 in the middle of the block.
    from fastpyr.grid import TileMatrix

    level = TileMatrix("0", 10000.0, -1280000.0, 1280000.0, 256, 256, 1, 1)
    to_source = Transform("EPSG:4326", "EPSG:3413").inverse
    inverse = inverse_of((0.25, 0, -180, 0, -0.25, 90))
    nodes, step = coordinate_grid(to_source, level, 0, 0, 256, 256, inverse, source_size=(1440, 720))
    assert step == 1
    expected = exact("EPSG:4326", "EPSG:3413", level, 0, 0, 256, 256, inverse)
    assert np.abs(interpolate(nodes, step, 256, 256) - expected).max() < 1e-9


class Disc(Transform):
    """Coordinates exist inside a circle only."""

    def __init__(self):
        super().__init__("EPSG:2154", "EPSG:2154")

    def apply(self, x, y):
        outside = (x - 300) ** 2 + (y - 11999700) ** 2 > 150**2
        x[outside] = np.inf


def test_points_without_coordinates_stay_inf():
    level = load_tms("2154_1m").level("17")
    inverse = (1.0, 0, 0, 0, -1.0, 12000000.0)
    nodes, step = coordinate_grid(Disc(), level, 0, 0, 512, 512, inverse)
    assert step == 1
    y, x = np.mgrid[0:512, 0:512]
    inside = (x + 0.5 - 300) ** 2 + (y + 0.5 - 300) ** 2 <= 150**2
    assert (np.isfinite(nodes[:512, :512, 0]) == inside).all()
    assert np.isinf(nodes[~np.isfinite(nodes)]).all()
    # Far from everything the source needs, nothing is worth a dense grid.
    assert coordinate_grid(Disc(), level, 0, 0, 512, 512, inverse, source_size=(20, 20))[1] == 256
    nodes, step = coordinate_grid(Disc(), level, 2000, 2000, 64, 64, inverse)
    assert step == 256
    assert np.isinf(nodes).all()


def test_positions_off_the_source_need_no_care():
    pm = load_tms("PM").level("7")
    to_source = Transform("IGNF:LAMB93", "EPSG:3857").inverse
    inverse = inverse_of((1000, 0, 600000, 0, -1000, 6580000))
    x, y = to_source.inverse.forward(600000, 6580000)
    px, py = (int(v) - 500 for v in pm.pixel_of(float(x), float(y)))
    whole, fine = coordinate_grid(to_source, pm, px, py, 1024, 1024, inverse)
    nodes, step = coordinate_grid(to_source, pm, px, py, 1024, 1024, inverse, source_size=(200, 200))
    assert step >= fine
    a, b = interpolate(whole, fine, 1024, 1024), interpolate(nodes, step, 1024, 1024)
    on_source = ((a > -64) & (a < 264)).all(axis=-1)
    assert on_source.any()
    assert np.abs(a - b)[on_source].max() <= 0.04


def test_threads_and_repetition_give_the_same_nodes():
    level = load_tms("PM").level("10")
    to_source = Transform("EPSG:2154", "EPSG:3857").inverse
    inverse = inverse_of((100, 0, 600000, 0, -100, 6580000))
    expected, step = coordinate_grid(to_source, level, 516 * 256, 352 * 256, 512, 512, inverse)
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(coordinate_grid, to_source, level, 516 * 256, 352 * 256, 512, 512, inverse) for _ in range(32)
        ]
    for job in jobs:
        nodes, found = job.result()
        assert found == step
        assert (nodes == expected).all()
