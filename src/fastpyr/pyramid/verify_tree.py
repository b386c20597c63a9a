"""What is stored against what is listed: the list file, stray and missing slabs, links, temporary files."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..errors import DescriptorError
from ..formats import SlabKind
from ..grid.bounds import TileLimits
from ..store import FileStore, StoreNotFound
from .level import StorageType
from .list import ListEntry, SlabList, parse_list
from .slabs import SlabRef, stored_slabs
from .verify_subject import Subject
from .window import Level

__all__ = ["check_tree", "slab_tiles"]


def check_tree(subject: Subject) -> list[SlabRef]:
    """Check the list and the storage tree; the slabs to look into: all that exist where readers look for them."""
    listed = _check_list(subject)
    stored = _check_stored(subject, listed)
    if listed is not None:
        for ref in sorted(listed.keys() - stored):
            subject.add("listed-slab", "the list names this slab, but it does not exist", ref=ref)
            subject.mark_broken(ref)
    for ref in stored:
        _check_place(subject, ref)
        _check_link(subject, ref, listed.get(ref) if listed else None)
    _check_temporary(subject)
    return sorted(stored)


def _check_list(subject: Subject) -> dict[SlabRef, ListEntry] | None:
    """The listed slabs, None when there is no readable list."""
    key = subject.key.removesuffix(".json") + ".list"
    try:
        data = subject.store.get(key)
        slabs = parse_list(data, os.path.basename(key))
    except StoreNotFound:
        subject.add("list", "the pyramid has no list of slabs: joins, copies and updates cannot see it", key=key)
        return None
    except DescriptorError as error:
        subject.add("list", str(error), key=key)
        return None
    if not data.startswith(b"0="):
        subject.add("list", "the first line must declare root 0, the pyramid's own data", key=key)
    _check_own_root(subject, slabs, key)
    listed: dict[SlabRef, ListEntry] = {}
    for entry in slabs.entries:
        ref = _listed_ref(subject, entry, key)
        if ref is None:
            continue
        if ref in listed:
            subject.add("list", "this slab is listed twice", ref=ref, key=key)
        listed[ref] = entry
    return listed


def _check_own_root(subject: Subject, slabs: SlabList, key: str) -> None:
    """Root 0 may be an absolute path of another machine, but it must end with the name of the data tree."""
    trees = {os.path.basename(tree) for tree in _data_trees(subject)}
    root = os.path.basename(slabs.roots[0].rstrip("/"))
    if trees and root not in trees:
        subject.add("list", f"root 0 is {slabs.roots[0]}, but the data tree is called {min(trees)}", key=key)


def _listed_ref(subject: Subject, entry: ListEntry, key: str) -> SlabRef | None:
    try:
        ref = SlabRef(*entry.slab())
    except DescriptorError as error:
        subject.add("list", str(error), key=key)
        return None
    level = subject.level(ref.level)
    if level is None:
        subject.add("list", f"{entry.path} is of level {ref.level}, which the descriptor lacks", key=key)
        return None
    if ref.kind not in subject.kinds:
        subject.add("mask", f"{entry.path} is listed, but the descriptor has no masks", key=key, level=ref.level)
        return None
    return ref


def _data_trees(subject: Subject) -> set[str]:
    """Folders that hold the levels' slabs: normally one, the pyramid's data root.

    Relative to the descriptor's folder for files, keys in the tray for objects.
    """
    trees = set()
    for level in subject.levels:
        path = level.descriptor.image_directory
        if level.descriptor.storage is StorageType.FILE:
            ending = f"/{SlabKind.DATA.value}/{level.id}"
            if path.endswith(ending):
                trees.add(path.removesuffix(ending))
        else:
            trees.add(os.path.dirname(path))
    return trees - {""}


def _check_stored(subject: Subject, listed: dict[SlabRef, ListEntry] | None) -> set[SlabRef]:
    """The slabs that exist under the path that readers compute; everything else there is reported."""
    stored: set[SlabRef] = set()
    seen: set[str] = set()
    for level in subject.levels:
        for kind in subject.kinds:
            for key, slab in stored_slabs(subject.store, subject.key, level.descriptor, kind):
                seen.add(key)
                ref = SlabRef(kind, level.id, *slab) if slab else None
                if ref is None or subject.slab_key(ref) != key:
                    text = "is not named like a slab" if ref is None else "is not where readers look for this slab"
                    subject.add("unlisted-slab", f"{text}: remove it", ref=ref, key=key, level=level.id)
                    continue
                stored.add(ref)
                if listed is not None and ref not in listed:
                    subject.add("unlisted-slab", "is not in the list: invisible to joins, copies and updates", ref=ref)
    _check_strays(subject, seen)
    return stored


def _check_strays(subject: Subject, seen: set[str]) -> None:
    """Files of the data root that belong to no level of the descriptor."""
    folder = _folder(subject)
    for tree in _data_trees(subject):
        for key in subject.store.list(f"{folder}/{tree}" if folder else tree):
            if key not in seen:
                is_slab = key.endswith(".tif") or key.rpartition("/")[2].startswith(("DATA_", "MASK_"))
                text = "belongs to no level of the descriptor"
                subject.add("unlisted-slab", text, "error" if is_slab else "warning", key=key)


def _folder(subject: Subject) -> str:
    """What the names of data trees are relative to."""
    is_file = subject.levels[0].descriptor.storage is StorageType.FILE
    return os.path.dirname(subject.key) if is_file else ""


def _check_place(subject: Subject, ref: SlabRef) -> None:
    level = subject.level(ref.level)
    if level is None:
        return
    tiles = slab_tiles(level, ref)
    matrix = level.matrix
    if tiles.min_col >= matrix.matrix_width or tiles.min_row >= matrix.matrix_height:
        size = f"{matrix.matrix_width} x {matrix.matrix_height}"
        subject.add("slab-place", f"the slab is outside the matrix of {size} tiles", ref=ref)
    elif level.limits.intersection(tiles) is None:
        text = "the slab is outside the tile limits {0.min_col}-{0.max_col}, {0.min_row}-{0.max_row}"
        subject.add("slab-place", text.format(level.limits) + " (columns, rows): servers never read it", ref=ref)


def slab_tiles(level: Level, ref: SlabRef) -> TileLimits:
    """The tiles of a slab."""
    across, down = level.tiles_per_width, level.tiles_per_height
    return TileLimits(ref.row * down, (ref.row + 1) * down - 1, ref.col * across, (ref.col + 1) * across - 1)


def _check_link(subject: Subject, ref: SlabRef, entry: ListEntry | None) -> None:
    """Links between files; those between objects show when the slabs are read."""
    if not isinstance(subject.store, FileStore):
        return
    path = subject.store.path(subject.slab_key(ref))
    if path.is_symlink():
        target = path.parent / os.readlink(path)
        if target.is_symlink():
            subject.add("link", f"links to {target}, itself a link: links must lead to the slab in one hop", ref=ref)
        if entry is not None and entry.root == 0:
            subject.add("link", "is a link, but the list says the pyramid owns it (root 0)", "warning", ref=ref)
    elif entry is not None and entry.root > 0 and path.stat().st_nlink == 1:
        subject.add("link", f"is a file of its own, but the list says root {entry.root} owns it", "warning", ref=ref)


def _check_temporary(subject: Subject) -> None:
    """Hidden names in the data root, and the hidden folder of an unfinished build next to it."""
    if not isinstance(subject.store, FileStore):
        subject.report.skipped["temporary"] = "only folders can hold temporary files"
        return
    folder = _folder(subject)
    for tree in sorted(_data_trees(subject)):
        root = subject.store.path(f"{folder}/{tree}" if folder else tree)
        changing = root.with_name(f".{root.name}.change").exists()
        for path in _hidden(str(root)):
            if changing and path == str(root / ".change"):
                continue  # there while this tree and another one change places
            key = os.path.relpath(path, subject.store.root)
            subject.add("temporary", "a hidden name in the data root, left by unfinished work: remove it", key=key)
        for use in ("building", "journal", "change"):
            unfinished = root.with_name(f".{root.name}.{use}")
            if unfinished.exists():
                key = os.path.relpath(unfinished, subject.store.root)
                work = "change" if changing else "build"
                text = f"a {work} of this pyramid is at work, or was left unfinished"
                subject.add("temporary", text, "warning", key=key)


def _hidden(root: str) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        yield from (os.path.join(folder, name) for name in sorted(files + folders) if name.startswith("."))
        folders[:] = [name for name in folders if not name.startswith(".")]
