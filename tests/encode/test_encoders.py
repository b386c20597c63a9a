"""Encoders against the libraries that know the formats: Pillow, zlib, tifffile's codecs by way of imagecodecs."""

from __future__ import annotations

import io
import struct
import threading
import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fastpyr.encode import MASK_PIXELS, decode_tile, encoder, mask_encoder
from fastpyr.errors import EncodeError
from fastpyr.formats import TILE_FORMATS, Compression, PixelFormat, SampleType, TileFormat

FORMATS = [
    PixelFormat.of(fmt, channels)
    for fmt in TILE_FORMATS
    for channels in ((3,) if fmt.compression.is_lossy else (1, 2, 3, 4))
]
UINT8 = [fmt for fmt in FORMATS if fmt.format.sample is SampleType.UINT8]
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def name(value: object) -> str:
    return f"{value.format}-{value.channels}" if isinstance(value, PixelFormat) else str(value)


def of(compression: str, channels: int = 3, sample: str = "UINT8") -> PixelFormat:
    return PixelFormat.of(TileFormat(Compression(compression), SampleType(sample)), channels)


def scene(fmt: PixelFormat, height: int, width: int, kind: str = "smooth") -> np.ndarray:
    shape = (height, width, fmt.channels)
    rng = np.random.default_rng(3)
    if kind == "noise":
        values = rng.integers(0, 256, shape)
    elif kind == "constant":
        values = np.broadcast_to(np.arange(fmt.channels) * 40 + 17, shape)
    else:
        y, x = np.mgrid[:height, :width]
        values = ((x + 3 * y) // 2)[..., None] % 200 + rng.integers(0, 4, shape)
    return (values * 0.7).astype(np.float32) if fmt.dtype == "float32" else values.astype(np.uint8)


def decode_by_others(fmt: PixelFormat, data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels as libraries that we did not write see them."""
    compression = fmt.format.compression
    if compression.is_lossy or compression is Compression.PNG:
        return np.asarray(Image.open(io.BytesIO(data))).reshape(shape)
    raw = {
        Compression.RAW: bytes,
        Compression.ZIP: zlib.decompress,
        Compression.LZW: imagecodecs.lzw_decode,
        Compression.PKB: imagecodecs.packbits_decode,
    }[compression](data)
    return np.frombuffer(raw, fmt.dtype).reshape(shape)


@pytest.mark.parametrize("kind", ["smooth", "noise", "constant"])
@pytest.mark.parametrize("fmt", FORMATS, ids=name)
def test_pixels_survive(fmt: PixelFormat, kind: str) -> None:
    tile = scene(fmt, 48, 48, kind)
    data = encoder(fmt, 48, 48).encode(tile)
    theirs = decode_by_others(fmt, data, tile.shape)
    ours = decode_tile(fmt, fmt.channels, 48, 48, data)
    assert ours.flags.writeable
    assert ours.dtype == tile.dtype
    np.testing.assert_array_equal(ours, theirs)
    if not fmt.format.compression.is_lossy:
        np.testing.assert_array_equal(ours, tile)


@pytest.mark.parametrize("kind", ["smooth", "noise", "constant"])
@pytest.mark.parametrize(("compression", "quality"), [("JPG", 75), ("JPG90", 90)])
@pytest.mark.parametrize("size", [(256, 256), (20, 20), (33, 17), (1, 1)])
def test_jpeg_is_pillow_byte_for_byte(compression: str, quality: int, kind: str, size: tuple[int, int]) -> None:
    fmt = of(compression)
    block = scene(fmt, size[0] * 2, size[1] * 2, kind)
    tiles = encoder(fmt, size[1], size[0]).encode_block(block)
    for y in range(2):
        for x in range(2):
            file = io.BytesIO()
            tile = block[y * size[0] : (y + 1) * size[0], x * size[1] : (x + 1) * size[1]]
            Image.fromarray(np.ascontiguousarray(tile)).save(file, "JPEG", quality=quality, subsampling=2)
            assert tiles[y][x] == file.getvalue()


@pytest.mark.parametrize("level", [1, 2, 3, 6, 12])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_structure(channels: int, level: int) -> None:
    fmt = of("PNG", channels)
    tile = scene(fmt, 64, 64)
    data = encoder(fmt, 64, 64, level).encode(tile)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data[8:29] == struct.pack(">I4sIIBBBBB", 13, b"IHDR", 64, 64, 8, colour, 0, 0, 0)
    assert struct.unpack_from(">I", data, 29)[0] == zlib.crc32(data[12:29])
    (length,) = struct.unpack_from(">I", data, 33)
    assert data[37:41] == b"IDAT"
    assert len(data) == 41 + length + 4 + 12
    assert struct.unpack_from(">I", data, 41 + length)[0] == zlib.crc32(data[37 : 41 + length])
    assert data[-12:] == struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
    # What the tile server inflates: everything between these two places, by position alone.
    stream = zlib.decompressobj()
    rows = np.frombuffer(stream.decompress(data[41:-16]), np.uint8).reshape(64, -1)
    assert stream.eof
    assert not stream.unused_data
    assert not rows[:, 0].any()
    np.testing.assert_array_equal(rows[:, 1:].reshape(tile.shape), tile)
    image = Image.open(io.BytesIO(data))
    assert image.mode == MODES[channels]
    assert image.info == {}


def test_zip_is_one_zlib_stream_and_nothing_else() -> None:
    fmt = of("ZIP")
    for level in (1, 2, 3, 9):
        data = encoder(fmt, 64, 64, level).encode(scene(fmt, 64, 64))
        assert data[0] == 0x78
        assert (data[0] * 256 + data[1]) % 31 == 0
        stream = zlib.decompressobj()
        raw = stream.decompress(data)
        assert stream.eof
        assert not stream.unused_data
        assert int.from_bytes(data[-4:], "big") == zlib.adler32(raw)


def test_levels_trade_time_for_size() -> None:
    fmt = of("PNG")
    tile = scene(fmt, 256, 256)
    sizes = [len(encoder(fmt, 256, 256, level).encode(tile)) for level in (1, 6, 12)]
    assert sizes[0] > sizes[1] >= sizes[2]
    assert encoder(fmt, 256, 256).encode(tile) == encoder(fmt, 256, 256, 2).encode(tile)


def controls(data: bytes) -> list[int]:
    found, position = [], 0
    while position < len(data):
        found.append(data[position])
        position += 2 if data[position] > 128 else data[position] + 2
    assert position == len(data)
    return found


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=600), st.integers(1, 300), st.integers(1, 4), st.booleans())
def test_packbits_rows_and_controls(seed: bytes, width: int, height: int, floats: bool) -> None:
    fmt = of("PKB", 1, "FLOAT32" if floats else "UINT8")
    size = np.dtype(fmt.dtype).itemsize
    raw = (seed * (width * height * size // len(seed) + 1))[: width * height * size]
    tile = np.frombuffer(raw, fmt.dtype).reshape(height, width, 1)
    data = encoder(fmt, width, height).encode(tile)
    assert 128 not in controls(data)
    rows = [imagecodecs.packbits_encode(raw[i : i + width * size]) for i in range(0, len(raw), width * size)]
    assert data == b"".join(rows)
    assert decode_tile(fmt, 1, width, height, data).tobytes() == raw


def test_lzw_starts_with_clear_and_is_one_stream() -> None:
    fmt = of("LZW")
    for kind in ("smooth", "noise", "constant"):
        data = encoder(fmt, 64, 64).encode(scene(fmt, 64, 64, kind))
        assert data[0] == 0x80
        assert data[1] < 0x80


@pytest.mark.parametrize("fmt", FORMATS, ids=name)
def test_block_of_any_stride_gives_the_bytes_of_its_tiles(fmt: PixelFormat) -> None:
    whole = scene(fmt, 100, 120)
    whole[16:32, 16:48] = 7
    block = whole[:64, 10:106]  # rows further apart than they are long
    encode = encoder(fmt, 32, 32)
    wanted = np.array([[True, False, True], [False, True, True]])
    result = encode.encode_block(block, wanted)
    alone = encoder(fmt, 32, 32)
    for y in range(2):
        for x in range(3):
            tile = np.ascontiguousarray(block[y * 32 : y * 32 + 32, x * 32 : x * 32 + 32])
            assert result[y][x] == (alone.encode(tile) if wanted[y, x] else None)
    everything = encode.encode_block(block)
    assert all(tile is not None for row in everything for tile in row)


@pytest.mark.parametrize("fmt", FORMATS, ids=name)
def test_nodata_and_constant_tiles(fmt: PixelFormat) -> None:
    encode = encoder(fmt, 16, 16)
    nodata = encode.nodata_tile
    assert encode.nodata_tile is nodata
    pixels = decode_tile(fmt, fmt.channels, 16, 16, nodata)
    assert (pixels == np.array(fmt.nodata, fmt.dtype)).all()
    block = np.empty((32, 32, fmt.channels), fmt.dtype)
    block[...] = fmt.nodata
    tiles = [tile for row in encode.encode_block(block) for tile in row]
    assert tiles == [nodata] * 4
    if encode.remembers_constants:
        assert all(tile is nodata for tile in tiles)


@settings(max_examples=150)
@given(st.integers(0, 16 * 16 * 3 - 1), st.sampled_from(["ZIP", "PNG", "LZW", "PKB"]), st.integers(1, 16))
def test_nearly_constant_is_not_constant(position: int, compression: str, width: int) -> None:
    height = width if compression == "PNG" else 16
    fmt = of(compression)
    encode = encoder(fmt, width, height)
    tile = np.full((height, width, 3), 200, np.uint8)
    first = encode.encode(tile)
    tile.reshape(-1)[position % tile.size] = 201
    np.testing.assert_array_equal(decode_tile(fmt, 3, width, height, encode.encode(tile)), tile)
    tile[...] = 200
    assert encode.encode(tile) is first


def test_stripes_are_not_constant() -> None:
    """All rows equal, and equal pixels in the corners and the middle."""
    tile = np.full((16, 16, 3), 200, np.uint8)
    tile[:, 3:5] = 90
    encode = encoder(of("ZIP"), 16, 16)
    for pixels in (tile, np.ascontiguousarray(tile.transpose(1, 0, 2)), np.full_like(tile, 200), tile):
        assert zlib.decompress(encode.encode(pixels)) == pixels.tobytes()


def test_float_constants_are_compared_bit_by_bit() -> None:
    fmt = of("ZIP", 1, "FLOAT32")
    encode = encoder(fmt, 8, 8)
    for value in (np.nan, 0.0, -0.0, -99999.0):
        tile = np.full((8, 8, 1), value, np.float32)
        assert zlib.decompress(encode.encode(tile)) == tile.tobytes()
    mixed = np.zeros((8, 8, 1), np.float32)
    mixed[0, 1] = -0.0
    assert zlib.decompress(encode.encode(mixed)) == mixed.tobytes()


def test_more_colours_than_are_remembered() -> None:
    encode = encoder(of("PNG", 1), 8, 8)
    for value in range(256):
        data = encode.encode(np.full((8, 8, 1), value, np.uint8))
        assert (decode_tile(encode.format, 1, 8, 8, data) == value).all()


def test_masks() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:20, :50] = 255
    tiles = mask_encoder(32, 32).encode_block(mask)
    assert zlib.decompress(tiles[0][1]) == mask[:32, 32:].tobytes()
    assert decode_tile(MASK_PIXELS, 1, 32, 32, mask_encoder(32, 32).nodata_tile).max() == 0


def test_threads_with_an_encoder_each() -> None:
    fmt = of("PNG")
    block = scene(fmt, 256, 256)
    expected = encoder(fmt, 64, 64).encode_block(block)
    wrong: list[object] = []

    def work() -> None:
        encode = encoder(fmt, 64, 64)
        for _ in range(5):
            if encode.encode_block(block) != expected:
                wrong.append("different")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_refusals() -> None:
    fmt = of("ZIP")
    encode = encoder(fmt, 8, 8)
    for tile, message in [
        (np.zeros((8, 8, 3), np.float32), "float32 pixels cannot be stored as TIFF_ZIP_UINT8"),
        (np.zeros((8, 8, 4), np.uint8), r"\(8, 8, 4\) given, \(rows, columns, 3\)"),
        (np.zeros((8, 8), np.uint8), r"\(8, 8, 1\) given"),
        (np.zeros((8, 9, 3), np.uint8), "tile of 9 x 8 pixels was given to an encoder of 8 x 8"),
        (np.zeros((8, 8, 3, 1), np.uint8), "shape"),
    ]:
        with pytest.raises(EncodeError, match=message):
            encode.encode(tile)
    with pytest.raises(EncodeError, match="20 x 16 pixels is not made of 8 x 8 tiles"):
        encode.encode_block(np.zeros((16, 20, 3), np.uint8))
    with pytest.raises(EncodeError, match="wanted has shape"):
        encode.encode_block(np.zeros((16, 16, 3), np.uint8), np.ones((1, 2), bool))
    with pytest.raises(EncodeError, match="square"):
        encoder(of("PNG"), 8, 16)
    with pytest.raises(EncodeError, match="level 13"):
        encoder(fmt, 8, 8, level=13)
    with pytest.raises(EncodeError, match="jpg has no level"):
        encoder(of("JPG"), 8, 8, level=2)
    with pytest.raises(EncodeError, match="0 x 8"):
        encoder(fmt, 0, 8)
    with pytest.raises(EncodeError, match="65500"):
        encoder(of("JPG"), 70000, 8)


def test_odd_layouts_are_copied_not_misread() -> None:
    fmt = of("ZIP")
    pixels = scene(fmt, 16, 16)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)).transpose(1, 2, 0)
    assert zlib.decompress(encoder(fmt, 16, 16).encode(planes)) == pixels.tobytes()
    mirrored = pixels[:, ::-1]
    assert zlib.decompress(encoder(fmt, 16, 16).encode(mirrored)) == mirrored.tobytes()
    upside_down = pixels[::-1]
    assert zlib.decompress(encoder(fmt, 16, 16).encode(upside_down)) == upside_down.tobytes()
