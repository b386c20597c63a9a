"""Executions of processings: created with checked parameters, launched, followed, aborted."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from sqlalchemy import false, select
from sqlalchemy.orm import Session

from ..errors import ConflictError, NotFoundError, RequestError
from .base import Place, as_object, as_text, check_id, check_json, fetch, note
from .catalogue import PROCESSINGS, PYRAMID_TYPE, Processing
from .files import FileArea
from .models import Execution, ExecutionInput, StoredData, Upload, now
from .queries import Listing, Query, find, match_text, page_of
from .render import execution_json

__all__ = ["Executions"]

Json = dict[str, Any]
RUNNING = ("WAITING", "PROGRESS")
_NOT_SLUG = re.compile(r"[^A-Za-z0-9_-]+")
_UPDATE = "the update of a pyramid (by reference, by injection) is not in this version of fastpyr: make a new pyramid"


class Executions:
    """The processings of a platform and their executions. All methods may be called from many threads, and by several
    processes."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def processings(self, query: Query) -> Listing[Json]:
        """The catalogue. A processing is found by each of its names."""
        unknown = set(query.filters) - {"name", "_id", "input_types.upload", "priority"}
        if unknown:
            raise RequestError(f"parameter {min(unknown)[:50]!r}: cannot filter by it; known are page, limit, name")
        pattern = query.filters.get("name")
        id = query.filters.get("_id")
        found = [
            processing.summary()
            for processing in PROCESSINGS.values()
            if (pattern is None or any(match_text(pattern, name) for name in (processing.name, *processing.aliases)))
            and (id is None or id == processing.id)
        ]
        return page_of(found, query)

    def processing(self, id: str) -> Json:
        return find_processing(id).to_json()

    def create(self, body: Mapping[str, Any]) -> Json:
        """A new execution, and the stored data that it will make; nothing runs yet.

        ``processing``, ``inputs.upload`` (one id), ``output.stored_data.name``, ``parameters``, ``callback``. Raises
        RequestError naming what is wrong, NotFoundError, and ConflictError for what this version cannot do.
        """
        processing = find_processing(check_id("processing", body.get("processing")))
        uploads, stored = _inputs(body)
        name, output = _output(body)
        callback = as_object(body, "callback")
        with self._place.database.write() as session:
            inputs = [("upload", fetch(session, Upload, "upload", id)) for id in uploads]
            bases = [("stored_data", fetch(session, StoredData, "stored data", id)) for id in stored]
            self._refuse_updates(session, processing, [row for _, row in bases], output)
            if len(inputs) != 1:
                raise RequestError("inputs.upload: expected one id of an upload")
            parameters = processing.read(as_object(body, "parameters") or {})
            if "tms" not in parameters:
                raise RequestError("parameters: tms is missing: a new pyramid needs it, for instance PM")
            made = StoredData(
                name=name, type=PYRAMID_TYPE, labels=_labels(body), tags={}, pyramid=_slug(name), extra={}, edition=None
            )
            session.add(made)
            session.flush()
            note(session, made.id, "Création")
            row = Execution(
                processing_id=processing.id,
                parameters=parameters,
                callback=callback,
                output_id=made.id,
                output_name=name,
                inputs=[
                    ExecutionInput(number=number, kind=kind, entity_id=item.id, facts=_facts(item))
                    for number, (kind, item) in enumerate(inputs)
                ],
            )
            session.add(row)
            session.flush()
            self._place.log(row.id).say(f"Exécution du traitement « {processing.name} » créée")
            return execution_json(session, row)

    @staticmethod
    def _refuse_updates(session: Session, processing: Processing, bases: list[StoredData], output: str | None) -> None:
        if output is not None:
            fetch(session, StoredData, "stored data", output)
        if processing.unavailable is not None:
            raise ConflictError(f"processing {processing.id}: {processing.unavailable}")
        if bases or output is not None:
            raise ConflictError(f"processing {processing.id}: {_UPDATE}")

    def get(self, id: str) -> Json:
        with self._place.database.read() as session:
            return execution_json(session, fetch(session, Execution, "execution", id))

    def find(self, query: Query) -> Listing[Json]:
        names = ("status", "creation", "update", "launch", "start", "finish")
        columns = {name: getattr(Execution, name) for name in names} | {"_id": Execution.id}

        def reading(kind: str) -> Any:
            def condition(value: str) -> Any:
                ids = select(ExecutionInput.execution_id).where(
                    ExecutionInput.entity_id == value, ExecutionInput.kind == kind
                )
                return Execution.id.in_(ids)

            return condition

        special = {
            "processing": lambda value: Execution.processing_id == value,
            "output_stored_data": lambda value: Execution.output_id == value,
            "output_upload": lambda value: false(),  # nothing here makes deliveries
            "input_upload": reading("upload"),
            "input_stored_data": reading("stored_data"),
        }
        # clients send these names without a value when they do not mean them
        filters = {name: value for name, value in query.filters.items() if value or name not in special}
        query = Query(query.page, query.limit, filters, query.tags, query.fields, query.sort)
        with self._place.database.read() as session:
            return find(session, Execution, query, columns, special, lambda row: execution_json(session, row))

    def edit(self, id: str, body: Mapping[str, Any]) -> Json:
        """Change ``callback``, the only thing that can be."""
        if set(body) - {"callback"}:
            raise RequestError(f"{min(set(body) - {'callback'})[:50]}: only callback can be changed")
        with self._place.database.write() as session:
            row = fetch(session, Execution, "execution", id)
            row.callback = as_object(body, "callback")
            session.flush()
            return execution_json(session, row)

    def launch(self, id: str) -> None:
        """Put an execution in the queue. Raises ConflictError when it was launched before, or its delivery is not
        closed with its checks passed."""
        with self._place.database.write() as session:
            row = fetch(session, Execution, "execution", id)
            if row.status != "CREATED":
                raise ConflictError(f"execution {id} is {row.status}: it can be launched once; create another one")
            output = session.get(StoredData, row.output_id)
            if output is None:
                raise ConflictError(f"execution {id}: its output {row.output_id} was deleted: create another execution")
            for item in row.inputs:
                upload = session.get(Upload, item.entity_id)
                if upload is None or upload.status != "CLOSED":
                    state = "DELETED" if upload is None else upload.status
                    raise ConflictError(
                        f"execution {id}: upload {item.entity_id} is {state}, not CLOSED: close it and let its checks "
                        "pass first"
                    )
            row.fingerprint = self._fingerprint(row, output)
            row.status, row.launch, output.status = "WAITING", now(), "GENERATING"
            self._place.asked.add(id)
            note(session, output.id, "Lancement")
        self._place.log(id).say("Exécution lancée, en attente")
        self._place.wake()

    def _fingerprint(self, row: Execution, output: StoredData) -> str:
        """Equal for executions that make the same bytes: one can go on where another one stopped."""
        (item,) = row.inputs
        area = FileArea(self._place.upload_folder(item.entity_id))
        files = []
        for name in area.names():
            stat = area.path(name).stat()
            files.append([name, stat.st_size, stat.st_mtime_ns])
        parameters = {name: value for name, value in row.parameters.items() if name != "parallelization"}
        facts = [row.processing_id, item.entity_id, files, parameters, output.pyramid]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def abort(self, id: str) -> None:
        """Stop an execution that waits or runs. Raises ConflictError when it does neither."""
        with self._place.database.write() as session:
            row = fetch(session, Execution, "execution", id)
            if row.status not in RUNNING:
                raise ConflictError(f"execution {id} is {row.status}: only WAITING and PROGRESS can be aborted")
            end(session, row, "ABORTED")
        self._place.log(id).say("Exécution abandonnée à la demande de l'utilisateur", "WARNING")
        self._place.wake()

    def delete(self, id: str) -> None:
        """Delete an execution and its log; one that was never launched takes its output along. Raises ConflictError
        while it runs."""
        with self._place.database.write() as session:
            row = fetch(session, Execution, "execution", id)
            if row.status in RUNNING:
                raise ConflictError(f"execution {id} is {row.status}: abort it first")
            output = session.get(StoredData, row.output_id)
            if row.status == "CREATED" and output is not None and output.status == "CREATED":
                session.delete(output)
            session.delete(row)
        self._place.log(id).remove()

    def log(self, id: str) -> list[str]:
        """All lines so far, at least one."""
        with self._place.database.read() as session:
            fetch(session, Execution, "execution", id)
        return self._place.log(id).lines()


def end(session: Session, row: Execution, status: str) -> None:
    """The last state of an execution; what it was making is unstable unless it is done."""
    row.status, row.finish, row.owner = status, now(), None
    output = session.get(StoredData, row.output_id, with_for_update=True)
    if output is not None and output.status in ("GENERATING", "MODIFYING"):
        output.status = "GENERATED" if status == "SUCCESS" else "UNSTABLE"
        titles = {"SUCCESS": "Génération", "FAILURE": "Échec", "ABORTED": "Abandon"}
        note(session, output.id, titles[status])


def find_processing(id: str) -> Processing:
    """A processing by id. Raises NotFoundError."""
    found = PROCESSINGS.get(id)
    if found is None:
        raise NotFoundError(f"no processing {id[:50]!r}; known are {', '.join(PROCESSINGS)}")
    return found


def _inputs(body: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    inputs = as_object(body, "inputs") or {}
    unknown = set(inputs) - {"upload", "stored_data"}
    if unknown:
        raise RequestError(f"inputs: unknown {min(unknown)[:50]!r}; expected upload and stored_data")
    found = []
    for kind in ("upload", "stored_data"):
        given = inputs.get(kind) or []
        if not isinstance(given, list):
            raise RequestError(f"inputs.{kind}: expected a list of ids")
        found.append([check_id(f"inputs.{kind}", id) for id in given])
    return found[0], found[1]


def _output(body: Mapping[str, Any]) -> tuple[str, str | None]:
    """(name of the new stored data, "") or ("", id of an existing one). Clients write ``id`` and ``_id``."""
    output = as_object(body, "output")
    if output is None or "stored_data" not in output:
        raise RequestError("output: expected {stored_data: {name}}")
    stored = as_object(output, "stored_data") or {}
    id = stored.get("_id", stored.get("id"))
    if id is not None:
        return "", check_id("output.stored_data.id", id)
    try:
        return as_text(stored, "name") or "", None
    except RequestError as error:
        raise RequestError(f"output.stored_data.{error}") from error


def _labels(body: Mapping[str, Any]) -> list[str]:
    labels = body["output"]["stored_data"].get("storage_tags") or []
    if not isinstance(labels, list) or not all(isinstance(label, str) and len(label) < 100 for label in labels):
        raise RequestError("output.stored_data.storage_tags: expected a list of texts")
    check_json("output.stored_data.storage_tags", labels)
    return labels


def _facts(row: Upload) -> Json:
    return {"type": row.type, "name": row.name, "srs": row.srs}


def _slug(name: str) -> str:
    """A name for the pyramid's files: letters, digits, ``_`` and ``-``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return _NOT_SLUG.sub("_", plain).strip("_-")[:60] or "PYRAMID"
