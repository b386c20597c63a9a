"""Where a delivery lies, as GeoJSON: longitude and latitude, WGS 84."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastpyr.errors import GridError
from fastpyr.grid import BoundingBox, Transform
from fastpyr.source import Affine, RasterInfo

from .coverage import Coverage
from .report import FileReport

__all__ = ["extent_of", "footprint"]

_WGS84 = "EPSG:4326"
_DIGITS = 8
"""Of degrees: a millimetre."""
_POINTS = 8
"""Per side: straight sides are curves in other systems."""

Extent = tuple[float, float, float, float]


def footprint(files: Sequence[FileReport], placed: Coverage | None, crs: str | None) -> dict[str, Any]:
    """A FeatureCollection: the outline of every raster, then overlaps and gaps (boxes in ``crs``)."""
    features = []
    for file in files:
        if file.info is not None and (ring := _ring_of(file.info)) is not None:
            facts = {"kind": "raster", "file": file.name, "ok": file.ok, "resolution": list(file.info.resolution)}
            features.append(_feature(ring, facts | {"channels": file.info.channels, "crs": file.info.crs[:200]}))
    if placed is not None and crs is not None:
        names = [file.name for file in files if file.info is not None]
        for overlap in placed.overlaps:
            facts = {"kind": "overlap", "files": [names[overlap.first], names[overlap.second]]}
            features += _box_feature(overlap.box, crs, facts)
        for gap in placed.gaps:
            features += _box_feature(gap, crs, {"kind": "gap"})
    return {"type": "FeatureCollection", "features": features}


def extent_of(collection: dict[str, Any]) -> Extent | None:
    """(west, south, east, north) of the rasters of a footprint, None without any."""
    points = [
        point
        for feature in collection["features"]
        if feature["properties"]["kind"] == "raster"
        for point in feature["geometry"]["coordinates"][0]
    ]
    if not points:
        return None
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def _box_feature(box: BoundingBox, crs: str, facts: dict[str, Any]) -> list[dict[str, Any]]:
    grid = Affine(box.width, 0, box.left, 0, -box.height, box.top)
    ring = _ring(grid, 1, 1, crs)
    return [] if ring is None else [_feature(ring, facts)]


def _feature(ring: list[list[float]], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def _ring_of(info: RasterInfo) -> list[list[float]] | None:
    return _ring(info.transform, info.width, info.height, info.crs)


def _ring(grid: Affine, width: int, height: int, crs: str) -> list[list[float]] | None:
    """Closed outline of a raster, counter-clockwise for one that is north up; None where it has no coordinates."""
    t = np.linspace(0, 1, _POINTS, endpoint=False)
    zero, one = np.zeros(_POINTS), np.ones(_POINTS)
    # top-left corner, down, right, up, left
    cols = np.concatenate([zero, t, one, 1 - t]) * width
    rows = np.concatenate([t, one, 1 - t, zero]) * height
    x, y = grid.a * cols + grid.b * rows + grid.c, grid.d * cols + grid.e * rows + grid.f
    try:
        lon, lat = Transform(crs, _WGS84).forward(x, y)
    except GridError:
        return None
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return None
    ring = [[round(float(a), _DIGITS), round(float(b), _DIGITS)] for a, b in zip(lon, lat, strict=True)]
    return [*ring, ring[0]]
