"""Which pixels of a source are data."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from PIL import Image

from fastpyr.source import open_source

WORLD = "0.5\n0\n0\n-0.5\n600000.25\n6599999.75\n"


def mask_of(source):
    return source.read(0, 0, source.info.width, source.info.height)[1]


@pytest.fixture
def spotted(picture):
    """Pixels with a hole of value 7 in all bands, and stray 7s in single bands."""
    pixels = picture(60, 80, 3)
    hole = np.zeros((60, 80), bool)
    hole[10:30, 5:50] = True
    pixels[pixels == 7] = 8
    pixels[hole] = 7
    pixels[40:50, :, 1] = 7
    return pixels, hole


def test_nodata_needs_all_bands(write, spotted):
    pixels, hole = spotted
    source = open_source(write("a.tif", pixels, nodata=7))
    assert source.info.has_mask
    np.testing.assert_array_equal(mask_of(source), np.where(hole, 0, 255))
    assert source.read(51, 0, 80, 60)[1] is None


def test_nodata_that_no_uint8_can_be(write, spotted):
    for nodata in (-9999, 256, 7.5):
        path = write("a.tif", spotted[0], dtype="uint8")
        text = path.with_suffix(".vrt")
        gdal_vrt(path, text, nodata)
        source = open_source(text)
        assert mask_of(source) is None


def gdal_vrt(path, out, nodata):
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{b}"><NoDataValue>{nodata}</NoDataValue><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{path.name}</SourceFilename><SourceBand>{b}</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for b in (1, 2, 3)
    )
    with rasterio.open(path) as dataset:
        size = f'rasterXSize="{dataset.width}" rasterYSize="{dataset.height}"'
    geo = "<GeoTransform>600000, 0.5, 0, 6600000, 0, -0.5</GeoTransform><SRS>EPSG:2154</SRS>"
    out.write_text(f"<VRTDataset {size}>{geo}{bands}</VRTDataset>")


@pytest.mark.parametrize("nodata", [-99999.0, float("nan"), -3.4028234663852886e38, None])
def test_float_nodata_and_nan(write, picture, nodata):
    pixels = picture(30, 40, 1, "float32")
    pixels[3:9, 4:20] = -5 if nodata is None else nodata
    pixels[20, 30] = np.nan
    source = open_source(write("mnt.tif", pixels, nodata=nodata))
    expected = np.full((30, 40), 255, np.uint8)
    if nodata is not None:
        expected[3:9, 4:20] = 0
    expected[20, 30] = 0
    np.testing.assert_array_equal(mask_of(source), expected)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha(write, picture, channels):
    pixels = picture(30, 40, channels)
    pixels[:, :, -1] = np.random.default_rng(0).choice([0, 1, 128, 255], (30, 40))
    source = open_source(
        write("a.tif", pixels, **({"photometric": "rgb", "alpha": "yes"} if channels == 4 else {"alpha": "yes"}))
    )
    got, mask = source.read(0, 0, 40, 30)
    np.testing.assert_array_equal(got, pixels)
    np.testing.assert_array_equal(mask, np.where(pixels[:, :, -1] == 0, 0, 255))


def test_fourth_band_without_meaning_is_not_alpha(write, picture):
    pixels = picture(30, 40, 4)
    pixels[:5, :, 3] = 0
    source = open_source(write("irc.tif", pixels, alpha="no", photometric="rgb"))
    assert mask_of(source) is None


@pytest.mark.parametrize("internal", [True, False])
def test_gdal_masks(write, picture, internal):
    """A mask inside the TIFF, or GDAL's own file beside it (a.tif.msk)."""
    pixels = picture(60, 80, 3)
    path = write("a.tif", pixels)
    valid = np.random.default_rng(0).integers(0, 2, (60, 80)).astype(np.uint8) * 255
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(valid)
    assert path.with_name("a.tif.msk").exists() is not internal
    source = open_source(path)
    np.testing.assert_array_equal(mask_of(source), valid)
    np.testing.assert_array_equal(source.read(3, 5, 60, 51)[1], valid[5:51, 3:60])


@pytest.mark.parametrize("kind", ["gray255", "gray1", "onebit", "png"])
def test_sibling_mask(write, picture, tmp_path, kind, recwarn):
    path = write("a.tif", picture(60, 80, 3))
    valid = np.random.default_rng(0).integers(0, 2, (60, 80)).astype(np.uint8)
    mask_file = tmp_path / "a.msk"
    if kind == "png":
        Image.fromarray(valid * 200).save(mask_file, format="PNG")
    else:
        values = valid * (255 if kind == "gray255" else 1)
        write("a.msk", values[:, :, None], **({"nbits": 1} if kind == "onebit" else {}))
    recwarn.clear()
    np.testing.assert_array_equal(mask_of(open_source(path)), valid * 255)
    assert not recwarn.list


def test_masks_add_up(write, spotted):
    pixels, hole = spotted
    path = write("a.tif", pixels, nodata=7)
    valid = np.ones((60, 80), np.uint8)
    valid[:, 60:] = 0
    write("a.msk", valid[:, :, None])
    np.testing.assert_array_equal(mask_of(open_source(path)), np.where(hole | (valid == 0), 0, 255))


def test_transparent_colour_of_png(tmp_path, picture):
    pixels = picture(30, 40, 3)
    pixels[4:9, 5:30] = (1, 2, 3)
    pixels[20, :] = (1, 2, 4)
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=(1, 2, 3))
    (tmp_path / "a.pgw").write_text(WORLD)
    mask = mask_of(open_source(tmp_path / "a.png", srs="EPSG:2154"))
    np.testing.assert_array_equal(mask, np.where((pixels == (1, 2, 3)).all(axis=2), 0, 255))
