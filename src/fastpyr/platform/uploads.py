"""Deliveries: created open, filled with files, closed, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import ConflictError, GridError, RequestError
from ..grid import parse_crs
from .base import Annotated, as_object, as_text, fetch, note
from .catalogue import CHECK_RASTER, CHECK_STANDARD, CHECKS
from .files import FileArea, remove_tree, store_error, write_all
from .models import CheckExecution, Execution, ExecutionInput, Upload, now
from .queries import Listing, Query, find
from .render import check_execution_json, upload_json

__all__ = ["Uploads"]

Json = dict[str, Any]
_TYPES = ("RASTER",)
_GROUPS = {"WAITING": "asked", "PROGRESS": "in_progress", "SUCCESS": "passed", "FAILURE": "failed"}


class Uploads(Annotated):
    """The deliveries of a platform. All methods may be called from many threads, and by several processes."""

    _model = Upload
    _kind = "upload"

    def _render(self, session: Session, row: Any) -> Json:
        return upload_json(session, row)

    def create(self, body: Mapping[str, Any]) -> Json:
        """A new, open delivery: ``name``, ``type`` RASTER, ``srs``, ``description``. Raises RequestError."""
        kind = as_text(body, "type", 32)
        if kind not in _TYPES:
            raise RequestError(f"type: {kind!r}, this platform takes {', '.join(_TYPES)}")
        row = Upload(
            name=as_text(body, "name"),
            description=as_text(body, "description", 10_000, required=False) or "",
            type=kind,
            srs=_srs(body),
            type_infos=as_object(body, "type_infos") or {},
            extra=as_object(body, "extra") or {},
            tags={},
        )
        with self._place.database.write() as session:
            session.add(row)
            session.flush()
            note(session, row.id, "Création")
            session.flush()
            self.files(row.id).create()
            return upload_json(session, row)

    def find(self, query: Query) -> Listing[Json]:
        columns = {name: getattr(Upload, name) for name in _COLUMNS} | {"_id": Upload.id}
        special = {"open": lambda value: (Upload.status == "OPEN") == (value.strip().lower() == "true")}
        with self._place.database.read() as session:
            return find(session, Upload, query, columns, special, lambda row: upload_json(session, row))

    def edit(self, id: str, body: Mapping[str, Any]) -> Json:
        """Change ``name``, ``description``, ``srs`` (of an open delivery) or ``extra``. The type stays."""
        with self._place.database.write() as session:
            row = fetch(session, Upload, "upload", id)
            if body.get("type", row.type) != row.type:
                raise RequestError("type: cannot be changed")
            if "name" in body:
                row.name = as_text(body, "name") or ""
            if "description" in body:
                row.description = as_text(body, "description", 10_000, required=False) or ""
            if "srs" in body and body["srs"] != row.srs:
                self._need(row, "change the srs of", "OPEN")
                row.srs = _srs(body)
            if "extra" in body:
                row.extra = as_object(body, "extra") or {}
            if "extent" in body:
                row.extent = as_object(body, "extent")
            session.flush()
            return upload_json(session, row)

    def delete(self, id: str) -> None:
        """Delete a delivery and its files. Raises ConflictError while a check or an execution works on it."""
        with self._place.database.write() as session:
            row = fetch(session, Upload, "upload", id)
            self._need(row, "delete", "OPEN", "CLOSED", "UNSTABLE")
            self._need_idle(session, row, "delete")
            checks = session.scalars(select(CheckExecution).where(CheckExecution.upload_id == id)).all()
            for check in checks:
                session.delete(check)
            self._forget(session, id)
            session.flush()
            session.delete(row)
        for check in checks:
            self._place.log(check.id).remove()
        remove_tree(self._place.upload_folder(id))

    def files(self, id: str) -> FileArea:
        """Where the files of a delivery are."""
        return FileArea(self._place.upload_folder(id))

    def open_area(self, id: str) -> FileArea:
        """The files of a delivery that takes files now. Raises ConflictError when it is not open."""
        with self._place.database.read() as session:
            self._need(fetch(session, Upload, "upload", id), "change the files of", "OPEN")
        return self.files(id)

    def keep(self, id: str, arrived: Path, relative: str) -> None:
        """Take in a file that was written to ``FileArea.arriving``. Raises ConflictError."""
        with self._place.database.write() as session:
            row = fetch(session, Upload, "upload", id)
            self._need(row, "change the files of", "OPEN")
            area = self.files(id)
            size = arrived.stat().st_size
            area.keep(arrived, relative)
            row.size += size

    def add_file(self, id: str, source: Path, relative: str) -> str:
        """Copy a file of this machine into a delivery; its MD5 signature. Raises ConflictError, StoreError."""
        area = self.open_area(id)
        area.path(relative)
        digest = hashlib.md5(usedforsecurity=False)
        try:
            original = open(source, "rb")  # noqa: SIM115 (closed below)
        except OSError as error:
            raise store_error("read", source, error) from error
        with original, area.arriving() as (file, path):
            while piece := original.read(1 << 20):
                digest.update(piece)
                write_all(file, piece)
            self.keep(id, path, relative)
        return digest.hexdigest()

    def remove_file(self, id: str, relative: str) -> None:
        with self._place.database.write() as session:
            row = fetch(session, Upload, "upload", id)
            self._need(row, "change the files of", "OPEN")
            area = self.files(id)
            size = area.existing(relative).stat().st_size
            area.remove(relative)
            row.size = max(0, row.size - size)

    def tree(self, id: str) -> list[Json]:
        self.get(id)
        return self.files(id).tree()

    def close(self, id: str) -> None:
        """No more files: the required checks are asked for. Raises ConflictError when the delivery is not open."""
        with self._place.database.write() as session:
            row = fetch(session, Upload, "upload", id)
            self._need(row, "close", "OPEN")
            row.size = self.files(id).size
            self._ask(session, row, [CHECK_STANDARD, CHECK_RASTER])
            note(session, id, "Fermeture")
        self._place.wake()

    def open(self, id: str) -> None:
        """Take files again. Raises ConflictError unless the delivery is closed or unstable, and not in use."""
        with self._place.database.write() as session:
            row = fetch(session, Upload, "upload", id)
            self._need(row, "open", "CLOSED", "UNSTABLE")
            self._need_idle(session, row, "open")
            row.status = "OPEN"
            note(session, id, "Ouverture")

    def run_checks(self, id: str, checks: Sequence[Any]) -> None:
        """Ask for checks again. Raises ConflictError unless the delivery is closed or unstable, and not in use."""
        for check in checks:
            if check not in CHECKS:
                raise RequestError(f"checks: no check {str(check)[:50]!r}; known are {', '.join(CHECKS)}")
        if not checks:
            raise RequestError("checks: expected a list of ids of checks")
        with self._place.database.write() as session:
            row = fetch(session, Upload, "upload", id)
            self._need(row, "check", "CLOSED", "UNSTABLE")
            self._need_idle(session, row, "check")
            self._ask(session, row, list(dict.fromkeys(checks)))
        self._place.wake()

    def _ask(self, session: Session, row: Upload, checks: Sequence[str]) -> None:
        row.status = "CHECKING"
        self._place.asked.add(row.id)
        for check in checks:
            execution = CheckExecution(upload_id=row.id, check_id=check)
            session.add(execution)
            session.flush()
            self._place.log(execution.id).say(f"{CHECKS[check][0]} demandée pour la livraison {row.name}")

    def checks(self, id: str) -> Json:
        """The last execution of each check, by state: ``asked``, ``in_progress``, ``passed``, ``failed``."""
        groups: dict[str, list[Json]] = {group: [] for group in _GROUPS.values()}
        with self._place.database.read() as session:
            fetch(session, Upload, "upload", id)
            for row in latest_checks(session, id).values():
                value = {
                    "_id": row.id,
                    "check": {"_id": row.check_id, "name": CHECKS[row.check_id][0]},
                    "creation": row.creation,
                    "update": row.update,
                }
                groups[_GROUPS[row.status]].append(value)
        return dict(groups)

    def check_execution(self, id: str) -> Json:
        with self._place.database.read() as session:
            row = fetch(session, CheckExecution, "check execution", id)
            return check_execution_json(row, upload_json(session, row.upload))

    def check_log(self, id: str) -> list[str]:
        self.check_execution(id)
        return self._place.log(id).lines()

    def check_executions(self, query: Query) -> Listing[Json]:
        columns = {"status": CheckExecution.status, "creation": CheckExecution.creation, "_id": CheckExecution.id}
        special = {
            "upload": lambda value: CheckExecution.upload_id == value,
            "check": lambda value: CheckExecution.check_id == value,
        }
        with self._place.database.read() as session:

            def render(row: CheckExecution) -> Json:
                return check_execution_json(row, upload_json(session, row.upload))

            return find(session, CheckExecution, query, columns, special, render)

    def cancel_check(self, id: str) -> None:
        """Stop a check: it counts as failed. Raises ConflictError when it has ended."""
        with self._place.database.write() as session:
            row = fetch(session, CheckExecution, "check execution", id)
            if row.status not in ("WAITING", "PROGRESS"):
                raise ConflictError(f"check execution {id}: has ended ({row.status})")
            for other in latest_checks(session, row.upload_id).values():
                if other.status in ("WAITING", "PROGRESS"):
                    other.status, other.finish = "FAILURE", now()
                    self._place.log(other.id).say("annulée", "ERROR")
            fetch(session, Upload, "upload", row.upload_id).status = "UNSTABLE"
        self._place.wake()

    @staticmethod
    def _need(row: Upload, verb: str, *states: str) -> None:
        if row.status not in states:
            raise ConflictError(f"cannot {verb} upload {row.id}: its status is {row.status}, not {' or '.join(states)}")

    @staticmethod
    def _need_idle(session: Session, row: Upload, verb: str) -> None:
        user = session.scalar(
            select(Execution.id)
            .join(ExecutionInput)
            .where(ExecutionInput.entity_id == row.id, Execution.status.in_(("WAITING", "PROGRESS")))
            .limit(1)
        )
        if user is not None:
            raise ConflictError(f"cannot {verb} upload {row.id}: execution {user} reads it; wait for it or abort it")


_COLUMNS = ("name", "description", "type", "srs", "status", "size", "creation", "update")


def latest_checks(session: Session, upload_id: str) -> dict[str, CheckExecution]:
    """The last execution of each check of a delivery."""
    rows = session.scalars(
        select(CheckExecution).where(CheckExecution.upload_id == upload_id).order_by(CheckExecution.creation)
    )
    return {row.check_id: row for row in rows}


def _srs(body: Mapping[str, Any]) -> str:
    srs = as_text(body, "srs", 10_000) or ""
    try:
        parse_crs(srs)
    except GridError as error:
        raise RequestError(f"srs: {error}") from error
    return srs
