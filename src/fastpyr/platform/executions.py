"""Executions of processings: created with checked parameters, launched, followed, aborted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import false, select
from sqlalchemy.orm import Session

from ..errors import ConflictError, RequestError
from .base import Place, as_object, fetch, note
from .catalogue import FUSION, PROCESSINGS, PYRAMID_TYPE
from .endings import RUNNING, end
from .files import FileArea
from .models import Dependency, Execution, ExecutionInput, StoredData, Upload, now
from .queries import Listing, Query, find, match_text, page_of
from .render import execution_json
from .requests import Request, find_processing
from .stored import users_of

__all__ = ["Executions"]

Json = dict[str, Any]


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

        ``processing``, ``parameters``, ``callback``, and for a new pyramid ``inputs.upload`` (one id) and
        ``output.stored_data.name``. An update by reference has ``inputs.stored_data`` (one id) besides; one in place
        has ``output.stored_data.id`` instead of a name; a fusion has ``inputs.stored_data`` (two ids or more) alone.

        Raises RequestError naming what is wrong, NotFoundError, and ConflictError for what cannot be.
        """
        request = Request.parse(body)
        processing = request.processing
        with self._place.database.write() as session:
            inputs: list[tuple[str, Any]] = [("upload", fetch(session, Upload, "upload", id)) for id in request.uploads]
            inputs += [("stored_data", fetch(session, StoredData, "stored data", id)) for id in request.stored]
            output = None if request.output is None else fetch(session, StoredData, "stored data", request.output)
            if processing.unavailable is not None:
                raise ConflictError(f"processing {processing.id}: {processing.unavailable}")
            bases = [row for kind, row in inputs if kind == "stored_data"] + ([] if output is None else [output])
            parameters = self._parameters(request, bases)
            if output is None:
                output = StoredData(
                    name=request.name, type=PYRAMID_TYPE, labels=list(request.labels), tags={}, pyramid=request.slug,
                    extra={}, edition=None,
                )  # fmt: skip
                session.add(output)
                session.flush()
                note(session, output.id, "Création")
            row = Execution(
                processing_id=processing.id,
                parameters=parameters,
                callback=request.callback,
                output_id=output.id,
                output_name=output.name,
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
    def _parameters(request: Request, bases: list[StoredData]) -> Json:
        """The parameters to use. Raises RequestError naming one, ConflictError for a pyramid that is not made yet."""
        fusion = request.processing.id == FUSION
        tms = _check_bases(bases, fusion=fusion)
        parameters = request.processing.read(request.parameters, tms=tms, update=bool(bases) and not fusion)
        if not bases and "tms" not in parameters:
            raise RequestError("parameters: tms is missing: a new pyramid needs it, for instance PM")
        return parameters

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
        """Put an execution in the queue. Raises ConflictError when it was launched before, its delivery is not closed
        with its checks passed, or a pyramid that it goes on from is not there, or must not change."""
        with self._place.database.write() as session:
            row = fetch(session, Execution, "execution", id)
            if row.status != "CREATED":
                raise ConflictError(f"execution {id} is {row.status}: it can be launched once; create another one")
            output = session.get(StoredData, row.output_id, with_for_update=True)
            if output is None:
                raise ConflictError(f"execution {id}: its output {row.output_id} was deleted: create another execution")
            for item in row.inputs:
                if item.kind != "upload":
                    continue
                upload = session.get(Upload, item.entity_id)
                if upload is None or upload.status != "CLOSED":
                    state = "DELETED" if upload is None else upload.status
                    raise ConflictError(
                        f"execution {id}: upload {item.entity_id} is {state}, not CLOSED: close it and let its checks "
                        "pass first"
                    )
            _lock_bases(session, row, output)
            row.fingerprint = self._fingerprint(session, row, output)
            _begin_output(session, row, output)
            row.status, row.launch = "WAITING", now()
            self._place.asked.add(id)
            note(session, output.id, "Lancement")
        self._place.log(id).say("Exécution lancée, en attente")
        self._place.wake()

    def _fingerprint(self, session: Session, row: Execution, output: StoredData) -> str:
        """Equal for executions that make the same bytes: one can go on where another one stopped."""
        inputs = []
        for item in row.inputs:
            if item.kind == "upload":
                area = FileArea(self._place.upload_folder(item.entity_id))
                paths = {name: area.path(name) for name in area.names()}
            else:
                descriptor = self._place.descriptor(fetch(session, StoredData, "stored data", item.entity_id))
                paths = {path.name: path for path in (descriptor, descriptor.with_suffix(".list"))}
            try:
                stats = {name: path.stat() for name, path in paths.items()}
            except OSError as error:
                raise ConflictError(f"execution {row.id}: a file of its input {item.entity_id} is gone") from error
            files = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()]
            inputs.append([item.entity_id, files])
        parameters = {name: value for name, value in row.parameters.items() if name != "parallelization"}
        facts = [row.processing_id, inputs, parameters, output.pyramid]
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


def _facts(row: Upload | StoredData) -> Json:
    facts = {"type": row.type, "name": row.name, "srs": row.srs}
    return {name: value for name, value in facts.items() if value is not None}


def _check_bases(bases: list[StoredData], *, fusion: bool) -> str | None:
    """The tile matrix set of the pyramids that are merged or updated, None without any.

    Raises ConflictError for one that is not made yet, RequestError for pyramids that cannot be merged.
    """
    for base in bases:
        if base.status not in ("GENERATED", "MODIFYING") or base.type_infos is None:
            raise ConflictError(f"stored data {base.id} is {base.status}: there is no pyramid to go on from")
    infos = [base.type_infos or {} for base in bases]
    for name in ("tms", "channels_format") if fusion else ():
        if len(values := {str(one[name]) for one in infos}) > 1:
            raise RequestError(f"inputs.stored_data: these differ in {name}: {', '.join(sorted(values))}")
    return str(infos[0]["tms"]) if infos else None


def _lock_bases(session: Session, row: Execution, output: StoredData) -> None:
    """What is updated or merged, kept from being deleted or changed as long as the output needs it. Raises
    ConflictError."""
    for id in sorted(item.entity_id for item in row.inputs if item.kind == "stored_data"):
        base = session.get(StoredData, id, with_for_update=True)
        if base is None or base.status != "GENERATED":
            state = "DELETED" if base is None else base.status
            raise ConflictError(f"execution {row.id}: stored data {id} is {state}, not GENERATED")
        if id != output.id:
            session.merge(Dependency(user_id=output.id, used_id=id))


def _begin_output(session: Session, row: Execution, output: StoredData) -> None:
    """The state of an output while it is made, or changed. Raises ConflictError."""
    if output.status == "CREATED":
        output.status = "GENERATING"
        return
    if output.status != "GENERATED":
        raise ConflictError(f"execution {row.id}: its output {output.id} is {output.status}, not GENERATED")
    users = [user["_id"] for user in users_of(session, output.id)]
    if users:
        raise ConflictError(
            f"execution {row.id}: stored data {', '.join(users)} has slabs of {output.id}, and would change with it: "
            "make a new pyramid of it instead (inputs.stored_data)"
        )
    output.status = "MODIFYING"
