"""Which layers there are, and whether they are still what they were when they were opened."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

from ..errors import ConfigError, FastpyrError, NotFoundError
from ..frozen import frozen
from ..pyramid.reader import Pyramid, open_pyramid
from ..store import FileStore, open_location
from .answer import NotNow
from .layer import Layer

__all__ = ["Catalogue", "DescriptorCatalogue", "Part", "Source"]

LOOK_SECONDS = 1.0
"""Between two looks whether a layer has changed."""


@frozen
class Part:
    """A pyramid of a layer: where its descriptor is, its finest and its coarsest level to show (None: its own)."""

    descriptor: str
    bottom: str | None = None
    top: str | None = None


@frozen
class Source:
    """A layer as it is known before it is opened."""

    id: str
    title: str
    parts: tuple[Part, ...]


class _Opened:
    """A layer, what it was made of, and when that was looked at."""

    def __init__(self, source: Source, versions: tuple[object, ...], layer: Layer) -> None:
        self.source = source
        self.versions = versions
        self.layer = layer
        self.looked = time.monotonic()


class Catalogue(ABC):
    """Layers by id. All methods may be called from many threads.

    Layers stay open; at most a second after a descriptor was replaced, or a layer has gone, that is noticed.
    """

    def __init__(self) -> None:
        self._opened: dict[str, _Opened] = {}
        self._lock = threading.Lock()

    @abstractmethod
    def source(self, id: str) -> Source:
        """The layer of that id as it is now. Raises NotFoundError."""

    @abstractmethod
    def ids(self) -> Sequence[str]:
        """Ids of the pyramids that can be served."""

    def published(self) -> Sequence[str]:
        """Ids of the layers that services announce."""
        return self.ids()

    def ready(self, id: str) -> Layer | None:
        """A layer that is open and was looked at a moment ago; never waits."""
        opened = self._opened.get(id)
        return opened.layer if opened is not None and time.monotonic() - opened.looked < LOOK_SECONDS else None

    def layer(self, id: str, now: bool = False) -> Layer:
        """The layer of that id. Raises NotFoundError, and the errors of opening its pyramids.

        ``now``: NotNow is raised when it must be looked at first.
        """
        opened = self._opened.get(id)
        if opened is not None and time.monotonic() - opened.looked < LOOK_SECONDS:
            return opened.layer
        if now:
            raise NotNow
        if opened is not None:
            opened.looked = time.monotonic()  # others go on with what is open meanwhile
        try:
            source = self.source(id)
            versions = tuple(_version(part.descriptor) for part in source.parts)
        except FastpyrError:
            with self._lock:
                self._opened.pop(id, None)
            raise
        if opened is not None and opened.source == source and opened.versions == versions:
            return opened.layer
        pyramids = [(open_pyramid(part.descriptor), part.bottom, part.top) for part in source.parts]
        layer = Layer(id, source.title, pyramids)
        with self._lock:
            self._opened[id] = _Opened(source, versions, layer)
        return layer

    def layers(self, ids: Sequence[str]) -> list[Layer]:
        """Those of the layers that can be opened."""
        found = []
        for id in ids:
            try:
                found.append(self.layer(id))
            except FastpyrError:
                continue  # gone meanwhile, or damaged: asking for it says why
        return found


def _version(descriptor: str) -> object:
    """What changes with a descriptor. Raises StoreError."""
    store, key = open_location(descriptor)
    if isinstance(store, FileStore):
        try:
            status = os.stat(store.path(key))
        except OSError:
            raise NotFoundError(f"the pyramid {store.location(key)} is gone") from None
        return status.st_ino, status.st_mtime_ns, status.st_size
    return store.get(key)


class DescriptorCatalogue(Catalogue):
    """The pyramids of some descriptors (paths or URIs), each under its name; names that occur twice get a number."""

    def __init__(self, descriptors: Sequence[str | os.PathLike[str]]) -> None:
        super().__init__()
        self._sources: dict[str, Source] = {}
        for descriptor in descriptors:
            pyramid: Pyramid = open_pyramid(descriptor)
            id, number = pyramid.name, 2
            while id in self._sources:
                id, number = f"{pyramid.name}-{number}", number + 1
            self._sources[id] = Source(id, pyramid.name, (Part(os.fspath(descriptor)),))
        if not self._sources:
            raise ConfigError("there is no pyramid to serve: give the descriptor of one")

    def source(self, id: str) -> Source:
        found = self._sources.get(id)
        if found is None:
            raise NotFoundError(f"no pyramid {id[:80]!r}: known are {', '.join(self._sources)[:200]}")
        return found

    def ids(self) -> Sequence[str]:
        return list(self._sources)
