"""The tile services as a part of the application, before its routes: tiles are many and small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from ..errors import ConflictError, NotFoundError
from ..platform.entrepot import Entrepot
from ..platform.queries import MAX_LIMIT, Query
from ..tiles.answer import Answer, Asked, json_answer
from ..tiles.catalogue import Catalogue, Part, Source
from ..tiles.service import ROOTS, TileService
from .access import Access

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["StoredCatalogue", "TileRoutes", "answer_headers"]

_SERVED = ("GENERATED", "MODIFYING")
_MAX_QUERY = 8192


class StoredCatalogue(Catalogue):
    """The stored data of a platform by their ids, and what is published by the names of its layers."""

    def __init__(self, entrepot: Entrepot) -> None:
        super().__init__()
        self._entrepot = entrepot

    def source(self, id: str) -> Source:
        stored = self._entrepot.stored_data
        try:
            return Source(id, stored.get(id)["name"], (Part(str(stored.descriptor(id))),))
        except ConflictError as error:
            raise NotFoundError(str(error)) from None
        except NotFoundError:
            published = self._published().get(id)
            if published is None:
                raise NotFoundError(f"no stored data and no published layer {id[:80]!r}") from None
        infos = published["type_infos"]
        parts = [
            Part(str(stored.descriptor(used["stored_data"])), used.get("bottom_level"), used.get("top_level"))
            for used in infos["used_data"]
        ]
        return Source(id, str(infos.get("title") or published["name"]), tuple(parts))

    def ids(self) -> Sequence[str]:
        listed = self._entrepot.stored_data.find(Query(limit=MAX_LIMIT)).items
        return [one["_id"] for one in listed if one["status"] in _SERVED]

    def published(self) -> Sequence[str]:
        """Published layers, and the stored data that none of them shows."""
        layers = self._published()
        shown = {used["stored_data"] for layer in layers.values() for used in layer["type_infos"]["used_data"]}
        return [*layers, *(id for id in self.ids() if id not in shown)]

    def _published(self) -> dict[str, dict[str, Any]]:
        filters = {"status": "PUBLISHED", "type": "WMTS-TMS"}
        found = self._entrepot.configurations.find(Query(limit=MAX_LIMIT, filters=filters)).items
        return {one["layer_name"]: one for one in found}


def answer_headers(answer: Answer, settings: TileSettings) -> list[tuple[bytes, bytes]]:
    """All headers of an answer, in their usual order."""
    headers = [(b"content-type", answer.media_type.encode()), (b"content-length", str(len(answer.body)).encode())]
    if answer.status == 304:
        headers = []
    if answer.etag is not None:
        headers.append((b"etag", answer.etag.encode()))
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers.items()]
    return headers + list(settings.fixed if answer.etag is not None else settings.fixed_unkept)


class TileSettings:
    """What is the same for all answers.

    Args:
        access: who may come in.
        max_age: seconds for which a client may keep a tile without asking again.
        cors: whether pages from elsewhere may show tiles.
        public_url: root of the URLs in documents; None: as the request has it.
    """

    def __init__(self, access: Access, max_age: int = 60, cors: bool = False, public_url: str | None = None) -> None:
        self.access = access
        self.public_url = public_url.rstrip("/") if public_url else None
        kept = "public" if access.is_open else "private"
        caching = f"{kept}, max-age={max_age}" if max_age else f"{kept}, no-cache"
        shared: list[tuple[bytes, bytes]] = [(b"x-content-type-options", b"nosniff")]
        if cors:
            shared += [(b"access-control-allow-origin", b"*"), (b"cross-origin-resource-policy", b"cross-origin")]
        self.fixed = ((b"cache-control", caching.encode()), *shared)
        self.fixed_unkept = ((b"cache-control", b"no-store"), *shared)
        self.cors = cors


class TileRoutes:
    """ASGI middleware: paths of the tile services are answered here, all others by the application."""

    def __init__(self, app: ASGIApp, service: TileService, settings: TileSettings) -> None:
        self._app = app
        self._service = service
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].split("/", 2)[1] not in ROOTS:
            await self._app(scope, receive, send)
            return
        from starlette.concurrency import run_in_threadpool

        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        method = scope["method"]
        answer: Answer | None = None
        if method == "OPTIONS" and self._settings.cors:
            answer = Answer(204, b"", "text/plain")
            answer.headers["access-control-allow-methods"] = "GET, HEAD"
            answer.headers["access-control-allow-headers"] = "authorization, if-none-match"
        elif not self._settings.access.allows(headers.get(b"authorization")):
            answer = _problem(401, "unauthorized", "no or wrong credentials")
            answer.headers["www-authenticate"] = self._settings.access.challenge
        elif method not in ("GET", "HEAD"):
            answer = _problem(405, "method_not_allowed", "GET and HEAD only")
            answer.headers["allow"] = "GET, HEAD"
        else:
            asked = self._asked(scope, headers)
            answer = asked if isinstance(asked, Answer) else await run_in_threadpool(self._service.answer, asked)
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": answer_headers(answer, self._settings),
            }
        )
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})

    def _asked(self, scope: Scope, headers: dict[bytes, str]) -> Asked | Answer:
        raw = scope["query_string"]
        try:
            if len(raw) > _MAX_QUERY:
                raise ValueError
            query = dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=50))
        except ValueError:
            return _problem(400, "bad_request", "the query is too long")
        base = self._settings.public_url or f"{scope['scheme']}://{headers.get(b'host', 'localhost')}"
        deflate = "deflate" in headers.get(b"accept-encoding", "").lower().replace(" ", "").split(",")
        return Asked(scope["path"], query, base, headers.get(b"if-none-match"), deflate)


def _problem(status: int, code: str, text: str) -> Answer:
    return json_answer({"error": code, "error_description": [text]}, status)
