import math
from pathlib import Path

import numpy as np
import pytest

from fastpyr.errors import GridError
from fastpyr.grid import (
    Transform,
    bottom_level,
    derivations,
    footprint_resolution,
    level_range,
    load_tms,
    mean_pixel_area,
    tms_from_json,
)
from fastpyr.grid.footprint import _median

ORTHO = Path(__file__).resolve().parents[3] / "shared/data/ortho/0920-6564-LA93-0M50.tif"


def links(tms, bottom, top):
    return [(d.level, d.source, d.ratio, d.method) for d in derivations(load_tms(tms), bottom, top)]


def test_elevation_graph():
    assert links("LAMB93_1M_MNT", "8", "0") == [
        ("8", None, 1, "source"),
        ("7", "8", 5, "decimate"),
        ("6", "7", 5, "decimate"),
        ("5", "6", 2, "decimate"),
        ("4", "6", 3, "decimate"),
        ("3", "5", 2, "decimate"),
        ("2", "5", 5, "decimate"),
        ("1", "2", 2, "decimate"),
        ("0", "1", 2, "decimate"),
    ]


def test_elevation_graph_restricted():
    # Level 4 (75 m) picks from level 6 (25 m) only: without it, it comes from the sources.
    assert links("LAMB93_1M_MNT", "5", "2") == [
        ("5", None, 1, "source"),
        ("4", None, 1, "source"),
        ("3", "5", 2, "decimate"),
        ("2", "5", 5, "decimate"),
    ]
    assert links("LAMB93_1M_MNT", "0", "0") == [("0", None, 1, "source")]


@pytest.mark.parametrize("name", ["LAMB93_1M_MNT", "UTM20W84MART_1M_MNT"])
def test_picked_pixels_coincide(name):
    tms = load_tms(name)
    for link in derivations(tms, tms.ids[0], tms.ids[-1])[1:]:
        level, source = tms.level(link.level), tms.level(link.source)
        for p in (0, 1, 1000):
            q = [link.ratio * p + offset for offset in link.offset]
            assert level.origin_x + (p + 0.5) * level.cell_size == source.origin_x + (q[0] + 0.5) * source.cell_size
            assert level.origin_y - (p + 0.5) * level.cell_size == source.origin_y - (q[1] + 0.5) * source.cell_size


def test_quad_tree():
    assert links("PM", "18", "15") == [
        ("18", None, 1, "source"),
        ("17", "18", 2, "mean"),
        ("16", "17", 2, "mean"),
        ("15", "16", 2, "mean"),
    ]


def test_irregular_levels_come_from_the_sources():
    assert {method for *_, method in links("LAMB93", "21", "0")} == {"source"}


def test_order_is_by_cell_size_not_by_id():
    level = {"pointOfOrigin": [0, 0], "tileWidth": 256, "tileHeight": 256, "matrixWidth": 9, "matrixHeight": 9}
    cells = {"10": 4.0, "9": 1.0, "fine": 0.5, "2": 2.0}
    document = {"crs": "EPSG:2154", "tileMatrices": [{**level, "id": id, "cellSize": c} for id, c in cells.items()]}
    tms = tms_from_json(document, "shuffled", "shuffled")
    assert tms.ids == ("fine", "9", "2", "10")
    assert tms.kind == "QTREE"
    assert [m.id for m in level_range(tms, "9", "10")] == ["9", "2", "10"]
    with pytest.raises(GridError, match=r"top level fine .* finer than bottom level 2"):
        level_range(tms, "2", "fine")
    with pytest.raises(GridError, match="no level '3'"):
        level_range(tms, "2", "3")


@pytest.mark.parametrize(
    ("affine", "size", "crs", "tms", "level"),
    [
        ((0.5, 0, 920000, 0, -0.5, 6564000), 2000, "EPSG:2154", "PM", "18"),
        ((100, 0, 600000, 0, -100, 6580000), 200, "IGNF:LAMB93", "PM", "10"),
        ((0.1, 0, 988000, 0, -0.1, 6735000), 1000, "IGNF:LAMB93", "4326", "19"),
        ((1, 0, 573999.5, 0, -1, 6275000.5), 200, "IGNF:LAMB93", "LAMB93_1M_MNT", "8"),
        ((1, 0, 573999.5, 0, -1, 6275000.5), 200, "EPSG:2154", "LAMB93_1M_MNT", "8"),
    ],
)
def test_bottom_of_the_reference_pyramids(affine, size, crs, tms, level):
    tms = load_tms(tms)
    resolution = footprint_resolution(affine, size, size, crs, tms.crs)
    matrix, ratio = bottom_level(tms, resolution)
    assert matrix.id == level
    assert ratio == resolution / matrix.cell_size


def test_bottom_of_a_real_file():
    rasterio = pytest.importorskip("rasterio")
    if not ORTHO.exists():
        pytest.skip("the sample orthophotos are not at ../shared")
    with rasterio.open(ORTHO) as file:
        affine = tuple(file.transform)[:6]
        resolution = footprint_resolution(affine, file.width, file.height, file.crs.to_wkt(), "EPSG:3857")
    assert bottom_level(load_tms("PM"), resolution)[0].id == "18"
    assert resolution == pytest.approx(0.5 / math.cos(math.radians(46.13)), rel=5e-3)


def test_no_level_near_enough():
    with pytest.raises(GridError, match=r"resolution of 3.*0\.8 to 1\.6.*16 \(ratio 3\) and 17 \(ratio 3\).*--bottom"):
        bottom_level(
            tms_from_json(
                {
                    "crs": "EPSG:2154",
                    "tileMatrices": [
                        {
                            "id": id,
                            "cellSize": cell,
                            "pointOfOrigin": [0, 0],
                            "tileWidth": 1,
                            "tileHeight": 1,
                            "matrixWidth": 1,
                            "matrixHeight": 1,
                        }
                        for id, cell in (("16", 1.0001), ("17", 1.0), ("18", 0.1))
                    ],
                },
                "T",
                "T",
            ),
            3.0,
        )
    for resolution in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(GridError, match="not a positive number"):
            bottom_level(load_tms("PM"), resolution)


def test_nearest_to_one_wins_and_ends_are_included():
    tms = load_tms("2154_1m")
    assert bottom_level(tms, 1.6)[0].id == "16"
    assert bottom_level(tms, 1.6) == (tms.level("16"), 0.8)
    assert bottom_level(tms, 1.5)[0].id == "17"
    assert bottom_level(tms, 0.8)[0].id == "17"
    with pytest.raises(GridError, match="no level"):
        bottom_level(tms, 0.79)


@pytest.mark.parametrize(
    ("affine", "width", "height", "source", "target"),
    [
        ((100, 0, 600000, 0, -100, 6580000), 2000, 3000, "EPSG:2154", "EPSG:3857"),
        ((30, 40, 600000, 40, -30, 6580000), 500, 700, "EPSG:2154", "EPSG:4326"),
        ((0.01, 0, -4, 0, -0.01, 51), 900, 1200, "EPSG:4326", "EPSG:2154"),
    ],
)
def test_mean_pixel_area_is_that_of_the_densified_footprint(affine, width, height, source, target):
    a, b, c, d, e, f = affine
    t = np.linspace(0, 1, 2001)[:-1]
    zero, one = np.zeros_like(t), np.ones_like(t)
    cols = np.concatenate([t, one, 1 - t, zero]) * width
    rows = np.concatenate([zero, t, one, 1 - t]) * height
    transform = Transform(source, target)
    x, y = transform.forward(a * cols + b * rows + c, d * cols + e * rows + f)
    area = abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2
    assert mean_pixel_area(affine, width, height, transform) == pytest.approx(area / (width * height), rel=1e-4)


def test_resolution_across_the_antimeridian_and_over_the_poles():
    # A degree is 111319.49 m of Mercator at the equator, wherever the raster lies.
    resolution = footprint_resolution((0.01, 0, 175, 0, -0.01, 0.5), 1000, 100, "EPSG:4326", "EPSG:3857")
    assert resolution == pytest.approx(1113.195, rel=1e-4)
    world = footprint_resolution((0.1, 0, -180, 0, -0.1, 90), 3600, 1800, "EPSG:4326", "EPSG:3857")
    assert 11132 < world < 60000


def test_resolution_outside_the_domain():
    with pytest.raises(GridError, match=r"bounds \(1000000000, .* outside the domain of CRS WGS 84 / Pseudo-Mercator"):
        footprint_resolution((1, 0, 1e9, 0, -1, 1e9), 10, 10, "EPSG:32631", "EPSG:3857")


@pytest.mark.parametrize("shape", [(1,), (2,), (7, 2), (40, 2), (9,)])
def test_median_is_numpys_to_the_bit(shape):
    for seed in range(20):
        values = np.random.default_rng(seed).lognormal(0, 3, shape)
        np.testing.assert_array_equal(_median(values), np.median(values, axis=0))
