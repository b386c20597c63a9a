"""The files of deliveries: names that stay inside, arrivals that are whole or absent."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import ConflictError, NotFoundError, RequestError, StoreError

__all__ = ["FileArea", "folder_size", "remove_tree", "safe_path", "store_error", "write_all"]

_MAX_PATH = 1024
_MAX_NAME = 200
_MAX_DEPTH = 50
_RESERVED = frozenset('\\:*?"<>|')
"""Not in names: they mean something elsewhere."""


def safe_path(text: str) -> str:
    """The relative path of a delivered file, with ``/``. Raises RequestError for one that could lead anywhere else."""
    if not text or len(text.encode("utf-8", "surrogatepass")) > _MAX_PATH:
        raise RequestError(f"path: expected 1 to {_MAX_PATH} bytes")
    parts = text.split("/")
    if len(parts) > _MAX_DEPTH:
        raise RequestError(f"path: more than {_MAX_DEPTH} folders in one another")
    for part in parts:
        strange = any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) <= 0xDFFF or c in _RESERVED for c in part)
        if part in ("", ".", "..") or strange or len(part.encode("utf-8", "replace")) > _MAX_NAME:
            raise RequestError(
                f"path {text[:80]!r}: expected names separated by single slashes, without .. and special characters"
            )
        if part.startswith(".") or part != part.strip():
            raise RequestError(f"path {text[:80]!r}: a name may not begin with a dot, nor begin or end with a blank")
    return "/".join(parts)


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write to an unbuffered file, which may take less than it is given at once."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


class FileArea:
    """The files of one delivery, in ``folder/data``; what is arriving waits in ``folder/incoming``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._incoming = folder / "incoming"

    def create(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        self._incoming.mkdir(exist_ok=True)

    def path(self, relative: str) -> Path:
        """The place of a file. Raises RequestError."""
        return self.data / safe_path(relative)

    def existing(self, relative: str) -> Path:
        """A file that is there. Raises NotFoundError."""
        path = self.path(relative)
        if not path.is_file() or path.is_symlink():
            raise NotFoundError(f"no file {relative[:200]} in this delivery")
        return path

    @contextmanager
    def arriving(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A hidden file to write to and its path, for ``keep``; removed when it is still there at the end."""
        path = self._incoming / secrets.token_hex(16)
        try:
            self.create()
            file = open(path, "xb", buffering=0)  # noqa: SIM115 (closed below)
        except OSError as error:
            raise store_error("write", path, error) from error
        try:
            with file:
                yield file, path
        except OSError as error:
            raise store_error("write", path, error) from error
        finally:
            path.unlink(missing_ok=True)

    def keep(self, arrived: Path, relative: str) -> None:
        """Give a written file its name. Raises ConflictError when something of that name, or a file where a folder
        is needed, is there."""
        target = self.path(relative)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(arrived, target)  # refuses to replace, unlike a rename
        except (FileExistsError, NotADirectoryError) as error:
            raise ConflictError(f"{relative[:200]} is already in this delivery: delete it first") from error
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise store_error("write", target, error) from error
            if target.exists():
                raise ConflictError(f"{relative[:200]} is already in this delivery: delete it first") from error
            os.replace(arrived, target)  # a file system without links

    def remove(self, relative: str) -> None:
        """Delete a file, and the folders that it leaves empty. Raises NotFoundError."""
        path = self.existing(relative)
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == self.data:
                break
            try:
                parent.rmdir()
            except OSError:
                break

    def tree(self) -> list[dict[str, Any]]:
        """Folders and files as the platform lists them; a folder's size is that of all in it."""
        return _tree(self.data) if self.data.is_dir() else []

    def names(self) -> list[str]:
        """Relative paths of all files, sorted."""
        return sorted(_names(self.tree(), ""))

    @property
    def size(self) -> int:
        return sum(entry["size"] for entry in self.tree())


def _tree(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        with suppress(FileNotFoundError):  # deleted meanwhile
            if entry.is_dir(follow_symlinks=False):
                children = _tree(Path(entry.path))
                size = sum(child["size"] for child in children)
                found.append({"type": "DIRECTORY", "name": entry.name, "size": size, "children": children})
            elif entry.is_file(follow_symlinks=False):
                found.append({"type": "FILE", "name": entry.name, "size": entry.stat(follow_symlinks=False).st_size})
    return found


def _names(tree: list[dict[str, Any]], prefix: str) -> Iterator[str]:
    for entry in tree:
        name = f"{prefix}{entry['name']}"
        if entry["type"] == "FILE":
            yield name
        else:
            yield from _names(entry["children"], f"{name}/")


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder; links lead to what is counted elsewhere, and what is hidden is work."""
    total = 0
    with os.scandir(folder) as scan:
        for entry in scan:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                total += folder_size(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                total += entry.stat(follow_symlinks=False).st_size
    return total


def remove_tree(folder: Path) -> None:
    """Delete a folder and all in it; one that is absent is fine. It is first given a name that nothing refers to, so
    that a deletion that is interrupted leaves no half-empty delivery or pyramid."""
    if not folder.exists():
        return
    doomed = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.deleted")
    try:
        os.rename(folder, doomed)
        shutil.rmtree(doomed)
    except FileNotFoundError:
        return
    except OSError as error:
        raise store_error("remove", folder, error) from error


def store_error(verb: str, path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot {verb} {path}: {error.strerror or error}")
