"""What a stored pyramid consists of: its descriptor, its list, and where the bytes of each slab really are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import DescriptorError, SlabError, StoreError
from ..formats import SlabKind
from ..frozen import frozen
from ..pyramid.changing import resolve
from ..pyramid.descriptor import Descriptor, parse_descriptor
from ..pyramid.list import parse_list
from ..pyramid.reader import open_descriptor
from ..pyramid.slabs import SlabRef, level_store, pyramid_key, read_head, stored_slabs
from ..slab.header import first_tile_offset
from ..store import FileStore, Store, StoreNotFound
from ..store.objects import ObjectStore

__all__ = ["Inventory", "ListedSlab", "Owner", "SlabPlace", "modified", "open_inventory"]


class Owner(NamedTuple):
    """The real place of a linked slab: data root of its pyramid, and its path below, both as lists record them.

    ``root`` is empty for a file that is in no pyramid's tree.
    """

    root: str
    path: str


class ListedSlab(NamedTuple):
    """A slab of the inventory: ``owner`` None when the pyramid owns it; ``md5`` in lower case where the list has it."""

    ref: SlabRef
    owner: Owner | None
    md5: str | None


class SlabPlace(NamedTuple):
    """Where the bytes of a slab are, links followed; ``owner`` None when the slab is no link."""

    store: Store
    key: str
    size: int
    owner: Owner | None


@frozen
class Inventory:
    """A pyramid as stored. ``slabs`` are in the order of the list; ``stamp`` changes whenever the pyramid does.

    ``listing`` is the list's content, None for a pyramid without one: its slabs are then those that exist.
    """

    store: Store
    key: str
    name: str
    descriptor: Descriptor
    listing: bytes | None
    slabs: tuple[ListedSlab, ...]
    stamp: str

    @property
    def uri(self) -> str:
        """Where the descriptor is."""
        return self.store.location(self.key)

    def slab_key(self, ref: SlabRef) -> str:
        """Key of a slab in the store of its level."""
        return pyramid_key(self.key, self.descriptor.level(ref.level), ref.kind, ref.col, ref.row)

    def location(self, ref: SlabRef) -> str:
        """How messages name a slab."""
        store = level_store(self.store, self.descriptor.level(ref.level))
        return f"level {ref.level}, slab column {ref.col}, row {ref.row} ({store.location(self.slab_key(ref))})"

    def is_link(self, slab: ListedSlab) -> bool:
        """Whether a slab is known to be a link without reading it."""
        if slab.owner is not None:
            return True
        return isinstance(self.store, FileStore) and self.store.path(self.slab_key(slab.ref)).is_symlink()

    def locate(self, slab: ListedSlab) -> SlabPlace:
        """Find the bytes of a slab. Raises StoreNotFound when it does not exist, LinkError when its link is broken."""
        key = self.slab_key(slab.ref)
        if isinstance(self.store, FileStore):
            return SlabPlace(self.store, key, self.store.size(key), _file_owner(self.store, key, slab))
        level = self.descriptor.level(slab.ref.level)
        store = level_store(self.store, level)
        size = store.size(key)
        least = first_tile_offset(level.tiles_per_slab)
        if size >= least:
            return SlabPlace(store, key, size, None)
        head = read_head(self.store, level, key, least)
        if head.store is store and head.key == key:
            raise SlabError(f"{self.location(slab.ref)} is truncated: it has {size} bytes; verify the pyramid")
        folder, _, name = head.key.rpartition("/")
        tray = head.store.layout.tray
        owner = Owner(f"{tray}/{folder}" if folder else str(tray), name)
        return SlabPlace(head.store, head.key, head.store.size(head.key), owner)


def _file_owner(store: FileStore, key: str, slab: ListedSlab) -> Owner | None:
    """The owner of a slab that is a symbolic link, or a hard link to what the list says; None for a slab of its own."""
    path = store.path(key)
    listed = None if slab.owner is None else os.path.join(slab.owner.root, slab.owner.path)
    try:
        if listed is not None and os.path.samefile(path, listed):
            return slab.owner
    except OSError:
        pass  # the list may be of another machine: the link itself says where the slab is
    if not path.is_symlink():
        return None
    real = os.path.realpath(path).split("/")
    for number in range(len(real) - 2, 0, -1):
        if real[number - 1 : number + 1] == [slab.ref.kind.value, slab.ref.level]:
            return Owner("/".join(real[: number - 1]), "/".join(real[number - 1 :]))
    return Owner("", "/".join(real))


def open_inventory(uri: str | os.PathLike[str]) -> Inventory:
    """The inventory of the pyramid whose descriptor is at ``uri``.

    Raises StoreError when the descriptor cannot be read, DescriptorError when it or the list cannot be used.
    """
    store, key, name = open_descriptor(uri)
    store, data = resolve(store, key, store.get(key))
    descriptor = parse_descriptor(data, name)
    for level in descriptor.levels:
        level_store(store, level)
    listing: bytes | None
    try:
        listing = store.get(f"{key.removesuffix('.json')}.list")
    except StoreNotFound:
        listing = None
    slabs = tuple(_existing(store, key, descriptor) if listing is None else _listed(descriptor, name, listing))
    digest = hashlib.sha256(data + b"\0" + (listing or b"")).hexdigest()
    return Inventory(store, key, name, descriptor, listing, slabs, f"{digest} {modified(store, key)}")


def modified(store: Store, key: str) -> str:
    """When an object was written, as far as its store tells."""
    try:
        if isinstance(store, FileStore):
            return str(store.path(key).stat().st_mtime_ns)
        if isinstance(store, ObjectStore):
            return str(store.stat(key).modified)
    except (OSError, StoreError):
        pass
    return ""


def _listed(descriptor: Descriptor, name: str, listing: bytes) -> Iterator[ListedSlab]:
    slabs = parse_list(listing, f"{name}.list")
    known = {level.id for level in descriptor.levels}
    seen: set[SlabRef] = set()
    for entry in slabs.entries:
        ref = SlabRef(*entry.slab())
        if ref.level not in known or (ref.kind is SlabKind.MASK and not descriptor.mask):
            raise DescriptorError(f"{name}.list names {entry.path}, which the descriptor has no place for")
        if ref not in seen:
            seen.add(ref)
            owner = Owner(slabs.roots[entry.root], entry.path) if entry.root else None
            yield ListedSlab(ref, owner, entry.md5.lower() if entry.md5 else None)


def _existing(store: Store, key: str, descriptor: Descriptor) -> Iterator[ListedSlab]:
    for level in descriptor.levels:
        for kind in (SlabKind.DATA, SlabKind.MASK) if descriptor.mask else (SlabKind.DATA,):
            for _, slab in stored_slabs(store, key, level, kind):
                if slab is not None:
                    yield ListedSlab(SlabRef(kind, level.id, *slab), None, None)
