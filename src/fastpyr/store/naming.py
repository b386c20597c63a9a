"""How slabs and objects are called: base-36 paths in folders, decimal names in object storage."""

from __future__ import annotations

import re

from ..errors import ConfigError, StoreError
from ..formats import SlabKind

__all__ = [
    "DEFAULT_PATH_DEPTH",
    "LINK_SIGNATURE",
    "SLAB_SUFFIX",
    "check_level_id",
    "check_object_pyramid_name",
    "check_pyramid_name",
    "is_object_name",
    "object_link",
    "object_name",
    "parse_object_link",
    "parse_object_name",
    "parse_slab_path",
    "slab_directory",
    "slab_key",
    "slab_path",
]

DEFAULT_PATH_DEPTH = 2
"""Folders between a level and its slabs."""

SLAB_SUFFIX = ".tif"
LINK_SIGNATURE = b"SYMLINK#"
"""What an object begins with that stands for another one."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PATH = re.compile(r"(?:[0-9A-Z]{2})+(?:/[0-9A-Z]{2})*")
_OBJECT = re.compile(r"(DATA|MASK)_([^_/]+)_([0-9]{1,10})_([0-9]{1,10})")
_MAX_DEPTH = 32
_MAX_OBJECT_BYTES = 900  # object stores take names of 1024 bytes, the slab's own part included


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def slab_path(col: int, row: int, depth: int = DEFAULT_PATH_DEPTH) -> str:
    """Path of a slab inside its level's folder, without suffix: column 4032, row 18217 give ``3E/42/01``.

    Column and row (slab indices, not tile indices) are written in base 36 with the same number of digits, at least
    ``depth`` + 1, and woven digit by digit, column first. The last ``depth`` + 1 pairs are path parts; pairs before
    them stay glued to the first part. Raises ConfigError for negative numbers and a depth outside 0..32.
    """
    if col < 0 or row < 0 or not 0 <= depth <= _MAX_DEPTH:
        raise ConfigError(f"no slab path for column {col}, row {row}, depth {depth}: depth is 0 to {_MAX_DEPTH}")
    x, y = _base36(col), _base36(row)
    length = max(len(x), len(y), depth + 1)
    pairs = [a + b for a, b in zip(x.rjust(length, "0"), y.rjust(length, "0"), strict=True)]
    return "/".join(["".join(pairs[: length - depth]), *pairs[length - depth :]])


def parse_slab_path(path: str) -> tuple[int, int]:
    """(column, row) of a slab path, with or without ``.tif``; any number of glued pairs is read.

    Raises StoreError for what is not such a path.
    """
    stem = path.removesuffix(SLAB_SUFFIX)
    if len(stem) > 100 or not _PATH.fullmatch(stem):
        raise StoreError(f"{path[:120]!r} is not the path of a slab: expected base-36 pairs such as 3E/42/01.tif")
    digits = stem.replace("/", "")
    return int(digits[0::2], 36), int(digits[1::2], 36)


def slab_directory(pyramid: str, kind: SlabKind, level: str) -> str:
    """Folder of a level's slabs relative to the descriptor: ``ORTHO/DATA/18``."""
    return f"{pyramid}/{kind.value}/{level}"


def slab_key(directory: str, col: int, row: int, depth: int = DEFAULT_PATH_DEPTH) -> str:
    """Key of a slab below ``directory``: ``ORTHO/DATA/18/3E/42/01.tif``."""
    return f"{directory}/{slab_path(col, row, depth)}{SLAB_SUFFIX}"


def object_name(kind: SlabKind, level: str, col: int, row: int) -> str:
    """Name of a slab in object storage, inside its pyramid: ``DATA_18_4032_18217``."""
    return f"{kind.value}_{level}_{col}_{row}"


def parse_object_name(name: str) -> tuple[SlabKind, str, int, int]:
    """Kind, level, column and row of an object name (without the pyramid's name). Raises StoreError."""
    match = _OBJECT.fullmatch(name)
    if not match:
        raise StoreError(f"{name[:120]!r} is not the name of a slab object: expected e.g. DATA_18_4032_18217")
    return SlabKind(match[1]), match[2], int(match[3]), int(match[4])


def is_object_name(name: str) -> bool:
    """Whether ``name`` (without the pyramid's name) is that of a slab object."""
    return _OBJECT.fullmatch(name) is not None


def object_link(target: str) -> bytes:
    """Content of an object that stands for the slab ``target`` (tray and object name)."""
    return LINK_SIGNATURE + target.encode()


def parse_object_link(data: bytes) -> tuple[str, str] | None:
    """(tray, object name) a linking object points to, None when ``data`` is no link.

    Raises StoreError when the signature is there but no usable target follows.
    """
    if not data.startswith(LINK_SIGNATURE):
        return None
    try:
        tray, slash, name = data[len(LINK_SIGNATURE) :].decode().partition("/")
    except UnicodeDecodeError:
        tray = slash = name = ""
    if not (tray and slash and name) or "\0" in name or "\n" in name:
        raise StoreError("a linking object has no target: expected SYMLINK#<tray>/<object name>")
    return tray, name


def _has_control(text: str) -> bool:
    return any(ord(c) < 32 or ord(c) == 127 for c in text)


def check_pyramid_name(name: str) -> str:
    """``name`` when a folder pyramid may have it. Raises ConfigError saying what is wrong."""
    if not name or name in (".", "..") or len(name.encode(errors="replace")) > 200:
        raise ConfigError(f"pyramid name {name[:80]!r} cannot be used: give 1 to 200 characters (--name)")
    if name.startswith(".") or "/" in name or "\\" in name or _has_control(name):
        raise ConfigError(
            f"pyramid name {name!r} cannot be used: no slash, no control character and no dot in front (--name)"
        )
    return name


def check_object_pyramid_name(name: str) -> str:
    """``name`` when a pyramid in object storage may have it: as for folders, but ``/`` may group pyramids.

    Raises ConfigError saying what is wrong.
    """
    if len(name.encode(errors="replace")) > _MAX_OBJECT_BYTES:
        raise ConfigError(f"pyramid name {name[:80]!r}... is too long: give at most {_MAX_OBJECT_BYTES} bytes")
    for part in name.split("/"):
        check_pyramid_name(part)
    return name


def check_level_id(level: str) -> str:
    """``level`` when it can be part of paths and object names. Raises ConfigError."""
    if not level or level in (".", "..") or len(level) > 100 or any(c in level for c in "/\\_") or _has_control(level):
        raise ConfigError(f"level id {level[:80]!r} cannot be used in slab names: no slash and no underscore")
    return level
