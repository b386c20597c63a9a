"""A tile of 256 x 256 RGB to bytes, and blocks of a deflated source back."""

from __future__ import annotations

import io
import zlib
from importlib.metadata import version
from itertools import chain

import numpy as np
import pytest

TILES = 16


def _tiles(picture):
    return [picture[y : y + 256, x : x + 256] for y in range(0, 1024, 256) for x in range(0, 1024, 256)]


@pytest.fixture(scope="session")
def photo(ortho):
    return np.ascontiguousarray(ortho[:1024, :1024])


def _size(result):
    return sum(len(tile) for tile in result)


def _decodes(picture, lossy):
    """Judge of lists of 16 encoded tiles, in reading order."""

    def judge(result):
        from PIL import Image

        got = np.asarray(Image.open(io.BytesIO(bytes(result[5]))).convert("RGB")).astype(int)
        error = np.abs(got - _tiles(picture)[5]).mean()
        return error < 8 if lossy else error == 0

    return judge


def _encoder(compression):
    from fastpyr.encode import encoder
    from fastpyr.formats import Compression, PixelFormat, SampleType, TileFormat

    return encoder(PixelFormat.of(TileFormat(Compression(compression), SampleType.UINT8), 3), 256, 256)


def _run(measured, group, name, picture, encode, judge, **facts):
    work = lambda: [encode(tile) for tile in _tiles(picture)]  # noqa: E731
    measured(group, name, work, judge, bytes=_size(work()), **facts)


JPEG = "JPEG q75 4:2:0, 16 tiles of 256 x 256 RGB"


def test_jpeg_fastpyr(measured, photo):
    own = _encoder("JPG")
    work = lambda: list(chain.from_iterable(own.encode_block(photo)))  # noqa: E731
    measured(JPEG, "fastpyr", work, _decodes(photo, True), bytes=_size(work()))


def test_jpeg_imagecodecs(measured, photo):
    from imagecodecs import jpeg8_encode

    encode = lambda tile: jpeg8_encode(tile, 75, colorspace="RGB", subsampling="420")  # noqa: E731
    _run(measured, JPEG, "imagecodecs", photo, encode, _decodes(photo, True), rival=version("imagecodecs"))


def test_jpeg_pillow(measured, photo):
    image = pytest.importorskip("PIL.Image")

    def encode(tile):
        memory = io.BytesIO()
        image.fromarray(tile).save(memory, "JPEG", quality=75)
        return memory.getvalue()

    _run(measured, JPEG, "Pillow", photo, encode, _decodes(photo, True), rival=version("pillow"))


def test_jpeg_cv2(measured, photo):
    cv2 = pytest.importorskip("cv2")
    encode = lambda tile: cv2.imencode(".jpg", tile[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])[1].tobytes()  # noqa: E731
    _run(measured, JPEG, "cv2", photo, encode, _decodes(photo, True), rival=cv2.__version__)


@pytest.mark.parametrize("kind", ["scan", "photo"])
class TestPng:
    """PNG tiles. Only ours has the one form that readers of the format accept (filter none, one IDAT)."""

    @pytest.fixture
    def picture(self, kind, request):
        return request.getfixturevalue(kind)

    @pytest.fixture
    def group(self, kind):
        return f"PNG, 16 tiles of 256 x 256 RGB, {kind}"

    def test_fastpyr(self, measured, picture, group):
        own = _encoder("PNG")
        work = lambda: list(chain.from_iterable(own.encode_block(picture)))  # noqa: E731
        measured(group, "fastpyr", work, _decodes(picture, False), bytes=_size(work()))

    @pytest.mark.parametrize("level", [1, 6])
    def test_imagecodecs(self, measured, picture, group, level):
        from imagecodecs import png_encode

        encode = lambda tile: png_encode(tile, level)  # noqa: E731
        _run(measured, group, f"imagecodecs png level {level}", picture, encode, _decodes(picture, False),
             rival=version("imagecodecs"))  # fmt: skip

    def test_pillow(self, measured, picture, group):
        image = pytest.importorskip("PIL.Image")

        def encode(tile):
            memory = io.BytesIO()
            image.fromarray(tile).save(memory, "PNG", compress_level=1)
            return memory.getvalue()

        _run(measured, group, "Pillow level 1", picture, encode, _decodes(picture, False), rival=version("pillow"))

    def test_cv2(self, measured, picture, group):
        cv2 = pytest.importorskip("cv2")
        encode = lambda tile: cv2.imencode(".png", tile[:, :, ::-1])[1].tobytes()  # noqa: E731
        _run(measured, group, "cv2", picture, encode, _decodes(picture, False), rival=cv2.__version__)


def _deflaters():
    from imagecodecs import deflate_encode, zlibng_encode
    from isal import isal_zlib

    from fastpyr import _native

    own = _native.DeflateEncoder(False)
    return {
        "fastpyr": own.encode,
        "ISA-L 1": lambda data: isal_zlib.compress(data, 1),
        "ISA-L 2": lambda data: isal_zlib.compress(data, 2),
        "libdeflate 1": lambda data: deflate_encode(data, 1),
        "libdeflate 6": lambda data: deflate_encode(data, 6),
        "zlib 1": lambda data: zlib.compress(data, 1),
        "zlib 6": lambda data: zlib.compress(data, 6),
        "zlib-ng 1": lambda data: zlibng_encode(data, 1),
    }


@pytest.mark.parametrize("name", list(_deflaters()))
def test_deflate(measured, scan, name):
    deflate = _deflaters()[name]
    rows = [np.ascontiguousarray(tile) for tile in _tiles(scan)]
    work = lambda: [deflate(tile) for tile in rows]  # noqa: E731
    right = lambda result: zlib.decompress(result[3]) == rows[3].tobytes()  # noqa: E731
    measured("deflate, 16 tiles of a map scan", name, work, right, bytes=_size(work()))


def _inflaters(size):
    from imagecodecs import deflate_decode, zlibng_decode
    from isal import isal_zlib

    return {
        "ISA-L": lambda data: isal_zlib.decompress(data, bufsize=size),
        "libdeflate": lambda data: deflate_decode(data, out=size),
        "zlib": lambda data: zlib.decompress(data, bufsize=size),
        "zlib-ng": lambda data: zlibng_decode(data, out=size),
    }


@pytest.mark.parametrize("name", list(_inflaters(0)))
def test_inflate(measured, photo, name):
    from imagecodecs import delta_encode

    blocks = [delta_encode(photo[y : y + 512, x : x + 512], axis=1).tobytes() for y in (0, 512) for x in (0, 512)]
    stored = [zlib.compress(block, 6) for block in blocks]
    inflate = _inflaters(len(blocks[0]))[name]
    measured("inflate, 1024 x 1024 RGB with predictor", name, lambda: [inflate(data) for data in stored],
             lambda result: bytes(result[2]) == blocks[2])  # fmt: skip
