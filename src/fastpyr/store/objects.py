"""Pyramids in object storage: the verbs of a store over any transport, with retries and one-line errors."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from ..errors import StoreError
from .base import Chunk, Store, StoreNotFound, check_key, normal_key
from .claim import Claim
from .layout import Layout
from .object_staging import ObjectStaging, hidden_name
from .retry import RetryPolicy, Stopped
from .transport import Entry, ObjectMissing, Part, Stat, Transport, TransportError

__all__ = ["ObjectStore"]

Result = TypeVar("Result")

_PART = 8 * 2**20
"""Bytes asked for in one GET: large objects come in several, so that none outlasts the time limit of a request."""

_DELETE_PAGE = 1000
_MAX_KEY = 1024
"""Bytes of a name, in S3 and Swift alike."""


class ObjectStore:
    """One tray (bucket, container, pool) of an object store.

    ``uri`` is how messages and users call it, e.g. ``s3://ortho@host``; ``neighbour`` makes the store of another tray
    of the same cluster.
    """

    def __init__(
        self,
        transport: Transport,
        layout: Layout,
        uri: str,
        retry: RetryPolicy,
        neighbour: Callable[[str], Store] | None = None,
    ) -> None:
        self.transport = transport
        self.layout = layout
        self.uri = uri
        self.retry = retry
        self._neighbour = neighbour
        self._neighbours: dict[str, Store] = {}  # a client each, which is not made for every slab

    def __repr__(self) -> str:
        return f"ObjectStore({self.uri!r})"

    def location(self, key: str = "") -> str:
        return f"{self.uri}/{key}"

    def beside(self, tray: str) -> Store:
        if tray == self.layout.tray:
            return self
        found = self._neighbours.get(tray)
        if found is None:
            if self._neighbour is None:
                raise StoreError(f"{self.uri}: no other {tray} can be reached from here")
            found = self._neighbours[tray] = self._neighbour(tray)
        return found

    def put(self, key: str, chunks: Sequence[Chunk]) -> None:
        self.put_bytes(self._writable(key), b"".join(chunks))

    def put_bytes(self, key: str, data: bytes, stop: threading.Event | None = None) -> None:
        """Write one object; ``stop`` ends the pauses between tries."""
        attempts = self.retry.write_attempts
        self._ask("write", key, attempts, lambda: self.transport.put(key, data), stop)

    def get(self, key: str) -> bytes:
        return self._read(key, 0, None)

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        if offset < 0 or size < 0:
            raise StoreError(f"{self.location(key)}: cannot read {size} bytes at {offset}")
        if size == 0:
            self.stat(key)
            return b""
        return self._read(key, offset, size)

    def _read(self, key: str, offset: int, size: int | None) -> bytes:
        """``size`` bytes (None: all) in as many requests as needed, all of one version of the object."""
        first = self.part(key, offset, _PART if size is None else min(size, _PART))
        end = first.total if size is None else min(first.total, offset + size)
        parts = [first.data]
        offset += len(first.data)
        while offset < end:
            part = self.part(key, offset, min(end - offset, _PART))
            if (part.total, part.tag) != (first.total, first.tag) or not part.data:
                raise StoreError(f"cannot read {self.location(key)}: it was replaced meanwhile, try again")
            parts.append(part.data)
            offset += len(part.data)
        return b"".join(parts)

    def part(self, key: str, offset: int, size: int) -> Part:
        """One request's worth of an object (``size`` >= 1), with what identifies its version. Raises as ``get``."""
        normal = self._readable(key)

        def read() -> Part:
            part = self.transport.get(normal, offset, size)
            if len(part.data) != max(min(size, part.total - offset), 0):
                raise TransportError(f"{len(part.data)} of {size} bytes arrived", retry=True)
            return part

        return self._ask("read", normal, self.retry.read_attempts, read)

    def stat(self, key: str) -> Stat:
        """Size and age of an object. Raises as ``get``."""
        normal = self._readable(key)
        return self._ask("read", normal, self.retry.read_attempts, lambda: self.transport.stat(normal))

    def size(self, key: str) -> int:
        return self.stat(key).size

    def exists(self, key: str) -> bool:
        try:
            self.stat(key)
        except StoreNotFound:
            return False
        return True

    def list(self, prefix: str = "", after: str = "") -> Iterator[str]:
        folder = self._readable(prefix).rstrip("/") + "/" if prefix else ""
        for key in self.keys(folder, after):
            if not any(part.startswith(".") for part in key.removeprefix(folder).split("/")):
                yield key

    def keys(self, folder: str, after: str = "") -> Iterator[str]:
        """All keys that start with ``folder`` and are greater than ``after``, hidden ones too, sorted."""
        return (entry.key for entry in self._entries(folder, after))

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of all objects whose keys start with ``folder``, hidden ones too."""
        found: dict[str, int] = {}
        for key, size in self._entries(folder):
            with contextlib.suppress(StoreNotFound):
                found[key] = self.size(key) if size is None else size
        return found

    def _entries(self, folder: str, after: str = "") -> Iterator[Entry]:
        last: str | None = after or None
        pages: Iterator[Sequence[Entry]] | None = None

        def page() -> Sequence[Entry] | None:
            nonlocal pages
            pages = pages or self.transport.list(folder, last)
            try:
                return next(pages, None)
            except BaseException:
                pages = None  # begun again behind the last key
                raise

        while (found := self._ask("list", folder, self.retry.read_attempts, page)) is not None:
            for entry in found:
                yield entry
                last = entry.key

    def delete(self, key: str) -> None:
        self.delete_all([self._writable(key)])

    def delete_all(self, keys: Sequence[str]) -> None:
        """Remove many objects; no error for those that are not there."""
        for start in range(0, len(keys), _DELETE_PAGE):
            page = keys[start : start + _DELETE_PAGE]
            self._ask("delete", page[0], self.retry.write_attempts, partial(self.transport.delete, page))

    def copy(self, source: str, target: str) -> None:
        """Copy an object inside the tray, replacing one of the target's key in one step."""
        self._ask("write", target, self.retry.write_attempts, lambda: self.transport.copy(source, target))

    def stage(self, name: str, overwrite: bool = False) -> ObjectStaging:
        return ObjectStaging.begin(self, name, overwrite, self.claim(name))

    def claim(self, name: str) -> Claim:
        """Hold the name of a tree while it is built. Raises StoreError when another builder is at work on it."""
        return Claim(self, hidden_name(self._writable(name), "building"), name)

    def journal(self, name: str) -> str:
        """Where the builder of the tree ``name`` writes down what is for itself: a hidden folder, ending in ``/``."""
        return hidden_name(self._writable(name), "journal") + "/"

    def _writable(self, key: str) -> str:
        return self._readable(check_key(key))

    def _readable(self, key: str) -> str:
        """The normal form of a key. Raises StoreError for what no object can be called."""
        normal = normal_key(key)
        if normal.startswith("..") or not normal.isprintable() or len(normal.encode(errors="replace")) > _MAX_KEY:
            raise StoreError(
                f"{key[:120]!r} cannot name an object of {self.uri}: it climbs, is longer than {_MAX_KEY} bytes, or "
                "holds characters that cannot be printed"
            )
        return normal

    def _ask(
        self,
        verb: str,
        key: str,
        attempts: int,
        work: Callable[[], Result],
        stop: threading.Event | None = None,
    ) -> Result:
        """Run one request with retries; its failure as the error callers know."""
        try:
            return self.retry.run(attempts, work, stop)
        except ObjectMissing:
            raise StoreNotFound(f"{self.location(key)} does not exist") from None
        except TransportError as error:
            raise StoreError(f"cannot {verb} {self.location(key)}: {error}") from error
        except Stopped:
            raise StoreError(f"writing {self.location(key)} was given up") from None
