"""JpegEncoder: the bytes of libjpeg-turbo, as Pillow and imagecodecs call it, on every path."""

import threading
import time
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagecodecs import jpeg8_encode
from PIL import Image
from shared_data import shared

from fastpyr import _native
from fastpyr._native import JpegEncoder

Pixels = npt.NDArray[np.uint8]
CHUNK = 256  # columns that the core handles at a time
QUALITIES = [1, 10, 49, 50, 75, 90, 95, 100]
KINDS = ["noise", "constant", "gradient", "aerial", "sparse", "checkerboard", "stripes", "steps", "waves"]


def libjpeg(tile: Pixels, quality: int) -> bytes:
    """The reference, twice: two builds of libjpeg-turbo must agree before they are one."""
    out = BytesIO()
    Image.fromarray(np.ascontiguousarray(tile)).save(out, "jpeg", quality=quality, subsampling=2)
    assert out.getvalue() == jpeg8_encode(np.ascontiguousarray(tile), quality, colorspace="RGB", subsampling="420")
    return out.getvalue()


def image(kind: str, rows: int, cols: int, seed: int = 0) -> Pixels:
    rng = np.random.default_rng([seed, rows, cols])
    i, j = np.mgrid[:rows, :cols]
    if kind == "noise":
        return rng.integers(0, 256, (rows, cols, 3), np.uint8)
    if kind == "constant":
        return np.broadcast_to(rng.integers(0, 256, 3, np.uint8), (rows, cols, 3)).copy()
    if kind == "gradient":
        return np.stack([i * 3, j * 2, i + j], axis=2).astype(np.uint8)
    if kind == "aerial":  # a smooth field with texture, channels alike
        field = np.cumsum(np.cumsum(rng.normal(0, 2, (rows, cols)), axis=0), axis=1) / 4 + 120
        return np.clip(field[..., None] + rng.normal(0, 6, (rows, cols, 3)), 0, 255).astype(np.uint8)
    if kind == "sparse":  # long runs of zeros in a block
        wave = np.cos((2 * (i % 8) + 1) * 7 * np.pi / 16) * np.cos((2 * (j % 8) + 1) * 7 * np.pi / 16)
        return np.repeat(np.rint(128 + 60 * wave)[..., None], 3, axis=2).astype(np.uint8)
    if kind == "checkerboard":
        return np.repeat(((i + j + seed) % 2 * 255)[..., None], 3, axis=2).astype(np.uint8)
    if kind == "stripes":
        return np.stack([j % 2 * 255, i // 8 % 2 * 255, (i // 16 + j // 8) % 2 * 255], axis=2).astype(np.uint8)
    if kind == "steps":  # one value of the transform per block, all multiples of 8 from -512 at quality 100
        sign = np.array([1, -1, -1, 1, 1, -1, -1, 1])[j % 8]
        amplitude = (i // 8 * ((cols + 7) // 8) + j // 8) % 128 - 64
        return np.repeat((128 + sign * amplitude)[..., None], 3, axis=2).astype(np.uint8)
    assert kind == "waves"  # the sign of a cosine of the transform in each block: the largest values there are
    u, v = i // 8 % 8, j // 8 % 8
    wave = np.cos((2 * (i % 8) + 1) * u * np.pi / 16) * np.cos((2 * (j % 8) + 1) * v * np.pi / 16)
    positive = np.where(seed % 2, wave < 0, wave > 0)
    return (np.stack([positive, positive ^ (seed % 3 == 1), positive ^ (seed % 3 == 2)], axis=2) * 255).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_every_quality_equals_libjpeg(cpu_path: str, kind: str) -> None:
    tiles = [image(kind, *shape, seed=k) for k, shape in enumerate([(128, 128), (64, 88), (33, 50), (8, 8)])]
    for quality in QUALITIES:
        encoder = JpegEncoder(quality)
        for tile in tiles:
            assert encoder.encode(tile) == libjpeg(tile, quality)


def test_every_small_size_equals_libjpeg(cpu_path: str) -> None:
    encoder = JpegEncoder(75)
    for n in range(1, 41):
        for shape in ((n, n), (n, 41 - n), (1, n), (n, 1), (17, n), (n, 24)):
            for kind in ("noise", "aerial"):
                tile = image(kind, *shape)
                assert encoder.encode(tile) == libjpeg(tile, 75), (kind, shape)


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, CHUNK + 9, 2 * CHUNK, 2 * CHUNK + 40])
def test_sizes_around_a_chunk_equal_libjpeg(cpu_path: str, size: int) -> None:
    encoder = JpegEncoder(90)
    for shape in ((size, size), (20, size), (size, 20)):
        tile = image("aerial", *shape)
        assert encoder.encode(tile) == libjpeg(tile, 90), shape


@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    rows=st.integers(1, 70),
    cols=st.integers(1, 300),
    quality=st.integers(1, 100),
    seed=st.integers(0, 2**32),
)
def test_any_image_equals_libjpeg(kind: str, rows: int, cols: int, quality: int, seed: int) -> None:
    tile, before = image(kind, rows, cols, seed), _native.cpu_paths()
    expected = libjpeg(tile, quality)
    try:
        for path in _native.cpu_paths(available=True):
            _native.set_cpu_paths([path])
            assert JpegEncoder(quality).encode(tile) == expected, path
    finally:
        _native.set_cpu_paths(before)


def test_real_tiles_equal_libjpeg(cpu_path: str) -> None:
    import rasterio

    for path in sorted(shared("ortho").glob("*.tif")):
        with rasterio.open(path) as source:
            block = np.ascontiguousarray(source.read(window=((300, 812), (500, 1012))).transpose(1, 2, 0))
        for quality in (75, 90):
            tiles = JpegEncoder(quality).encode_tiles(block, 256, 256)
            for i, row in enumerate(tiles):
                for j, tile in enumerate(row):
                    assert tile == libjpeg(block[256 * i :, 256 * j :][:256, :256], quality)


def test_a_large_tile(cpu_path: str) -> None:
    tile = np.tile(image("aerial", 512, 512), (8, 8, 1))
    assert JpegEncoder(75).encode(tile) == libjpeg(tile, 75)


def test_an_encoder_keeps_nothing_of_the_tile_before(cpu_path: str) -> None:
    encoder = JpegEncoder(75)
    tiles = [image("noise", 300, 270), image("constant", 16, 16), image("aerial", 5, 300), image("waves", 64, 64)]
    for tile in [*tiles, *tiles[::-1]]:
        assert encoder.encode(tile) == libjpeg(tile, 75)
    assert encoder.quality == 75


def test_a_block_gives_the_streams_of_its_tiles(cpu_path: str) -> None:
    encoder, block = JpegEncoder(75), image("aerial", 96, 120)
    wanted = np.array([[True, False, True], [False, False, True]])
    single = [[libjpeg(block[i : i + 48, j : j + 40], 75) for j in (0, 40, 80)] for i in (0, 48)]
    assert encoder.encode_tiles(block, 48, 40) == single
    expected = [[single[i][j] if wanted[i, j] else None for j in range(3)] for i in range(2)]
    assert encoder.encode_tiles(block, 48, 40, wanted) == expected
    assert encoder.encode_tiles(block, 48, 40, wanted.astype(np.uint8) * 7) == expected
    assert encoder.encode_tiles(block, 48, 40, np.asfortranarray(wanted)) == expected
    assert encoder.encode_tiles(block, 48, 40, np.zeros((2, 3), bool)) == [[None] * 3] * 2


def test_rows_may_lie_anywhere(cpu_path: str) -> None:
    encoder, frame = JpegEncoder(75), image("aerial", 130, 300)
    frame.flags.writeable = False
    for view in (frame[3:100, 7:263], frame[::2, 1:50], frame[::-1], frame[-1:, -1:], frame[5:6, 9:100]):
        assert encoder.encode(view) == libjpeg(view, 75)


def test_wrong_arguments_are_refused() -> None:
    encoder, tile = JpegEncoder(75), image("noise", 32, 32)
    for quality in (0, 101, -1):
        with pytest.raises(ValueError, match="expected 1 to 100"):
            JpegEncoder(quality)
    with pytest.raises(ValueError, match="tile: samples of format"):
        encoder.encode(tile.astype(np.int8))
    with pytest.raises(ValueError, match="tile: 2 dimensions"):
        encoder.encode(tile[..., 0])
    with pytest.raises(ValueError, match=r"tile: shape \(32, 32, 2\)"):
        encoder.encode(np.zeros((32, 32, 2), np.uint8))
    with pytest.raises(ValueError, match="tile: the channels"):
        encoder.encode(tile[..., ::-1])
    with pytest.raises(ValueError, match="tile: the pixels of a row"):
        encoder.encode(tile[:, ::2])
    with pytest.raises(ValueError, match=r"tile: shape \(0, 32, 3\) has no pixels"):
        encoder.encode(tile[:0])
    with pytest.raises(ValueError, match="at most 65500"):
        encoder.encode(np.zeros((65501, 1, 3), np.uint8))
    assert encoder.encode(tile) == libjpeg(tile, 75)


@pytest.mark.parametrize("size", [(0, 16), (16, 0), (-16, 16), (12, 16), (16, 33), (2**62, 16)])
def test_a_block_is_a_whole_number_of_tiles(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="not a whole number of tiles"):
        JpegEncoder(75).encode_tiles(image("noise", 32, 32), *size)


@pytest.mark.parametrize(
    "wanted",
    [
        np.ones((2, 3), bool),
        np.ones(4, bool),
        np.ones((2, 2), np.float32),
        np.ones((4, 1), bool),
        np.ones((2, 2), "i1"),
    ],
)
def test_wanted_tiles_are_one_byte_each(wanted: npt.NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match="wanted: "):
        JpegEncoder(75).encode_tiles(image("noise", 32, 32), 16, 16, wanted)


def test_a_second_thread_is_refused() -> None:
    encoder, tile = JpegEncoder(75), image("noise", 2048, 2048)
    expected, done = encoder.encode(tile), threading.Event()
    streams: list[bytes] = []
    refusals: list[str] = []

    def work() -> None:
        while not done.is_set():
            try:
                streams.append(encoder.encode(tile))
            except RuntimeError:
                continue

    worker = threading.Thread(target=work)
    worker.start()
    deadline = time.monotonic() + 20
    while not refusals and time.monotonic() < deadline:
        try:
            assert encoder.encode(tile[:16, :16]) == libjpeg(tile[:16, :16], 75)
        except RuntimeError as error:
            refusals.append(str(error))
    done.set()
    worker.join()
    assert refusals == ["jpeg: the encoder is at work in another thread: use one encoder per thread"]
    assert all(stream == expected for stream in streams)
