"""Hidden folders that one builder works in: locked while it lives, taken over or removed when it is dead."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from pathlib import Path

from ..errors import StoreError

__all__ = ["HiddenFolder", "make_parents", "remove_empty", "remove_tree", "sweep"]

_TRASH_BYTES = 4


class HiddenFolder:
    """A folder that is locked until ``remove`` or ``release``; the lock dies with the process.

    ``owner`` is what the work is for, as messages name it. ``adopt``: a dead builder's folder is taken over with all
    that is in it (``adopted`` is then True), otherwise it is removed. Raises StoreError when its builder lives,
    OSError when the folder cannot be made.
    """

    def __init__(self, path: Path, owner: Path, adopt: bool = False) -> None:
        self.path = path
        self._owner = owner
        self.adopted = False
        sweep(path.parent, f"{path.name}-", 2 * _TRASH_BYTES)
        self._lock: int | None = self._begin(adopt)

    @property
    def is_open(self) -> bool:
        """False after ``remove`` or ``release``."""
        return self._lock is not None

    def remove(self) -> None:
        """Remove the folder and its content, then unlock. Raises OSError. Does nothing when it is not open."""
        if self._lock is not None:
            try:
                remove_tree(self.path)
            finally:
                self.release()

    def release(self) -> None:
        """Unlock and leave everything in place."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _begin(self, adopt: bool) -> int:
        while True:
            found = False
            try:
                os.mkdir(self.path)
            except FileExistsError:
                if not adopt:
                    self._clear_dead()
                    continue
                found = True
            try:
                descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            locked = _try_lock(descriptor)
            if locked and _same_file(descriptor, self.path):
                self.adopted = found
                return descriptor
            os.close(descriptor)  # another builder took it in between
            if found and not locked:
                raise self._at_work()

    def _at_work(self) -> StoreError:
        return StoreError(f"{self._owner} is being built by another process: wait for its end, or stop it")

    def _clear_dead(self) -> None:
        """Remove the folder of a dead builder. Raises StoreError when its builder lives."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            if not _try_lock(descriptor):
                raise self._at_work()
            if _same_file(descriptor, self.path):
                # Moved away first, so that nobody finds it half removed.
                trash = self.path.with_name(f"{self.path.name}-{os.urandom(_TRASH_BYTES).hex()}")
                os.rename(self.path, trash)
                remove_tree(trash)
        finally:
            os.close(descriptor)


def make_parents(path: Path) -> list[Path]:
    """Make the missing folders above ``path``; those that were made, outermost first. Raises OSError."""
    made = []
    for folder in reversed([folder for folder in path.parents if not folder.exists()]):
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            made.append(folder)
    return made


def remove_empty(folders: list[Path]) -> None:
    """Undo ``make_parents`` as far as the folders are still empty."""
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            folder.rmdir()


def remove_tree(path: Path) -> None:
    """Remove a folder with all its content, or a file or link of that name."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep(folder: Path, start: str, digits: int) -> None:
    """Remove what a process that died while it removed ``<start><digits hexadecimal digits>`` left of it."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(start)]
    except OSError:
        return
    for name in names:
        rest = name[len(start) :]
        if len(rest) == digits and not rest.strip("0123456789abcdef"):
            with contextlib.suppress(OSError):
                remove_tree(folder / name)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network file systems cannot lock folders: go on without, as they leave no choice.
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
    return True


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
