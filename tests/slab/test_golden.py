"""Slabs of the reference tools, taken apart and written again."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from shared_data import shared

from fastpyr.encode import MASK_PIXELS, decode_tile, encoder
from fastpyr.encode.png import png_head, png_tile
from fastpyr.errors import SlabError
from fastpyr.formats import Compression, PixelFormat, TileFormat
from fastpyr.slab import (
    index_problems,
    read_index,
    read_slab,
    slab_bytes,
    slab_header,
    tile_bytes,
    vector_slab_chunks,
)

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "rok4"
ABSENT = f"reference data absent: no {DATA.name} slabs in shared/data beside the project"
REFERENCE_ZIP_LEVEL = 6
REFERENCE_PNG_LEVEL = 5


class Golden(NamedTuple):
    path: Path
    format: PixelFormat
    tile: int
    columns: int
    rows: int


def _pixels(name: str, channels: int) -> PixelFormat:
    return PixelFormat.of(TileFormat.parse(name), channels)


def _golden_slabs() -> list[Golden]:
    folders = [
        ("golden/BDPARCELLAIRE", _pixels("TIFF_PNG_UINT8", 1), 256, 2),
        ("golden/SCAN1000", _pixels("TIFF_PNG_UINT8", 4), 256, 2),
        ("golden/RGEALTI", _pixels("TIFF_ZIP_FLOAT32", 1), 256, 2),
        ("reference-runs/SCAN1000_PNG_MASK_M4T50/DATA", _pixels("TIFF_PNG_UINT8", 3), 256, 2),
        ("reference-runs/SCAN1000_PNG_MASK_M4T50/MASK", MASK_PIXELS, 256, 2),
        ("fixtures/TIFF_ZIP_FLOAT32", _pixels("TIFF_ZIP_FLOAT32", 1), 256, 2),
        ("tool-inputs/cache2work", _pixels("TIFF_JPG_UINT8", 3), 20, 10),
    ]
    return [
        Golden(path, fmt, tile, size, size)
        for folder, fmt, tile, size in folders
        for path in sorted((DATA / folder).rglob("*.tif"))
        if path.name != "NOTASLAB.tif"
    ]


SLABS = _golden_slabs()
IDS = ["-".join(g.path.relative_to(DATA).with_suffix("").parts[1:]) for g in SLABS]


@pytest.mark.skipif(not SLABS, reason=ABSENT)
def test_all_reference_slabs_are_found() -> None:
    assert len(SLABS) == 75


@pytest.mark.skipif(not SLABS, reason=ABSENT)
@pytest.mark.parametrize("golden", SLABS, ids=IDS)
def test_rewritten_from_its_own_payloads(golden: Golden) -> None:
    data = golden.path.read_bytes()
    header, index = read_index(data)
    assert (header.columns, header.rows, header.tile_width) == (golden.columns, golden.rows, golden.tile)
    assert header.mismatch(golden.format.format, golden.format.channels, golden.tile, golden.tile) is None
    assert index_problems(header, index, len(data)) == []
    tiles = [tile_bytes(data, index, n) or b"" for n in range(len(index))]
    assert slab_bytes(golden.format, golden.tile, golden.tile, golden.columns, golden.rows, tiles) == data


@pytest.mark.skipif(not SLABS, reason=ABSENT)
@pytest.mark.parametrize("golden", SLABS, ids=IDS)
def test_rewritten_from_its_own_pixels(golden: Golden) -> None:
    """Our encoder's slab has the same header and pixels, and what the reference's zlib gives is equal byte for byte."""
    fmt, tile = golden.format, golden.tile
    data = golden.path.read_bytes()
    _, index = read_index(data)
    pixels = read_slab(data, fmt)
    encode = encoder(fmt, tile, tile)
    ours = [b for row in encode.encode_block(pixels) for b in row if b is not None]
    slab = slab_bytes(fmt, tile, tile, golden.columns, golden.rows, ours)
    assert slab[:2048] == data[:2048] == slab_header(fmt, tile, tile, golden.columns, golden.rows)
    if fmt.format.compression.is_lossy:
        return
    np.testing.assert_array_equal(read_slab(slab, fmt), pixels)
    theirs = [
        _as_the_reference(fmt, decode_tile(fmt, fmt.channels, tile, tile, tile_bytes(data, index, n) or b""))
        for n in range(len(index))
    ]
    assert slab_bytes(fmt, tile, tile, golden.columns, golden.rows, theirs) == data


def _as_the_reference(fmt: PixelFormat, pixels: np.ndarray) -> bytes:
    if fmt.format.compression is Compression.ZIP:
        return zlib.compress(pixels.tobytes(), REFERENCE_ZIP_LEVEL)
    rows = np.pad(pixels.reshape(len(pixels), -1), ((0, 0), (1, 0)))
    head = png_head(pixels.shape[1], pixels.shape[0], fmt.channels)
    return png_tile(head, rows, lambda raw: zlib.compress(raw, REFERENCE_PNG_LEVEL))


def test_vector_slab() -> None:
    data = shared("rok4/fixtures/TIFF_PBF_MVT/DATA/4/00/00/21.tif").read_bytes()
    header, index = read_index(data, count=16)
    assert header.is_vector
    assert index_problems(header, index, len(data)) == []
    tiles = [tile_bytes(data, index, n) or b"" for n in range(16)]
    assert all(tile[:1] == b"\x1a" for tile in tiles)  # field 3 of a vector tile: a layer
    assert b"".join(vector_slab_chunks(tiles)) == data
    with pytest.raises(SlabError, match="vector"):
        read_slab(data, _pixels("TIFF_ZIP_UINT8", 1))


@pytest.mark.parametrize("folder", ["cache2work", "work2cache"])
def test_what_the_reference_tools_refuse_is_refused(folder: str) -> None:
    data = shared(f"rok4/tool-inputs/{folder}/NOTASLAB.tif").read_bytes()
    with pytest.raises(SlabError, match=r"SLAB is not a slab: it does not start"):
        read_index(data, name="SLAB")
