"""How executions end: their last states, what is told of what they made, and what is taken back.

A pyramid that is changed in place keeps its old slabs until the end is written down. An execution that failed or was
aborted after its worker had begun keeps its owner, and the pyramid is MODIFYING, until ``settle`` has made sure that
the pyramid is the old one: then that is GENERATED again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ..errors import FastpyrError
from .base import Place, note
from .changes import take_back
from .extents import common
from .models import Dependency, Execution, StoredData, Upload, now

__all__ = ["RUNNING", "end", "settle", "succeed"]

Json = dict[str, Any]
RUNNING = ("WAITING", "PROGRESS")
_EVENTS = {"SUCCESS": "Génération", "FAILURE": "Échec", "ABORTED": "Abandon"}


def end(session: Session, row: Execution, status: str) -> None:
    """The last state of an execution; what it was making is unstable unless it is done."""
    had_worker = row.status == "PROGRESS"
    row.status, row.finish = status, now()
    output = session.get(StoredData, row.output_id, with_for_update=True)
    if output is not None and output.status in ("GENERATING", "MODIFYING"):
        note(session, output.id, _EVENTS[status])
        if output.status == "MODIFYING" and status != "SUCCESS":
            if had_worker:
                return
            output.status = "GENERATED"
        else:
            output.status = "GENERATED" if status == "SUCCESS" else "UNSTABLE"
    row.owner = None


def succeed(session: Session, row: Execution, result: Json) -> None:
    """Write down what a worker has made."""
    output = session.get(StoredData, row.output_id, with_for_update=True)
    if output is not None:
        extents: list[Json | None] = [output.extent if output.status == "MODIFYING" else None]
        for item in row.inputs:
            model: Any = Upload if item.kind == "upload" else StoredData
            found = session.get(model, item.entity_id)
            extents.append(None if found is None else found.extent)
        output.extent = common(extents, result.get("within"))
        output.size, output.srs, output.type_infos = result["size"], result["srs"], result["type_infos"]
        _depend(session, output.id, result.get("uses", ()))
    row.progress = 1.0
    end(session, row, "SUCCESS")


def _depend(session: Session, user: str, used: Any) -> None:
    """From now on a stored data depends on those alone whose slabs it refers to."""
    session.execute(delete(Dependency).where(Dependency.user_id == user))
    for id in sorted(set(used) - {user}):
        if session.get(StoredData, id) is not None:
            session.add(Dependency(user_id=user, used_id=id))


def settle(place: Place, is_over: Callable[[str, str], bool]) -> None:
    """Make pyramids the old ones again whose change in place has failed or was aborted.

    ``is_over``: whether the worker of an execution (its id and owner) is gone. A pyramid that cannot be made the old
    one is unstable.
    """
    with place.database.read() as session:
        asked = select(Execution.id, Execution.owner).where(
            Execution.owner.is_not(None), Execution.status.not_in(RUNNING)
        )
        left = [(id, owner) for id, owner in session.execute(asked) if owner is not None and is_over(id, owner)]
    for id, owner in left:
        with place.database.write() as session:  # held until it is done: no other execution begins meanwhile
            row = session.get(Execution, id, with_for_update=True)
            if row is None or row.owner != owner:
                continue
            output = session.get(StoredData, row.output_id, with_for_update=True)
            if output is not None and output.status == "MODIFYING":
                try:
                    take_back(place.descriptor(output))
                    output.status = "GENERATED"
                    place.log(id).say("La donnée stockée est inchangée", "INFO")
                except (FastpyrError, OSError) as error:
                    output.status = "UNSTABLE"
                    place.log(id).say(f"La donnée stockée n'a pas pu être rétablie : {error}", "ERROR")
            row.owner = None
