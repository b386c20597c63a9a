"""Finding the slabs of a pyramid in its store: keys, what is there, links."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import DescriptorError, StoreError
from ..formats import SlabKind
from ..store import Store, StoreNotFound, TrayStore
from ..store.naming import LINK_SIGNATURE, SLAB_SUFFIX, parse_object_link, parse_slab_path
from .level import LevelDescriptor, StorageType

__all__ = ["LinkError", "SlabHead", "SlabRef", "level_store", "pyramid_key", "read_head", "stored_slabs"]


class SlabRef(NamedTuple):
    """A slab of a level: kind, slab column and slab row."""

    kind: SlabKind
    level: str
    col: int
    row: int


class LinkError(StoreError):
    """An object that stands for a slab leads to none."""


class SlabHead(NamedTuple):
    """Store and key where a slab's bytes really are, and its first bytes."""

    store: Store
    key: str
    data: bytes


def level_store(store: Store, level: LevelDescriptor) -> Store:
    """Where a level's slabs are, when the descriptor is in ``store``: there, or in another tray of its cluster.

    Raises DescriptorError when no slab of that level can be reached from the descriptor's place.
    """
    layout = store.layout
    if level.storage is not layout.storage:
        raise DescriptorError(
            f"level {level.id} is in {level.storage} storage, but the descriptor was read from {store.location()}, "
            f"{layout.storage} storage: read it from where the slabs are"
        )
    tray = None if level.tray is None else level.tray.partition("@")[0]
    if tray is None or tray == layout.tray:
        return store
    if not isinstance(store, TrayStore):
        raise DescriptorError(f"level {level.id} is in {tray}, which cannot be reached from {store.location()}")
    return store.beside(tray)


def read_head(store: Store, level: LevelDescriptor, key: str, size: int) -> SlabHead:
    """The first ``size`` bytes of a slab (fewer at its end), and where they are; ``store`` holds the descriptor.

    In object storage an object may stand for another one of the same cluster: it is followed once. Raises
    StoreNotFound when the slab does not exist, LinkError when what it stands for does not exist or is a link, or is in
    a tray that cannot be reached.
    """
    store = level_store(store, level)
    head = store.get_range(key, 0, size)
    if level.storage is StorageType.FILE or len(head) >= size:
        return SlabHead(store, key, head)
    try:
        link = parse_object_link(head)
    except StoreError as error:
        raise LinkError(f"{store.location(key)}: {error}") from None
    if link is None:
        return SlabHead(store, key, head)
    tray, target = link
    says = f"{store.location(key)} links to {tray}/{target}"
    if level.tray is not None and tray != level.tray.partition("@")[0]:
        if not isinstance(store, TrayStore):
            raise LinkError(f"{says}: another tray than {level.tray}, which cannot be reached from here")
        store = store.beside(tray)
    try:
        head = store.get_range(target, 0, size)
    except StoreNotFound:
        raise LinkError(f"{says}, which does not exist") from None
    if head.startswith(LINK_SIGNATURE):
        raise LinkError(f"{says}, itself a link: links cannot be chained")
    return SlabHead(store, target, head)


def pyramid_key(descriptor_key: str, level: LevelDescriptor, kind: SlabKind, col: int, row: int) -> str:
    """Key of a slab in the store that holds the descriptor at ``descriptor_key``."""
    folder = os.path.dirname(descriptor_key)
    key = level.key(kind, col, row)
    return f"{folder}/{key}" if folder and level.storage is StorageType.FILE else key


def stored_slabs(
    store: Store, descriptor_key: str, level: LevelDescriptor, kind: SlabKind
) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """Key and (slab column, slab row) of every object in a level's place; None for what is not named like a slab.

    ``store`` holds the descriptor.
    """
    store = level_store(store, level)
    key = pyramid_key(descriptor_key, level, kind, 0, 0)
    directory = level.image_directory if kind is SlabKind.DATA else level.mask_directory or ""
    if level.storage is StorageType.FILE:
        prefix = key[: key.index(directory) + len(directory) + 1]
        for found in store.list(prefix.rstrip("/")):
            yield found, _slab_indices(found.removeprefix(prefix))
        return
    prefix = directory + "_"
    for found in store.list(os.path.dirname(directory), after=prefix):
        if not found.startswith(prefix):
            break  # keys come sorted
        numbers = found.removeprefix(prefix).split("_")
        is_slab = len(numbers) == 2 and all(n.isascii() and n.isdigit() and len(n) < 11 for n in numbers)
        yield found, (int(numbers[0]), int(numbers[1])) if is_slab else None


def _slab_indices(path: str) -> tuple[int, int] | None:
    try:
        return parse_slab_path(path) if path.endswith(SLAB_SUFFIX) else None
    except StoreError:
        return None
