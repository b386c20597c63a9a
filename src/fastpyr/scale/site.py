"""Where the workers of a build write, whatever machine they are on: a shared folder or object storage."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import ConfigError, StoreError
from ..frozen import frozen
from ..store import Chunk, FileStore, Store, StoreNotFound, open_location
from ..store.layout import Layout
from ..store.uploads import Uploads

__all__ = ["BuildEndedError", "Site", "SiteStaging", "Watch", "read_shared", "remove_keys", "site_of", "token"]

_UPLOAD_THREADS = 4
_UPLOAD_BYTES = 64 << 20
_PATIENCE = 10.0
_LOOK_SECONDS = 1.0
"""How long a worker trusts that its build goes on."""


class BuildEndedError(StoreError):
    """The build that a task belongs to was stopped, or taken over by another one."""


@frozen
class Site:
    """``uri``: the store, or an absolute folder. ``tree``: beginning of the keys of slabs until they are published;
    ``scratch``: of what parts leave for each other."""

    uri: str
    tree: str
    scratch: str

    @property
    def is_folder(self) -> bool:
        return "://" not in self.uri

    def open(self) -> Store:
        """The store, from any process. Raises StoreError or ConfigError."""
        return FileStore(Path(self.uri)) if self.is_folder else open_location(f"{self.uri}/x")[0]

    def location(self, key: str) -> str:
        """How messages call something below ``scratch``."""
        return f"{self.uri}/{self.scratch}{key}"


def site_of(store: Store, name: str, tree: str, scratch: str) -> Site:
    """The site of a pyramid. Raises ConfigError for a store of this process alone."""
    if isinstance(store, FileStore):
        return Site(os.path.abspath(store.root), tree, scratch)
    uri = getattr(store, "uri", "")
    if not uri:
        raise ConfigError(
            f"{store.location(name)}: other processes cannot write into the memory of this one: "
            "build into a folder or object storage, or use --executor threads"
        )
    return Site(str(uri), tree, scratch)


class Watch:
    """Whether a build still goes on, asked once a second at most: a key that its coordinator removes when it ends."""

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        self._asked = 0.0

    def check(self) -> None:
        """Raises BuildEndedError."""
        now = time.monotonic()
        if now - self._asked < _LOOK_SECONDS:
            return
        if not self._store.exists(self._key):
            raise BuildEndedError(f"{self._store.location(self._key)} is gone: the build was stopped")
        self._asked = now


class SiteStaging:
    """What a Builder in a worker takes for its staging area. Objects are whole or absent, the same whoever writes.

    Those of object storage travel while the worker goes on; ``settle`` waits for them.
    """

    def __init__(self, store: Store, site: Site, watch: Watch) -> None:
        self.layout: Layout = store.layout
        self._store = store
        self._tree = site.tree
        self._watch = watch
        put_bytes = getattr(store, "put_bytes", None)
        self._uploads = None if put_bytes is None else Uploads(put_bytes, _UPLOAD_THREADS, _UPLOAD_BYTES, _UPLOAD_BYTES)

    def put(self, key: str, chunks: Sequence[Chunk]) -> None:
        self._watch.check()
        if self._uploads is None:
            self._store.put(self._tree + key, chunks)
        else:
            self._uploads.submit(self._tree + key, chunks)

    def settle(self) -> None:
        """Wait until all is written. Raises StoreError."""
        if self._uploads is not None:
            self._uploads.wait()

    def close(self) -> None:
        """Write no more."""
        if self._uploads is not None:
            self._uploads.close(cancel=True, patience=_PATIENCE)


def read_shared(site: Site, key: str) -> bytes:
    """What the coordinator wrote for its workers. Raises StoreError saying what a worker must be able to reach."""
    try:
        return site.open().get(site.scratch + key)
    except StoreNotFound:
        what = "a folder that all workers share" if site.is_folder else "the same object storage for all workers"
        raise StoreError(
            f"worker on {socket.gethostname()} does not find {site.location(key)}: build into {what}"
        ) from None


def remove_keys(store: Store, keys: Iterable[str]) -> None:
    """Remove scratch files; what resists is removed with all the others at the end."""
    found = list(keys)
    delete_all = getattr(store, "delete_all", None)
    with contextlib.suppress(StoreError):
        if delete_all is not None:
            delete_all(found)
            return
        for key in found:
            store.delete(key)


def token() -> str:
    """A word that no other build has."""
    return os.urandom(8).hex()
