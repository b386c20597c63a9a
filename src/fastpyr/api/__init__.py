"""The platform over HTTP: a thin shell on ``fastpyr.platform.Entrepot`` (the extra ``api``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .access import Access
    from .app import create_app, create_tile_app

__all__ = ["Access", "create_app", "create_tile_app"]

__getattr__ = lazy_names(__name__, {"access": ("Access",), "app": ("create_app", "create_tile_app")})
