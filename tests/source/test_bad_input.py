"""Everything unusable is refused in one line that names the file, and nothing else is printed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.shutil import copy as gdal_copy
from rasterio.transform import Affine

from fastpyr.errors import SourceError
from fastpyr.source import open_source

WORLD = "0.5\n0\n0\n-0.5\n600000.25\n6599999.75\n"


def attempt(path, srs, read):
    source = open_source(path, srs)
    step = {"bands": 256, "whole": source.info.height}.get(read)
    for y in range(0, source.info.height if step else 0, step or 1):
        source.read(0, y, source.info.width, min(y + step, source.info.height))


def refused(path, match, srs=None, read=None):
    """Opening (and reading, all at once or in bands) must fail in one line with the file's name."""
    with pytest.raises(SourceError, match=match) as caught:
        attempt(path, srs, read)
    text = str(caught.value)
    assert Path(path).name in text
    assert "\n" not in text
    return text


def test_missing_folder_or_not_a_raster(tmp_path):
    refused(tmp_path / "nothing.tif", "no such file")
    refused(tmp_path, "is not a file")
    (tmp_path / "a.tif").write_bytes(b"this is no raster")
    refused(tmp_path / "a.tif", "not a raster that GDAL can open")
    (tmp_path / "empty.tif").write_bytes(b"")
    refused(tmp_path / "empty.tif", "not a raster")


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "uint32", "float64", "complex64", "int8"])
def test_other_depths(write, dtype):
    refused(write("deep.tif", np.zeros((4, 5, 1), dtype)), rf"samples are {dtype}.*convert")


def test_five_bands_and_few_bits(write):
    refused(write("a.tif", np.zeros((4, 5, 5), np.uint8)), "5 bands")
    refused(write("b.tif", np.zeros((4, 5, 1), np.uint8), nbits=4), "4-bit samples")


def test_no_crs_and_unknown_crs(write, picture):
    path = write("a.tif", picture(5, 5), crs=None)
    refused(path, "carries no CRS.*--srs")
    refused(path, "EPSG:999999", srs="EPSG:999999")
    assert open_source(path, srs="epsg:2154").info.crs == "epsg:2154"
    local = write("b.tif", picture(5, 5), crs='LOCAL_CS["somewhere",UNIT["metre",1]]')
    refused(local, "unusable CRS|no CRS")
    assert open_source(local, srs="EPSG:2154").info.crs == "EPSG:2154"


def test_no_georeferencing(tmp_path, picture, write, recwarn):
    Image.fromarray(picture(5, 5)).save(tmp_path / "a.png")
    refused(tmp_path / "a.png", "no georeferencing.*world file", srs="EPSG:2154")
    points = [GroundControlPoint(r, c, x=c, y=-r) for r, c in ((0, 0), (0, 5), (5, 0), (5, 5))]
    path = write("g.tif", picture(5, 5), transform=None, gcps=points)
    recwarn.clear()
    refused(path, "control points", srs="EPSG:2154")
    assert not recwarn.list


@pytest.mark.parametrize("matrix", [(1, 2, 0, 2, 4, 0), (float("nan"), 0, 0, 0, -1, 0), (0, 0, 5, 0, 0, 5)])
def test_degenerate_georeferencing(tmp_path, picture, matrix):
    Image.fromarray(picture(5, 5)).save(tmp_path / "a.png")
    a, b, c, d, e, f = matrix
    text = f"<GeoTransform>{c}, {a}, {b}, {f}, {d}, {e}</GeoTransform>"
    (tmp_path / "a.png.aux.xml").write_text(f"<PAMDataset><SRS>EPSG:2154</SRS>{text}</PAMDataset>")
    refused(tmp_path / "a.png", "georeferencing")


def test_colour_models(write, picture, tmp_path):
    path = write("cmyk.tif", picture(20, 20, 4), photometric="cmyk")
    gdal_copy(path, tmp_path / "v.vrt", driver="VRT")
    text = (tmp_path / "v.vrt").read_text()
    for role in ("Red", "Green", "Blue", "Alpha"):
        text = text.replace(f"<ColorInterp>{role}<", "<ColorInterp>Cyan<")
    (tmp_path / "v.vrt").write_text(text)
    refused(tmp_path / "v.vrt", "CMYK")


def test_mask_files(write, picture, tmp_path):
    path = write("a.tif", picture(20, 30))
    write("a.msk", np.full((20, 31, 1), 255, np.uint8))
    assert "a.msk" in refused(path, "mask is 31 x 20.*30 x 20")
    (tmp_path / "a.msk").write_bytes(b"nonsense")
    with pytest.raises(SourceError, match=r"a\.msk: not a mask"):
        open_source(path)


def test_damaged_mask_file_is_named(write, picture, tmp_path):
    path = write("a.tif", picture(64, 64))
    mask = write("a.msk", np.random.default_rng(0).integers(0, 255, (64, 64, 1)).astype(np.uint8), compress="deflate")
    mask.write_bytes(mask.read_bytes()[:-600])
    with pytest.raises(SourceError, match=r"a\.msk: block \(0, \d+\), rows .* cannot be decoded"):
        open_source(path).read(0, 0, 64, 64)


def damage(path, how):
    data = path.read_bytes()
    half = len(data) // 2
    cut = {"truncated": data[:half], "gap": data[:half] + data[half + 300 :]}[how]
    path.write_bytes(cut)


@pytest.mark.parametrize("how", ["truncated", "gap"])
@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"compress": "deflate", "tiled": True, "blockxsize": 64, "blockysize": 64},
        {"compress": "jpeg", "photometric": "ycbcr", "tiled": True, "blockxsize": 64, "blockysize": 64},
        {"compress": "lzw"},
        {"compress": "deflate", "interleave": "band"},
    ],
    ids=["plain", "deflate", "jpeg", "lzw", "band"],
)
def test_damaged_tiff_names_the_block(write, picture, how, profile, capfd):
    path = write("a.tif", picture(300, 300), **profile)
    damage(path, how)
    # bytes that the directory promises and the file has not are seen at opening
    refused(path, r"block \(\d+, \d+\), rows? .*cannot be decoded .*deliver it again")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("read", ["whole", "bands"])
@pytest.mark.parametrize("how", ["truncated", "gap"])
@pytest.mark.parametrize("kind", ["png", "jpg", "progressive", "jp2", "bil"])
def test_other_damaged_files(write, picture, tmp_path, how, kind, read, capfd):
    pixels = picture(600, 300)
    path = tmp_path / f"a.{'jpg' if kind == 'progressive' else kind}"
    if kind in ("png", "jpg", "progressive"):
        Image.fromarray(pixels).save(path, **({"progressive": True} if kind == "progressive" else {}))
        path.with_suffix(".wld").write_text(WORLD)
    else:
        gdal_copy(write("t.tif", pixels), path, driver="JP2OpenJPEG" if kind == "jp2" else "EHdr")
    damage(path, how)
    refused(path, r"cannot be decoded|not a raster", srs="EPSG:2154", read=read)
    assert capfd.readouterr().err == ""


def test_first_failing_block_is_named(write, picture):
    """Ten strips; the fifth is overwritten with bytes that are no deflate stream."""
    path = write("a.tif", picture(80, 50), compress="deflate", blockysize=8)
    with rasterio.open(path) as dataset:
        offset, size = (int(dataset.get_tag_item(f"BLOCK_{k}_0_4", "TIFF", bidx=1)) for k in ("OFFSET", "SIZE"))
    data = bytearray(path.read_bytes())
    data[offset : offset + size] = b"\xff" * size
    path.write_bytes(data)
    source = open_source(path)
    source.read(0, 0, 50, 32)
    with pytest.raises(SourceError, match=r"a\.tif: block \(0, 4\), rows 32-39, cannot be decoded"):
        source.read(0, 0, 50, 80)
    source.read(0, 40, 50, 80)


def test_corrupt_jpeg_in_tiff_is_not_read_as_pixels(write, picture):
    """libtiff only warns about these bytes, and decodes garbage."""
    profile = {"compress": "jpeg", "photometric": "ycbcr", "tiled": True, "blockxsize": 64, "blockysize": 64}
    path = write("a.tif", picture(128, 128), **profile)
    with rasterio.open(path) as dataset:
        offset, size = (int(dataset.get_tag_item(f"BLOCK_{k}_1_1", "TIFF", bidx=1)) for k in ("OFFSET", "SIZE"))
    data = bytearray(path.read_bytes())
    data[offset + size // 2 : offset + size - 20] = bytes(size - size // 2 - 20)
    path.write_bytes(data)
    refused(path, r"block \(1, 1\), rows 64-127, columns 64-127, cannot be decoded \(Corrupt JPEG data", read="whole")


def test_damage_is_heard_with_logging_turned_down(picture, tmp_path, caplog):
    Image.fromarray(picture(600, 300)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jgw").write_text(WORLD)
    damage(tmp_path / "a.jpg", "gap")
    caplog.set_level("CRITICAL", logger="rasterio")
    refused(tmp_path / "a.jpg", "Corrupt JPEG data", srs="EPSG:2154", read="whole")


def test_vrt_without_its_file(write, picture, tmp_path):
    path = write("t.tif", picture(50, 50))
    gdal_copy(path, tmp_path / "a.vrt", driver="VRT")
    path.unlink()
    refused(tmp_path / "a.vrt", "cannot be decoded", read="whole")


def test_giant_blocks_are_refused(tmp_path):
    """A file of a few hundred bytes that asks for a block of 1.6 GB."""
    path = tmp_path / "a.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=40960,
        height=40960,
        count=1,
        dtype="uint8",
        crs="EPSG:2154",
        transform=Affine(1, 0, 0, 0, -1, 0.5),
        tiled=True,
        blockxsize=40960,
        blockysize=40960,
        compress="deflate",
        SPARSE_OK=True,
    ):
        pass
    refused(path, "blocks of 40960 x 40960 pixels.*TILED=YES")


def test_the_damaged_delivery_of_the_sdk_wheel(capfd):
    """Four real TIFFs with bytes missing; their headers are whole."""
    spec = importlib.util.find_spec("sdk_entrepot_gpf")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("package sdk-entrepot-gpf (test extra) is not installed")
    folder = Path(spec.submodule_search_locations[0], "_data", "datasets", "3_dataset_raster", "ain")
    files = sorted(folder.glob("*.tiff"))
    assert len(files) == 4
    for file in files:
        refused(file, r"block \(0, \d+\), rows \d+-\d+, cannot be decoded")
    assert capfd.readouterr().err == ""
