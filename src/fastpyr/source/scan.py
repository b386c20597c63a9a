"""Finding the source files that a command line names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from fastpyr.errors import SourceError

__all__ = ["RASTER_EXTENSIONS", "find_sources"]

RASTER_EXTENSIONS = frozenset(
    {".asc", ".bil", ".j2k", ".jp2", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".vrt"}
)  # fmt: skip
"""Files taken from folders and globs, whatever their case. World files, ``.msk`` and ``.aux.xml`` go with them."""


def find_sources(arguments: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Raster files of a list of files, folders and globs, in painting order: by file name, then by full path.

    Folders are searched to the bottom without following links to folders; hidden files and folders are passed over.
    A file named outright is taken whatever its extension. Each file comes once. SourceError for an argument that
    exists nowhere or holds no raster.
    """
    found: dict[str, Path] = {}
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            files = _search(path)
        elif path.exists():
            files = [path]
        elif glob.has_magic(os.fspath(path)):
            files = []
            for match in map(Path, glob.glob(os.fspath(path), recursive=True)):
                files += _search(match) if match.is_dir() else [match] if _is_raster(match.name) else []
        else:
            raise SourceError(f"{path}: no such file or folder")
        if not files:
            known = " ".join(sorted(RASTER_EXTENSIONS))
            raise SourceError(f"{path}: no raster found there (looked for {known})")
        for file in files:
            found.setdefault(os.path.realpath(file), file)
    if not found:
        raise SourceError("no source given: name files, folders or globs")
    return sorted(found.values(), key=lambda file: (file.name, os.fspath(file)))


def _is_raster(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in RASTER_EXTENSIONS


def _search(folder: Path) -> list[Path]:
    def fail(error: OSError) -> None:
        raise SourceError(f"{error.filename}: cannot be searched: {error.strerror}")

    files: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(parent, name) for name in names if _is_raster(name)]
    return files
