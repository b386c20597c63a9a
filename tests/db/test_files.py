"""Files in and out: GeoTIFF to store to XML to GeoTIFF, pixel types and palettes, bridges to and from pyramids, CLI."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

import fastpyr
from fastpyr.cli.main import main
from fastpyr.db import ArrayInput, Geodatabase, PyramidInput
from fastpyr.db.xml_element import from_xml


def write_tiff(path: Path, pixels, transform=(0.2, 0, 650000.1, 0, -0.2, 6860000.3), crs="EPSG:2154", **profile):
    pixels = pixels[np.newaxis] if pixels.ndim == 2 else pixels
    count, height, width = pixels.shape
    mask, colours = profile.pop("mask", None), profile.pop("colours", None)
    given = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": pixels.dtype, "crs": crs}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **given, transform=Affine(*transform), **profile) as out,
    ):
        out.write(pixels)
        if colours is not None:
            out.write_colormap(1, colours)
        if mask is not None:
            out.write_mask(mask)
    return path


@pytest.mark.parametrize("shape", [(97, 143), (1, 1), (1, 30), (40, 1)])
def test_half_pixel(database: Geodatabase, tmp_path: Path, shape) -> None:
    """Tables hold centres, XML and GeoTIFF edges: the transform survives all of them."""
    pixels = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    source = write_tiff(tmp_path / "in.tif", pixels)
    dataset = database.import_raster(source, "half", block=32)
    band = dataset.state.bands[0]
    assert (band.eminx, band.emaxy) == (650000.1 + 0.1, 6860000.3 - 0.1)
    assert band.emaxx == pytest.approx(650000.1 + 0.2 * shape[1] - 0.1, abs=1e-9)
    box = from_xml(dataset.xml()).bands[0].extent
    assert box == pytest.approx((650000.1, 6860000.3 - 0.2 * shape[0], 650000.1 + 0.2 * shape[1], 6860000.3), rel=1e-14)
    dataset.export(tmp_path / "out.tif")
    with rasterio.open(source) as a, rasterio.open(tmp_path / "out.tif") as b:
        assert np.allclose(a.transform, b.transform, rtol=1e-12, atol=0)
        assert a.crs == b.crs
        assert (a.read() == b.read()).all()
    again = database.create_dataset(dataset.xml(), "again")
    assert again.extent == pytest.approx(dataset.extent, rel=1e-14)
    again.mosaic(source)
    assert (again.read()[0] == dataset.read()[0]).all()
    assert again.check().findings == []


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"])
def test_nodata_and_masks_of_files(database: Geodatabase, tmp_path: Path, dtype: str) -> None:
    rng = np.random.default_rng(2)
    pixels = (rng.normal(50, 20, (2, 60, 70)).clip(0, 100)).astype(dtype)
    pixels[0, :9, :9] = 77
    mask = np.full((60, 70), 255, np.uint8)
    mask[20:30] = 0
    tagged = database.import_raster(write_tiff(tmp_path / "n.tif", pixels, nodata=77), "tagged", block=16)
    found, masks = tagged.read_bands()
    for band in range(2):
        assert (masks[band] == np.where(pixels[band] == 77, 0, 255)).all()
        assert (found[band][masks[band] != 0] == pixels[band][masks[band] != 0]).all()
    masked = database.import_raster(write_tiff(tmp_path / "m.tif", pixels, mask=mask), "masked", block=16)
    assert (masked.read()[1] == mask).all()
    masked.export(tmp_path / "back.tif", bbox=(650001, 6859990, 650010, 6859998))
    with rasterio.open(tmp_path / "back.tif") as back:
        row, col = round((6860000.3 - back.transform.f) / 0.2), round((back.transform.c - 650000.1) / 0.2)
        here = np.s_[row : row + back.height, col : col + back.width]
        assert (back.dataset_mask() == mask[here]).all()
        valid = mask[here] != 0
        assert (back.read()[:, valid] == pixels[:, here[0], here[1]][:, valid]).all()


def test_palette_and_bits(database: Geodatabase, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    index = rng.integers(0, 4, (50, 60), np.uint8)
    colours = {0: (255, 0, 0, 255), 1: (0, 255, 0, 255), 2: (0, 0, 255, 255), 3: (9, 9, 9, 255)}
    path = write_tiff(tmp_path / "p.tif", index, colours=colours, nbits=2, photometric="palette")
    dataset = database.import_raster(path, "palette", block=16)
    assert dataset.pixel_type == "U2"
    assert dataset.colormap.entries[:4, :3].tolist() == [list(colours[n][:3]) for n in range(4)]
    assert dataset.state.settings.method == "nearest"
    dataset.export(tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as out:
        assert (out.read(1) == index).all()
        assert out.tags(1, ns="IMAGE_STRUCTURE")["NBITS"] == "2"
        assert {n: out.colormap(1)[n] for n in range(4)} == colours


def test_several_files_are_one_dataset(database: Geodatabase, tmp_path: Path) -> None:
    pixels = np.random.default_rng(4).integers(0, 255, (3, 64, 100), np.uint8)
    write_tiff(tmp_path / "a.tif", pixels[:, :, :40])
    write_tiff(tmp_path / "b.tif", pixels[:, :, 40:], transform=(0.2, 0, 650008.1, 0, -0.2, 6860000.3))
    dataset = database.import_raster([tmp_path / "a.tif", tmp_path / "b.tif"], "both", block=32)
    assert (np.moveaxis(dataset.read()[0], 2, 0) == pixels).all()


def test_store_to_pyramid_and_back(url: str, tmp_path: Path) -> None:
    """A dataset is a source of a build; a level of the pyramid imports into the store."""
    pixels = np.random.default_rng(5).integers(1, 255, (300, 300, 3), np.uint8)
    box = fastpyr.load_tms("PM").level("16").tile_bounds(33000, 23000)
    cell = fastpyr.load_tms("PM").level("16").cell_size
    url = url if "://" in url else f"sqlite:///{url}"
    with Geodatabase.create(url) as database:
        transform = (cell, 0, box.left + 7 * cell, 0, -cell, box.top - 9 * cell)
        database.import_raster(ArrayInput(np.moveaxis(pixels, 2, 0), transform=transform, crs="EPSG:3857"), "ortho")
        options = {"tms": "PM", "compression": "png", "interpolation": "nn", "mask": True}
        pyramid = fastpyr.build(f"{url}#ortho", tmp_path / "P.json", bottom="16", top="14", **options)
        built, mask = pyramid.read("16")
        assert (built[9:309, 7:307] == pixels).all()
        back = database.import_raster(PyramidInput(pyramid, "16"), "back")
        stored, known = back.read()
        assert (stored[mask != 0] == built[mask != 0]).all()
        assert (known == mask).all()
        assert back.extent == pytest.approx(pyramid.level("16").bounds)
    with pytest.raises(fastpyr.FastpyrError):
        fastpyr.build(f"{url}#nothing", tmp_path / "Q.json", tms="PM")


def test_command_line(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(6).integers(0, 16, (100, 120), np.uint8)
    source, more = write_tiff(tmp_path / "in.tif", pixels), tmp_path / "more.tif"
    write_tiff(more, pixels[:50], transform=(0.2, 0, 650000.1 - 4, 0, -0.2, 6860000.3 + 2))
    colours, table = tmp_path / "colours.csv", tmp_path / "table.csv"
    colours.write_text("\n".join(f"{n},{n},{n}" for n in range(16)))
    table.write_text("value,label\n" + "\n".join(f"{n},class {n}" for n in range(16)))

    def fastpyr_db(*arguments: object) -> str:
        assert main(["db", *map(str, arguments)]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    fastpyr_db("create", url, "--database", "gdb", "--owner", "RJP")
    fastpyr_db("import", source, url, "world", "--block", 32, "--interpolation", "nearest")
    assert "gdb.RJP.world" in fastpyr_db("list", url)
    assert json.loads(fastpyr_db("describe", url, "world", "--json"))["width"] == 120
    fastpyr_db("colormap", url, "world", "--from", colours)
    assert fastpyr_db("colormap", url, "world").splitlines()[3] == "3,3,3"
    fastpyr_db("vat", url, "world", "--attach", table)
    assert json.loads(fastpyr_db("vat", url, "world", "--json"))[2]["label"] == "class 2"
    xml = fastpyr_db("xml", url, "world")
    assert "<Name>gdb.RJP.world</Name>" in xml
    assert "<Name>label</Name>" in xml
    assert "140 x 110" in fastpyr_db("mosaic", more, url, "world")
    assert json.loads(fastpyr_db("stats", url, "world", "--json"))[0]["count"] == 100 * 120 + 50 * 120 - 40 * 100
    assert main(["db", "pyramid", url, "world", "--quality", "50"]) == 2, "its blocks are lossless"
    assert "lossless" in capsys.readouterr().err
    fastpyr_db("pyramid", url, "world", 2, "--interpolation", "bicubic", "--skip-level1")
    assert json.loads(fastpyr_db("stats", url, "world", "--level", 2, "--json"))[0]["count"] < 1000
    assert "all right" in fastpyr_db("check", url, "world")  # which looks at the statistics of the base
    fastpyr_db("export", url, "world", tmp_path / "out.tif", "--level", 2)
    fastpyr_db("copy", url, "world", "copied")
    fastpyr_db("create", url, "tiles", "--catalog", "--srs", "EPSG:2154")
    fastpyr_db("import", source, more, url, "tiles")
    found = json.loads(fastpyr_db("search", url, "tiles", "--bbox", "649996,6860001,649999,6860002", "--json"))
    assert [item["name"] for item in found] == ["more"]
    assert "all right" in fastpyr_db("check", url)
    fastpyr_db("drop", url, "world")
    for wrong in (["describe", url, "world"], ["import", "x", url], ["list", str(tmp_path / "none")], ["create", url]):
        assert main(["db", *wrong]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
