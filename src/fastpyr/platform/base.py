"""What the parts of the platform share: the folder, the database, events, tags, comments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from ..errors import NotFoundError, RequestError
from .database import Database
from .logs import Log
from .models import Comment, Event, StoredData
from .queries import Listing, Query
from .render import comment_json, event_json

__all__ = ["Annotated", "Place", "as_object", "as_text", "check_id", "check_json", "fetch", "note"]

Json = dict[str, Any]
Row = TypeVar("Row")
_MAX_TEXT = 10_000
_MAX_TAGS = 200


class Place:
    """Where a platform lives: its folder and its database.

    ``wake`` is called when there is work to do. ``asked``: ids of uploads and executions that this process has asked
    work for.
    """

    def __init__(self, root: Path, database: Database) -> None:
        self.root = root
        self.database = database
        self.wake: Callable[[], None] = lambda: None
        self.asked: set[str] = set()

    def upload_folder(self, upload_id: str) -> Path:
        return self.root / "uploads" / upload_id

    def stored_folder(self, stored_id: str) -> Path:
        return self.root / "stored_data" / stored_id

    def descriptor(self, stored: StoredData) -> Path:
        """Where the descriptor of a stored data's pyramid is, or will be."""
        return self.stored_folder(stored.id) / f"{stored.pyramid}.json"

    def log(self, owner_id: str) -> Log:
        return Log(self.root / "logs" / f"{owner_id}.log")


def check_id(kind: str, value: Any) -> str:
    """An id as given by a client. Raises RequestError for what is no text."""
    if not isinstance(value, str) or not 0 < len(value) <= 36 or not value.isprintable():
        raise RequestError(f"{kind}: expected an id")
    return value


def fetch(session: Session, model: type[Row], kind: str, id: str) -> Row:
    """A row by its id, locked in a writing session. Raises NotFoundError."""
    row = None
    if 0 < len(id) <= 36 and id.isprintable():
        row = session.get(model, id, with_for_update=bool(session.info.get("writes")))
    if row is None:
        raise NotFoundError(f"no {kind} {id[:50]!r}")
    return row


def as_text(body: Mapping[str, Any], name: str, most: int = 255, *, required: bool = True) -> str | None:
    """A text of a request's body. Raises RequestError naming it."""
    value = body.get(name)
    if value in (None, "") and not required:
        return None
    if not isinstance(value, str) or not len(value.strip()) > 0 or len(value) > most:
        raise RequestError(f"{name}: expected a text of 1 to {most} characters")
    if any(c == "\0" or 0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise RequestError(f"{name}: holds a character that no text has")
    return value


def as_object(body: Mapping[str, Any], name: str) -> Json | None:
    """An object of a request's body, None when it is absent. Raises RequestError naming it."""
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise RequestError(f"{name}: expected an object")
    check_json(name, value)
    return value


def check_json(name: str, value: Any) -> None:
    """Raises RequestError for what a database cannot keep: infinite numbers, broken letters, endless nesting."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{name}: holds a number or a character that JSON has not, or too many levels") from error
    if "\\u0000" in text:
        raise RequestError(f"{name}: holds a character that no text has")


def note(session: Session, owner_id: str, title: str, text: str | None = None) -> None:
    """Remember that something happened to an entity."""
    session.add(Event(owner_id=owner_id, title=title, text=text))


class Annotated:
    """Tags, comments and events of one kind of entity."""

    _model: Any
    _kind: str

    def __init__(self, place: Place) -> None:
        self._place = place

    def _render(self, session: Session, row: Any) -> Json:
        raise NotImplementedError

    def get(self, id: str) -> Json:
        """The entity. Raises NotFoundError."""
        with self._place.database.read() as session:
            return self._render(session, fetch(session, self._model, self._kind, id))

    def add_tags(self, id: str, tags: Mapping[str, Any]) -> Json:
        """Set tags, texts by key; others stay. Returns the entity."""
        for key, value in tags.items():
            as_text({"tag key": key}, "tag key", 100)
            as_text({f"tag {key[:50]}": value}, f"tag {key[:50]}", 1000)
        with self._place.database.write() as session:
            row = fetch(session, self._model, self._kind, id)
            row.tags = {**row.tags, **tags}
            if len(row.tags) > _MAX_TAGS:
                raise RequestError(f"tags: more than {_MAX_TAGS}")
            return self._render(session, row)

    def remove_tags(self, id: str, keys: Sequence[str]) -> Json:
        """Remove tags; those that are absent are passed over. Returns the entity."""
        with self._place.database.write() as session:
            row = fetch(session, self._model, self._kind, id)
            row.tags = {key: value for key, value in row.tags.items() if key not in keys}
            return self._render(session, row)

    def comments(self, id: str, query: Query) -> Listing[Json]:
        return self._about(id, Comment, Comment.creation, comment_json, query)

    def events(self, id: str, query: Query) -> Listing[Json]:
        return self._about(id, Event, Event.number, event_json, query)

    def _about(self, id: str, model: Any, order: Any, render: Callable[[Any], Json], query: Query) -> Listing[Json]:
        with self._place.database.read() as session:
            fetch(session, self._model, self._kind, id)
            asked = select(model).where(model.owner_id == id)
            total = session.scalar(select(func.count()).select_from(asked.subquery())) or 0
            rows = session.scalars(asked.order_by(order).offset(query.first).limit(query.limit))
            return Listing([render(row) for row in rows], query.first, total)

    def add_comment(self, id: str, body: Mapping[str, Any]) -> Json:
        text = as_text(body, "text", _MAX_TEXT)
        with self._place.database.write() as session:
            fetch(session, self._model, self._kind, id)
            row = Comment(owner_id=id, text=text)
            session.add(row)
            session.flush()
            return comment_json(row)

    def edit_comment(self, id: str, comment_id: str, body: Mapping[str, Any]) -> Json:
        text = as_text(body, "text", _MAX_TEXT)
        with self._place.database.write() as session:
            row = self._comment(session, id, comment_id)
            row.text = text or ""
            session.flush()
            return comment_json(row)

    def remove_comment(self, id: str, comment_id: str) -> None:
        with self._place.database.write() as session:
            session.delete(self._comment(session, id, comment_id))

    def _comment(self, session: Session, id: str, comment_id: str) -> Comment:
        fetch(session, self._model, self._kind, id)
        row = fetch(session, Comment, "comment", comment_id)
        if row.owner_id != id:
            raise NotFoundError(f"no comment {comment_id[:50]!r}")
        return row

    def _forget(self, session: Session, id: str) -> None:
        """Remove what was said about an entity that is being deleted."""
        session.execute(delete(Comment).where(Comment.owner_id == id))
        session.execute(delete(Event).where(Event.owner_id == id))
