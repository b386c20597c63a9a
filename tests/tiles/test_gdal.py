"""GDAL as a client: its WMTS, TMS and XYZ drivers open what is served, and read the pyramid's own pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from shared_data import shared
from small_pyramid import write
from tile_server import TileServer, tile_server

import fastpyr
from fastpyr.pyramid import Pyramid

NAMES = ("BDPARCELLAIRE", "RGEALTI", "SCAN1000")

with rasterio.Env() as _env:
    if not {"WMTS", "WMS"} <= set(_env.drivers()):
        pytest.skip("this GDAL has no WMS and WMTS drivers", allow_module_level=True)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pyramid")
    write(folder, "JPEGS", "TIFF_JPG_UINT8", mask=False)
    write(folder, "PACKED", "TIFF_ZIP_UINT8", mask=False)
    return folder


@pytest.fixture(scope="module")
def server(small: Path) -> Iterator[TileServer]:
    paths = [shared(f"rok4/golden/{name}.json") for name in NAMES]
    paths += [small / "JPEGS.json", small / "PACKED.json"]
    with tile_server(*(part for path in paths for part in ("--pyramid", path))) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("GDAL_ENABLE_WMS_CACHE", "NO")


def _opened(what: str) -> Any:
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_ENABLE_WMS_CACHE="NO", GDAL_HTTP_TIMEOUT="30"):
        return rasterio.open(what)


def _same(dataset: Any, pyramid: Pyramid, level: Any) -> None:
    """The whole extent of a level, read by GDAL, is what the pyramid decodes to."""
    bounds = level.bounds
    cell = level.matrix.cell_size
    assert dataset.transform.a == pytest.approx(cell, rel=1e-9)
    column, row = (bounds.left - dataset.bounds.left) / cell, (dataset.bounds.top - bounds.top) / cell
    assert (column, row) == (pytest.approx(round(column), abs=1e-2), pytest.approx(round(row), abs=1e-2))
    expected, _ = pyramid.read(level)
    height, width, channels = expected.shape
    window = rasterio.windows.Window(round(column), round(row), width, height)
    seen = np.moveaxis(dataset.read(window=window), 0, -1)
    colours = min(channels, 3) if channels > 2 else 1
    apart = np.abs(seen[..., :colours].astype(float) - expected[..., :colours])
    if pyramid.format.format.compression.is_lossy:  # GDAL's decoder smooths colours in its own way
        assert apart.mean() < 1
        assert apart.max() < 20
    else:
        assert apart.max() == 0


@pytest.mark.parametrize("name", ["BDPARCELLAIRE", "SCAN1000", "JPEGS", "PACKED"])
@pytest.mark.parametrize("way", ["keys", "path"])
def test_wmts(server: TileServer, small: Path, name: str, way: str) -> None:
    path = small / f"{name}.json" if (small / f"{name}.json").exists() else shared(f"rok4/golden/{name}.json")
    pyramid = fastpyr.open(path)
    url = "/wmts/1.0.0/WMTSCapabilities.xml" if way == "path" else "/wmts?SERVICE=WMTS&REQUEST=GetCapabilities"
    with _opened(f"WMTS:{server.url}{url},layer={name}") as dataset:
        _same(dataset, pyramid, pyramid.levels[0])


def test_wmts_of_heights(server: TileServer) -> None:
    """An NNGRAPH grid with float32 samples, described to GDAL as such."""
    pyramid = fastpyr.open(shared("rok4/golden/RGEALTI.json"))
    text = (
        f"<GDAL_WMTS><GetCapabilitiesUrl>{server.url}/wmts/1.0.0/WMTSCapabilities.xml</GetCapabilitiesUrl>"
        "<Layer>RGEALTI</Layer><BandsCount>1</BandsCount><DataType>Float32</DataType></GDAL_WMTS>"
    )
    with _opened(text) as dataset:
        if dataset.dtypes[0] != "float32":
            pytest.skip("this GDAL reads WMTS as bytes only")
        _same(dataset, pyramid, pyramid.levels[0])


@pytest.mark.parametrize("name", ["SCAN1000", "JPEGS"])
def test_osgeo_tms(server: TileServer, small: Path, name: str) -> None:
    """The resource of a tile map, opened by its URL."""
    path = small / f"{name}.json" if (small / f"{name}.json").exists() else shared(f"rok4/golden/{name}.json")
    pyramid = fastpyr.open(path)
    with _opened(f"{server.url}/tms/1.0.0/{name}") as dataset:
        _same(dataset, pyramid, pyramid.levels[0])


def test_xyz(server: TileServer) -> None:
    pyramid = fastpyr.open(shared("rok4/golden/SCAN1000.json"))
    level = pyramid.levels[0]
    world = 20037508.3427892
    url = f"{server.url}/xyz/SCAN1000/${{z}}/${{x}}/${{y}}"
    text = f"""<GDAL_WMS><Service name="TMS"><ServerUrl>{url}</ServerUrl></Service>
        <DataWindow><UpperLeftX>-{world}</UpperLeftX><UpperLeftY>{world}</UpperLeftY><LowerRightX>{world}</LowerRightX>
        <LowerRightY>-{world}</LowerRightY><TileLevel>{level.id}</TileLevel><TileCountX>1</TileCountX>
        <TileCountY>1</TileCountY><YOrigin>top</YOrigin></DataWindow><Projection>EPSG:3857</Projection>
        <BlockSizeX>256</BlockSizeX><BlockSizeY>256</BlockSizeY><BandsCount>4</BandsCount>
        <ZeroBlockHttpCodes>204,404</ZeroBlockHttpCodes></GDAL_WMS>"""
    with _opened(text) as dataset:
        _same(dataset, pyramid, level)


def test_single_tiles_are_rasters(server: TileServer) -> None:
    """A tile of heights is a TIFF that GDAL reads from its URL."""
    pyramid = fastpyr.open(shared("rok4/golden/RGEALTI.json"))
    level = pyramid.levels[0]
    col, row = level.limits.min_col, level.limits.min_row
    expected = pyramid.tile(level, col, row)
    assert expected is not None
    answer = server.get(f"/tiles/RGEALTI/{level.id}/{col}/{row}.tif")
    with rasterio.MemoryFile(answer.body) as memory, memory.open() as dataset:
        assert np.array_equal(dataset.read(1), expected[..., 0])
