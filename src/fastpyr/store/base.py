"""What storage must do: a few verbs over keys, and the building of a new tree aside.

A key is a relative path with ``/`` between its parts, e.g. ``ORTHO/DATA/18/3E/42/01.tif``. Keys that are written
stay inside the store; keys that are read may climb with ``..`` where the storage has such a notion, because a
descriptor may point to a neighbouring folder.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from ..errors import StoreError
from .layout import Layout

__all__ = ["Chunk", "Staging", "Store", "StoreNotFound", "TrayStore", "check_key", "leave", "normal_key"]

Chunk = bytes | bytearray | memoryview
"""What ``put`` writes: anything with a contiguous buffer of bytes."""


class StoreNotFound(StoreError):
    """The object does not exist."""


@runtime_checkable
class Staging(Protocol):
    """A tree under construction, no part of a pyramid until ``publish``.

    Keys are relative to the tree: ``DATA/18/3E/42/01.tif``. Usable from many threads; a context manager that aborts
    when it is left without ``publish``.
    """

    @property
    def layout(self) -> Layout:
        """How slabs are called here."""

    def put(self, key: str, chunks: Sequence[Chunk]) -> None:
        """Write an object of the tree, as Store.put does, or later: a failure may surface in a following call."""

    def get(self, key: str) -> bytes:
        """Read back an object of the tree."""

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        """Read back a part of an object of the tree."""

    def publish(self, overwrite: bool = False) -> None:
        """Give the tree its final name at once. Raises StoreError when the name exists, unless ``overwrite``."""

    def abort(self) -> None:
        """Remove all that was written. Does nothing after ``publish`` or a first ``abort``."""

    def __enter__(self) -> Staging: ...

    def __exit__(self, *exc_info: object) -> None: ...


def leave(staging: Staging, failed: bool) -> None:
    """What the ``__exit__`` of a staging does: give up what was not published.

    ``failed``: an error is on its way, which no other is to hide.
    """
    try:
        staging.abort()
    except StoreError:
        if not failed:
            raise


@runtime_checkable
class Store(Protocol):
    """A place for objects. All verbs may be called from many threads at once."""

    @property
    def layout(self) -> Layout:
        """How pyramids call their slabs here."""

    def put(self, key: str, chunks: Sequence[Chunk]) -> None:
        """Write an object from ``chunks``, one after the other, replacing one of the same key in one step.

        A reader sees the old object or the new one, never a part. Raises StoreError; nothing is left behind then.
        """

    def get(self, key: str) -> bytes:
        """All bytes. Raises StoreNotFound when there is no such object, StoreError for any other failure."""

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``, fewer where the object ends. Raises as ``get``."""

    def exists(self, key: str) -> bool:
        """Whether the object exists."""

    def size(self, key: str) -> int:
        """Bytes of the object. Raises as ``get``."""

    def list(self, prefix: str = "", after: str = "") -> Iterator[str]:
        """Keys of all objects below the folder ``prefix``, sorted; objects still being written are left out.

        Only those greater than ``after``, which need not exist.
        """

    def delete(self, key: str) -> None:
        """Remove the object; no error when there is none."""

    def stage(self, name: str, overwrite: bool = False) -> Staging:
        """Begin a new tree ``name``. What a dead builder left of the same tree is removed.

        ``overwrite`` says that ``publish`` will replace a tree of that name: object storage must know it beforehand.
        Raises StoreError when the tree cannot be begun or another builder is at work on it.
        """

    def location(self, key: str = "") -> str:
        """How messages name an object of this store."""


@runtime_checkable
class TrayStore(Store, Protocol):
    """A store of which there are several side by side, as the buckets of a cluster."""

    def beside(self, tray: str) -> Store:
        """The store of another tray of the same cluster."""


def normal_key(key: str) -> str:
    """``key`` without ``.`` parts and double slashes, ``..`` resolved where possible.

    Raises StoreError for an absolute key, an empty one, and NUL bytes.
    """
    if not key or key.startswith("/") or "\0" in key:
        raise StoreError(f"{key!r} cannot name an object: expected a relative path such as ORTHO/DATA/0/00/00/00.tif")
    return posixpath.normpath(key)


def check_key(key: str) -> str:
    """``normal_key`` for writing: also refuses keys that leave the store, name its root, or are folders."""
    normal = normal_key(key)
    if normal == "." or normal == ".." or normal.startswith("../") or key.endswith("/"):
        raise StoreError(f"{key!r} cannot be written: it does not name an object inside the store")
    return normal
