"""Arrays in memory."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from rasterio.transform import Affine

from fastpyr.errors import SourceError
from fastpyr.formats import SampleType
from fastpyr.source import ArraySource

PLACE = {"crs": "EPSG:2154", "transform": (0.5, 0, 100, 0, -0.5, 200)}


def test_windows_are_views(picture):
    pixels = picture(30, 40, 3)
    source = ArraySource(pixels, **PLACE)
    got, mask = source.read(5, 6, 20, 30)
    assert got.base is pixels
    assert mask is None
    np.testing.assert_array_equal(got, pixels[6:30, 5:20])
    flat, _ = ArraySource(pixels[:, :, 0], **PLACE).read(5, 6, 20, 30)
    np.testing.assert_array_equal(flat[:, :, 0], pixels[6:30, 5:20, 0])
    bands_first = ArraySource(pixels.transpose(2, 0, 1).copy().transpose(1, 2, 0), **PLACE)
    got, _ = bands_first.read(5, 6, 20, 30)
    assert got.strides[1:] == (3, 1)
    np.testing.assert_array_equal(got, pixels[6:30, 5:20])


def test_facts(picture):
    source = ArraySource(picture(30, 40, 1, "float32"), crs=pyproj.CRS(2154), bbox=(100, 185, 120, 200), name="mnt")
    info = source.info
    assert (info.name, info.width, info.height, info.channels) == ("mnt", 40, 30, 1)
    assert info.sample is SampleType.FLOAT32
    assert info.transform == (0.5, 0, 100, 0, -0.5, 200)
    assert info.bounds == (100, 185, 120, 200)
    assert pyproj.CRS(info.crs) == pyproj.CRS(2154)
    assert ArraySource(picture(3, 3), crs="EPSG:2154", transform=Affine(2, 0, 1, 0, -2, 5)).info.resolution == (2, 2)


def test_masks(picture):
    pixels = picture(30, 40, 3)
    pixels[:10] = 9
    valid = np.ones((30, 40), bool)
    valid[:, 30:] = False
    expected = np.where(valid, 255, 0)
    expected[:10] = 0
    source = ArraySource(pixels, mask=valid, nodata=9, **PLACE)
    np.testing.assert_array_equal(source.read(0, 0, 40, 30)[1], expected)
    assert source.read(0, 12, 20, 30)[1] is None
    heights = picture(30, 40, 1, "float32")
    heights[3, 4] = np.nan
    mask = ArraySource(heights, **PLACE).read(0, 0, 40, 30)[1]
    assert mask is not None
    assert mask.sum() == 255 * (1200 - 1)
    assert mask[3, 4] == 0


@pytest.mark.parametrize(
    ("pixels", "changes", "match"),
    [
        (np.zeros((3, 3), np.uint16), {}, "samples are uint16"),
        (np.zeros((3, 3), ">f4"), {}, "samples are"),
        (np.zeros((3, 3, 5), np.uint8), {}, "shape"),
        (np.zeros((0, 3, 1), np.uint8), {}, "shape"),
        (np.zeros((3, 3), np.uint8), {"mask": np.zeros((3, 4), bool)}, "mask has shape"),
        (np.zeros((3, 3), np.uint8), {"nodata": (1, 2)}, "2 nodata values"),
        (np.zeros((3, 3), np.uint8), {"nodata": ["x"]}, "not a number"),
        (np.zeros((3, 3), np.uint8), {"bbox": (0, 0, 1, 1)}, "exactly one"),
        (np.zeros((3, 3), np.uint8), {"transform": None, "bbox": (0, 0, 0, 1)}, "bbox must enclose"),
        (np.zeros((3, 3), np.uint8), {"transform": (1, 2, 0, 2, 4, 0)}, "cannot be inverted"),
        (np.zeros((3, 3), np.uint8), {"transform": (1, 2)}, "unusable georeferencing"),
        (np.zeros((3, 3), np.uint8), {"crs": "EPSG:999999"}, "EPSG:999999"),
        (np.zeros((3, 3), np.uint8), {"crs": 5}, "crs 5"),
    ],
)
def test_refusals(pixels, changes, match):
    with pytest.raises(SourceError, match=match):
        ArraySource(pixels, **(PLACE | changes))
