"""Slabs kept open for serving: index in memory, file at hand, and whether both are still those of the storage."""

from __future__ import annotations

import errno
import itertools
import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import SlabError, StoreError
from ..pyramid.reader import Pyramid
from ..pyramid.slabs import SlabRef, level_store, read_head
from ..slab.reader import SlabIndex
from ..store import FileStore, Store, StoreNotFound
from ..store.atomic import store_error
from ..store.objects import ObjectStore
from .answer import NotNow

__all__ = ["SlabKey", "Slabs"]

_OBJECT_SECONDS = 2.0
"""After that, an object is asked again whether it is (still) a link; the version of a slab is seen at every read."""

_TRIES = 4
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_generations = itertools.count(1)

Identity = tuple[int, int, int, int]
Bytes = bytes | bytearray


class SlabKey(NamedTuple):
    """A slab of an open pyramid, which goes by its ``serial``."""

    serial: int
    ref: SlabRef


class _Replaced(Exception):
    """The slab is another one than its index says."""


@dataclass(slots=True, eq=False)
class _Slab:
    """What is known of a slab. ``version`` changes with its bytes, empty where the storage does not tell;
    ``generation`` is another one after each opening."""

    index: SlabIndex
    version: str
    name: str
    generation: int = field(default_factory=_generations.__next__)
    offsets: memoryview = field(init=False)
    sizes: memoryview = field(init=False)

    def __post_init__(self) -> None:
        self.offsets, self.sizes = self.index.offsets.data, self.index.sizes.data

    @property
    def total(self) -> int:
        """Size of the whole slab."""
        return self.index.end

    def is_fresh(self) -> bool:
        """Whether the storage still has this slab, as far as can be known without waiting for a network."""
        raise NotImplementedError

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of a tile. Raises _Replaced, SlabError, StoreError."""
        raise NotImplementedError

    def read_now(self, offset: int, size: int) -> Bytes | None:
        """The same without waiting for a disk or a network, None where that cannot be had."""
        return None

    def whole(self, data: bytes, offset: int, size: int) -> bytes:
        if len(data) != size:
            raise SlabError(f"{self.name} is truncated: {len(data)} of {size} bytes are at {offset}")
        return data


@dataclass(slots=True, eq=False)
class _FileSlab(_Slab):
    """A file: its descriptor stays open, so that its bytes are of one version whatever happens to its name."""

    path: str = ""
    identity: Identity = (0, 0, 0, 0)
    descriptor: int = -1
    in_memory: bool = False

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)

    def is_fresh(self) -> bool:
        try:
            return _identity(os.stat(self.path)) == self.identity
        except OSError:
            return False

    def read(self, offset: int, size: int) -> bytes:
        try:
            return self.whole(os.pread(self.descriptor, size, offset), offset, size)
        except OSError as error:
            raise store_error("read", self.path, error) from error

    def read_now(self, offset: int, size: int) -> Bytes | None:
        if self.in_memory:
            found = os.pread(self.descriptor, size, offset)
            return found if len(found) == size else None
        if not _NOWAIT:
            return None
        data = bytearray(size)
        try:
            return data if os.preadv(self.descriptor, (data,), offset, _NOWAIT) == size else None
        except OSError as error:
            # a file system that cannot say whether it would wait is in memory, or knows no better
            self.in_memory = error.errno == errno.EOPNOTSUPP
            return self.read_now(offset, size) if self.in_memory else None


@dataclass(slots=True, eq=False)
class _ObjectSlab(_Slab):
    """An object. Each read tells the version that it is of."""

    store: ObjectStore | None = None
    key: str = ""
    tag: str | None = None
    checked: float = 0.0

    def is_fresh(self) -> bool:
        return time.monotonic() - self.checked < _OBJECT_SECONDS

    def read(self, offset: int, size: int) -> bytes:
        assert self.store is not None
        part = self.store.part(self.key, offset, size)
        if part.tag != self.tag:
            raise _Replaced
        return self.whole(part.data, offset, size)


@dataclass(slots=True, eq=False)
class _PlainSlab(_Slab):
    """In a store without versions: used once."""

    store: Store | None = None
    key: str = ""

    def is_fresh(self) -> bool:
        return False

    def read(self, offset: int, size: int) -> bytes:
        assert self.store is not None
        return self.whole(self.store.get_range(self.key, offset, size), offset, size)


Found = tuple[_Slab, int, int, Bytes]


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class Slabs:
    """Open slabs of all pyramids that are served, at most ``capacity``: the least recently used leave first.

    All methods may be called from many threads. A slab that was replaced, by renaming or in its place, is noticed at
    the next read; in object storage a link that became a slab within two seconds.
    """

    def __init__(self, capacity: int = 512) -> None:
        self._capacity = capacity
        self._slabs: OrderedDict[SlabKey, _Slab] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._slabs)

    def fresh(self, key: SlabKey) -> _Slab | None:
        """A slab that is open and unchanged; never waits for a network."""
        slab = self._slabs.get(key)
        if slab is None or not slab.is_fresh():
            return None
        if len(self._slabs) * 2 > self._capacity:  # nothing leaves before
            with self._lock:
                if key in self._slabs:
                    self._slabs.move_to_end(key)
        return slab

    def find(self, pyramid: Pyramid, key: SlabKey) -> _Slab | None:
        """A slab, opened if need be; None when there is none. Raises StoreError, SlabError."""
        slab = self.fresh(key)
        if slab is not None:
            return slab
        slab = _opened(pyramid, key.ref)
        with self._lock:
            if slab is None:
                self._slabs.pop(key, None)
                return None
            self._slabs[key] = slab
            self._slabs.move_to_end(key)
            while len(self._slabs) > self._capacity:
                self._slabs.popitem(last=False)
        return slab

    def read(self, pyramid: Pyramid, key: SlabKey, number: int, now: bool = False) -> Found | None:
        """A tile: its slab, offset, size and bytes (empty where none is stored); None without the slab.

        Raises StoreError, SlabError; with ``now`` NotNow when there is something to wait for.
        """
        if now:
            return self._read_now(key, number)
        for _ in range(_TRIES):
            slab = self.find(pyramid, key)
            if slab is None:
                return None
            offset, size = slab.offsets[number], slab.sizes[number]
            try:
                return slab, offset, size, slab.read(offset, size) if size else b""
            except (_Replaced, StoreNotFound):
                with self._lock:
                    self._slabs.pop(key, None)
        raise StoreError(f"{pyramid.store.location(pyramid.slab_key(key.ref))} is being replaced again and again")

    def _read_now(self, key: SlabKey, number: int) -> Found:
        slab = self.fresh(key)
        if slab is None:
            raise NotNow
        offset, size = slab.offsets[number], slab.sizes[number]
        data = slab.read_now(offset, size) if size else b""
        if data is None:
            raise NotNow
        return slab, offset, size, data

    def forget(self, serial: int) -> None:
        """Close the slabs of a pyramid that is no longer served."""
        with self._lock:
            for key in [key for key in self._slabs if key.serial == serial]:
                del self._slabs[key]


def _opened(pyramid: Pyramid, ref: SlabRef) -> _Slab | None:
    descriptor = pyramid.level(ref.level).descriptor
    store, key = level_store(pyramid.store, descriptor), pyramid.slab_key(ref)
    try:
        if isinstance(store, FileStore):
            return _open_file(pyramid, ref, str(store.path(key)))
        head = read_head(pyramid.store, descriptor, key, pyramid.head_size(ref))
        index, name = pyramid.parse_head(ref, head.data), head.store.location(head.key)
        if not isinstance(head.store, ObjectStore):
            return _PlainSlab(index, "", name, store=head.store, key=head.key)
        part = head.store.part(head.key, 0, len(head.data))
        if part.data != head.data:  # replaced between the two
            index = pyramid.parse_head(ref, part.data)
        version = (part.tag or "").removeprefix("W/").strip('"').replace('"', "")
        return _ObjectSlab(index, version, name, store=head.store, key=head.key, tag=part.tag, checked=time.monotonic())
    except StoreNotFound:
        return None


def _open_file(pyramid: Pyramid, ref: SlabRef, path: str) -> _Slab | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise store_error("read", path, error) from error
    try:
        identity = _identity(os.fstat(descriptor))
        index = pyramid.parse_head(ref, os.pread(descriptor, pyramid.head_size(ref), 0))
        version = f"{identity[1]:x}-{identity[3]:x}-{identity[2]:x}"
        return _FileSlab(index, version, path, path=path, identity=identity, descriptor=descriptor)
    except OSError as error:
        os.close(descriptor)
        raise store_error("read", path, error) from error
    except BaseException:
        os.close(descriptor)
        raise
