"""Building a new tree of files aside, under a hidden name, and giving it its final name at once."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..errors import StoreError
from .atomic import store_error
from .base import Chunk

__all__ = ["FileStaging"]


class _Tree(Protocol):
    """What is needed of the store that holds the hidden folder."""

    def put(self, key: str, chunks: Sequence[Chunk]) -> None: ...

    def get(self, key: str) -> bytes: ...

    def get_range(self, key: str, offset: int, size: int) -> bytes: ...


class FileStaging:
    """The folder ``.<name>.building`` next to the folder ``<name>`` it will become.

    The hidden folder is locked while its builder lives: a second builder of the same tree is refused, and what a dead
    one left is removed. Stop all writers before ``publish`` or ``abort``.
    """

    def __init__(self, path: Path, hidden: Path, tree: _Tree) -> None:
        self.path = path
        self._hidden = hidden
        self._tree = tree
        self._replaced = path.with_name(f".{path.name}.replaced")
        self._made: list[Path] = []
        self._lock: int | None = None
        try:
            self._make_parents()
            self._restore()
            self._lock = self._begin()
        except OSError as error:
            self._remove_parents()
            raise store_error("write", hidden, error) from error

    def __repr__(self) -> str:
        return f"FileStaging({str(self.path)!r})"

    def _make_parents(self) -> None:
        missing = [folder for folder in self.path.parents if not folder.exists()]
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                self._made.append(folder)

    def _remove_parents(self) -> None:
        """Undo ``_make_parents`` as far as the folders are still empty."""
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _restore(self) -> None:
        """Put back the old tree if a builder died between the two renames of ``publish``; forget it otherwise."""
        if os.path.lexists(self._replaced):
            if os.path.lexists(self.path):
                _remove(self._replaced)
            else:
                os.rename(self._replaced, self.path)

    def _begin(self) -> int:
        """Make the hidden folder anew; the descriptor that locks it."""
        while True:
            try:
                os.mkdir(self._hidden)
            except FileExistsError:
                self._clear_dead()
                continue
            descriptor = os.open(self._hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            if self._try_lock(descriptor) and _same_file(descriptor, self._hidden):
                return descriptor
            os.close(descriptor)  # another builder took it in between

    def _clear_dead(self) -> None:
        """Remove the hidden folder of a dead builder. Raises StoreError when its builder lives."""
        try:
            descriptor = os.open(self._hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            if not self._try_lock(descriptor):
                raise StoreError(f"{self.path} is being built by another process: wait for its end, or stop it")
            if _same_file(descriptor, self._hidden):
                # Moved away first, so that nobody finds it half removed.
                trash = self._hidden.with_name(f"{self._hidden.name}-{secrets.token_hex(4)}")
                os.rename(self._hidden, trash)
                _remove(trash)
        finally:
            os.close(descriptor)

    @staticmethod
    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network file systems cannot lock folders: go on without, as they leave no choice.
            return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
        return True

    def _check_open(self) -> None:
        if self._lock is None:
            raise StoreError(f"{self.path}: this staging has ended, begin another one")

    def put(self, key: str, chunks: Sequence[Chunk]) -> None:
        self._check_open()
        self._tree.put(key, chunks)

    def get(self, key: str) -> bytes:
        return self._tree.get(key)

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        return self._tree.get_range(key, offset, size)

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
                os.rename(self._hidden, self.path)
            except BaseException:
                if exists:
                    os.rename(self._replaced, self.path)
                raise
        except OSError as error:
            raise store_error("write", self.path, error) from error
        self._unlock()
        if exists:
            # The new tree is in place; an old one that resists is removed by the next builder.
            with contextlib.suppress(OSError):
                _remove(self._replaced)

    def abort(self) -> None:
        """Remove the hidden folder and the folders made for it. Raises StoreError when that fails."""
        if self._lock is None:
            return
        try:
            _remove(self._hidden)
        except OSError as error:
            raise store_error("remove", self._hidden, error) from error
        finally:
            self._unlock()
        self._remove_parents()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> FileStaging:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if exc_info[0] is None:
            self.abort()
        else:  # never hide the error that brought us here
            with contextlib.suppress(StoreError):
                self.abort()


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    """Remove a folder with all its content, or a file or link of that name."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
