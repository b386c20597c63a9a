"""Routes of configurations and offerings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, ConfigDict

from .common import LIST_PARAMETERS, NO_CONTENT, Asked, Json, ObjectBody, Platform, answer, listing
from .notes import add_notes

__all__ = ["router"]

router = APIRouter(tags=["publication"])


class ConfigurationBody(BaseModel):
    """A configuration."""

    model_config = ConfigDict(extra="ignore")
    type: str
    name: str
    layer_name: str
    metadata: list[Any] | None = None
    type_infos: dict[str, Any]
    attribution: dict[str, Any] | None = None
    getfeatureinfo: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None


class OfferingBody(BaseModel):
    """A new offering."""

    model_config = ConfigDict(extra="ignore")
    endpoint: str
    open: bool = True


@router.get("/configurations", summary="Configurations", openapi_extra=LIST_PARAMETERS)
def list_configurations(platform: Platform, query: Asked) -> Response:
    return listing(platform.configurations.find(query))


@router.post("/configurations", status_code=201, summary="Create a configuration")
def create_configuration(platform: Platform, body: ConfigurationBody) -> Any:
    return platform.configurations.create(body.model_dump(exclude_unset=True))


@router.get("/configurations/{id}", summary="A configuration")
def get_configuration(platform: Platform, id: str) -> Response:
    return answer(platform.configurations.get(id))


@router.put("/configurations/{id}", summary="Replace a configuration")
def replace_configuration(platform: Platform, id: str, body: ConfigurationBody) -> Any:
    return platform.configurations.replace(id, body.model_dump(exclude_unset=True))


@router.patch("/configurations/{id}", summary="Change a configuration")
def edit_configuration(platform: Platform, id: str, body: ObjectBody) -> Any:
    return platform.configurations.edit(id, body)


@router.delete("/configurations/{id}", status_code=204, summary="Delete a configuration")
def delete_configuration(platform: Platform, id: str) -> Response:
    platform.configurations.delete(id)
    return NO_CONTENT()


@router.get("/configurations/{id}/offerings", summary="Offerings of a configuration", openapi_extra=LIST_PARAMETERS)
def list_offerings_of(platform: Platform, id: str, query: Asked) -> Response:
    return listing(platform.configurations.offerings(query, id))


@router.post("/configurations/{id}/offerings", status_code=201, summary="Publish a configuration")
def create_offering(platform: Platform, id: str, body: OfferingBody) -> Any:
    return platform.configurations.publish(id, body.model_dump())


add_notes(router, "/configurations", lambda platform: platform.configurations)


@router.get("/offerings", summary="Offerings", openapi_extra=LIST_PARAMETERS)
def list_offerings(platform: Platform, query: Asked) -> Response:
    return listing(platform.configurations.offerings(query))


@router.get("/offerings/{id}", summary="An offering")
def get_offering(platform: Platform, id: str) -> Response:
    return answer(platform.configurations.offering(id))


@router.put("/offerings/{id}", summary="Synchronise an offering with its configuration; the body may be absent")
@router.patch("/offerings/{id}", summary="Open or close an offering")
def synchronize_offering(platform: Platform, id: str, body: Annotated[Json | None, Body()] = None) -> Any:
    return platform.configurations.synchronize(id, body or {})


@router.delete("/offerings/{id}", status_code=204, summary="Unpublish an offering, or delete an unpublished one")
def delete_offering(platform: Platform, id: str) -> Response:
    platform.configurations.remove_offering(id)
    return NO_CONTENT()
