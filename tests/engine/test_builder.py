"""The engine against a slow NumPy pyramid: every tile and mask of every level, for random footprints and shapes."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyramid_oracle import Canvas

import fastpyr
from fastpyr.store import open_location

LEVEL = "18"


def aligned_source(matrix, px, py, pixels, mask=None, name="array"):
    cell = matrix.cell_size
    transform = (cell, 0.0, matrix.origin_x + px * cell, 0.0, -cell, matrix.origin_y - py * cell)
    return fastpyr.ArraySource(pixels, transform=transform, crs="EPSG:3857", mask=mask, name=name)


def expected_levels(px, py, pixels, mask, nodata, count):
    left, top = px % 256, py % 256
    h, w = pixels.shape[:2]
    canvas = np.empty((h + top + -(h + top) % 256, w + left + -(w + left) % 256, pixels.shape[2]), pixels.dtype)
    canvas[...] = nodata
    valid = np.zeros(canvas.shape[:2], np.uint8)
    inside = np.full((h, w), 255, np.uint8) if mask is None else mask
    canvas[top : top + h, left : left + w] = np.where(inside[..., None] != 0, pixels, np.asarray(nodata, pixels.dtype))
    valid[top : top + h, left : left + w] = inside
    levels = [Canvas(px - left, py - top, canvas, valid)]
    for _ in range(count - 1):
        levels.append(levels[-1].parent(nodata))
    return levels


def assert_equals(pyramid, levels, masked):
    assert len(pyramid.levels) == len(levels)
    for level, canvas in zip(pyramid.levels, levels, strict=True):
        limits = level.limits
        for row in range(limits.min_row, limits.max_row + 1):
            for column in range(limits.min_col, limits.max_col + 1):
                pixels, mask = canvas.tile(column, row)
                found = pyramid.tile(level.id, column, row)
                where = f"level {level.id} tile {column} {row}"
                if found is None:
                    assert pixels is None or not mask.any(), where
                    continue
                np.testing.assert_array_equal(found, pixels, where)
                if masked:
                    np.testing.assert_array_equal(pyramid.mask(level.id, column, row), mask, where)


@st.composite
def jobs(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    channels = draw(st.sampled_from([1, 3, 4]))
    height, width = draw(st.integers(1, 900)), draw(st.integers(1, 900))
    dtype = "float32" if channels == 1 and draw(st.booleans()) else "uint8"
    if dtype == "uint8":
        pixels = rng.integers(0, 256, (height, width, channels), np.uint8)
    else:
        pixels = rng.normal(100, 50, (height, width, channels)).astype(np.float32)
    mask = None
    if draw(st.booleans()):
        coarse = rng.random((height // 40 + 1, width // 40 + 1)) < 0.6
        mask = (np.kron(coarse, np.ones((40, 40)))[:height, :width] * 255).astype(np.uint8)
        if not mask.any():
            mask[0, 0] = 255
    slab = draw(st.sampled_from([(2, 2), (3, 2), (4, 4), (1, 1), (16, 16)]))
    x, y = 34_646_000 + draw(st.integers(0, 2000)), 23_834_000 + draw(st.integers(0, 2000))
    return x, y, pixels, mask, slab, draw(st.booleans())


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(jobs())
def test_every_tile_equals_the_slow_pyramid(job):
    px, py, pixels, mask, (width, height), masked = job
    matrix = fastpyr.load_tms("PM").level(LEVEL)
    is_float = pixels.dtype == np.float32
    pyramid = fastpyr.build(
        aligned_source(matrix, px, py, pixels, mask),
        f"mem://oracle-{np.random.default_rng().integers(1 << 60)}/X.json",
        tms="PM",
        bottom=LEVEL,
        top="13",
        width=width,
        height=height,
        compression="zip",
        interpolation="nn",
        mask=masked,
        parallelization=2,
    )
    nodata = pyramid.nodata
    levels = expected_levels(px, py, pixels, mask, nodata, 6)
    if is_float:
        # Means of float32 sums in the engine, of float64 sums here.
        for level, canvas in zip(pyramid.levels, levels, strict=True):
            limits = level.limits
            for row in range(limits.min_row, limits.max_row + 1):
                for column in range(limits.min_col, limits.max_col + 1):
                    found = pyramid.tile(level.id, column, row)
                    if found is not None:
                        np.testing.assert_allclose(found, canvas.tile(column, row)[0], rtol=2e-6, atol=1e-3)
    else:
        assert_equals(pyramid, levels, masked)


def test_limits_are_tight_and_slabs_without_data_are_absent():
    matrix = fastpyr.load_tms("PM").level(LEVEL)
    px, py = 135340 * 256, 93110 * 256
    # Exactly 3 x 2 tiles: no slab beyond, although the edges coincide with tile edges.
    pixels = np.full((512, 768, 3), 7, np.uint8)
    pyramid = fastpyr.build(
        aligned_source(matrix, px, py, pixels), "mem://limits/X.json", tms="PM", bottom=LEVEL, width=1, height=1,
        compression="png", interpolation="bicubic", overwrite=True,
    )  # fmt: skip
    bottom = pyramid.levels[0]
    assert tuple(bottom.limits) == (93110, 93111, 135340, 135342)
    store, _ = open_location("mem://limits/X.json")
    assert len(list(store.list(f"X/DATA/{LEVEL}"))) == 6
    assert [level.id for level in pyramid.levels] == [str(n) for n in range(18, -1, -1)]
    for fine, coarse in zip(pyramid.levels, pyramid.levels[1:], strict=False):
        assert tuple(coarse.limits) == tuple(n // 2 for n in fine.limits)


def test_a_hole_larger_than_a_slab_leaves_no_slab():
    matrix = fastpyr.load_tms("PM").level(LEVEL)
    px, py = 135340 * 256, 93110 * 256
    pixels = np.full((256, 256 * 6, 3), 9, np.uint8)
    mask = np.full(pixels.shape[:2], 255, np.uint8)
    mask[:, 256 * 2 : 256 * 4] = 0
    pyramid = fastpyr.build(
        aligned_source(matrix, px, py, pixels, mask), "mem://hole/X.json", tms="PM", bottom=LEVEL, top="17",
        width=2, height=2, compression="png", mask=True, overwrite=True,
    )  # fmt: skip
    store, _ = open_location("mem://hole/X.json")
    assert len(list(store.list(f"X/DATA/{LEVEL}"))) == 2
    assert len(list(store.list(f"X/MASK/{LEVEL}"))) == 2
    assert pyramid.tile(LEVEL, 135342, 93110) is None
    assert pyramid.verify().ok


def test_later_sources_win_where_they_have_data():
    matrix = fastpyr.load_tms("PM").level(LEVEL)
    px, py = 135340 * 256, 93110 * 256
    first = np.full((256, 256, 3), 10, np.uint8)
    second = np.full((256, 256, 3), 20, np.uint8)
    mask = np.zeros((256, 256), np.uint8)
    mask[:100] = 255
    pyramid = fastpyr.build(
        [aligned_source(matrix, px, py, first, name="a"), aligned_source(matrix, px, py, second, mask, name="b")],
        "mem://order/X.json", tms="PM", bottom=LEVEL, top=LEVEL, compression="png", overwrite=True,
    )  # fmt: skip
    tile = pyramid.tile(LEVEL, 135340, 93110)
    assert (tile[:100] == 20).all()
    assert (tile[100:] == 10).all()


def test_sources_of_different_grids_are_painted_in_order():
    matrix = fastpyr.load_tms("PM").level(LEVEL)
    cell = matrix.cell_size
    px, py = 135340 * 256, 93110 * 256
    left, top = matrix.origin_x + px * cell, matrix.origin_y - py * cell
    below = aligned_source(matrix, px, py, np.full((512, 512, 3), 10, np.uint8), name="below")
    coarse = fastpyr.ArraySource(
        np.full((64, 64, 3), 200, np.uint8),
        transform=(4 * cell, 0.0, left + 128 * cell, 0.0, -4 * cell, top - 128 * cell),
        crs="EPSG:3857",
        name="coarse",
    )
    pyramid = fastpyr.build(
        [below, coarse], "mem://grids/X.json", tms="PM", bottom=LEVEL, top="17", compression="png", overwrite=True
    )
    pixels, mask = pyramid.read(LEVEL, None)
    assert mask.all()
    expected = np.full((512, 512), 10)
    expected[128:384, 128:384] = 200
    np.testing.assert_array_equal(pixels[..., 0], expected)


@pytest.mark.parametrize("tms", ["LAMB93_1M_MNT", "LAMB93_10cm", "LAMB93", "2154_IGNF"])
def test_all_kinds_of_grids_give_whole_pyramids(tms):
    """Quadtree, nearest-neighbour graph and irregular sets: every level is there and verifies."""
    grid = fastpyr.load_tms(tms)
    rng = np.random.default_rng(5)
    pixels = rng.normal(500, 30, (700, 900, 1)).astype(np.float32)
    bottom = min(grid.matrices, key=lambda m: abs(m.cell_size - 1)).id
    source = fastpyr.ArraySource(pixels, transform=(1.0, 0, 900_000.0, 0, -1.0, 6_560_000.0), crs="EPSG:2154")
    pyramid = fastpyr.build(
        source, f"mem://kind-{tms}/X.json", tms=tms, bottom=bottom, interpolation="linear", width=4, height=4,
        mask=True, overwrite=True,
    )  # fmt: skip
    wanted = list(grid.ids[grid.ids.index(bottom) :])
    found = [level.id for level in pyramid.levels]
    if grid.kind == "IRREGULAR":
        # Levels made from the sources end where no pixel centre falls on the 900 x 700 m of data.
        certain = [matrix.id for matrix in grid.matrices if matrix.id in wanted and matrix.cell_size <= 350]
        assert found[: len(certain)] == certain
        assert found == wanted[: len(found)]
    else:
        assert found == wanted
    report = pyramid.verify()
    assert report.ok, report.findings[:3]


def test_groups_of_sources_make_their_own_levels(tmp_path):
    """A BE4 configuration with a fine and a coarse delivery: each makes its range of levels."""
    import json

    import rasterio
    from rasterio.transform import from_origin

    grid = fastpyr.load_tms("PM")
    for name, level, value in (("fine", "18", 50), ("coarse", "16", 200)):
        matrix = grid.level(level)
        cell = matrix.cell_size
        divisor = 1 if level == "18" else 4
        corner = (matrix.origin_x + 135340 * 256 // divisor * cell, matrix.origin_y - 93108 * 256 // divisor * cell)
        (tmp_path / name).mkdir()
        with rasterio.open(
            tmp_path / name / "a.tif", "w", driver="GTiff", width=300, height=300, count=3, dtype="uint8",
            crs="EPSG:3857", transform=from_origin(*corner, cell, cell),
        ) as out:  # fmt: skip
            out.write(np.full((3, 300, 300), value, np.uint8))
    conf = {
        "datasources": [
            {"bottom": "16", "top": "14", "source": {"type": "IMAGES", "directory": str(tmp_path / "coarse")}},
            {"source": {"type": "IMAGES", "directory": str(tmp_path / "fine")}},
        ],
        "pyramid": {
            "name": "X", "tms": "PM", "storage": {"type": "FILE", "root": str(tmp_path / "out")},
            "compression": "png", "slab_size": [4, 4],
        },
    }  # fmt: skip
    path = tmp_path / "conf.json"
    path.write_text(json.dumps(conf))
    pyramid = fastpyr.build(None, config=path)
    assert [level.id for level in pyramid.levels] == ["18", "17", "16", "15", "14"]
    found = {level.id: set(np.unique(pyramid.read(level.id, None)[0])) for level in pyramid.levels}
    assert found == {"18": {50, 255}, "17": {50, 255}, "16": {200, 255}, "15": {200, 255}, "14": {200, 255}}


def test_levels_of_different_tile_sizes_are_refused(tmp_path):
    import json

    document = fastpyr.load_tms("PM").to_json()
    document["tileMatrices"][-4]["tileWidth"] = 512
    path = tmp_path / "ODD.json"
    path.write_text(json.dumps(document))
    matrix = fastpyr.load_tms("PM").level(LEVEL)
    source = aligned_source(matrix, 135340 * 256, 93110 * 256, np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(fastpyr.GridError, match="one size"):
        fastpyr.build(source, "mem://odd/X.json", tms=path, bottom="18")


def test_a_grid_of_one_s_own_by_path(tmp_path):
    import json

    document = fastpyr.load_tms("PM").to_json()
    path = tmp_path / "MINE.json"
    path.write_text(json.dumps(document))
    matrix = fastpyr.load_tms("PM").level(LEVEL)
    source = aligned_source(matrix, 135340 * 256, 93110 * 256, np.full((10, 10, 3), 3, np.uint8))
    pyramid = fastpyr.build(source, tmp_path / "X.json", tms=path, bottom="18", top="17", compression="png")
    assert pyramid.tile_matrix_set.name == "MINE"
    assert pyramid.verify().ok
    assert json.loads((tmp_path / "X.json").read_text())["tile_matrix_set"] == "MINE"
