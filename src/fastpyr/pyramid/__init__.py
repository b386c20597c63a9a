"""Pyramids as a whole: descriptor, levels, list; reading, verification, export, preview, statistics."""

from .descriptor import Descriptor, parse_descriptor
from .export import export_level
from .preview import preview
from .reader import Pyramid, SlabRef, open_pyramid
from .stats import PyramidStats, pyramid_stats
from .verify import Finding, VerifyReport, verify
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
    "preview",
    "pyramid_stats",
    "verify",
]
