"""The fields of a TIFF file, classic or Big, in either byte order, for readers that know what they want."""

from __future__ import annotations

import struct
from typing import IO, Any, NamedTuple

__all__ = ["FIELD_SIZES", "INTEGERS", "Directory", "Field", "read_directory"]

INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""struct codes of the field types of counts and offsets: BYTE, SHORT, LONG, LONG8."""
FIELD_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value, by field type."""
_ASCII, _SHORT, _DOUBLE = 2, 3, 12
_MAX_FIELDS = 4096
_FEW = 8


class Field(NamedTuple):
    """A field's type, how many values it has, and where the first one is in the file."""

    kind: int
    length: int
    position: int


class Directory(NamedTuple):
    """One directory of a file.

    ``order``: struct's sign of the byte order. ``fields``: by tag. ``values``: of the fields with at most 8 unsigned
    integers. ``following``: position of the next directory, 0 at the last one.
    """

    order: str
    fields: dict[int, Field]
    values: dict[int, tuple[int, ...]]
    following: int

    def shorts(self, file: IO[bytes], tag: int, most: int) -> tuple[int, ...]:
        """The values of a SHORT field; ValueError for another type, or more than ``most``."""
        return self._numbers(file, tag, most, _SHORT, "H")

    def doubles(self, file: IO[bytes], tag: int, most: int) -> tuple[float, ...]:
        """The values of a DOUBLE field; ValueError for another type, or more than ``most``."""
        return self._numbers(file, tag, most, _DOUBLE, "d")

    def text(self, file: IO[bytes], tag: int, most: int) -> bytes:
        """The bytes of an ASCII field, closing zeros included; ValueError for another type, or more than ``most``."""
        return bytes(self._numbers(file, tag, most, _ASCII, "B"))

    def _numbers(self, file: IO[bytes], tag: int, most: int, kind: int, code: str) -> tuple[Any, ...]:
        field = self.fields[tag]
        if field.kind != kind or not 0 < field.length <= most:
            raise ValueError(f"field {tag} is not what it should be")
        return _unpack(file, field.position, f"{self.order}{field.length}{code}")


def _unpack(file: IO[bytes], position: int, code: str) -> tuple[Any, ...]:
    file.seek(position)
    return struct.unpack(code, file.read(struct.calcsize(code)))


def read_directory(file: IO[bytes], start: int | None = None) -> Directory:
    """The directory at ``start``, the first one by default. ValueError, KeyError, struct.error if unusual."""
    file.seek(0)
    order = {b"II": "<", b"MM": ">"}[file.read(2)]
    (version,) = _unpack(file, 2, order + "H")
    big = version == 43
    if version != 42 and not (big and _unpack(file, 4, order + "HH") == (8, 0)):
        raise ValueError("not a TIFF")
    word, counter, entry, inline = ("Q", "Q", "HHQ8s", 8) if big else ("I", "H", "HHI4s", 4)
    if start is None:
        (start,) = _unpack(file, 8 if big else 4, order + word)
    (count,) = _unpack(file, start, order + counter)
    if count > _MAX_FIELDS:
        raise ValueError("too many fields")
    first = start + struct.calcsize(order + counter)
    length = struct.calcsize(order + entry)
    file.seek(first)
    entries = struct.iter_unpack(order + entry, file.read(count * length))
    fields: dict[int, Field] = {}
    values: dict[int, tuple[int, ...]] = {}
    for n, (tag, kind, number, _) in enumerate(entries):
        if tag in fields:
            raise ValueError("a field occurs twice")
        place = first + (n + 1) * length - inline
        if number * FIELD_SIZES[kind] > inline:
            (place,) = _unpack(file, place, order + word)
        fields[tag] = Field(kind, number, place)
        if kind in INTEGERS and 0 < number <= _FEW:
            values[tag] = _unpack(file, place, f"{order}{number}{INTEGERS[kind]}")
    (following,) = _unpack(file, first + count * length, order + word)
    return Directory(order, fields, values, following)
