"""Writing one file so that nobody sees half of it, and saying clearly why a file operation failed."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import StoreError
from .base import Chunk, StoreNotFound

__all__ = ["store_error", "whole_raster", "write_atomically"]

_IOV_MAX = 1024  # buffers per writev call, the limit on Linux
_numbers = itertools.count()
_token = os.urandom(3).hex()  # tells apart processes of equal id on machines that share the folder

_CURES = {
    errno.ENOSPC: "no space left on the device: free some, or choose another folder",
    errno.EDQUOT: "the disk quota is used up: free some space, or choose another folder",
    errno.EACCES: "permission denied: choose another folder, or change its permissions",
    errno.EPERM: "permission denied: choose another folder, or change its permissions",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder: choose another folder",
    errno.EEXIST: "a part of the path is a file, not a folder: choose another folder",
    errno.EISDIR: "a folder has that name: remove it, or choose another name",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
    errno.EFBIG: "the file system does not take files of that size: choose another folder",
    errno.EXDEV: "it is on another file system than what it would be a hard link to: choose links or copies",
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
}


def store_error(verb: str, path: Path | str, error: OSError) -> StoreError:
    """The error to raise when ``verb`` ("read", "write", ...) failed on ``path``: why, and what to do."""
    if verb == "read" and error.errno in (errno.ENOENT, errno.ENOTDIR):
        return StoreNotFound(f"{path} does not exist")
    reason = _CURES.get(error.errno or 0) or (error.strerror or str(error) or "unknown reason").lower()
    return StoreError(f"cannot {verb} {path}: {reason}")


def write_atomically(path: str, chunks: Sequence[Chunk]) -> None:
    """Write ``chunks`` one after the other to ``path``, replacing a file of that name in one step.

    The bytes go to a hidden file in the same folder, which must exist; it is removed on any failure. Raises OSError.
    """
    folder, name = os.path.split(path)
    while True:
        temporary = os.path.join(folder, f".{name[:150]}.{os.getpid()}-{_token}-{next(_numbers)}.part")
        try:
            # Ordinary permissions (umask applies): servers run as other users.
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            break
        except FileExistsError:
            continue
    try:
        try:
            _write_all(descriptor, chunks)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def whole_raster(path: str | os.PathLike[str], example: str) -> Iterator[str]:
    """The name under which GDAL writes a GeoTIFF that takes the name ``path`` when the block ends without an error.

    It is hidden, beside the target; it and the files that GDAL puts beside it are removed on any failure. ``example``
    is a file's name for the message. Raises StoreError when ``path`` names a folder or lies in none, and in place of
    OSError.
    """
    target = os.fspath(path)
    folder, name = os.path.split(target)
    if not name or os.path.isdir(target):
        raise StoreError(f"cannot write {target!r}: it names a folder, give a file such as {example}")
    if folder and not os.path.isdir(folder):
        raise StoreError(f"cannot write {target}: the folder {folder} does not exist")
    temporary = os.path.join(folder, f".{name[:150]}.{os.getpid()}-{os.urandom(3).hex()}.part.tif")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {(error.strerror or str(error)).lower()}") from error
    finally:
        for leftover in (temporary, f"{temporary}.msk", f"{temporary}.aux.xml"):
            with contextlib.suppress(OSError):
                os.unlink(leftover)


def _write_all(descriptor: int, chunks: Sequence[Chunk]) -> None:
    """Write every byte, without joining the chunks."""
    views = [memoryview(chunk).cast("B") for chunk in chunks if len(chunk)]
    first = 0
    while first < len(views):
        written = os.writev(descriptor, views[first : first + _IOV_MAX])
        while first < len(views) and written >= len(views[first]):
            written -= len(views[first])
            first += 1
        if written:  # a partial write: go on inside the buffer
            views[first] = views[first][written:]
