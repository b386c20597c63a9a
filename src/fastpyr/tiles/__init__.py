"""Tiles of pyramids straight from their slabs: WMTS, TMS, XYZ with TileJSON; usable without HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .answer import Answer, Asked
    from .catalogue import Catalogue, DescriptorCatalogue, Part, Source
    from .layer import Layer
    from .service import ROOTS, TileService
    from .slabs import Slabs

__all__ = [
    "ROOTS",
    "Answer",
    "Asked",
    "Catalogue",
    "DescriptorCatalogue",
    "Layer",
    "Part",
    "Slabs",
    "Source",
    "TileService",
]

_MODULES = {
    "answer": ("Answer", "Asked"),
    "catalogue": ("Catalogue", "DescriptorCatalogue", "Part", "Source"),
    "layer": ("Layer",),
    "service": ("ROOTS", "TileService"),
    "slabs": ("Slabs",),
}
__getattr__ = lazy_names(__name__, _MODULES)
