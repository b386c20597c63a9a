"""The tree of a pyramid in a folder and the one that takes its place, with descriptor and list, in one step.

Both trees hold a hidden folder ``.change`` with their descriptor and list, and a word that says which of the two they
are. ``X.json`` and ``X.list`` become symbolic links into the tree ``X`` before the exchange, so that all three change
at once, and files again after it. Every step may be done again: after a death the same call goes on.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection
from pathlib import Path

from ..errors import ConfigError
from ..store import Chunk, FileStore
from ..store.exchange import exchange, finish_exchange
from ..store.hidden import remove_tree

__all__ = ["INSIDE", "NEW", "OLD", "fill", "mark", "marked", "place"]

INSIDE = ".change"
"""The hidden folder in both trees."""

NEW, OLD = "new", "old"

_FILES = {".json": "descriptor", ".list": "list"}
_NO_LINKS = {errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}
"""What file systems answer that have no hard links, or no more of them for this file."""


def fill(tree: Path, other: Path, but: Collection[str]) -> None:
    """Give ``other`` all files of ``tree`` except those whose keys are ``but``: as hard links, links as they are.

    Raises ConfigError for a folder that is a link, OSError.
    """
    for folder, folders, names in os.walk(tree, onerror=_fail):
        base = os.path.relpath(folder, tree)
        if base == ".":
            folders[:] = [name for name in folders if name != INSIDE]
        for name in folders:
            if os.path.islink(os.path.join(folder, name)):
                raise ConfigError(f"{folder}/{name} is a link to a folder: copy the pyramid first (fastpyr copy)")
        target = other / base
        made = False
        for name in names:
            key = os.path.normpath(os.path.join(base, name)).replace(os.sep, "/")
            if key in but or (name.startswith(".") and name.endswith(".part")):
                continue
            if not made:
                target.mkdir(parents=True, exist_ok=True)
                made = True
            _link(Path(folder) / name, target / name)


def _fail(error: OSError) -> None:
    raise error


def _link(source: Path, target: Path) -> None:
    """``target`` is the same file as ``source``, or the same link; a copy where there are no hard links."""
    target.unlink(missing_ok=True)
    if source.is_symlink():
        os.symlink(os.readlink(source), target)
        return
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        FileStore(target.parent).put(target.name, [source.read_bytes()])


def mark(other: Path, word: str, files: dict[str, Chunk]) -> None:
    """Write into a tree what it is and what belongs to it: ``files`` by name. Raises StoreError."""
    store = FileStore(other / INSIDE)
    for name, data in files.items():
        store.put(name, [data])
    store.put("which", [word.encode()])


def marked(tree: Path) -> str | None:
    """Which of the two a tree says it is."""
    try:
        word = (tree / INSIDE / "which").read_text()
    except OSError:
        return None
    return word if word in (NEW, OLD) else None


def place(tree: Path, other: Path, wanted: str) -> None:
    """See to it that the ``wanted`` one of two trees is at ``tree``, with its descriptor and list. Raises OSError.

    One of them at least is marked, unless all was done before.
    """
    aside = tree.with_name(f".{tree.name}.replaced")
    finish_exchange(tree, other, aside)
    if _current(tree, other, wanted) != wanted:
        _enter(tree, OLD if wanted == NEW else NEW)
        exchange(tree, other, aside)
    _leave(tree)


def _current(tree: Path, other: Path, otherwise: str) -> str:
    """Which one is at ``tree``; a tree whose mark is gone was not, or is no more, part of an exchange."""
    word = marked(tree)
    if word is None:
        word = {NEW: OLD, OLD: NEW}.get(marked(other) or "", otherwise)
    return word


def _enter(tree: Path, word: str) -> None:
    """Mark a tree, and make its descriptor and list links into it."""
    mark(tree, word, {})
    for suffix, name in _FILES.items():
        path = tree.with_name(tree.name + suffix)
        if path.is_symlink():
            continue
        inside = tree / INSIDE / name
        inside.unlink(missing_ok=True)
        if path.exists():
            _link(path, inside)
        link = tree.with_name(f".{tree.name}.change") / f"link{suffix}"
        link.unlink(missing_ok=True)
        # Read from where it will be: relative, so that the folder of the pyramid may be called differently elsewhere.
        os.symlink(f"{tree.name}/{INSIDE}/{name}", link)
        os.replace(link, path)


def _leave(tree: Path) -> None:
    """Make descriptor and list files again, and forget about the exchange."""
    for suffix, name in _FILES.items():
        path, inside = tree.with_name(tree.name + suffix), tree / INSIDE / name
        if not path.is_symlink():
            continue
        if inside.exists():
            os.replace(inside, path)
        else:  # a pyramid without a list
            path.unlink()
    with contextlib.suppress(FileNotFoundError):
        remove_tree(tree / INSIDE)
