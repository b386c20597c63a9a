"""Grids: boxes, tile matrix sets, coordinate reference systems, reprojection grids and the choice of levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .bounds import BoundingBox, TileLimits
    from .crs import Transform, is_geographic, metres_per_unit, parse_crs, same_crs
    from .footprint import affine_bounds, mean_pixel_area, project_bounds, project_boxes
    from .graph import Derivation, derivations
    from .levels import bottom_level, footprint_resolution, level_range
    from .matrix import TileMatrix, TileMatrixSet, TmsKind
    from .nodes import coordinate_grid
    from .tms import load_tms, tms_from_json, tms_names

__all__ = [
    "BoundingBox",
    "Derivation",
    "TileLimits",
    "TileMatrix",
    "TileMatrixSet",
    "TmsKind",
    "Transform",
    "affine_bounds",
    "bottom_level",
    "coordinate_grid",
    "derivations",
    "footprint_resolution",
    "is_geographic",
    "level_range",
    "load_tms",
    "mean_pixel_area",
    "metres_per_unit",
    "parse_crs",
    "project_bounds",
    "project_boxes",
    "same_crs",
    "tms_from_json",
    "tms_names",
]

# A tile matrix set needs no array, a box no CRS.
_MODULES = {
    "bounds": (
        "BoundingBox",
        "TileLimits",
    ),
    "crs": (
        "Transform",
        "is_geographic",
        "metres_per_unit",
        "parse_crs",
        "same_crs",
    ),
    "footprint": (
        "affine_bounds",
        "mean_pixel_area",
        "project_bounds",
        "project_boxes",
    ),
    "graph": (
        "Derivation",
        "derivations",
    ),
    "levels": (
        "bottom_level",
        "footprint_resolution",
        "level_range",
    ),
    "matrix": (
        "TileMatrix",
        "TileMatrixSet",
        "TmsKind",
    ),
    "nodes": ("coordinate_grid",),
    "tms": (
        "load_tms",
        "tms_from_json",
        "tms_names",
    ),
}
__getattr__ = lazy_names(__name__, _MODULES)
