"""Configurations and offerings: what is to be published of stored data, and what is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import ConflictError, NotFoundError, RequestError
from .base import Annotated, as_object, as_text, check_id, check_json, fetch, note
from .catalogue import ENDPOINTS
from .models import Configuration, Offering, StoredData
from .queries import Listing, Query, find
from .render import configuration_json, offering_json
from .stored import used_data

__all__ = ["Configurations"]

Json = dict[str, Any]
_TYPES = ("WMTS-TMS", "WMS-RASTER")
_LAYER = re.compile(r"[A-Za-z_][A-Za-z0-9_\-.]*")


class Configurations(Annotated):
    """Configurations and their offerings. All methods may be called from many threads, and by several processes."""

    _model = Configuration
    _kind = "configuration"
    service_url = "http://127.0.0.1:8080"
    """Where the tile services answer, for the urls of offerings."""

    def _render(self, session: Session, row: Any) -> Json:
        return configuration_json(session, row)

    def create(self, body: Mapping[str, Any]) -> Json:
        """Raises RequestError, ConflictError for a layer name that is taken."""
        kind = as_text(body, "type", 32)
        if kind not in _TYPES:
            raise RequestError(f"type: {kind!r}, this platform publishes {', '.join(_TYPES)}")
        with self._place.database.write() as session:
            row = Configuration(type=kind, tags={})
            self._fill(session, row, body)
            session.add(row)
            session.flush()
            note(session, row.id, "Création")
            session.flush()
            return configuration_json(session, row)

    def replace(self, id: str, body: Mapping[str, Any]) -> Json:
        """Change all of a configuration but its type. Its offerings follow."""
        with self._place.database.write() as session:
            row = fetch(session, Configuration, "configuration", id)
            if body.get("type", row.type) != row.type:
                raise RequestError("type: cannot be changed")
            self._fill(session, row, body)
            note(session, id, "Modification")
            session.flush()
            return configuration_json(session, row)

    def edit(self, id: str, body: Mapping[str, Any]) -> Json:
        """Change what is given."""
        with self._place.database.read() as session:
            row = fetch(session, Configuration, "configuration", id)
            whole = {
                "name": row.name,
                "layer_name": row.layer_name,
                "metadata": row.metadata_,
                "type_infos": row.type_infos,
                "attribution": row.attribution,
                "getfeatureinfo": row.getfeatureinfo,
                "extra": row.extra,
            }
        return self.replace(id, whole | dict(body))

    def _fill(self, session: Session, row: Configuration, body: Mapping[str, Any]) -> None:
        layer = as_text(body, "layer_name") or ""
        if not _LAYER.fullmatch(layer):
            raise RequestError(f"layer_name: {layer[:50]!r}, expected letters, digits, _, - and ., no digit first")
        with session.no_autoflush:
            taken = session.scalar(select(Configuration).where(Configuration.layer_name == layer))
        if taken is not None and taken is not row:
            raise ConflictError(f"layer_name {layer} is that of configuration {taken.id}: choose another one")
        metadata = body.get("metadata") or []
        if not isinstance(metadata, list):
            raise RequestError("metadata: expected a list")
        check_json("metadata", metadata)
        type_infos = as_object(body, "type_infos")
        self._check_used(session, type_infos or {})
        row.name = as_text(body, "name") or ""
        row.layer_name = layer
        row.metadata_ = metadata
        row.type_infos = type_infos or {}
        row.attribution = as_object(body, "attribution")
        row.getfeatureinfo = as_object(body, "getfeatureinfo")
        row.extra = as_object(body, "extra") or {}

    @staticmethod
    def _check_used(session: Session, type_infos: Mapping[str, Any]) -> None:
        """The stored data to publish exist and have the levels."""
        used = type_infos.get("used_data")
        if not isinstance(used, list) or not used or not all(isinstance(item, dict) for item in used):
            raise RequestError("type_infos.used_data: expected a list of {stored_data, bottom_level, top_level}")
        for item in used:
            id = check_id("type_infos.used_data.stored_data", item.get("stored_data"))
            with session.no_autoflush:
                row = session.get(StoredData, id)
            if row is None:
                raise NotFoundError(f"type_infos.used_data: no stored data {id!r}")
            if row.status != "GENERATED":
                raise ConflictError(f"stored data {id} is {row.status}, not GENERATED: it cannot be published")
            levels = (row.type_infos or {}).get("levels", [])
            for name in ("bottom_level", "top_level"):
                if item.get(name) is not None and item[name] not in levels:
                    shown = str(item[name])[:20]
                    raise RequestError(f"type_infos.used_data.{name}: {shown!r} is no level of {row.name}")

    def find(self, query: Query) -> Listing[Json]:
        names = ("name", "layer_name", "type", "creation", "update")
        columns = {name: getattr(Configuration, name) for name in names} | {"_id": Configuration.id}
        with self._place.database.read() as session:

            def publishing(value: str) -> Any:
                rows = session.scalars(select(Configuration)).all()
                return Configuration.id.in_([row.id for row in rows if value in used_data(row.type_infos)])

            def status(value: str) -> Any:
                published = select(Offering.configuration_id).where(Offering.status != "UNPUBLISHED")
                found = Configuration.id.in_(published)
                return found if value.upper() == "PUBLISHED" else ~found

            special = {"stored_data": publishing, "status": status}
            return find(session, Configuration, query, columns, special, lambda row: configuration_json(session, row))

    def delete(self, id: str) -> None:
        """Raises ConflictError while there are offerings."""
        with self._place.database.write() as session:
            row = fetch(session, Configuration, "configuration", id)
            offering = session.scalar(select(Offering.id).where(Offering.configuration_id == id).limit(1))
            if offering is not None:
                raise ConflictError(f"configuration {id} is published by offering {offering}: delete it first")
            self._forget(session, id)
            session.delete(row)

    def publish(self, id: str, body: Mapping[str, Any]) -> Json:
        """A new offering of a configuration on an ``endpoint``."""
        endpoint = check_id("endpoint", body.get("endpoint"))
        if endpoint not in ENDPOINTS:
            raise NotFoundError(f"no endpoint {endpoint!r}; known are {', '.join(ENDPOINTS)}")
        is_open = body.get("open", True)
        if not isinstance(is_open, bool):
            raise RequestError("open: expected true or false")
        with self._place.database.write() as session:
            row = fetch(session, Configuration, "configuration", id)
            if ENDPOINTS[endpoint][2] != row.type:
                raise RequestError(
                    f"endpoint: {endpoint} serves {ENDPOINTS[endpoint][2]}, the configuration is {row.type}"
                )
            same = select(Offering.id).where(Offering.configuration_id == id, Offering.endpoint_id == endpoint)
            if session.scalar(same.limit(1)) is not None:
                raise ConflictError(f"configuration {id} has an offering on endpoint {endpoint}: delete it first")
            offering = Offering(configuration_id=id, endpoint_id=endpoint, open=is_open)
            session.add(offering)
            note(session, id, "Publication")
            session.flush()
            return self._offering(offering)

    def _offering(self, row: Offering) -> Json:
        path = "wmts" if row.configuration.type == "WMTS-TMS" else "wms-r"
        return offering_json(row, f"{self.service_url}/{path}")

    def offerings(self, query: Query, configuration_id: str | None = None) -> Listing[Json]:
        """All offerings, or those of a configuration."""
        columns = {name: getattr(Offering, name) for name in ("status", "creation", "update")} | {"_id": Offering.id}

        def configured(column: Any) -> Any:
            return lambda value: Offering.configuration.has(column == value)

        special = {
            "configuration": configured(Configuration.id),
            "layer_name": configured(Configuration.layer_name),
            "type": configured(Configuration.type),
            "endpoint": lambda value: Offering.endpoint_id == value,
            "open": lambda value: Offering.open.is_(value.strip().lower() == "true"),
        }
        with self._place.database.read() as session:
            if configuration_id is not None:
                fetch(session, Configuration, "configuration", configuration_id)
                filters = {**query.filters, "configuration": configuration_id}
                query = Query(query.page, query.limit, filters, query.tags, query.fields, query.sort)
            return find(session, Offering, query, columns, special, self._offering)

    def offering(self, id: str) -> Json:
        with self._place.database.read() as session:
            return self._offering(fetch(session, Offering, "offering", id))

    def synchronize(self, id: str, body: Mapping[str, Any]) -> Json:
        """Take over what has changed in the configuration and in the stored data; ``open`` may be changed."""
        is_open = body.get("open")
        if is_open is not None and not isinstance(is_open, bool):
            raise RequestError("open: expected true or false")
        with self._place.database.write() as session:
            row = fetch(session, Offering, "offering", id)
            if is_open is not None:
                row.open = is_open
            self._check_used(session, row.configuration.type_infos)
            row.status = "PUBLISHED"
            session.flush()
            return self._offering(row)

    def remove_offering(self, id: str) -> None:
        """A published offering is unpublished and stays; one that is unpublished is deleted."""
        with self._place.database.write() as session:
            row = fetch(session, Offering, "offering", id)
            if row.status == "PUBLISHED":
                row.status = "UNPUBLISHED"
                note(session, row.configuration_id, "Dépublication")
            else:
                session.delete(row)
