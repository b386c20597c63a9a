"""What a worker is told to do, and what it may go on with."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from .base import Place
from .catalogue import FUSION
from .models import Dependency, Execution, StoredData, Upload

__all__ = ["order"]

Json = dict[str, Any]


def order(place: Place, session: Session, row: Execution) -> Json:
    """The job of an execution, for its worker. What an earlier execution of the same work has left unfinished is taken
    over."""
    output = session.get(StoredData, row.output_id)
    assert output is not None  # it cannot be deleted while it is made
    job: Json = {
        "kind": "execution",
        "descriptor": str(place.descriptor(output)),
        "log": str(place.root / "logs" / f"{row.id}.log"),
        "options": dict(row.parameters),
    }
    bases = []
    for item in row.inputs:
        if item.kind == "upload":
            upload = session.get(Upload, item.entity_id)
            job["folder"] = str(place.upload_folder(item.entity_id) / "data")
            job["options"]["srs"] = None if upload is None else upload.srs
        else:
            base = session.get(StoredData, item.entity_id)
            assert base is not None  # it cannot be deleted while it is used
            bases.append(str(place.descriptor(base)))
    job["bases"] = bases
    if output.status == "MODIFYING":
        job["work"] = "inject"
    elif row.processing_id == FUSION:
        job["work"] = "merge"
    else:
        job["work"] = "update" if bases else "build"
    _adopt(place, session, row)
    return job


def _adopt(place: Place, session: Session, row: Execution) -> None:
    """Take over what an earlier execution of the same work has left unfinished."""
    folder = place.stored_folder(row.output_id)
    if folder.exists():
        return
    earlier = session.scalars(
        select(Execution)
        .where(
            Execution.fingerprint == row.fingerprint,
            Execution.id != row.id,
            Execution.status.in_(("FAILURE", "ABORTED")),
        )
        .order_by(Execution.finish.desc())
    )
    for other in earlier:
        output = session.get(StoredData, other.output_id)
        left = place.stored_folder(other.output_id)
        if output is not None and output.status == "UNSTABLE" and left.is_dir():
            with contextlib.suppress(OSError):
                os.rename(left, folder)
                session.execute(delete(Dependency).where(Dependency.user_id == other.output_id))
                place.log(row.id).say(f"Reprise du travail de l'exécution {other.id}")
            return
