"""Names of datasets and catalogs: ``DATABASE.OWNER.NAME``, of which the first two may be left out."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import ConfigError

__all__ = ["QualifiedName", "check_identifier", "physical_name"]

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TAKEN = re.compile(r"(?:[fs]\d+|(?:sde|gdb|pg|sqlite|sys|information)_.*)", re.IGNORECASE)
_RESERVED = frozenset({
    "all", "alter", "and", "as", "between", "by", "case", "check", "column", "create", "cross", "default",
    "delete", "distinct", "drop", "else", "end", "except", "exists", "false", "foreign", "from", "full", "grant",
    "group", "having", "in", "index", "inner", "insert", "intersect", "into", "is", "join", "key", "left", "like",
    "limit", "natural", "not", "null", "offset", "on", "or", "order", "outer", "primary", "references", "right",
    "select", "set", "table", "then", "to", "trigger", "true", "union", "unique", "update", "user", "using",
    "values", "view", "when", "where", "with"
})  # fmt: skip
_MAX = 48


def check_identifier(text: str, what: str) -> str:
    """The text when it can be part of a name: a letter, then letters, digits and ``_``. ConfigError otherwise."""
    if not _IDENTIFIER.fullmatch(text) or len(text) > _MAX or text.lower() in _RESERVED:
        raise ConfigError(
            f"{what} {text[:80]!r}: expected a letter followed by letters, digits and '_', at most {_MAX}, no SQL word"
        )
    return text


class QualifiedName(NamedTuple):
    """A name in its parts; None stands for the database's own name, and for its usual owner."""

    database: str | None
    owner: str | None
    name: str

    @classmethod
    def parse(cls, text: str) -> QualifiedName:
        """``NAME``, ``OWNER.NAME`` or ``DATABASE.OWNER.NAME``. Raises ConfigError."""
        parts = text.split(".")
        if not 1 <= len(parts) <= 3:
            raise ConfigError(f"dataset {text[:80]!r}: expected NAME, OWNER.NAME or DATABASE.OWNER.NAME")
        for part, what in zip(reversed(parts), ("dataset name", "owner", "database name"), strict=False):
            check_identifier(part, what)
        if _TAKEN.fullmatch(parts[-1]):
            raise ConfigError(f"dataset name {parts[-1]!r} is kept for the geodatabase's own tables: choose another")
        padded: list[str | None] = [None] * (3 - len(parts))
        return cls(*(padded + list(parts)))  # type: ignore[arg-type]


def physical_name(owner: str, name: str, usual_owner: str) -> str:
    """Name of the business table: the dataset's, with the owner before it where that is not the usual one."""
    plain = name.lower()
    return plain if owner.lower() == usual_owner.lower() else f"{owner.lower()}_{plain}"
