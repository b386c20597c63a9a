"""Routes that belong to no datastore, and the datastore itself: tokens, the user, tile matrix sets."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request, Response

from ..errors import NotFoundError, RequestError
from ..grid import TileMatrixSet, load_tms, tms_names
from ..platform.catalogue import CHECKS, COMMUNITY, DATASTORE, ENDPOINTS, PROCESSINGS, USER
from ..platform.queries import Query, match_text, page_of
from .access import EXPIRES_IN
from .common import LIST_PARAMETERS, Asked, Json, answer, known_datastore, listing

__all__ = ["router", "token_router"]

token_router = APIRouter(tags=["access"])
router = APIRouter(tags=["access"])
_MAX_FORM = 64 << 10


@token_router.post("/token", summary="A token for a user and a password")
async def token(request: Request) -> Response:
    """Form-encoded ``username`` and ``password``, or ``client_id`` and ``client_secret``; other fields are ignored."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM:
            raise RequestError("the form is too long")
    try:
        form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=50)
    except ValueError as error:
        raise RequestError("the form has too many fields") from error
    last = {name: values[-1] for name, values in form.items()}
    by_client = last.get("grant_type") == "client_credentials"
    user = last.get("client_id" if by_client else "username", "")
    password = last.get("client_secret" if by_client else "password", "")
    issued = request.app.state.access.issue(user, password)
    if issued is None:
        return answer({"error": "invalid_grant", "error_description": "Invalid user credentials"}, 401)
    return answer({"access_token": issued, "expires_in": EXPIRES_IN, "token_type": "Bearer"})


def _datastore() -> Json:
    return {"_id": DATASTORE, "name": "local", "technical_name": "local"}


@router.get("/users/me", summary="The user")
def me() -> Response:
    community = {"_id": COMMUNITY, "name": "local", "technical_name": "local", "datastore": DATASTORE}
    rights = ["COMMUNITY", "UPLOAD", "PROCESSING", "BROADCAST"]
    return answer(
        {
            "_id": USER,
            "last_name": "local",
            "first_name": "fastpyr",
            "email": "local@localhost",
            "communities_member": [{"rights": rights, "community": community}],
        }
    )


@router.get("/datastores/{datastore}", summary="The datastore", dependencies=[Depends(known_datastore)])
def get_datastore(request: Request) -> Response:
    base = request.app.state.entrepot.configurations.service_url
    endpoints = []
    for id, (name, technical_name, kind) in ENDPOINTS.items():
        path = "wmts" if kind == "WMTS-TMS" else "wms-r"
        endpoint = {"_id": id, "name": name, "technical_name": technical_name, "type": kind, "open": True}
        endpoint["urls"] = [{"type": "WMTS" if kind == "WMTS-TMS" else "WMS", "url": f"{base}/{path}"}]
        endpoints.append({"use": 0, "quota": 1000, "endpoint": endpoint})
    value: dict[str, Any] = _datastore() | {
        "community": {"_id": COMMUNITY, "name": "local"},
        "storages": {"data": [{"type": "FILESYSTEM"}], "uploads": {}, "annexes": {}},
        "endpoints": endpoints,
        "processings": list(PROCESSINGS),
        "checks": list(CHECKS),
    }
    return answer(value)


@router.get("/statics/tms", summary="Tile matrix sets", tags=["grids"], openapi_extra=LIST_PARAMETERS)
def list_tms(query: Asked) -> Response:
    unknown = set(query.filters) - {"type", "srs", "resolution", "_id", "name"}
    if unknown:
        raise RequestError(
            f"parameter {min(unknown)[:50]!r}: cannot filter by it; known are srs, type, resolution, _id"
        )
    found = [{"_id": tms.name, "srs": tms.crs} for name in tms_names() if _fits(tms := load_tms(name), query)]
    return listing(page_of(found, query))


def _fits(tms: TileMatrixSet, query: Query) -> bool:
    filters = query.filters
    if not match_text(filters.get("srs", "%"), tms.crs) or not match_text(filters.get("type", "%"), str(tms.kind)):
        return False
    if not match_text(filters.get("_id", filters.get("name", "%")), tms.name):
        return False
    if "resolution" not in filters:
        return True
    try:
        wanted = float(filters["resolution"])
    except ValueError:
        raise RequestError(f"parameter resolution: {filters['resolution'][:50]!r} is not a number") from None
    return any(abs(matrix.cell_size - wanted) <= 1e-6 * abs(wanted) for matrix in tms.matrices)


def _tms(id: str) -> TileMatrixSet:
    if id not in tms_names():  # anything else might be a path
        raise NotFoundError(f"no tile matrix set {id[:50]!r}")
    return load_tms(id)


@router.get("/statics/tms/{id}", summary="A tile matrix set", tags=["grids"])
def get_tms(id: str) -> Response:
    tms = _tms(id)
    levels = [{"id": matrix.id, "resolution": matrix.cell_size} for matrix in tms.matrices]
    return answer({"_id": tms.name, "srs": tms.crs, "levels": levels})


@router.get("/statics/tms/{id}/file", summary="The file of a tile matrix set", tags=["grids"])
def get_tms_file(id: str) -> Response:
    return answer(_tms(id).to_json())
