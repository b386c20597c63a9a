"""Building a tree in object storage, which has neither folders nor renames.

A new pyramid's slabs are written under their final names: without a descriptor no reader looks at them. One that
replaces a pyramid is written aside, under hidden names, so that the old one stays whole until the new one is; then the
old descriptor and list are removed, the slabs copied inside the store, the old slabs that have no successor removed.
At no moment does a descriptor stand over slabs of two pyramids.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from ..errors import StoreError
from .base import Chunk, check_key
from .claim import Claim
from .layout import Layout
from .naming import is_object_name
from .transport import Stat
from .uploads import Uploads

__all__ = ["ObjectStaging"]

UPLOAD_THREADS = 16
UPLOAD_BYTES = 256 * 2**20
"""Slabs that wait or travel at a time; encoding goes on until they are that many bytes."""

TRAVELLING_BYTES = 64 * 2**20
"""Slabs that travel at a time: 210 kB/s are enough for them in the five minutes that a large upload may take."""


class _Tray(Protocol):
    """What is needed of the object store."""

    @property
    def layout(self) -> Layout: ...

    def put(self, key: str, chunks: Sequence[Chunk]) -> None: ...

    def put_bytes(self, key: str, data: bytes, stop: threading.Event | None = None) -> None: ...

    def get(self, key: str) -> bytes: ...

    def get_range(self, key: str, offset: int, size: int) -> bytes: ...

    def stat(self, key: str) -> Stat: ...

    def exists(self, key: str) -> bool: ...

    def keys(self, folder: str) -> Iterator[str]: ...

    def delete_all(self, keys: Sequence[str]) -> None: ...

    def copy(self, source: str, target: str) -> None: ...

    def location(self, key: str = "") -> str: ...


class ObjectStaging:
    """The objects of the tree ``name`` under construction. Stop all writers before ``publish`` or ``abort``."""

    def __init__(self, store: _Tray, name: str, overwrite: bool) -> None:
        self.name = name
        self.layout = store.layout
        self._store = store
        folder, slash, base = name.rpartition("/")
        self._hidden = f"{folder}{slash}.{base}.building"
        self._written: set[str] = set()
        self._lock = threading.Lock()
        self._published = False
        self._open = True
        self._claim = Claim(store, self._hidden, name)
        try:
            self._tree = self._begin(overwrite)
        except BaseException:
            with contextlib.suppress(StoreError):
                self._claim.release()
            raise
        self._uploads = Uploads(store.put_bytes, UPLOAD_THREADS, UPLOAD_BYTES, TRAVELLING_BYTES)

    def __repr__(self) -> str:
        return f"ObjectStaging({self._store.location(self.name)!r})"

    def _begin(self, overwrite: bool) -> str:
        """Remove what dead builders left; where to write: below the final name, or below the hidden one."""
        store = self._store
        exists = store.exists(f"{self.name}.json")
        if exists and not overwrite:
            raise self._taken()
        if self._claim.inherited:
            self._delete_slabs(self._hidden)
        if exists:
            return self._hidden
        if self._claim.inherited:
            self._delete_slabs(self.name)
        elif not overwrite and next(self._slabs(self.name), None) is not None:
            raise StoreError(
                f"{store.location(self.name)}/ holds slabs although there is no {self.name}.json: "
                "choose another name, or replace them (--overwrite)"
            )
        return self.name

    def _taken(self) -> StoreError:
        place = self._store.location(f"{self.name}.json")
        return StoreError(f"{place} exists: choose another name, or overwrite it (--overwrite)")

    def _slabs(self, folder: str) -> Iterator[str]:
        """Keys of the slabs directly below ``folder``; objects of other names are nobody's business here."""
        prefix = f"{folder}/"
        return (key for key in self._store.keys(prefix) if is_object_name(key.removeprefix(prefix)))

    def _delete_slabs(self, folder: str, but: set[str] | None = None) -> None:
        """Remove the slabs below ``folder`` except those whose names there are ``but``."""
        kept = {f"{folder}/{name}" for name in but or ()}
        self._store.delete_all([key for key in self._slabs(folder) if key not in kept])

    def put(self, key: str, chunks: Sequence[Chunk]) -> None:
        """Take an object over for writing. Raises StoreError when an earlier one could not be written."""
        self._check_open()
        normal = check_key(key)
        with self._lock:
            self._written.add(normal)
        self._uploads.submit(f"{self._tree}/{normal}", chunks)

    def get(self, key: str) -> bytes:
        return self._store.get(self._finished(key))

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        return self._store.get_range(self._finished(key), offset, size)

    def _finished(self, key: str) -> str:
        """Key in the store of an object whose writing is over."""
        full = f"{self._tree}/{check_key(key)}"
        self._uploads.wait(full)
        return full

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError(f"{self._store.location(self.name)}: this staging has ended, begin another one")

    def publish(self, overwrite: bool = False) -> None:
        """Wait for the last object, then take the old pyramid's place; the caller writes list and descriptor.

        Raises StoreError when an object could not be written, the claim was lost, or a descriptor of that name has
        appeared and ``overwrite`` is False. An old pyramid stays as it was in all these cases; only a failure after
        its descriptor was removed leaves none.
        """
        self._check_open()
        self._uploads.wait()
        self._claim.check()
        exists = self._store.exists(f"{self.name}.json")
        if exists and not overwrite:
            raise self._taken()
        self._published = True
        if exists:
            self._store.delete_all([f"{self.name}.json", f"{self.name}.list"])
        if self._tree != self.name:
            self._in_threads(lambda name: self._store.copy(f"{self._tree}/{name}", f"{self.name}/{name}"))
            self._store.delete_all([f"{self._tree}/{name}" for name in sorted(self._written)])
        if overwrite:
            self._delete_slabs(self.name, self._written)
        self._open = False
        self._uploads.close()
        self._claim.release()

    def _in_threads(self, work: Callable[[str], None]) -> None:
        with ThreadPoolExecutor(UPLOAD_THREADS, "publish") as pool:
            try:
                for _ in pool.map(work, sorted(self._written)):
                    pass
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def abort(self) -> None:
        """Remove every object that was written. Raises StoreError when that fails: the next builder removes them."""
        if not self._open:
            return
        self._open = False
        self._uploads.close(cancel=True)
        trees = {self._tree, self.name} if self._published else {self._tree}
        try:
            for tree in sorted(trees):
                self._store.delete_all([f"{tree}/{name}" for name in sorted(self._written)])
        except BaseException:
            self._claim.abandon()
            raise
        self._claim.release()

    def __enter__(self) -> ObjectStaging:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if exc_info[0] is None:
            self.abort()
        else:  # never hide the error that brought us here
            with contextlib.suppress(StoreError):
                self.abort()
