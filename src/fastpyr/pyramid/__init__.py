"""Pyramids as a whole: descriptor, levels, list; reading, verification, export, preview, statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

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
__getattr__ = lazy_names(__name__, _MODULES)
