"""The application: the routes of the API under ``/api``, ``/token``, and the pages.

Tiles are answered before all routes (``tiles``). What serves pages adds a router of its own to ``_ROUTERS``;
``request.app.state.entrepot`` is the platform.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header
from starlette.exceptions import HTTPException
from starlette.requests import Request

from .. import __version__
from ..platform.entrepot import Entrepot
from ..tiles.catalogue import Catalogue
from ..tiles.service import TileService
from . import pages, processings, publication, statics, uploads
from .access import Access
from .common import ERRORS, handlers, known_datastore
from .fast import FastTiles
from .guard import Guard
from .tiles import StoredCatalogue, TileRoutes, TileSettings

__all__ = ["create_app", "create_tile_app"]

DEFAULT_MAX_UPLOAD = 64 << 30


def _with_credentials(request: Request, authorization: Annotated[str | None, Header()] = None) -> None:
    access: Access = request.app.state.access
    if not access.allows(authorization):
        raise HTTPException(401, "no or wrong credentials", {"WWW-Authenticate": access.challenge})


def _api() -> APIRouter:
    """All that needs credentials."""
    datastore = APIRouter(prefix="/datastores/{datastore}", dependencies=[Depends(known_datastore)])
    for part in (uploads.router, processings.router, publication.router):
        datastore.include_router(part)
    api = APIRouter(prefix="/api", dependencies=[Depends(_with_credentials)], responses=ERRORS)
    api.include_router(statics.router)
    api.include_router(datastore)
    return api


_ROUTERS = (statics.token_router, _api(), pages.router)


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document without 422: what is invalid is answered with 400 here."""
        if self.openapi_schema is None:
            for methods in super().openapi()["paths"].values():
                for operation in methods.values():
                    operation["responses"].pop("422", None)
        return super().openapi()


def create_app(
    entrepot: Entrepot,
    access: Access | None = None,
    *,
    hosts: Collection[str] | None = None,
    max_upload: int = DEFAULT_MAX_UPLOAD,
    tiles: TileSettings | None = None,
) -> FastAPI:
    """The ASGI application of a platform.

    Args:
        entrepot: the platform; whoever made it closes it.
        access: who may come in; None: everybody.
        hosts: names under which the server may be called; None: any.
        max_upload: bytes of the largest file that is taken.
        tiles: what holds for tiles; None: as by default.
    """
    access = access or Access()
    app = _bare(access, _ROUTERS)
    app.state.entrepot = entrepot
    app.state.max_upload = max_upload
    service = TileService(StoredCatalogue(entrepot))
    _serve_tiles(app, service, tiles or TileSettings(access), hosts)
    app.add_middleware(Guard, hosts=hosts, max_upload=max_upload)
    return app


def _serve_tiles(app: FastAPI, service: TileService, settings: TileSettings, hosts: Collection[str] | None) -> None:
    app.add_middleware(TileRoutes, service=service, settings=settings)
    app.state.fast = FastTiles(service, settings, hosts)


def create_tile_app(
    catalogue: Catalogue,
    access: Access | None = None,
    *,
    hosts: Collection[str] | None = None,
    tiles: TileSettings | None = None,
) -> FastAPI:
    """The tile services and the pages alone, without a platform; arguments as of ``create_app``."""
    access = access or Access()
    app = _bare(access, (statics.token_router, pages.router))
    _serve_tiles(app, TileService(catalogue), tiles or TileSettings(access), hosts)
    app.add_middleware(Guard, hosts=hosts, max_upload=0)
    return app


def _bare(access: Access, routers: Sequence[APIRouter]) -> FastAPI:
    app = _App(
        title="fastpyr",
        version=__version__,
        description="Deliveries of rasters, checks, processings, stored pyramids, publications.",
        docs_url=None,
        redoc_url=None,
        exception_handlers=handlers(),
        redirect_slashes=False,
    )
    app.state.access = access
    for router in routers:
        app.include_router(router)
    return app
