"""From what users write to a store and a key in it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import StoreError
from .base import Store, normal_key
from .file import FileStore
from .memory import MemoryStore

__all__ = ["open_location"]

_OBJECT_SCHEMES = {"s3": "bucket", "swift": "container", "ceph": "pool"}


def open_location(uri: str | os.PathLike[str]) -> tuple[Store, str]:
    """Store and key of an object: ``out/ORTHO.json`` gives the folder ``out`` and the key ``ORTHO.json``.

    Known forms: a path, ``file:///path``, ``mem://name/key`` (a store this process keeps in memory),
    ``s3://bucket/key`` and ``s3://bucket@host[:port]/key``, ``swift://container/key``, ``ceph://pool/key``. Raises
    StoreError for other schemes and for what names no object, ConfigError when the environment does not say how to
    reach an object store or its client is not installed.
    """
    text = os.fspath(uri)
    if not text or "\0" in text or text.endswith("/"):
        raise StoreError(f"{text!r} does not name an object: expected a file such as out/ORTHO.json")
    scheme, separator, rest = text.partition("://")
    if not separator:
        path = Path(text)
    elif scheme == "file":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise StoreError(f"{text!r} names a file of another machine: use a path of this one")
        path = Path(unquote(parts.path))
    elif scheme == "mem":
        name, _, key = rest.partition("/")
        if not name:
            raise StoreError(f"{text!r} does not name a store in memory: expected mem://name/ORTHO.json")
        return MemoryStore.named(name), normal_key(key)
    elif scheme in _OBJECT_SCHEMES:
        tray, _, key = rest.partition("/")
        if not tray or not key:
            raise StoreError(
                f"{text!r} does not name an object: expected {scheme}://{_OBJECT_SCHEMES[scheme]}/ORTHO.json"
            )
        return _object_store(scheme, tray), normal_key(key)
    else:
        known = ", ".join(f"{name}://" for name in ("file", "mem", *_OBJECT_SCHEMES))
        raise StoreError(f"{text!r}: storage {scheme!r} is unknown, expected a path, {known}")
    if path.name in ("", ".."):
        raise StoreError(f"{text!r} does not name an object: expected a file such as out/ORTHO.json")
    store: Store = FileStore(path.parent)
    return store, path.name


def _object_store(scheme: str, tray: str) -> Store:
    """The store of a tray; what object storage needs is loaded only here."""
    if scheme == "s3":
        from .s3 import s3_store

        return s3_store(tray)
    if scheme == "swift":
        from .swift import swift_store

        return swift_store(tray)
    from .ceph import ceph_store

    return ceph_store(tray)
