"""Packs and their windows, against a painter of a few lines."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpyr.errors import SourceError
from fastpyr.formats import SampleType
from fastpyr.source import ArraySource, BlockLayout, ChunkCache, build_mosaic, open_source

U8 = SampleType.UINT8


def array_source(pixels, col=0, row=0, res=0.5, crs="EPSG:2154", **more):
    transform = (res, 0, 600000 + col * res, 0, -res, 6600000 - row * res)
    return ArraySource(pixels, crs=crs, transform=transform, name=f"at {col} {row}", **more)


class Blocky:
    """An array that says it is stored in blocks, and counts how often each chunk is asked of it."""

    def __init__(self, source, rows, cols):
        self._source = source
        self.info = source.info
        self.layout = BlockLayout(rows, cols)
        self.asked = Counter()
        self._lock = threading.Lock()

    def read(self, x0, y0, x1, y1):
        with self._lock:
            self.asked[x0, y0, x1, y1] += 1
        return self._source.read(x0, y0, x1, y1)

    def close(self):
        pass


def painter(layers, width, height):
    """Last wins where it has data; 0 elsewhere."""
    channels = layers[0][2].shape[2]
    canvas, mask = np.zeros((height, width, channels), np.uint8), np.zeros((height, width), np.uint8)
    for col, row, pixels, valid in layers:
        h, w = valid.shape
        canvas[row : row + h, col : col + w][valid] = pixels[valid]
        mask[row : row + h, col : col + w][valid] = 255
    return canvas, mask


def window_of(canvas, mask, x0, y0, x1, y1):
    """Part of a canvas, which may leave it."""
    margin = 110
    big = np.pad(canvas, ((margin, margin), (margin, margin), (0, 0)))
    big_mask = np.pad(mask, margin)
    part = np.s_[y0 + margin : y1 + margin, x0 + margin : x1 + margin]
    return big[part], big_mask[part]


def read(pack, x0, y0, x1, y1):
    """Buffers full of rubbish, as rows of larger ones."""
    shape = (y1 - y0, x1 - x0)
    out = np.full((shape[0], shape[1] + 7, pack.channels), 77, pack.sample.dtype)[:, 3:-4]
    mask = np.full((shape[0], shape[1] + 7), 99, np.uint8)[:, 3:-4]
    state = pack.read(x0, y0, x1, y1, out, mask)
    if state == 2:  # the mask says nothing
        mask[...] = 255
    return state, out, mask


LAYERS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 25), st.integers(1, 25), st.sampled_from("fhme")),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150)
@given(layers=LAYERS, window=st.tuples(*[st.integers(-8, 50)] * 2, *[st.integers(1, 50)] * 2), block=st.integers(1, 9))
def test_windows_equal_the_painter(layers, window, block):
    """Sources that are full, half masked, speckled or empty; arrays and stored blocks side by side."""
    rng = np.random.default_rng(len(layers))
    painted, sources = [], []
    for index, (col, row, width, height, kind) in enumerate(layers):
        pixels = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        valid = np.ones((height, width), bool)
        if kind == "h":
            valid[:, : width // 2] = False
        elif kind == "m":
            valid = rng.random((height, width)) < 0.7
        elif kind == "e":
            valid[:] = False
        source = array_source(pixels, col, row, mask=None if kind == "f" else valid)
        sources.append(Blocky(source, block, block + 1) if index % 2 else source)
        painted.append((col, row, pixels, valid))
    mosaic = build_mosaic(sources, ChunkCache(4000), 3, U8)
    (pack,) = mosaic.packs
    left, top = min(p[0] for p in painted), min(p[1] for p in painted)
    painted = [(col - left, row - top, *rest) for col, row, *rest in painted]
    canvas, mask = painter(painted, pack.width, pack.height)
    x0, y0, width, height = window
    box = (x0, y0, x0 + width, y0 + height)
    expected, expected_mask = window_of(canvas, mask, *box)
    state, out, out_mask = read(pack, *box)
    np.testing.assert_array_equal(out_mask, expected_mask)
    np.testing.assert_array_equal(out, expected)
    assert state == (2 if expected_mask.all() else 1 if expected_mask.any() else 0)
    view = pack.view(*box)
    if view is not None:
        np.testing.assert_array_equal(view, expected)
        assert state == 2


def test_pack_frame(picture):
    pixels = picture(20, 30)
    sources = [array_source(pixels, 100, 50), array_source(pixels, 40, 60), array_source(pixels, 130, 10)]
    (pack,) = build_mosaic(sources, ChunkCache(1 << 20), 3, U8).packs
    assert (pack.width, pack.height) == (120, 70)
    assert pack.rects.tolist() == [[60, 40, 90, 60], [0, 50, 30, 70], [90, 0, 120, 20]]
    assert pack.transform == (0.5, 0, 600020, 0, -0.5, 6599995)
    assert pack.bounds == (600020, 6599960, 600080, 6599995)
    assert pack.sources_in(0, 0, 61, 51) == [0, 1]
    assert pack.sources_in(90, 20, 120, 70) == []


def test_what_makes_a_pack(picture):
    pixels = picture(20, 30)
    first = array_source(pixels)

    def packs(*others):
        return len(build_mosaic([first, *others], ChunkCache(1 << 20), 3, U8).packs)

    assert packs(array_source(pixels, 30), array_source(pixels, 0, 1000)) == 1
    assert packs(array_source(pixels, 30.0005)) == 1
    assert packs(array_source(pixels, 30.002)) == 2
    assert packs(array_source(pixels, 30, 0, res=0.50001)) == 2, "30 columns at 0.50001 start off the grid"
    same_phase = ArraySource(
        pixels, crs="EPSG:2154", transform=(0.50001, 0, 600015, 0, -0.50001, 6600000), name="nearly"
    )
    assert packs(same_phase) == 1, "0.02 thousandths of a pixel per pixel is noise"
    assert packs(array_source(pixels, res=1.0)) == 2
    assert packs(array_source(pixels, 30, crs="IGNF:LAMB93")) == 1
    assert packs(array_source(pixels, 30, crs="EPSG:3857")) == 2
    # order counts: the second grid stays between the two halves of the first
    assert packs(array_source(pixels, res=1.0), array_source(pixels, 30)) == 3
    turned = ArraySource(pixels, crs="EPSG:2154", transform=(0.4, 0.3, 600000, 0.3, -0.4, 6600000))
    assert packs(turned, turned) == 3


def test_a_slipping_resolution_is_not_packed():
    """Within a thousandth in resolution, but a whole pixel longer at its far end."""
    wide = np.zeros((2, 2000, 3), np.uint8)
    other = ArraySource(wide, crs="EPSG:2154", transform=(0.50025, 0, 600000, 0, -0.5, 6600000))
    assert len(build_mosaic([array_source(wide), other], ChunkCache(1 << 20), 3, U8).packs) == 2


def test_channels_and_samples(picture):
    gray = picture(9, 9, 1)
    rgba = picture(9, 9, 4)
    mosaic = build_mosaic([array_source(gray), array_source(rgba, 9)], ChunkCache(1 << 20), 3, U8)
    _, out, _ = read(mosaic.packs[0], 0, 0, 18, 9)
    np.testing.assert_array_equal(out[:, :9], np.repeat(gray, 3, axis=2))
    np.testing.assert_array_equal(out[:, 9:], rgba[:, :, :3])
    (pack,) = build_mosaic([array_source(gray)], ChunkCache(1 << 20), 1, SampleType.FLOAT32).packs
    _, out, _ = read(pack, 0, 0, 9, 9)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, gray)


@pytest.mark.parametrize(
    ("dtypes", "channels", "sample", "match"),
    [
        (("uint8", "float32"), 1, U8, "at 9 0 has float32 samples but at 0 0 has uint8"),
        (("float32",), 1, U8, "do not fit in uint8"),
        (("float32",), 2, SampleType.FLOAT32, r"1 float32 channel\(s\) cannot become 2"),
        ((), 1, U8, "no source"),
    ],
)
def test_refusals(dtypes, channels, sample, match):
    sources = [array_source(np.zeros((9, 9), dtype), 9 * i) for i, dtype in enumerate(dtypes)]
    with pytest.raises(SourceError, match=match):
        build_mosaic(sources, ChunkCache(1 << 20), channels, sample)


def test_shapes_are_checked(picture):
    (pack,) = build_mosaic([array_source(picture(9, 9))], ChunkCache(1 << 20), 3, U8).packs
    mask = np.empty((4, 4), np.uint8)
    for out in (np.empty((4, 5, 3), np.uint8), np.empty((4, 4, 1), np.uint8), np.empty((4, 4, 3), np.float32)):
        with pytest.raises(ValueError, match="out"):
            pack.read(0, 0, 4, 4, out, mask)
    with pytest.raises(ValueError, match="window"):
        pack.read(4, 0, 0, 4, np.empty((4, 4, 3), np.uint8), mask)


def test_hidden_sources_are_not_read(picture):
    below, above = Blocky(array_source(picture(64, 64)), 8, 8), Blocky(array_source(picture(64, 64, seed=1)), 8, 8)
    (pack,) = build_mosaic([below, above], ChunkCache(1 << 20), 3, U8).packs
    state, out, _ = read(pack, 0, 0, 64, 64)
    assert state == 2
    assert not below.asked
    np.testing.assert_array_equal(out, picture(64, 64, seed=1))


def test_a_window_in_one_chunk_is_a_view(picture):
    pixels = picture(64, 64)
    blocky = Blocky(array_source(pixels), 64, 64)
    (pack,) = build_mosaic([blocky], ChunkCache(1 << 20), 3, U8).packs
    view = pack.view(3, 4, 50, 60)
    assert view is not None
    assert not view.flags.owndata
    np.testing.assert_array_equal(view, pixels[4:60, 3:50])
    assert pack.view(-1, 0, 5, 5) is None
    pack.view(0, 0, 64, 64)
    assert sum(blocky.asked.values()) == 1


def test_eight_threads_decode_each_chunk_once(write, picture):
    """Overlapping windows of two files, all at once; the files' blocks are read by GDAL exactly once each."""
    profile = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate", "interleave": "pixel"}
    pixels = picture(1100, 1400)
    left = open_source(write("a.tif", np.ascontiguousarray(pixels[:, :800]), **profile))
    right = open_source(write("b.tif", np.ascontiguousarray(pixels[:, 800:]), **profile, transform=shifted(800)))
    asked = Counter()
    lock = threading.Lock()
    for source in (left, right):
        original = source.read

        def counting(*window, _original=original, _name=source.info.name):
            with lock:
                asked[_name, window] += 1
            return _original(*window)

        source.read = counting
    with build_mosaic([left, right], ChunkCache(64 << 20), 3, U8) as mosaic:
        (pack,) = mosaic.packs
        windows = [(x - 5, y - 5, x + 305, y + 305) for y in range(0, 1100, 150) for x in range(0, 1400, 150)]
        barrier = threading.Barrier(8)
        wrong = []

        def work(number):
            barrier.wait()
            for window in windows[number % 3 :: 3]:
                _, out, mask = read(pack, *window)
                expected, expected_mask = window_of(pixels, np.full((1100, 1400), 255, np.uint8), *clip(window))
                inside = np.s_[: expected.shape[0], : expected.shape[1]]
                offset = np.s_[max(0, -window[1]) :, max(0, -window[0]) :]
                if not np.array_equal(out[offset][inside], expected):
                    wrong.append(window)
                if (mask > 0).sum() != expected_mask.size:
                    wrong.append(window)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert set(asked.values()) == {1}
        assert mosaic.cache.decoded == len(asked) == 2 * 3 + 2 * 3
        assert mosaic.cache.nbytes == 1100 * 1400 * 3
    assert mosaic.cache.nbytes == 0


def clip(window):
    x0, y0, x1, y1 = window
    return max(x0, 0), max(y0, 0), min(x1, 1400), min(y1, 1100)


def shifted(cols):
    from rasterio.transform import Affine

    return Affine(0.5, 0, 600000 + cols * 0.5, 0, -0.5, 6600000)


def test_errors_reach_all_threads(write, picture):
    from fastpyr.errors import SourceError

    path = write("a.tif", picture(600, 600), compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : 2 * len(data) // 3] = b"\xff" * (2 * len(data) // 3 - len(data) // 3)
    path.write_bytes(data)
    (pack,) = build_mosaic([open_source(path)], ChunkCache(16 << 20), 3, U8).packs
    messages = []

    def work():
        try:
            read(pack, 0, 0, 600, 600)
        except SourceError as exc:
            messages.append(str(exc))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(messages) == 6
    assert all("a.tif: block (" in message for message in messages)


def test_a_small_budget_only_costs_time(write, picture):
    pixels = picture(700, 900)
    source = open_source(write("a.tif", pixels, compress="deflate"))
    (pack,) = build_mosaic([source], ChunkCache(300_000), 3, U8).packs
    for x in range(0, 900, 300):
        _, out, _ = read(pack, x, 0, x + 300, 700)
        np.testing.assert_array_equal(out, pixels[:, x : x + 300])
        assert pack._cache.nbytes <= 300_000


def test_ten_thousand_sources():
    """100 x 100 arrays of 4 x 4 pixels: every window finds its few."""
    sources = [
        array_source(np.full((4, 4, 1), n % 251, np.uint8), 4 * (n % 100), 4 * (n // 100)) for n in range(10_000)
    ]
    (pack,) = build_mosaic(sources, ChunkCache(1 << 20), 1, U8).packs
    assert (pack.width, pack.height) == (400, 400)
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, y = rng.integers(-10, 400, 2).tolist()
        cols = {c // 4 for c in range(max(x, 0), min(x + 10, 400))}
        rows = {r // 4 for r in range(max(y, 0), min(y + 10, 400))}
        assert pack.sources_in(x, y, x + 10, y + 10) == sorted(r * 100 + c for r in rows for c in cols)
    state, out, _ = read(pack, 0, 0, 400, 400)
    grid = np.arange(10_000).reshape(100, 100) % 251
    assert state == 2
    np.testing.assert_array_equal(out[:, :, 0], np.repeat(np.repeat(grid, 4, 0), 4, 1))
