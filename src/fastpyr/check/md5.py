"""Lists of MD5 signatures, in the forms that tools write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fastpyr.errors import SourceError

__all__ = ["Signature", "SignatureList", "lists_in", "read_md5_list", "resolve"]

_PLAIN = re.compile(r"\\?([0-9a-fA-F]{32})[ \t]+\*?(.+)")
"""``md5sum``: two blanks, or a blank and a star for binary mode; a backslash first when the name has escapes."""
_BSD = re.compile(r"MD5 \((.+)\) = ([0-9a-fA-F]{32})")
_ALONE = re.compile(r"[0-9a-fA-F]{32}")
_MAX_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Signature:
    """``path`` as the list writes it, with ``/``; ``digest`` in small letters; ``line`` counts from 1."""

    digest: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class SignatureList:
    """``strange``: (line number, text) of lines that are no signatures."""

    file: Path
    signatures: tuple[Signature, ...]
    strange: tuple[tuple[int, str], ...]


def read_md5_list(file: Path) -> SignatureList:
    """The signatures of a file: ``md5  path`` as md5sum writes it (text or binary mode), ``MD5 (path) = md5`` as BSD
    does, or the signature alone in ``<name>.md5``. Empty lines and lines that begin with ``#`` are passed over.

    Raises SourceError when the file cannot be read.
    """
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise SourceError(f"{file}: larger than {_MAX_BYTES >> 20} MiB: not a list of MD5 signatures")
        text = file.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}") from error
    found, strange = [], []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if match := _PLAIN.fullmatch(line):
            digest, path = match[1], match[2]
        elif match := _BSD.fullmatch(line):
            digest, path = match[2], match[1]
        elif _ALONE.fullmatch(line) and file.suffix.lower() == ".md5":
            digest, path = line, file.stem
        else:
            strange.append((number, line[:100]))
            continue
        found.append(Signature(digest.lower(), path.strip().replace("\\", "/"), number))
    return SignatureList(file, tuple(found), tuple(strange))


def resolve(path: str, folder: Path, roots: Sequence[Path]) -> Path | None:
    """The file that a list in ``folder`` means by ``path``; None when there is none inside ``folder`` or ``roots``.

    Paths are relative to the list's folder or to a root of the delivery; they may begin with ``data/``, or with the
    name of the root itself.
    """
    parts = [part for part in PurePosixPath(path).parts if part != "."]
    if not parts or ".." in parts or parts[0] == "/" or "\0" in path:
        return None
    tries: list[Path] = []
    for base in (folder, *roots):
        tries.append(base.joinpath(*parts))
        if len(parts) > 1:
            if parts[0] == "data":
                tries.append(base.joinpath(*parts[1:]))
            if parts[0] == base.name:
                tries.append(base.joinpath(*parts[1:]))
    return next((file for file in tries if _is_file(file)), None)


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except (OSError, ValueError):
        return False


def lists_in(folders: Iterable[Path]) -> list[Path]:
    """The files ``*.md5`` below folders, sorted."""
    found = {file for folder in folders for file in folder.rglob("*.md5") if file.is_file()}
    return sorted(found)
