"""Acceptance of the relational store on SQLite and PostgreSQL: rows, sparse rasters, mosaics, statistics, catalogs."""

from __future__ import annotations

import json
import re
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared_data import SHARED

from fastpyr.db import ArrayInput, Geodatabase, STRaster
from fastpyr.errors import ConfigError, DatabaseError

GOLDEN = SHARED / "arcsde_golden.json"
CRS = "EPSG:2154"
TYPES = {"U8": "uint8", "S8": "int8", "U16": "uint16", "S16": "int16", "U32": "uint32", "S32": "int32"}
TYPES |= {"F32": "float32", "F64": "float64", "U1": "uint8", "U2": "uint8", "U4": "uint8"}


def raster(shape, kind="U8", seed=1, holes=True):
    """Pixels and mask with a rectangle and some single pixels missing."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(TYPES[kind])
    if dtype.kind == "f":
        pixels = rng.normal(0, 1000, shape).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        top = (1 << int(kind[1:])) - 1 if kind in ("U1", "U2", "U4") else limits.max
        pixels = rng.integers(limits.min, top, shape, dtype, endpoint=True)
    mask = np.full(shape[-2:], 255, np.uint8)
    if holes:
        mask[rng.random(mask.shape) < 0.05] = 0
        mask[: shape[-2] // 3, : shape[-1] // 4] = 0
    return pixels, mask


def placed(pixels, mask=None, x=0, y=0, kind=None):
    """An input whose first pixel is in column x, row y of a grid of 2 m pixels at (1000, 5000)."""
    return ArrayInput(pixels, transform=(2, 0, 1000 + 2 * x, 0, -2, 5000 - 2 * y), crs=CRS, mask=mask, pixel_type=kind)


def rows_by_level(database, table):
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql(f"SELECT rrd_factor, count(*) FROM {table} GROUP BY rrd_factor")
        return dict(found.all())


@pytest.mark.parametrize("skip", [False, True])
def test_rows_of_a_pyramid(database: Geodatabase, skip: bool) -> None:
    pixels, _ = raster((1024, 2048))
    dataset = database.import_raster(placed(pixels), "world", skip_level1=skip, pyramid="esri")
    counts = rows_by_level(database, "sde_blk_1")
    expected = {0: 128, 1: 32, 2: 8, 3: 2} | dict.fromkeys(dataset.levels[3 if skip else 4 :], 1)
    if skip:
        del expected[1]
    assert counts == expected
    assert sum(counts.values()) <= 128 * 4 / 3 + len(dataset.levels)
    assert dataset.check().findings == []


def test_a_sparse_raster_of_a_million_pixels_a_side(database: Geodatabase) -> None:
    spots = [(0, 0), (999_990, 999_990), (400_000, 700_000)]
    dataset = database.import_raster(placed(np.full((5, 5), 7, np.uint8)), "sparse", pyramid="5")
    for x, y in spots[1:]:
        dataset.mosaic(placed(np.full((10, 10), 9, np.uint8), x=x, y=y))
    assert (dataset.width, dataset.height) == (1_000_000, 1_000_000)
    counts = rows_by_level(database, "sde_blk_1")
    assert counts[0] == 3
    assert all(counts[level] <= 3 for level in dataset.levels)
    pixels, mask = dataset.read(window=(399_999, 700_000, 400_001, 700_002))
    assert pixels[..., 0].tolist() == [[0, 9], [0, 9]]
    assert mask.tolist() == [[0, 255], [0, 255]]
    assert dataset.check().findings == []
    found = dataset.statistics()
    assert (found.count, found.nodata_count) == (225, 10**12 - 225)
    tracemalloc.start()
    opened = database.dataset("sparse")
    assert opened.read(window=(999_995, 999_995, 1_000_000, 1_000_000))[0].all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20, "a raster of 10**12 pixels is opened in memory that does not depend on its size"


@pytest.mark.parametrize("kind", TYPES)
def test_every_pixel_type_comes_back(database: Geodatabase, kind: str) -> None:
    pixels, mask = raster((2, 150, 97), kind)
    dataset = database.import_raster(placed(pixels, mask, kind=kind), "typed", block=32, pyramid="2")
    back, masks = dataset.read_bands()
    assert dataset.pixel_type == kind
    assert back.dtype == pixels.dtype
    assert (masks == mask).all()
    assert (back[:, mask != 0] == pixels[:, mask != 0]).all()
    assert (back[:, mask == 0] == 0).all()
    for band in (1, 2):
        found, valid = dataset.statistics(band), pixels[band - 1][mask != 0].astype(np.float64)
        expected = [valid.min(), valid.max(), valid.mean(), valid.std()]
        assert np.allclose([found.minimum, found.maximum, found.mean, found.std], expected, rtol=1e-12, atol=1e-12)
        assert (found.count, found.nodata_count) == (valid.size, (mask == 0).sum())
        assert sum(found.histogram.counts.tolist()) == found.count
    assert dataset.check().findings == []


@pytest.mark.skipif(not GOLDEN.exists(), reason="reference data not here: ../shared/data/arcsde_golden.json")
def test_golden_vectors_in_the_tables(database: Geodatabase) -> None:
    """What GDAL accepts is what the block table holds, uncompressed and inflated; blocks of 5 x 7 are too small."""
    number = 0
    for case in json.loads(GOLDEN.read_text("utf-8"))["cases"]:
        if case["block_width"] < 8:
            continue
        kind = case["type"].upper()
        pixels, mask = np.array(case["pixels"], TYPES[kind]), np.array(case["mask"], np.uint8)
        blocks = {tuple(map(int, key.split(","))): text for key, text in case["blocks_uncompressed_hex"].items()}
        for compression in ("none", "lz77"):
            number += 1
            source = placed(pixels, mask, kind=kind)
            database.import_raster(source, f"d{number}", block=8, compression=compression, pyramid="0")
            unpacked = bytes if compression == "none" else zlib.decompress
            rows = all_rows(database, f"sde_blk_{number}")
            assert {(row, col): unpacked(data).hex() for _, _, row, col, data in rows} == blocks
            with database.engine.connect() as connection:
                types = connection.exec_driver_sql(f"SELECT band_types FROM sde_bnd_{number}").scalar_one()
            assert types == case[f"band_types_{compression}"]
    assert number == 22


def test_quality_of_a_pyramid(database: Geodatabase) -> None:
    pixels, mask = raster((256, 256))
    dataset = database.import_raster(placed(pixels, mask), "photo", compression="jpeg", block=64, quality=90)
    base = [row for row in all_rows(database, "sde_blk_1") if row[1] == 0]
    sizes = []
    for quality in (90, 20):
        dataset.build_pyramid("1", quality=quality)
        rows = all_rows(database, "sde_blk_1")
        assert [row for row in rows if row[1] == 0] == base
        sizes.append(sum(len(row[4]) for row in rows if row[1] == 1))
    assert sizes[1] < sizes[0] / 2
    assert dataset.check().findings == []
    lossless = database.import_raster(placed(pixels, mask), "exact")
    for found, quality, words in ((dataset, 0, "1 to 100"), (dataset, 101, "1 to 100"), (lossless, 50, "lossless")):
        with pytest.raises(ConfigError, match=words):
            found.build_pyramid("0", quality=quality)


@pytest.mark.parametrize("compression", ["none", "lz77", "jpeg", "jp2"])
def test_compressions(database: Geodatabase, compression: str) -> None:
    y, x = np.mgrid[0:200, 0:300]
    pixels, (_, mask) = ((x + y) // 2).astype(np.uint8), raster((200, 300))
    dataset = database.import_raster(placed(pixels, mask), "packed", compression=compression, block=64, quality=90)
    back, valid = dataset.read()
    assert (valid == mask).all()
    worst = np.abs(back[..., 0].astype(int) - pixels)[mask != 0].max()
    assert worst == 0 if compression in ("none", "lz77") else worst < 24
    assert dataset.check().findings == []


def test_merge_with_an_offset_and_its_pyramid(new_url) -> None:
    base, base_mask = raster((300, 280), "S16", 1)
    patch, patch_mask = raster((128, 128), "S16", 2)
    with Geodatabase.create(new_url()) as database:
        dataset = database.import_raster(placed(base, base_mask), "a", block=32, pyramid="4")
        result = dataset.mosaic(placed(patch, patch_mask, x=-40, y=30))
        assert (dataset.width, dataset.height) == (320, 300)
        canvas, known = np.zeros((300, 320), np.int16), np.zeros((300, 320), np.uint8)
        canvas[:, 40:], known[:, 40:] = base, base_mask
        np.copyto(canvas[30:158, :128], patch, where=patch_mask != 0)
        known[30:158, :128] |= patch_mask
        assert_reads(dataset, canvas, known)
        touched = {(row, col) for row in range(5) for col in range(-2, 3)}
        empty = {(y, x) for y, x in touched if not _block(patch_mask, y * 32 - 30, x * 32 + 40).any()}
        touched -= empty
        assert result.base_blocks == len(touched)
        assert result.pyramid_blocks == sum(len({(y >> n, x >> n) for y, x in touched}) for n in (1, 2, 3, 4))
        before = all_rows(database, "sde_blk_1")
        dataset.build_pyramid("4")
        assert all_rows(database, "sde_blk_1") == before
        assert dataset.check().findings == []


def _block(mask, top, left):
    return mask[max(top, 0) : max(top + 32, 0), max(left, 0) : max(left + 32, 0)]


def all_rows(database, table):
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4")
        return [(*row[:4], bytes(row[4])) for row in found]


def assert_reads(dataset, canvas, known):
    pixels, mask = dataset.read()
    assert (mask == known).all()
    assert (pixels[..., 0][known != 0] == canvas[known != 0]).all()


def test_delete_then_merge_restores(database: Geodatabase) -> None:
    pixels, mask = raster((256, 256))
    dataset = database.import_raster(placed(pixels, mask), "whole", block=64)
    before = all_rows(database, "sde_blk_1")
    part, own = pixels[64:200, 30:128].copy(), mask[64:200, 30:128].copy()
    dataset.mosaic(placed(part, own, x=30, y=64), "delete")
    _, now = dataset.read()
    assert not (now[64:200, 30:128] & own).any()
    assert dataset.statistics().count == (now != 0).sum()
    dataset.mosaic(placed(part, own, x=30, y=64))
    assert_reads(dataset, pixels, mask)
    levels = {row[1] for row in before}
    assert {row[1] for row in all_rows(database, "sde_blk_1")} == levels
    assert dataset.check().findings == []


STEP = st.tuples(
    st.integers(-90, 90),
    st.integers(-90, 90),
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from(["merge", "delete"]),
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(STEP, min_size=1, max_size=4),
    method=st.sampled_from(["nearest", "bilinear", "bicubic"]),
    skip=st.booleans(),
    block=st.sampled_from([8, 16, 24]),
)
def test_any_mosaic_is_a_paste(database: Geodatabase, steps, method, skip, block) -> None:
    """Against a NumPy canvas; the pyramid against one built from scratch over the same origin."""
    base, base_mask = raster((40, 50))
    canvas, known = np.zeros((400, 400), np.uint8), np.zeros((400, 400), np.uint8)
    canvas[150:190, 150:200], known[150:190, 150:200] = base, base_mask
    left, top, right, bottom = 0, 0, 50, 40
    if database.lookup("a") is not None:  # of the example before
        database.drop("a")
    options = {"block": block, "interpolation": method, "skip_level1": skip}
    dataset = database.import_raster(placed(base, base_mask), "a", **options)
    for number, (x, y, width, height, mode) in enumerate(steps):
        pixels, mask = raster((height, width), seed=number + 5)
        dataset.mosaic(placed(pixels, mask, x=x, y=y), mode)
        here = np.s_[150 + y : 150 + y + height, 150 + x : 150 + x + width]
        if mode == "merge":
            np.copyto(canvas[here], pixels, where=mask != 0)
            known[here] |= mask
            left, top, right, bottom = min(left, x), min(top, y), max(right, x + width), max(bottom, y + height)
        else:
            known[here] &= ~mask
    inside = np.s_[150 + top : 150 + bottom, 150 + left : 150 + right]
    assert (dataset.width, dataset.height) == (right - left, bottom - top)
    assert_reads(dataset, canvas[inside], known[inside])
    assert dataset.transform == (2, 0, 1000 + 2 * left, 0, -2, 5000 - 2 * top)
    assert database.dataset("a").state == dataset.state
    before = all_rows(database, "sde_blk_1")
    dataset.build_pyramid("auto", method=method, skip_level1=skip)
    assert all_rows(database, "sde_blk_1") == before
    assert dataset.check().findings == []


def test_windows_boxes_levels_and_bands(database: Geodatabase) -> None:
    pixels, mask = raster((3, 200, 300))
    dataset = database.import_raster(placed(pixels, mask), "rgb", block=64)
    back, valid = dataset.read((1010, 4900, 1100, 4990), bands=[3, 1])
    assert (valid == mask[5:50, 5:50]).all()
    shown = np.moveaxis(pixels[[2, 0], 5:50, 5:50], 0, 2) * (valid[..., None] != 0)
    assert (back == shown).all()
    outside, nothing = dataset.read(window=(-5, -5, 3, 2))
    assert outside.shape == (7, 8, 3)
    assert not nothing[:5].any()
    assert dataset.level_for(2) == 0
    assert dataset.level_for(7.9) == 1
    assert dataset.level_for(8) == 2
    coarse, _ = dataset.read(resolution=8.0)
    assert coarse.shape == (50, 75, 3)
    for wrong in ({"level": 17}, {"bands": [4]}, {"window": (0, 0, 0, 5)}, {"resolution": float("nan")}):
        with pytest.raises((ConfigError, DatabaseError)):
            dataset.read(**wrong)
    with pytest.raises(ConfigError, match="bytes"):
        dataset.read(window=(0, 0, 100_000, 100_000))


def test_catalog_search_is_brute_force(database: Geodatabase) -> None:
    """Footprints of very different sizes in the index's own functions, ten thousand of them."""
    from fastpyr.db.engine import read, write
    from fastpyr.db.features import add_features, search_features
    from fastpyr.grid.bounds import BoundingBox

    catalog = database.create_catalog("many", CRS)
    rng = np.random.default_rng(3)
    sides = np.exp(rng.uniform(np.log(20), np.log(20_000), (10_000, 2)))
    corners = rng.uniform((100_000, 6_000_000), (1_200_000, 7_100_000), (10_000, 2))
    boxes = np.hstack([corners, corners + sides])
    with write(database.engine) as connection:
        entry = add_features(
            connection, catalog.entry, [(number, BoundingBox(*box)) for number, box in enumerate(boxes.tolist(), 1)]
        )
    asked = np.hstack(
        [corner := rng.uniform((1e5, 6e6), (1.2e6, 7.1e6), (1000, 2)), corner + rng.uniform(1, 5000, (1000, 2))]
    )
    with read(database.engine) as connection:
        found = [search_features(connection, entry, BoundingBox(*box)) for box in asked.tolist()]
        assert "s1_ix1" in plan_of_search(connection, entry, BoundingBox(*asked[0].tolist()))
    for box, ids in zip(asked, found, strict=True):
        hit = (boxes[:, 0] < box[2]) & (boxes[:, 2] > box[0]) & (boxes[:, 1] < box[3]) & (boxes[:, 3] > box[1])
        assert ids == (np.flatnonzero(hit) + 1).tolist()


def plan_of_search(connection, entry, box):
    """How the database says it finds the candidates."""
    from fastpyr.db import features

    statements = []
    sqlalchemy = pytest.importorskip("sqlalchemy")

    def note(conn, cursor, statement, parameters, context, many):
        statements.append((statement, parameters))

    sqlalchemy.event.listen(connection.engine, "before_cursor_execute", note)
    features.search_features(connection, entry, box)
    sqlalchemy.event.remove(connection.engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    plan = connection.exec_driver_sql(f"{explain} {statements[0][0]}", statements[0][1])
    return "\n".join(str(row) for row in plan)


def test_a_catalog(database: Geodatabase) -> None:
    catalog = database.create_catalog("tiles", CRS)
    inputs = [raster((64, 64), seed=number)[0] for number in range(6)]
    catalog.add_many([(placed(one, x=64 * n), f"tile{n}") for n, one in enumerate(inputs)], block=32)
    assert len(catalog) == 6
    assert [item.name for item in catalog.search((1000 + 130, 4990, 1000 + 260, 4999))] == ["tile1", "tile2"]
    pixels, mask = catalog.read((1000, 4872, 1000 + 6 * 128, 5000), 2)
    assert mask.all()
    assert (pixels[..., 0] == np.hstack(inputs)).all()
    catalog.raster("tile1").mosaic(placed(inputs[0], x=64, y=-32))
    assert catalog.search((1130, 5001, 1131, 5002))[0].name == "tile1"
    catalog.delete("tile0")
    assert len(catalog.items()) == 5
    for item in catalog.items():
        assert catalog.raster(item.id).check().findings == []
    with pytest.raises(DatabaseError, match="CRS"):
        catalog.add(ArrayInput(inputs[0], transform=(1, 0, 0, 0, -1, 0), crs="EPSG:4326"))
    assert len(catalog) == 5
    database.drop("tiles")
    assert database.entries() == []


def test_mosaic_refuses_what_does_not_fit(database: Geodatabase) -> None:
    dataset = database.import_raster(placed(raster((50, 50))[0]), "base")
    pixels = np.zeros((10, 10), np.uint8)
    wrong = {
        "off the grid": ArrayInput(pixels, transform=(2, 0, 1001, 0, -2, 5000), crs=CRS),
        "pixels of": ArrayInput(pixels, transform=(1, 0, 1000, 0, -1, 5000), crs=CRS),
        "CRS": ArrayInput(pixels, transform=(2, 0, 1000, 0, -2, 5000), crs="EPSG:3857"),
        "of U16": placed(pixels.astype(np.uint16)),
        "2 band": placed(np.zeros((2, 10, 10), np.uint8)),
        "too far": placed(pixels, x=2**33),
    }
    for words, source in wrong.items():
        with pytest.raises(DatabaseError, match=words):
            dataset.mosaic(source)
    with pytest.raises(ConfigError, match="merge or delete"):
        dataset.mosaic(placed(pixels), "blend")
    assert dataset.check().findings == []


def test_names(database: Geodatabase) -> None:
    pixels = np.zeros((9, 9), np.uint8)
    made = database.import_raster(placed(pixels), "world_TIF")
    assert made.name == "gdb.RJP.world_TIF"
    assert database.dataset("GDB.rjp.WORLD_tif").name == made.name
    other = database.import_raster(placed(pixels), "gdb.other.world_TIF")
    assert {entry.full_name for entry in database.entries()} == {made.name, other.name}
    with pytest.raises(DatabaseError, match="exists already"):
        database.import_raster(placed(pixels), "WORLD_TIF")
    with pytest.raises(DatabaseError, match="another"):
        database.import_raster(placed(pixels), "elsewhere.RJP.x")
    with pytest.raises(DatabaseError, match="there is no"):
        database.dataset("nothing")
    for bad in ("a b", "a;drop", "", "a.b.c.d", "select", "sde_x", "f12", "é", 'x"y', "x" * 60):
        with pytest.raises(ConfigError):
            database.import_raster(placed(pixels), bad)


def test_statistics_histogram_sums_to_count(database: Geodatabase) -> None:
    pixels, mask = raster((100, 100))
    dataset = database.import_raster(placed(pixels, mask), "counted")
    found = dataset.statistics()
    assert sum(found.histogram.counts) == found.count == (mask != 0).sum()


def test_copy_keeps_every_byte(database: Geodatabase, new_url) -> None:
    pixels, mask = raster((100, 120), "F32")
    database.import_raster(placed(pixels, mask), "one", block=32)
    assert database.copy("one", "two") == "gdb.RJP.two"
    assert all_rows(database, "sde_blk_2") == all_rows(database, "sde_blk_1")
    with Geodatabase.create(new_url()) as target:
        target.import_raster(placed(pixels), "first")
        database.copy("one", "three", target)
        assert all_rows(target, "sde_blk_2") == all_rows(database, "sde_blk_1")
        assert target.dataset("three").check().findings == []
        assert (target.dataset("three").read()[1] == mask).all()


@pytest.mark.parametrize("storage", ["binary", "st_raster"])
def test_what_was_imported_is_described(database: Geodatabase, new_url, storage: str) -> None:
    """In the raster table, or in the object: the source's name, which copies and changes keep."""
    pixels, _ = raster((20, 30))
    source = ArrayInput(pixels, transform=(1, 0, 0, 0, -1, 0), name="folder/world\t" + "x" * 99 + ".tif")
    dataset = database.import_raster(source, "a", block=16, storage=storage)
    expected = ("world" + "x" * 99)[:65]
    assert dataset.describe()["description"] == expected
    dataset.mosaic(source)
    with Geodatabase.create(new_url(), database="other") as other:
        database.copy("a", "b", other)
        assert other.dataset("b").describe()["description"] == expected
    if storage == "binary":
        with database.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT description FROM sde_ras_1").scalar_one() == expected


def test_copied_value_tables(database: Geodatabase, new_url) -> None:
    """Within a database, where names of constraints are taken, and into another one."""
    from fastpyr.db.stats import build_vat, read_vat

    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) % 5
    dataset = database.import_raster(ArrayInput(pixels, transform=(1, 0, 0, 0, -1, 0)), "a", block=16)
    build_vat(dataset, {"label": {n: f"class {n}" for n in range(5)}, "weight": {n: n / 4 for n in range(5)}})
    rows = read_vat(dataset)
    assert len(rows) == 5
    database.copy("a", "b")
    assert read_vat(database.dataset("b")) == rows
    with Geodatabase.create(new_url(), database="other") as other:
        database.copy("a", "c", other)
        assert read_vat(other.dataset("c")) == rows


def test_st_raster_has_three_tables(database: Geodatabase) -> None:
    pixels, mask = raster((100, 120))
    dataset = database.import_raster(placed(pixels, mask), "object", storage="st_raster", block=32)
    assert [table.name for table in dataset.state.tables.all] == ["object", "sde_blk_1", "sde_aux_1"]
    dataset.mosaic(placed(pixels, mask, x=-7, y=-9))
    assert (dataset.width, dataset.height) == (127, 109)
    assert database.dataset("object").state == dataset.state
    assert dataset.check().findings == []
    functions = STRaster(dataset)
    assert functions.buildPyramid("level 2, skipLevel1, bicubic") == (2,)
    assert (functions.getPyramidLevel(), functions.getCompressionType()) == (2, "LZ77")
    assert functions.getPixelData("level=2")[1].shape == (28, 32)
    with pytest.raises(ConfigError, match="option"):
        functions.buildPyramid("level 2, fast")
    functions.deletePyramid()
    assert database.dataset("object").levels == (0,)
    database.drop("object")


def test_vat_and_colormap(database: Geodatabase) -> None:
    from fastpyr.db import ColorMap
    from fastpyr.db.stats import build_vat, read_vat, set_colormap

    pixels, mask = raster((60, 70), "U4")
    dataset = database.import_raster(placed(pixels, mask, kind="U4"), "classes", block=16)
    build_vat(dataset, {"label": {3: "three", 4: "four"}, "weight": {3: 1.5}})
    rows = read_vat(dataset)
    values, counts = np.unique(pixels[mask != 0], return_counts=True)
    assert [(row["value"], row["count"]) for row in rows] == list(zip(values.tolist(), counts.tolist(), strict=True))
    assert [row["label"] for row in rows if row["value"] in (3, 5)] == ["three", None]
    colours = np.arange(48, dtype=np.uint8).reshape(16, 3)
    set_colormap(dataset, ColorMap(colours))
    assert (database.dataset("classes").colormap.entries == colours).all()
    dataset.mosaic(placed(pixels, mask, kind="U4"))
    assert dataset.colormap is None, "a mosaic drops the colour map"
    assert dataset.check().findings == []


def test_check_finds_damage(database: Geodatabase) -> None:
    pixels, mask = raster((128, 128))
    damage = {
        "damaged|deflate": "UPDATE sde_blk_{n} SET block_data = {junk} WHERE rrd_factor = 0 AND row_nbr = 1",
        "is missing": "DELETE FROM sde_blk_{n} WHERE rrd_factor = 1 AND row_nbr = 0 AND col_nbr = 1",
        "presence bitmap": "UPDATE sde_blk_{n} SET row_nbr = 90 WHERE rrd_factor = 0 AND row_nbr = 3",
        "extent": "UPDATE sde_bnd_{n} SET emaxx = emaxx + 100",
        "footprint": "UPDATE f{n} SET emaxy = emaxy + 100",
        "auxiliary type 1": "DELETE FROM sde_aux_{n} WHERE type = 1",
    }
    junk = "x'00ff'" if database.engine.dialect.name == "sqlite" else "'\\x00ff'"
    for number, (words, statement) in enumerate(damage.items(), 1):
        dataset = database.import_raster(placed(pixels, mask), f"d{number}", block=32)
        with database.engine.begin() as connection:
            connection.exec_driver_sql(statement.format(n=number, junk=junk))
        report = dataset.check()
        assert any(re.search(words, line) for line in report.findings), (words, report.findings)
