"""Slabs taken over from another pyramid as they are: by links to their owner, by hard links, or by copies."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

from ..errors import ConfigError, StoreError
from ..ordered import in_order
from ..pyramid.list import ListEntry, SlabList
from ..pyramid.slabs import SlabRef
from ..store import FileStore, Staging, Store, StoreNotFound, TrayStore
from ..store.naming import object_link
from ..store.objects import ObjectStore
from ..store.staging import FileStaging
from .inventory import Inventory, ListedSlab, Owner, SlabPlace

__all__ = ["Budget", "Carrier", "Mode", "is_same_place", "link_target", "slab_list"]

_MEMORY = 128 * 2**20
"""Bytes of slabs that are read at a time (one slab always, whatever its size)."""

_WORKERS = 8


class Mode(StrEnum):
    """How a new pyramid comes by slabs of an old one: symbolic links, hard links, copies."""

    SLINK = "slink"
    HLINK = "hlink"
    COPY = "copy"


class Budget:
    """Bytes that may be in memory at a time; one slab is always let in."""

    def __init__(self, size: int = _MEMORY) -> None:
        self._left = size
        self._size = size
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, size: int) -> Iterator[None]:
        size = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= size)
            self._left -= size
        try:
            yield
        finally:
            with self._changed:
                self._left += size
                self._changed.notify_all()


def is_same_place(inventory: Inventory, store: Store, key: str) -> bool:
    """Whether a pyramid with the descriptor ``key`` would be the one of the inventory, or have slabs of it in its
    tree."""
    name = key.removesuffix(".json")
    same = False
    if isinstance(store, FileStore) and isinstance(inventory.store, FileStore):
        tree = os.path.realpath(store.path(name))
        same = os.path.realpath(store.path(key)) == os.path.realpath(inventory.store.path(inventory.key))
        for level in inventory.descriptor.levels:
            folder = os.path.realpath(inventory.store.path(level.image_directory))
            same |= os.path.commonpath((tree, folder)) == tree
    elif isinstance(store, ObjectStore) and isinstance(inventory.store, ObjectStore):
        if store.uri == inventory.store.uri:
            same = key == inventory.key
            same |= any(os.path.dirname(level.image_directory) == name for level in inventory.descriptor.levels)
    elif type(store) is type(inventory.store):
        same = store is inventory.store and key == inventory.key
    return same


class RealPaths:
    """``os.path.realpath`` of many files in few folders, each of which is looked at once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: str) -> str:
        head, name = os.path.split(path)
        if name in ("", ".", ".."):
            return os.path.realpath(path)
        folder = self._folders.get(head)
        if folder is None:
            folder = self._folders[head] = os.path.realpath(head)
        real = f"{folder}/{name}"
        return os.path.realpath(real) if os.path.islink(real) else real


def link_target(
    source: Inventory,
    ref: SlabRef,
    place: SlabPlace,
    owner: Owner,
    store: Store,
    name: str,
    depth: int,
    cure: str,
    real_path: Callable[[str], str] = os.path.realpath,
) -> str:
    """What a link from the pyramid ``name`` in ``store`` says to lead to a slab: a path, or tray and object name.

    ``owner`` is the slab's own pyramid, ``depth`` the new pyramid's path depth. Raises ConfigError ending in ``cure``
    where there can be no such link.
    """
    if isinstance(place.store, FileStore) and isinstance(store, FileStore) and owner.root:
        real, listed = real_path(place.store.location(place.key)), os.path.join(owner.root, owner.path)
        tree = real_path(store.location(name))
        if _is_in(real, tree) or _is_in(os.path.abspath(listed), tree):
            fault = "is in the target's own folder: choose another name"
        elif owner.path.count("/") - 2 != depth:  # other readers take the list's paths to have the new pyramid's depth
            fault = f"has another path depth than the {depth} of the new pyramid: {cure}"
        else:
            return real if real_path(listed) == real else listed
    elif isinstance(place.store, ObjectStore) and isinstance(store, ObjectStore) and _reaches(store, place):
        return f"{place.store.layout.tray}/{place.key}"
    else:
        fault = f"{store.location()} cannot link to: {cure}"
    raise ConfigError(f"{source.location(ref)} is {owner.root}/{owner.path}, which {fault}")


def _is_in(path: str, tree: str) -> bool:
    return path == tree or path.startswith(f"{tree}/")


def _reaches(store: ObjectStore, place: SlabPlace) -> bool:
    """Whether the object of ``place`` is in the cluster of ``store``: there, it has the same size and beginning."""
    layout = place.store.layout
    if layout.storage is not store.layout.storage or not isinstance(store, TrayStore):
        return False
    if isinstance(place.store, ObjectStore) and place.store.uri == store.uri:
        return True
    there = store.beside(str(layout.tray))
    try:
        size = there.size(place.key)
        return size == place.size and there.get_range(place.key, 0, 4096) == place.store.get_range(place.key, 0, 4096)
    except StoreError:
        return False


def slab_list(root: str, entries: list[tuple[Owner | None, str]]) -> SlabList:
    """The list of a pyramid with the data root ``root``: each slab with its owner (None: this pyramid) and its key."""
    roots = {0: root}
    numbers: dict[str, int] = {}
    found = []
    for owner, key in entries:
        if owner is None:
            found.append(ListEntry(0, key))
            continue
        number = numbers.setdefault(owner.root, len(numbers) + 1)
        roots[number] = owner.root
        found.append(ListEntry(number, owner.path))
    return SlabList(roots, found)


class Carrier:
    """Brings slabs of ``source`` as they are into the pyramid ``name`` in ``store``, with paths of ``depth``."""

    def __init__(self, source: Inventory, store: Store, name: str, depth: int, mode: Mode) -> None:
        self._source = source
        self._store = store
        self._name = name
        self._depth = depth
        self._mode = mode
        self._budget = Budget()
        self._real_path = RealPaths()
        folder, own = os.path.split(store.location(name))
        self._home = f"{os.path.realpath(folder)}/{own}"  # of files; a link of that name is replaced

    def check(self) -> None:
        """Raise ConfigError when slabs cannot be had in this way, StoreError when one is missing; of objects only the
        first of each owner is looked at."""
        both_files = isinstance(self._source.store, FileStore) and isinstance(self._store, FileStore)
        if self._mode is Mode.HLINK and not both_files:
            raise ConfigError(
                f"{self._store.location()} cannot have hard links to {self._source.uri}: choose --mode copy, "
                "or slink within one storage"
            )
        seen = set()
        for slab in self._source.slabs:
            root = None if slab.owner is None else slab.owner.root
            if both_files or root not in seen:
                seen.add(root)
                place = self.locate(slab)
                if self._is_in_target(place):
                    raise ConfigError(
                        f"{self._source.location(slab.ref)} is a link to {place.store.location(place.key)}, which the "
                        "new pyramid would replace: choose another name"
                    )
                if self._mode is Mode.SLINK:
                    self.link(slab.ref, place)

    def _is_in_target(self, place: SlabPlace) -> bool:
        if isinstance(place.store, FileStore) and isinstance(self._store, FileStore):
            tree = self._real_path(self._store.location(self._name))
            return _is_in(self._real_path(place.store.location(place.key)), tree)
        return place.store.location() == self._store.location() and place.key.startswith(f"{self._name}/")

    def run(self, slabs: list[ListedSlab], staging: Staging | None) -> list[tuple[Owner | None, str]]:
        """Bring slabs into a tree under construction; None: they are in the tree already. Their owners (None: the new
        pyramid) and keys."""
        with ThreadPoolExecutor(_WORKERS, "carry") as pool:
            return list(in_order(pool, lambda slab: self._bring(slab, staging), slabs))

    def _bring(self, slab: ListedSlab, staging: Staging | None) -> tuple[Owner | None, str]:
        ref = slab.ref
        key = self._store.layout.slab(ref.kind, ref.level, ref.col, ref.row, self._depth)
        place = self.locate(slab)
        if self._mode is Mode.SLINK:
            owner, target = self.link(ref, place)
            if isinstance(staging, FileStaging):
                staging.link(key, os.path.relpath(target, f"{self._home}/{os.path.dirname(key)}"))
            elif staging is not None:
                staging.put(key, [object_link(target)])
            return owner, key
        if self._mode is Mode.HLINK and isinstance(staging, FileStaging) and isinstance(place.store, FileStore):
            staging.hard_link(key, self._real_path(place.store.location(place.key)))
        elif staging is not None:
            with self._budget.take(place.size):
                data = place.store.get(place.key)
                if len(data) != place.size:
                    raise StoreError(f"{self._source.location(ref)} is being changed: update it again")
                staging.put(key, [data])
        return None, key

    def locate(self, slab: ListedSlab) -> SlabPlace:
        try:
            return self._source.locate(slab)
        except StoreNotFound:
            raise StoreError(
                f"{self._source.location(slab.ref)} is listed, but it does not exist: verify the pyramid"
            ) from None

    def link(self, ref: SlabRef, place: SlabPlace) -> tuple[Owner, str]:
        """The owner of a slab and what a link to it says."""
        owner = place.owner or self._source_as_owner(ref, place)
        cure = "choose --mode copy"
        target = link_target(
            self._source, ref, place, owner, self._store, self._name, self._depth, cure, self._real_path
        )
        return owner, target

    def _source_as_owner(self, ref: SlabRef, place: SlabPlace) -> Owner:
        level = self._source.descriptor.level(ref.level)
        path = place.store.layout.slab(ref.kind, ref.level, ref.col, ref.row, level.path_depth)
        tree = place.key.removesuffix(f"/{path}")
        if tree == place.key:
            raise ConfigError(
                f"{self._source.location(ref)} is not in the usual place of a slab, {path}: choose --mode copy"
            )
        return Owner(place.store.layout.root(tree, place.store.location(tree)), path)
