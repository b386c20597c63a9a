"""GDAL reads every slab that is honest TIFF (all but PNG): the same pixels as the tiles decode to, masks included.

JPEG colours are the exception: GDAL repeats chroma samples where JPEG viewers (and our decoder) interpolate them, so a
gray scene in three channels must be equal and a coloured one close.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

import fastpyr

FORMATS = [
    *[(compression, channels, "uint8") for compression in ("raw", "zip", "lzw", "pkb") for channels in (1, 2, 3, 4)],
    ("jpg", 3, "gray in uint8"),
    ("jpg90", 3, "gray in uint8"),
    *[(compression, channels, "float32") for compression in ("raw", "zip", "lzw", "pkb") for channels in (1, 3)],
]
SLAB = 2  # tiles a side


def gdal_read(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Pixels (rows, cols, channels) and profile of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, driver="GTiff") as opened:
            return np.moveaxis(opened.read(), 0, 2), dict(opened.profile)


def build(folder: Path, compression: str, channels: int, dtype: str) -> fastpyr.Pyramid:
    """A pyramid of a rotated, partly masked raster, so that tiles hold everything: flat, mixed, nodata."""
    y, x = np.mgrid[0:700, 0:500]
    phases = [0] * channels if dtype.startswith("gray") else range(channels)
    bands = [100 + 90 * np.sin(x / (7 + c)) * np.cos(y / (5 + 2 * c)) for c in phases]
    pixels = np.stack(bands, axis=2)
    pixels[:200, :300] = 17
    pixels = pixels.astype(np.float32) / 3 if dtype == "float32" else pixels.round().astype(np.uint8)
    cell = fastpyr.load_tms("PM").level("14").cell_size
    transform = (cell, 0.2 * cell, 300_000.0, 0.2 * cell, -cell, 6_000_000.0)
    mask = (x - 250) ** 2 + (y - 350) ** 2 > 90**2
    source = fastpyr.ArraySource(pixels, crs="EPSG:3857", transform=transform, mask=mask, name="rotated")
    return fastpyr.build(
        [source], folder / "G.json", tms="PM", compression=compression, width=SLAB, height=SLAB, mask=True, top="11"
    )


def slab_of_tiles(pyramid: fastpyr.Pyramid, level: str, column: int, row: int) -> np.ndarray:
    """A slab's pixels from its tiles; tiles outside the limits as nodata."""
    out = np.empty((SLAB * 256, SLAB * 256, pyramid.format.channels), pyramid.format.dtype)
    out[...] = pyramid.nodata
    for r in range(SLAB):
        for c in range(SLAB):
            tile = pyramid.tile(level, column * SLAB + c, row * SLAB + r)
            if tile is not None:
                out[r * 256 : (r + 1) * 256, c * 256 : (c + 1) * 256] = tile
    return out


@pytest.mark.parametrize(("compression", "channels", "dtype"), FORMATS)
def test_gdal_reads_every_slab(tmp_path: Path, compression: str, channels: int, dtype: str) -> None:
    pyramid = build(tmp_path, compression, channels, dtype)
    expected_tag = {"raw": None, "zip": "deflate", "lzw": "lzw", "pkb": "packbits"}.get(compression, "jpeg")
    read = 0
    for slab in pyramid.slabs():
        pixels, profile = gdal_read(Path(tmp_path, pyramid.slab_key(slab)))
        assert (profile["tiled"], profile["blockxsize"], profile["blockysize"]) == (True, 256, 256)
        assert (profile["width"], profile["height"]) == (SLAB * 256, SLAB * 256)
        if slab.kind is fastpyr.SlabKind.MASK:
            assert (profile["count"], profile["dtype"], profile["compress"]) == (1, "uint8", "deflate")
            assert set(np.unique(pixels)) <= {0, 255}
            for r in range(SLAB):
                for c in range(SLAB):
                    mask = pyramid.mask(slab.level, slab.col * SLAB + c, slab.row * SLAB + r)
                    here = pixels[r * 256 : (r + 1) * 256, c * 256 : (c + 1) * 256, 0]
                    np.testing.assert_array_equal(here, 0 if mask is None else mask)
        else:
            assert (profile["count"], profile["dtype"]) == (channels, dtype.split()[-1])
            assert profile.get("compress") == expected_tag
            np.testing.assert_array_equal(pixels, slab_of_tiles(pyramid, slab.level, slab.col, slab.row))
        read += 1
    assert read == len(list(tmp_path.rglob("*.tif"))) >= 8


@pytest.mark.parametrize("compression", ["jpg", "jpg90"])
def test_gdal_reads_jpeg_colours(tmp_path: Path, compression: str) -> None:
    pyramid = build(tmp_path, compression, 3, "uint8")
    finest = [slab for slab in pyramid.slabs() if slab.level == "14" and slab.kind is fastpyr.SlabKind.DATA]
    assert len(finest) >= 4
    theirs, ours = [], []
    for slab in finest:
        pixels, profile = gdal_read(Path(tmp_path, pyramid.slab_key(slab)))
        assert profile["photometric"] == "ycbcr"
        theirs.append(pixels.astype(int))
        ours.append(slab_of_tiles(pyramid, slab.level, slab.col, slab.row))
    difference = np.abs(np.array(theirs) - np.array(ours)).mean()
    swapped = np.abs(np.array(theirs)[..., ::-1] - np.array(ours)).mean()
    assert difference < 1
    assert swapped > 4 * difference  # another order of channels or tiles would be far away
