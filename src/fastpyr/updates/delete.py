"""Removing a pyramid: its descriptor, its list and its own slabs, and nothing else.

The descriptor goes first, so that no reader meets half a pyramid. Before that it is written aside, as
``.<name>.deleting``: a removal that was interrupted knows from there what is left to remove.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..errors import ConfigError, StoreError
from ..formats import SlabKind
from ..frozen import frozen
from ..pyramid.descriptor import Descriptor, parse_descriptor
from ..pyramid.level import LevelDescriptor, StorageType
from ..pyramid.reader import open_descriptor
from ..pyramid.slabs import stored_slabs
from ..run.workplace import is_interrupted
from ..store import FileStore, MemoryStore, Store, StoreNotFound
from ..store.atomic import store_error
from ..store.hidden import HiddenFolder
from ..store.naming import SLAB_SUFFIX, parse_slab_path
from ..store.object_staging import hidden_name
from ..store.objects import ObjectStore
from .inplace import forget_kept
from .linkers import find_linkers
from .note import read_note

__all__ = ["Deletion", "Progress", "delete_pyramid", "prepare_deletion"]

Progress = Callable[[int, int], object]
"""``progress(done, total)``, in slabs."""

_PAGE = 1000


@frozen
class Deletion:
    """What is to be removed. ``keys`` are those of the slabs, ``folders`` those of their levels, for files.

    ``left`` says, in a line each, which levels have slabs that are not the pyramid's own. ``resumes``: the descriptor
    is gone already, by an earlier removal that was interrupted. ``record`` is the descriptor's content.
    """

    store: Store
    name: str
    keys: tuple[str, ...]
    folders: tuple[str, ...]
    left: tuple[str, ...]
    resumes: bool
    record: bytes

    @property
    def uri(self) -> str:
        """Where the descriptor is, or was."""
        return self.store.location(f"{self.name}.json")

    def run(self, progress: Progress | None = None) -> None:
        """Remove everything. Raises StoreError; what is left then, the next call removes."""
        store = self.store
        record = _record_key(self.name)
        with _held(store, self.name):
            if not self.resumes:
                store.put(record, [self.record])
            store.delete(f"{self.name}.json")
            store.delete(f"{self.name}.list")
            for start in range(0, len(self.keys), _PAGE):
                page = self.keys[start : start + _PAGE]
                _delete(store, page)
                if progress is not None:
                    progress(start + len(page), len(self.keys))
            forget_kept(store, self.name)
            if isinstance(store, FileStore):
                _remove_empty_folders(store, self.folders)
                store.sweep(record)
        store.delete(record)


def delete_pyramid(
    uri: str | os.PathLike[str],
    *,
    search: Iterable[str | os.PathLike[str]] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> Deletion:
    """``prepare_deletion``, then ``run`` it: what was removed."""
    deletion = prepare_deletion(uri, search=search, force=force)
    deletion.run(progress)
    return deletion


def prepare_deletion(
    uri: str | os.PathLike[str], *, search: Iterable[str | os.PathLike[str]] = (), force: bool = False
) -> Deletion:
    """Find out what removing the pyramid of descriptor ``uri`` means, and whether it may be. Nothing is changed.

    ``search``: more places where pyramids may be that link to it, besides its own. ``force``: they do not matter.
    Raises ConfigError when others link to it, or an interrupted build or copy of it is kept; StoreError or
    DescriptorError when it does not exist or cannot be read.
    """
    store, key, base = open_descriptor(uri)
    name = key.removesuffix(".json")
    data, resumes = _descriptor(store, key, name)
    descriptor = parse_descriptor(data, base)
    if not isinstance(store, MemoryStore) and (is_interrupted(store, name) or read_note(store, name) is not None):
        raise ConfigError(f"an interrupted build or copy of {store.location(name)} is kept beside it: finish it first")
    linkers = [] if force else find_linkers(store, name, search)
    if linkers:
        more = f" and {len(linkers) - 1} more" if len(linkers) > 1 else ""
        raise ConfigError(
            f"{store.location(key)} is needed by {linkers[0].location}{more}: {linkers[0].reason}; "
            "delete it first, or copy it with --follow-links, or add --force"
        )
    return _deletion(store, name, descriptor, resumes, data)


def _deletion(store: Store, name: str, descriptor: Descriptor, resumes: bool, record: bytes) -> Deletion:
    keys: set[str] = set()
    folders, left = [], []
    for level in descriptor.levels:
        for kind in (SlabKind.DATA, SlabKind.MASK) if descriptor.mask else (SlabKind.DATA,):
            place = (level.image_directory if kind is SlabKind.DATA else level.mask_directory) or ""
            reason = _foreign(store, name, level, place)
            if reason is not None:
                left.append(f"level {level.id}, {kind.value}: {reason}, which is left alone")
                continue
            folder = _beside(name, place)
            folders.append(folder)
            if isinstance(store, FileStore):
                keys.update(_slab_files(store, folder))
            else:
                keys.update(key for key, slab in stored_slabs(store, f"{name}.json", level, kind) if slab is not None)
    return Deletion(store, name, tuple(sorted(keys)), tuple(folders), tuple(left), resumes, record)


def _record_key(name: str) -> str:
    return hidden_name(name, "deleting")


def _descriptor(store: Store, key: str, name: str) -> tuple[bytes, bool]:
    """The descriptor's content, and whether it is gone and this is what was written aside of it."""
    try:
        return store.get(key), False
    except StoreNotFound:
        try:
            return store.get(_record_key(name)), True
        except StoreNotFound:
            raise StoreNotFound(f"{store.location(key)} does not exist: there is nothing to delete") from None


def _beside(name: str, place: str) -> str:
    """A folder relative to the descriptor of ``name`` as a key, or an object prefix as it is."""
    folder = os.path.dirname(name)
    return os.path.normpath(f"{folder}/{place}" if folder else place)


def _foreign(store: Store, name: str, level: LevelDescriptor, place: str) -> str | None:
    """Why the slabs of a level are not the pyramid's own, None when they are."""
    if level.storage is not StorageType.FILE:
        if str(level.tray).partition("@")[0] != store.layout.tray:
            return f"its slabs are in {level.tray}"
        tree = os.path.dirname(place)
        return f"its slabs belong to {tree}" if tree != name and store.exists(f"{tree}.json") else None
    folder = _beside(name, place)
    if folder == "." or folder.startswith(".."):
        return f"its folder {place} is outside of the pyramid's place"
    parts = folder.split("/")
    for number in range(1, len(parts) + 1):
        path = "/".join(parts[:number])
        if isinstance(store, FileStore) and store.path(path).is_symlink():
            return f"its folder is reached through the link {store.path(path)}"
        if path != name and store.exists(f"{path}.json"):
            return f"its slabs belong to {path}"
    return None


def _slab_files(store: FileStore, folder: str) -> Iterator[str]:
    """Keys of the slabs of a level, broken links among them."""
    top = store.path(folder)
    for found, _, names in os.walk(top):
        base = os.path.relpath(found, top).replace(os.sep, "/") + "/"
        for name in names:
            path = base.removeprefix("./") + name
            with contextlib.suppress(StoreError):
                if path.endswith(SLAB_SUFFIX):
                    parse_slab_path(path)
                    yield f"{folder}/{path}"


def _delete(store: Store, keys: Sequence[str]) -> None:
    if isinstance(store, ObjectStore):
        store.delete_all(keys)
        return
    for key in keys:
        store.delete(key)


def _remove_empty_folders(store: FileStore, folders: Sequence[str]) -> None:
    """Remove the folders of levels, and those they are in below the descriptor's, as far as they are empty."""
    for folder in folders:
        for found, _, _ in os.walk(store.path(folder), topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(found)
        parent = os.path.dirname(folder)
        while parent:
            with contextlib.suppress(OSError):
                os.rmdir(store.path(parent))
            parent = os.path.dirname(parent)


@contextlib.contextmanager
def _held(store: Store, name: str) -> Iterator[None]:
    """Keep builders of the pyramid away. Raises StoreError when one is at work."""
    if isinstance(store, FileStore):
        hidden = store.building(name)
        try:
            folder = HiddenFolder(hidden, store.path(name), adopt=True)
        except OSError as error:
            raise store_error("write", hidden, error) from error
        try:
            yield
        finally:
            if folder.adopted and any(hidden.iterdir()):
                folder.release()
            else:
                folder.remove()
    elif isinstance(store, ObjectStore):
        claim = store.claim(name)
        try:
            yield
        finally:
            claim.release()
    else:
        with store.stage(name, overwrite=True):
            yield
