"""Spatial references: the CRS of a dataset, and the integer system units of its spatial index."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import DatabaseError
from ..grid.bounds import BoundingBox
from .schema import registry_tables

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["SpatialReference"]

_DEGREES, _LENGTHS = 400.0, 1e8
"""Half of the range that coordinates may have, in degrees and in any other unit."""
_UNITS = 2.0**53
"""System units over the whole range: every one is a whole number in a double."""
_METRES_PER_DEGREE = 111319.49079327358


@dataclass(frozen=True, slots=True)
class SpatialReference:
    """CRS and system units: ``unit = round((coordinate - false) * xyunits)``. ``srid`` 0 is not stored yet."""

    srid: int
    wkt: str
    auth_name: str | None
    auth_srid: int | None
    falsex: float
    falsey: float
    xyunits: float
    tolerance: float

    @classmethod
    def of(cls, wkt: str, extent: BoundingBox | None) -> SpatialReference:
        """The reference for a CRS, with a range around the extent. ``wkt`` empty: coordinates of unknown meaning."""
        geographic, auth, code = False, None, None
        if wkt:
            from ..grid.crs import is_geographic, parse_crs

            crs = parse_crs(wkt)
            geographic = is_geographic(wkt)
            found = crs.to_authority(min_confidence=100)
            if found and found[1].isdigit():
                auth, code = found[0], int(found[1])
        half = _DEGREES if geographic else _LENGTHS
        if extent is not None:
            if not extent.is_valid:
                raise DatabaseError(f"the extent {extent} is empty or not finite")
            while max(map(abs, extent)) >= half:
                half *= 16
        tolerance = 0.001 / _METRES_PER_DEGREE if geographic else 0.001
        return cls(0, wkt, auth, code, -half, -half, _UNITS / (2 * half), tolerance)

    @classmethod
    def of_row(cls, row: Any) -> SpatialReference:
        return cls(
            row.srid, row.srtext, row.auth_name, row.auth_srid, row.falsex, row.falsey, row.xyunits, row.xycluster_tol
        )

    def covers(self, box: BoundingBox) -> bool:
        """Whether a box is inside of the range."""
        return box.is_valid and max(map(abs, box)) < -self.falsex

    def units(self, x: float, y: float) -> tuple[int, int]:
        """System units of a position."""
        return round((x - self.falsex) * self.xyunits), round((y - self.falsey) * self.xyunits)

    def smallest_grid(self) -> float:
        """Smallest cell of a grid whose numbers stay below 2^24."""
        return -2 * self.falsex / 2.0**23

    def stored(self, connection: Connection) -> SpatialReference:
        """The same with the srid under which it is stored; it is added when it is new."""
        import sqlalchemy as sa

        table = registry_tables().spatial_references
        asked = sa.select(table).where(table.c.falsex == self.falsex, table.c.xyunits == self.xyunits)
        for row in connection.execute(asked):
            if row.srtext == self.wkt:
                return replace(self, srid=row.srid)
        last = connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.srid), 0))).scalar_one()
        srid = int(last) + 1
        values: dict[str, Any] = {
            "srid": srid,
            "description": None,
            "auth_name": self.auth_name,
            "auth_srid": self.auth_srid,
        }
        values |= {"falsex": self.falsex, "falsey": self.falsey, "xyunits": self.xyunits, "srtext": self.wkt}
        values |= {"falsez": 0.0, "zunits": 1.0, "falsem": 0.0, "munits": 1.0, "object_flags": 1}
        values |= {"xycluster_tol": self.tolerance, "zcluster_tol": 2.0, "mcluster_tol": 2.0}
        connection.execute(table.insert(), values)
        return replace(self, srid=srid)

    def cell(self, value: float, false: float, size: float) -> int:
        """Number of the grid cell that holds a coordinate."""
        return math.floor((value - false) / size)
