"""Decoded chunks shared by all threads: each is decoded once as long as the budget holds it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future

import numpy as np

from ..frozen import frozen
from .base import BlockLayout, Mask, Pixels
from .validity import mask_state

__all__ = ["Chunk", "ChunkCache", "chunk_shape"]

_SIDE = 512
"""A chunk of a tiled file is about this long a side: small enough to share the work, long enough to be worth a call."""
_BAND_PIXELS = _SIDE * 1024
"""Pixels of a full-width band of a striped file."""


def chunk_shape(width: int, height: int, pixel_bytes: int, layout: BlockLayout, budget: int) -> tuple[int, int]:
    """Rows and columns of the chunks of a raster, so that no two chunks share a stored block.

    Whole blocks are put together to about 512 x 512 pixels, two at least side by side where that is faster; blocks as
    wide as the raster make full-width bands; a raster that decodes only from the top is one chunk. Nothing takes more
    than 1/8 of ``budget`` bytes: a larger block is cut into bands of its own width.
    """
    rows, cols = min(layout.rows, height), min(layout.cols, width)
    share = budget // 8
    if layout.sequential and height * width * pixel_bytes <= share:
        return height, width
    limit = max(1, share // (cols * pixel_bytes))
    if rows > limit:
        bands = -(-rows // limit)
        return -(-rows // bands), cols
    if cols == width > _SIDE:
        rows *= max(1, min(_BAND_PIXELS // width, limit) // rows)
        return min(height, rows), width
    cols *= min(max(1 + layout.in_pairs, -(-_SIDE // cols)), max(1, limit // rows))
    rows *= min(-(-_SIDE // rows), max(1, share // (cols * rows * pixel_bytes)))
    return min(height, rows), min(width, cols)


@frozen
class Chunk:
    """Decoded pixels, read-only. ``state``: 0 no pixel is data (``pixels`` is then empty), 1 some, 2 all.

    ``height`` and ``width`` are those of the chunk in all cases.
    """

    pixels: Pixels
    mask: Mask | None
    state: int
    height: int
    width: int

    @classmethod
    def of(cls, pixels: Pixels, mask: Mask | None) -> Chunk:
        """Chunk of freshly read pixels; a mask that says nothing is dropped."""
        state = mask_state(mask)
        height, width, channels = pixels.shape
        if state == 0:
            pixels = np.empty((0, 0, channels), pixels.dtype)
        return cls(pixels, mask if state == 1 else None, state, height, width)

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes + (0 if self.mask is None else self.mask.nbytes)


class ChunkCache:
    """Least recently used chunks up to ``max_bytes`` of pixels and masks, safe for any number of threads.

    A thread that asks for a chunk being decoded waits for it. An error reaches every thread that waits and is then
    forgotten, so that the next one tries again. Counters: ``decoded``, ``hits``, ``waits``.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes <= 0:
            raise ValueError(f"max_bytes: {max_bytes}, expected a positive size")
        self.max_bytes = max_bytes
        self.decoded = self.hits = self.waits = 0
        self._lock = threading.Lock()
        self._chunks: OrderedDict[Hashable, Chunk] = OrderedDict()
        self._pending: dict[Hashable, Future[Chunk]] = {}
        self._bytes = 0
        self._reserved = 0

    def __reduce__(self) -> tuple[type[ChunkCache], tuple[int]]:
        return ChunkCache, (self.max_bytes,)  # an empty one, in another process

    @property
    def nbytes(self) -> int:
        """Bytes held now, without chunks that are being decoded."""
        return self._bytes

    def get(self, key: Hashable, size: int, load: Callable[[], Chunk], *, wait: bool = True) -> Chunk | None:
        """The chunk of ``key``, decoded by ``load`` if need be.

        ``size``: bytes that the chunk may take, for which room is made before decoding. None only without ``wait``,
        when another thread is decoding it: the caller can do something else first.
        """
        with self._lock:
            chunk = self._chunks.get(key)
            if chunk is not None:
                self._chunks.move_to_end(key)
                self.hits += 1
                return chunk
            future = self._pending.get(key)
            if future is None:
                mine = self._pending[key] = Future()
                self._reserved += size
                self._make_room()
            elif not wait:
                return None
            else:
                self.waits += 1
        if future is not None:
            return future.result()
        return self._decode(key, size, load, mine)

    def _decode(self, key: Hashable, size: int, load: Callable[[], Chunk], future: Future[Chunk]) -> Chunk:
        try:
            chunk = load()
        except BaseException as exc:
            with self._lock:
                del self._pending[key]
                self._reserved -= size
            future.set_exception(exc)
            raise
        with self._lock:
            del self._pending[key]
            self._reserved -= size
            self._chunks[key] = chunk
            self._bytes += chunk.nbytes
            self.decoded += 1
            self._make_room()
        future.set_result(chunk)
        return chunk

    def _make_room(self) -> None:
        while self._chunks and self._bytes + self._reserved > self.max_bytes:
            _, chunk = self._chunks.popitem(last=False)
            self._bytes -= chunk.nbytes

    def drop(self, keys: Iterable[Hashable]) -> None:
        """Forgets chunks that nobody will ask for again; asking all the same decodes them anew."""
        with self._lock:
            for key in keys:
                chunk = self._chunks.pop(key, None)
                if chunk is not None:
                    self._bytes -= chunk.nbytes

    def clear(self) -> None:
        """Forgets all chunks; those in use stay with their users."""
        with self._lock:
            self._chunks.clear()
            self._bytes = 0
