"""Uploads in the background: encoding goes on while objects travel, within a budget of memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from ..errors import StoreError
from .base import Chunk

__all__ = ["Uploads"]

Put = Callable[[str, bytes, threading.Event], None]
"""``put(key, data, stop)``: write one object; ``stop`` is set when the work is given up."""


class Uploads:
    """Threads that write objects, fed by ``submit``.

    At most ``budget`` bytes wait or travel at a time (one object is always let in, whatever its size): a slow bucket
    first fills the budget and only then makes callers wait. At most ``abroad`` bytes travel at a time (one object
    always), so that on a slow line each of a few arrives before its time is over. The first failure is raised by every
    later call.
    """

    def __init__(self, put: Put, threads: int, budget: int, abroad: int) -> None:
        self._put = put
        self._threads = threads
        self._budget = budget
        self._abroad = abroad
        self._travelling = 0
        self._queue: deque[tuple[str, bytes]] = deque()
        self._pending: dict[str, int] = {}
        self._failed: set[str] = set()
        self._workers: list[threading.Thread] = []
        self._idle = 0
        self._bytes = 0
        self._error: BaseException | None = None
        self._closed = False
        self._refusing = False
        self._stop = threading.Event()
        self._changed = threading.Condition()

    @property
    def held(self) -> int:
        """Bytes that wait or travel now."""
        return self._bytes

    def submit(self, key: str, chunks: Sequence[Chunk]) -> None:
        """Take an object over; waits while the budget is used up. Raises the failure of an earlier object."""
        size = sum(memoryview(chunk).nbytes for chunk in chunks)
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._closed or self._refusing or self._fits(size))
            self._check()
            if self._refusing:
                raise StoreError("the work was given up")
            self._bytes += size
            self._pending[key] = self._pending.get(key, 0) + 1
        data = b"".join(chunks)  # a copy of our own: callers may reuse their buffers
        with self._changed:
            self._queue.append((key, data))
            if self._idle < len(self._queue) and len(self._workers) < self._threads:
                name = f"upload-{len(self._workers)}"
                self._workers.append(threading.Thread(target=self._work, name=name, daemon=True))
                self._workers[-1].start()
            self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return self._bytes == 0 or self._bytes + size <= self._budget

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._closed:
            raise RuntimeError("uploads have ended")

    def refuse(self) -> None:
        """Take no more objects, be it that callers wait; what was taken over is still written."""
        with self._changed:
            self._refusing = True
            self._changed.notify_all()

    def wait(self, key: str | None = None, seconds: float | None = None) -> bool:
        """Until the object ``key``, or every one, is written, ``seconds`` at most: whether it is.

        Raises the first failure.
        """

        def written() -> bool:
            return not self._pending if key is None else key not in self._pending

        with self._changed:
            self._changed.wait_for(lambda: self._error or written(), seconds)
            if self._error is not None:
                raise self._error
            return written()

    def arrived(self, key: str, seconds: float = 0.0) -> bool:
        """Whether the object ``key``, handed over before, is written; waits so long for it."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._closed or key not in self._pending, seconds)
            return key not in self._pending and key not in self._failed

    def close(self, cancel: bool = False, patience: float | None = None) -> bool:
        """Let the threads end, after what is queued or, with ``cancel``, after what travels now.

        Waits ``patience`` seconds for that, None: as long as it takes. False when some still travel.
        """
        with self._changed:
            self._closed = True
            if cancel:
                self._stop.set()
                self._queue.clear()
            self._changed.notify_all()
        end = None if patience is None else time.monotonic() + patience
        for worker in self._workers:
            worker.join(None if end is None else max(end - time.monotonic(), 0))
        return not any(worker.is_alive() for worker in self._workers)

    def _next(self) -> tuple[str, bytes] | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._error or (self._may_leave() if self._queue else self._closed))
            self._idle -= 1
            if self._error is not None or not self._queue:
                return None
            item = self._queue.popleft()
            self._travelling += len(item[1])
            return item

    def _may_leave(self) -> bool:
        return self._travelling == 0 or self._travelling + len(self._queue[0][1]) <= self._abroad

    def _work(self) -> None:
        while (item := self._next()) is not None:
            key, data = item
            error: BaseException | None = None
            try:
                self._put(key, data, self._stop)
            except BaseException as caught:
                error = caught
            with self._changed:
                self._bytes -= len(data)
                self._travelling -= len(data)
                self._pending[key] -= 1
                if not self._pending[key]:
                    del self._pending[key]
                if error is not None:
                    self._failed.add(key)
                self._error = self._error or error
                self._changed.notify_all()
            del item, data  # not held while waiting for the next one
