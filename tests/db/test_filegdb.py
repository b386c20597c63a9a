"""File geodatabases that we write, read by GDAL's own raster decoder: the oracle of the block codec."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

pytest.importorskip("pyogrio")

from fastpyr.db.blocks import BlockGrid, Window, assemble, cut_blocks
from fastpyr.db.codec import BlockCodec, Compression
from fastpyr.db.filegdb import FileGdbBlock, Gdal, block_key, export_filegdb
from fastpyr.db.pixels import PixelType
from fastpyr.db.pyramid_kernels import Method, parent_block
from fastpyr.errors import ConfigError, StoreError

pytestmark = pytest.mark.filterwarnings("ignore:Cannot get SRS")  # GDAL's, where there is none

TYPES = list(PixelType)
WKT = (
    'PROJCS["RGF93",GEOGCS["RGF93",DATUM["RGF93",SPHEROID["GRS 1980",6378137,298.257222101]],PRIMEM["Greenwich",0],'
    + (
        'UNIT["degree",0.0174532925199433]],PROJECTION["Lambert_Conformal_Conic_2SP"],PARAMETER["latitude_of_origin",46.5],'
        'PARAMETER["central_meridian",3],PARAMETER["standard_parallel_1",49],PARAMETER["standard_parallel_2",44],'
        'PARAMETER["false_easting",700000],PARAMETER["false_northing",6600000],UNIT["metre",1]]'
    )
)
GDAL_TYPES = {"u1": 1, "i1": 14, "u2": 2, "i2": 3, "u4": 4, "i4": 5, "f4": 6, "f8": 7}


class Opened:
    """A raster of a file geodatabase as GDAL sees it."""

    def __init__(self, path, name):
        self.library = Gdal().library
        self.library.GDALOpenEx.restype = ctypes.c_void_p
        handle = self.library.GDALOpenEx(f'OpenFileGDB:"{path}":{name}'.encode(), 2, None, None, None)
        assert handle, Gdal().last_error()
        self.handle = ctypes.c_void_p(handle)

    def band(self, number, overview=None, mask=False):
        library = self.library
        for function in ("GDALGetRasterBand", "GDALGetOverview", "GDALGetMaskBand"):
            getattr(library, function).restype = ctypes.c_void_p
        band = ctypes.c_void_p(library.GDALGetRasterBand(self.handle, number))
        if overview is not None:
            band = ctypes.c_void_p(library.GDALGetOverview(band, overview))
        return ctypes.c_void_p(library.GDALGetMaskBand(band)) if mask else band

    def read(self, dtype, number=1, overview=None, mask=False):
        band = self.band(number, overview, mask)
        width, height = self.library.GDALGetRasterBandXSize(band), self.library.GDALGetRasterBandYSize(band)
        out = np.empty((height, width), dtype)
        kind = GDAL_TYPES[np.dtype(dtype).str[1:]]
        place = out.ctypes.data_as(ctypes.c_void_p)
        assert self.library.GDALRasterIO(band, 0, 0, 0, width, height, place, width, height, kind, 0, 0) == 0
        return out

    def overviews(self):
        return self.library.GDALGetOverviewCount(self.band(1))

    def transform(self):
        numbers = (ctypes.c_double * 6)()
        self.library.GDALGetGeoTransform(self.handle, numbers)
        return list(numbers)

    def wkt(self):
        self.library.GDALGetProjectionRef.restype = ctypes.c_char_p
        return self.library.GDALGetProjectionRef(self.handle).decode()

    def close(self):
        self.library.GDALClose(self.handle)


@pytest.fixture
def opened():
    rasters = []

    def open_raster(path, name="r"):
        rasters.append(Opened(path, name))
        return rasters[-1]

    yield open_raster
    for raster in rasters:
        raster.close()


def any_image(rng, pixel_type, shape):
    if not pixel_type.is_integer:
        return rng.normal(0, 100, shape).astype(pixel_type.dtype)
    return rng.integers(pixel_type.least, pixel_type.most, shape, endpoint=True, dtype=np.int64).astype(
        pixel_type.dtype
    )


def encoded(image, mask, window, codec, band=1):
    parts = cut_blocks(image, mask, window, codec.block_width, codec.block_height)
    rows = [(row, col, codec.encode(block, valid)) for row, col, block, valid in parts]
    return [FileGdbBlock(band, 0, row, col, data) for row, col, data in rows if data is not None]


@pytest.mark.parametrize("block", [(8, 8), (5, 7)], ids=lambda b: f"{b[0]}x{b[1]}")
@pytest.mark.parametrize("compression", [Compression.NONE, Compression.LZ77], ids=lambda c: c.value)
@pytest.mark.parametrize("with_mask", [False, True], ids=["whole", "holes"])
@pytest.mark.parametrize("pixel_type", TYPES, ids=lambda t: t.value)
def test_gdal_reads_what_we_write(tmp_path, opened, pixel_type, compression, with_mask, block) -> None:
    """A missing block too: its pixels are nodata."""
    rng = np.random.default_rng(8)
    image = any_image(rng, pixel_type, (18, 21))
    valid = rng.random(image.shape) < 0.8 if with_mask else np.ones(image.shape, bool)
    if with_mask:
        valid[: block[1], : block[0]] = False
    grid = BlockGrid(1000.25, 2000.75, 0.5, 0.5, *block, 21, 18)
    codec = BlockCodec(pixel_type, *block, compression)
    rows = encoded(image, np.where(valid, 255, 0).astype(np.uint8), grid.window, codec)
    assert ((1, 0, 0, 0) in {row[:4] for row in rows}) == (not with_mask)
    export_filegdb(tmp_path / "x.gdb", "r", grid, pixel_type, compression, 1, rows, WKT)
    raster = opened(tmp_path / "x.gdb")
    np.testing.assert_array_equal(raster.read(pixel_type.dtype)[valid], image[valid])
    np.testing.assert_array_equal(raster.read(np.uint8, mask=True), np.where(valid, 255, 0))
    assert raster.transform() == [1000.0, 0.5, 0.0, 2001.0, 0.0, -0.5]
    assert "Lambert_Conformal_Conic_2SP" in raster.wkt()


@pytest.mark.parametrize("with_mask", [False, True])
def test_gdal_reads_jpeg_as_we_do(tmp_path, opened, with_mask) -> None:
    y, x = np.mgrid[:40, :48]
    image = np.clip(120 + 60 * np.sin(x / 9) + 40 * np.cos(y / 7), 0, 255).astype(np.uint8)
    mask = np.where(x > y, 255, 0).astype(np.uint8) if with_mask else None
    grid = BlockGrid(0.0, 0.0, 1.0, 1.0, 16, 8, 48, 40)
    codec = BlockCodec(PixelType.U8, 16, 8, Compression.JPEG, 90)
    rows = encoded(image, mask, grid.window, codec)
    export_filegdb(tmp_path / "x.gdb", "r", grid, PixelType.U8, Compression.JPEG, 1, rows)
    raster = opened(tmp_path / "x.gdb")
    ours = {(row, col): codec.decode(data) for _, _, row, col, data in rows}
    pixels, valid = assemble(lambda row, col: ours.get((row, col)), grid.window, 16, 8, np.uint8)
    good = np.ones(image.shape, bool) if valid is None else valid != 0
    np.testing.assert_array_equal(raster.read(np.uint8)[good], pixels[good])
    np.testing.assert_array_equal(raster.read(np.uint8, mask=True), np.where(good, 255, 0))


def test_overviews_and_bands(tmp_path, opened) -> None:
    rng = np.random.default_rng(5)
    grid, codec = BlockGrid(0.5, 63.5, 1.0, 1.0, 16, 16, 96, 64), BlockCodec(PixelType.U16, 16, 16)
    rows, images, levels = [], [], grid.levels()
    assert levels == (0, 1, 2, 3)
    for band in (1, 2):
        images.append(any_image(rng, PixelType.U16, (64, 96)))
        rows += encoded(images[-1], None, grid.window, codec, band)
        known = {(0, row, col): codec.decode(data) for number, _, row, col, data in rows if number == band}
        for level in levels[1:]:
            for row in grid.level(level).blocks()[0]:
                for col in grid.level(level).blocks()[1]:
                    below = lambda r, c, known=known, level=level: known.get((level - 1, r, c))  # noqa: E731
                    made = parent_block(below, row, col, (16, 16), PixelType.U16, Method.BILINEAR)
                    known[level, row, col] = made
                    rows.append(FileGdbBlock(band, level, row, col, codec.encode(*made)))
    export_filegdb(tmp_path / "x.gdb", "r", grid, PixelType.U16, Compression.LZ77, 2, rows)
    raster = opened(tmp_path / "x.gdb")
    assert raster.overviews() == 3
    for band, image in enumerate(images, 1):
        np.testing.assert_array_equal(raster.read(np.uint16, band), image)
        mean = image.astype(np.float64)
        for level in (1, 2):
            mean = np.floor(mean.reshape(mean.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3)) + 0.5)
            np.testing.assert_array_equal(raster.read(np.uint16, band, level - 1), mean)


def test_rasters_that_have_grown(tmp_path, opened) -> None:
    rng = np.random.default_rng(6)
    grid = BlockGrid(100.0, 200.0, 2.0, 2.0, 8, 8, 30, 25, -16, -8)
    image, codec = any_image(rng, PixelType.S16, (25, 30)), BlockCodec(PixelType.S16, 8, 8)
    rows = encoded(image, None, grid.window, codec)
    assert min(row.col for row in rows) == -2
    export_filegdb(tmp_path / "x.gdb", "r", grid, PixelType.S16, Compression.LZ77, 1, rows)
    raster = opened(tmp_path / "x.gdb")
    np.testing.assert_array_equal(raster.read(np.int16), image)
    assert raster.transform()[::3] == [grid.extent.left, grid.extent.top]


def test_keys() -> None:
    assert block_key(1, 0, 0, 0) == "000000010000000000"
    assert block_key(2, 3, -1, 255) == "0000000203-000100FF"
    assert block_key(2, 3, 17, -2) == "00000002030011-0002"


def test_exports_that_cannot_be(tmp_path) -> None:
    grid = BlockGrid(0.0, 0.0, 1.0, 1.0, 8, 8, 16, 16)
    grown = grid.grown(Window(-8, 0, 0, 8))
    block = BlockCodec(PixelType.U8, 8, 8).encode(np.zeros((8, 8), np.uint8))

    def export(name="x.gdb", on=grid, rows=(), wkt=""):
        export_filegdb(tmp_path / name, "r", on, PixelType.U8, Compression.LZ77, 1, rows, wkt)

    wrong = [
        ({"name": "x.tif"}, "ends with .gdb"),
        ({"on": BlockGrid(0, 0, 1, 1, 8, 8, 1, 9)}, "one pixel wide"),
        ({"rows": [FileGdbBlock(2, 0, 0, 0, block)], "name": "a.gdb"}, "band 2"),
        ({"rows": [FileGdbBlock(1, 0, 70000, 0, block)], "name": "b.gdb"}, "keys hold 65535"),
        ({"rows": [FileGdbBlock(1, 2, 0, 0, block)], "name": "c.gdb"}, r"levels \[0, 2\]"),
        ({"rows": [FileGdbBlock(1, 1, 0, 0, block)], "on": grown, "name": "d.gdb"}, "first pixel at the block origin"),
    ]
    for arguments, message in wrong:
        with pytest.raises(ConfigError, match=message):
            export(**arguments)
    with pytest.raises(ConfigError, match="a letter first"):
        export_filegdb(tmp_path / "x.gdb", "r;", grid, PixelType.U8, Compression.LZ77, 1, [])
    assert not list(tmp_path.iterdir())
    with pytest.raises(StoreError, match="GDAL cannot write the file geodatabase"):
        export(name="missing/x.gdb")


def test_stored_raster(url, tmp_path, opened):
    """Out of a database, mosaicked to the left: rows as they are, base only; before that with its overviews."""
    pytest.importorskip("sqlalchemy")
    from fastpyr.db import ArrayInput, Geodatabase
    from fastpyr.db.export import export_filegdb_raster

    pixels = np.random.default_rng(4).integers(0, 9000, (100, 120), np.uint16)
    mask = np.full(pixels.shape, 255, np.uint8)
    mask[:40, 50:] = 0
    with Geodatabase.create(url) as database:
        source = ArrayInput(pixels, transform=(2, 0, 1000, 0, -2, 5000), crs="EPSG:2154", mask=mask)
        dataset = database.import_raster(source, "world", block=32)
        assert export_filegdb_raster(dataset, tmp_path / "a.gdb") == dataset.levels
        found = opened(tmp_path / "a.gdb", "world")
        assert (found.read(np.uint8, mask=True) == mask).all()
        assert (found.read(np.uint16)[mask != 0] == pixels[mask != 0]).all()
        coarse, valid = dataset.read(level=1)
        assert (found.read(np.uint16, overview=0)[valid != 0] == coarse[..., 0][valid != 0]).all()
        dataset.mosaic(ArrayInput(pixels[:9, :9] + 1, transform=(2, 0, 980, 0, -2, 5010), crs="EPSG:2154"))
        assert export_filegdb_raster(dataset, tmp_path / "b.gdb") == (0,)
        grown, known = dataset.read()
        whole = opened(tmp_path / "b.gdb", "world").read(np.uint16)
        assert whole.shape == (132, 152), "GDAL shows whole blocks above and left of the origin"
        again = whole[132 - 105 :, 152 - 130 :]
        assert (again[known != 0] == grown[..., 0][known != 0]).all()
