"""Who links to a pyramid: links are recorded where they start, so other pyramids are looked through."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import DescriptorError, StoreError
from ..pyramid.descriptor import parse_descriptor
from ..pyramid.level import StorageType
from ..pyramid.list import parse_list
from ..store import FileStore, Store, open_location

__all__ = ["Linker", "find_linkers"]

_MAX_BYTES = 2**30
"""Longer lists are not read: 2 GiB of text name some 40 million slabs."""


class Linker(NamedTuple):
    """A pyramid that needs the slabs of another one: its list or descriptor, and why it is held to."""

    location: str
    reason: str


def find_linkers(store: Store, name: str, search: Iterable[str | os.PathLike[str]] = ()) -> list[Linker]:
    """The pyramids with links to slabs of the pyramid ``name``, or whose descriptor names its data tree.

    Looked at are the lists and descriptors beside its own, and those in the places ``search``: folders (with all
    below) or URIs such as ``s3://bucket/folder``. A list that cannot be read counts as one that links. Raises
    StoreError when a place cannot be looked through.
    """
    found: dict[str, Linker] = {}
    own = {store.location(f"{name}.list"), store.location(f"{name}.json")}
    places = [_beside(store, name)]
    places += [_at(place) for place in search]
    for place in places:
        for where, key in place:
            location = where.location(key)
            if location in found or location in own or _same_file(store, name, where, key):
                continue
            reason = (_list_reason if key.endswith(".list") else _descriptor_reason)(store, name, where, key)
            if reason is not None:
                found[location] = Linker(location, reason)
    return sorted(found.values())


def _same_file(store: Store, name: str, where: Store, key: str) -> bool:
    """Whether a key leads to the pyramid's own list or descriptor by another path."""
    if not (isinstance(store, FileStore) and isinstance(where, FileStore)):
        return False
    suffix = os.path.splitext(key)[1]
    return os.path.realpath(where.path(key)) == os.path.realpath(store.path(name + suffix))


def _beside(store: Store, name: str) -> Iterator[tuple[Store, str]]:
    return ((store, key) for key in _siblings(store, os.path.dirname(name)))


def _at(place: str | os.PathLike[str]) -> Iterator[tuple[Store, str]]:
    text = os.fspath(place)
    store, key = open_location(f"{text.rstrip('/')}/x.json")
    if not isinstance(store, FileStore):
        folder = os.path.dirname(key)
        yield from ((store, found) for found in _siblings(store, folder))
        return
    if not store.root.is_dir():
        raise StoreError(f"{store.root} is not a folder: pyramids cannot be looked for in it")
    for folder, folders, files in os.walk(store.root):
        trees = {os.path.splitext(file)[0] for file in files if file.endswith(".list")}
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in trees)
        here = FileStore(folder)
        yield from ((here, file) for file in sorted(files) if _is_candidate(file))


def _is_candidate(name: str) -> bool:
    return name.endswith((".list", ".json")) and not os.path.basename(name).startswith(".")


def _siblings(store: Store, folder: str) -> Iterator[str]:
    """Keys of lists and descriptors directly in a folder, without going through the slabs below it."""
    if isinstance(store, FileStore):
        root = store.root / folder
        if root.is_dir():
            yield from (f"{folder}/{n}" if folder else n for n in sorted(os.listdir(root)) if _is_candidate(n))
        return
    start = f"{folder}/" if folder else ""
    after, more = "", True
    while more:
        more = False
        for key in store.list(folder, after):
            head, slash, _ = key.removeprefix(start).partition("/")
            if slash:
                after, more = f"{start}{head}0", True  # the first name behind all that start with "<head>/"
                break
            if _is_candidate(key):
                yield key


def _list_reason(store: Store, name: str, where: Store, key: str) -> str | None:
    try:
        if where.size(key) > _MAX_BYTES:
            return "its list is too long to be looked through"
        slabs = parse_list(where.get(key), os.path.basename(key))
    except (StoreError, DescriptorError) as error:
        return f"its list cannot be read ({error})"
    used = {entry.root for entry in slabs.entries}
    for number, root in slabs.roots.items():
        # Root 0 is the other pyramid's own: where that is here, its descriptor says so.
        if number and number in used and _is_root(store, name, where, root):
            return "its list has slabs of this pyramid"
    return None


def _is_root(store: Store, name: str, where: Store, root: str) -> bool:
    """Whether the data root of a list is the tree of the pyramid ``name``."""
    if store.layout.storage is not where.layout.storage:
        return False
    root = root.rstrip("/")
    if root == store.layout.root(name, store.location(name)).rstrip("/"):
        return True
    if not isinstance(store, FileStore):
        return False
    tree = store.path(name)
    if os.path.exists(root):
        return os.path.realpath(root) == os.path.realpath(tree)
    # A path of another machine: its name is all that can be compared.
    return os.path.basename(root) == tree.name


def _descriptor_reason(store: Store, name: str, where: Store, key: str) -> str | None:
    try:
        descriptor = parse_descriptor(where.get(key), os.path.basename(key).removesuffix(".json"))
    except (StoreError, DescriptorError, json.JSONDecodeError):
        return None  # not a pyramid
    for level in descriptor.levels:
        if level.storage is StorageType.FILE and isinstance(store, FileStore) and isinstance(where, FileStore):
            directory = os.path.realpath(where.path(os.path.join(os.path.dirname(key), level.image_directory)))
            if Path(directory).is_relative_to(os.path.realpath(store.path(name))):
                return f"its level {level.id} is in this pyramid's folder"
        elif level.storage is not StorageType.FILE and level.storage is store.layout.storage:
            tray = str(level.tray).partition("@")[0]
            if tray == store.layout.tray and os.path.dirname(level.image_directory) == name:
                return f"its level {level.id} has this pyramid's objects"
    return None
