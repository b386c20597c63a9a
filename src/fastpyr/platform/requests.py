"""What clients ask for when they create an execution."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import NotFoundError, RequestError
from .base import as_object, as_text, check_id, check_json
from .catalogue import FUSION, PROCESSINGS, Processing

__all__ = ["Request", "find_processing"]

Json = dict[str, Any]
_NOT_SLUG = re.compile(r"[^A-Za-z0-9_-]+")


def find_processing(id: str) -> Processing:
    """A processing by id. Raises NotFoundError."""
    found = PROCESSINGS.get(id)
    if found is None:
        raise NotFoundError(f"no processing {id[:50]!r}; known are {', '.join(PROCESSINGS)}")
    return found


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose parts fit together; its ids may name nothing.

    Attributes:
        uploads, stored: ids of the inputs.
        name: of the stored data to make, None when ``output`` is the id of one to change in place.
        labels: of the new stored data.
        parameters: as they were given.
    """

    processing: Processing
    uploads: tuple[str, ...]
    stored: tuple[str, ...]
    name: str | None
    output: str | None
    labels: tuple[str, ...]
    parameters: Json
    callback: Json | None

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Request:
        """Raises RequestError naming what is wrong, NotFoundError for an unknown processing."""
        processing = find_processing(check_id("processing", body.get("processing")))
        uploads, stored = _inputs(body)
        name, output = _output(body)
        if processing.id == FUSION:
            if uploads:
                raise RequestError("inputs.upload: a fusion takes none")
            if output is not None:
                raise RequestError("output.stored_data.id: a fusion makes a new stored data: give a name instead")
            if len(set(stored)) < 2 or len(set(stored)) < len(stored):
                raise RequestError("inputs.stored_data: expected the ids of two stored data or more, each once")
        elif processing.unavailable is None:
            if len(uploads) != 1:
                raise RequestError("inputs.upload: expected one id of an upload")
            if len(stored) > 1:
                raise RequestError("inputs.stored_data: expected one id at most, of the pyramid to update")
            if output is not None and stored not in ((), (output,)):
                raise RequestError("inputs.stored_data: an update in place changes output.stored_data.id: leave it out")
        parameters, callback = as_object(body, "parameters") or {}, as_object(body, "callback")
        return cls(processing, uploads, stored, name, output, _labels(body), parameters, callback)

    @property
    def slug(self) -> str:
        """A name for the pyramid's files: letters, digits, ``_`` and ``-``."""
        plain = unicodedata.normalize("NFKD", self.name or "").encode("ascii", "ignore").decode()
        return _NOT_SLUG.sub("_", plain).strip("_-")[:60] or "PYRAMID"


def _inputs(body: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    inputs = as_object(body, "inputs") or {}
    unknown = set(inputs) - {"upload", "stored_data"}
    if unknown:
        raise RequestError(f"inputs: unknown {min(unknown)[:50]!r}; expected upload and stored_data")
    found = []
    for kind in ("upload", "stored_data"):
        given = inputs.get(kind) or []
        if not isinstance(given, list):
            raise RequestError(f"inputs.{kind}: expected a list of ids")
        found.append(tuple(check_id(f"inputs.{kind}", id) for id in given))
    return found[0], found[1]


def _output(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """(name of the new stored data, None) or (None, id of an existing one). Clients write ``id`` and ``_id``."""
    output = as_object(body, "output")
    if output is None or "stored_data" not in output:
        raise RequestError("output: expected {stored_data: {name}}, or {stored_data: {id}} for an update in place")
    stored = as_object(output, "stored_data") or {}
    id = stored.get("_id", stored.get("id"))
    if id is not None:
        return None, check_id("output.stored_data.id", id)
    try:
        return as_text(stored, "name"), None
    except RequestError as error:
        raise RequestError(f"output.stored_data.{error}") from error


def _labels(body: Mapping[str, Any]) -> tuple[str, ...]:
    labels = body["output"]["stored_data"].get("storage_tags") or []
    if not isinstance(labels, list) or not all(isinstance(label, str) and len(label) < 100 for label in labels):
        raise RequestError("output.stored_data.storage_tags: expected a list of texts")
    check_json("output.stored_data.storage_tags", labels)
    return tuple(labels)
