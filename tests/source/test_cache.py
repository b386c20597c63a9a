"""The chunk cache: one decoding per chunk, bounded bytes, errors that reach everyone and stay nowhere."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpyr.source import BlockLayout, Chunk, ChunkCache
from fastpyr.source.cache import chunk_shape


def chunk(value=0, size=100):
    return Chunk.of(np.full((1, size, 1), value, np.uint8), None)


def test_least_recently_used_goes_first():
    cache = ChunkCache(300)
    for key in "abc":
        cache.get(key, 100, chunk)
    cache.get("a", 100, chunk)
    cache.get("d", 100, chunk)
    assert cache.nbytes == 300
    decoded = cache.decoded
    cache.get("a", 100, chunk)
    assert cache.decoded == decoded
    cache.get("b", 100, chunk)
    assert cache.decoded == decoded + 1


def test_room_is_made_before_decoding():
    cache = ChunkCache(250)
    cache.get("a", 100, chunk)
    cache.get("b", 100, chunk)
    seen = []
    cache.get("c", 100, lambda: seen.append(cache.nbytes) or chunk())
    assert seen == [100]
    # what is larger than the budget is handed out and not kept
    assert cache.get("huge", 1000, lambda: chunk(size=1000)).nbytes == 1000
    assert cache.nbytes == 0


def test_waiting_threads_share_one_decoding_and_its_error():
    cache = ChunkCache(1000)
    started, go = threading.Event(), threading.Event()
    results = []

    def failing():
        started.set()
        go.wait(10)
        raise OSError("broken")

    def ask():
        try:
            results.append(cache.get("k", 100, failing))
        except OSError as exc:
            results.append(str(exc))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert started.wait(10)
    assert cache.get("k", 100, chunk, wait=False) is None
    deadline = time.monotonic() + 10
    while cache.waits < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    go.set()
    for thread in threads:
        thread.join(10)
    assert results == ["broken"] * 5
    assert cache.get("k", 100, chunk).state == 2
    assert cache.decoded == 1


def test_chunks_know_their_state():
    pixels = np.zeros((2, 2, 3), np.uint8)
    mask = np.array([[0, 255], [255, 255]], np.uint8)
    assert Chunk.of(pixels, None).state == 2
    assert Chunk.of(pixels, mask).state == 1
    full = Chunk.of(pixels, np.full((2, 2), 255, np.uint8))
    assert full.state == 2
    assert full.mask is None
    empty = Chunk.of(pixels, np.zeros((2, 2), np.uint8))
    assert empty.state == 0
    assert empty.nbytes == 0


@given(
    width=st.integers(1, 100_000),
    height=st.integers(1, 100_000),
    block=st.tuples(st.integers(1, 70_000), st.integers(1, 70_000)),
    pixel=st.sampled_from([1, 3, 4, 16]),
    budget=st.sampled_from([1 << 20, 32 << 20, 1 << 30]),
    sequential=st.booleans(),
)
def test_chunks_are_whole_blocks_within_the_budget(width, height, block, pixel, budget, sequential):
    rows, cols = min(block[0], height), min(block[1], width)
    chunk_rows, chunk_cols = chunk_shape(width, height, pixel, BlockLayout(*block, sequential), budget)
    assert 1 <= chunk_rows <= height
    assert chunk_cols == width or chunk_cols % cols == 0
    cut = rows * cols * pixel > budget // 8
    assert cut or chunk_rows == height or chunk_rows % rows == 0
    one_row = chunk_cols * pixel
    assert chunk_rows * one_row <= max(budget // 8, one_row)


def test_usual_layouts():
    big = 256 << 20
    assert chunk_shape(20_000, 20_000, 3, BlockLayout(256, 256), big) == (512, 512)
    assert chunk_shape(20_000, 20_000, 3, BlockLayout(16, 20_000), big) == (16, 20_000)
    assert chunk_shape(2_000, 2_000, 3, BlockLayout(16, 2_000), big) == (256, 2_000)
    assert chunk_shape(300, 300, 3, BlockLayout(16, 300), big) == (300, 300)
    assert chunk_shape(20_000, 20_000, 3, BlockLayout(512, 512), big) == (512, 512)
    assert chunk_shape(20_000, 20_000, 3, BlockLayout(512, 512, in_pairs=True), big) == (512, 1024)
    assert chunk_shape(20_000, 20_000, 3, BlockLayout(256, 256, in_pairs=True), big) == (512, 512)
    assert chunk_shape(2_000, 2_000, 3, BlockLayout(1, 2_000, sequential=True), big) == (2_000, 2_000)
    # one strip of 2.7 GB: bands
    rows, cols = chunk_shape(30_000, 30_000, 3, BlockLayout(30_000, 30_000), big)
    assert cols == 30_000
    assert 100 < rows < 400


def test_no_budget():
    with pytest.raises(ValueError, match="max_bytes"):
        ChunkCache(0)
