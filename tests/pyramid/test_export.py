"""Exported levels, read back with GDAL."""

from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import small_pyramid
from rasterio.enums import ColorInterp, MaskFlags
from shared_data import shared

from fastpyr.errors import ConfigError, DescriptorError, SlabError, StoreError
from fastpyr.grid import BoundingBox
from fastpyr.pyramid import export_level, open_pyramid


def read(path):
    """(pixels, mask, facts) of a file, by GDAL."""
    with rasterio.open(path) as file:
        facts = SimpleNamespace(
            profile=file.profile,
            colours=file.colorinterp,
            masks=file.mask_flag_enums,
            bounds=file.bounds,
            epsg=file.crs.to_epsg(),
        )
        return np.moveaxis(file.read(), 0, 2), file.dataset_mask(), facts


def test_masks_become_the_internal_mask(tmp_path):
    key, canvases = small_pyramid.write(tmp_path)
    pyramid = open_pyramid(tmp_path / key)
    out = tmp_path / "level.tif"
    window = export_level(pyramid, "12", out)
    pixels, mask, facts = read(out)
    np.testing.assert_array_equal(pixels, canvases[0].pixels)
    np.testing.assert_array_equal(mask, canvases[0].mask)
    assert all(MaskFlags.per_dataset in flags for flags in facts.masks)
    assert facts.colours == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    assert facts.profile["tiled"]
    assert facts.profile["compress"] == "deflate"
    assert facts.epsg == 3857
    np.testing.assert_allclose(facts.bounds, pyramid.level("12").bounds, rtol=1e-12)
    assert (window.width, window.height) == (facts.profile["width"], facts.profile["height"])
    assert not list(tmp_path.glob(".*"))
    assert not list(tmp_path.glob("*.msk")), "the mask is inside"


@pytest.mark.parametrize(
    ("format", "channels"), [("TIFF_ZIP_FLOAT32", 1), ("TIFF_PNG_UINT8", 1), ("TIFF_ZIP_UINT8", 3)]
)
def test_nodata_tag_without_masks(tmp_path, format, channels):
    key, canvases = small_pyramid.write(tmp_path, format=format, channels=channels, mask=False)
    pyramid = open_pyramid(tmp_path / key)
    export_level(pyramid, "12", tmp_path / "level.tif")
    pixels, _, facts = read(tmp_path / "level.tif")
    np.testing.assert_array_equal(pixels, canvases[0].pixels)
    assert facts.profile["nodata"] == pyramid.nodata[0]


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_needs_no_tag(tmp_path, channels):
    key, canvases = small_pyramid.write(tmp_path, channels=channels, mask=False)
    export_level(open_pyramid(tmp_path / key), "12", tmp_path / "level.tif")
    pixels, _, facts = read(tmp_path / "level.tif")
    np.testing.assert_array_equal(pixels, canvases[0].pixels)
    assert facts.profile["nodata"] is None
    assert facts.colours[-1] is ColorInterp.alpha


@pytest.mark.parametrize("seed", range(4))
def test_box_is_snapped_outward(tmp_path, seed):
    key, _ = small_pyramid.write(tmp_path)
    pyramid = open_pyramid(tmp_path / key)
    level = pyramid.level("11")
    bounds, cell = level.bounds, level.matrix.cell_size
    rng = np.random.default_rng(seed)
    x, y = sorted(rng.uniform(-20, 540, 2)), sorted(rng.uniform(-20, 540, 2))
    box = BoundingBox(
        bounds.left + x[0] * cell, bounds.top - y[1] * cell, bounds.left + x[1] * cell, bounds.top - y[0] * cell
    )
    window = export_level(pyramid, level, tmp_path / "part.tif", box)
    pixels, mask, facts = read(tmp_path / "part.tif")
    wanted, wanted_mask = pyramid.read(level, box)
    np.testing.assert_array_equal(pixels, wanted)
    np.testing.assert_array_equal(mask, wanted_mask)
    np.testing.assert_allclose(facts.bounds, level.window_bounds(window), rtol=1e-12)
    exact = (facts.bounds.left <= box.left, facts.bounds.bottom <= box.bottom, facts.bounds.right >= box.right)
    assert all(exact)
    assert facts.bounds.top >= box.top
    assert facts.bounds.left > box.left - cell


def test_many_chunks_and_progress(tmp_path, monkeypatch):
    monkeypatch.setattr("fastpyr.pyramid.export._CHUNK", 256)
    key, canvases = small_pyramid.write(tmp_path)
    pyramid = open_pyramid(tmp_path / key)
    seen = []
    level = pyramid.level("12")
    b, cell = level.bounds, level.matrix.cell_size
    box = BoundingBox(b.left + 100 * cell, b.bottom + 7 * cell, b.right - 3 * cell, b.top - 50 * cell)
    export_level(pyramid, level, tmp_path / "part.tif", box, lambda done, total: seen.append((done, total)))
    pixels, mask, _ = read(tmp_path / "part.tif")
    np.testing.assert_array_equal(pixels, canvases[0].pixels[50:-7, 100:-3])
    np.testing.assert_array_equal(mask, canvases[0].mask[50:-7, 100:-3])
    assert len(seen) == 9
    assert seen[-1] == (665 * 711, 665 * 711)


def test_published_level(tmp_path):
    pyramid = open_pyramid(shared("rok4/golden/RGEALTI.json"))
    export_level(pyramid, "8", tmp_path / "alti.tif")
    with rasterio.open(tmp_path / "alti.tif") as out:
        heights = out.read(1, masked=True)
        place = out.window(573999.5, 6275000.5 - 200, 573999.5 + 200, 6275000.5)
        part = out.read(1, window=place)
    assert heights.count() == 200 * 200
    assert part.shape == (200, 200)
    assert (part != -99999).all(), "the bottom level holds the source's pixels at the source's place"


def test_replaces_only_when_complete(tmp_path):
    key, _ = small_pyramid.write(tmp_path, levels=1)
    pyramid = open_pyramid(tmp_path / key)
    out = tmp_path / "level.tif"
    out.write_bytes(b"old")
    damaged = next((tmp_path / "SMALL/DATA/12").rglob("*.tif"))
    data = damaged.read_bytes()
    damaged.write_bytes(data[:-40])
    with pytest.raises(SlabError, match="truncated"):
        export_level(pyramid, "12", out)
    assert out.read_bytes() == b"old"
    assert not list(tmp_path.glob(".*"))
    damaged.write_bytes(data)
    export_level(pyramid, "12", out)
    assert out.read_bytes()[:2] == b"II"


def test_refusals(tmp_path):
    key, _ = small_pyramid.write(tmp_path, levels=1)
    pyramid = open_pyramid(tmp_path / key)
    with pytest.raises(StoreError, match="does not exist"):
        export_level(pyramid, "12", tmp_path / "no" / "level.tif")
    with pytest.raises(StoreError, match="folder"):
        export_level(pyramid, "12", tmp_path)
    with pytest.raises(DescriptorError, match="no level"):
        export_level(pyramid, "13", tmp_path / "x.tif")
    with pytest.raises(ConfigError, match="empty"):
        export_level(pyramid, "12", tmp_path / "x.tif", BoundingBox(5, 5, 5, 6))
    assert not (tmp_path / "x.tif").exists()
