"""Tile matrices (levels) and tile matrix sets.

The origin of a matrix is its top-left corner; rows grow downwards. Coordinates are x (longitude) first whatever the
axis order of the coordinate reference system's authority, as everywhere in the ROK4 format.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from ..errors import GridError
from ..frozen import frozen
from .bounds import BoundingBox, TileLimits

__all__ = ["TileMatrix", "TileMatrixSet", "TmsKind"]

TmsKind = Literal["QTREE", "NNGRAPH", "IRREGULAR"]

_EDGE_TOLERANCE = 1e-6
"""Pixels by which a box may overlap a tile and still not count: rounding noise of aligned data."""

_PIXEL_IN_METRES = 0.00028
"""The standardised rendering pixel of OGC scale denominators."""


@frozen
class TileMatrix:
    """One level: a regular grid of tiles. Sizes of cells are in units of the coordinate reference system."""

    id: str
    cell_size: float
    origin_x: float
    origin_y: float
    tile_width: int
    tile_height: int
    matrix_width: int
    matrix_height: int

    @property
    def tile_span(self) -> tuple[float, float]:
        """Width and height of one tile in coordinates."""
        return self.tile_width * self.cell_size, self.tile_height * self.cell_size

    @property
    def limits(self) -> TileLimits:
        """All tiles of the matrix."""
        return TileLimits(0, self.matrix_height - 1, 0, self.matrix_width - 1)

    @property
    def bounds(self) -> BoundingBox:
        return self.bounds_of(self.limits)

    def tile_bounds(self, col: int, row: int) -> BoundingBox:
        return self.bounds_of(TileLimits(row, row, col, col))

    def bounds_of(self, limits: TileLimits) -> BoundingBox:
        """Box around a range of tiles."""
        span_x, span_y = self.tile_span
        return BoundingBox(
            self.origin_x + limits.min_col * span_x,
            self.origin_y - (limits.max_row + 1) * span_y,
            self.origin_x + (limits.max_col + 1) * span_x,
            self.origin_y - limits.min_row * span_y,
        )

    def pixel_of(self, x: float, y: float) -> tuple[float, float]:
        """Pixel coordinates from the matrix's top-left corner: (0, 0) is that corner, y grows downwards."""
        return (x - self.origin_x) / self.cell_size, (self.origin_y - y) / self.cell_size

    def limits_of(self, bbox: BoundingBox) -> TileLimits | None:
        """Tiles whose interior the box meets, clamped to the matrix; None when there are none.

        Ranges are half-open: a box that ends on a tile's edge does not touch the next tile, with a tolerance of
        1e-6 pixel for boxes computed in floating point. Raises GridError for a box that is not finite.
        """
        if not bbox.is_finite:
            raise GridError(f"level {self.id}: the box {bbox} is not finite")
        left, top = self.pixel_of(bbox.left, bbox.top)
        right, bottom = self.pixel_of(bbox.right, bbox.bottom)
        cols = _tile_range(left, right, self.tile_width, self.matrix_width)
        rows = _tile_range(top, bottom, self.tile_height, self.matrix_height)
        if cols is None or rows is None:
            return None
        return TileLimits(rows[0], rows[1], cols[0], cols[1])


def _tile_range(start: float, end: float, tile: int, count: int) -> tuple[int, int] | None:
    """First and last tile met by the pixel interval [start, end), None when empty or outside."""
    if not start < end:
        return None
    first = max(0, math.floor((start + _EDGE_TOLERANCE) / tile))
    last = min(count - 1, math.ceil((end - _EDGE_TOLERANCE) / tile) - 1)
    return (first, last) if first <= last else None


@dataclass(frozen=True)
class TileMatrixSet:
    """A set of levels over one coordinate reference system.

    ``name`` is the file name without ``.json`` and what descriptors record; ``identifier`` is the ``id`` inside the
    document, which may differ. ``axes`` is ("X", "Y"), ("Lon", "Lat") or None when the document does not say.
    """

    name: str
    crs: str
    matrices: tuple[TileMatrix, ...]
    title: str | None = None
    identifier: str | None = None
    axes: tuple[str, str] | None = None

    @cached_property
    def _by_id(self) -> dict[str, TileMatrix]:
        return {matrix.id: matrix for matrix in self.matrices}

    @property
    def ids(self) -> tuple[str, ...]:
        """Level ids, finest first."""
        return tuple(matrix.id for matrix in self.matrices)

    def level(self, id: str) -> TileMatrix:
        """The level of that id. Raises GridError naming the known ids."""
        try:
            return self._by_id[id]
        except KeyError:
            known = ", ".join(self.ids)
            raise GridError(f"tile matrix set {self.name} has no level {id!r}: its levels are {known}") from None

    def index(self, id: str) -> int:
        """Rank of a level, 0 = finest. Raises GridError as ``level`` does."""
        return self.matrices.index(self.level(id))

    @property
    def tolerance(self) -> float:
        """A hundredth of the finest cell: what counts as equal when levels are compared, in coordinates."""
        return self.matrices[0].cell_size / 100

    @cached_property
    def kind(self) -> TmsKind:
        """How upper levels derive from finer ones.

        QTREE: every level is the exact 2x2 of the next finer one. NNGRAPH: every level but the finest picks pixels
        of some finer level. IRREGULAR: at least one level can only be made from the sources.
        """
        if all(self._is_quad(fine, coarse) for fine, coarse in pairwise(self.matrices)):
            return "QTREE"
        if all(self.pickable_source(rank) is not None for rank in range(1, len(self.matrices))):
            return "NNGRAPH"
        return "IRREGULAR"

    def _is_quad(self, fine: TileMatrix, coarse: TileMatrix) -> bool:
        eps = self.tolerance
        return (
            abs(2 * fine.cell_size - coarse.cell_size) <= eps
            and abs(fine.origin_x - coarse.origin_x) <= eps
            and abs(fine.origin_y - coarse.origin_y) <= eps
            and (fine.tile_width, fine.tile_height) == (coarse.tile_width, coarse.tile_height)
        )

    def pickable_source(self, rank: int, finest: int = 0) -> tuple[int, int] | None:
        """The finer level whose pixel centres contain those of level ``rank``: its rank, and the ratio of cells.

        The search starts at the next finer level and ends at rank ``finest``. The first pixel centres of both levels
        coincide, so pixel ``p`` of the level is pixel ``ratio * p`` of its source. None when no level qualifies.
        """
        target = self.matrices[rank]
        for finer in range(rank - 1, finest - 1, -1):
            source = self.matrices[finer]
            quotient = target.cell_size / source.cell_size
            ratio = round(quotient)
            # A tolerance in coordinates would accept any quotient on coarse grids; readers refuse more than 1e-4.
            if abs(quotient - ratio) <= min(self.tolerance, 1e-4) and self._same_first_centre(source, target):
                return finer, ratio
        return None

    def _same_first_centre(self, a: TileMatrix, b: TileMatrix) -> bool:
        half = (b.cell_size - a.cell_size) / 2
        return (
            abs(b.origin_x + half - a.origin_x) <= self.tolerance
            and abs(b.origin_y - half - a.origin_y) <= self.tolerance
        )

    def to_json(self) -> dict[str, Any]:
        """The set as an OGC TMS v2 document, coarsest level first. Raises GridError for an unknown CRS."""
        from .crs import is_geographic, metres_per_unit

        axes = self.axes or (("Lon", "Lat") if is_geographic(self.crs) else ("X", "Y"))
        scale = metres_per_unit(self.crs) / _PIXEL_IN_METRES
        document: dict[str, Any] = {"id": self.identifier or self.name}
        if self.title is not None:
            document["title"] = self.title
        document["crs"] = self.crs
        document["orderedAxes"] = list(axes)
        document["tileMatrices"] = [
            {
                "id": matrix.id,
                "scaleDenominator": matrix.cell_size * scale,
                "cellSize": matrix.cell_size,
                "pointOfOrigin": [matrix.origin_x, matrix.origin_y],
                "tileWidth": matrix.tile_width,
                "tileHeight": matrix.tile_height,
                "matrixWidth": matrix.matrix_width,
                "matrixHeight": matrix.matrix_height,
            }
            for matrix in reversed(self.matrices)
        ]
        return document
