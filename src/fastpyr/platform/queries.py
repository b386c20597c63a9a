"""Lists: filters, order, pages, projection."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, String, cast, func, select
from sqlalchemy.orm import Session

from ..errors import RequestError

__all__ = ["Listing", "Query", "find", "match_text", "page_of"]

MAX_LIMIT = 10_000
DEFAULT_LIMIT = 10
_MAX_PAGE = 1_000_000_000
_TAG = re.compile(r"tags\[(.{1,100})\]", re.DOTALL)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is asked for. ``filters`` holds attribute values, with ``%`` for any characters."""

    page: int = 1
    limit: int = DEFAULT_LIMIT
    filters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()

    @classmethod
    def parse(cls, pairs: Sequence[tuple[str, str]]) -> Query:
        """From the parameters of a URL: ``page``, ``limit``, ``fields`` (repeated or comma-joined), ``sort``
        (``name,desc``), ``tags[key]``, and attributes. Raises RequestError naming the parameter."""
        filters: dict[str, str] = {}
        tags: dict[str, str] = {}
        fields: list[str] = []
        sort: list[tuple[str, bool]] = []
        page, limit = 1, DEFAULT_LIMIT
        for name, value in pairs:
            if "\0" in value or "\0" in name:
                raise RequestError(f"parameter {name[:50]!r}: holds a character that no text has")
            if name == "page":
                page = _number(name, value, _MAX_PAGE)
            elif name == "limit":
                limit = _number(name, value, MAX_LIMIT)
            elif name == "fields":
                fields += [word.strip() for word in value.split(",") if word.strip()]
            elif name == "sort":
                attribute, _, direction = value.partition(",")
                if direction.strip().lower() not in ("", "asc", "desc"):
                    raise RequestError(f"parameter sort: {value[:50]!r}, expected <attribute>,asc or <attribute>,desc")
                sort.append((attribute.strip(), direction.strip().lower() == "desc"))
            elif match := _TAG.fullmatch(name):
                tags[match[1]] = value
            else:
                filters[name] = value
        return cls(page, limit, filters, tags, tuple(fields), tuple(sort))

    @property
    def first(self) -> int:
        """Index of the page's first item, from 0."""
        return (self.page - 1) * self.limit


def _number(name: str, value: str, most: int) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 12 and 1 <= int(value) <= most):
        raise RequestError(f"parameter {name}: {value[:50]!r}, expected a whole number from 1 to {most}")
    return int(value)


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """A page of a list. ``total``: items on all pages."""

    items: list[Item]
    first: int
    total: int

    @property
    def content_range(self) -> str:
        """``1-10/12``: first and last item, counted from 1, and all; ``0-0/12`` for a page without items."""
        if not self.items:
            return f"0-0/{self.total}"
        return f"{self.first + 1}-{self.first + len(self.items)}/{self.total}"

    @property
    def is_partial(self) -> bool:
        return len(self.items) < self.total


def page_of(items: Sequence[Item], query: Query) -> Listing[Item]:
    """A page of a list in memory."""
    return Listing(list(items[query.first : query.first + query.limit]), query.first, len(items))


def match_text(pattern: str, value: str) -> bool:
    """Whether a value is the pattern, case aside; ``%`` in the pattern stands for any characters."""
    parts = [re.escape(part) for part in pattern.casefold().split("%")]
    return re.fullmatch(".*".join(parts), value.casefold(), re.DOTALL) is not None


def _like(column: Any, value: str) -> ColumnElement[bool]:
    """Equality without case; ``%`` stands for any characters, ``_`` for itself."""
    escaped = value.replace("\\", "\\\\").replace("_", "\\_")
    text = column if isinstance(column.type, String) else cast(column, String)
    condition: ColumnElement[bool] = text.ilike(escaped, escape="\\")
    return condition


def find(
    session: Session,
    model: Any,
    query: Query,
    columns: Mapping[str, Any],
    special: Mapping[str, Callable[[str], ColumnElement[bool]]],
    render: Callable[[Any], dict[str, Any]],
) -> Listing[dict[str, Any]]:
    """A page of the rows of ``model``, rendered and projected.

    ``columns``: attributes that can be filtered and sorted by; ``special``: conditions of other parameters. Raises
    RequestError for a parameter that is neither.
    """
    asked: Select[Any] = select(model)
    for name, value in query.filters.items():
        if name in special:
            asked = asked.where(special[name](value))
        elif name in columns:
            asked = asked.where(_like(columns[name], value))
        else:
            known = ", ".join(sorted({*columns, *special}))
            raise RequestError(
                f"parameter {name[:50]!r}: cannot filter by it; known are page, limit, fields, sort, tags[key], {known}"
            )
    for key, value in query.tags.items():
        if not hasattr(model, "tags"):
            raise RequestError("parameter tags: these entities have none")
        if '"' in key or "\\" in key:
            raise RequestError(f"parameter tags: {key[:50]!r} is not the key of a tag")
        asked = asked.where(_like(model.tags[key].as_string(), value))
    total = session.scalar(select(func.count()).select_from(asked.subquery())) or 0
    rows = session.scalars(asked.order_by(*_order(model, query, columns)).offset(query.first).limit(query.limit))
    return Listing([_projected(render(row), query.fields) for row in rows], query.first, total)


def _order(model: Any, query: Query, columns: Mapping[str, Any]) -> list[Any]:
    order = []
    for name, descending in query.sort:
        if name not in columns:
            raise RequestError(f"parameter sort: cannot sort by {name[:50]!r}; known are {', '.join(sorted(columns))}")
        order.append(columns[name].desc() if descending else columns[name].asc())
    return [*order, model.creation.asc(), model.id.asc()]


def _projected(item: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The asked fields of an item; ``_id`` always comes along."""
    if not fields:
        return item
    return {name: value for name, value in item.items() if name == "_id" or name in fields}
