"""Pyramids in folders of a file system."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from glob import escape
from pathlib import Path

from ..errors import StoreError
from .atomic import store_error, write_atomically
from .base import Chunk, check_key, normal_key
from .layout import FILE_LAYOUT
from .staging import FileStaging, mend_replacement

__all__ = ["FileStore"]


class FileStore:
    """Objects as files below ``root``, which is created when the first object is written.

    Data is handed to the operating system but not forced to the disk: a file that was put survives the end of the
    process, not necessarily a power cut.
    """

    layout = FILE_LAYOUT

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        # Folders known to exist. Adding to a set and looking into it are atomic; making a folder twice is harmless.
        self._folders: set[str] = set()

    def __repr__(self) -> str:
        return f"FileStore({str(self.root)!r})"

    def location(self, key: str = "") -> str:
        return str(self.path(key)) if key else str(self.root)

    def path(self, key: str) -> Path:
        """The file of ``key``, existing or not."""
        return self.root / normal_key(key)

    def put(self, key: str, chunks: Sequence[Chunk]) -> None:
        path = os.path.join(self.root, check_key(key))
        folder = os.path.dirname(path)
        try:
            if folder not in self._folders:
                os.makedirs(folder, exist_ok=True)
                self._folders.add(folder)
            try:
                write_atomically(path, chunks)
            except FileNotFoundError:  # somebody removed the folder since
                os.makedirs(folder, exist_ok=True)
                write_atomically(path, chunks)
        except OSError as error:
            raise store_error("write", path, error) from error

    def get(self, key: str) -> bytes:
        path = self.path(key)
        try:
            descriptor, size = _open_regular(path)
            try:
                return _pread(descriptor, 0, size)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise store_error("read", path, error) from error

    def get_range(self, key: str, offset: int, size: int) -> bytes:
        path = self.path(key)
        if offset < 0 or size < 0:
            raise StoreError(f"{path}: cannot read {size} bytes at {offset}")
        try:
            descriptor, total = _open_regular(path)
            try:
                # Bounded by the file's size before anything is allocated.
                return _pread(descriptor, offset, min(size, max(total - offset, 0)))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise store_error("read", path, error) from error

    def exists(self, key: str) -> bool:
        path = self.path(key)
        try:
            return path.is_file()
        except OSError as error:
            raise store_error("read", path, error) from error

    def size(self, key: str) -> int:
        path = self.path(key)
        try:
            return path.stat().st_size
        except OSError as error:
            raise store_error("read", path, error) from error

    def list(self, prefix: str = "", after: str = "") -> Iterator[str]:
        top = self.path(prefix) if prefix else self.root
        if top.is_dir():
            yield from (key for key in _walk(str(top), normal_key(prefix) + "/" if prefix else "") if key > after)

    def delete(self, key: str) -> None:
        path = self.root / check_key(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise store_error("delete", path, error) from error

    def stage(self, name: str, overwrite: bool = False) -> FileStaging:
        path, hidden = self._places(name, "building")
        return FileStaging(path, hidden, FileStore(hidden))

    def resume(self, name: str) -> FileStaging:
        """As ``stage``, but what a dead builder left of the tree is taken over."""
        path, hidden = self._places(name, "building")
        return FileStaging(path, hidden, FileStore(hidden), adopt=True)

    def building(self, name: str) -> Path:
        """The hidden folder in which the tree ``name`` is built."""
        return self._places(name, "building")[1]

    def mend(self, name: str) -> None:
        """Settle what became of an old tree whose replacement was interrupted. Raises StoreError."""
        path = self.path(name)
        try:
            mend_replacement(path)
        except OSError as error:
            raise store_error("write", path, error) from error

    def unpublish(self, name: str) -> None:
        """Make a published tree one under construction again. Raises StoreError."""
        path, hidden = self._places(name, "building")
        try:
            os.rename(path, hidden)
        except OSError as error:
            raise store_error("write", hidden, error) from error

    def journal(self, name: str) -> Path:
        """The hidden folder for what the builder of the tree ``name`` writes down for itself."""
        return self._places(name, "journal")[1]

    def sweep(self, key: str) -> None:
        """Remove what writers of an object left that died over it. Call it only when no writer can be at work."""
        path = self.root / check_key(key)
        for left in path.parent.glob(f".{escape(path.name)}.*-*-*.part"):
            with contextlib.suppress(OSError):
                left.unlink()

    def _places(self, name: str, use: str) -> tuple[Path, Path]:
        path = self.root / check_key(name)
        return path, path.with_name(f".{path.name}.{use}")


def _open_regular(path: Path) -> tuple[int, int]:
    """Descriptor and size of a regular file. A pipe or device, which could block for ever, raises StoreError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise StoreError(f"cannot read {path}: it is not a regular file")
    return descriptor, status.st_size


def _pread(descriptor: int, offset: int, size: int) -> bytes:
    """``size`` bytes from ``offset``, fewer at the end of the file."""
    data = os.pread(descriptor, size, offset) if size else b""
    if len(data) == size:
        return data
    parts = [data]
    while data and size > len(data):  # one read moves at most 2 GiB on Linux
        size -= len(data)
        offset += len(data)
        data = os.pread(descriptor, size, offset)
        parts.append(data)
    return b"".join(parts)


def _walk(folder: str, base: str) -> Iterator[str]:
    """Keys of the files below ``folder``, sorted.

    Hidden names (unfinished work) are left out, and folders that are links, which could lead round in circles.
    """
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise store_error("read", folder, error) from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{base}{entry.name}/")
        elif entry.is_file():
            yield base + entry.name
