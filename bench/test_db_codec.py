"""Blocks of the raster store: 64 of 128 x 128 to rows and back, and one pyramid level made from stored blocks.

The rival is what one writes in an afternoon: NumPy for bytes, bits and means, zlib for the streams, block by block.
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest

SIDE, COUNT = 128, 64
LEVELS = [1, 6]


def _scene(name, ortho):
    """(8, 8) blocks as one image of 1024 x 1024, and its pixel type's name."""
    grey = ortho[:1024, :1024, 1]
    if name == "U8":
        return grey.copy()
    if name == "U1":
        return (grey > 110).astype(np.uint8)
    if name == "S16":
        return (grey.astype(np.int16) * 9 - 400).astype(np.int16)
    heights = 500 + grey.astype(np.float64) / 7 + np.random.default_rng(1).normal(0, 0.05, grey.shape)
    return heights.astype(np.float32)


def _blocks(image):
    steps = range(0, 1024, SIDE)
    return [np.ascontiguousarray(image[y : y + SIDE, x : x + SIDE]) for y in steps for x in steps]


def _masks(masked):
    """Every third block has a hole."""
    hole = np.full((SIDE, SIDE), 255, np.uint8)
    hole[20:70, 30:90] = 0
    return [hole if masked and k % 3 == 0 else None for k in range(COUNT)]


def _slow_encode(block, mask, bits, level):
    data = np.packbits(block).tobytes() if bits == 1 else block.astype(block.dtype.newbyteorder(">")).tobytes()
    if mask is not None and not mask.all():
        data += np.packbits(mask != 0).tobytes()
    return zlib.compress(data, level)


def _slow_decode(row, dtype, bits):
    data, count = zlib.decompress(row), SIDE * SIDE
    size = count * bits // 8
    if bits == 1:
        block = np.unpackbits(np.frombuffer(data, np.uint8, size))
    else:
        block = np.frombuffer(data, dtype.newbyteorder(">"), count).astype(dtype)
    mask = None
    if len(data) > size:
        mask = np.unpackbits(np.frombuffer(data, np.uint8, offset=size)).reshape(SIDE, SIDE) * np.uint8(255)
    return block.reshape(SIDE, SIDE), mask


def _slow_parent(children):
    """Mean of the valid ones of four pixels, by NumPy."""
    pixels, mask = np.zeros((2 * SIDE, 2 * SIDE), children[0][0].dtype), np.zeros((2 * SIDE, 2 * SIDE), bool)
    for k, (block, valid) in enumerate(children):
        top, left = k // 2 * SIDE, k % 2 * SIDE
        part = slice(top, top + SIDE), slice(left, left + SIDE)
        pixels[part], mask[part] = block, True if valid is None else valid != 0
    wide = pixels.reshape(SIDE, 2, SIDE, 2).astype(np.float64)
    good = mask.reshape(SIDE, 2, SIDE, 2)
    count = good.sum(axis=(1, 3))
    mean = (wide * good).sum(axis=(1, 3)) / np.maximum(count, 1)
    if pixels.dtype.kind != "f":
        mean = np.trunc(mean + np.copysign(0.5, mean))
    return mean.astype(pixels.dtype), None if count.all() else np.where(count > 0, 255, 0).astype(np.uint8)


def _children(row, col):
    return [(2 * row + k // 2, 2 * col + k % 2) for k in range(4)]


def _same(blocks, masks):
    def judge(result):
        pairs = zip(result, blocks, masks, strict=True)
        return all(np.array_equal(got, block) and np.array_equal(valid, mask) for (got, valid), block, mask in pairs)

    return judge


def _codec(name, compression="LZ77"):
    from fastpyr.db.codec import BlockCodec, Compression
    from fastpyr.db.pixels import PixelType

    return BlockCodec(PixelType[name], SIDE, SIDE, Compression[compression])


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "holes"])
@pytest.mark.parametrize("name", ["U1", "U8", "S16", "F32"])
class TestCodec:
    """Megabytes are those of the pixels as stored without compression."""

    @pytest.fixture
    def scene(self, name, masked, ortho):
        blocks = _blocks(_scene(name, ortho))
        return blocks, _masks(masked)

    @pytest.fixture
    def facts(self, name):
        return {"megabytes": SIDE * SIDE * COUNT * int(name[1:]) / 8e6}

    @pytest.mark.parametrize("compression", ["NONE", "LZ77", "JPEG", "JP2"])
    def test_encode_fastpyr(self, measured, name, masked, scene, facts, compression):
        if compression in ("JPEG", "JP2") and name != "U8":
            pytest.skip("8 bits only")
        codec = _codec(name, compression)
        work = lambda: codec.encode_many(*scene)  # noqa: E731
        lossless = compression in ("NONE", "LZ77")
        judge = lambda rows: not lossless or _same(*scene)(codec.decode_many(rows))  # noqa: E731
        group = f"encode 64 blocks, {name}, {'holes' if masked else 'whole'}"
        measured(group, f"fastpyr {compression}", work, judge, bytes=sum(map(len, work())), **facts)

    @pytest.mark.parametrize("level", LEVELS)
    def test_encode_numpy(self, measured, name, masked, scene, facts, level):
        bits, pairs = int(name[1:]), list(zip(*scene, strict=True))
        work = lambda: [_slow_encode(block, mask, bits, level) for block, mask in pairs]  # noqa: E731
        judge = lambda rows: _same(*scene)(_codec(name).decode_many(rows))  # noqa: E731
        group = f"encode 64 blocks, {name}, {'holes' if masked else 'whole'}"
        measured(group, f"NumPy + zlib {level}", work, judge, bytes=sum(map(len, work())), **facts)

    @pytest.mark.parametrize("compression", ["NONE", "LZ77", "JPEG", "JP2"])
    def test_decode_fastpyr(self, measured, name, masked, scene, facts, compression):
        if compression in ("JPEG", "JP2") and name != "U8":
            pytest.skip("8 bits only")
        codec = _codec(name, compression)
        rows = codec.encode_many(*scene)
        judge = _same(*scene) if compression in ("NONE", "LZ77") else bool
        group = f"decode 64 blocks, {name}, {'holes' if masked else 'whole'}"
        measured(group, f"fastpyr {compression}", lambda: codec.decode_many(rows), judge, **facts)

    def test_decode_numpy(self, measured, name, masked, scene, facts):
        rows, bits = _codec(name).encode_many(*scene), int(name[1:])
        work = lambda: [_slow_decode(row, scene[0][0].dtype, bits) for row in rows]  # noqa: E731
        group = f"decode 64 blocks, {name}, {'holes' if masked else 'whole'}"
        measured(group, "NumPy + zlib", work, _same(*scene), **facts)


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "holes"])
@pytest.mark.parametrize("name", ["U8", "S16", "F32"])
class TestPyramidLevel:
    """16 parents from 64 stored blocks: decode, mean of four with masks, encode."""

    @pytest.fixture
    def rows(self, name, masked, ortho):
        encoded = _codec(name).encode_many(_blocks(_scene(name, ortho)), _masks(masked))
        return {divmod(k, 8): row for k, row in enumerate(encoded)}

    @pytest.fixture
    def group(self, name, masked):
        return f"pyramid level from 64 blocks, {name}, {'holes' if masked else 'whole'}"

    @pytest.fixture
    def right(self, name, rows):
        dtype, bits = _codec(name).pixel_type.dtype, int(name[1:])
        stored = {place: _slow_decode(row, dtype, bits) for place, row in rows.items()}
        wanted = [_slow_parent([stored[place] for place in _children(r, c)]) for r in range(4) for c in range(4)]

        def judge(result):
            found = _codec(name).decode_many(result)
            return all(np.allclose(got[0], want[0], rtol=1e-6) for got, want in zip(found, wanted, strict=True))

        return judge

    def test_fastpyr(self, measured, name, rows, group, right, cpu_path):
        from fastpyr.db.pyramid_kernels import Method, parent_block

        codec = _codec(name)

        def work():
            return [
                codec.encode(*parent_block(lambda r, c: codec.decode(rows[r, c]), row, col, (SIDE, SIDE),
                                           codec.pixel_type, Method.BILINEAR)) for row in range(4) for col in range(4)
            ]  # fmt: skip

        measured(group, f"fastpyr {cpu_path}", work, right, path=cpu_path, bytes=sum(map(len, work())))

    @pytest.mark.parametrize("level", LEVELS)
    def test_numpy(self, measured, name, rows, group, right, level):
        dtype, bits = _codec(name).pixel_type.dtype, int(name[1:])

        def work():
            made = []
            for row in range(4):
                for col in range(4):
                    four = [_slow_decode(rows[place], dtype, bits) for place in _children(row, col)]
                    made.append(_slow_encode(*_slow_parent(four), bits, level))
            return made

        measured(group, f"NumPy + zlib {level}", work, right, bytes=sum(map(len, work())))
