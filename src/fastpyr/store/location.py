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


def open_location(uri: str | os.PathLike[str]) -> tuple[Store, str]:
    """Store and key of an object: ``out/ORTHO.json`` gives the folder ``out`` and the key ``ORTHO.json``.

    Known forms: a path, ``file:///path``, and ``mem://name/key`` (a store this process keeps in memory). Raises
    StoreError for other schemes and for what names no object.
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
    else:
        raise StoreError(f"{text!r}: storage {scheme!r} is unknown, expected a path, file:// or mem://")
    if path.name in ("", ".."):
        raise StoreError(f"{text!r} does not name an object: expected a file such as out/ORTHO.json")
    store: Store = FileStore(path.parent)
    return store, path.name
