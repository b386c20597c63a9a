"""Object storage seen through a change that is under way."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from .base import StoreNotFound
from .objects import ObjectStore
from .transport import Part, Stat

__all__ = ["ChangingStore"]


class ChangingStore(ObjectStore):
    """A tray in which some objects, by their keys, are read from other keys first (``moved``) or not at all (``gone``).

    When the other key is no more, the change has ended, and the object is at its own place.
    """

    def __init__(self, store: ObjectStore, moved: dict[str, str], gone: frozenset[str]) -> None:
        super().__init__(store.transport, store.layout, store.uri, store.retry, store.beside)
        self._moved = moved
        self._gone = gone

    def _place(self, key: str) -> str | None:
        normal = self._readable(key)
        if normal in self._gone:
            raise StoreNotFound(f"{self.location(key)} does not exist")
        return self._moved.get(normal)

    def part(self, key: str, offset: int, size: int) -> Part:
        place = self._place(key)
        if place is not None:
            try:
                return super().part(place, offset, size)
            except StoreNotFound:
                pass
        return super().part(key, offset, size)

    def stat(self, key: str) -> Stat:
        place = self._place(key)
        if place is not None:
            try:
                return super().stat(place)
            except StoreNotFound:
                pass
        return super().stat(key)

    def keys(self, folder: str, after: str = "") -> Iterator[str]:
        more = sorted(key for key in self._moved if key.startswith(folder) and key > after)
        last = None
        for key in heapq.merge(super().keys(folder, after), more):
            if key != last and key not in self._gone:
                yield key
            last = key
