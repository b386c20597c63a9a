"""What browsers show: the page at ``/``, the documentation at ``/docs``. Nothing in them comes from elsewhere.

The page is a bundle of the modules in the folder ``page``; docs/platform.md says how it is made anew.
"""

from __future__ import annotations

from importlib import resources

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@router.get("/")
def index() -> Response:
    """Deliveries, executions, stored data and the map."""
    return _static("index.html")


@router.get("/docs")
def docs() -> Response:
    return _static("docs.html")


@router.get("/static/{name}")
def static(name: str) -> Response:
    return _static(name)


def _static(name: str) -> Response:
    folder = resources.files(__package__).joinpath("static")
    known = {item.name for item in folder.iterdir()}
    kind = _TYPES.get("." + name.rpartition(".")[2])
    if name not in known or kind is None:
        raise HTTPException(404, "no such page")
    return Response(folder.joinpath(name).read_bytes(), media_type=kind)
