"""What is served under one name: the levels of a pyramid, or levels of several that go together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from ..encode.registry import encoder
from ..errors import ConfigError, GridError
from ..formats import PixelFormat, SlabKind
from ..grid.bounds import BoundingBox
from ..grid.matrix import TileMatrixSet
from ..pyramid.reader import Pyramid
from ..pyramid.slabs import SlabRef
from ..pyramid.window import Level
from .slabs import SlabKey

__all__ = ["Layer", "ServedLevel", "Spot"]

_serials = itertools.count(1)


class ServedLevel(NamedTuple):
    """A level and the pyramid it is of, which goes by ``serial``."""

    pyramid: Pyramid
    level: Level
    serial: int


class Spot(NamedTuple):
    """A tile inside the limits: its slab, and its number there."""

    served: ServedLevel
    key: SlabKey
    number: int


class Layer:
    """Levels under one name.

    Args:
        id: the name in URLs.
        title: the name for people.
        pyramids: pyramids, each with its finest and its coarsest level to show (None: its own). They must have the
            same tile matrix set and pixel format; a level that two of them have is taken from the first.

    Raises ConfigError when the pyramids do not go together, or have no level to show.
    """

    def __init__(self, id: str, title: str, pyramids: Sequence[tuple[Pyramid, str | None, str | None]]) -> None:
        self.id = id
        self.title = title
        first = pyramids[0][0]
        self.pyramid = first
        self.format: PixelFormat = first.format
        self.tms: TileMatrixSet = first.tile_matrix_set
        self.serials = []
        levels: dict[str, ServedLevel] = {}
        for pyramid, bottom, top in pyramids:
            if pyramid.format != self.format or pyramid.tile_matrix_set != self.tms:
                raise ConfigError(f"layer {id}: {pyramid.name} has another grid or other pixels than {first.name}")
            serial = next(_serials)
            self.serials.append(serial)
            first_rank = 0 if bottom is None else pyramid.levels.index(pyramid.level(bottom))
            last_rank = len(pyramid.levels) - 1 if top is None else pyramid.levels.index(pyramid.level(top))
            for level in pyramid.levels[first_rank : last_rank + 1]:
                levels.setdefault(level.id, ServedLevel(pyramid, level, serial))
        if not levels:
            raise ConfigError(f"layer {id}: it has no level to show")
        ranks = {matrix.id: rank for rank, matrix in enumerate(self.tms.matrices)}
        self.levels: dict[str, ServedLevel] = dict(sorted(levels.items(), key=lambda item: ranks[item[0]]))
        self._nodata: dict[tuple[int, int], bytes] = {}

    @property
    def has_masks(self) -> bool:
        return any(served.pyramid.has_masks for served in self.levels.values())

    @property
    def bottom(self) -> Level:
        """The finest level."""
        return next(iter(self.levels.values())).level

    @property
    def extent(self) -> BoundingBox:
        """Box around the tiles of the finest level, in the CRS of the tile matrix set."""
        return self.bottom.bounds

    @cached_property
    def geographic_extent(self) -> BoundingBox:
        """The same in longitudes and latitudes (WGS 84); the whole world where it cannot be told."""
        from ..grid.crs import Transform, parse_crs
        from ..grid.footprint import project_bounds

        whole = BoundingBox(-180.0, -90.0, 180.0, 90.0)
        box = self.extent
        try:
            found = project_bounds(box, Transform(parse_crs(self.tms.crs), parse_crs("EPSG:4326"), bounds=box))
        except GridError:
            return whole
        return found.intersection(whole) or whole

    def spot(self, level: str, col: int, row: int, kind: SlabKind = SlabKind.DATA) -> Spot | None:
        """Where a tile is; None outside the limits, and for levels that are not shown."""
        served = self.levels.get(level)
        if served is None or not served.level.limits.contains(col, row):
            return None
        slab_col, slab_row, number = served.level.descriptor.slab_of(col, row)
        return Spot(served, SlabKey(served.serial, SlabRef(kind, level, slab_col, slab_row)), number)

    def nodata_tile(self, level: Level) -> bytes:
        """A stored tile of nothing but nodata."""
        size = level.matrix.tile_width, level.matrix.tile_height
        found = self._nodata.get(size)
        if found is None:
            found = self._nodata[size] = encoder(self.format, *size).nodata_tile
        return found
