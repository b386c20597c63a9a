"""Slabs: 256 tiles to a file and its index back."""

from __future__ import annotations

import numpy as np
import pytest

from fastpyr.formats import Compression, PixelFormat, SampleType, TileFormat
from fastpyr.slab import read_index, slab_chunks
from fastpyr.store import FileStore

JPG = PixelFormat.of(TileFormat(Compression.JPG, SampleType.UINT8), 3)


@pytest.fixture(scope="module")
def tiles():
    sizes = np.random.default_rng(1).integers(8_000, 24_000, 256)
    return [bytes(size) for size in sizes.tolist()]


def test_make(measured, tiles):
    work = lambda: slab_chunks(JPG, 256, 256, 16, 16, tiles)  # noqa: E731
    total = sum(map(len, tiles))
    measured("slab of 256 JPEG tiles", "make", work, lambda chunks: sum(map(len, chunks)) > total, bytes=total)


def test_write(measured, tiles, tmp_path):
    store = FileStore(tmp_path)
    chunks = slab_chunks(JPG, 256, 256, 16, 16, tiles)
    total = sum(map(len, chunks))
    measured("slab of 256 JPEG tiles", "write", lambda: store.put("x/slab.tif", chunks),
             lambda _: store.size("x/slab.tif") == total, bytes=total)  # fmt: skip


def test_index(measured, tiles):
    data = b"".join(slab_chunks(JPG, 256, 256, 16, 16, tiles))
    measured("slab of 256 JPEG tiles", "read index", lambda: read_index(data),
             lambda found: list(found[1].sizes) == [len(tile) for tile in tiles])  # fmt: skip
