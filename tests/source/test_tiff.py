"""Blocks of plain TIFF files read without GDAL: equal to what rasterio reads, and stricter about damage."""

from __future__ import annotations

import itertools
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastpyr.errors import SourceError
from fastpyr.source import open_source
from fastpyr.source import tiff as direct
from fastpyr.source.tiff import TiffBlocks, tiff_blocks

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

TILED = {"tiled": True, "blockxsize": 64, "blockysize": 48}
STRIPED = {"blockysize": 7}
WORLD = "0.5\n0\n0\n-0.5\n600000.25\n6599999.75\n"


def blocks_of(path: Path) -> TiffBlocks | None:
    with rasterio.open(path) as dataset:
        return tiff_blocks(path, dataset)


def check(path: Path, expected: bool = True) -> None:
    """Whether the file is read directly, and that every window is what rasterio reads."""
    blocks = blocks_of(path)
    assert (blocks is not None) == expected
    with rasterio.open(path) as dataset:
        wanted = dataset.read().transpose(1, 2, 0)
    height, width = wanted.shape[:2]
    source = open_source(path, "EPSG:2154")
    for window in ((0, 0, width, height), (0, height // 3, width, height), (width // 2, 0, width, (height + 1) // 2)):
        x0, y0, x1, y1 = window
        np.testing.assert_array_equal(source.read(*window)[0], wanted[y0:y1, x0:x1])
        if blocks is not None:
            out = np.empty((y1 - y0, x1 - x0, wanted.shape[2]), wanted.dtype)
            assert blocks.read(x0, y0, out), "left to GDAL"
            np.testing.assert_array_equal(out, wanted[y0:y1, x0:x1])
            blocks.close()


CODECS = [("none", 1), ("deflate", 1), ("deflate", 2), ("zstd", 1), ("zstd", 2)]


@pytest.mark.parametrize("layout", [TILED, STRIPED], ids=["tiled", "striped"])
@pytest.mark.parametrize(("compress", "predictor"), CODECS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_uint8(write, picture, layout, compress, predictor, channels):
    for height, width in ((1, 1), (48, 64), (131, 157)):
        pixels = picture(height, width, channels)
        check(write("a.tif", pixels, compress=compress, predictor=predictor, **layout))


@pytest.mark.parametrize("layout", [TILED, STRIPED], ids=["tiled", "striped"])
@pytest.mark.parametrize(("compress", "predictor"), [*CODECS, ("deflate", 3), ("zstd", 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_float32(write, picture, layout, compress, predictor, channels):
    pixels = picture(131, 157, channels, "float32") * np.float32(1.7)
    pixels[3, 5] = -np.inf
    check(write("a.tif", pixels, compress=compress, predictor=predictor, **layout))


@pytest.mark.parametrize(
    "options", [{"bigtiff": "yes"}, {"endianness": "big"}, {"bigtiff": "yes", "endianness": "big"}]
)
@pytest.mark.parametrize("layout", [TILED, STRIPED], ids=["tiled", "striped"])
def test_big_tiff_and_big_endian_indexes(write, picture, layout, options):
    for compress in ("none", "deflate"):
        check(write("a.tif", picture(100, 150), compress=compress, **options, **layout))


@pytest.mark.parametrize(
    ("channels", "dtype", "options"),
    [
        (3, "uint8", {"interleave": "band", "compress": "deflate"}),
        (3, "float32", {"endianness": "big"}),
        (3, "uint8", {"compress": "lzw", "predictor": 2}),
        (3, "uint8", {"compress": "jpeg", "photometric": "ycbcr"}),
        (1, "uint8", {"compress": "packbits"}),
        (1, "uint8", {"nbits": 1, "compress": "deflate"}),
    ],
    ids=["band", "big-endian-float", "lzw", "jpeg", "packbits", "bits"],
)
def test_left_to_gdal(write, picture, channels, dtype, options):
    pixels = picture(100, 150, channels, dtype)
    if "nbits" in options:
        pixels //= 128
    path = write("a.tif", pixels, **TILED, **options)
    assert blocks_of(path) is None
    source = open_source(path)
    with rasterio.open(path) as dataset:
        wanted = dataset.read().transpose(1, 2, 0)
    np.testing.assert_array_equal(source.read(0, 0, 150, 100)[0], wanted * (255 if "nbits" in options else 1))


def test_one_band_files_are_plain_whatever_their_interleaving(write, picture):
    check(write("a.tif", picture(70, 90, 1), interleave="band", compress="deflate", **TILED))


def test_the_switch(write, picture, monkeypatch):
    path = write("a.tif", picture(20, 20))
    assert blocks_of(path) is not None
    monkeypatch.setenv("FASTPYR_DISABLE_DIRECT_TIFF", "1")
    assert blocks_of(path) is None


@pytest.mark.parametrize("options", [{"predictor": 2}, {"tile": (48, 64)}, {"photometric": "miniswhite"}, {}], ids=str)
@pytest.mark.parametrize("byteorder", "<>")
def test_files_of_another_writer(tmp_path, picture, options, byteorder):
    """tifffile: other tag order, and a last strip that may be stored whole."""
    pixels = picture(101, 130, 1 if "photometric" in options else 3)
    path = tmp_path / "a.tif"
    rows = {} if "tile" in options else {"rowsperstrip": 16}
    given = {"compression": "zlib", "photometric": "rgb"} | rows | options
    squeezed = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    tifffile.imwrite(path, squeezed, byteorder=byteorder, metadata=None, **given)
    path.with_suffix(".tfw").write_text(WORLD)
    check(path)


def test_raw_samples_in_one_giant_strip(tmp_path, picture):
    """GDAL tells of smaller strips than the file has."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(300, 500), rowsperstrip=300, photometric="rgb", metadata=None)
    path.with_suffix(".tfw").write_text(WORLD)
    check(path)


def test_palette_and_masks(write, picture):
    """The table and the sibling mask are applied to directly read samples."""
    indexes = picture(80, 90, 1) % 8
    path = write("a.tif", indexes, colormap={n: (n * 30, 255 - n, n, 255) for n in range(8)}, compress="deflate")
    assert blocks_of(path) is not None
    write("a.msk", np.where(indexes > 3, 255, 0).astype(np.uint8))
    pixels, mask = open_source(path).read(3, 5, 60, 70)
    part = indexes[5:70, 3:60, 0].astype(int)
    np.testing.assert_array_equal(pixels, np.stack([part * 30, 255 - part, part], axis=2))
    np.testing.assert_array_equal(mask, np.where(part > 3, 255, 0))


def test_internal_masks_are_read(write, picture, tmp_path):
    path = write("a.tif", picture(80, 90), compress="deflate")
    valid = picture(80, 90, 1)[:, :, 0] > 120
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(valid)
    np.testing.assert_array_equal(open_source(path).read(0, 0, 90, 80)[1], valid * np.uint8(255))


@pytest.mark.parametrize("nodata", [None, 9], ids=str)
def test_missing_blocks_are_left_to_gdal(write, picture, nodata):
    pixels = np.full((150, 200, 3), nodata or 0, np.uint8)
    pixels[:48, :64] = picture(48, 64)
    path = write("a.tif", pixels, compress="deflate", nodata=nodata, SPARSE_OK=True, **TILED)
    blocks = blocks_of(path)
    assert blocks.read(0, 0, np.empty((48, 64, 3), np.uint8))
    assert not blocks.read(0, 0, np.empty((48, 65, 3), np.uint8))
    np.testing.assert_array_equal(open_source(path).read(0, 0, 200, 150)[0], pixels)


SHAPE = (97, 143, 3)


@pytest.fixture(scope="module")
def many_layouts(tmp_path_factory):
    """Files of the same pixels stored in all ways, and the pixels."""
    folder = tmp_path_factory.mktemp("layouts")
    pixels = np.random.default_rng(1).integers(0, 256, SHAPE, np.uint8)
    found = []
    for (compress, predictor), layout in itertools.product(CODECS, (TILED, STRIPED)):
        path = folder / f"{compress}{predictor}{len(layout)}.tif"
        profile = {"driver": "GTiff", "height": SHAPE[0], "width": SHAPE[1], "count": 3, "dtype": "uint8"}
        with rasterio.open(path, "w", compress=compress, predictor=predictor, **profile, **layout) as dataset:
            dataset.write(pixels.transpose(2, 0, 1))
        found.append(blocks_of(path))
    return found, pixels


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_window(many_layouts, data):
    found, pixels = many_layouts
    x0, y0 = data.draw(st.integers(0, SHAPE[1] - 1)), data.draw(st.integers(0, SHAPE[0] - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, SHAPE[1])), data.draw(st.integers(y0 + 1, SHAPE[0]))
    blocks = data.draw(st.sampled_from(found))
    out = np.empty((y1 - y0, x1 - x0, 3), np.uint8)
    assert blocks.read(x0, y0, out)
    np.testing.assert_array_equal(out, pixels[y0:y1, x0:x1])


def test_many_threads(write, picture):
    pixels = picture(400, 600)
    source = open_source(write("a.tif", pixels, compress="deflate", predictor=2, **TILED))
    rng = np.random.default_rng(3)
    corners = [(int(rng.integers(0, 500)), int(rng.integers(0, 300))) for _ in range(300)]

    def same(corner: tuple[int, int]) -> bool:
        x, y = corner
        return np.array_equal(source.read(x, y, x + 100, y + 100)[0], pixels[y : y + 100, x : x + 100])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(same, corners))


def place_of(path: Path, x: int, y: int) -> tuple[int, int]:
    with rasterio.open(path) as dataset:
        return tuple(int(dataset.get_tag_item(f"BLOCK_{k}_{x}_{y}", "TIFF", bidx=1)) for k in ("OFFSET", "SIZE"))


def patch(path: Path, at: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def noise(height, width, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


SIZE = 48 * 64 * 3


@pytest.mark.parametrize(
    ("compress", "stream", "reason"),
    [
        ("deflate", zlib.compress(bytes(SIZE - 1)), f"its deflate stream holds {SIZE - 1} bytes instead of {SIZE}"),
        ("deflate", zlib.compress(bytes(SIZE + 1)), f"its deflate stream holds more than {SIZE} bytes"),
        ("deflate", zlib.compress(bytes(1 << 22), 9), f"its deflate stream holds more than {SIZE} bytes"),
        ("deflate", zlib.compress(bytes(SIZE))[:-1] + b"\x55", "damaged deflate data"),
        ("deflate", zlib.compress(bytes(range(256)) * 36)[:200] + bytes(500), "damaged deflate data"),
        ("deflate", b"\xff" * 300, "damaged deflate data"),
        ("zstd", imagecodecs.zstd_encode(bytes(SIZE - 1)), f"its zstd stream holds {SIZE - 1} bytes instead of {SIZE}"),
        ("zstd", imagecodecs.zstd_encode(bytes(SIZE + 1)), f"its zstd stream holds more than {SIZE} bytes"),
        ("zstd", imagecodecs.zstd_encode(bytes(1 << 26)), f"its zstd stream holds more than {SIZE} bytes"),
        ("zstd", b"\xff" * 300, "damaged zstd data"),
    ],
    ids=["short", "long", "bomb", "checksum", "middle", "junk", "zshort", "zlong", "zbomb", "zjunk"],
)
def test_damaged_blocks_are_named(write, compress, stream, reason):
    path = write("a.tif", noise(100, 150), compress=compress, **TILED)
    offset, size = place_of(path, 1, 1)
    assert len(stream) <= size
    if compress == "zstd":  # nothing may follow a zstd frame
        blocks = blocks_of(path)
        patch(path, blocks.sizes.position + 4 * blocks.sizes.size, struct.pack(blocks.sizes.code, len(stream)))
    patch(path, offset, stream)
    source = open_source(path)
    source.read(0, 0, 64, 100)
    with pytest.raises(SourceError) as caught:
        source.read(0, 0, 150, 100)
    assert str(caught.value) == (
        f"{path}: block (1, 1), rows 48-95, columns 64-127, cannot be decoded ({reason}): "
        "the file is damaged or incomplete, deliver it again"
    )
    source.read(0, 0, 150, 48)


def test_a_damaged_strip_is_named(write):
    path = write("a.tif", noise(100, 150), compress="deflate", blockysize=1)
    offset, size = place_of(path, 0, 40)
    patch(path, offset, b"\xff" * size)
    with pytest.raises(SourceError, match=r"a\.tif: block \(0, 40\), row 40, cannot be decoded \(damaged deflate"):
        open_source(path).read(0, 0, 150, 100)


def test_a_last_strip_that_is_filled_up(write):
    """Sixteen rows a strip, 100 rows: some writers store the last one with 16 rows, all others must not."""
    pixels = noise(100, 50)
    path = write("a.tif", np.concatenate([pixels, pixels[:12]]), compress="deflate", blockysize=16)
    blocks = blocks_of(path)
    height = path.read_bytes().index(struct.pack("<HHI", 257, 3, 1)) + 8
    patch(path, height, struct.pack("<H", 100))
    source = open_source(path)
    np.testing.assert_array_equal(source.read(0, 0, 50, 100)[0], pixels)
    assert blocks_of(path).read(0, 90, np.empty((10, 50, 3), np.uint8))
    assert blocks.rows == 16


@pytest.mark.parametrize("offset", [0, 1 << 31, 2**32 - 1])
def test_blocks_beyond_the_file_are_left_to_gdal(write, offset):
    path = write("a.tif", noise(100, 150), compress="deflate", **TILED)
    blocks = blocks_of(path)
    patch(path, blocks.offsets.position, struct.pack("<I", offset))
    assert not blocks.read(0, 0, np.empty((48, 64, 3), np.uint8))
    assert blocks.read(64, 0, np.empty((48, 64, 3), np.uint8))


def test_implausible_sizes_are_left_to_gdal(write):
    """A raw block with a byte missing, and a stream as long as the file."""
    for compress in ("none", "deflate"):
        path = write("a.tif", noise(400, 1500), compress=compress, **TILED)
        blocks = blocks_of(path)
        size = SIZE - 1 if compress == "none" else path.stat().st_size // 2
        patch(path, blocks.sizes.position, struct.pack(blocks.sizes.code, size))
        assert not blocks.read(0, 0, np.empty((48, 64, 3), np.uint8))


def test_a_file_that_changed_is_left_to_gdal(write, picture):
    path = write("a.tif", picture(100, 150))
    blocks = blocks_of(path)
    with open(path, "ab") as file:
        file.write(b"more")
    assert not blocks.read(0, 0, np.empty((48, 64, 3), np.uint8))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_hostile_headers(tmp_path_factory, data):
    """Any bytes in the directory: what is still described lies within the file, or reading leaves it to GDAL."""
    folder = tmp_path_factory.getbasetemp() / "hostile"
    folder.mkdir(exist_ok=True)
    path = folder / "a.tif"
    big = data.draw(st.booleans())
    tifffile.imwrite(path, noise(20, 30), bigtiff=big, rowsperstrip=8, compression="zlib", metadata=None)
    with rasterio.open(path) as dataset:
        header = bytearray(path.read_bytes())
        limit = 250 if big else 200
        for _ in range(data.draw(st.integers(1, 6))):
            header[data.draw(st.integers(0, limit))] = data.draw(st.integers(0, 255))
        path.write_bytes(header)
        blocks = tiff_blocks(path, dataset)
    if blocks is not None:
        out = np.zeros((20, 30, 3), np.uint8)
        with suppress(SourceError):
            blocks.read(0, 0, out)
        blocks.close()


def test_memory_of_a_thread_is_bounded(write):
    """Buffers for blocks of more than a few MiB are not kept."""
    pixels = np.zeros((1800, 2000, 3), np.uint8)
    source = open_source(write("a.tif", pixels, compress="deflate", blockysize=1800))
    source.read(0, 0, 2000, 1800)
    assert sum(kept.nbytes for kept in direct._buffers.of.values()) <= 2 * direct._KEPT


@pytest.mark.parametrize("layout", [{"tiled": True, "blockxsize": 256, "blockysize": 256}, {"blockysize": 90}])
@pytest.mark.parametrize("broken", [0, 1, 2])
def test_dense_blocks_are_read_two_at_once(tmp_path, layout, broken):
    """Noise: streams as long as the pixels. One of three is damaged in another file, and named."""
    pixels = np.random.default_rng(7).normal(128, 25, (256, 700, 3)).astype(np.uint8)
    path = tmp_path / "dense.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=700, height=256, count=3, dtype="uint8", compress="deflate", predictor=2,
        crs="EPSG:2154", transform=rasterio.transform.from_origin(6e5, 6.6e6, 1, 1), **layout,
    ) as file:  # fmt: skip
        file.write(pixels.transpose(2, 0, 1))
    check(path)
    with tifffile.TiffFile(path) as tiff:
        start, size = tiff.pages[0].dataoffsets[broken], tiff.pages[0].databytecounts[broken]
    data = bytearray(path.read_bytes())
    data[start + size // 2] ^= 0xFF
    path.write_bytes(data)
    blocks = blocks_of(path)
    with pytest.raises(SourceError, match=r"dense\.tif: block .*damaged deflate data|dense\.tif.*deflate"):
        blocks.read(0, 0, np.empty_like(pixels))
