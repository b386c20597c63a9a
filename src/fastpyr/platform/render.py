"""Rows as the API shows them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from .catalogue import CHECKS, ENDPOINTS, PROCESSINGS, USER
from .models import (
    CheckExecution,
    Comment,
    Configuration,
    Event,
    Execution,
    Offering,
    StoredData,
    Upload,
)

__all__ = [
    "check_execution_json",
    "comment_json",
    "configuration_json",
    "event_json",
    "execution_json",
    "last_event",
    "offering_json",
    "stored_data_json",
    "upload_json",
]

CONTACT = "local"
INITIATOR = {"_id": USER, "last_name": "local", "first_name": "fastpyr"}

Json = dict[str, Any]


def event_json(event: Event) -> Json:
    value: Json = {"title": event.title, "date": event.date, "initiator": INITIATOR}
    return value if event.text is None else value | {"text": event.text}


def last_event(session: Session, owner_id: str) -> Json:
    """``{"last_event": …}``, or nothing when nothing has happened."""
    found = session.scalar(select(Event).where(Event.owner_id == owner_id).order_by(Event.number.desc()).limit(1))
    return {} if found is None else {"last_event": event_json(found)}


def _without_none(value: Json) -> Json:
    return {key: item for key, item in value.items() if item is not None}


def upload_json(session: Session, upload: Upload) -> Json:
    return _without_none(
        {
            "_id": upload.id,
            "name": upload.name,
            "description": upload.description,
            "type": upload.type,
            "srs": upload.srs,
            "status": upload.status,
            "open": upload.status == "OPEN",
            "contact": CONTACT,
            "size": upload.size,
            "extent": upload.extent,
            "tags": upload.tags,
            "extra": upload.extra,
            "type_infos": upload.type_infos,
            "creation": upload.creation,
            "update": upload.update,
        }
    ) | last_event(session, upload.id)


def check_execution_json(row: CheckExecution, upload: Json) -> Json:
    value = {
        "_id": row.id,
        "check": {"_id": row.check_id, "name": CHECKS[row.check_id][0]},
        "status": row.status,
        "creation": row.creation,
        "update": row.update,
        "start": row.start,
        "finish": row.finish,
        "upload": {key: upload[key] for key in ("_id", "name", "type", "status", "srs")},
    }
    return _without_none(value)


def execution_json(session: Session, row: Execution) -> Json:
    inputs: dict[str, list[Json]] = {"upload": [], "stored_data": []}
    for item in row.inputs:
        model: Any = Upload if item.kind == "upload" else StoredData
        found = session.get(model, item.entity_id)
        inputs[item.kind].append(item.facts | {"_id": item.entity_id, "status": found.status if found else "DELETED"})
    output = session.get(StoredData, row.output_id)
    return _without_none(
        {
            "_id": row.id,
            "processing": {"_id": row.processing_id, "name": PROCESSINGS[row.processing_id].name},
            "status": row.status,
            "creation": row.creation,
            "update": row.update,
            "launch": row.launch,
            "start": row.start,
            "finish": row.finish,
            "inputs": inputs,
            "output": {
                "stored_data": {
                    "_id": row.output_id,
                    "name": output.name if output else row.output_name,
                    "type": "ROK4-PYRAMID-RASTER",
                    "status": output.status if output else "DELETED",
                }
            },
            "parameters": row.parameters,
            "callback": row.callback,
            "extra": {"progress": round(row.progress, 4)},
        }
    )


def stored_data_json(session: Session, row: StoredData) -> Json:
    return _without_none(
        {
            "_id": row.id,
            "name": row.name,
            "type": row.type,
            "srs": row.srs,
            "description": row.description,
            "edition": row.edition,
            "contact": CONTACT,
            "extent": row.extent,
            "size": row.size,
            "status": row.status,
            "open": False,
            "tags": row.tags,
            "extra": row.extra,
            "storage": {"type": "FILESYSTEM", "labels": row.labels or ["PYRAMIDE"]},
            "type_infos": row.type_infos,
            "creation": row.creation,
            "update": row.update,
        }
    ) | last_event(session, row.id)


def configuration_json(session: Session, row: Configuration) -> Json:
    published = session.scalar(
        select(Offering.id).where(Offering.configuration_id == row.id, Offering.status != "UNPUBLISHED").limit(1)
    )
    return _without_none(
        {
            "_id": row.id,
            "type": row.type,
            "name": row.name,
            "layer_name": row.layer_name,
            "metadata": row.metadata_,
            "type_infos": row.type_infos,
            "attribution": row.attribution,
            "getfeatureinfo": row.getfeatureinfo,
            "tags": row.tags,
            "extra": row.extra,
            "status": "UNPUBLISHED" if published is None else "PUBLISHED",
            "creation": row.creation,
            "update": row.update,
        }
    ) | last_event(session, row.id)


def offering_json(row: Offering, url: str) -> Json:
    """``url``: of the tile service; a layer's requests go there."""
    name, technical_name, type_ = ENDPOINTS[row.endpoint_id]
    return {
        "_id": row.id,
        "status": row.status,
        "available": row.status == "PUBLISHED",
        "open": row.open,
        "type": row.configuration.type,
        "layer_name": row.configuration.layer_name,
        "configuration": {"_id": row.configuration_id, "name": row.configuration.name},
        "endpoint": {"_id": row.endpoint_id, "name": name, "technical_name": technical_name, "type": type_},
        "urls": [{"type": row.configuration.type, "url": url}],
        "creation": row.creation,
        "update": row.update,
    }


def comment_json(row: Comment) -> Json:
    return {
        "_id": row.id,
        "text": row.text,
        "author": INITIATOR,
        "creation": row.creation,
        "update": row.update,
    }
