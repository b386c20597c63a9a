"""Coordinate reference systems and the transformations between them, offline and with one fixed operation each.

Coordinates are x (longitude, easting) first everywhere, whatever the axis order an authority declares.
"""

from __future__ import annotations

import math
import threading
import warnings
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import GridError
from .bounds import BoundingBox

if TYPE_CHECKING:
    from pyproj import CRS, Transformer

    CrsLike: TypeAlias = str | CRS

__all__ = ["Transform", "is_geographic", "metres_per_unit", "parse_crs", "same_crs"]

FloatArray: TypeAlias = npt.NDArray[np.float64]

_MAX_TEXT = 1 << 16
_SAME_WITHIN = 1e-3
"""Metres: two systems that never differ by more are one for a raster."""

_EARTH_RADIUS = 6378137.0
"""Metres per radian in OGC scale denominators."""

_creation = threading.Lock()


def parse_crs(crs: CrsLike) -> CRS:
    """The horizontal (2D) system described by an EPSG or IGNF code, WKT, PROJ text or a pyproj CRS.

    The height part of compound and 3D systems is dropped. Raises GridError for anything unknown, and for systems that
    are neither geographic nor projected.
    """
    if isinstance(crs, str) and len(crs) > _MAX_TEXT:
        raise GridError(f"CRS {_name(crs)}: a description of {len(crs)} characters is not a CRS")
    return _parse(crs)


@lru_cache(maxsize=512)
def _parse(crs: CrsLike) -> CRS:
    from pyproj import CRS
    from pyproj.exceptions import ProjError

    parsed: CRS | None = None
    # Codes are matched with their case by PROJ, while descriptors of the Perl tools carry them in upper case.
    attempts = [crs, crs.strip().upper()] if isinstance(crs, str) else [crs]
    for attempt in attempts:
        try:
            parsed = CRS.from_user_input(attempt)
            break
        except (ProjError, ValueError, TypeError):
            continue
    if parsed is None:
        raise GridError(f"unknown CRS {_name(crs)}: give an EPSG or IGNF code such as EPSG:2154, or WKT")
    if parsed.is_compound:
        parsed = parsed.sub_crs_list[0]
    if len(parsed.axis_info) > 2:
        parsed = parsed.to_2d()
    if not (parsed.is_geographic or parsed.is_projected):
        raise GridError(f"CRS {_name(crs)} is neither geographic nor projected: images in it cannot be placed")
    return parsed


def _name(crs: CrsLike) -> str:
    """A CRS in a few words for messages."""
    if not isinstance(crs, str):
        return str(crs.name)
    text = " ".join(crs.split())
    return repr(text if len(text) <= 60 else text[:57] + "...")


def is_geographic(crs: CrsLike) -> bool:
    """True when coordinates are longitudes and latitudes."""
    return bool(parse_crs(crs).is_geographic)


def metres_per_unit(crs: CrsLike) -> float:
    """Length of one coordinate unit in metres; angles are measured along the equator of WGS 84."""
    parsed = parse_crs(crs)
    factor = float(parsed.axis_info[0].unit_conversion_factor) if parsed.axis_info else 1.0
    return factor * _EARTH_RADIUS if parsed.is_geographic else factor


def same_crs(a: CrsLike, b: CrsLike) -> bool:
    """True when both systems give every point the same coordinates.

    Decided by equal definitions, or else numerically: over the area of use, coordinates never move by more than one
    millimetre (so EPSG:2154 and IGNF:LAMB93 are the same). Raises GridError for an unknown system.
    """
    return _same(parse_crs(a), parse_crs(b))


@lru_cache(maxsize=1024)
def _same(a: CRS, b: CRS) -> bool:
    if a.equals(b, ignore_axis_order=True):
        return True
    if a.is_geographic != b.is_geographic:
        return False
    x, y = _sample_points(a, b)
    try:
        moved_x, moved_y = _transform(_operation(a, b, None), x, y)
    except GridError:
        return False
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return False
    shift = np.maximum(np.abs(moved_x[known] - x[known]), np.abs(moved_y[known] - y[known]))
    return bool(np.all(shift * metres_per_unit(a) < _SAME_WITHIN))


def _sample_points(a: CRS, b: CRS) -> tuple[FloatArray, FloatArray]:
    """A grid of points in coordinates of ``a`` over the areas of use of both; inf where ``a`` has no coordinates."""
    lons, lats = [], []
    for west, south, east, north in _areas(a, b):
        at = np.linspace(0.02, 0.98, 9)
        lon, lat = np.meshgrid(west + at * (east - west), south + at * (north - south))
        lons.append(lon.ravel())
        lats.append(lat.ravel())
    return _from_degrees(a, np.concatenate(lons), np.concatenate(lats))


class Transform:
    """Coordinates of one system turned into another's, both ways, by one PROJ operation fixed at creation.

    ``bounds``, in coordinates of ``source``, tells where the transform will be used: it selects the operation where
    several exist (give every transform of one mosaic the same box, so that all use the same operation), and for a
    geographic source beyond 180 degrees it tells around which meridian the inverse counts longitudes.

    The operation needs no network and no grid that is not installed. Instances are immutable and may be shared by
    threads. Raises GridError for an unknown system or when no operation exists.
    """

    def __init__(self, source: CrsLike, target: CrsLike, *, bounds: BoundingBox | None = None) -> None:
        self.source = parse_crs(source)
        self.target = parse_crs(target)
        self._flipped = False
        self._wrap = _wrap_of(self.source, bounds)
        self._operation: Transformer | None = None
        if not _same(self.source, self.target):
            self._operation = _operation(self.source, self.target, bounds)

    @property
    def is_identity(self) -> bool:
        """True when coordinates pass through unchanged."""
        return self._operation is None and self._wrap is None

    @property
    def description(self) -> str:
        """What PROJ calls the operation."""
        return "identity" if self._operation is None else str(self._operation.definition)

    @cached_property
    def inverse(self) -> Transform:
        """The same operation from ``target`` to ``source``."""
        other = object.__new__(Transform)
        other.source, other.target = self.target, self.source
        other._flipped = not self._flipped
        other._wrap = self._wrap
        other._operation = self._operation
        other.__dict__["inverse"] = self
        return other

    @property
    def source_wrap(self) -> tuple[float, float] | None:
        """(central meridian, turn) when coordinates of ``source`` are counted around another meridian than 0."""
        return None if self._flipped else self._wrap

    def forward(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """``target`` coordinates of ``source`` points: new float64 arrays of the common shape of ``x`` and ``y``.

        Both are inf where the point has no coordinates in ``target``.
        """
        xs, ys = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        tx, ty = xs.copy(), ys.copy()
        self.apply(tx.reshape(-1), ty.reshape(-1))
        unknown = ~(np.isfinite(tx) & np.isfinite(ty))
        tx[unknown] = ty[unknown] = np.inf
        return tx, ty

    def apply(self, tx: FloatArray, ty: FloatArray) -> None:
        """``forward`` in place, for contiguous float64 arrays of one axis.

        Points without coordinates in ``target`` have one that is not finite.
        """
        if self._operation is not None:
            direction = "INVERSE" if self._flipped else "FORWARD"
            self._operation.transform(tx, ty, errcheck=False, direction=direction, inplace=True)
        if self._flipped and self._wrap is not None:
            centre, turn = self._wrap
            with np.errstate(invalid="ignore"):
                tx -= turn * np.round((tx - centre) / turn)


def _wrap_of(crs: CRS, bounds: BoundingBox | None) -> tuple[float, float] | None:
    """(central meridian, turn) for geographic bounds beyond the half turn on either side, None otherwise."""
    if bounds is None or not bounds.is_finite or not crs.is_geographic:
        return None
    turn = 2 * math.pi / float(crs.axis_info[0].unit_conversion_factor)
    # A global raster may be half a pixel too large: its outermost columns need no second turn.
    slack = 1e-3 * turn
    if bounds.left >= -turn / 2 - slack and bounds.right <= turn / 2 + slack:
        return None
    return (bounds.left + bounds.right) / 2, turn


def _operation(source: CRS, target: CRS, bounds: BoundingBox | None) -> Transformer:
    """The operation that PROJ prefers in the middle of ``bounds``, of those whose grids are installed.

    PROJ's own transformer chooses again for each point, which tears images where two areas of use meet.
    """
    from pyproj.exceptions import ProjError

    x, y = _probes(source, bounds)
    with _creation:
        candidates = _candidates(source, target)
        for point in zip(x, y, strict=True):
            if math.isfinite(candidates.transform(*point, errcheck=False)[0]):
                break
        try:
            definition = candidates.get_last_used_operation().definition
        except ProjError:
            definition = candidates.definition
        try:
            return _pipeline(definition)
        except ProjError:
            raise GridError(
                f"no transformation is known from CRS {source.name} to CRS {target.name}"
                + (f" around {bounds}" if bounds is not None else "")
            ) from None


def _probes(crs: CRS, bounds: BoundingBox | None) -> tuple[FloatArray, FloatArray]:
    """A few points of a box, or of the area of use, its centre first, in coordinates of ``crs``."""
    at = np.array([0.5, 0.3, 0.7])
    if bounds is not None and bounds.is_finite:
        x, y = np.meshgrid(bounds.left + at * bounds.width, bounds.bottom + at * bounds.height)
        return x.ravel(), y.ravel()
    west, south, east, north = _areas(crs)[0]
    lon, lat = np.meshgrid(west + at * (east - west), south + at * (north - south))
    return _from_degrees(crs, lon.ravel(), lat.ravel())


def _from_degrees(crs: CRS, lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coordinates of points given by longitude and latitude on the datum of ``crs``."""
    if crs.is_geographic or crs.geodetic_crs is None:
        degree = math.radians(1) / float(crs.axis_info[0].unit_conversion_factor)
        return lon * degree, lat * degree
    x, y = _from_degrees(crs.geodetic_crs, lon, lat)
    return _transform(_candidates(crs.geodetic_crs, crs), x, y)


def _areas(*systems: CRS) -> list[tuple[float, float, float, float]]:
    """Areas of use in degrees (west, south, east, north), east beyond 180 across the antimeridian."""
    areas = [crs.area_of_use.bounds for crs in systems if crs.area_of_use is not None]
    return [(w, s, e if e > w else e + 360, n) for w, s, e, n in areas] or [(-170.0, -80.0, 170.0, 80.0)]


@lru_cache(maxsize=256)
def _candidates(source: CRS, target: CRS) -> Transformer:
    """PROJ's list of operations between two systems, without network."""
    from pyproj import Transformer, network
    from pyproj.exceptions import ProjError

    network.set_network_enabled(False)  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            # A better operation whose grid is not installed is no reason for a warning at every run.
            warnings.simplefilter("ignore")
            return Transformer.from_crs(source, target, always_xy=True)
    except ProjError:
        raise GridError(f"no transformation is known from CRS {source.name} to CRS {target.name}") from None


@lru_cache(maxsize=256)
def _pipeline(definition: str) -> Transformer:
    from pyproj import Transformer

    return Transformer.from_pipeline(definition)


def _transform(
    operation: Transformer, x: npt.ArrayLike, y: npt.ArrayLike, backwards: bool = False
) -> tuple[FloatArray, FloatArray]:
    shape = np.shape(x)
    xs: Any = np.array(x, np.float64).reshape(-1)
    ys: Any = np.array(y, np.float64).reshape(-1)
    direction = "INVERSE" if backwards else "FORWARD"
    xs, ys = operation.transform(xs, ys, errcheck=False, direction=direction, inplace=True)
    unknown = ~(np.isfinite(xs) & np.isfinite(ys))
    if unknown.any():
        xs[unknown] = np.inf
        ys[unknown] = np.inf
    return xs.reshape(shape), ys.reshape(shape)
