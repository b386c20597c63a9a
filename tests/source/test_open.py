"""Every kind of file comes out as other readers see it."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import tifffile
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.shutil import copy as gdal_copy
from rasterio.transform import Affine as RioAffine

from fastpyr.formats import SampleType
from fastpyr.source import open_source

WORLD = "0.5\n0\n0\n-0.5\n600000.25\n6599999.75\n"


def whole(source):
    return source.read(0, 0, source.info.width, source.info.height)


LAYOUTS = [
    {"compress": "deflate", "predictor": 2, "tiled": True, "blockxsize": 64, "blockysize": 48},
    {"compress": "lzw"},
    {"compress": "packbits", "blockysize": 7},
    {"compress": "zstd", "interleave": "band"},
    {"interleave": "pixel"},
    {"BIGTIFF": "YES", "ENDIANNESS": "BIG"},
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: "-".join(map(str, layout.values())))
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tiff_layouts(write, picture, layout, channels):
    pixels = picture(100, 133, channels)
    source = open_source(write("a.tif", pixels, **layout))
    got, mask = whole(source)
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, pixels)
    info = source.info
    assert (info.width, info.height, info.channels, info.sample) == (133, 100, channels, SampleType.UINT8)
    assert info.crs == "EPSG:2154"
    assert tuple(info.transform) == (0.5, 0, 600000, 0, -0.5, 6600000)
    assert info.bounds == (600000, 6600000 - 50, 600000 + 66.5, 6600000)
    window, _ = source.read(30, 40, 101, 77)
    np.testing.assert_array_equal(window, pixels[40:77, 30:101])
    if channels in (1, 3):
        assert mask is None
        assert not info.has_mask


def test_float32(write, picture):
    pixels = picture(40, 50, 1, "float32")
    source = open_source(write("mnt.tif", pixels, compress="deflate", predictor=3))
    got, mask = whole(source)
    assert source.info.sample is SampleType.FLOAT32
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, pixels)
    assert mask is None
    assert source.info.may_have_holes
    assert not source.info.has_mask


@pytest.mark.parametrize(("name", "sidecar"), [("a.png", "a.pgw"), ("a.png", "a.wld"), ("a.tif", "a.tfw")])
def test_world_files(tmp_path, picture, name, sidecar):
    pixels = picture(60, 70, 3)
    Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / sidecar).write_text(WORLD)
    source = open_source(tmp_path / name, srs="IGNF:LAMB93")
    np.testing.assert_array_equal(whole(source)[0], pixels)
    assert tuple(source.info.transform) == (0.5, 0, 600000, 0, -0.5, 6600000)
    assert source.info.crs == "IGNF:LAMB93"


@pytest.mark.parametrize(("name", "sidecar"), [("a.jpg", "a.jgw"), ("b.jpeg", "b.wld"), ("c.JPG", "c.jgw")])
def test_jpeg_with_world_file(tmp_path, picture, name, sidecar):
    Image.fromarray(picture(60, 70, 3)).save(tmp_path / name, format="JPEG", quality=92, subsampling=0)
    (tmp_path / sidecar).write_text(WORLD)
    source = open_source(tmp_path / name, srs="EPSG:2154")
    got = whole(source)[0].astype(int)
    # two JPEG decoders may differ by a rounding
    assert np.abs(got - np.asarray(Image.open(tmp_path / name))).max() <= 3
    assert source.layout.sequential


def test_crs_from_aux_xml(tmp_path, picture):
    Image.fromarray(picture(20, 30, 3)).save(tmp_path / "a.png")
    (tmp_path / "a.pgw").write_text(WORLD)
    (tmp_path / "a.png.aux.xml").write_text("<PAMDataset><SRS>EPSG:3857</SRS></PAMDataset>")
    assert open_source(tmp_path / "a.png", srs="EPSG:2154").info.crs == "EPSG:3857"


@pytest.mark.parametrize(("driver", "name"), [("JP2OpenJPEG", "a.jp2"), ("EHdr", "a.bil"), ("VRT", "a.vrt")])
def test_other_drivers(write, picture, tmp_path, driver, name):
    pixels = picture(150, 200, 3)
    options = {"QUALITY": "100", "REVERSIBLE": "YES"} if driver == "JP2OpenJPEG" else {}
    gdal_copy(write("a.tif", pixels), tmp_path / name, driver=driver, **options)
    source = open_source(tmp_path / name)
    np.testing.assert_array_equal(whole(source)[0], pixels)
    np.testing.assert_array_equal(source.read(5, 100, 190, 150)[0], pixels[100:150, 5:190])
    np.testing.assert_allclose(source.info.transform, (0.5, 0, 600000, 0, -0.5, 6600000))


@pytest.mark.parametrize("transparent", [False, True])
def test_palette(tmp_path, transparent):
    index = np.random.default_rng(1).integers(0, 4, (40, 50)).astype(np.uint8)
    image = Image.fromarray(index, mode="P")
    image.putpalette([1, 2, 3, 10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.save(tmp_path / "p.png", **({"transparency": 2} if transparent else {}))
    (tmp_path / "p.pgw").write_text(WORLD)
    source = open_source(tmp_path / "p.png", srs="EPSG:2154")
    got, mask = whole(source)
    mode = "RGBA" if transparent else "RGB"
    np.testing.assert_array_equal(got, np.asarray(Image.open(tmp_path / "p.png").convert(mode)))
    assert source.info.channels == len(mode)
    if transparent:
        np.testing.assert_array_equal(mask, np.where(index == 2, 0, 255))
    else:
        assert mask is None


def test_tiff_palette(write):
    index = np.random.default_rng(1).integers(0, 3, (40, 50, 1)).astype(np.uint8)
    colours = {0: (255, 255, 255), 1: (200, 0, 0), 2: (0, 0, 90)}
    got, mask = whole(open_source(write("p.tif", index, colormap=colours)))
    np.testing.assert_array_equal(got, np.array([colours[i] for i in range(3)], np.uint8)[index[:, :, 0]])
    assert mask is None


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_one_bit_tiff_is_white_255(tmp_path, photometric):
    """Pillow knows both photometrics: what is white there is 255 here."""
    bits = np.random.default_rng(2).integers(0, 2, (40, 53)).astype(bool)
    path = tmp_path / "bits.tif"
    tifffile.imwrite(path, bits, photometric=photometric, bitspersample=1)
    (tmp_path / "bits.tfw").write_text(WORLD)
    got, mask = whole(open_source(path, srs="EPSG:2154"))
    np.testing.assert_array_equal(got[:, :, 0], np.asarray(Image.open(path).convert("L")))
    assert got.shape[2] == 1
    assert mask is None


def test_eight_bit_min_is_white_is_not_inverted(tmp_path):
    values = np.random.default_rng(2).integers(0, 256, (40, 53)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "w.tif", values, photometric="miniswhite")
    (tmp_path / "w.tfw").write_text(WORLD)
    got, _ = whole(open_source(tmp_path / "w.tif", srs="EPSG:2154"))
    np.testing.assert_array_equal(got[:, :, 0], values)


def test_one_bit_png_and_one_bit_colours(tmp_path, write):
    bits = np.random.default_rng(2).integers(0, 2, (40, 53)).astype(bool)
    Image.fromarray(bits).save(tmp_path / "b.png")
    (tmp_path / "b.pgw").write_text(WORLD)
    got, _ = whole(open_source(tmp_path / "b.png", srs="EPSG:2154"))
    np.testing.assert_array_equal(got[:, :, 0], bits * 255)
    # two colours that are not black and white are a palette like any other
    path = write("r.tif", bits.astype(np.uint8)[:, :, None], nbits=1, colormap={0: (9, 8, 7), 1: (255, 0, 0)})
    got, _ = whole(open_source(path))
    np.testing.assert_array_equal(got, np.where(bits[:, :, None], [255, 0, 0], [9, 8, 7]))


def test_bands_in_another_order(write, picture):
    pixels = picture(30, 40, 4)
    path = write("bgra.tif", pixels)
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.alpha, ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    got, _ = whole(open_source(path))
    np.testing.assert_array_equal(got, pixels[:, :, [3, 2, 1, 0]])


def test_rotated_georeferencing(write, picture):
    turned = RioAffine.translation(600000, 6600000) @ RioAffine.rotation(30) @ RioAffine.scale(0.5, -0.25)
    info = open_source(write("r.tif", picture(30, 40, 1), transform=turned)).info
    np.testing.assert_allclose(info.transform, tuple(turned)[:6])
    np.testing.assert_allclose(info.resolution, (0.5, 0.25))
    assert not info.transform.is_north_up
    corners = [turned @ corner for corner in ((0, 0), (40, 0), (0, 30), (40, 30))]
    assert info.bounds.left == pytest.approx(min(x for x, _ in corners))
    assert info.bounds.top == pytest.approx(max(y for _, y in corners))


def test_crs_that_is_no_epsg_code(write, picture):
    text = "+proj=lcc +lat_1=45 +lat_2=47 +lat_0=46 +lon_0=2 +ellps=GRS80 +units=m"
    info = open_source(write("own.tif", picture(10, 10, 1), crs=text)).info
    assert rasterio.CRS.from_user_input(info.crs) == rasterio.CRS.from_user_input(text)


def test_options_do_not_leak(write, picture):
    from rasterio._env import get_gdal_config

    names = ("GDAL_CACHEMAX", "GDAL_NUM_THREADS", "GDAL_DISABLE_READDIR_ON_OPEN", "GDAL_PNG_WHOLE_IMAGE_OPTIM")
    before = [get_gdal_config(name) for name in names]
    whole(open_source(write("a.tif", picture(50, 50, 3))))
    assert [get_gdal_config(name) for name in names] == before


def test_windows_are_checked(write, picture):
    source = open_source(write("a.tif", picture(10, 20, 1)))
    for window in [(-1, 0, 5, 5), (0, 0, 21, 5), (5, 5, 5, 8), (0, 0, 5, 11)]:
        with pytest.raises(ValueError, match="window"):
            source.read(*window)


def test_a_file_that_was_replaced_is_read_anew(write, picture):
    for seed in (1, 2):
        for compress in ("deflate", "lzw"):  # without GDAL, and with it
            pixels = picture(10, 20, seed, seed=seed)
            path = write(f"{compress}.tif", pixels, compress=compress)
            np.testing.assert_array_equal(whole(open_source(path))[0], pixels)


def test_closing_lets_go_and_reading_opens_again(write, picture):
    import psutil

    pixels = picture(10, 20, 1)
    path = write("a.tif", pixels)
    source = open_source(path)
    whole(source)
    assert any(file.path == str(path) for file in psutil.Process().open_files())
    source.close()
    assert not any(file.path == str(path) for file in psutil.Process().open_files())
    np.testing.assert_array_equal(whole(source)[0], pixels)
    source.close()
