"""The platform over HTTP: a thin shell on ``fastpyr.platform.Entrepot`` (the extra ``api``)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .access import Access
    from .app import create_app

__all__ = ["Access", "create_app"]

_MODULES = {"Access": "access", "create_app": "app"}


def __getattr__(name: str) -> Any:
    """Public names are imported at first use, and FastAPI with them."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
