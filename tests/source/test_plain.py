"""Plain GeoTIFFs described without GDAL: never otherwise than with it, and never what GDAL refuses."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.shutil import copy as gdal_copy
from rasterio.transform import Affine, GroundControlPoint
from shared_data import shared

from fastpyr.errors import SourceError
from fastpyr.source import open_source
from fastpyr.source.gdal import _open_with_gdal
from fastpyr.source.plain import PlainTiff, describe_plain

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

DEFLATE = {"compress": "deflate"}
TILED = {"tiled": True, "blockxsize": 64, "blockysize": 48, "compress": "deflate"}
TURNED = Affine.translation(600000, 6600000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.25)


def compare(path: Path, srs: str | None = None) -> PlainTiff | None:
    """What is described without GDAL, after comparing it with what GDAL says."""
    found = describe_plain(path, srs)
    if found is None:
        return None
    wanted = _open_with_gdal(path, srs)
    # NaN as nodata differs from itself
    assert repr(found.info) == repr(wanted.info)
    assert repr(found.bands) == repr(wanted._bands)
    assert found.layout == wanted.layout
    assert found.blocks == wanted._blocks
    assert wanted._mask_file is None
    wanted.close()
    return found


def test_all_reference_files():
    files = sorted(path for path in shared(".").rglob("*.tif*") if path.suffix in (".tif", ".tiff"))
    assert len(files) > 20
    described = [path for path in files if compare(path, "EPSG:2154")]
    assert described


SYSTEMS = [2154, 3857, 4326, 4171, 2972, 32740, 3035, 25830, 27572, 5698, 4979, 2225, 4807, 9311, 32600]


@pytest.mark.parametrize("code", SYSTEMS)
@pytest.mark.parametrize("point", [False, True], ids=["area", "point"])
@pytest.mark.parametrize("turned", [False, True], ids=["straight", "turned"])
def test_systems_and_places(write, picture, code, point, turned):
    """Flat systems in metres or degrees are taken; heights, feet, grades and what GDAL reads otherwise are not."""
    transform = TURNED if turned else Affine(0.3, 0, 3.7, 0, -0.1, 41.3)
    path = write("a.tif", picture(20, 30), crs=f"EPSG:{code}", transform=transform, **DEFLATE)
    if point:
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(AREA_OR_POINT="Point")
        Path(f"{path}.aux.xml").unlink(missing_ok=True)
    found = compare(path)
    assert (found is not None) == (code not in (5698, 4979, 2225, 4807, 9311, 32600, 27572))


@pytest.mark.parametrize(
    "options", [{}, {"bigtiff": "yes"}, {"endianness": "big"}, {"photometric": "minisblack"}], ids=str
)
@pytest.mark.parametrize(
    "layout", [DEFLATE, TILED, {"compress": "zstd", "predictor": 2}, {}, {"blockysize": 3}], ids=str
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_bands_and_layouts(write, picture, channels, dtype, layout, options):
    path = write("a.tif", picture(100, 133, channels, dtype), **options, **layout)
    found = compare(path)
    if not options and layout and channels == (3 if dtype == "uint8" else 1):
        assert found is not None


@pytest.mark.parametrize("height", [1, 5, 1999, 2001, 5000])
@pytest.mark.parametrize("rows", [1, 2, 1000, 6000])
@pytest.mark.parametrize("width", [3, 30000])
def test_raw_strips_of_any_height(tmp_path, height, rows, width):
    path = tmp_path / "a.tif"
    place = [(33550, 12, 3, (1.0, 1.0, 0.0)), (33922, 12, 6, (0.0, 0.0, 0.0, 600000.0, 6600000.0, 0.0))]
    pixels = np.broadcast_to(np.uint8(0), (height, width))
    tifffile.imwrite(path, pixels, rowsperstrip=rows, metadata=None, extratags=[(*tag, True) for tag in place])
    found = compare(path, "EPSG:2154")
    assert (found is not None) == (rows < height or height == 1)


@pytest.mark.parametrize("nodata", [0, 255, 256, -1, -9999, 1.5, 1e30, -3.4028234663852886e38, "nan"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_nodata(write, picture, dtype, nodata):
    path = write("a.tif", picture(20, 30, 1, dtype), **DEFLATE)
    text = str(nodata).encode()
    with tifffile.TiffFile(path, mode="r+b") as file:
        tags = [
            (tag.code, int(tag.dtype), tag.count, tag.value, True) for tag in file.pages[0].tags if tag.code > 33000
        ]
    pixels = picture(20, 30, 1, dtype)[:, :, 0]
    tags.append((42113, 2, len(text) + 1, text, True))
    tifffile.imwrite(path, pixels, compression="zlib", metadata=None, extratags=tags)
    found = compare(path)
    if nodata in (0, 255, -9999, "nan"):
        assert found is not None
        assert found.info.has_mask == (dtype == "float32" or nodata in (0, 255))


def test_overviews_are_passed_over_and_masks_are_not(write, picture):
    path = write("a.tif", picture(300, 300), **TILED)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4])
    assert compare(path) is not None
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.zeros((300, 300), np.uint8))
    assert describe_plain(path, None) is None
    assert open_source(path).info.has_mask


def colour_roles(path):
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]


def statistics(path):
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(1, STATISTICS_MEAN="3")


def scale(path):
    with rasterio.open(path, "r+") as dataset:
        dataset.scales = (2.0, 2.0, 2.0)


def pam(path):
    Path(f"{path}.aux.xml").write_text("<PAMDataset><SRS>EPSG:3857</SRS></PAMDataset>")


def own_mask(path):
    shutil.copy(path, f"{path}.msk")


def sibling_mask(path):
    shutil.copy(path, path.with_suffix(".MSK"))


def grow(path):
    with open(path, "ab") as file:
        file.write(b"more")


OTHERWISE = (colour_roles, scale, pam, own_mask, sibling_mask)


@pytest.mark.parametrize("change", [*OTHERWISE, statistics, grow])
def test_what_else_there_may_be(write, picture, change):
    path = write("a.tif", picture(60, 70), **TILED)
    assert compare(path) is not None
    change(path)
    assert (compare(path) is None) == (change in OTHERWISE)


def test_world_files_and_tables_beside_a_geotiff_say_nothing_new(write, picture):
    path = write("a.tif", picture(60, 70), **TILED)
    path.with_suffix(".tfw").write_text("1\n0\n0\n-1\n3\n4\n")
    path.with_suffix(".tab").write_text('!table\n!version 300\nDefinition Table\n  File "a.tif"\n  Type "RASTER"\n')
    path.with_suffix(".xml").write_text("<metadata/>")
    assert compare(path) is not None


def test_left_to_gdal(write, picture, tmp_path):
    points = [GroundControlPoint(r, c, x=c, y=-r) for r, c in ((0, 0), (0, 5), (5, 0), (5, 5))]
    for name, facts in {
        "gcps": {"transform": None, "gcps": points},
        "lzw": {"compress": "lzw"},
        "jpeg": {"compress": "jpeg"},
        "own": {"crs": "+proj=lcc +lat_1=45 +lat_2=47 +lat_0=46 +lon_0=2 +ellps=GRS80 +units=m"},
        "nowhere": {"transform": None},
        "no-crs": {"crs": None},
    }.items():
        assert compare(write(f"{name}.tif", picture(20, 30), **{**DEFLATE, **facts})) is None
    assert compare(tmp_path / "no-crs.tif", "EPSG:2154") is not None
    assert compare(tmp_path / "no-crs.tif", "EPSG:nonsense") is None
    index = np.zeros((20, 30, 1), np.uint8)
    assert compare(write("palette.tif", index, colormap={0: (1, 2, 3)}, **DEFLATE)) is None
    gdal_copy(tmp_path / "no-crs.tif", tmp_path / "a.vrt", driver="VRT")
    assert compare(tmp_path / "a.vrt", "EPSG:2154") is None


@pytest.mark.parametrize("variable", ["GTIFF_POINT_GEO_IGNORE", "GDAL_GEOREF_SOURCES", "FASTPYR_DISABLE_DIRECT_TIFF"])
def test_told_to_look_otherwise(write, picture, monkeypatch, variable):
    path = write("a.tif", picture(20, 30), **DEFLATE)
    with rasterio.Env():
        assert describe_plain(path, None) is None
    assert describe_plain(path, None) is not None
    monkeypatch.setenv(variable, "1")
    assert describe_plain(path, None) is None


CITATIONS = ["RGF93 v1 / Lambert-93", "", "anything", "WGS 84", "EPSG:3857", "Lambert|", "ESRI PE String = PROJCS[]"]
CITATIONS += ["IMAGINE GeoTIFF Support\nProjection = LCC", "GCS Name = X|Datum = Y|", "unnamed", "unknown", "NAD83"]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_keys(tmp_path_factory, data):
    """Keys as other writers put them together, contradictions included."""
    texts, doubles, keys = "", [6378137.0, 298.257222101, 298.257223563, 1.0], {}
    integers = {
        1024: [1, 1, 1, 2, 3, 32767],
        1025: [1, 2, 3],
        2048: [4326, 4171, 4326, 4258],
        2050: [6326, 6171],
        2054: [9102, 9102, 9101, 9105],
        2056: [7019],
        3072: [2154, 2154, 3857, 32631, 4326, 32767, 27572, 102100],
        3074: [18085],
        3075: [8],
        3076: [9001, 9001, 9003],
        4096: [5720],
    }
    usual = [1024, 1025, 1026, 2049, 2054, 3072, 3073, 3076]
    rare = [2048, 2050, 2056, 2057, 2059, 3074, 3075, 4096]
    chosen = set(data.draw(st.lists(st.sampled_from(usual), min_size=3))) | {1024}
    chosen |= set(data.draw(st.lists(st.sampled_from(rare), max_size=2)))
    chosen.add(data.draw(st.sampled_from((3072, 3072, 2048))))
    for key in chosen:
        if key in (1026, 2049, 3073):
            text = data.draw(st.sampled_from(CITATIONS)) + "|"
            keys[key] = (34737, len(text), len(texts))
            texts += text
        elif key in (2057, 2059):
            keys[key] = (34736, 1, data.draw(st.integers(0, 3)))
        else:
            keys[key] = (0, 1, data.draw(st.sampled_from(integers[key])) & 0xFFFF)
    numbers = [1, 1, data.draw(st.sampled_from((0, 0, 1))), len(keys)]
    for key in sorted(keys):
        numbers += (key, *keys[key])
    tags = [
        (33550, 12, 3, (0.5, 0.5, 0.0), True),
        (33922, 12, 6, (0.0, 0.0, 0.0, 2.5, 45.0, 0.0), True),
        (34735, 3, len(numbers), numbers, True),
        (34736, 12, len(doubles), doubles, True),
        (34737, 2, len(texts) + 1, texts, True),
    ]
    path = tmp_path_factory.getbasetemp() / "keys.tif"
    tifffile.imwrite(path, np.zeros((4, 4), np.uint8), compression="zlib", metadata=None, extratags=tags)
    compare(path, data.draw(st.sampled_from((None, "EPSG:2154"))))


def geotiff(path: Path, big: bool) -> bytearray:
    """A small file whose directory comes first."""
    numbers = (1, 1, 0, 4, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 2154, 3076, 0, 1, 9001)
    tags = [
        (33550, 12, 3, (0.5, 0.5, 0.0), True),
        (33922, 12, 6, (0.0, 0.0, 0.0, 600000.0, 6600000.0, 0.0), True),
        (34735, 3, len(numbers), numbers, True),
        (42113, 2, 4, "255", True),
    ]
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    tifffile.imwrite(
        path, pixels, bigtiff=big, rowsperstrip=8, compression="zlib", photometric="rgb", metadata=None, extratags=tags
    )
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
def test_hostile_headers(tmp_path, big, request):
    """Any byte of the directory changed: GDAL sees the same, or the file is left to it."""
    path = tmp_path / "a.tif"
    original = geotiff(path, big)
    assert compare(path) is not None
    draw = random.Random(7 + big)
    limit = 560 if big else 420
    for _ in range(300):
        header = bytearray(original)
        for _ in range(draw.randint(1, 2)):
            header[draw.randrange(limit)] = draw.choice((0, 1, 2, 3, 4, 8, 12, 16, 255, draw.randrange(256)))
        path.write_bytes(header)
        try:
            compare(path)
        except SourceError as error:
            pytest.fail(f"GDAL refuses what was taken: {error}")


@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
def test_cut_files_are_left_to_gdal(tmp_path, big):
    path = tmp_path / "a.tif"
    original = geotiff(path, big)
    for size in range(0, len(original), 7):
        path.write_bytes(original[:size])
        assert describe_plain(path, None) is None
        with pytest.raises(SourceError, match=r"a\.tif"):
            open_source(path)


def test_directories_that_follow_in_a_circle(tmp_path):
    path = tmp_path / "a.tif"
    data = geotiff(path, big=False)
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    path.write_bytes(data)
    assert describe_plain(path, None) is None


def test_no_gdal_is_loaded(tmp_path):
    path = tmp_path / "a.tif"
    geotiff(path, big=False)
    code = (
        "import sys; from fastpyr.source import open_source\n"
        f"source = open_source({str(path)!r}); source.read(0, 0, 30, 20); source.close()\n"
        "assert 'rasterio' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
