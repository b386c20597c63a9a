"""Building a new tree of files aside, under a hidden name, and giving it its final name at once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Protocol

from ..errors import StoreError
from .atomic import store_error
from .base import Chunk, check_key, leave
from .hidden import HiddenFolder, make_parents, remove_empty, remove_tree
from .layout import FILE_LAYOUT

__all__ = ["FileStaging", "mend_replacement"]


class _Tree(Protocol):
    """What is needed of the store that holds the hidden folder."""

    def put(self, key: str, chunks: Sequence[Chunk]) -> None: ...

    def get(self, key: str) -> bytes: ...

    def get_range(self, key: str, offset: int, size: int) -> bytes: ...


class FileStaging:
    """The folder ``.<name>.building`` next to the folder ``<name>`` it will become.

    The hidden folder is locked while its builder lives: a second builder of the same tree is refused. What a dead one
    left is removed, or taken over with ``adopt``. Stop all writers before ``publish``, ``suspend`` or ``abort``.
    """

    layout = FILE_LAYOUT

    def __init__(self, path: Path, hidden: Path, tree: _Tree, adopt: bool = False) -> None:
        self.path = path
        self._tree = tree
        self._replaced = _replaced(path)
        self._made: list[Path] = []
        try:
            self._made = make_parents(path)
            mend_replacement(path)
            self._folder = HiddenFolder(hidden, path, adopt)
        except OSError as error:
            remove_empty(self._made)
            raise store_error("write", hidden, error) from error

    def __repr__(self) -> str:
        return f"FileStaging({str(self.path)!r})"

    @property
    def hidden(self) -> Path:
        """Where the tree is until it is published."""
        return self._folder.path

    def _check_open(self) -> None:
        if not self._folder.is_open:
            raise StoreError(f"{self.path}: this staging has ended, begin another one")

    def put(self, key: str, chunks: Sequence[Chunk]) -> None:
        self._check_open()
        self._tree.put(key, chunks)

    def get(self, key: str) -> bytes:
        return self._tree.get(key)

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        return self._tree.get_range(key, offset, size)

    def link(self, key: str, target: str) -> None:
        """Make an object of the tree a symbolic link to ``target``, a path from the object's folder.

        That path holds before and after ``publish``, when it leads out of the tree. Raises StoreError.
        """
        self._link(key, lambda path: path.symlink_to(target))

    def hard_link(self, key: str, target: str) -> None:
        """Make an object of the tree another name of the file ``target``. Raises StoreError."""
        self._link(key, lambda path: path.hardlink_to(target))

    def _link(self, key: str, make: Callable[[Path], object]) -> None:
        self._check_open()
        path = self.hidden / check_key(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            make(path)
        except OSError as error:
            raise store_error("write", path, error) from error

    def prune(self, keys: Container[str]) -> None:
        """Remove every file but those of ``keys``: what a dead builder had begun. Raises StoreError."""
        self._check_open()
        try:
            for folder, _, names in os.walk(self.hidden):
                base = os.path.relpath(folder, self.hidden).replace(os.sep, "/") + "/"
                for name in names:
                    if base.removeprefix("./") + name not in keys:
                        os.unlink(os.path.join(folder, name))
        except OSError as error:
            raise store_error("remove", self.hidden, error) from error

    def publish(self, overwrite: bool = False) -> None:
        """Rename the hidden folder to its final name.

        Raises StoreError when the name exists and ``overwrite`` is False, or the rename fails; the staging stays
        usable then. With ``overwrite`` the old tree is moved away, put back if the second rename fails, else removed.
        """
        self._check_open()
        exists = os.path.lexists(self.path)
        if exists and not overwrite:
            raise StoreError(f"{self.path} exists: choose another name, or overwrite it (--overwrite)")
        try:
            if exists:
                os.rename(self.path, self._replaced)
            try:
                os.rename(self.hidden, self.path)
            except BaseException:
                if exists:
                    os.rename(self._replaced, self.path)
                raise
        except OSError as error:
            raise store_error("write", self.path, error) from error
        self._folder.release()
        if exists:
            # The new tree is in place; an old one that resists is removed by the next builder.
            with contextlib.suppress(OSError):
                remove_tree(self._replaced)

    def suspend(self) -> None:
        """Leave all that was written for a builder that adopts it."""
        self._folder.release()

    def abort(self) -> None:
        """Remove the hidden folder and the folders made for it. Raises StoreError when that fails."""
        if not self._folder.is_open:
            return
        try:
            self._folder.remove()
        except OSError as error:
            raise store_error("remove", self.hidden, error) from error
        remove_empty(self._made)

    def __enter__(self) -> FileStaging:
        return self

    def __exit__(self, *exc_info: object) -> None:
        leave(self, exc_info[0] is not None)


def mend_replacement(path: Path) -> None:
    """Put back an old tree if a builder died between the two renames of ``publish``; forget it otherwise.

    Raises OSError.
    """
    replaced = _replaced(path)
    if os.path.lexists(replaced):
        if os.path.lexists(path):
            remove_tree(replaced)
        else:
            os.rename(replaced, path)


def _replaced(path: Path) -> Path:
    """Where an old tree is until the new one stands."""
    return path.with_name(f".{path.name}.replaced")
