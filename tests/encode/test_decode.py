"""The decoder refuses what readers of the format would get wrong, and survives anything."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from fastpyr.encode import decode_tile, encoder
from fastpyr.errors import DecodeError
from fastpyr.formats import TILE_FORMATS, Compression, PixelFormat, SampleType, TileFormat

SIZE = 32
RNG = np.random.default_rng(8)
RGB = (np.add.outer(np.arange(SIZE), np.arange(SIZE))[..., None] * [1, 2, 3] % 251).astype(np.uint8)


def fmt(name: str, channels: int = 3) -> PixelFormat:
    return PixelFormat.of(TileFormat.parse(name), channels)


def decode(name: str, data: bytes, channels: int = 3, strict: bool = True, size: int = SIZE) -> np.ndarray:
    return decode_tile(TileFormat.parse(name), channels, size, size, data, strict)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, ihdr: bytes | None = None, end: bytes = chunk(b"IEND", b"")) -> bytes:
    head = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0) if ihdr is None else ihdr
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunks) + end


ROWS = np.pad(RGB.reshape(SIZE, -1), ((0, 0), (1, 0)))
STREAM = zlib.compress(ROWS.tobytes())
FILTERED = ROWS.copy()
FILTERED[5, 0] = 1
GAMMA = chunk(b"gAMA", struct.pack(">I", 45455))


def test_a_right_png() -> None:
    np.testing.assert_array_equal(decode("TIFF_PNG_UINT8", png(chunk(b"IDAT", STREAM))), RGB)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no signature"),
        (b"\xff\xd8\xff", "no signature"),
        (png(chunk(b"IDAT", zlib.compress(FILTERED.tobytes()))), "row 5 has filter 1"),
        (png(chunk(b"IDAT", STREAM[:50]), chunk(b"IDAT", STREAM[50:])), "chunk IDAT after its IDAT"),
        (png(GAMMA, chunk(b"IDAT", STREAM)), "chunk gAMA at byte 33"),
        (png(chunk(b"IDAT", STREAM), chunk(b"tEXt", b"a\0b")), "chunk tEXt after its IDAT"),
        (png(chunk(b"IDAT", STREAM)) + b"more", "IDAT|bytes after its end"),
        (png(chunk(b"IDAT", STREAM), end=b""), "truncated"),
        (png(chunk(b"IDAT", STREAM))[:60], "truncated"),
        (png(chunk(b"IDAT", STREAM))[:36], "truncated behind its IHDR"),
        (png(chunk(b"IDAT", STREAM))[:20], "inside its IHDR"),
        (png(chunk(b"IDAT", STREAM + b"x")), "1 bytes follow the deflate stream"),
        (png(chunk(b"IDAT", STREAM[:-1])), "deflate stream is truncated"),
        (png(chunk(b"IDAT", zlib.compress(ROWS.tobytes()[:-1]))), "holds 3103 bytes instead of 3104"),
        (png(chunk(b"IDAT", zlib.compress(ROWS.tobytes() + b"x"))), "holds more than 3104"),
        (png(chunk(b"IDAT", STREAM[:30] + b"\0\0\0\0" + STREAM[34:])), "deflate"),
        (png(chunk(b"IDAT", STREAM)[:-4] + b"abcd"), "checksum of its IDAT"),
        (png(ihdr=struct.pack(">IIBBBBB", SIZE, 64, 8, 2, 0, 0, 0)), "height is 64 instead of 32"),
        (png(ihdr=struct.pack(">IIBBBBB", SIZE, SIZE, 16, 2, 0, 0, 0)), "bit depth is 16"),
        (png(ihdr=struct.pack(">IIBBBBB", SIZE, SIZE, 8, 3, 0, 0, 0)), "colour type is 3 instead of 2"),
        (png(ihdr=struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 1)), "interlace is 1"),
        (
            png(chunk(b"IDAT", STREAM)).replace(b"\x08\x02\0\0\0", b"\x08\x02\0\0\0")[:29] + bytes(30),
            "checksum of its IHDR",
        ),
    ],
)
def test_png_refusals(data: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode("TIFF_PNG_UINT8", data)


def test_png_of_an_ordinary_writer() -> None:
    """Pillow filters its rows: a viewer shows it, a tile server would not. Only the lenient decoder takes it."""
    image = Image.fromarray(RGB)
    info = PngImagePlugin.PngInfo()
    info.add_text("a", "b")
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info)
    with pytest.raises(DecodeError):
        decode("TIFF_PNG_UINT8", file.getvalue())
    np.testing.assert_array_equal(decode("TIFF_PNG_UINT8", file.getvalue(), strict=False), RGB)
    for wrong in (file.getvalue()[:-30], file.getvalue()[:30], b"", b"\x89PNG\r\n\x1a\n" + bytes(60)):
        with pytest.raises(DecodeError):
            decode("TIFF_PNG_UINT8", wrong, strict=False)
    with pytest.raises(DecodeError, match="width is 32 instead of 64"):
        decode("TIFF_PNG_UINT8", file.getvalue(), strict=False, size=64)
    with pytest.raises(DecodeError, match="shape"):
        decode("TIFF_PNG_UINT8", file.getvalue(), channels=4, strict=False)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_lenient_reading_of_our_own_png(channels: int) -> None:
    pixels = RNG.integers(0, 256, (SIZE, SIZE, channels), dtype=np.uint8)
    data = encoder(fmt("TIFF_PNG_UINT8", channels), SIZE, SIZE).encode(pixels)
    np.testing.assert_array_equal(decode("TIFF_PNG_UINT8", data, channels, strict=False), pixels)


RAW = RGB.tobytes()
ZIP = zlib.compress(RAW)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated"),
        (ZIP[:-1], "truncated"),
        (ZIP[: len(ZIP) // 2], "truncated"),
        (ZIP + b"\0", "1 bytes follow"),
        (ZIP[2:-4], "damaged"),
        (ZIP[:-4] + bytes(4), "damaged"),
        (zlib.compress(RAW + b"x"), "more than 3072"),
        (zlib.compress(RAW[:-1]), "3071 bytes instead of 3072"),
        (RAW, "damaged|truncated"),
    ],
)
def test_zip_refusals(data: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode("TIFF_ZIP_UINT8", data)


def test_bytes_behind_a_stream_may_be_ignored_on_demand() -> None:
    np.testing.assert_array_equal(decode("TIFF_ZIP_UINT8", ZIP + b"tail", strict=False), RGB)


@pytest.mark.parametrize("name", ["TIFF_ZIP_UINT8", "TIFF_PNG_UINT8", "TIFF_LZW_UINT8", "TIFF_PKB_UINT8"])
def test_bombs_stay_small(name: str) -> None:
    zeros = bytes(64 * 2**20)
    bomb = {
        "TIFF_ZIP_UINT8": lambda: zlib.compress(zeros, 9),
        "TIFF_PNG_UINT8": lambda: png(chunk(b"IDAT", zlib.compress(zeros, 9))),
        "TIFF_LZW_UINT8": lambda: bytes(imagecodecs.lzw_encode(zeros)),
        "TIFF_PKB_UINT8": lambda: b"\x81\0" * (len(zeros) // 128),
    }[name]()
    decode(name, encoder(fmt(name), SIZE, SIZE).encode(RGB))  # libraries are loaded before memory is counted
    tracemalloc.start()
    with pytest.raises(DecodeError):
        decode(name, bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20 + len(bomb)


def test_png_that_announces_a_huge_idat() -> None:
    data = png(chunk(b"IDAT", STREAM))
    with pytest.raises(DecodeError, match="truncated"):
        decode("TIFF_PNG_UINT8", data[:33] + b"\xff\xff\xff\xff" + data[37:])


def jpeg(array: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", **{"quality": 75, **options})
    return file.getvalue()


@pytest.mark.parametrize("options", [{"subsampling": 0}, {"progressive": True}, {"optimize": True}, {}])
def test_jpeg_variants_decode_as_pillow_does(options: dict[str, object]) -> None:
    data = jpeg(RGB, **options)
    theirs = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(decode("TIFF_JPG_UINT8", data), theirs)


GOOD_JPEG = jpeg(RGB)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a JPEG"),
        (png(chunk(b"IDAT", STREAM)), "not a JPEG"),
        (GOOD_JPEG[:-2], "truncated"),
        (GOOD_JPEG[: len(GOOD_JPEG) * 2 // 3], "truncated"),
        (GOOD_JPEG[:100], "no frame header"),
        (b"\xff\xd8", "no frame header"),
        (jpeg(RGB[:16]), "32 x 16 pixels and 3"),
        (jpeg(RGB[..., 0]), r"1 channel\(s\) instead of 32 x 32 and 3"),
        (jpeg(np.zeros((4000, 4000, 3), np.uint8)), "4000 x 4000"),
        (b"\xff\xd8\xff\xc0\x00\x0b\x0c\x00\x20\x00\x20\x03\x01\x11\x00", "12 bits"),
        (b"\xff\xd8\xff\xc3\x00\x0b\x08\x00\x20\x00\x20\x03\x01\x11\x00", "neither baseline nor progressive"),
        (b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x20\x00\x20\x03\x01\x11\x00\xff\xd9", "damaged JPEG"),
        (b"\xff\xd8" + b"\xff" * 50, "no frame header"),
        (b"\xff\xd8\xff\xe0\x00\x00\xff\xd9", "no frame header"),
    ],
)
def test_jpeg_refusals(data: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode("TIFF_JPG_UINT8", data)


def lzw_codes(*codes: int) -> bytes:
    """A stream of 9-bit codes."""
    bits = "".join(f"{code:09b}" for code in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


LZW = bytes(imagecodecs.lzw_encode(RAW))
PKB = encoder(fmt("TIFF_PKB_UINT8"), SIZE, SIZE).encode(RGB)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("TIFF_LZW_UINT8", b"", "does not start"),
        ("TIFF_LZW_UINT8", b"\x00\x01\x02", "does not start"),
        ("TIFF_LZW_UINT8", b"\x80\x7f\xff\xff\xff", "LZW stream"),
        ("TIFF_LZW_UINT8", LZW[: len(LZW) // 2], "LZW stream holds"),
        # Codes of the table right after it was cleared: the decoder behind would die of them.
        ("TIFF_LZW_UINT8", lzw_codes(256, 300, 5, 257), "code 300 in an empty table"),
        ("TIFF_LZW_UINT8", lzw_codes(256, 7, 258, 256, 511, 257), "code 511 in an empty table"),
        ("TIFF_LZW_UINT8", lzw_codes(256, 7, 258, 256, 256, 258, 257), "code 258 in an empty table"),
        ("TIFF_LZW_UINT8", lzw_codes(*[256] * 10000), "clears its table all the time"),
        ("TIFF_LZW_UINT8", lzw_codes(256) + bytes(8000), "its table overflows"),
        ("TIFF_LZW_UINT8", bytes(imagecodecs.lzw_encode(RAW + b"x")), "more than 3072"),
        ("TIFF_LZW_UINT8", bytes(imagecodecs.lzw_encode(RAW[1:])), "3071 of 3072"),
        ("TIFF_PKB_UINT8", b"", "0 of 3072"),
        ("TIFF_PKB_UINT8", PKB[:-1], "PackBits"),
        ("TIFF_PKB_UINT8", PKB + b"\0x", "PackBits"),
        ("TIFF_PKB_UINT8", b"\x80" + PKB, "control byte -128 at 0"),
        ("TIFF_PKB_UINT8", PKB + b"\x80", f"control byte -128 at {len(PKB)}"),
        ("TIFF_RAW_UINT8", RAW[:-1], "3071 bytes instead of 3072"),
        ("TIFF_RAW_UINT8", RAW + b"x", "3073 bytes instead of 3072"),
    ],
)
def test_other_refusals(name: str, data: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode(name, data)


def test_lzw_of_any_length_and_of_another_encoder() -> None:
    """Streams with many Clears, from imagecodecs and from libtiff (through Pillow)."""
    noise = RNG.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    noise[100:140] = 9
    for pixels in (noise, np.zeros_like(noise)):
        ours = encoder(fmt("TIFF_LZW_UINT8"), 256, 256).encode(pixels)
        np.testing.assert_array_equal(decode("TIFF_LZW_UINT8", ours, size=256), pixels)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "TIFF", compression="tiff_lzw", tiffinfo={278: 256})
        tags = Image.open(io.BytesIO(file.getvalue())).tag_v2
        (start,), (size,) = tags[273], tags[279]
        assert tags.get(317, 1) == 1
        theirs = file.getvalue()[start : start + size]
        np.testing.assert_array_equal(decode("TIFF_LZW_UINT8", theirs, size=256), pixels)


def test_the_noop_of_packbits_is_harmless_to_lenient_readers() -> None:
    np.testing.assert_array_equal(decode("TIFF_PKB_UINT8", b"\x80" + PKB, strict=False), RGB)
    # The value 128 is no control byte where it is data.
    full = np.full((SIZE, SIZE, 3), 128, np.uint8)
    data = encoder(fmt("TIFF_PKB_UINT8"), SIZE, SIZE).encode(full)
    np.testing.assert_array_equal(decode("TIFF_PKB_UINT8", data), full)


def test_sizes_are_checked_before_anything_is_allocated() -> None:
    zipped = TileFormat(Compression.ZIP, SampleType.UINT8)
    for width, height, channels in ((0, 8, 1), (8, -1, 1), (8, 8, 0), (8, 8, 5), (2**20, 2**20, 1)):
        with pytest.raises(DecodeError, match="no tile has"):
            decode_tile(zipped, channels, width, height, ZIP)


def test_png_must_be_square() -> None:
    with pytest.raises(DecodeError, match="square"):
        decode_tile(TileFormat.parse("TIFF_PNG_UINT8"), 1, 32, 16, b"")


@settings(max_examples=400)
@given(st.sampled_from(TILE_FORMATS), st.data(), st.booleans())
@example(TileFormat.parse("TIFF_LZW_UINT8"), None, True)
def test_damaged_tiles_never_do_worse_than_an_error(
    format: TileFormat, data: st.DataObject | None, strict: bool
) -> None:
    pixels = RGB.astype(format.sample.dtype)
    good = encoder(PixelFormat.of(format, 3), SIZE, SIZE).encode(pixels)
    bad = bytearray(good)
    if data is not None:
        for _ in range(data.draw(st.integers(0, 8))):
            bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(bad)) | st.just(len(bad)))
        bad = bad[:cut] + data.draw(st.binary(max_size=20))
    try:
        found = decode_tile(format, 3, SIZE, SIZE, bytes(bad), strict)
    except DecodeError as error:
        message = str(error)
    else:
        message = ""
        assert found.shape == pixels.shape
        assert found.dtype == pixels.dtype
    assert "\n" not in message


@settings(max_examples=200)
@given(st.sampled_from(TILE_FORMATS), st.binary(max_size=300), st.booleans())
def test_junk(format: TileFormat, data: bytes, strict: bool) -> None:
    if format.compression is Compression.LZW:
        data = b"\x80\x00" + data
    try:
        decode_tile(format, 3, SIZE, SIZE, data, strict)
    except DecodeError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message
