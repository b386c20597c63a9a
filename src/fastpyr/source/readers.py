"""Who is still going to read what: chunks whose last reader is done need not be kept."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Hashable

import numpy as np
import numpy.typing as npt

from .rects import RectIndex

__all__ = ["Readers"]


class Readers:
    """Readers announced with the windows they are likely to read, each done once. Safe for many threads.

    ``windows``: int64 (n, 4), x0 y0 x1 y1 of reader 0 to n - 1. A window that is too small costs a second decoding, one
    that is too large the memory of chunks that wait in vain; what is read is the same.
    """

    def __init__(self, windows: npt.NDArray[np.int64]) -> None:
        self._index = RectIndex(windows)
        self._done = np.zeros(len(windows), np.bool_)
        self._lock = threading.Lock()
        self._of_chunk: dict[Hashable, set[int]] = {}
        self._of_reader: dict[int, list[Hashable]] = defaultdict(list)

    def decoded(self, key: Hashable, x0: int, y0: int, x1: int, y1: int) -> None:
        """A chunk with these pixels is there now."""
        found = self._index.query(x0, y0, x1, y1)
        with self._lock:
            waiting = {reader for reader in found if not self._done[reader]}
            if waiting:
                self._of_chunk[key] = waiting
                for reader in waiting:
                    self._of_reader[reader].append(key)

    def done(self, reader: int) -> list[Hashable]:
        """A reader has read all it wants. Returns the chunks that nobody waits for any more."""
        last = []
        with self._lock:
            self._done[reader] = True
            for key in self._of_reader.pop(reader, ()):
                waiting = self._of_chunk.get(key)
                if waiting is not None:
                    waiting.discard(reader)
                    if not waiting:
                        del self._of_chunk[key]
                        last.append(key)
        return last
