"""Small pyramids in stores of all kinds, links between them, and ways to lose a store in the middle of some work."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from object_builds import OPTIONS, source
from object_servers import DictTransport, dict_store

import fastpyr
from fastpyr.pyramid import Pyramid
from fastpyr.pyramid.list import ListEntry, SlabList, parse_list
from fastpyr.pyramid.slabs import SlabRef
from fastpyr.store import claim, location
from fastpyr.store.layout import StorageType
from fastpyr.store.naming import object_link
from fastpyr.store.objects import ObjectStore
from fastpyr.store.transport import TransportError

WRITES = ("put", "delete", "copy")


class Clusters:
    """Object stores in dictionaries, one cluster per scheme, a tray per name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trays: dict[tuple[str, str], DictTransport] = {}
        monkeypatch.setattr(location, "_object_store", self.store)

    def tray(self, scheme: str, name: str) -> DictTransport:
        transport = self.trays.get((scheme, name))
        if transport is None:
            transport = self.trays[scheme, name] = DictTransport()
            transport.page = 1000
        return transport

    def store(self, scheme: str, name: str) -> ObjectStore:
        kind = StorageType(scheme.upper())
        return dict_store(self.tray(scheme, name), kind, name, lambda other: self.store(scheme, other))

    @contextlib.contextmanager
    def gone_after(self, scheme: str, name: str, writes: int) -> Iterator[None]:
        """A tray that cannot be written any more after some requests: what a dead process leaves."""
        left = [writes]

        def before(verb: str, key: str) -> None:
            left[0] -= verb in WRITES
            if left[0] < 0:
                raise TransportError("gone")

        transport = self.tray(scheme, name)
        transport.before = before
        try:
            yield
        finally:
            transport.before = None
            claim._live.clear()


def build_small(uri: str | Path, seed: int = 1, **options: object) -> Pyramid:
    return fastpyr.build(source(seed), str(uri), **{**OPTIONS, "compression": "png", **options})


def contents(uri: str | Path) -> dict[SlabRef, str]:
    """SHA-256 of every slab as a reader sees it, links followed."""
    pyramid = fastpyr.open(str(uri))
    return {ref: hashlib.sha256(_bytes(pyramid, ref)).hexdigest() for ref in pyramid.slabs()}


def _bytes(pyramid: Pyramid, ref: SlabRef) -> bytes:
    opened = pyramid._open_slab(ref)
    assert opened is not None
    return opened.store.get(opened.key)


def link_some(pyramid: Pyramid, owner: Pyramid, wanted: Callable[[SlabRef], bool]) -> list[SlabRef]:
    """Make slabs of a pyramid links to the same slabs of ``owner``, in storage and in the list."""
    store, key = pyramid.store, pyramid.key.removesuffix(".json") + ".list"
    listing = parse_list(store.get(key))
    root = parse_list(owner.store.get(owner.key.removesuffix(".json") + ".list")).roots[0]
    entries, linked = [], []
    for entry in listing.entries:
        ref = SlabRef(*entry.slab())
        if not wanted(ref):
            entries.append(entry)
            continue
        linked.append(ref)
        entries.append(ListEntry(1, entry.path))
        if store.layout.is_file:
            path = Path(store.location(pyramid.slab_key(ref)))
            path.unlink()
            path.symlink_to(os.path.relpath(owner.store.location(owner.slab_key(ref)), path.parent))
        else:
            store.put(pyramid.slab_key(ref), [object_link(f"{owner.store.layout.tray}/{owner.slab_key(ref)}")])
    store.put(key, [SlabList({0: listing.roots[0], 1: root}, entries).to_bytes()])
    return linked
