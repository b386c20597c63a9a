"""Reading a stored raster: windows of pixels at any level, statistics, colour map, description."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DatabaseError
from ..grid.bounds import BoundingBox
from ..source.base import Affine
from .aux_objects import AuxType
from .block_io import read_aux
from .blocks import Window
from .engine import read as reading
from .engine import read_once
from .state import RasterState, load_state
from .window import Masks, Pixels, is_one_statement, read_window

if TYPE_CHECKING:
    from .check import CheckReport
    from .colormap import ColorMap
    from .database import Geodatabase
    from .mosaic import MosaicResult
    from .statistics import Statistics

__all__ = ["RasterDataset"]

Box = BoundingBox | tuple[float, float, float, float]


class RasterDataset:
    """A raster of a geodatabase: a dataset, or one of a catalog's. Many threads may read it at once.

    What it knows of itself is of the moment it was opened; after a change by others, ``refresh``.
    """

    def __init__(self, database: Geodatabase, state: RasterState) -> None:
        self.database = database
        self.state = state

    def __repr__(self) -> str:
        return f"<RasterDataset {self.name}: {self.width} x {self.height}, {self.bands} band(s) {self.pixel_type}>"

    @property
    def name(self) -> str:
        """``DATABASE.OWNER.NAME``."""
        return self.state.entry.full_name

    @property
    def width(self) -> int:
        return self.state.grid.width

    @property
    def height(self) -> int:
        return self.state.grid.height

    @property
    def bands(self) -> int:
        """How many there are."""
        return len(self.state.bands)

    @property
    def pixel_type(self) -> str:
        """``U1`` to ``F64``, as in XML."""
        return str(self.state.pixel_type.name)

    @property
    def transform(self) -> Affine:
        """Pixel corners to coordinates."""
        return self.state.transform

    @property
    def extent(self) -> BoundingBox:
        """Edges of the raster, in its CRS."""
        return self.transform.bounds(self.width, self.height)

    @property
    def crs(self) -> str:
        """WKT; empty where it is unknown."""
        return self.state.wkt

    @property
    def levels(self) -> tuple[int, ...]:
        """Stored pyramid levels, 0 first."""
        return self.state.levels

    def refresh(self) -> RasterDataset:
        """The same raster as it is now. DatabaseError when it was dropped."""
        with reading(self.database.engine) as connection:
            self.state = load_state(connection, self.state.entry, self.state.row)
        return self

    def level_for(self, resolution: float) -> int:
        """The coarsest stored level whose pixels are not larger than ``resolution`` (CRS units); else the base."""
        if not (math.isfinite(resolution) and resolution > 0):
            raise ConfigError(f"resolution {resolution}: expected a size of pixels above 0")
        cell = max(self.state.grid.cell_x, self.state.grid.cell_y)
        fitting = [level for level in self.levels if cell * 2**level <= resolution * (1 + 1e-9)]
        return max(fitting, default=0)

    def window_of(self, bbox: Box, level: int = 0) -> tuple[int, int, int, int]:
        """Pixels of a level that a box touches: (left, top, right, bottom), half open, from the raster's first pixel.

        It may exceed the raster. ConfigError for an empty box or one that is not finite.
        """
        box = BoundingBox(*bbox)
        if not box.is_valid:
            raise ConfigError(f"the box {box} is empty or not finite: expected (left, bottom, right, top)")
        grid = self.state.grid.level(level)
        cell_x, cell_y = self.state.grid.cell_x * 2**level, self.state.grid.cell_y * 2**level
        left, top = (box.left - self.state.affine.c) / cell_x, (self.state.affine.f - box.top) / cell_y
        right, bottom = (box.right - self.state.affine.c) / cell_x, (self.state.affine.f - box.bottom) / cell_y
        if not all(abs(value) < 2**52 for value in (left, top, right, bottom)):
            raise ConfigError(f"the box {box} is too far from the raster")
        snap, first = 1e-6, grid.window
        return (
            math.floor(left + snap) - first.left,
            math.floor(top + snap) - first.top,
            max(math.ceil(right - snap), math.floor(left + snap) + 1) - first.left,
            max(math.ceil(bottom - snap), math.floor(top + snap) + 1) - first.top,
        )

    def window_bounds(self, window: tuple[int, int, int, int], level: int = 0) -> BoundingBox:
        """Edges of a window of a level."""
        affine, factor = self.state.affine, 2**level
        first = self.state.grid.level(level).window
        left, top = affine.apply((window[0] + first.left) * factor, (window[1] + first.top) * factor)
        right, bottom = affine.apply((window[2] + first.left) * factor, (window[3] + first.top) * factor)
        return BoundingBox(left, bottom, right, top)

    def read(
        self,
        bbox: Box | None = None,
        *,
        window: tuple[int, int, int, int] | None = None,
        level: int = 0,
        resolution: float | None = None,
        bands: Sequence[int] | None = None,
    ) -> tuple[Pixels, Masks]:
        """Pixels (rows, cols, bands) and mask (rows, cols), 255 where every band has data, else 0.

        ``bbox``: in the CRS, snapped outward to pixels; ``window``: (left, top, right, bottom) in pixels of the level
        from the raster's first pixel; neither: all. ``resolution`` chooses the level. ``bands``: numbers from 1.
        Pixels without data are 0. Raises ConfigError, DatabaseError, DecodeError naming the block.
        """
        import numpy as np

        pixels, masks = self.read_bands(bbox, window=window, level=level, resolution=resolution, bands=bands)
        mask = masks[0] if len(masks) == 1 else np.bitwise_and.reduce(masks, axis=0)
        if len(pixels) == 1:
            return pixels[0][:, :, np.newaxis], mask
        return np.ascontiguousarray(np.moveaxis(pixels, 0, 2)), mask

    def read_bands(
        self,
        bbox: Box | None = None,
        *,
        window: tuple[int, int, int, int] | None = None,
        level: int = 0,
        resolution: float | None = None,
        bands: Sequence[int] | None = None,
    ) -> tuple[Pixels, Masks]:
        """As ``read``, but pixels and masks (bands, rows, cols): each band with its own mask."""
        if resolution is not None:
            level = self.level_for(resolution)
        if bbox is not None and window is not None:
            raise ConfigError("give a box or a window, not both")
        if level not in self.levels:
            raise DatabaseError(f"{self.name} has no level {level}: its levels are {', '.join(map(str, self.levels))}")
        if bbox is not None:
            window = self.window_of(bbox, level)
        first = self.state.grid.level(level).window
        asked = first
        if window is not None:
            left, top, right, bottom = window
            asked = Window(left + first.left, top + first.top, right + first.left, bottom + first.top)
        ids = [self._band_id(number) for number in bands or range(1, self.bands + 1)]
        once = is_one_statement(self.state, ids, level, asked)
        with (read_once if once else reading)(self.database.engine) as connection:
            pool = self.database.pool if (asked.right - asked.left) * (asked.bottom - asked.top) > 1 << 17 else None
            return read_window(connection, self.state, ids, level, asked, pool)

    def _band_id(self, number: int) -> int:
        if not 1 <= number <= self.bands:
            raise ConfigError(f"{self.name} has no band {number}: its bands are 1 to {self.bands}")
        return self.state.band_ids[number - 1]

    def _aux(self, band: int, type: AuxType) -> bytes | None:
        id = self._band_id(band)
        with reading(self.database.engine) as connection:
            return read_aux(connection, self.state.tables, [id], [type]).get((id, int(type)))

    def statistics(self, band: int = 1) -> Statistics | None:
        """The stored statistics of a band; None where none are."""
        from .statistics import BandStatistics

        blob = self._aux(band, AuxType.STATISTICS)
        return None if blob is None else BandStatistics.from_blob(blob, self.state.pixel_type)

    @property
    def colormap(self) -> ColorMap | None:
        """The colour map, which single bands of 8 and 16 bits may have."""
        from .colormap import ColorMap

        blob = self._aux(1, AuxType.COLORMAP)
        return None if blob is None else ColorMap.from_blob(blob)

    def describe(self) -> dict[str, Any]:
        """All facts, as JSON has them."""
        from .describe import describe

        return describe(self)

    def xml(self) -> bytes:
        """The DataElement document of the dataset."""
        from .describe import dataset_xml

        return dataset_xml(self)

    def mosaic(self, sources: Any, mode: str = "merge", **options: Any) -> MosaicResult:
        """Put rasters over this one, or take them out; see ``mosaic.mosaic``."""
        from .mosaic import mosaic

        return mosaic(self, sources, mode, **options)

    def build_pyramid(self, levels: str | int = "auto", **options: Any) -> tuple[int, ...]:
        """Replace the pyramid; the levels stored. See ``pyramid.build_pyramid``."""
        from .pyramid import build_pyramid

        return build_pyramid(self, levels, **options)

    def build_statistics(self, **options: Any) -> list[Statistics]:
        """Count statistics of all bands and store them; see ``stats.build_statistics``."""
        from .stats import build_statistics

        return build_statistics(self, **options)

    def export(self, path: str | os.PathLike[str], **options: Any) -> tuple[int, int, int, int]:
        """Write a GeoTIFF; see ``export.export_raster``."""
        from .export import export_raster

        return export_raster(self, path, **options)

    def check(self) -> CheckReport:
        """Check everything that is stored; see ``check.check_raster``."""
        from .check import check_raster

        return check_raster(self)
