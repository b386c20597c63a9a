"""Stored data: pyramids, what they are made of, what depends on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ..errors import ConflictError, NotFoundError
from .base import Annotated, as_object, as_text, fetch, note
from .files import remove_tree
from .models import Configuration, Dependency, Execution, StoredData
from .queries import Listing, Query, find
from .render import stored_data_json

__all__ = ["StoredDatas", "used_data", "users_of"]

Json = dict[str, Any]
_COLUMNS = ("name", "type", "srs", "description", "status", "size", "creation", "update")


class StoredDatas(Annotated):
    """The stored data of a platform. All methods may be called from many threads, and by several processes."""

    _model = StoredData
    _kind = "stored data"

    def _render(self, session: Session, row: Any) -> Json:
        return stored_data_json(session, row)

    def find(self, query: Query) -> Listing[Json]:
        columns = {name: getattr(StoredData, name) for name in _COLUMNS} | {"_id": StoredData.id}
        with self._place.database.read() as session:
            return find(session, StoredData, query, columns, {}, lambda row: stored_data_json(session, row))

    def edit(self, id: str, body: Mapping[str, Any]) -> Json:
        """Change ``name``, ``description``, ``edition`` or ``extra``."""
        with self._place.database.write() as session:
            row = fetch(session, StoredData, "stored data", id)
            if "name" in body:
                row.name = as_text(body, "name") or ""
            if "description" in body:
                row.description = as_text(body, "description", 10_000, required=False)
            if "edition" in body:
                row.edition = as_object(body, "edition")
            if "extra" in body:
                row.extra = as_object(body, "extra") or {}
            note(session, id, "Modification")
            session.flush()
            return stored_data_json(session, row)

    def delete(self, id: str) -> None:
        """Delete a pyramid and its files. Raises ConflictError while it is being made, or is used."""
        with self._place.database.write() as session:
            row = fetch(session, StoredData, "stored data", id)
            if row.status in ("GENERATING", "MODIFYING"):
                raise ConflictError(f"stored data {id} is {row.status}: abort its execution first")
            users = [found["_id"] for found in users_of(session, id)]
            if users:
                raise ConflictError(f"stored data {id} is used by stored data {', '.join(users)}: delete those first")
            published = [found.id for found in _configurations(session, id)]
            if published:
                raise ConflictError(f"stored data {id} is used by configuration {published[0]}: delete it first")
            for execution in session.scalars(
                select(Execution).where(Execution.output_id == id, Execution.status == "CREATED")
            ):
                session.delete(execution)
            session.execute(delete(Dependency).where(Dependency.user_id == id))
            self._forget(session, id)
            session.delete(row)
        remove_tree(self._place.stored_folder(id))

    def dependencies(self, id: str) -> Json:
        """``used_by`` and ``use``: stored data that refer to this one's slabs, and that this one's slabs refer to."""
        with self._place.database.read() as session:
            fetch(session, StoredData, "stored data", id)
            used = session.scalars(
                select(StoredData).join(Dependency, Dependency.used_id == StoredData.id).where(Dependency.user_id == id)
            )
            return {"used_by": users_of(session, id), "use": [_named(row) for row in used]}

    def descriptor(self, id: str) -> Path:
        """Where the pyramid's descriptor is. Raises NotFoundError, and ConflictError before it is made."""
        with self._place.database.read() as session:
            row = fetch(session, StoredData, "stored data", id)
            if row.status not in ("GENERATED", "MODIFYING"):
                raise ConflictError(f"stored data {id} is {row.status}: there is no pyramid to read")
            path = self._place.descriptor(row)
        if not path.is_file():
            raise NotFoundError(f"stored data {id}: its files are gone from {path.parent}")
        return path


def _named(row: StoredData) -> Json:
    return {"name": row.name, "_id": row.id}


def users_of(session: Session, id: str) -> list[Json]:
    """The stored data whose slabs refer to those of another one."""
    rows = session.scalars(
        select(StoredData).join(Dependency, Dependency.user_id == StoredData.id).where(Dependency.used_id == id)
    )
    return [_named(row) for row in rows]


def _configurations(session: Session, id: str) -> list[Configuration]:
    """Configurations that publish a stored data."""
    rows = session.scalars(select(Configuration)).all()
    return [row for row in rows if id in used_data(row.type_infos)]


def used_data(type_infos: Mapping[str, Any]) -> list[str]:
    """Ids of the stored data in a configuration's ``type_infos``."""
    used = type_infos.get("used_data")
    return [str(item.get("stored_data")) for item in used if isinstance(item, dict)] if isinstance(used, list) else []
