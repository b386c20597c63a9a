"""Writer and reader of whole slabs: layout, limits, damage."""

from __future__ import annotations

import re
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpyr.errors import DecodeError, SlabError
from fastpyr.formats import Compression, PixelFormat, SampleType, TileFormat
from fastpyr.slab import (
    MAX_SLAB_SIZE,
    index_problems,
    parse_index,
    read_index,
    read_slab,
    slab_bytes,
    slab_chunks,
    slab_size,
    tile_bytes,
    vector_slab_chunks,
)

GRAY = PixelFormat.of(TileFormat(Compression.RAW, SampleType.UINT8), 1)


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=12))
def test_layout(tiles: list[bytes]) -> None:
    data = slab_bytes(GRAY, 4, 4, len(tiles), 1, tiles)
    count = len(tiles)
    starts = struct.unpack_from(f"<{count}I", data, 2048)
    sizes = struct.unpack_from(f"<{count}I", data, 2048 + 4 * count)
    expected = 2048 + 8 * count
    covered = bytearray(b"\1" * expected) + bytearray(len(data) - expected)
    for start, size, tile in zip(starts, sizes, tiles, strict=True):
        assert start == expected
        assert data[start : start + size] == tile
        covered[start : start + size] = b"\1" * size
        expected = (start + size + 15) // 16 * 16
    assert len(data) == starts[-1] + sizes[-1] == slab_size([len(tile) for tile in tiles])
    assert all(byte == 0 for byte, used in zip(data, covered, strict=True) if not used)
    header, index = read_index(data)
    assert index_problems(header, index, len(data)) == []
    assert [tile_bytes(data, index, n) for n in range(count)] == tiles


@pytest.mark.parametrize(("count", "start"), [(256, 4096), (100, 2848), (4, 2080), (3, 2072), (1, 2056)])
def test_first_tile(count: int, start: int) -> None:
    _, index = read_index(slab_bytes(GRAY, 1, 1, count, 1, [b"x"] * count))
    assert index.tile_range(0) == (start, 1)


def test_large_payloads_are_not_copied() -> None:
    tiles = [b"abc", b"defg" * (1 << 20), b"h"]
    chunks = slab_chunks(GRAY, 1, 1, 3, 1, tiles)
    assert [chunk for chunk in chunks if any(chunk is tile for tile in tiles)] == tiles
    assert b"".join(chunks[2:]) == b"abc" + bytes(5) + tiles[1] + b"h"


def test_small_payloads_come_in_one_piece() -> None:
    tiles = [b"abc", b"defg" * 4, b"h"]
    assert slab_chunks(GRAY, 1, 1, 3, 1, tiles)[2:] == [b"abc" + bytes(5) + tiles[1] + b"h"]


def test_one_tile() -> None:
    data = slab_bytes(GRAY, 2, 2, 1, 1, [b"abcd"])
    header, index = read_index(data, count=1)
    assert header.first_tile == (2056, 4) == index.tile_range(0)
    assert read_slab(data, GRAY)[..., 0].tolist() == [[97, 98], [99, 100]]


class _Huge(bytes):
    """Says it is large without being so."""

    def __len__(self) -> int:
        return 2**30


def test_more_than_two_gibibytes() -> None:
    with pytest.raises(SlabError, match=r"2147483647 bytes .* fewer tiles per slab"):
        slab_chunks(GRAY, 1, 1, 2, 1, [_Huge(), _Huge()])
    with pytest.raises(SlabError, match="2147483647"):
        vector_slab_chunks([_Huge(), _Huge()])
    assert MAX_SLAB_SIZE == 2147483647


def test_tiles_missing_or_empty() -> None:
    with pytest.raises(SlabError, match="needs 4 of them, not 3"):
        slab_bytes(GRAY, 1, 1, 2, 2, [b"x"] * 3)
    with pytest.raises(SlabError, match="tile 1 of the slab is empty"):
        slab_bytes(GRAY, 1, 1, 2, 1, [b"x", b""])


def test_vector_slab_with_missing_tiles() -> None:
    tiles = [b"", b"first" * 5, b"", b"last", b""]
    data = b"".join(vector_slab_chunks(tiles))
    header, index = read_index(data)
    assert index_problems(header, index, len(data)) == []
    assert index.sizes.tolist() == [0, 25, 0, 4, 0]
    assert [tile_bytes(data, index, n) for n in range(5)] == [tile or None for tile in tiles]
    first = 2048 + 40
    assert index.offsets.tolist()[:3] == [first, first, (first + 25 + 15) // 16 * 16]
    with pytest.raises(SlabError, match="0 vector tiles"):
        vector_slab_chunks([])


TILES = [bytes([n]) * 4 for n in range(4)]
SLAB = slab_bytes(GRAY, 2, 2, 2, 2, TILES)


def test_range_reader_reads_what_it_needs() -> None:
    asked: list[tuple[int, int]] = []

    def get_range(offset: int, size: int) -> bytes:
        asked.append((offset, size))
        return SLAB[offset : offset + size]

    _, index = read_index(get_range, count=4)
    assert asked == [(0, 2080)]
    assert tile_bytes(get_range, index, 2) == TILES[2]
    assert asked[1:] == [index.tile_range(2)]
    assert read_index(get_range)[1].offsets.tolist() == index.offsets.tolist()
    assert asked[2:] == [(0, 2048), (2048, 32)]


def test_truncation_is_named() -> None:
    with pytest.raises(SlabError, match=r"S is truncated: it has 2079 bytes"):
        read_index(SLAB[:2079], name="S")
    with pytest.raises(SlabError, match=r"S is truncated: it has 2079 bytes"):
        parse_index(SLAB[:2079], 4, name="S")
    _, index = read_index(SLAB)
    with pytest.raises(SlabError, match=r"S is truncated: tile 3 needs 4 bytes at \d+, 3 are there"):
        tile_bytes(SLAB[:-1], index, 3, name="S")
    with pytest.raises(SlabError, match="holds 4 tiles, the descriptor says 256"):
        read_index(SLAB, count=256)
    for number in (-1, 4):
        with pytest.raises(SlabError, match="outside a slab of 4 tiles"):
            tile_bytes(SLAB, index, number)


def _with_index(offsets: list[int], sizes: list[int]) -> bytes:
    return SLAB[:2048] + struct.pack("<8I", *offsets, *sizes) + SLAB[2080:]


@pytest.mark.parametrize(
    ("offsets", "sizes", "message"),
    [
        ([2080, 2096, 2112, 2128], [4, 4, 4, 5], "tile 3 ends after the end of the file"),
        ([2080, 2096, 2112, 2**32 - 16], [4, 4, 4, 4], "tile 3 ends after the end of the file"),
        ([2080, 2096, 2112, 2128], [4, 0, 0, 4], r"tile 1 is empty \(and 1 more\)"),
        ([2080, 2096, 2112, 2127], [4, 4, 4, 5], "tile 3 does not start on a multiple of 16"),
        ([2064, 2096, 2112, 2128], [4, 4, 4, 4], "tile 0 starts inside the header or the index"),
        ([2096, 2080, 2112, 2128], [4, 4, 4, 4], "tile 1 starts before its left neighbour"),
        ([2080, 2096, 2112, 2128], [20, 4, 4, 4], "two tiles overlap"),
        ([2080, 2096, 2112, 2112], [4, 4, 4, 4], "16 bytes follow the last tile"),
        ([2096, 2096, 2112, 2128], [4, 4, 4, 4], "no tile starts at byte 2080"),
    ],
)
def test_problems_of_an_index(offsets: list[int], sizes: list[int], message: str) -> None:
    data = _with_index(offsets, sizes)
    header, index = read_index(data)
    problems = index_problems(header, index, len(data))
    assert len(problems) == 1
    assert re.search(message, problems[0]), problems


def test_allowed_though_unusual() -> None:
    # A second row stored before the first, and neighbours that share a payload: readers cope with both.
    data = _with_index([2112, 2112, 2080, 2080], [4, 4, 4, 4])[: 2112 + 4]
    header, index = read_index(data)
    assert index_problems(header, index, len(data)) == []


def test_lone_tile_with_two_opinions() -> None:
    data = slab_bytes(GRAY, 2, 2, 1, 1, [b"abcd"])
    data = data[:134] + struct.pack("<I", 3) + data[138:]
    header, index = read_index(data)
    assert index_problems(header, index, len(data)) == ["the directory and the index disagree about the only tile"]


def test_read_slab_refuses() -> None:
    with pytest.raises(SlabError, match="compression tag is 1, not 8"):
        read_slab(SLAB, TileFormat(Compression.ZIP, SampleType.UINT8))
    with pytest.raises(SlabError, match="channels is 1, not 3"):
        read_slab(SLAB, PixelFormat.of(GRAY.format, 3))
    with pytest.raises(SlabError, match="more than the 15 allowed"):
        read_slab(SLAB, GRAY, max_pixels=15)
    with pytest.raises(SlabError, match="tile 1 is empty"):
        read_slab(_with_index([2080, 2096, 2112, 2128], [4, 0, 4, 4]), GRAY)
    with pytest.raises(DecodeError, match="S, tile 2: raw tile of 3 bytes instead of 4"):
        read_slab(_with_index([2080, 2096, 2112, 2128], [4, 4, 3, 4]), GRAY, "S")


@settings(max_examples=300)
@given(st.data())
def test_hostile_bytes_never_do_worse_than_an_error(data: st.DataObject) -> None:
    damaged = bytearray(SLAB)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, 170) | st.integers(2048, 2079))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(SLAB)) | st.just(len(SLAB)))]
    try:
        header, index = read_index(bytes(damaged))
        index_problems(header, index, len(damaged))
        pixels = read_slab(bytes(damaged), GRAY, max_pixels=2**20)
    except (SlabError, DecodeError) as error:
        message = str(error)
    else:
        message = ""
        assert pixels.size <= 2**20
    assert "\n" not in message


def test_index_is_not_a_view_of_the_input() -> None:
    source = bytearray(SLAB)
    _, index = read_index(source)
    before = index.offsets.copy()
    source[2048:2064] = bytes(16)
    np.testing.assert_array_equal(index.offsets, before)
