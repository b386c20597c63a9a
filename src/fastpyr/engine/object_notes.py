"""A journal in object storage, beside the tree that is built: any machine can go on with the build.

Objects cannot be appended to, so lines are collected and written together, each time as an object of its own. What
the slabs above need of a slab is an object too. It is written only when these slabs are not finished within a few
seconds: most are, and what was never needed never travels.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from io import BytesIO
from typing import Any, BinaryIO, Protocol, TypeVar

from ..errors import StoreError
from ..frozen import frozen
from ..store import StoreNotFound
from .facts import JournalState, slab_fact
from .logbook import log_line, parse_log
from .records import Part
from .written import SealedSlab, SlabKey

__all__ = ["SCRATCH", "ObjectNotes", "read_object_journal"]

_PACE = 5.0
"""Seconds that a finished slab waits for its line at most: so much work may be lost beyond the slabs in flight."""

_SCRATCH_BYTES = 64 * 2**20
"""Scratch files that wait in memory; more are written without waiting."""

_FAREWELL_SECONDS = 10.0
"""How long a builder that was stopped waits for slabs that travel."""

_LOOK_UP_SECONDS = 0.5
_THREADS = 8
_LOG, SCRATCH = "log-", "scratch-"
"""Beginnings of the names of objects: lines, and what was kept of a slab."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Tray(Protocol):
    """What is needed of the store."""

    def put_bytes(self, key: str, data: bytes, stop: threading.Event | None = None) -> None: ...

    def get(self, key: str) -> bytes: ...

    def keys(self, folder: str) -> Iterator[str]: ...

    def delete_all(self, keys: Sequence[str]) -> None: ...

    def location(self, key: str = "") -> str: ...


class _Tree(Protocol):
    """What is needed of the tree under construction."""

    @property
    def folder(self) -> str: ...

    def put_beside(self, key: str, data: bytes) -> None: ...

    def wait(self, key: str, seconds: float) -> bool: ...

    def arrived(self, key: str, seconds: float) -> bool: ...


@frozen
class _Sealed:
    """A slab whose line is not written yet."""

    slab: SealedSlab
    scratch: bytes
    parents: frozenset[SlabKey]
    done: Callable[[], None]
    since: float


def read_object_journal(store: _Tray, folder: str) -> JournalState | None:
    """The state of a journal folder (ending in ``/``), None when there is no journal. Raises StoreError."""
    logs = [key for key in store.keys(folder) if key.startswith(f"{folder}{_LOG}")]

    def read(key: str) -> bytes:
        try:
            return store.get(key)
        except StoreNotFound:  # a list that is late
            return b""

    return JournalState.of(parse_log(b"".join(_in_threads(read, logs)))) if logs else None


class ObjectNotes:
    """Objects below ``folder``, which ends in ``/``. ``tree`` is where the slabs go."""

    def __init__(self, store: _Tray, folder: str, tree: _Tree) -> None:
        self._store = store
        self._folder = folder
        self._tree = tree
        found = list(store.keys(folder))
        runs = [key.removeprefix(f"{folder}{_LOG}")[:6] for key in found if key.startswith(f"{folder}{_LOG}")]
        self._run = 1 + max((int(run) for run in runs if run.isdecimal()), default=0)
        self._token = os.urandom(4).hex()  # nobody else's object is ever replaced
        self._lines = 0
        self._kept: dict[SlabKey, list[bytes]] = {}
        self._stored = {key for key in found if key.startswith(f"{folder}{SCRATCH}")}
        self._garbage: list[str] = []
        self._safe: set[SlabKey] = set()
        self._queue: deque[_Sealed] = deque()
        self._waiting = 0  # bytes of scratch files that are not stored yet
        self._hurry = 0  # callers that wait for the queue to be empty
        self._busy = False
        self._closed = False
        self._refusing = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def note(self, fact: dict[str, Any]) -> None:
        with self._changed:
            self._hurry += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._error or not (self._queue or self._busy))
            self._hurry -= 1
            self._check()
        self._put_lines([fact])

    def begin(self, slab: SlabKey) -> None:
        self._kept[slab] = []

    def keep(self, slab: SlabKey, parts: Sequence[Part], offset: int) -> None:
        self._kept[slab].append(b"".join(parts))

    def seal(self, slab: SealedSlab, parents: Collection[SlabKey], done: Callable[[], None]) -> None:
        scratch = b"".join(self._kept.pop(slab.key, ()))
        with self._changed:
            # Whoever is too fast waits here, so that memory stays bounded.
            self._changed.wait_for(lambda: self._error or self._closed or self._refusing or self._has_room())
            self._check()
            self._waiting += len(scratch)
            self._queue.append(_Sealed(slab, scratch, frozenset(parents), done, time.monotonic()))
            self._changed.notify_all()

    def open(self, slab: SlabKey) -> tuple[BinaryIO, int]:
        data = self._store.get(self._scratch(slab))
        return BytesIO(data), len(data)

    def free(self, slab: SlabKey) -> None:
        self._garbage.append(self._scratch(slab))

    def keep_only(self, slabs: Collection[SlabKey]) -> None:
        keep = {self._scratch(slab) for slab in slabs}
        self._store.delete_all(sorted(self._stored - keep))
        self._stored &= keep
        self._garbage.clear()

    def location(self, slab: SlabKey) -> str:
        return self._store.location(self._scratch(slab))

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._writer.join()

    def remove(self) -> None:
        """Remove all objects. Raises StoreError."""
        self.close()
        self._store.delete_all(list(self._store.keys(self._folder)))

    def say_farewell(self, fingerprint: dict[str, Any], finish: Callable[[], None]) -> None:
        """Remove all objects, the last one after ``finish``: as long as it is there it says that all is done."""
        self.note({"fingerprint": fingerprint, "publishing": True, "published": True})
        self.close()
        last = self._log(self._lines)
        self._store.delete_all([key for key in self._store.keys(self._folder) if key != last])
        finish()
        self._store.delete_all([last])

    def refuse(self) -> None:
        """Let go whoever waits for room: the build was stopped, and there will be no more."""
        with self._changed:
            self._refusing = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._waiting <= 2 * _SCRATCH_BYTES

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._closed:
            raise RuntimeError("the journal is closed")

    def _scratch(self, slab: SlabKey) -> str:
        return self._folder + SCRATCH + "{}-{}-{}".format(*slab)

    def _log(self, number: int) -> str:
        return f"{self._folder}{_LOG}{self._run:06}-{self._token}-{number:08}"

    def _put_lines(self, facts: Iterable[dict[str, Any]], stop: threading.Event | None = None) -> None:
        with self._changed:
            self._lines += 1
            key = self._log(self._lines)
        self._store.put_bytes(key, b"".join(map(log_line, facts)), stop)

    def _write(self) -> None:
        """The thread that writes lines."""
        while batch := self._next():
            try:
                self._commit(batch)
                error = None
            except BaseException as caught:
                error = caught
            with self._changed:
                self._busy = False
                if error is not None:
                    self._error = error
                    self._queue.extendleft(reversed(batch))
                else:
                    self._waiting -= sum(len(sealed.scratch) for sealed in batch)
                self._changed.notify_all()
            if error is not None:
                break
        with self._changed:
            self._changed.wait_for(lambda: self._closed)
            batch = list(self._queue)
        self._rescue(batch)

    def _next(self) -> list[_Sealed]:
        """Slabs whose lines are to be written now; none when the journal is closed."""
        with self._changed:
            while not self._closed:
                left = self._queue[0].since + _PACE - time.monotonic() if self._queue else None
                if self._queue and (self._hurry or self._waiting > _SCRATCH_BYTES or (left is not None and left <= 0)):
                    self._busy = True
                    batch = list(self._queue)
                    self._queue.clear()
                    return batch
                self._changed.wait(left)
            return []

    def _keys(self, sealed: _Sealed) -> list[str]:
        return [self._tree.folder + written.key for written, _ in sealed.slab.files]

    def _needed(self, batch: Sequence[_Sealed]) -> dict[str, bytes]:
        """Scratch files of a batch that slabs need which are not finished with it."""
        safe = self._safe | {sealed.slab.key for sealed in batch}
        return {
            self._scratch(sealed.slab.key): sealed.scratch
            for sealed in batch
            if sealed.scratch and not sealed.parents <= safe
        }

    def _commit(self, batch: list[_Sealed]) -> None:
        """Write the lines of slabs when these and what was kept of them are in the store."""
        for sealed in batch:
            for key in self._keys(sealed):
                self._wait(key)
        needed = self._needed(batch)
        for key, data in needed.items():
            self._tree.put_beside(key, data)
        for key in needed:
            self._wait(key)
        self._finish(batch, needed)

    def _wait(self, key: str) -> None:
        while not self._tree.wait(key, _LOOK_UP_SECONDS):
            if self._closed:
                raise StoreError("the build was stopped")

    def _rescue(self, batch: list[_Sealed]) -> None:
        """The last lines of a build that was stopped: of all slabs that are in the store."""
        end = time.monotonic() + _FAREWELL_SECONDS
        stop = threading.Event()
        alarm = threading.Timer(2 * _FAREWELL_SECONDS, stop.set)
        alarm.start()
        try:
            arrived = [
                sealed
                for sealed in batch
                if all(self._tree.arrived(key, max(end - time.monotonic(), 0)) for key in self._keys(sealed))
            ]
            if arrived:
                needed = self._needed(arrived)
                _in_threads(lambda item: self._store.put_bytes(*item, stop), needed.items())
                self._finish(arrived, needed, stop)
        except StoreError as error:
            self._error = self._error or error
        finally:
            alarm.cancel()

    def _finish(self, batch: list[_Sealed], stored: Collection[str], stop: threading.Event | None = None) -> None:
        """Slabs and scratch files are in the store: say so, and remove the scratch files that this sets free."""
        self._put_lines([slab_fact(sealed.slab) for sealed in batch], stop)
        self._stored.update(stored)
        self._safe.update(sealed.slab.key for sealed in batch)
        for sealed in batch:
            sealed.done()
        freed = self._stored.intersection(self._garbage)
        with contextlib.suppress(StoreError):  # removed at the end with all the others
            self._store.delete_all(sorted(freed))
        self._stored -= freed
        self._garbage.clear()


def _in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_THREADS, "journal") as pool:
        return list(pool.map(work, items))
