"""Extents as the platform tells them: boxes in degrees, as GeoJSON polygons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..grid.bounds import BoundingBox

__all__ = ["box_of", "common", "polygon"]

Json = dict[str, Any]


def polygon(west: float, south: float, east: float, north: float) -> Json:
    """A box as GeoJSON, longitude first, counter-clockwise."""
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def box_of(extent: Json) -> BoundingBox:
    """The box of a polygon that ``polygon`` made."""
    x, y = zip(*extent["coordinates"][0], strict=True)
    return BoundingBox(min(x), min(y), max(x), max(y))


def common(extents: Iterable[Json | None], within: Json | None = None) -> Json | None:
    """The box around all extents that are known, or its part in ``within``; None when none is."""
    boxes = [box_of(extent) for extent in extents if extent is not None]
    if not boxes:
        return None
    whole = boxes[0]
    for box in boxes[1:]:
        whole = whole.union(box)
    part = None if within is None else whole.intersection(box_of(within))
    return polygon(*(whole if part is None else part))
