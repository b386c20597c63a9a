"""Header bytes against the facts of the format, written down here once more."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpyr.errors import SlabError
from fastpyr.formats import TILE_FORMATS, Compression, PixelFormat, SampleType, TileFormat
from fastpyr.slab import parse_header, slab_header
from fastpyr.slab.header import vector_header

TAGS = {"RAW": 1, "LZW": 5, "JPG": 7, "JPG90": 7, "ZIP": 8, "PNG": 8, "PKB": 32773}
CASES = [
    (PixelFormat.of(fmt, channels), cols, rows)
    for fmt in TILE_FORMATS
    for channels in ((3,) if fmt.compression.is_lossy else (1, 2, 3, 4))
    for cols, rows in ((1, 1), (3, 1), (2, 2), (16, 16))
]


def _u16(data: bytes, at: int) -> int:
    return struct.unpack_from("<H", data, at)[0]


def _u32(data: bytes, at: int) -> int:
    return struct.unpack_from("<I", data, at)[0]


def _entry(data: bytes, at: int) -> tuple[int, int, int, int]:
    return struct.unpack_from("<HHII", data, at)


@pytest.mark.parametrize(
    ("fmt", "cols", "rows"), CASES, ids=lambda v: f"{v.format}-{v.channels}" if hasattr(v, "format") else str(v)
)
def test_facts(fmt: PixelFormat, cols: int, rows: int) -> None:
    count, channels = cols * rows, fmt.channels
    is_float = fmt.format.sample is SampleType.FLOAT32
    is_jpeg = fmt.format.compression.is_lossy
    bits = 32 if is_float else 8
    data = slab_header(fmt, 256, 128, cols, rows, first_tile=(2056, 4242))
    assert len(data) == 2048
    assert data[:8] == bytes.fromhex("49492a0010000000")
    assert [_u16(data, at) for at in (8, 10, 12, 14)] == [bits] * 4
    entries = 11 + (channels in (2, 4)) + is_jpeg
    assert _u16(data, 16) == entries
    assert _entry(data, 18) == (256, 4, 1, cols * 256)
    assert _entry(data, 30) == (257, 4, 1, rows * 128)
    bits_value = {1: bits, 2: bits + (bits << 16)}.get(channels, 8)
    assert _entry(data, 42) == (258, 3, channels, bits_value)
    assert _entry(data, 54) == (259, 3, 1, TAGS[fmt.format.compression.value])
    photometric = 6 if is_jpeg else {1: 1, 2: 1, 3: 2, 4: 2}[channels]
    assert _entry(data, 66) == (262, 3, 1, photometric)
    assert _entry(data, 78) == (277, 3, 1, channels)
    assert _entry(data, 90) == (322, 4, 1, 256)
    assert _entry(data, 102) == (323, 4, 1, 128)
    one = count == 1
    assert _entry(data, 114) == (324, 4, count, 2056 if one else 2048)
    assert _entry(data, 126) == (325, 4, count, 4242 if one else 2048 + 4 * count)
    assert not one or _u32(data, 134) == 4242  # where readers look for the size of a lone tile
    after = 138
    if channels in (2, 4):
        assert _entry(data, 138) == (338, 3, 1, 2)
        after = 150
    assert _entry(data, after) == (339, 3, 1, 3 if is_float else 1)
    if is_jpeg:
        assert data[150:162] == bytes.fromhex("120203000200000002000200")  # 530, SHORT, 2 values: 2, 2
    end = 18 + 12 * entries
    assert end in (150, 162)
    assert data[end:] == bytes(2048 - end)


@pytest.mark.parametrize(("fmt", "cols", "rows"), CASES[::7], ids=str)
def test_parse_gives_back_what_was_written(fmt: PixelFormat, cols: int, rows: int) -> None:
    header = parse_header(slab_header(fmt, 64, 32, cols, rows, first_tile=(2056, 7)))
    assert (header.columns, header.rows, header.tile_count) == (cols, rows, cols * rows)
    assert (header.tile_width, header.tile_height, header.channels) == (64, 32, fmt.channels)
    assert header.sample is fmt.format.sample
    assert header.first_tile == ((2056, 7) if cols * rows == 1 else None)
    assert header.mismatch(fmt.format, fmt.channels, 64, 32) is None
    assert "tile width is 64, not 32" in (header.mismatch(fmt.format, fmt.channels, 32, 32) or "")


def test_vector_facts() -> None:
    data = vector_header(256)
    assert data[8:18] == bytes(8) + b"\x04\x00"
    assert [_entry(data, at) for at in (18, 30, 42, 54)] == [
        (256, 4, 1, 1),
        (257, 4, 1, 1),
        (324, 4, 256, 2048),
        (325, 4, 256, 2048 + 1024),
    ]
    assert data[66:] == bytes(2048 - 66)
    assert parse_header(data).is_vector
    # A lone vector tile: its size stands in its own entry, at byte 62, and not where raster slabs have it.
    alone = vector_header(1, (2056, 99))
    assert (_u32(alone, 50), _u32(alone, 62)) == (2056, 99)
    assert alone[66:] == bytes(2048 - 66)


RGB = PixelFormat.of(TileFormat(Compression.ZIP, SampleType.UINT8), 3)
HEADER = slab_header(RGB, 256, 256, 4, 4)


def _patched(at: int, new: bytes) -> bytes:
    return HEADER[:at] + new + HEADER[at + len(new) :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes"),
        (HEADER[:2047], "2047 bytes"),
        (b"MM" + HEADER[2:], "little-endian"),
        (b"\x89PNG\r\n\x1a\n" + HEADER[8:], "little-endian"),
        (_patched(4, b"\x08"), "byte 16"),
        (_patched(10, b"\x10"), "bits per sample differ"),
        (_patched(16, b"\x0d"), "13 directory entries"),
        (_patched(16, b"\x0c"), "instead of 11"),
        (_patched(18, HEADER[30:42] + HEADER[18:30]), "byte 18 is tag 257"),
        (_patched(20, b"\x03"), "type 3"),
        (_patched(26, b"\x01\x04"), "whole number"),
        (_patched(26, b"\x00\x08"), "8 x 4"),
        (_patched(50, b"\x07"), "bits per sample entry"),
        (_patched(62, b"\x63"), "compression tag is 99"),
        (_patched(74, b"\x06"), "photometric is 6"),
        (_patched(86, b"\x05"), "5 channels"),
        (_patched(98, bytes(4)), "no pixels"),
        (_patched(122, b"\x01"), "index is not at byte 2048"),
        (_patched(146, b"\x03"), "8 bits of sample format 3"),
        (_patched(150, b"\x01"), "followed by another"),
    ],
)
def test_broken_headers_are_named(data: bytes, message: str) -> None:
    with pytest.raises(SlabError, match=message) as caught:
        parse_header(data, "the slab 3E/42/01.tif")
    assert str(caught.value).startswith("the slab 3E/42/01.tif is not a slab: ")
    assert "\n" not in str(caught.value)


def test_two_float_channels_as_the_reference_writes_them() -> None:
    fmt = PixelFormat.of(TileFormat(Compression.ZIP, SampleType.FLOAT32), 2)
    data = slab_header(fmt, 256, 256, 2, 2)
    theirs = data[:50] + struct.pack("<HH", 8, 8) + data[54:]
    assert parse_header(theirs) == parse_header(data)


@pytest.mark.parametrize("size", [(0, 256, 1, 1), (256, 256, 0, 1), (256, -1, 1, 1), (2**20, 1, 2**12, 1)])
def test_impossible_sizes(size: tuple[int, int, int, int]) -> None:
    with pytest.raises(SlabError):
        slab_header(RGB, *size, first_tile=(2056, 1))


@given(st.binary(max_size=200), st.integers(0, 170))
def test_any_damage_gives_a_header_or_a_slab_error(junk: bytes, at: int) -> None:
    data = (HEADER[:at] + junk + HEADER[at + len(junk) :])[:2048]
    try:
        header = parse_header(data)
    except SlabError as error:
        message = str(error)
    else:
        message = ""
        assert header.is_vector or header.columns * header.rows == header.tile_count >= 1
    assert "\n" not in message
