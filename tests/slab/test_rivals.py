"""Other readers of TIFF see the pixels that we wrote."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastpyr.encode import encoder
from fastpyr.formats import TILE_FORMATS, Compression, PixelFormat, SampleType
from fastpyr.slab import slab_bytes

TILE = 64
FORMATS = [
    PixelFormat.of(fmt, channels)
    for fmt in TILE_FORMATS
    if fmt.compression is not Compression.PNG
    for channels in ((3,) if fmt.compression.is_lossy else (1, 2, 3, 4))
]


def _scene(fmt: PixelFormat, height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:height, :width]
    base = (x + 2 * y)[..., None] // 3 + np.arange(fmt.channels) * 20
    noise = rng.integers(0, 9, base.shape)
    if fmt.format.sample is SampleType.FLOAT32:
        return (base * 0.37 + noise).astype(np.float32)
    scene = ((base + noise) % 256).astype(np.uint8)
    scene[:TILE, :TILE] = 255  # one tile of one colour
    return scene


def _slab(fmt: PixelFormat, cols: int, rows: int) -> tuple[bytes, np.ndarray, list[bytes]]:
    scene = _scene(fmt, rows * TILE, cols * TILE)
    tiles = [b for row in encoder(fmt, TILE, TILE).encode_block(scene) for b in row if b is not None]
    return slab_bytes(fmt, TILE, TILE, cols, rows, tiles), scene, tiles


def _expected(fmt: PixelFormat, scene: np.ndarray, cols: int, tiles: list[bytes]) -> np.ndarray:
    if not fmt.format.compression.is_lossy:
        return scene
    out = np.empty_like(scene)
    for number, tile in enumerate(tiles):
        y, x = divmod(number, cols)
        out[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE] = np.asarray(Image.open(io.BytesIO(tile)))
    return out


@pytest.mark.parametrize(("cols", "rows"), [(1, 1), (3, 2)])
@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f"{f.format}-{f.channels}")
def test_tifffile(fmt: PixelFormat, cols: int, rows: int) -> None:
    tifffile = pytest.importorskip("tifffile")
    slab, scene, tiles = _slab(fmt, cols, rows)
    with tifffile.TiffFile(io.BytesIO(slab)) as tiff:
        page = tiff.pages[0]
        assert page.shape[:2] == scene.shape[:2]
        found = page.asarray().reshape(scene.shape)
    if fmt.format.compression.is_lossy:
        # Two JPEG decoders may round differently.
        assert np.abs(found.astype(int) - _expected(fmt, scene, cols, tiles)).max() <= 2
    else:
        np.testing.assert_array_equal(found, scene)


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f"{f.format}-{f.channels}")
def test_gdal(fmt: PixelFormat, tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    slab, scene, tiles = _slab(fmt, 3, 2)
    path = tmp_path / "slab.tif"
    path.write_bytes(slab)
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        raster = rasterio.open(path)
    with raster:
        assert raster.block_shapes == [(TILE, TILE)] * fmt.channels
        found = raster.read().transpose(1, 2, 0)
    assert found.dtype == scene.dtype
    if fmt.format.compression.is_lossy:
        assert np.abs(found.astype(int) - _expected(fmt, scene, 3, tiles)).max() <= 2
    else:
        np.testing.assert_array_equal(found, scene)
