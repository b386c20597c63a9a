"""The platform around the engine, on one machine: deliveries, checks, processings, stored pyramids, publications.

It keeps its state in a database (SQLAlchemy: the extra ``api``) and its files in a folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .entrepot import Entrepot

__all__ = ["Entrepot"]

__getattr__ = lazy_names(__name__, {"entrepot": ("Entrepot",)})
