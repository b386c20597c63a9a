"""Plain TIFF files without GDAL's copies: blocks are inflated and unpredicted straight into the caller's pixels.

GDAL opens the file and stays the judge of what it means; here only the bytes of blocks are read. A file that is not
plain, and a block that is missing, incomplete or implausible, is left to GDAL.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastpyr import _native
from fastpyr.errors import SourceError
from fastpyr.frozen import frozen

from .base import Pixels, damaged_block
from .session import HandlePool
from .tags import FIELD_SIZES, INTEGERS, Directory, read_directory

__all__ = ["UNUSUAL", "TiffBlocks", "described_blocks", "direct_reading", "tiff_blocks"]

UNUSUAL = (OSError, struct.error, ValueError, KeyError, OverflowError)
"""What reading the fields of a file that is no plain TIFF may raise."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _ORIENTATION, _CHANNELS, _STRIP_ROWS, _STRIP_SIZES, _PLANAR = 273, 274, 277, 278, 279, 284
_PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_SIZES, _SAMPLE_FORMAT = 317, 322, 323, 324, 325, 339
_IMAGE_DEPTH, _TILE_DEPTH = 32997, 32998

_DEFAULTS = {
    _BITS: 1,
    _COMPRESSION: 1,
    _FILL_ORDER: 1,
    _ORIENTATION: 1,
    _CHANNELS: 1,
    _STRIP_ROWS: 2**32 - 1,
    _PLANAR: 1,
    _PREDICTOR: 1,
    _SAMPLE_FORMAT: 1,
    _IMAGE_DEPTH: 1,
    _TILE_DEPTH: 1,
}
_ONES = (_FILL_ORDER, _ORIENTATION, _PLANAR, _IMAGE_DEPTH, _TILE_DEPTH)
"""Tags that are 1 in plain files (planar configuration does not matter for one band)."""
_PLAIN_COLOURS = (0, 1, 2, 3)
"""Photometric interpretations whose samples are delivered as stored: gray both ways, RGB, palette."""
_SAMPLES = {(8, 1): "uint8", (32, 3): "float32"}
"""Sample types by bits and sample format."""
_NONE = 1
_CODECS = {_NONE: "", 8: "deflate", 32946: "deflate", 50000: "zstd"}
"""Compression tags. LZW is not faster than in GDAL; JPEG is, fivefold, but damage could not be told from pixels."""
_SLACK = 1 << 16
"""Bytes by which a compressed block may exceed its pixels."""
_DENSE = 0.5
"""Compressed bytes by a byte of pixels from which streams are mostly literals."""
_KEPT = 8 << 20
"""Bytes of a buffer that a thread keeps for its next block."""


_Two = tuple[npt.NDArray[np.uint8] | None, npt.NDArray[np.uint8] | None]
"""Unpacked bytes of two blocks, where they are known."""


class _File:
    """A file opened for reading."""

    def __init__(self, path: Path) -> None:
        self.number = -1
        self.number = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))

    def close(self) -> None:
        if self.number >= 0:
            os.close(self.number)
            self.number = -1

    __del__ = close


_files = HandlePool(opener=_File)


class _Array(NamedTuple):
    """Where one number per block is stored: position of the first, struct code with byte order."""

    position: int
    code: str
    size: int


@frozen
class TiffBlocks:
    """Where the blocks of a plain TIFF lie and how they are packed. Any number of threads may read.

    ``rows``, ``cols``: stored size of a block; ``across``: blocks in a row of blocks; ``tiled`` blocks are complete at
    the right and at the bottom, the last strip ends with the image.
    """

    path: Path
    file_size: int
    width: int
    height: int
    rows: int
    cols: int
    across: int
    tiled: bool
    channels: int
    dtype: np.dtype[Any]
    codec: str
    predictor: int
    offsets: _Array
    sizes: _Array

    def read(self, x0: int, y0: int, out: Pixels) -> bool:
        """Fills ``out`` (rows, cols, channels), C-contiguous, with the window that starts at column x0 and row y0.

        False when GDAL has to read the window: ``out`` is then garbage. SourceError naming file and block when a
        stream is damaged or has not exactly the block's bytes.
        """
        try:
            return self._read(x0, y0, out)
        except OSError:  # GDAL will know a better word for it
            return False

    def _read(self, x0: int, y0: int, out: Pixels) -> bool:
        y1, x1 = y0 + out.shape[0], x0 + out.shape[1]
        with _files.lease(self.path) as lent:
            file = lent.number
            if os.fstat(file).st_size != self.file_size:
                return False
            first, last = x0 // self.cols, (x1 - 1) // self.cols
            top, end = y0 // self.rows, (y1 - 1) // self.rows + 1
            # the entries of strips follow one another
            step = end - top if self.across == 1 else 1
            for row in range(top, end, step):
                count = step if self.across == 1 else last - first + 1
                places = self._places(file, row * self.across + first, count)
                lines: _Two = (None, None)
                for n, (offset, size) in enumerate(places):
                    column, line = (first, row + n) if self.across == 1 else (first + n, row)
                    if n % 2 == 0:
                        lines = self._two(file, line, places[n : n + 2])
                    if not self._block(file, column, line, offset, size, x0, y0, out, lines[n % 2]):
                        return False
        return True

    def _two(self, file: int, row: int, places: list[tuple[int, int]]) -> _Two:
        """The bytes of two blocks, of which the first is in this row of blocks, inflated side by side. That is faster
        for streams of literals and short copies, as photographs make them. None in the place of one that has to be
        looked at alone."""
        if self.codec != "deflate" or len(places) < 2 or "avx2" not in _native.cpu_paths():
            return None, None
        needed = self._stored_rows(row) * self._row_bytes
        packed, lines = [], []
        for n, (offset, size) in enumerate(places):
            if not self._is_plausible(offset, size, needed) or size < needed * _DENSE:
                return None, None
            packed.append(_buffer(f"packed {n}", size))
            lines.append(_buffer(f"pixels {n}", needed))
            if not _read_at(file, offset, packed[n]):
                return None, None
        found = _native.inflate_two(packed[0], lines[0], packed[1], lines[1])
        first, second = (line if size == needed else None for line, size in zip(lines, found, strict=True))
        return first, second

    def close(self) -> None:
        """Closes the file in all threads that are not reading it now."""
        _files.discard(self.path)

    def lie_inside(self, file: int, most: int) -> bool:
        """Whether the last ``most`` blocks, those that were written, end before the end of the open file."""
        count = self.across * -(-self.height // self.rows)
        tail = min(count, most)
        places = self._places(file, count - tail, tail)
        return all(not (offset and size) or offset + size <= self.file_size for offset, size in places)

    def _places(self, file: int, index: int, count: int) -> list[tuple[int, int]]:
        """Offset and size of blocks that follow one another."""
        columns = []
        for array in (self.offsets, self.sizes):
            data = os.pread(file, count * array.size, array.position + index * array.size)
            if len(data) != count * array.size:
                return [(0, 0)] * count
            columns.append(struct.unpack(f"{array.code[0]}{count}{array.code[1]}", data))
        return list(zip(*columns, strict=True))

    @property
    def is_dense(self) -> bool:
        """Whether most blocks are likely to be unpacked two at a time."""
        pixels = self.width * self.height * self.channels * self.dtype.itemsize
        return self.codec == "deflate" and "avx2" in _native.cpu_paths() and self.file_size >= _DENSE * pixels

    @property
    def _row_bytes(self) -> int:
        """Bytes of a row of pixels of a block."""
        return self.cols * self.channels * self.dtype.itemsize

    def _stored_rows(self, row: int) -> int:
        """Rows of pixels of the blocks in a row of blocks."""
        return self.rows if self.tiled else min(self.rows, self.height - row * self.rows)

    def _is_plausible(self, offset: int, size: int, needed: int) -> bool:
        """Whether a block may lie there and hold so many bytes; offset 0 is that of a block that was never written."""
        return 0 < offset <= self.file_size - size and 0 < size <= 2 * needed + _SLACK

    def _block(
        self,
        file: int,
        column: int,
        row: int,
        offset: int,
        size: int,
        x0: int,
        y0: int,
        out: Pixels,
        unpacked: npt.NDArray[np.uint8] | None,
    ) -> bool:
        """Writes what the window has of one block, whose bytes are ``unpacked`` already or not. False: GDAL's."""
        left, top = column * self.cols, row * self.rows
        stored, row_bytes = self._stored_rows(row), self._row_bytes
        needed = stored * row_bytes
        if not self._is_plausible(offset, size, needed):
            return False
        begin, stop = max(y0, top) - top, min(y0 + out.shape[0], top + stored) - top
        place = out[max(top - y0, 0) : top - y0 + stop, max(left - x0, 0) : left - x0 + self.cols]
        skipped = max(x0 - left, 0)
        if unpacked is not None and unpacked.size == needed:
            lines = unpacked.reshape(-1, row_bytes)[begin:stop]
        elif self.codec:
            data = _buffer("packed", size)
            if not _read_at(file, offset, data):
                return False
            lines = self._unpack(data, column, row, needed, row_bytes)[begin:stop]
        else:
            if size != needed:
                return False
            offset += begin * row_bytes
            if place.flags.c_contiguous and place.nbytes == (stop - begin) * row_bytes:
                return _read_at(file, offset, place.reshape(-1).view(np.uint8))
            lines = _buffer("pixels", (stop - begin) * row_bytes).reshape(-1, row_bytes)
            if not _read_at(file, offset, lines.reshape(-1)):
                return False
        if skipped:
            wider = np.empty((stop - begin, skipped + place.shape[1], self.channels), self.dtype)
            _native.unpredict(lines, self.predictor, wider)
            place[...] = wider[:, skipped:]
        else:
            _native.unpredict(lines, self.predictor, place)
        return True

    def _unpack(
        self, data: npt.NDArray[np.uint8], column: int, row: int, needed: int, row_bytes: int
    ) -> npt.NDArray[np.uint8]:
        """The bytes of a block, (rows, row_bytes), in this thread's buffer."""
        # some writers fill the last strip up; nothing else may be longer
        room = needed if self.tiled else self.rows * row_bytes
        lines = _buffer("pixels", room)
        try:
            found = len(_decoder(self.codec)(data, out=lines))
        except RuntimeError as exc:  # the base of imagecodecs' errors
            longer = "INSUFFICIENT_SPACE" in str(exc) or "too small" in str(exc)
            reason = f"its {self.codec} stream holds more than {room} bytes" if longer else f"damaged {self.codec} data"
            raise self._error(column, row, reason) from exc
        if found not in (needed, room):
            raise self._error(column, row, f"its {self.codec} stream holds {found} bytes instead of {needed}")
        return lines[:needed].reshape(-1, row_bytes)

    def _error(self, column: int, row: int, reason: str) -> SourceError:
        x, y = column * self.cols, row * self.rows
        where = (column, row), (x, y, min(x + self.cols, self.width), min(y + self.rows, self.height))
        return damaged_block(str(self.path), *where, self.width, reason)


class _Buffers(threading.local):
    """Memory of one thread that is used again: fresh pages cost more than what is written to them."""

    def __init__(self) -> None:
        self.of: dict[str, npt.NDArray[np.uint8]] = {}


_buffers = _Buffers()


def _buffer(name: str, size: int) -> npt.NDArray[np.uint8]:
    """An uninitialised array, this thread's until it asks for the same name again."""
    found = _buffers.of.get(name)
    if found is None or found.size < size:
        found = np.empty(size, np.uint8)
        if size <= _KEPT:
            _buffers.of[name] = found
    return found[:size]


def _read_at(file: int, offset: int, out: npt.NDArray[np.uint8]) -> bool:
    """Fills ``out``; False when the file ends before. One call transfers 2 GiB at most."""
    done = 0
    while done < out.size:
        count = os.preadv(file, [out[done : done + (1 << 30)].data], offset + done)
        if count == 0:
            return False
        done += count
    return True


def _decoder(codec: str) -> Callable[..., Any]:
    import imagecodecs

    decode: Callable[..., Any] = imagecodecs.deflate_decode if codec == "deflate" else imagecodecs.zstd_decode
    return decode


def tiff_blocks(path: Path, dataset: Any) -> TiffBlocks | None:
    """The blocks of an open rasterio dataset, or None when GDAL has to read it.

    What the file's first directory says must be what GDAL says.
    """
    if dataset.driver != "GTiff" or not direct_reading():
        return None
    try:
        with open(path, "rb") as file:
            blocks = described_blocks(path, os.fstat(file.fileno()).st_size, read_directory(file))
    except UNUSUAL:
        # not as plain as its driver's name says
        return None
    if blocks is None:
        return None
    same = (
        (blocks.width, blocks.height, blocks.channels) == (dataset.width, dataset.height, dataset.count)
        and blocks.dtype.name == dataset.dtypes[0]
        # GDAL cuts large strips of raw samples into smaller ones
        and ((blocks.rows, blocks.cols) == dataset.block_shapes[0] or not (blocks.codec or blocks.tiled))
    )
    return blocks if same else None


def direct_reading() -> bool:
    """Whether files are read here at all: ``FASTPYR_DISABLE_DIRECT_TIFF=1`` leaves all of them to GDAL."""
    disabled = os.environ.get("FASTPYR_DISABLE_DIRECT_TIFF", "0") not in ("", "0")
    return not disabled and hasattr(os, "preadv") and sys.byteorder == "little"


def described_blocks(path: Path, size: int, directory: Directory) -> TiffBlocks | None:
    """The blocks of a file of ``size`` bytes as its first directory describes them, None when GDAL has to read it.

    For TIFF files, classic or Big, either byte order (samples of several bytes: little-endian), with 1 band or
    interleaved ones, uint8 or float32, packed as the codecs' table says. Raises one of UNUSUAL where fields are
    missing or contradict each other.
    """
    fields, values, order = directory.fields, directory.values, directory.order

    def one(tag: int) -> int:
        """The value of a field; ValueError when it has different ones."""
        (value,) = set(values[tag] if tag in fields else (_DEFAULTS[tag],))
        return value

    sample = _SAMPLES.get((one(_BITS), one(_SAMPLE_FORMAT)))
    if sample is None:
        return None
    dtype = np.dtype(sample)
    channels, codec, predictor = one(_CHANNELS), one(_COMPRESSION), one(_PREDICTOR)
    tiled = _TILE_WIDTH in fields
    width, height = one(_WIDTH), one(_HEIGHT)
    cols = one(_TILE_WIDTH) if tiled else width
    rows = one(_TILE_HEIGHT) if tiled else min(one(_STRIP_ROWS), height)
    plain = (
        1 <= channels <= 4
        and (dtype.itemsize == 1 or order == "<")
        and all(one(tag) == 1 for tag in _ONES if not (tag == _PLANAR and channels == 1))
        and one(_PHOTOMETRIC) in _PLAIN_COLOURS
        and codec in _CODECS
        and predictor in ((1,) if codec == _NONE else (1, 2) if dtype.itemsize == 1 else (1, 2, 3))
        and min(rows, cols, width, height) > 0
    )
    if not plain:
        return None
    across, down = -(-width // cols), -(-height // rows)
    arrays = []
    for tag in (_TILE_OFFSETS, _TILE_SIZES) if tiled else (_STRIP_OFFSETS, _STRIP_SIZES):
        field = fields[tag]
        item = FIELD_SIZES[field.kind]
        if field.length != across * down or field.position + field.length * item > size:
            return None
        arrays.append(_Array(field.position, order + INTEGERS[field.kind], item))
    return TiffBlocks(
        path,
        size,
        width,
        height,
        rows,
        cols,
        across,
        tiled,
        channels,
        dtype,
        _CODECS[codec],
        predictor,
        *arrays,
    )
