"""A small tree of an XML document that is not trusted: no document type, and so no entity; bounded in every way."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from xml.parsers import expat

from ..errors import DecodeError

__all__ = ["XmlNode", "parse_xml"]

_MAX_BYTES = 16 << 20
_MAX_DEPTH = 40
_MAX_ELEMENTS = 200_000


@dataclass(slots=True)
class XmlNode:
    """An element: its name and ``xsi:type`` without prefixes, its text without white space around it."""

    name: str
    type: str
    children: list[XmlNode] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    def all(self, path: str) -> list[XmlNode]:
        """Descendants by names, ``Fields/FieldArray/Field``, in order."""
        nodes = [self]
        for name in path.split("/"):
            nodes = [child for node in nodes for child in node.children if child.name == name]
        return nodes

    def first(self, path: str) -> XmlNode | None:
        found = self.all(path)
        return found[0] if found else None

    def text(self, path: str, default: str | None = None) -> str:
        """DecodeError when it is missing and there is no default."""
        found = self.first(path)
        if found is not None:
            return "".join(found.parts).strip()
        if default is None:
            raise DecodeError(f"XML element {self.name} has no {path}")
        return default

    def number(self, path: str, default: float | None = None) -> float:
        """A finite number. DecodeError otherwise."""
        if default is not None and self.first(path) is None:
            return default
        text = self.text(path)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DecodeError(f"XML {path} is {text[:80]!r}: a finite number expected")
        return value

    def integer(self, path: str, least: int, most: int, default: int | None = None) -> int:
        """An integer from ``least`` to ``most``. DecodeError otherwise."""
        if default is not None and self.first(path) is None:
            return default
        value = self.number(path)
        if value != int(value) or not least <= value <= most:
            raise DecodeError(f"XML {path} is {value:.15g}: an integer from {least} to {most} expected")
        return int(value)

    def boolean(self, path: str, default: bool) -> bool:
        """``true``, ``false``, 1 or 0. DecodeError otherwise."""
        text = self.text(path, "true" if default else "false")
        if text not in ("true", "false", "1", "0"):
            raise DecodeError(f"XML {path} is {text[:80]!r}: true or false expected")
        return text in ("true", "1")


class _Refused(Exception):
    pass


class _Builder:
    """Handlers of the parser; the root is the only child of a node above it."""

    def __init__(self) -> None:
        self.top = XmlNode("", "")
        self._open = [self.top]
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > _MAX_ELEMENTS or len(self._open) > _MAX_DEPTH:
            raise _Refused(f"more than {_MAX_ELEMENTS} elements, or more than {_MAX_DEPTH} inside one another")
        types = (value for key, value in attributes.items() if _local(key) == "type")
        node = XmlNode(_local(name), _local(next(types, "")))
        self._open[-1].children.append(node)
        self._open.append(node)

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        self._open[-1].parts.append(data)

    def doctype(self, *_: object) -> None:
        raise _Refused("it has a document type, which may define entities")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def parse_xml(data: bytes) -> XmlNode:
    """The root of a document. DecodeError, one line, when it is not well-formed, too large or has a document type."""
    if len(data) > _MAX_BYTES:
        raise DecodeError(f"XML document of {len(data)} bytes: at most {_MAX_BYTES} are read")
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.EntityDeclHandler = builder.doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(data, True)
    except _Refused as error:
        raise DecodeError(f"XML document is refused: {error}") from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DecodeError(f"XML document is not well-formed ({' '.join(str(error).split())})") from None
    return builder.top.children[0]
