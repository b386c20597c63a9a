"""The native deflate encoder against decoders that we did not write."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpyr import _native
from tests.support.every_path import on_every_path


def _picture(kind, rows, cols, channels, seed):
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.integers(0, 256, (rows, cols, channels), np.uint8)
    if kind == "constant":
        return np.broadcast_to(rng.integers(0, 256, channels, np.uint8), (rows, cols, channels)).copy()
    if kind == "gradient":
        slope = np.arange(rows)[:, None] * 3 + np.arange(cols)[None, :] * 2
        return np.repeat((slope % 256).astype(np.uint8)[:, :, None], channels, 2)
    colours = rng.integers(0, 256, (int(rng.integers(1, 9)), channels), np.uint8)
    if kind == "colours":
        return colours[rng.integers(0, len(colours), (rows, cols))]
    index = np.cumsum(rng.random(rows * cols) < 0.05) % len(colours)
    return colours[index].reshape(rows, cols, channels)


KINDS = ("noise", "constant", "gradient", "colours", "runs")


@st.composite
def pictures(draw):
    rows, cols = draw(st.integers(1, 40)), draw(st.integers(1, 70))
    channels = draw(st.integers(1, 4))
    pixels = _picture(draw(st.sampled_from(KINDS)), rows, cols, channels, draw(st.integers(0, 2**32 - 1)))
    return pixels.astype(np.float32) if draw(st.booleans()) else pixels


def _inflate(stream):
    """By zlib, libdeflate and ISA-L; nothing may follow the stream."""
    from imagecodecs import deflate_decode
    from isal import isal_zlib

    decoder = zlib.decompressobj()
    raw = decoder.decompress(stream) + decoder.flush()
    assert decoder.eof
    assert not decoder.unused_data
    assert bytes(deflate_decode(stream, out=max(len(raw), 1))) == raw
    assert isal_zlib.decompress(stream) == raw
    return raw


@settings(max_examples=150)
@given(pictures())
def test_zlib_streams_hold_the_pixels_on_every_path(pixels):
    results = on_every_path(lambda: _native.DeflateEncoder(False).encode(pixels))
    assert len(set(results)) == 1
    assert _inflate(results[0]) == pixels.tobytes()
    assert len(results[0]) <= pixels.nbytes + 6 + 6 * (pixels.nbytes // 65535 + 65)


@settings(max_examples=100)
@given(pictures())
def test_png_files_have_the_one_form(pixels):
    from PIL import Image

    pixels = pixels.astype(np.uint8)
    rows = pixels.shape[0]
    results = on_every_path(lambda: _native.DeflateEncoder(True).encode(pixels))
    assert len(set(results)) == 1
    file = results[0]
    size = int.from_bytes(file[33:37], "big")
    assert file[37:41] == b"IDAT"
    assert len(file) == 41 + size + 16
    assert int.from_bytes(file[41 + size : 45 + size], "big") == zlib.crc32(file[37 : 41 + size])
    raw = np.frombuffer(_inflate(file[41 : 41 + size]), np.uint8).reshape(rows, -1)
    assert not raw[:, 0].any()
    assert raw[:, 1:].tobytes() == pixels.tobytes()
    with Image.open(io.BytesIO(file)) as image:
        assert (np.asarray(image).reshape(pixels.shape) == pixels).all()


@pytest.mark.parametrize(
    "shape", [(256, 256, 1), (256, 256, 3), (512, 512, 4), (3, 40000, 1), (40000, 1, 3), (1, 1, 1)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_large_and_odd_tiles(shape, kind):
    pixels = _picture(kind, *shape, seed=5)
    stream = _native.DeflateEncoder(False).encode(pixels)
    assert zlib.decompress(stream) == pixels.tobytes()
    assert len(stream) <= pixels.nbytes + 6 + 6 * (pixels.nbytes // 65535 + 65)


def test_a_block_gives_the_tiles_one_by_one():
    block = np.concatenate([_picture(kind, 64, 256, 3, seed) for seed, kind in enumerate(KINDS)])
    wide = np.zeros((block.shape[0], block.shape[1] + 7, 3), np.uint8)
    wide[:, 3:-4] = block
    view = wide[:, 3:-4]
    wanted = np.ones((block.shape[0] // 32, 8), bool)
    wanted[1, 2] = wanted[-1, -1] = False
    for png in (False, True):
        encoder = _native.DeflateEncoder(png)
        got = encoder.encode_tiles(view, 32, 32, wanted)
        for y, x in np.ndindex(wanted.shape):
            tile = block[y * 32 : y * 32 + 32, x * 32 : x * 32 + 32]
            expected = _native.DeflateEncoder(png).encode(tile) if wanted[y, x] else None
            assert got[y][x] == expected
        flipped = encoder.encode(view[::-1][:32])
        assert flipped == _native.DeflateEncoder(png).encode(np.ascontiguousarray(view[::-1][:32]))


def test_tiles_of_one_colour_are_one_object():
    encoder = _native.DeflateEncoder(True)
    block = np.zeros((128, 128, 3), np.uint8)
    block[64:, 64:] = 7
    first = encoder.encode_tiles(block, 64, 64)
    again = encoder.encode_tiles(block, 64, 64)
    assert first[0][0] is first[0][1] is again[1][0]
    assert first[1][1] is again[1][1]
    assert first[1][1] == _native.DeflateEncoder(True).encode(block[64:, 64:])
    many = np.repeat(np.repeat(np.arange(40, dtype=np.uint8), 64)[:, None], 64, 1)[:, :, None]
    streams = _native.DeflateEncoder(False).encode_tiles(np.ascontiguousarray(many), 64, 64)
    assert [zlib.decompress(stream)[0] for (stream,) in streams] == list(range(40))


def test_drawings_are_smaller_than_by_isal():
    from isal import isal_zlib

    rng = np.random.default_rng(3)
    inks = rng.integers(0, 256, (6, 3), np.uint8)
    field = np.repeat(np.repeat(rng.integers(0, 6, (16, 16)), 16, 0), 16, 1)
    shade = (rng.random((256, 256)) < 0.25).astype(np.uint8) * 3
    pixels = inks[field] // 2 + shade[:, :, None]
    assert len(_native.DeflateEncoder(False).encode(pixels)) < 0.8 * len(isal_zlib.compress(pixels.tobytes(), 2))


def test_flat_tiles():
    block = np.concatenate([_picture(kind, 64, 64, 3, 1) for kind in ("noise", "constant", "runs")])
    assert list(_native.flat_tiles(block, 64, 64)) == [0, 3, 1]
    assert list(_native.flat_tiles(block.astype(np.float32), 64, 64)) == [0, 3, 1]
    assert list(_native.flat_tiles(block[:, :1], 64, 1)[:2]) == [2, 3]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("colours", [2, 48, 56])
def test_few_colours_are_told(channels, colours):
    palette = np.random.default_rng(1).permutation(256)[:colours].astype(np.uint8)
    index = np.arange(256 * 64) // 4 % colours
    pixels = np.repeat(palette[index].reshape(64, 256, 1), channels, 2)
    tall = np.concatenate([pixels] * 4)
    few = channels >= 3 and colours <= 48
    assert list(_native.flat_tiles(tall, 256, 256)) == [2 if few else 1]
    guarded = np.ascontiguousarray(tall)[:, ::-1][:, ::-1]
    assert list(_native.flat_tiles(guarded, 256, 256)) == [2 if few else 1]
    if channels == 1:
        assert list(_native.flat_tiles(tall.astype(np.float32), 256, 256)) == [2 if colours <= 48 else 1]


@pytest.mark.parametrize("size", [0, 1, 15, 16, 31, 32, 33, 63, 64, 65, 79, 80, 200, 5551, 5552, 5553, 70001])
def test_checksums(size):
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    for name in ("crc32", "adler32"):
        ours, theirs = getattr(_native, name), getattr(zlib, name)
        assert set(on_every_path(lambda ours=ours: ours(data))) == {theirs(data)}
        assert set(on_every_path(lambda ours=ours: ours(data, 12345))) == {theirs(data, 12345)}
        assert set(on_every_path(lambda ours=ours: ours(b"\xff" * size))) == {theirs(b"\xff" * size)}


def test_arguments_are_checked():
    encoder = _native.DeflateEncoder(True)
    with pytest.raises(ValueError, match="samples of format 'f'"):
        encoder.encode(np.zeros((4, 4, 1), np.float32))
    with pytest.raises(ValueError, match="no pixels"):
        encoder.encode(np.zeros((0, 4, 1), np.uint8))
    with pytest.raises(ValueError, match="5 channels"):
        encoder.encode(np.zeros((4, 4, 5), np.uint8))
    with pytest.raises(ValueError, match="whole number of tiles"):
        encoder.encode_tiles(np.zeros((4, 4, 1), np.uint8), 3, 4)
    with pytest.raises(ValueError, match="wanted"):
        encoder.encode_tiles(np.zeros((4, 4, 1), np.uint8), 2, 2, np.ones((1, 2), bool))
    with pytest.raises(ValueError, match="too large"):
        encoder.encode(np.broadcast_to(np.zeros((1, 16384, 4), np.uint8), (1025, 16384, 4)))
