"""Copying a pyramid to another place, in any kind of storage."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ..errors import ConfigError, StoreError
from ..frozen import frozen
from ..ordered import in_order
from ..pyramid.descriptor import Descriptor
from ..pyramid.level import LevelDescriptor, StorageType
from ..pyramid.reader import open_descriptor
from ..pyramid.slabs import SlabRef
from ..slab.header import first_tile_offset
from ..store import Store, StoreNotFound
from ..store.naming import DEFAULT_PATH_DEPTH, check_level_id
from .area import Area, open_area
from .carry import Budget, is_same_place, link_target, slab_list
from .inventory import Inventory, ListedSlab, Owner, SlabPlace, open_inventory
from .linkers import find_linkers

__all__ = ["CopyResult", "Progress", "copy_pyramid"]

Progress = Callable[[int, int], object]
"""``progress(done, total)``, in slabs; one call at a time."""

_WORKERS = 8


@frozen
class CopyResult:
    """What a copy has done. ``kept`` slabs were there from an earlier run; ``skipped`` ones are below the limit."""

    descriptor: str
    copied: int
    kept: int
    linked: int
    skipped: int
    bytes: int


class _Done(NamedTuple):
    """What became of a slab: the list entry (None: left out), its key below the target's tree, bytes read."""

    verb: str
    key: str
    entry: Owner | None
    size: int


def copy_pyramid(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    follow_links: bool = False,
    slab_limit: int = 0,
    overwrite: bool = False,
    path_depth: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> CopyResult:
    """Copy the pyramid of descriptor ``source`` to ``target``: paths or URIs ending in ``<name>.json``.

    Slabs keep their bytes; names, descriptor and list are those of the target's storage. A copy that was interrupted
    goes on when it is called again with the same arguments: a slab that is there with its full size (and the MD5 that
    the list has of it, if any) is not read again.

    Args:
        follow_links: linked slabs become slabs of the copy; otherwise links to the same owners are made.
        slab_limit: slabs of so many bytes or less are left out.
        overwrite: replace a pyramid of the target's name.
        path_depth: folders between a level and its slabs, for files; default: as the source, or 2.
        workers: slabs that are copied at a time; default 8.
        progress: called after every slab.

    Raises:
        FastpyrError: one line naming the slab or the option and the cure. An existing pyramid stays as it was until
            the copy is complete.
    """
    if slab_limit < 0 or (workers is not None and workers < 1):
        raise ConfigError("a slab limit is 0 or more bytes, a number of workers 1 or more")
    inventory = open_inventory(source)
    store, key, name = open_descriptor(target)
    name = store.layout.check_name(key.removesuffix(".json"))
    if is_same_place(inventory, store, key):
        raise ConfigError(f"{store.location(key)} would be copied onto itself: choose another name or place")
    descriptor = _placed(inventory.descriptor, store, name, path_depth)
    copier = _Copier(inventory, store, name, descriptor, follow_links, slab_limit)
    copier.check_links()
    if overwrite and (linkers := find_linkers(store, name)):
        raise ConfigError(
            f"{store.location(key)} cannot be replaced, {linkers[0].location} needs it: {linkers[0].reason}"
        )
    identity = {
        "source": inventory.uri,
        "stamp": inventory.stamp,
        "follow_links": follow_links,
        "slab_limit": slab_limit,
        "path_depth": descriptor.levels[0].path_depth,
    }
    with open_area(store, name, identity, overwrite) as area:
        if not area.is_done:
            copier.run(area, workers or _WORKERS, progress)
            if open_inventory(source).stamp != inventory.stamp:
                raise StoreError(f"{inventory.uri} was changed while it was copied: copy it again")
            area.publish(copier.keys, copier.listing(), descriptor.to_json())
    return copier.result(store.location(key))


def _placed(descriptor: Descriptor, store: Store, name: str, path_depth: int | None) -> Descriptor:
    """The descriptor of a copy called ``name`` in ``store``."""
    first = descriptor.levels[0]
    depth = path_depth
    if depth is None:
        depth = first.path_depth if first.storage is StorageType.FILE else DEFAULT_PATH_DEPTH
    if not 0 <= depth <= 32:
        raise ConfigError(f"path depth {depth} cannot be used: it is 0 to 32")
    levels = tuple(
        LevelDescriptor.placed(
            name,
            check_level_id(level.id),
            level.tiles_per_width,
            level.tiles_per_height,
            level.limits,
            mask=descriptor.mask,
            path_depth=depth,
            layout=store.layout,
        )
        for level in descriptor.levels
    )
    return Descriptor(
        name, descriptor.tile_matrix_set, descriptor.format, descriptor.mask, descriptor.interpolation, levels
    )


class _Copier:
    """The slabs of one copy."""

    def __init__(
        self, source: Inventory, store: Store, name: str, descriptor: Descriptor, follow_links: bool, slab_limit: int
    ) -> None:
        self._source = source
        self._store = store
        self._name = name
        self._depth = descriptor.levels[0].path_depth
        self._follow = follow_links
        self._limit = slab_limit
        self._budget = Budget()
        self._done: list[_Done] = []

    def check_links(self) -> None:
        """Raise ConfigError or StoreError when a link cannot be made again, before anything is written."""
        if not self._follow:
            for slab in self._source.slabs:
                if self._source.is_link(slab):
                    place = self._source.locate(slab)
                    if place.owner is not None:
                        self._link_target(slab.ref, place)

    def run(self, area: Area, workers: int, progress: Progress | None) -> None:
        """Bring every slab into the area."""
        slabs = self._source.slabs
        with ThreadPoolExecutor(workers, "copy") as pool:
            found = in_order(pool, lambda slab: self._bring(area, slab), slabs, ahead=2 * workers)
            for done in found:
                self._done.append(done)
                if progress is not None:
                    progress(len(self._done), len(slabs))

    @property
    def keys(self) -> frozenset[str]:
        """Keys of the copy's slabs below its tree."""
        return frozenset(done.key for done in self._done if done.verb != "skipped")

    def listing(self) -> bytes:
        """The list of the copy."""
        root = self._store.layout.root(self._name, self._store.location(self._name))
        return slab_list(root, [(done.entry, done.key) for done in self._done if done.verb != "skipped"]).to_bytes()

    def result(self, uri: str) -> CopyResult:
        counts = {
            verb: sum(done.verb == verb for done in self._done) for verb in ("copied", "kept", "linked", "skipped")
        }
        return CopyResult(uri, **counts, bytes=sum(done.size for done in self._done if done.verb == "copied"))

    def _bring(self, area: Area, slab: ListedSlab) -> _Done:
        ref = slab.ref
        key = self._store.layout.slab(ref.kind, ref.level, ref.col, ref.row, self._depth)
        try:
            place = self._source.locate(slab)
        except StoreNotFound:
            raise StoreError(
                f"{self._source.location(ref)} is listed, but it does not exist: verify the pyramid"
            ) from None
        if 0 < place.size <= self._limit:
            return _Done("skipped", key, None, place.size)
        if place.owner is not None and not self._follow:
            area.link(key, self._link_target(ref, place))
            return _Done("linked", key, place.owner, 0)
        if area.found(key) == place.size and (slab.md5 is None or _md5(area.get(key)) == slab.md5):
            area.keep(key)
            return _Done("kept", key, None, place.size)
        with self._budget.take(place.size):
            data = place.store.get(place.key)
            self._check(slab, place, data)
            area.put(key, [data])
        return _Done("copied", key, None, place.size)

    def _check(self, slab: ListedSlab, place: SlabPlace, data: bytes) -> None:
        least = first_tile_offset(self._source.descriptor.level(slab.ref.level).tiles_per_slab)
        if len(data) != place.size or len(data) < least:
            raise StoreError(
                f"{self._source.location(slab.ref)} has {len(data)} bytes: it is truncated, or being changed"
            )
        if slab.md5 is not None and _md5(data) != slab.md5:
            raise StoreError(
                f"{self._source.location(slab.ref)} is damaged: its MD5 is {_md5(data)}, the list says {slab.md5}"
            )

    def _link_target(self, ref: SlabRef, place: SlabPlace) -> str:
        """What a link in the target storage says to lead to the same owner: a path, or tray and object name."""
        assert place.owner is not None
        cure = "copy it as a slab (--follow-links)"
        return link_target(self._source, ref, place, place.owner, self._store, self._name, self._depth, cure)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
