"""What the routes share: the platform of a request, bodies, lists, errors as the contract has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast

from fastapi import Body, Depends, Path, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from ..errors import ConflictError, FastpyrError, NotFoundError, RequestError
from ..platform.catalogue import DATASTORE
from ..platform.entrepot import Entrepot
from ..platform.queries import Listing, Query

__all__ = [
    "ERRORS",
    "LIST_PARAMETERS",
    "NO_CONTENT",
    "Asked",
    "CommentBody",
    "ErrorBody",
    "Json",
    "ObjectBody",
    "Platform",
    "answer",
    "error_answer",
    "handlers",
    "known_datastore",
    "listing",
]

Json = dict[str, Any]


class ErrorBody(BaseModel):
    """Every answer that is not 2xx."""

    error: str
    error_description: list[str]


class CommentBody(BaseModel):
    """A comment."""

    model_config = ConfigDict(extra="ignore")
    text: str = Field(min_length=1, max_length=10_000)


ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorBody, "description": text}
    for code, text in (
        (400, "The request is wrong: the description names the value"),
        (401, "No or wrong credentials"),
        (403, "Called from a foreign page or by a foreign name"),
        (404, "No such entity"),
        (409, "The state of an entity, or another entity, stands against it"),
    )
}


def _parameter(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


LIST_PARAMETERS: Json = {
    "parameters": [
        _parameter("page", "Page, counted from 1", {"type": "integer", "minimum": 1, "maximum": 10**9, "default": 1}),
        _parameter("limit", "Items per page", {"type": "integer", "minimum": 1, "maximum": 10000, "default": 10}),
        _parameter("fields", "Attributes to show, repeated or joined by commas; _id always comes", {"type": "string"}),
        _parameter("sort", "attribute,asc or attribute,desc", {"type": "string"}),
    ],
    "responses": {
        "206": {"description": "A part of the list", "content": {"application/json": {"schema": {"type": "array"}}}}
    },
}
"""Of all lists; any attribute filters too, with % for any characters, and tags[key]."""


def platform_of(request: Request) -> Entrepot:
    return cast("Entrepot", request.app.state.entrepot)


def query_of(request: Request) -> Query:
    return Query.parse(request.query_params.multi_items())


def known_datastore(datastore: Annotated[str, Path(json_schema_extra={"enum": [DATASTORE]})]) -> None:
    """There is one datastore."""
    if datastore != DATASTORE:
        raise NotFoundError(f"no datastore {datastore[:50]!r}; the one here is {DATASTORE}")


Platform = Annotated[Entrepot, Depends(platform_of)]
Asked = Annotated[Query, Depends(query_of)]
ObjectBody = Annotated[Json, Body()]


def NO_CONTENT() -> Response:
    return Response(status_code=204)


def answer(value: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(value, status)


def listing(found: Listing[Any]) -> JSONResponse:
    """A page of a list: a plain array, with its place in the header Content-Range."""
    status = 206 if found.is_partial and found.items else 200
    return JSONResponse(found.items, status, {"Content-Range": found.content_range})


_CODES: tuple[tuple[type[Exception], int, str], ...] = (
    (RequestError, 400, "bad_request"),
    (NotFoundError, 404, "not_found"),
    (ConflictError, 409, "conflict"),
    (FastpyrError, 500, "internal_error"),
)


def error_answer(
    status: int, code: str, lines: Sequence[str], headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"error": code, "error_description": list(lines)}, status, headers)


def _on_error(_request: Request, error: Exception) -> Response:
    for kind, status, code in _CODES:
        if isinstance(error, kind):
            return error_answer(status, code, [" ".join(str(error).split())])
    return error_answer(500, "internal_error", ["the server could not do this; its log says why"])


def _on_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    lines = []
    for item in jsonable_encoder(error.errors(), exclude={"ctx", "input"}, custom_encoder={bytes: repr}):
        where = ".".join(str(part) for part in item["loc"] if part not in ("body", "query", "path"))
        lines.append(f"{where}: {item['msg']}" if where else str(item["msg"]))
    return error_answer(400, "bad_request", lines)


def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {401: "unauthorized", 404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    return error_answer(error.status_code, code, [str(error.detail)], error.headers)


def handlers() -> dict[Any, Any]:
    """Exception handlers of the application."""
    return {FastpyrError: _on_error, Exception: _on_error, RequestValidationError: _on_invalid, HTTPException: _on_http}
