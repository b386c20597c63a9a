"""Building a tree in object storage, which has neither folders nor renames.

A new pyramid's slabs are written under their final names: without a descriptor no reader looks at them. One that
replaces a pyramid is written aside, under hidden names, so that the old one stays whole until the new one is; then the
old descriptor and list are removed, the slabs copied inside the store, the old slabs that have no successor removed.
At no moment does a descriptor stand over slabs of two pyramids.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from ..errors import StoreError
from .base import Chunk, check_key, leave
from .claim import Claim
from .layout import Layout
from .naming import is_object_name
from .transport import Stat
from .uploads import Uploads

__all__ = ["ObjectStaging", "hidden_name"]

UPLOAD_THREADS = 16
UPLOAD_BYTES = 256 * 2**20
"""Slabs that wait or travel at a time; encoding goes on until they are that many bytes."""

TRAVELLING_BYTES = 64 * 2**20
"""Slabs that travel at a time: 210 kB/s are enough for them in the five minutes that a large upload may take."""


_PATIENCE = 10.0
"""Seconds that a builder that was stopped waits for slabs that travel."""


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
    """The objects of the tree ``name`` under construction. Stop all writers before it ends.

    ``claim`` is held until then. ``aside``: slabs go to hidden names until ``install``.
    """

    def __init__(self, store: _Tray, name: str, claim: Claim, aside: bool) -> None:
        self.name = name
        self.aside = aside
        self.layout = store.layout
        self._store = store
        self._tree = hidden_name(name, "building") if aside else name
        self._written: set[str] = set()
        self._lock = threading.Lock()
        self._installed = False
        self._open = True
        self._claim = claim
        self._uploads = Uploads(store.put_bytes, UPLOAD_THREADS, UPLOAD_BYTES, TRAVELLING_BYTES)

    @classmethod
    def begin(cls, store: _Tray, name: str, overwrite: bool, claim: Claim, inherited: bool = False) -> ObjectStaging:
        """A new tree, after what dead builders left of it is removed; ``inherited``: they left something.

        The claim is released when that fails.
        """
        try:
            exists = store.exists(f"{name}.json")
            if exists and not overwrite:
                raise _taken(store, name)
            inherited |= claim.inherited
            if inherited:
                _delete_slabs(store, hidden_name(name, "building"))
            if inherited and not exists:
                _delete_slabs(store, name)
            elif not exists and not overwrite and next(_slabs(store, name), None) is not None:
                raise StoreError(
                    f"{store.location(name)}/ holds slabs although there is no {name}.json: "
                    "choose another name, or replace them (--overwrite)"
                )
            return cls(store, name, claim, exists)
        except BaseException:
            with contextlib.suppress(StoreError):
                claim.release()
            raise

    def __repr__(self) -> str:
        return f"ObjectStaging({self._store.location(self.name)!r})"

    @property
    def folder(self) -> str:
        """Where the slabs are until ``install``: the beginning of their keys in the store, ending in ``/``."""
        return f"{self._tree}/"

    def adopt(self, keys: Iterable[str]) -> None:
        """Count objects that an earlier builder wrote as part of the tree."""
        self._written.update(keys)

    def put(self, key: str, chunks: Sequence[Chunk]) -> None:
        """Take an object over for writing. Raises StoreError when an earlier one could not be written."""
        self._check_open()
        self._claim.hold()
        normal = check_key(key)
        with self._lock:
            self._written.add(normal)
        self._uploads.submit(f"{self._tree}/{normal}", chunks)

    def refuse(self) -> None:
        """Take no more objects; those that were taken go on being written."""
        self._uploads.refuse()

    def put_beside(self, key: str, data: bytes) -> None:
        """As ``put``, for an object that is no part of the tree; ``key`` is its key in the store."""
        self._uploads.submit(key, [data])

    def get(self, key: str) -> bytes:
        return self._store.get(self._finished(key))

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        return self._store.get_range(self._finished(key), offset, size)

    def _finished(self, key: str) -> str:
        """Key in the store of an object whose writing is over."""
        full = f"{self._tree}/{check_key(key)}"
        self._uploads.wait(full)
        return full

    def wait(self, key: str, seconds: float) -> bool:
        """Whether an object, by its key in the store, is written; waits so long. Raises the first failure of any."""
        return self._uploads.wait(key, seconds)

    def arrived(self, key: str, seconds: float) -> bool:
        """As ``wait``, whatever became of others."""
        return self._uploads.arrived(key, seconds)

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError(f"{self._store.location(self.name)}: this staging has ended, begin another one")

    def publish(self, overwrite: bool = False) -> None:
        """``install`` and ``finish``."""
        self.install(overwrite)
        self.finish()

    def arrive(self) -> None:
        """Wait for the last object. Raises StoreError when one could not be written, or the claim was lost."""
        self._check_open()
        self._uploads.wait()
        self._claim.check()

    def install(self, overwrite: bool = False) -> None:
        """Wait for the last object, then take the old pyramid's place; the caller writes list and descriptor.

        Raises StoreError when an object could not be written, the claim was lost, or a descriptor of that name has
        appeared and ``overwrite`` is False. An old pyramid stays as it was in all these cases; only a failure after
        its descriptor was removed leaves none. May be called again then.
        """
        self.arrive()
        exists = self._store.exists(f"{self.name}.json")
        if exists and not overwrite:
            raise _taken(self._store, self.name)
        self._installed = True
        if exists:
            self._store.delete_all([f"{self.name}.json", f"{self.name}.list"])
        if self.aside:
            self._in_threads(lambda name: self._store.copy(f"{self._tree}/{name}", f"{self.name}/{name}"))
        if overwrite:
            _delete_slabs(self._store, self.name, self._written)

    def finish(self) -> None:
        """Remove what is needed no more and give the name free. Raises StoreError."""
        if self.aside:
            _delete_slabs(self._store, self._tree)
        self._open = False
        self._uploads.close()
        self._claim.release()

    def _in_threads(self, work: Callable[[str], None]) -> None:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(UPLOAD_THREADS, "publish") as pool:
            try:
                for _ in pool.map(work, sorted(self._written)):
                    pass
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def suspend(self) -> None:
        """Leave all that was written for a builder that goes on with it, what is still waiting to be written not."""
        if self._open:
            self._open = False
            self._uploads.close(cancel=True, patience=_PATIENCE)
            with contextlib.suppress(StoreError):  # it dies by itself
                self._claim.release()

    def abort(self) -> None:
        """Remove every object that was written. Raises StoreError when that fails: the next builder removes them."""
        if not self._open:
            return
        self._open = False
        ended = self._uploads.close(cancel=True, patience=_PATIENCE)
        trees = {self._tree, self.name} if self._installed else {self._tree}
        try:
            for tree in sorted(trees):
                self._store.delete_all([f"{tree}/{name}" for name in sorted(self._written)])
        except BaseException:
            self._claim.abandon()
            raise
        if ended:
            self._claim.release()
        else:  # what arrives after all is removed by the next builder, which sees that this one is dead
            self._claim.abandon()

    def __enter__(self) -> ObjectStaging:
        return self

    def __exit__(self, *exc_info: object) -> None:
        leave(self, exc_info[0] is not None)


def hidden_name(name: str, use: str) -> str:
    """What is beside the tree ``name``, for its builders only: ``a/.ORTHO.building`` of ``a/ORTHO``."""
    folder, slash, base = name.rpartition("/")
    return f"{folder}{slash}.{base}.{use}"


def _taken(store: _Tray, name: str) -> StoreError:
    place = store.location(f"{name}.json")
    return StoreError(f"{place} exists: choose another name, or overwrite it (--overwrite)")


def _slabs(store: _Tray, folder: str) -> Iterator[str]:
    """Keys of the slabs directly below ``folder``; objects of other names are nobody's business here."""
    prefix = f"{folder}/"
    return (key for key in store.keys(prefix) if is_object_name(key.removeprefix(prefix)))


def _delete_slabs(store: _Tray, folder: str, but: Iterable[str] = ()) -> None:
    """Remove the slabs below ``folder`` except those whose names there are ``but``."""
    kept = {f"{folder}/{name}" for name in but}
    store.delete_all([key for key in _slabs(store, folder) if key not in kept])
