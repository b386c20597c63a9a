"""Routes of processings, their executions, and stored data."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from ..platform.queries import page_of
from .common import LIST_PARAMETERS, NO_CONTENT, Asked, ObjectBody, Platform, answer, listing
from .notes import add_notes

__all__ = ["router"]

router = APIRouter(tags=["processings"])


class ExecutionBody(BaseModel):
    """A new execution. ``output`` is ``{"stored_data": {"name": …}}``, or ``{"stored_data": {"id": …}}`` to update a
    pyramid in place. A pyramid in ``inputs.stored_data`` is updated by reference; two or more are merged."""

    model_config = ConfigDict(extra="ignore")
    processing: str
    inputs: dict[str, Any] | None = None
    output: dict[str, Any]
    parameters: dict[str, Any] | None = None
    callback: dict[str, Any] | None = None


@router.get("/processings", summary="The processings there are", openapi_extra=LIST_PARAMETERS)
def list_processings(platform: Platform, query: Asked) -> Response:
    return listing(platform.executions.processings(query))


@router.get("/processings/executions", summary="Executions", openapi_extra=LIST_PARAMETERS)
def list_executions(platform: Platform, query: Asked) -> Response:
    return listing(platform.executions.find(query))


@router.post("/processings/executions", status_code=201, summary="Create an execution")
def create_execution(platform: Platform, body: ExecutionBody) -> Any:
    return platform.executions.create(body.model_dump(exclude_unset=True))


@router.get("/processings/executions/{id}", summary="An execution")
def get_execution(platform: Platform, id: str) -> Response:
    return answer(platform.executions.get(id))


@router.patch("/processings/executions/{id}", summary="Change the callback of an execution")
def edit_execution(platform: Platform, id: str, body: ObjectBody) -> Any:
    return platform.executions.edit(id, body)


@router.delete("/processings/executions/{id}", status_code=204, summary="Delete an execution")
def delete_execution(platform: Platform, id: str) -> Response:
    platform.executions.delete(id)
    return NO_CONTENT()


@router.post("/processings/executions/{id}/launch", status_code=204, summary="Launch an execution")
def launch_execution(platform: Platform, id: str) -> Response:
    platform.executions.launch(id)
    return NO_CONTENT()


@router.post("/processings/executions/{id}/abort", status_code=204, summary="Abort an execution")
def abort_execution(platform: Platform, id: str) -> Response:
    platform.executions.abort(id)
    return NO_CONTENT()


@router.get("/processings/executions/{id}/logs", summary="Log of an execution", openapi_extra=LIST_PARAMETERS)
def get_execution_log(platform: Platform, id: str, query: Asked) -> Response:
    return listing(page_of(platform.executions.log(id), query))


@router.get("/processings/{id}", summary="A processing and its parameters")
def get_processing(platform: Platform, id: str) -> Response:
    return answer(platform.executions.processing(id))


@router.get("/stored_data", summary="Stored data", tags=["stored data"], openapi_extra=LIST_PARAMETERS)
def list_stored_data(platform: Platform, query: Asked) -> Response:
    return listing(platform.stored_data.find(query))


@router.get("/stored_data/{id}", summary="A stored data", tags=["stored data"])
def get_stored_data(platform: Platform, id: str) -> Response:
    return answer(platform.stored_data.get(id))


@router.patch("/stored_data/{id}", summary="Change a stored data", tags=["stored data"])
def edit_stored_data(platform: Platform, id: str, body: ObjectBody) -> Any:
    return platform.stored_data.edit(id, body)


@router.delete("/stored_data/{id}", status_code=204, summary="Delete a stored data", tags=["stored data"])
def delete_stored_data(platform: Platform, id: str) -> Response:
    platform.stored_data.delete(id)
    return NO_CONTENT()


@router.get("/stored_data/{id}/dependencies", summary="What uses it, what it uses", tags=["stored data"])
def get_dependencies(platform: Platform, id: str) -> Response:
    return answer(platform.stored_data.dependencies(id))


add_notes(router, "/stored_data", lambda platform: platform.stored_data)
