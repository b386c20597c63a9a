"""Where a tree of slabs is put together that was begun earlier, perhaps, and how it takes its place.

The order of ``publish``: the slabs are all in; the note says so; the older pyramid's descriptor and list are removed;
the note says "placing"; the slabs get their final names; list; descriptor. So no descriptor ever stands over slabs of
two pyramids, and whoever is killed in between is gone on with by the next call of the same identity.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..engine.logbook import boot_id
from ..errors import ConfigError, FastpyrError, StoreError
from ..run.object_place import object_store
from ..run.workplace import check_free, is_interrupted
from ..store import Chunk, FileStore, MemoryStore, Staging, Store
from ..store.atomic import store_error
from ..store.claim import Claim
from ..store.hidden import HiddenFolder, make_parents, remove_empty
from ..store.naming import is_object_name, object_link
from ..store.object_staging import ObjectStaging
from ..store.objects import ObjectStore
from ..store.staging import FileStaging
from .note import COPYING, PLACING, Note, forget_note, read_note, write_note

__all__ = ["Area", "open_area"]


class Area:
    """A tree under construction in memory, and what is common to all. ``is_done``: nothing is left to write.

    ``replaces``: slabs without a descriptor, or with one that may be overwritten, have the tree's name.
    """

    def __init__(self, store: Store, name: str, staging: Staging, replaces: bool) -> None:
        self.store = store
        self.name = name
        self.is_done = False
        self._staging = staging
        self._replaces = replaces
        self._began = False

    def found(self, key: str) -> int | None:
        """Bytes of a slab that an earlier run has left whole, None without one."""
        return None

    def get(self, key: str) -> bytes:
        """A slab of the tree."""
        return self._staging.get(key)

    def keep(self, key: str) -> None:
        """Take a slab that was found as it is."""
        self._began = True

    def put(self, key: str, chunks: Sequence[Chunk]) -> None:
        """Write a slab. From any thread."""
        self._began = True
        self._staging.put(key, chunks)

    def link(self, key: str, target: str) -> None:
        """Make a slab a link to a slab elsewhere. Raises StoreError where there is no such notion."""
        raise StoreError(f"{self.store.location(self.name)}: links cannot be made here: copy with --follow-links")

    def hard_link(self, key: str, target: str) -> None:
        """Make a slab another name of a file. Raises StoreError where there is no such notion."""
        raise StoreError(f"{self.store.location(self.name)}: hard links cannot be made here: choose --mode copy")

    def publish(self, keys: Collection[str], listing: bytes, descriptor: bytes) -> None:
        """Make the tree of ``keys`` a pyramid. Raises StoreError; the same call may be made again then."""
        self._remove_old()
        self._place(keys)
        self.store.put(f"{self.name}.list", [listing])
        self.store.put(f"{self.name}.json", [descriptor])

    def _remove_old(self) -> None:
        for suffix in (".json", ".list"):
            self.store.delete(self.name + suffix)

    def _place(self, keys: Collection[str]) -> None:
        self._staging.publish(self._replaces)

    def finish(self) -> None:
        """The pyramid is there: remove what only its builder needs."""
        self._staging.abort()

    def leave(self, error: BaseException) -> None:
        """Keep or remove what was written when the work failed. Never hides the error."""
        with contextlib.suppress(FastpyrError):
            self._staging.abort()


class _LastingArea(Area):
    """One that can be gone on with: it keeps a note. ``adopts``: what is in the tree is of an earlier run."""

    def __init__(self, store: Store, name: str, staging: Staging, note: Note, adopts: bool) -> None:
        super().__init__(store, name, staging, replaces=True)
        self._note = note
        self._began = adopts

    def publish(self, keys: Collection[str], listing: bytes, descriptor: bytes) -> None:
        self._wait()
        if self._note.phase != PLACING:
            self._remove_old()
            self._note = Note(self._note.identity, PLACING, self._note.place)
            write_note(self.store, self.name, self._note)
        self._place(keys)
        self.store.put(f"{self.name}.list", [listing])
        self.store.put(f"{self.name}.json", [descriptor])

    def _wait(self) -> None:
        """Until every slab is written."""

    def _suspend(self) -> None:
        """Leave everything for the next run."""

    def leave(self, error: BaseException) -> None:
        if self._began or self._note.phase == PLACING:
            with contextlib.suppress(FastpyrError):
                self._suspend()
            error.add_note("what was written is kept: run the same command again to go on")
            return
        with contextlib.suppress(FastpyrError):
            self._staging.abort()
            forget_note(self.store, self.name)


class _FolderArea(_LastingArea):
    def __init__(self, store: FileStore, name: str, staging: FileStaging, note: Note, adopts: bool) -> None:
        super().__init__(store, name, staging, note, adopts)
        self._folder = staging

    def found(self, key: str) -> int | None:
        path = self._folder.hidden / key
        try:
            return None if path.is_symlink() else path.stat().st_size
        except OSError:
            return None

    def link(self, key: str, target: str) -> None:
        self._began = True
        final = os.path.dirname(os.path.join(os.path.realpath(self._folder.path.parent), self.name, key))
        self._folder.link(key, os.path.relpath(target, final))

    def hard_link(self, key: str, target: str) -> None:
        self._began = True
        self._folder.hard_link(key, target)

    def _place(self, keys: Collection[str]) -> None:
        self._folder.prune(keys)
        self._folder.publish(overwrite=True)

    def _suspend(self) -> None:
        self._folder.suspend()

    def finish(self) -> None:
        forget_note(self.store, self.name)
        self._folder.abort()


class _ObjectArea(_LastingArea):
    def __init__(self, store: ObjectStore, name: str, staging: ObjectStaging, note: Note, adopts: bool) -> None:
        super().__init__(store, name, staging, note, adopts)
        self._objects = staging
        sizes = store.sizes(staging.folder).items() if adopts else ()
        self._found = {key.removeprefix(staging.folder): size for key, size in sizes}

    def found(self, key: str) -> int | None:
        return self._found.get(key) if is_object_name(key) else None

    def keep(self, key: str) -> None:
        super().keep(key)
        self._objects.adopt([key])

    def link(self, key: str, target: str) -> None:
        self.put(key, [object_link(target)])

    def _wait(self) -> None:
        self._objects.arrive()

    def _place(self, keys: Collection[str]) -> None:
        self._objects.install(overwrite=True)

    def _suspend(self) -> None:
        self._objects.suspend()

    def finish(self) -> None:
        self._objects.finish()
        forget_note(self.store, self.name)


@contextlib.contextmanager
def open_area(store: Store, name: str, identity: dict[str, Any], overwrite: bool) -> Iterator[Area]:
    """The area for the tree ``name``; what an earlier run of the same ``identity`` has left is gone on with.

    Left without an error, helper objects are removed; with one, what was written is kept, unless that is nothing.
    Raises ConfigError when a pyramid of that name exists or an interrupted build of it is kept, StoreError when
    somebody else is at work there.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(store, MemoryStore):
            check_free(store, name, overwrite)
            area = Area(store, name, store.stage(name, overwrite), overwrite)
        else:
            if isinstance(store, FileStore):
                stack.enter_context(_locked(store, name))
            area = _lasting_area(store, name, identity, overwrite)
        try:
            yield area
        except BaseException as error:
            area.leave(error)
            raise
        area.finish()


@contextlib.contextmanager
def _locked(store: FileStore, name: str) -> Iterator[None]:
    """Hold the folder of the note, which goes when there is no note in it."""
    tree = store.path(name)
    folder = tree.with_name(f".{tree.name}.copying")
    made: list[Path] = []
    try:
        made = make_parents(folder)
        lock = HiddenFolder(folder, tree, adopt=True)
    except OSError as error:
        remove_empty(made)
        raise store_error("write", folder, error) from error
    try:
        for suffix in (".json", ".list"):
            store.sweep(name + suffix)
        yield
    finally:
        if (folder / "note").exists():
            lock.release()
        else:
            lock.remove()
            if not tree.with_name(f"{tree.name}.json").exists():
                remove_empty(made)


def _lasting_area(store: Store, name: str, identity: dict[str, Any], overwrite: bool) -> Area:
    note = read_note(store, name)
    exists = store.exists(f"{name}.json")
    if note is not None and note.identity != identity:
        overwrite |= note.phase == PLACING and not exists
        note = None
    if note is not None and note.phase == PLACING and exists:
        return _done_area(store, name, note)
    check_free(store, name, overwrite)
    _refuse_unfinished(store, name)
    if isinstance(store, FileStore):
        return _folder_area(store, name, identity, overwrite, note)
    return _object_area(object_store(store), name, identity, overwrite, note)


def _done_area(store: Store, name: str, note: Note) -> Area:
    """Only the last step of an earlier run is missing: to remove what was its own."""
    area: Area
    if isinstance(store, FileStore):
        store.mend(name)
        area = _NoteOnly(store, name, MemoryStore().stage(name), False)
    else:
        tray = object_store(store)
        staging = ObjectStaging(tray, name, tray.claim(name), bool(note.place.get("aside")))
        area = _ObjectArea(tray, name, staging, note, adopts=False)
    area.is_done = True
    return area


class _NoteOnly(Area):
    def finish(self) -> None:
        forget_note(self.store, self.name)


def _refuse_unfinished(store: Store, name: str) -> None:
    if is_interrupted(store, name):
        raise ConfigError(f"an interrupted build of {store.location(name)} is kept: finish it, or choose another name")


def _folder_area(store: FileStore, name: str, identity: dict[str, Any], overwrite: bool, note: Note | None) -> Area:
    hidden, tree = store.building(name), store.path(name)
    placed = note is not None and note.phase == PLACING and not hidden.exists()
    if note is not None and placed and _place_of(tree) == note.place:
        store.unpublish(name)
    if note is not None and _place_of(hidden) == note.place:
        return _FolderArea(store, name, store.resume(name), note, adopts=True)
    if not overwrite and note is None and os.path.lexists(tree):
        raise ConfigError(f"{tree} exists: choose another name, or replace it with --overwrite")
    staging = store.stage(name, overwrite)
    note = Note(identity, COPYING, _place_of(staging.hidden))
    write_note(store, name, note)
    return _FolderArea(store, name, staging, note, adopts=False)


def _place_of(folder: os.PathLike[str]) -> dict[str, Any]:
    """What tells a folder from a later one of the same name. After a restart of the machine none is trusted: nothing
    was forced to the disk.
    """
    try:
        status = os.stat(folder, follow_symlinks=False)
    except OSError:
        return {}
    return {"inode": status.st_ino, "device": status.st_dev, "boot": boot_id()}


def _object_area(tray: ObjectStore, name: str, identity: dict[str, Any], overwrite: bool, note: Note | None) -> Area:
    claim = tray.claim(name)
    with contextlib.ExitStack() as undo:
        undo.callback(_release, claim)
        aside = note is not None and bool(note.place.get("aside"))
        if note is not None and (aside or note.phase == PLACING or not tray.exists(f"{name}.json")):
            staging, adopts = ObjectStaging(tray, name, claim, aside), True
        else:
            staging, adopts = _begin(tray, name, overwrite, claim), False
            note = Note(identity, COPYING, {"aside": staging.aside})
            write_note(tray, name, note)
        area = _ObjectArea(tray, name, staging, note, adopts)
        undo.pop_all()
    return area


def _release(claim: Claim) -> None:
    with contextlib.suppress(StoreError):
        claim.release()


def _begin(tray: ObjectStore, name: str, overwrite: bool, claim: Claim) -> ObjectStaging:
    """``inherited``: what an earlier copy of something else left is removed too."""
    inherited = read_note(tray, name) is not None
    return ObjectStaging.begin(tray, name, overwrite, claim, inherited)
