"""Two folders change places in one step, where the system can, and what was written is forced to the disk."""

from __future__ import annotations

import ctypes
import errno
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["exchange", "finish_exchange", "force_to_disk"]

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}
"""What systems answer that do not know the operation, for all or for this kind of file system."""


@lru_cache(maxsize=1)
def _library() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def exchange(first: Path, second: Path, aside: Path) -> None:
    """Let two folders of one file system change places. Raises OSError.

    At once on Linux with its own file systems. Elsewhere (NFS, other systems) with three renames, ``first`` being at
    ``aside`` in between and nothing at its place for a moment: ``finish_exchange`` goes on after a death there.
    """
    if _exchanged(first, second):
        return
    os.rename(first, aside)
    finish_exchange(first, second, aside)


def finish_exchange(first: Path, second: Path, aside: Path) -> None:
    """Do what is left of an exchange; nothing when none was begun. Raises OSError."""
    if os.path.lexists(aside):
        if not os.path.lexists(first):
            os.rename(second, first)
        os.rename(aside, second)


def _exchanged(first: Path, second: Path) -> bool:
    """False when the system cannot do it in one step."""
    rename = getattr(_library(), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(first))


def force_to_disk(folder: Path) -> None:
    """Wait until all that was written to the file system of a folder is on its disk. Raises OSError."""
    sync = getattr(_library(), "syncfs", None)
    if sync is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if sync(descriptor):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(descriptor)
