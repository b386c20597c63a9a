"""What is known of one stored raster: its bands, grid, transformation and settings; loading and saving them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import DatabaseError
from ..source.base import Affine
from .aux_objects import AuxType, Misc, Presence, Transformation
from .bands import Band, RasterRow, load_bands, save_bands
from .block_io import read_aux, write_aux
from .blocks import BlockGrid
from .codec import BlockCodec
from .pixels import Compression, PixelType
from .registry import Entry
from .schema import RasterTables

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["RasterState", "Settings", "load_presence", "load_state", "save_presence", "save_state"]

METHODS = ("nearest", "bilinear", "bicubic")


@dataclass(frozen=True, slots=True)
class Settings:
    """What no column of the layout holds: kept as JSON in the auxiliary table.

    ``pyramid``: what was asked, ``auto``, ``esri`` or a number; ``levels``: the levels stored above the base.
    """

    quality: int = 75
    pyramid: str = "0"
    levels: tuple[int, ...] = ()
    skip_level1: bool = False
    method: str = "bilinear"

    def to_json(self) -> dict[str, Any]:
        return {
            "quality": self.quality,
            "pyramid": self.pyramid,
            "levels": list(self.levels),
            "skip_level1": self.skip_level1,
            "method": self.method,
        }

    @classmethod
    def of(cls, values: dict[str, Any]) -> Settings:
        """Settings from JSON of any origin. DatabaseError when a value cannot be."""
        try:
            made = cls(
                int(values.get("quality", 75)),
                str(values.get("pyramid", "0")),
                tuple(int(level) for level in values.get("levels", ())),
                bool(values.get("skip_level1", False)),
                str(values.get("method", "bilinear")),
            )
        except (TypeError, ValueError):
            made = cls(quality=0)
        levels = made.levels
        rising = all(a < b for a, b in zip((0, *levels), levels, strict=False))
        if not 1 <= made.quality <= 100 or not rising or max(levels, default=0) > 31 or made.method not in METHODS:
            raise DatabaseError("the settings of a raster (auxiliary type 6) are damaged")
        return made


@dataclass(frozen=True)
class RasterState:
    """One stored raster. All bands share grid, pixel type, blocks and compression."""

    entry: Entry
    row: RasterRow
    bands: tuple[Band, ...]
    wkt: str
    affine: Affine
    settings: Settings

    @property
    def tables(self) -> RasterTables:
        return self.entry.tables

    @cached_property
    def grid(self) -> BlockGrid:
        """Level 0; the origin never moves."""
        band = self.bands[0]
        return BlockGrid.of_band(
            (band.block_origin_x, band.block_origin_y),
            (band.eminx, band.eminy, band.emaxx, band.emaxy),
            (band.band_width, band.band_height),
            (band.block_width, band.block_height),
            (self.affine.a, -self.affine.e),
        )

    @property
    def pixel_type(self) -> PixelType:
        return self.bands[0].pixel_type

    @property
    def compression(self) -> Compression:
        return self.bands[0].compression

    @property
    def block_shape(self) -> tuple[int, int]:
        """Rows and columns of a block."""
        return self.bands[0].block_height, self.bands[0].block_width

    @cached_property
    def codec(self) -> BlockCodec:
        rows, cols = self.block_shape
        return BlockCodec(self.pixel_type, cols, rows, self.compression, self.settings.quality)

    @property
    def band_ids(self) -> tuple[int, ...]:
        return tuple(band.rasterband_id for band in self.bands)

    @property
    def levels(self) -> tuple[int, ...]:
        """Stored levels, the base first."""
        return (0, *self.settings.levels)

    @property
    def transform(self) -> Affine:
        """Pixel corners of the raster to coordinates, from its first pixel."""
        grid = self.grid
        return self.affine.shifted(grid.first_column, grid.first_row)

    def on_grid(self, grid: BlockGrid) -> RasterState:
        """The same raster with another size and first pixel; modified now."""
        eminx, eminy, emaxx, emaxy = grid.centres
        now = max(int(time.time()), self.bands[0].mdate + 1)
        bands = tuple(
            replace(
                band,
                band_width=grid.width,
                band_height=grid.height,
                eminx=eminx,
                eminy=eminy,
                emaxx=emaxx,
                emaxy=emaxy,
                mdate=now,
            )
            for band in self.bands
        )
        return replace(self, bands=bands)


def load_state(connection: Connection, entry: Entry, row: RasterRow) -> RasterState:
    """Read a raster's records. DatabaseError when they are damaged or do not fit together."""
    bands = load_bands(connection, entry.tables, row)
    first = bands[0]
    same = ("block_width", "block_height", "band_types", "band_width", "band_height", "eminx", "emaxy")
    if any(getattr(band, name) != getattr(first, name) for band in bands for name in same):
        raise DatabaseError(f"{entry.full_name}: the bands of raster {row.raster_id} differ in size or type")
    kinds = (AuxType.TRANSFORMATION, AuxType.MISC)
    objects = read_aux(connection, entry.tables, [first.rasterband_id], kinds)
    stored = objects.get((first.rasterband_id, int(AuxType.TRANSFORMATION)))
    if stored is None:
        raise DatabaseError(f"{entry.full_name}: raster {row.raster_id} has no transformation (auxiliary type 4)")
    transformation = Transformation.from_blob(stored)
    affine = Affine(*transformation.affine)
    if not (affine.is_usable and affine.is_north_up):
        raise DatabaseError(f"{entry.full_name}: unusable transformation {tuple(affine)}")
    misc = objects.get((first.rasterband_id, int(AuxType.MISC)))
    settings = Settings.of(Misc.from_blob(misc).values) if misc is not None else Settings()
    return RasterState(entry, row, bands, transformation.wkt, affine, settings)


def save_state(connection: Connection, state: RasterState, *, transformation: bool = False) -> None:
    """Write band records and settings; the transformation too for a new raster."""
    save_bands(connection, state.tables, state.row, state.bands)
    for band in state.band_ids:
        misc = Misc(state.settings.to_json()).to_blob()
        write_aux(connection, state.tables, band, AuxType.MISC, misc)
        if transformation:
            blob = Transformation(state.wkt, (*state.affine,)).to_blob()
            write_aux(connection, state.tables, band, AuxType.TRANSFORMATION, blob)


def load_presence(connection: Connection, state: RasterState) -> list[Presence]:
    """Which blocks are stored, one for each band. DatabaseError when a band has no such object."""
    found = read_aux(connection, state.tables, state.band_ids, [AuxType.MASK])
    presences = []
    for band in state.band_ids:
        blob = found.get((band, int(AuxType.MASK)))
        if blob is None:
            raise DatabaseError(f"{state.entry.full_name}: band {band} has no presence bitmap (auxiliary type 1)")
        presences.append(Presence.from_blob(blob))
    return presences


def save_presence(connection: Connection, state: RasterState, presences: Sequence[Presence]) -> None:
    """Write which blocks are stored."""
    for band, presence in zip(state.band_ids, presences, strict=True):
        write_aux(connection, state.tables, band, AuxType.MASK, presence.to_blob())
