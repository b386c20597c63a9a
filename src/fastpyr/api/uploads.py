"""Routes of deliveries and their checks."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from ..errors import FastpyrError, NotFoundError, RequestError
from ..platform.catalogue import CHECKS, CREATION
from ..platform.entrepot import Entrepot
from ..platform.queries import match_text, page_of
from .common import LIST_PARAMETERS, NO_CONTENT, Asked, Json, ObjectBody, Platform, answer, listing
from .multipart import receive_file
from .notes import add_notes

__all__ = ["router"]

router = APIRouter(tags=["uploads"])
_FILE_BODY: Json = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


class UploadBody(BaseModel):
    """A new delivery."""

    model_config = ConfigDict(extra="ignore")
    name: str
    description: str | None = None
    type: str
    srs: str
    type_infos: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None


@router.get("/uploads", summary="Deliveries", openapi_extra=LIST_PARAMETERS)
def list_uploads(platform: Platform, query: Asked) -> Response:
    return listing(platform.uploads.find(query))


@router.post("/uploads", status_code=201, summary="Create a delivery")
def create_upload(platform: Platform, body: UploadBody) -> Any:
    return platform.uploads.create(body.model_dump(exclude_unset=True))


@router.get("/uploads/{id}", summary="A delivery")
def get_upload(platform: Platform, id: str) -> Response:
    return answer(platform.uploads.get(id))


@router.patch("/uploads/{id}", summary="Change a delivery")
def edit_upload(platform: Platform, id: str, body: ObjectBody) -> Any:
    return platform.uploads.edit(id, body)


@router.delete("/uploads/{id}", status_code=204, summary="Delete a delivery and its files")
def delete_upload(platform: Platform, id: str) -> Response:
    platform.uploads.delete(id)
    return NO_CONTENT()


async def _receive(request: Request, platform: Entrepot, id: str, path: str | None) -> None:
    """Take a file in under ``path``, or under its own name where that is None."""
    try:
        area = await run_in_threadpool(platform.uploads.open_area, id)
        if path is not None:
            area.path(path)
    except FastpyrError:
        # a client that is still sending would not hear the answer
        with suppress(ClientDisconnect):
            async for _ in request.stream():
                continue
        raise
    with area.arriving() as (file, arrived):
        content_type = request.headers.get("content-type", "")
        part = await receive_file(content_type, request.stream(), file, request.app.state.max_upload)
        name = path if path is not None else (part.filename or "")
        if path is None and "/" in name:
            raise RequestError(f"filename {name[:80]!r}: a list of signatures lies at the root of its delivery")
        await run_in_threadpool(platform.uploads.keep, id, arrived, name)


@router.post("/uploads/{id}/data", status_code=204, summary="Deliver a file", openapi_extra=_FILE_BODY)
async def push_data(request: Request, platform: Platform, id: str, path: str) -> Response:
    """``path`` is the file's whole path in the delivery, its name included."""
    await _receive(request, platform, id, path)
    return NO_CONTENT()


@router.get("/uploads/{id}/data", summary="Download a file", response_class=FileResponse)
def get_data(platform: Platform, id: str, path: str) -> Response:
    platform.uploads.get(id)
    file = platform.uploads.files(id).existing(path)
    return FileResponse(file, media_type="application/octet-stream", filename=file.name)


@router.delete("/uploads/{id}/data", status_code=204, summary="Delete a file")
def delete_data(platform: Platform, id: str, path: str) -> Response:
    platform.uploads.remove_file(id, path)
    return NO_CONTENT()


@router.post("/uploads/{id}/md5", status_code=204, summary="Deliver a list of signatures", openapi_extra=_FILE_BODY)
async def push_md5(request: Request, platform: Platform, id: str) -> Response:
    """The list is kept at the root of the delivery, under the file name of the part."""
    await _receive(request, platform, id, None)
    return NO_CONTENT()


@router.delete("/uploads/{id}/md5", status_code=204, summary="Delete a list of signatures")
def delete_md5(platform: Platform, id: str, path: str) -> Response:
    platform.uploads.remove_file(id, path)
    return NO_CONTENT()


@router.get("/uploads/{id}/tree", summary="Folders and files of a delivery")
def get_tree(platform: Platform, id: str) -> Response:
    return answer(platform.uploads.tree(id))


@router.post("/uploads/{id}/close", status_code=204, summary="Close a delivery: its checks begin")
def close_upload(platform: Platform, id: str) -> Response:
    platform.uploads.close(id)
    return NO_CONTENT()


@router.post("/uploads/{id}/open", status_code=204, summary="Open a delivery again")
def open_upload(platform: Platform, id: str) -> Response:
    platform.uploads.open(id)
    return NO_CONTENT()


@router.get("/uploads/{id}/checks", summary="State of the checks of a delivery")
def get_checks(platform: Platform, id: str) -> Response:
    return answer(platform.uploads.checks(id))


@router.post("/uploads/{id}/checks", status_code=204, summary="Ask for checks again")
def run_checks(platform: Platform, id: str, body: Annotated[list[str], Body()]) -> Response:
    platform.uploads.run_checks(id, body)
    return NO_CONTENT()


add_notes(router, "/uploads", lambda platform: platform.uploads)


@router.get("/checks", summary="The checks there are", openapi_extra=LIST_PARAMETERS)
def list_checks(query: Asked) -> Response:
    pattern = query.filters.get("name", "%")
    return listing(page_of([_check(id) for id, (name, _) in CHECKS.items() if match_text(pattern, name)], query))


@router.get("/checks/executions", summary="Executions of checks", openapi_extra=LIST_PARAMETERS)
def list_check_executions(platform: Platform, query: Asked) -> Response:
    return listing(platform.uploads.check_executions(query))


@router.get("/checks/executions/{id}", summary="An execution of a check")
def get_check_execution(platform: Platform, id: str) -> Response:
    return answer(platform.uploads.check_execution(id))


@router.delete("/checks/executions/{id}", status_code=204, summary="Stop a check")
def cancel_check(platform: Platform, id: str) -> Response:
    platform.uploads.cancel_check(id)
    return NO_CONTENT()


@router.get("/checks/executions/{id}/logs", summary="Log of a check", openapi_extra=LIST_PARAMETERS)
def get_check_log(platform: Platform, id: str, query: Asked) -> Response:
    return listing(page_of(platform.uploads.check_log(id), query))


@router.get("/checks/{id}", summary="A check")
def get_check(id: str) -> Response:
    if id not in CHECKS:
        raise NotFoundError(f"no check {id[:50]!r}")
    return answer(_check(id))


def _check(id: str) -> Json:
    name, description = CHECKS[id]
    return {"_id": id, "name": name, "description": description, "creation": CREATION, "update": CREATION}
