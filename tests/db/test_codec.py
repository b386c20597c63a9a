"""Block codec against the golden vectors (which GDAL reads), zlib, Pillow and a slow codec written from the format."""

from __future__ import annotations

import contextlib
import io
import json
import random
import struct
import threading
import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from shared_data import SHARED

from fastpyr.db.codec import BlockCodec, Compression
from fastpyr.db.pixels import PixelType, band_types, parse_band_types
from fastpyr.errors import ConfigError, DecodeError, EncodeError

GOLDEN = SHARED / "arcsde_golden.json"
CASES = json.loads(GOLDEN.read_text("utf-8"))["cases"] if GOLDEN.exists() else []
needs_golden = pytest.mark.skipif(not CASES, reason="reference data not here: ../shared/data/arcsde_golden.json")
TYPES = list(PixelType)
LOSSLESS = [Compression.NONE, Compression.LZ77]


def named(value: object) -> str | None:
    if isinstance(value, dict):
        return f"{value['type']}-{value['block_width']}x{value['block_height']}"
    return value.value if isinstance(value, PixelType | Compression) else None


# --- the slow codec ---


def slow_payload(pixel_type, block, mask):
    """Bits as text, one pixel after the other."""
    text = []
    for value in block.ravel().tolist():
        name, bits = pixel_type.value[0], pixel_type.bits
        number = struct.unpack(f">{'I' if bits == 32 else 'Q'}", struct.pack(f">{'f' if bits == 32 else 'd'}", value))[
            0] if name == "F" else value & ((1 << bits) - 1)  # fmt: skip
        text.append(f"{number:0{bits}b}")
    payload = from_bits("".join(text))
    if mask is not None and not mask.all():
        payload += from_bits("".join("1" if m else "0" for m in mask.ravel().tolist()))
    return payload


def from_bits(text):
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


def any_pixels(rng, pixel_type, height, width):
    """Any bits, NaN, infinities and the ends of the range too."""
    if pixel_type.bits < 8:
        return rng.integers(0, 1 << pixel_type.bits, (height, width)).astype(np.uint8)
    raw = rng.bytes(height * width * pixel_type.dtype.itemsize)
    block = np.frombuffer(raw, pixel_type.dtype).reshape(height, width).copy()
    # Python's floats do not keep the bits of every NaN of 32 bits: one kind is enough for the slow codec.
    return np.where(np.isnan(block), block.dtype.type(np.nan), block) if block.dtype.kind == "f" else block


def same_bits(a, b):
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a.view(np.uint8), b.view(np.uint8))


def padded(array, case, row, col):
    """A block of a golden raster: 0 where it reaches beyond."""
    height, width = case["block_height"], case["block_width"]
    block = np.zeros((height, width), array.dtype)
    part = array[row * height : (row + 1) * height, col * width : (col + 1) * width]
    block[: part.shape[0], : part.shape[1]] = part
    return block


# --- golden vectors ---


@needs_golden
@pytest.mark.parametrize("case", CASES, ids=named)
def test_golden_vectors_both_ways(cpu_path, case) -> None:
    pixel_type = PixelType.of(case["type"])
    raster = np.array(case["pixels"], pixel_type.dtype)
    validity = np.array(case["mask"], np.uint8) * 255
    plain, packed = (BlockCodec(pixel_type, case["block_width"], case["block_height"], c) for c in LOSSLESS)
    for key, text in case["blocks_uncompressed_hex"].items():
        row, col = map(int, key.split(","))
        data = bytes.fromhex(text)
        block, mask = padded(raster, case, row, col), padded(validity, case, row, col)
        assert plain.encode(block, mask) == data
        deflated = packed.encode(block, mask)
        assert zlib.decompress(deflated) == data
        for codec, stored in ((plain, data), (packed, deflated), (packed, zlib.compress(data, 9))):
            got, got_mask = codec.decode(stored)
            same_bits(got, block)
            np.testing.assert_array_equal(got_mask, None if mask.all() else mask)


@needs_golden
@pytest.mark.parametrize("case", CASES, ids=named)
def test_band_types_of_the_golden_vectors(case) -> None:
    pixel_type = PixelType.of(case["type"])
    for name, compression in (("none", Compression.NONE), ("lz77", Compression.LZ77)):
        value = case[f"band_types_{name}"]
        assert band_types(pixel_type, compression) == value
        assert parse_band_types(value) == (pixel_type, compression)
        assert PixelType.of(value) is pixel_type


def test_band_types() -> None:
    assert band_types(PixelType.U8, Compression.LZ77) == 0x400400
    assert band_types(PixelType.U8, Compression.JPEG) == 4196352
    assert parse_band_types(64 << 19 | 2 << 16) == (PixelType.F64, Compression.NONE)
    assert parse_band_types(0x400400 | 0x55 | 1 << 27) == (PixelType.U8, Compression.LZ77)
    for wrong in (0, 0x400500, 3 << 19, 32 << 19 | 3 << 16, 1 << 19 | 1 << 16, PixelType.S16.code | 8 << 8):
        with pytest.raises(DecodeError, match=f"band_types {wrong} is"):
            parse_band_types(wrong)
    with pytest.raises(ConfigError, match="JPEG holds U8 pixels, not F32"):
        band_types(PixelType.F32, Compression.JPEG)


def test_names_of_pixel_types_and_compressions() -> None:
    for pixel_type in TYPES:
        assert PixelType.of(pixel_type.value.lower()) is pixel_type
        assert PixelType.of(pixel_type.code) is pixel_type
        if pixel_type.bits >= 8:
            assert PixelType.of(pixel_type.dtype) is pixel_type
    assert PixelType.of(">f4") is PixelType.F32
    assert [PixelType.U4.most, PixelType.S16.least, PixelType.U32.most] == [15, -32768, 2**32 - 1]
    for wrong in ("U3", np.complex64, "int64"):
        with pytest.raises(ConfigError, match="no pixel type for"):
            PixelType.of(wrong)
    assert [Compression.of(name) for name in ("none", "LZ77", "jpeg2000", 8)] == [
        Compression.NONE, Compression.LZ77, Compression.JP2, Compression.JPEG]  # fmt: skip
    with pytest.raises(ConfigError, match="unknown compression 'lzw'"):
        Compression.of("lzw")


# --- against the slow codec ---


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_block_is_what_the_slow_codec_makes(cpu_path, data) -> None:
    pixel_type = data.draw(st.sampled_from(TYPES))
    height, width = data.draw(st.integers(1, 9)), data.draw(st.one_of(st.integers(1, 20), st.integers(60, 70)))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    block = any_pixels(rng, pixel_type, height, width)
    mask = data.draw(st.sampled_from([None, 0.0, 0.3, 0.9, 1.0]))
    if mask is not None:
        mask = (rng.random((height, width)) < mask).astype(np.uint8) * rng.integers(1, 256, (height, width), np.uint8)
    codec = BlockCodec(pixel_type, width, height, Compression.NONE)
    encoded = codec.encode(block, mask)
    if mask is not None and not mask.any():
        assert encoded is None
        assert BlockCodec(pixel_type, width, height).encode(block, mask) is None
        return
    assert encoded == slow_payload(pixel_type, block, mask)
    deflated = BlockCodec(pixel_type, width, height).encode(block, mask)
    assert zlib.decompress(deflated) == encoded
    for got, got_mask in (codec.decode(encoded), BlockCodec(pixel_type, width, height).decode(deflated)):
        same_bits(got, block)
        if mask is None or mask.all():
            assert got_mask is None
        else:
            np.testing.assert_array_equal(got_mask, np.where(mask, 255, 0))


@pytest.mark.parametrize("pixel_type", TYPES, ids=named)
@pytest.mark.parametrize("size", [(128, 128), (33, 65), (1, 1), (1, 31), (7, 8)])
def test_large_blocks_come_back_bit_for_bit(cpu_path, pixel_type, size) -> None:
    rng = np.random.default_rng(5)
    raw = rng.integers(0, 256, size[0] * size[1] * 8, np.uint8)
    block = raw.view(pixel_type.dtype)[: size[0] * size[1]].reshape(size)
    block = block & pixel_type.most if pixel_type.bits < 8 else block
    mask = (rng.random(size) < 0.8).astype(np.uint8)
    mask[0, 0] = 1
    for compression in LOSSLESS:
        codec = BlockCodec(pixel_type, size[1], size[0], compression, level=6)
        got, got_mask = codec.decode(codec.encode(block, mask))
        same_bits(got, block)
        assert (got_mask is None) == bool(mask.all())
        np.testing.assert_array_equal(mask if got_mask is None else got_mask // 255, mask)
        same_bits(codec.decode(codec.encode(block))[0], block)


def test_views_and_byte_orders_are_accepted() -> None:
    rng = np.random.default_rng(1)
    frame = rng.integers(0, 60000, (20, 24)).astype(">u2")
    codec = BlockCodec(PixelType.U16, 9, 8, Compression.NONE)
    window = frame[2:18:2, 3:21:2]
    same_bits(codec.decode(codec.encode(window, frame[:8, :9] > 30000))[0], window.astype(np.uint16))
    bits = frame[:8, :9] > 30000
    assert BlockCodec(PixelType.U1, 9, 8, Compression.NONE).encode(bits) == np.packbits(bits).tobytes()


def test_many_blocks_in_threads() -> None:
    rng = np.random.default_rng(2)
    blocks = rng.integers(0, 9, (40, 16, 16), np.uint8)
    masks = (rng.random((40, 16, 16)) < np.linspace(0, 1, 40)[:, None, None]).astype(np.uint8) * 255
    codec = BlockCodec(PixelType.U8, 16, 16)
    rows = codec.encode_many(blocks, masks)
    assert rows[0] is None
    assert rows == [codec.encode(block, mask) for block, mask in zip(blocks, masks, strict=True)]
    assert rows == codec.encode_many(blocks, masks, threads=4)
    decoded = codec.decode_many(rows, threads=3)
    assert decoded[0] is None
    for k in range(1, 40):
        same_bits(decoded[k][0], blocks[k])
    assert codec.encode_many(blocks[:2]) == [codec.encode(block) for block in blocks[:2]]


# --- JPEG and JPEG 2000 ---


def photo(size=64):
    y, x = np.mgrid[:size, :size]
    noise = np.random.default_rng(3).normal(0, 4, (size, size))
    return np.clip(120 + 60 * np.sin(x / 9) + 40 * np.cos(y / 7) + noise, 0, 255).astype(np.uint8)


def split(data, plain, masked):
    """(image stream, mask bits or None) as the format lays them out."""
    if data[0] == plain:
        return data[1:], None
    assert data[0] == masked
    (size,) = struct.unpack_from("<I", data, 1)
    return data[5 : 5 + size], np.unpackbits(np.frombuffer(zlib.decompress(data[5 + size :]), np.uint8))


@pytest.mark.parametrize("quality", [1, 75, 100])
@pytest.mark.parametrize("with_mask", [False, True])
def test_jpeg_blocks_hold_the_jpeg_of_pillow(quality, with_mask) -> None:
    block = photo()
    mask = np.where(np.random.default_rng(4).random(block.shape) < 0.5, 255, 0).astype(np.uint8) if with_mask else None
    codec = BlockCodec(PixelType.U8, 64, 64, Compression.JPEG, quality)
    data = codec.encode(block, mask)
    stream, bits = split(data, 1, 0xFE)
    file = io.BytesIO()
    Image.fromarray(block).save(file, "JPEG", quality=quality)
    assert stream == file.getvalue()
    got, got_mask = codec.decode(data)
    np.testing.assert_array_equal(got, np.asarray(Image.open(file)))
    assert (bits is None) == (got_mask is None) == (not with_mask)
    if with_mask:
        np.testing.assert_array_equal(bits.reshape(64, 64) * 255, mask)
        np.testing.assert_array_equal(got_mask, mask)
    assert codec.encode(block, np.zeros_like(block)) is None
    assert split(codec.encode(block, np.ones_like(block)), 1, 0xFE)[1] is None


@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize("size", [64, 7, 1])
def test_jpeg_2000_blocks(with_mask, size) -> None:
    block = photo(size)
    mask = np.tri(size, size, -1, np.uint8)[::-1] * 255 if with_mask and size > 1 else None
    for quality in (10, 75, 100):
        codec = BlockCodec(PixelType.U8, size, size, Compression.JP2, quality)
        data = codec.encode(block, mask)
        stream, bits = split(data, 0, 0xFF)
        got, got_mask = codec.decode(data)
        np.testing.assert_array_equal(got, np.asarray(Image.open(io.BytesIO(stream))))
        if bits is not None:
            np.testing.assert_array_equal(got_mask, bits[: size * size].reshape(size, size) * 255)
        if quality == 100:
            np.testing.assert_array_equal(got, block)
    raw = imagecodecs.jpeg2k_encode(block, reversible=True, codecformat="j2k")
    np.testing.assert_array_equal(codec.decode(b"\0" + bytes(raw))[0], block)


# --- what does not fit, what is hostile ---


@pytest.mark.parametrize(
    ("pixel_type", "block", "mask", "message"),
    [
        ("U8", np.zeros((8, 9), np.uint8), None, r"block of shape \(8, 9\) given, \(8, 8\) expected"),
        ("U8", np.zeros((8, 8), np.int8), None, "block of int8 given, U8 pixels are uint8"),
        ("F64", np.zeros((8, 8), np.float32), None, "block of float32 given, F64 pixels are float64"),
        ("U1", np.full((8, 8), 2, np.uint8), None, "block holds 2: U1 pixels are 0 to 1"),
        ("U4", np.full((8, 8), 255, np.uint8), None, "block holds 255: U4 pixels are 0 to 15"),
        ("U8", np.zeros((8, 8), np.uint8), np.zeros((8, 7), np.uint8), r"mask of uint8 \(8, 7\) given"),
        ("U8", np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.int32), "mask of int32"),
    ],
)
def test_blocks_that_do_not_fit(pixel_type, block, mask, message) -> None:
    with pytest.raises(EncodeError, match=message):
        BlockCodec(PixelType.of(pixel_type), 8, 8).encode(block, mask)


def test_codecs_that_cannot_be() -> None:
    for arguments in ((PixelType.U8, 0, 8), (PixelType.U8, 8, 4097), (PixelType.U8, 8, 8, Compression.JPEG, 0)):
        with pytest.raises(EncodeError, match="expected 1 to"):
            BlockCodec(*arguments)
    for compression in (Compression.JPEG, Compression.JP2):
        with pytest.raises(ConfigError, match="holds U8 pixels, not U16: use LZ77 or NONE"):
            BlockCodec(PixelType.U16, 8, 8, compression)


def bomb(compression):
    """Rows that claim far more than a block holds."""
    zeros = zlib.compress(bytes(1 << 24), 9)
    jpeg = bytearray(imagecodecs.jpeg8_encode(photo(16), 75))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 65000, 65000)
    jp2 = bytearray(imagecodecs.jpeg2k_encode(photo(16), reversible=True, codecformat="j2k"))
    jp2[8:16] = struct.pack(">II", 1 << 30, 1 << 30)
    return {
        Compression.NONE: [bytes(1 << 20)],
        Compression.LZ77: [zeros],
        Compression.JPEG: [b"\x01" + bytes(jpeg), b"\xfe" + struct.pack("<I", 2**32 - 1) + bytes(40),
                           b"\xfe" + struct.pack("<I", 0) + zeros],
        Compression.JP2: [b"\0" + bytes(jp2), b"\xff" + struct.pack("<I", 5000) + bytes(40)],
    }[compression]  # fmt: skip


@pytest.mark.parametrize("compression", list(Compression), ids=named)
def test_bombs_are_refused_before_they_grow(compression) -> None:
    import tracemalloc

    codec = BlockCodec(PixelType.U8, 16, 16, compression)
    rows = bomb(compression)
    codec.decode(codec.encode(photo(16)))  # libraries loaded
    for row in rows:
        tracemalloc.start()
        with pytest.raises(DecodeError) as caught:
            codec.decode(row)
        assert tracemalloc.get_traced_memory()[1] < 1 << 18
        tracemalloc.stop()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("compression", list(Compression), ids=named)
@pytest.mark.parametrize("with_mask", [False, True])
def test_truncated_rows_are_refused(compression, with_mask) -> None:
    mask = np.eye(16, dtype=np.uint8) if with_mask else None
    codec = BlockCodec(PixelType.U8, 16, 16, compression)
    row = codec.encode(photo(16), mask)
    for size in range(len(row)):
        # Without its mask, an uncompressed block is a block.
        if compression is Compression.NONE and size == 256:
            continue
        with pytest.raises(DecodeError):
            codec.decode(row[:size])
    if compression is Compression.JP2 and not with_mask:
        return  # a JPEG 2000 file may go on behind its codestream
    with pytest.raises(DecodeError):
        codec.decode(row + b"\0")


@pytest.mark.parametrize("compression", list(Compression), ids=named)
def test_flipped_bits_give_a_block_or_one_error(compression) -> None:
    chance = random.Random(7)
    codec = BlockCodec(PixelType.U8, 16, 16, compression)
    row = codec.encode(photo(16), np.tri(16, dtype=np.uint8))
    for _ in range(400):
        damaged = bytearray(row)
        for _ in range(chance.choice((1, 1, 2, 9))):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        with contextlib.suppress(DecodeError):
            pixels, mask = codec.decode(bytes(damaged))
            assert pixels.shape == (16, 16)
            assert mask is None or mask.shape == (16, 16)


def test_a_palette_inside_a_block_is_not_applied() -> None:
    """Boxes before the codestream say nothing about the pixels of a band."""
    stream = bytes(imagecodecs.jpeg2k_encode(photo(16), reversible=True, codecformat="j2k"))
    signature = struct.pack(">I4sI", 12, b"jP  ", 0x0D0A870A)
    header = struct.pack(">I4s", 8 + 9, b"jp2h") + struct.pack(">I4sB", 9, b"pclr", 1)
    file = signature + header + struct.pack(">I4sQ", 1, b"jp2c", len(stream) + 16) + stream
    codec = BlockCodec(PixelType.U8, 16, 16, Compression.JP2)
    np.testing.assert_array_equal(codec.decode(b"\0" + file)[0], photo(16))


def test_one_codec_serves_many_threads() -> None:
    codec = BlockCodec(PixelType.S32, 32, 32)
    failures = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(30):
            block = rng.integers(-9, 9, (32, 32)).astype(np.int32)
            got = codec.decode(codec.encode(block))[0]
            if not np.array_equal(got, block):
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
