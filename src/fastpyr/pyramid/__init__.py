"""Pyramids as a whole: descriptor, levels, list; reading, verification, export, preview, statistics."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .descriptor import Descriptor, parse_descriptor
    from .export import export_level
    from .reader import Pyramid, SlabRef, open_pyramid
    from .stats import PyramidStats, pyramid_stats
    from .verify import Finding, VerifyReport
    from .window import Level, PixelWindow

__all__ = [
    "Descriptor",
    "Finding",
    "Level",
    "PixelWindow",
    "Pyramid",
    "PyramidStats",
    "SlabRef",
    "VerifyReport",
    "export_level",
    "open_pyramid",
    "parse_descriptor",
    "pyramid_stats",
]

_MODULES = {
    "descriptor": ("Descriptor", "parse_descriptor"),
    "export": ("export_level",),
    "reader": ("Pyramid", "SlabRef", "open_pyramid"),
    "stats": ("PyramidStats", "pyramid_stats"),
    "verify": ("Finding", "VerifyReport"),
    "window": ("Level", "PixelWindow"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Public names are imported at first use: a build needs neither the checker nor the exporter."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
