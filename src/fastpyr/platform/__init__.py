"""The platform around the engine, on one machine: deliveries, checks, processings, stored pyramids, publications.

It keeps its state in a database (SQLAlchemy: the extra ``api``) and its files in a folder.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .entrepot import Entrepot

__all__ = ["Entrepot"]


def __getattr__(name: str) -> Any:
    """The class is imported at first use, and SQLAlchemy with it."""
    if name == "Entrepot":
        return import_module(".entrepot", __name__).Entrepot
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
