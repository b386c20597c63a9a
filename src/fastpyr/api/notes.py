"""Tags, comments and events: the same routes for every kind of entity that has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from ..errors import RequestError
from ..platform.base import Annotated as Annotations
from ..platform.entrepot import Entrepot
from .common import LIST_PARAMETERS, NO_CONTENT, Asked, CommentBody, ObjectBody, Platform, answer, listing

__all__ = ["add_notes"]


def add_notes(router: APIRouter, path: str, part: Callable[[Entrepot], Annotations]) -> None:
    """Routes ``{path}/{id}/tags``, ``comments`` and ``events``; ``part`` finds the entities in the platform."""

    @router.post(f"{path}/{{id}}/tags", summary="Set tags")
    def add_tags(platform: Platform, id: str, tags: ObjectBody) -> Response:
        return answer(part(platform).add_tags(id, tags))

    @router.delete(f"{path}/{{id}}/tags", summary="Remove tags: tags[]=key, repeated, or tags=key,key")
    def remove_tags(platform: Platform, id: str, request: Request) -> Response:
        keys: list[str] = []
        for name, value in request.query_params.multi_items():
            if name not in ("tags[]", "tags"):
                raise RequestError(f"parameter {name[:50]!r}: expected tags[] or tags")
            keys += [value] if name == "tags[]" else value.split(",")
        return answer(part(platform).remove_tags(id, keys))

    @router.get(f"{path}/{{id}}/comments", summary="Comments", openapi_extra=LIST_PARAMETERS)
    def comments(platform: Platform, id: str, query: Asked) -> Response:
        return listing(part(platform).comments(id, query))

    @router.post(f"{path}/{{id}}/comments", status_code=201, summary="Add a comment")
    def add_comment(platform: Platform, id: str, body: CommentBody) -> Any:
        return part(platform).add_comment(id, body.model_dump())

    @router.put(f"{path}/{{id}}/comments/{{comment}}", summary="Change a comment")
    def edit_comment(platform: Platform, id: str, comment: str, body: CommentBody) -> Any:
        return part(platform).edit_comment(id, comment, body.model_dump())

    @router.delete(f"{path}/{{id}}/comments/{{comment}}", status_code=204, summary="Remove a comment")
    def remove_comment(platform: Platform, id: str, comment: str) -> Response:
        part(platform).remove_comment(id, comment)
        return NO_CONTENT()

    @router.get(f"{path}/{{id}}/events", summary="What happened", openapi_extra=LIST_PARAMETERS)
    def events(platform: Platform, id: str, query: Asked) -> Response:
        return listing(part(platform).events(id, query))
