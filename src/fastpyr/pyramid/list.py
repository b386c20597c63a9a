"""The list of a pyramid's slabs ``<name>.list``.

::

    0=<root of the pyramid's own data>
    <i>=<root of another pyramid>          when slabs are linked, i >= 1
    #
    <i>/<path of the slab below root i>    one line per slab; an md5 may follow after a blank
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..errors import DescriptorError, StoreError
from ..formats import SlabKind
from ..frozen import frozen
from ..store.naming import SLAB_SUFFIX, parse_object_name, parse_slab_path

__all__ = ["ListEntry", "SlabList", "SlabName", "parse_list"]

_ROOT = re.compile(r"([0-9]{1,9})=(.+)")
_ENTRY = re.compile(r"([0-9]{1,9})/(.+?)(?: ([0-9a-fA-F]{32}))?")
_KINDS = {
    "DATA": SlabKind.DATA,
    "IMG": SlabKind.DATA,
    "IMAGE": SlabKind.DATA,
    "MASK": SlabKind.MASK,
    "MSK": SlabKind.MASK,
}


class SlabName(NamedTuple):
    """What a list entry's path says."""

    kind: SlabKind
    level: str
    col: int
    row: int


class ListEntry(NamedTuple):
    """A slab: ``root`` is the index of its owner (0: this pyramid), ``path`` the rest of its path or name there."""

    root: int
    path: str
    md5: str | None = None

    def slab(self) -> SlabName:
        """Kind, level and slab indices of the path. Raises DescriptorError when it is not that of a slab."""
        try:
            head, _, rest = self.path.partition("/")
            if head in _KINDS and rest.endswith(SLAB_SUFFIX):
                level, _, path = rest.partition("/")
                return SlabName(_KINDS[head], level, *parse_slab_path(path))
            return SlabName(*parse_object_name(self.path))
        except StoreError as error:
            raise DescriptorError(f"list entry {self.path[:120]!r}: {error}") from None


@frozen
class SlabList:
    """Roots by index, and the slabs. ``roots[0]`` is the folder or tray of the pyramid's own data."""

    roots: dict[int, str]
    entries: list[ListEntry]

    @classmethod
    def owned(cls, root: str, paths: Iterable[str]) -> SlabList:
        """List of a pyramid that owns all its slabs; ``paths`` as ``DATA/18/3E/42/01.tif``."""
        return cls({0: root}, [ListEntry(0, path) for path in paths])

    def _lines(self) -> Iterator[str]:
        for index in sorted(self.roots):
            yield f"{index}={self.roots[index]}\n"
        yield "#\n"
        for root, path, md5 in self.entries:
            yield f"{root}/{path} {md5}\n" if md5 else f"{root}/{path}\n"

    def to_bytes(self) -> bytes:
        """The file: own root first, entries in the order they have here.

        Raises DescriptorError when root 0 or the root of an entry is missing, or a name contains a line break.
        """
        if 0 not in self.roots:
            raise DescriptorError("a slab list needs root 0, the pyramid's own data")
        unknown = {entry.root for entry in self.entries} - self.roots.keys()
        if unknown:
            raise DescriptorError(f"slab list entries refer to root {min(unknown)}, which is not declared")
        text = "".join(self._lines())
        if text.count("\n") != len(self.roots) + 1 + len(self.entries) or "\r" in text:
            raise DescriptorError("a name in a slab list contains a line break: rename the folder")
        return text.encode()


def parse_list(data: bytes, name: str = "list") -> SlabList:
    """The slab list in ``data``; ``name`` is what messages call it.

    Accepts the roots in any order and Windows line ends. Raises DescriptorError naming the line: no ``#``, no root 0,
    a root declared twice, an entry of an undeclared root, a path that is absolute or climbs.
    """
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        raise DescriptorError(f"{name} is not a slab list: it is not UTF-8 text") from None
    roots: dict[int, str] = {}
    entries: list[ListEntry] = []
    in_roots = True
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\r")
        if not line:
            continue
        if in_roots and line == "#":
            in_roots = False
        elif in_roots:
            match = _ROOT.fullmatch(line)
            if not match or int(match[1]) in roots:
                raise DescriptorError(f"{name}, line {number}: {line[:80]!r} does not declare a new root (0=...)")
            roots[int(match[1])] = match[2]
        else:
            match = _ENTRY.fullmatch(line)
            if not match or int(match[1]) not in roots or not _is_inside(match[2]):
                raise DescriptorError(f"{name}, line {number}: {line[:80]!r} is not a slab of a declared root")
            entries.append(ListEntry(int(match[1]), match[2], match[3]))
    if in_roots or 0 not in roots:
        missing = "a line # between roots and slabs" if in_roots else "root 0, the pyramid's own data"
        raise DescriptorError(f"{name} is not a slab list: it lacks {missing}")
    return SlabList(roots, entries)


def _is_inside(path: str) -> bool:
    return "\0" not in path and not path.startswith("/") and ".." not in path.split("/")
