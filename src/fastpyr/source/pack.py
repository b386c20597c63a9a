"""Sources on one pixel grid, read as if they were one raster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from fastpyr.formats import SampleType
from fastpyr.grid.bounds import BoundingBox
from fastpyr.kernels import paint

from .attempts import Attempts
from .base import Affine, Mask, Pixels, RasterInfo, Source
from .cache import Chunk, ChunkCache, chunk_shape
from .readers import Readers
from .rects import RectIndex
from .validity import convert_pixels, mask_state

__all__ = ["Pack"]


_Area = tuple[slice, slice]
"""Rows and columns of a rectangle of a window."""
_Rect = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, right and bottom excluded."""
_Piece = tuple[int, int, int, int, int]
"""A source and its overlap with a window, in pack pixels: index, x0, y0, x1, y1."""


_MOST_SIDE_BY_SIDE = 16
"""Sources in a window up to which it is worth finding out that they do not overlap."""


class Pack:
    """Sources that share a CRS and a pixel grid, painted in order: where they overlap the later one wins.

    Pixel (0, 0) is the top-left of them all and ``transform`` places its corner. ``rects``: int64 (n, 4), the pixels
    x0 y0 x1 y1 of each source, right and bottom excluded. Any number of threads may read.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        rects: npt.NDArray[np.int64],
        transform: Affine,
        cache: ChunkCache,
        channels: int,
        sample: SampleType,
        attempt: Attempts | None = None,
    ) -> None:
        self._attempt = attempt or Attempts()
        self.sources = tuple(sources)
        self.infos: tuple[RasterInfo, ...] = tuple(source.info for source in sources)
        self.crs = self.infos[0].crs
        self.transform = transform
        self.rects = rects
        self._corners: list[list[int]] = rects[:, :2].tolist()
        self.width, self.height = int(rects[:, 2].max()), int(rects[:, 3].max())
        self.channels, self.sample = channels, sample
        self._cache = cache
        # part of the cache's keys, which keep it alive: no other pack ever has the same
        self._token = object()
        self._index = RectIndex(rects)
        self._readers: Readers | None = None
        self._shapes = [self._chunk_shape(source) for source in sources]

    def __reduce__(self) -> tuple[type[Pack], tuple[Any, ...]]:
        parts = self.sources, self.rects, self.transform, self._cache, self.channels, self.sample, self._attempt
        return Pack, parts

    @property
    def bounds(self) -> BoundingBox:
        """Envelope in the pack's CRS."""
        return self.transform.bounds(self.width, self.height)

    @property
    def decoded_bytes(self) -> int:
        """Bytes of all sources decoded, overlaps counted twice."""
        return sum(info.width * info.height for info in self.infos) * self.channels * self.sample.size

    @property
    def band_row_bytes(self) -> int:
        """Decoded bytes of one row of pixels of the widest source that is decoded in bands of its full width; 0 when
        there is none."""
        bands = [
            info.width
            for info, shape in zip(self.infos, self._shapes, strict=True)
            if shape is not None and shape[1] == info.width and shape[0] < info.height
        ]
        return max(bands, default=0) * self.channels * self.sample.size

    def expect(self, windows: npt.NDArray[np.int64]) -> None:
        """Announce the windows that will be read, int64 (n, 4), x0 y0 x1 y1, so that chunks need not be kept after the
        last one. ``done(k)`` is to be called after whatever is read for window k. Other reads remain possible."""
        self._readers = Readers(windows) if len(windows) else None

    def done(self, window: int) -> None:
        """All is read for an announced window."""
        if self._readers is not None:
            self._cache.drop(self._readers.done(window))

    def sources_in(self, x0: int, y0: int, x1: int, y1: int) -> list[int]:
        """Indexes of the sources whose rectangles meet a window, in painting order. Reads nothing."""
        return self._index.query(x0, y0, x1, y1)

    def read(self, x0: int, y0: int, x1: int, y1: int, out: Pixels, out_mask: Mask) -> int:
        """Fills ``out`` (y1-y0, x1-x0, channels) and ``out_mask`` (y1-y0, x1-x0) with a window of pack pixels.

        The window may leave the pack: pixels that no source covers, or whose source has them as nodata, are 0 with
        mask 0. Returns 0 when no pixel is data, 1 when some are, 2 when all are; ``out_mask`` then says nothing.
        Row-strided ``out`` and ``out_mask`` are accepted. ValueError on shapes that do not fit, SourceError when a
        source cannot be read.
        """
        shape = (y1 - y0, x1 - x0)
        if min(shape) <= 0 or out.shape != (*shape, self.channels) or out_mask.shape != shape:
            raise ValueError(f"window of {shape} pixels: out is {out.shape}, out_mask {out_mask.shape}")
        if out.dtype != self.sample.dtype or out_mask.dtype != np.uint8:
            raise ValueError(f"out is {out.dtype}, expected {self.sample.dtype}; out_mask {out_mask.dtype}, not uint8")
        pieces = self._pieces(x0, y0, x1, y1)
        if not pieces:
            out[...] = 0
            out_mask[...] = 0
            return 0
        inner = max(x0, 0), max(y0, 0), min(x1, self.width), min(y1, self.height)
        if inner != (x0, y0, x1, y1):
            return self._read_beyond((x0, y0, x1, y1), inner, out, out_mask)
        base = 1 if pieces[0][1:] == (x0, y0, x1, y1) else _side_by_side(pieces, shape[0] * shape[1])
        if base:
            return self._read_covered(pieces[:base], pieces[base:], x0, y0, out, out_mask)
        out[...] = 0
        out_mask[...] = 0
        for piece in pieces:
            for here, pixels, mask in self._parts(piece, x0, y0):
                if pixels is not None:
                    paint(out[here], out_mask[here], pixels, mask)
        return mask_state(out_mask)

    def _read_beyond(self, window: _Rect, inner: _Rect, out: Pixels, out_mask: Mask) -> int:
        """``read`` of a window of which only a part, ``inner``, lies in the pack."""
        columns, rows = (slice(inner[n] - window[n], inner[n + 2] - window[n]) for n in (0, 1))
        state = self.read(*inner, out[rows, columns], out_mask[rows, columns])
        for plane in (out, out_mask):
            plane[: rows.start] = 0
            plane[rows.stop :] = 0
            plane[rows, : columns.start] = 0
            plane[rows, columns.stop :] = 0
        if state == 2:
            out_mask[rows, columns] = 255
        return min(state, 1)

    def _read_covered(
        self, base: list[_Piece], over: list[_Piece], x0: int, y0: int, out: Pixels, out_mask: Mask
    ) -> int:
        """``read`` where sources side by side cover the window, with others ``over`` them. There is no mask before one
        is needed."""
        full: list[_Area] | None = []
        for here, pixels, mask in chain.from_iterable(self._parts(piece, x0, y0) for piece in base):
            if pixels is not None and mask is None:
                paint(out[here], None if full is not None else out_mask[here], pixels)
                if full is not None:
                    full.append(here)
                continue
            for area in full or ():
                out_mask[area] = 255
            full = None
            # nothing else has written here
            out[here] = 0
            out_mask[here] = 0
            if pixels is not None:
                paint(out[here], out_mask[here], pixels, mask)
        for piece in over:
            for here, pixels, mask in self._parts(piece, x0, y0):
                if pixels is not None:
                    paint(out[here], None if full is not None else out_mask[here], pixels, mask)
        return 2 if full is not None else mask_state(out_mask)

    def _parts(self, piece: _Piece, x0: int, y0: int) -> Iterator[tuple[_Area, Pixels | None, Mask | None]]:
        """What a source gives to a window that starts at (x0, y0): place in the window, pixels (None: no data there)
        and mask (None: all data)."""
        index, px0, py0, px1, py1 = piece
        left, top = self._corners[index]
        for cx, cy, chunk in self._chunks(index, px0 - left, py0 - top, px1 - left, py1 - top):
            # overlap of the chunk with this piece, in pack pixels
            first_x, first_y = cx + left, cy + top
            ox0, oy0 = max(px0, first_x), max(py0, first_y)
            ox1, oy1 = min(px1, first_x + chunk.width), min(py1, first_y + chunk.height)
            here = slice(oy0 - y0, oy1 - y0), slice(ox0 - x0, ox1 - x0)
            if chunk.state == 0:
                yield here, None, None
                continue
            there = slice(oy0 - first_y, oy1 - first_y), slice(ox0 - first_x, ox1 - first_x)
            yield here, chunk.pixels[there], None if chunk.mask is None else chunk.mask[there]

    def view(self, x0: int, y0: int, x1: int, y1: int) -> Pixels | None:
        """The window without a copy when one decoded chunk has it all and every pixel is data, else None.

        Row-strided, read-only by agreement: other threads see the same memory.
        """
        pieces = self._pieces(x0, y0, x1, y1)
        if len(pieces) != 1 or pieces[0][1:] != (x0, y0, x1, y1):
            return None
        index = pieces[0][0]
        left, top = self._corners[index]
        x0, y0, x1, y1 = x0 - left, y0 - top, x1 - left, y1 - top
        shape = self._shapes[index]
        if shape is not None and (x0 // shape[1] != (x1 - 1) // shape[1] or y0 // shape[0] != (y1 - 1) // shape[0]):
            return None
        ((cx, cy, chunk),) = self._chunks(index, x0, y0, x1, y1)
        return chunk.pixels[y0 - cy : y1 - cy, x0 - cx : x1 - cx] if chunk.state == 2 else None

    def _chunk_shape(self, source: Source) -> tuple[int, int] | None:
        info, layout = source.info, source.layout
        if layout is None:
            return None
        stored = max(self.channels * self.sample.size, info.channels * info.sample.size)
        return chunk_shape(info.width, info.height, stored, layout, self._cache.max_bytes)

    def _pieces(self, x0: int, y0: int, x1: int, y1: int) -> list[_Piece]:
        """Source index and overlap with the window, in painting order, without what is hidden by a full cover."""
        pieces = []
        for index in reversed(self._index.query(x0, y0, x1, y1)):
            left, top, right, bottom = self.rects[index].tolist()
            pieces.append((index, max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)))
            if self._fills(pieces[-1], x0, y0, x1, y1):
                break
        return pieces[::-1]

    def _fills(self, piece: tuple[int, ...], x0: int, y0: int, x1: int, y1: int) -> bool:
        return piece[1:] == (x0, y0, x1, y1) and not self.infos[piece[0]].may_have_holes

    def _chunks(self, index: int, x0: int, y0: int, x1: int, y1: int) -> Iterator[tuple[int, int, Chunk]]:
        """Position of the first pixel and content of the chunks of one source under a window of its own pixels."""
        source, shape = self.sources[index], self._shapes[index]
        if shape is None:
            yield x0, y0, self._load(source, x0, y0, x1, y1)
            return
        rows, cols = shape
        waiting = []
        for cy in range(y0 // rows, (y1 - 1) // rows + 1):
            for cx in range(x0 // cols, (x1 - 1) // cols + 1):
                chunk = self._chunk(index, cy, cx, wait=False)
                if chunk is None:
                    waiting.append((cy, cx))
                else:
                    yield cx * cols, cy * rows, chunk
        # what other threads were decoding a moment ago
        for cy, cx in waiting:
            chunk = self._chunk(index, cy, cx, wait=True)
            assert chunk is not None
            yield cx * cols, cy * rows, chunk

    def _chunk(self, index: int, cy: int, cx: int, *, wait: bool) -> Chunk | None:
        source, shape = self.sources[index], self._shapes[index]
        assert shape is not None
        (rows, cols), info = shape, source.info
        y0, x0 = cy * rows, cx * cols
        y1, x1 = min(y0 + rows, info.height), min(x0 + cols, info.width)
        size = (y1 - y0) * (x1 - x0) * (self.channels * self.sample.size + info.may_have_holes)
        key = (self._token, index, cy, cx)

        def load() -> Chunk:
            chunk = self._load(source, x0, y0, x1, y1)
            if self._readers is not None:
                left, top = self._corners[index]
                self._readers.decoded(key, x0 + left, y0 + top, x1 + left, y1 + top)
            return chunk

        return self._cache.get(key, size, load, wait=wait)

    def _load(self, source: Source, x0: int, y0: int, x1: int, y1: int) -> Chunk:
        pixels, mask = self._attempt(lambda: source.read(x0, y0, x1, y1))
        return Chunk.of(convert_pixels(pixels, self.channels, self.sample), mask)

    def close(self) -> None:
        """Closes the sources' files."""
        for source in self.sources:
            source.close()


def _side_by_side(pieces: list[_Piece], pixels: int) -> int:
    """The number of pieces when they cover a window of so many pixels without overlap, else 0."""
    if len(pieces) > _MOST_SIDE_BY_SIDE or sum((x1 - x0) * (y1 - y0) for _, x0, y0, x1, y1 in pieces) != pixels:
        return 0
    for (_, left, top, right, bottom), (_, x0, y0, x1, y1) in combinations(pieces, 2):
        if left < x1 and x0 < right and top < y1 and y0 < bottom:
            return 0
    return len(pieces)


def pack_rects(offsets: Sequence[tuple[int, int]], infos: Sequence[RasterInfo]) -> tuple[int, int, Any]:
    """Least column and row of sources placed on a grid, and their rectangles counted from there, int64 (n, 4)."""
    col, row = min(x for x, _ in offsets), min(y for _, y in offsets)
    rects = [
        (x - col, y - row, x - col + i.width, y - row + i.height) for (x, y), i in zip(offsets, infos, strict=True)
    ]
    return col, row, np.array(rects, np.int64)
