"""Objects in a dictionary: for tests, and for programs that keep a small pyramid to themselves."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

from ..errors import StoreError
from .base import Chunk, StoreNotFound, check_key, normal_key
from .layout import FILE_LAYOUT, Layout

__all__ = ["MemoryStaging", "MemoryStore"]

_named: dict[str, MemoryStore] = {}
_named_lock = threading.Lock()


class MemoryStore:
    """A store in memory. Its pyramids are laid out as in folders, or as ``layout`` says."""

    def __init__(self, name: str = "memory", layout: Layout = FILE_LAYOUT) -> None:
        self.name = name
        self.layout = layout
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._building: set[str] = set()

    @classmethod
    def named(cls, name: str) -> MemoryStore:
        """The store that this process knows as ``mem://name``, made at first use."""
        with _named_lock:
            return _named.setdefault(name, cls(name))

    def __repr__(self) -> str:
        return f"MemoryStore({self.name!r})"

    def location(self, key: str = "") -> str:
        return f"mem://{self.name}/{key}"

    def put(self, key: str, chunks: Sequence[Chunk]) -> None:
        normal = check_key(key)
        data = b"".join(chunks)
        with self._lock:
            self._objects[normal] = data

    def get(self, key: str) -> bytes:
        try:
            return self._objects[normal_key(key)]
        except KeyError:
            raise StoreNotFound(f"{self.location(key)} does not exist") from None

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        if offset < 0 or size < 0:
            raise StoreError(f"{self.location(key)}: cannot read {size} bytes at {offset}")
        return self.get(key)[offset : offset + size]

    def exists(self, key: str) -> bool:
        return normal_key(key) in self._objects

    def size(self, key: str) -> int:
        return len(self.get(key))

    def list(self, prefix: str = "", after: str = "") -> Iterator[str]:
        folder = normal_key(prefix) + "/" if prefix else ""
        with self._lock:
            keys = [key for key in self._objects if key.startswith(folder) and key > after]
        yield from sorted(keys)

    def delete(self, key: str) -> None:
        with self._lock:
            self._objects.pop(check_key(key), None)

    def change(self, objects: Mapping[str, bytes | None]) -> None:
        """Write many objects, and remove those given as None, in one step."""
        with self._lock:
            found = dict(self._objects)
            for key, data in objects.items():
                if data is None:
                    found.pop(key, None)
                else:
                    found[check_key(key)] = data
            self._objects = found

    def stage(self, name: str, overwrite: bool = False) -> MemoryStaging:
        normal = check_key(name)
        with self._lock:
            if normal in self._building:
                raise StoreError(f"{self.location(name)} is being built by another builder: wait for its end")
            self._building.add(normal)
        return MemoryStaging(self, normal)

    def _finish(self, name: str, tree: dict[str, bytes] | None, overwrite: bool) -> None:
        """End a staging: with its objects, or with None when it is given up."""
        with self._lock:
            if tree is not None:
                old = [key for key in self._objects if key == name or key.startswith(name + "/")]
                if old and not overwrite:
                    raise StoreError(
                        f"{self.location(name)} exists: choose another name, or overwrite it (--overwrite)"
                    )
                for key in old:
                    del self._objects[key]
                self._objects.update({f"{name}/{key}": data for key, data in tree.items()})
            self._building.discard(name)


class MemoryStaging:
    """A tree under construction in a store of its own."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        self.name = name
        self.layout = store.layout
        self._store = store
        self._tree = MemoryStore(f"{store.name}/{name} (being built)")
        self._open = True

    def put(self, key: str, chunks: Sequence[Chunk]) -> None:
        if not self._open:
            raise StoreError(f"{self._store.location(self.name)}: this staging has ended, begin another one")
        self._tree.put(key, chunks)

    def get(self, key: str) -> bytes:
        return self._tree.get(key)

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        return self._tree.get_range(key, offset, size)

    def publish(self, overwrite: bool = False) -> None:
        if not self._open:
            raise StoreError(f"{self._store.location(self.name)}: this staging has ended, begin another one")
        self._store._finish(self.name, self._tree._objects, overwrite)
        self._open = False

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._store._finish(self.name, None, overwrite=False)
            self._tree = MemoryStore(self._tree.name)

    def __enter__(self) -> MemoryStaging:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.abort()
