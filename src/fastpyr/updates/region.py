"""Areas in the plane: boxes, and polygons read from WKT, GeoJSON or GML; what of a grid they meet."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, StoreError
from ..grid.bounds import BoundingBox
from ..store import open_location

__all__ = ["Region", "read_region"]

_MAX_BYTES = 64 << 20
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_WKT = re.compile(r"\s*(?:SRID=\d+;)?\s*(MULTI)?POLYGON\s*(?:ZM|Z|M)?\s*\((.*)\)\s*;?\s*", re.IGNORECASE | re.DOTALL)
_WKT_RINGS = re.compile(r"\(([^()]*)\)")

Ring = NDArray[np.float64]


class Region:
    """An area: ``box``, or polygons of rings (n, 2), the first the outline and the others holes."""

    def __init__(self, box: BoundingBox, polygons: Sequence[Sequence[Ring]] = ()) -> None:
        self.box = box
        self._edges = [_edges(rings) for rings in polygons]

    @classmethod
    def of_polygons(cls, polygons: Sequence[Sequence[Ring]]) -> Region:
        """Raises ValueError when a ring has fewer than three corners or one that is not finite."""
        if not polygons or any(len(ring) < 3 or not np.isfinite(ring).all() for rings in polygons for ring in rings):
            raise ValueError("it holds no polygon, or a ring of fewer than three finite corners")
        corners = np.concatenate([ring for rings in polygons for ring in rings])
        x, y = corners.T
        return cls(BoundingBox(float(x.min()), float(y.min()), float(x.max()), float(y.max())), polygons)

    def meets(self, box: BoundingBox) -> bool:
        """Whether the interiors of a box and of the area have a point in common."""
        if not self.box.intersects(box):
            return False
        return not self._edges or any(_meets(edges, box) for edges in self._edges)

    def identity(self) -> list[Any]:
        """Numbers that tell this area from others."""
        return [list(self.box), [edges.tolist() for edges in self._edges]]


def _edges(rings: Sequence[Ring]) -> NDArray[np.float64]:
    """(n, 4): x0, y0, x1, y1 of every side."""
    return np.concatenate([np.hstack([ring, np.roll(ring, -1, axis=0)]) for ring in rings])


def _meets(edges: NDArray[np.float64], box: BoundingBox) -> bool:
    """A side runs through the box, or the box is inside as a whole: then so is its centre."""
    x0, y0, x1, y1 = edges.T
    enter, leave = np.zeros(len(edges)), np.ones(len(edges))
    outside = np.zeros(len(edges), bool)
    for start, step, low, high in ((x0, x1 - x0, box.left, box.right), (y0, y1 - y0, box.bottom, box.top)):
        still = step == 0
        outside |= still & ((start <= low) | (start >= high))
        divisor = np.where(still, 1.0, step)
        first, second = (low - start) / divisor, (high - start) / divisor
        enter = np.where(still, enter, np.maximum(enter, np.minimum(first, second)))
        leave = np.where(still, leave, np.minimum(leave, np.maximum(first, second)))
    if bool((~outside & (enter < leave)).any()):
        return True
    x, y = (box.left + box.right) / 2, (box.bottom + box.top) / 2
    crossed = (y0 > y) != (y1 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    return int((crossed & (at > x)).sum()) % 2 == 1


def read_region(path: str | os.PathLike[str]) -> Region:
    """The polygons of a file or object in WKT, GeoJSON or GML; x (or longitude) first. Raises ConfigError."""
    name = os.fspath(path)
    try:
        store, key = open_location(name)
        if store.size(key) > _MAX_BYTES:
            raise ConfigError(f"{name}: is larger than {_MAX_BYTES} bytes, too large for an area")
        text = store.get(key).decode()
        if text.lstrip()[:1] == "{":
            polygons = list(_geojson(json.loads(text)))
        elif text.lstrip()[:1] == "<":
            polygons = _gml(text)
        else:
            polygons = _wkt(text)
        return Region.of_polygons(polygons)
    except StoreError as error:
        raise ConfigError(f"{name}: cannot be read: {error}") from None
    except (ValueError, TypeError, KeyError, RecursionError, expat.ExpatError) as error:
        raise ConfigError(
            f"{name}: is no area: expected polygons as WKT, GeoJSON or GML ({' '.join(str(error).split())[:200]})"
        ) from None


def _ring(positions: Any) -> Ring:
    """(n, 2) of positions of two coordinates or more; a last one equal to the first is harmless."""
    return np.array([(float(position[0]), float(position[1])) for position in positions]).reshape(-1, 2)


def _wkt(text: str) -> list[list[Ring]]:
    match = _WKT.fullmatch(text)
    if not match:
        raise ValueError("not a POLYGON or MULTIPOLYGON")
    bodies = re.findall(r"\(\s*(\([^()]*\)(?:\s*,\s*\([^()]*\))*)\s*\)", match[2]) if match[1] else [match[2]]
    return [
        [_ring([corner.split() for corner in ring.split(",")]) for ring in _WKT_RINGS.findall(body)] for body in bodies
    ]


def _geojson(value: dict[str, Any]) -> Iterator[list[Ring]]:
    kind = value["type"]
    if kind == "FeatureCollection":
        for feature in value["features"]:
            yield from _geojson(feature)
    elif kind == "GeometryCollection":
        for geometry in value["geometries"]:
            yield from _geojson(geometry)
    elif kind == "Feature":
        yield from _geojson(value["geometry"])
    elif kind in ("Polygon", "MultiPolygon"):
        polygons = value["coordinates"] if kind == "MultiPolygon" else [value["coordinates"]]
        yield from ([_ring(ring) for ring in rings] for rings in polygons)
    else:
        raise ValueError(f"a {str(kind)[:40]} is no polygon")


def _gml(text: str) -> list[list[Ring]]:
    """Rings of every Polygon, or PolygonPatch: their ``posList``, ``pos`` or ``coordinates``."""
    polygons: list[list[list[str]]] = []
    open_names: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(":")[2]
        open_names.append(local)
        if local in ("Polygon", "PolygonPatch"):
            polygons.append([])
        elif local == "LinearRing":
            polygons[-1].append([])

    def content(data: str) -> None:
        if open_names and open_names[-1] in ("posList", "pos", "coordinates") and polygons and polygons[-1]:
            polygons[-1][-1].append(data)

    def end(name: str) -> None:
        content(" ")
        open_names.pop()

    def refuse(*_: Any) -> None:
        raise ValueError("a document type is not accepted")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = content
    try:
        parser.Parse(text, True)
    except IndexError:
        raise ValueError("a ring outside of a polygon") from None
    return [
        [np.array([float(n) for n in re.findall(_NUMBER, "".join(ring))]).reshape(-1, 2) for ring in rings]
        for rings in polygons
    ]
