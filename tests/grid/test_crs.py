import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyproj
import pyproj.network
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpyr.errors import GridError
from fastpyr.grid import (
    BoundingBox,
    Transform,
    affine_bounds,
    is_geographic,
    load_tms,
    metres_per_unit,
    parse_crs,
    project_bounds,
    project_boxes,
    same_crs,
    tms_names,
)


@pytest.mark.parametrize("name", sorted({load_tms(name).crs for name in tms_names()}))
def test_every_crs_of_the_built_in_sets_is_known(name):
    crs = parse_crs(name)
    assert len(crs.axis_info) == 2
    assert metres_per_unit(name) == (pytest.approx(111319.490793) if is_geographic(name) else 1.0)
    assert parse_crs(name) is crs
    assert parse_crs(crs.to_wkt()).equals(crs)


def test_height_is_dropped_and_case_forgiven():
    assert parse_crs("EPSG:2154+5720") == parse_crs("EPSG:2154")
    assert len(parse_crs("EPSG:4979").axis_info) == 2
    assert parse_crs(" ignf:lamb93 ") == parse_crs("IGNF:LAMB93")
    assert parse_crs(pyproj.CRS("EPSG:2154")) == parse_crs("EPSG:2154")


@pytest.mark.parametrize(
    "text", ["", "EPSG:0", "EPSG:999999999999999999999", "IGNF:NONE", "hello\nworld", "PROJCS[", "x" * 100_000, "\0"]
)
def test_unknown_crs(text):
    with pytest.raises(GridError) as caught:
        parse_crs(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["EPSG:5720", "EPSG:4978", 'LOCAL_CS["pixels",UNIT["metre",1]]'])
def test_crs_without_horizontal_coordinates(text):
    with pytest.raises(GridError, match="neither geographic nor projected"):
        parse_crs(text)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("EPSG:2154", "IGNF:LAMB93", True),
        ("EPSG:4326", "IGNF:WGS84G", True),
        ("EPSG:2972", "IGNF:UTM22RGFG95", True),
        ("EPSG:2975", "IGNF:RGR92UTM40S", True),
        ("EPSG:4471", "IGNF:RGM04UTM38S", True),
        ("EPSG:32701", "IGNF:UTM01SW84", True),
        ("EPSG:27572", "IGNF:LAMBE", True),
        ("EPSG:4326", "OGC:CRS84", True),
        ("EPSG:2154", "EPSG:3857", False),
        ("EPSG:2154", "EPSG:27572", False),
        ("EPSG:3857", "EPSG:3395", False),
        ("EPSG:32631", "EPSG:32632", False),
        ("EPSG:4326", "EPSG:3857", False),
        ("EPSG:4275", "EPSG:4326", False),
        ("EPSG:4326", "EPSG:4807", False),
    ],
)
def test_same_crs(a, b, same):
    assert same_crs(a, b) is same
    assert same_crs(b, a) is same
    assert Transform(a, b).is_identity is same


PAIRS = [
    ("EPSG:2154", "EPSG:3857", (100000, 6050000, 1200000, 7100000)),
    ("IGNF:LAMB93", "EPSG:4326", (100000, 6050000, 1200000, 7100000)),
    ("EPSG:27572", "EPSG:2154", (100000, 1700000, 1100000, 2600000)),
    ("IGNF:LAMBE", "EPSG:3857", (100000, 1700000, 1100000, 2600000)),
    ("EPSG:2056", "EPSG:3857", (2500000, 1080000, 2800000, 1290000)),
    ("EPSG:4326", "EPSG:32633", (10, 0, 20, 80)),
    ("EPSG:3413", "EPSG:4326", (-2000000, -3000000, 1000000, -500000)),
    ("IGNF:UTM20W84MART", "EPSG:3857", (600000, 1500000, 800000, 1800000)),
]


@pytest.mark.parametrize(("source", "target", "bounds"), PAIRS, ids=lambda value: str(value)[:12])
def test_forward_is_what_proj_says_there_and_inverse_comes_back(source, target, bounds):
    x, y = np.meshgrid(np.linspace(bounds[0], bounds[2], 12), np.linspace(bounds[1], bounds[3], 9))
    before = x.copy()
    transform = Transform(source, target, bounds=BoundingBox(*bounds))
    tx, ty = transform.forward(x, y)
    assert tx.shape == x.shape
    assert (x == before).all()
    ex, ey = pyproj.Transformer.from_crs(source, target, always_xy=True).transform(x, y)
    unit = metres_per_unit(target)
    assert np.abs(tx - ex).max() * unit < 1e-6
    assert np.abs(ty - ey).max() * unit < 1e-6
    bx, by = transform.inverse.forward(tx, ty)
    unit = metres_per_unit(source)
    # Datum shifts through geocentric coordinates lose the height over the other ellipsoid: a millimetre or so.
    assert np.abs(bx - x).max() * unit < 5e-3
    assert np.abs(by - y).max() * unit < 5e-3
    assert transform.inverse.inverse is transform


def test_one_operation_for_all_points():
    # PROJ itself changes operation where areas of use meet: NAD27 has one for each part of America.
    alaska = Transform("EPSG:4267", "EPSG:4326", bounds=BoundingBox(-155, 60, -150, 65))
    texas = Transform("EPSG:4267", "EPSG:4326", bounds=BoundingBox(-100, 30, -98, 32))
    assert alaska.description != texas.description
    line = np.linspace(-170, -60, 2001)
    x, _ = alaska.forward(line, np.full_like(line, 49.0))
    assert np.abs(np.diff(x - line, 2)).max() < 1e-8


def test_outside_the_domain_is_inf():
    x, y = Transform("EPSG:4326", "EPSG:3857").forward([0, 0, np.nan, np.inf, 3], [95, 91, 0, 0, 4])
    assert (np.isinf(x) == [True, True, True, True, False]).all()
    assert (np.isinf(y) == np.isinf(x)).all()
    assert Transform("EPSG:4326", "EPSG:3857").forward([], [])[0].shape == (0,)
    assert Transform("EPSG:4326", "EPSG:3857").forward(0, 0)[0] == 0


def test_longitudes_beyond_the_antimeridian():
    transform = Transform("EPSG:4326", "EPSG:3857", bounds=BoundingBox(170, -20, 190, -10))
    x, y = transform.forward([179, 181], [-15, -15])
    assert x[0] > 0 > x[1]
    assert transform.inverse.forward(x, y)[0] == pytest.approx([179, 181])
    east_of_greenwich = Transform("EPSG:4326", "EPSG:4326", bounds=BoundingBox(0, -90, 360, 90))
    assert not east_of_greenwich.is_identity
    assert east_of_greenwich.inverse.forward([-170, 10], [0, 0])[0] == pytest.approx([190, 10])
    half_a_pixel_too_far = Transform("EPSG:4326", "EPSG:4326", bounds=BoundingBox(-180.05, -90, 180.05, 90))
    assert half_a_pixel_too_far.is_identity


def test_network_stays_off():
    pyproj.network.set_network_enabled(True)
    try:
        Transform("EPSG:32628", "EPSG:32726")
        assert not pyproj.network.is_network_enabled()
    finally:
        pyproj.network.set_network_enabled(False)


def test_pyproj_is_imported_at_first_use_only():
    code = "import sys; from fastpyr.grid import load_tms; load_tms('PM').kind; sys.exit('pyproj' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_threads_share_a_transform():
    transform = Transform("EPSG:2154", "EPSG:3857").inverse
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 5e5, 20000), rng.uniform(5.5e6, 6e6, 20000)
    expected = transform.forward(x, y)
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: transform.forward(x, y), range(40)):
            assert (result[0] == expected[0]).all()
            assert (result[1] == expected[1]).all()


def test_affine_bounds_of_a_rotated_raster():
    assert affine_bounds((1, 2, 10, 3, -4, 20), 5, 7) == BoundingBox(10, -8, 29, 35)


def brute(transform, box, count=700):
    x, y = np.meshgrid(np.linspace(box.left, box.right, count), np.linspace(box.bottom, box.top, count))
    tx, ty = transform.forward(x, y)
    known = np.isfinite(tx)
    return BoundingBox(tx[known].min(), ty[known].min(), tx[known].max(), ty[known].max())


BOXES = [
    ("EPSG:2154", "EPSG:4326", (100000, 6050000, 1200000, 7100000)),
    ("EPSG:2154", "EPSG:3857", (0, 6000000, 1300000, 7200000)),
    ("EPSG:4326", "EPSG:2154", (-5, 41, 10, 52)),
    ("EPSG:3857", "EPSG:2154", (-600000, 5000000, 1200000, 6700000)),
    ("EPSG:32631", "EPSG:3857", (200000, 0, 800000, 9000000)),
    ("EPSG:4326", "EPSG:3413", (-90, 60, 0, 85)),
    ("EPSG:2056", "EPSG:3857", (2485000, 1075000, 2834000, 1296000)),
    ("EPSG:4326", "EPSG:3035", (-10, 35, 30, 70)),
]


@pytest.mark.parametrize(("source", "target", "box"), BOXES, ids=lambda value: str(value)[:12])
def test_project_bounds_against_brute_force_and_gdal(source, target, box):
    box = BoundingBox(*box)
    transform = Transform(source, target, bounds=box)
    found, dense = project_bounds(box, transform), brute(transform, box)
    size = max(dense.width, dense.height)
    assert found.left <= dense.left + 1e-9 * size
    assert found.bottom <= dense.bottom + 1e-9 * size
    assert found.right >= dense.right - 1e-9 * size
    assert found.top >= dense.top - 1e-9 * size
    assert found == pytest.approx(dense, abs=1e-5 * size)
    rasterio_warp = pytest.importorskip("rasterio.warp")
    assert found == pytest.approx(
        rasterio_warp.transform_bounds(source, target, *box, densify_pts=1000), abs=1e-5 * size
    )


@settings(max_examples=40)
@given(st.floats(0, 1.2e6), st.floats(6e6, 7e6), st.floats(1, 3e5), st.floats(1, 3e5))
def test_project_bounds_never_misses_a_point(left, bottom, width, height):
    box = BoundingBox(left, bottom, left + width, bottom + height)
    transform = Transform("EPSG:2154", "EPSG:3857")
    found, dense = project_bounds(box, transform), brute(transform, box, 150)
    size = max(found.width, found.height)
    assert found.union(dense) == pytest.approx(found, abs=1e-8 * size)


def test_pole_inside_the_box():
    box = BoundingBox(-3e6, -2e6, 1e6, 2.5e6)
    found = project_bounds(box, Transform("EPSG:3413", "EPSG:4326"))
    assert found.top == pytest.approx(90, abs=1e-3)
    assert (found.left, found.right) == pytest.approx((-180, 180), abs=1e-2)


def test_bounds_of_the_whole_world_stay_finite():
    found = project_bounds(BoundingBox(-180, -90, 180, 90), Transform("EPSG:4326", "EPSG:3857"))
    assert found.is_valid
    assert (found.left, found.right) == pytest.approx((-20037508.3427892, 20037508.3427892))
    assert load_tms("PM").level("3").limits_of(found) == load_tms("PM").level("3").limits


def test_boxes_on_both_sides_of_the_antimeridian():
    box = BoundingBox(170, -20, 190, -10)
    transform = Transform("EPSG:4326", "EPSG:3857", bounds=box)
    west, east = project_boxes(box, transform)
    degree = 20037508.3427892 / 180
    assert (west.left, west.right) == pytest.approx((170 * degree, 180 * degree))
    assert (east.left, east.right) == pytest.approx((-180 * degree, -170 * degree))
    assert project_bounds(box, transform) == west.union(east)


def test_identity_bounds_are_exact():
    box = BoundingBox(920000.1, 6564000.2, 921000.3, 6565000.4)
    assert project_bounds(box, Transform("EPSG:2154", "IGNF:LAMB93")) == box


@pytest.mark.parametrize(
    ("source", "target", "box"),
    [
        ("EPSG:4326", "EPSG:3857", (500, 95, 600, 120)),
        ("EPSG:32631", "EPSG:3857", (1e9, 1e9, 2e9, 2e9)),
        ("EPSG:2154", "EPSG:3857", (1e15, 1e15, 2e15, 2e15)),
    ],
)
def test_bounds_outside_the_domain_are_refused(source, target, box):
    with pytest.raises(GridError, match=r"bounds \(.*outside the domain of CRS"):
        project_bounds(BoundingBox(*box), Transform(source, target))


def test_bounds_that_are_no_box():
    transform = Transform("EPSG:2154", "EPSG:3857")
    for box in (BoundingBox(1, 1, 1, 2), BoundingBox(0, 0, np.nan, 1), BoundingBox(0, 0, np.inf, 1)):
        with pytest.raises(GridError, match="enclose no area"):
            project_bounds(box, transform)
