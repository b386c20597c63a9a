"""Importing: an input streamed into blocks, encoded on threads while one thread writes, in one transaction."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError, DatabaseError
from ..ordered import in_order
from ..source.base import Affine
from .aux_objects import AuxType, Presence
from .bands import Band, RasterRow, insert_raster
from .block_io import BlockWriter, write_aux
from .blocks import Window, cut_blocks
from .features import add_features
from .inputs import EmptyInput, InputInfo, RasterInput
from .pixels import Compression, band_types
from .pyramid import check_method, planned_levels, rebuild
from .pyramid_kernels import default_method
from .registry import Entry
from .state import RasterState, Settings, save_presence, save_state
from .statistics import BandStatistics
from .stats import count_statistics

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["ImportOptions", "add_raster", "next_ids", "write_base"]

DATASET_ROW = "ESRI_SDERASTERDATASET"
"""``name`` of the one row of a dataset's business table."""

_CHUNK = 1024
"""Pixels along a side of what one task reads, about."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a raster is stored. ``pyramid``: auto, esri or a number of levels; ``block``: pixels along a side."""

    block: int = 128
    block_height: int | None = None
    compression: str = "lz77"
    quality: int = 75
    pyramid: str = "auto"
    skip_level1: bool = False
    interpolation: str | None = None
    statistics: bool = True

    def block_shape(self) -> tuple[int, int]:
        """Rows and columns. ConfigError for a side outside of 8 to 4096."""
        height = self.block if self.block_height is None else self.block_height
        for side in (self.block, height):
            if not 8 <= side <= 4096:
                raise ConfigError(f"blocks of {side} pixels: expected 8 to 4096")
        return height, self.block

    def codec(self, info: InputInfo) -> Compression:
        """The compression. ConfigError for one that this raster cannot have."""
        found = Compression.of(self.compression)
        lossy = found.is_lossy
        if lossy and info.pixel_type.name != "U8":
            raise ConfigError(f"{info.name}: {self.compression} is for 8-bit unsigned pixels: use lz77")
        if lossy and info.colormap is not None:
            raise ConfigError(f"{info.name}: has a colour map, which only lz77 or none keep")
        if not 1 <= self.quality <= 100:
            raise ConfigError(f"quality {self.quality}: expected 1 to 100")
        return found


def add_raster(
    connection: Connection,
    entry: Entry,
    source: RasterInput,
    options: ImportOptions,
    pool: Executor,
    *,
    ids: tuple[int, int],
    row_name: str = DATASET_ROW,
) -> tuple[Entry, RasterState]:
    """Store an input as a new raster of an entry. ``ids``: the object's and the first band's.

    The entry comes back too: its grid sizes may have changed.
    """
    state = _new_state(entry, source.info, options, ids, row_name)
    tables = entry.tables
    box = state.transform.bounds(source.info.width, source.info.height)
    if tables.feature is not None:
        entry = add_features(connection, entry, [(ids[0], box)])
        state = replace(state, entry=entry)
    insert_raster(connection, tables, state.row, state.bands)
    lossy = state.compression.is_lossy
    presences, statistics = write_base(connection, state, source, pool, options.statistics and not lossy)
    if options.statistics and lossy:  # what is stored counts
        statistics = [count_statistics(connection, state, n, presence, pool) for n, presence in enumerate(presences)]
    state = replace(
        state,
        settings=replace(state.settings, levels=planned_levels(state, options.pyramid, options.skip_level1)),
    )
    rebuild(connection, state, presences, pool, dirty=None)
    save_state(connection, state, transformation=True)
    save_presence(connection, state, presences)
    for band, counted in zip(state.band_ids, statistics, strict=False):
        write_aux(connection, tables, band, AuxType.STATISTICS, counted.to_blob())
    if source.info.colormap is not None:
        write_aux(connection, tables, state.band_ids[0], AuxType.COLORMAP, source.info.colormap.to_blob())
    return entry, state


def _new_state(
    entry: Entry, info: InputInfo, options: ImportOptions, ids: tuple[int, int], row_name: str
) -> RasterState:
    """Records of a raster that is about to be stored: its first pixel is the origin of its blocks."""
    height, width = options.block_shape()
    compression = options.codec(info)
    has_colormap = info.colormap is not None
    default = default_method(info.pixel_type, has_colormap).value
    method = check_method(options.interpolation or default, has_colormap=has_colormap)
    affine = Affine(*info.transform)
    x0, y0 = affine.apply(0.5, 0.5)
    x1, y1 = affine.apply(info.width - 0.5, info.height - 0.5)
    if not np.isfinite([x0, y0, x1, y1]).all():
        raise DatabaseError(f"{info.name}: its extent is not finite")
    now = int(time.time())
    names = info.band_names or (None,) * info.bands
    bands = tuple(
        Band(
            ids[1] + number,
            number + 1,
            ids[0],
            _band_name(names[number], number),
            0,
            info.width,
            info.height,
            band_types(info.pixel_type, compression),
            width,
            height,
            x0,
            y0,
            x0,
            y1,
            x1,
            y0,
            now,
            now,
        )
        for number in range(info.bands)
    )
    fid = ids[0] if entry.layer_id is not None else None
    row = RasterRow(ids[0], row_name, ids[0], fid, _plain(os.path.basename(info.name)) or None)
    settings = Settings(options.quality, options.pyramid, (), options.skip_level1, method)
    return RasterState(entry, row, bands, info.wkt, affine, settings)


def _band_name(given: str | None, number: int) -> str:
    """A band's name: printable, of the length that the column has."""
    return _plain(given or "") or f"Band_{number + 1}"


def _plain(text: str) -> str:
    """What of a text can be printed, of the length that columns have."""
    return "".join(c for c in text if c.isprintable()).strip()[:65]


def write_base(
    connection: Connection, state: RasterState, source: RasterInput, pool: Executor, count: bool
) -> tuple[list[Presence], list[BandStatistics]]:
    """Write the blocks of level 0 of a new raster; which there are, and statistics per band when asked."""
    presences = [Presence() for _ in state.bands]
    totals = [BandStatistics(state.pixel_type) for _ in state.bands] if count else []
    writer = BlockWriter(connection, state.tables, replace=False)
    empty = isinstance(source, EmptyInput)
    height, width = state.block_shape

    def work(chunk: Window) -> tuple[list[tuple[int, int, int, bytes]], list[BandStatistics]]:
        pixels, mask = source.read(chunk.left, chunk.top, chunk.right, chunk.bottom)
        made: list[tuple[int, int, int, bytes]] = []
        counted = [BandStatistics(state.pixel_type) for _ in totals]
        for number, layer in enumerate(pixels):
            plane = np.ascontiguousarray(layer)
            own = mask if mask is None or mask.ndim == 2 else mask[number]
            if count:
                counted[number].update(plane, own)
            for row, col, block, valid in cut_blocks(plane, own, chunk, width, height, state.compression.is_lossy):
                data = state.codec.encode(block, valid)
                if data is not None:
                    made.append((number, row, col, data))
        return made, counted

    for made, counted in in_order(pool, work, () if empty else _chunks(state, source.info), 4):
        for number, row, col, data in made:
            writer.put(state.band_ids[number], 0, row, col, data)
            presences[number].add(0, row, col)
        for total, part in zip(totals, counted, strict=True):
            total.merge(part)
    writer.flush()
    if empty:
        for total in totals:
            total.nodata_count += source.info.width * source.info.height
    return presences, totals


def _chunks(state: RasterState, info: InputInfo) -> Iterator[Window]:
    """The input in rectangles of whole blocks; wide ones for files that are stored in rows."""
    block_rows, block_cols = state.block_shape
    rows, cols = -(-info.height // block_rows), -(-info.width // block_cols)
    high, wide = max(1, _CHUNK // block_rows), max(1, _CHUNK // block_cols)
    if info.block is not None and info.block[1] >= info.width:
        area = high * wide
        wide = min(cols, max(wide, area))
        high = max(1, area // wide)
    for row in range(0, rows, high):
        for col in range(0, cols, wide):
            yield Window(
                col * block_cols,
                row * block_rows,
                min((col + wide) * block_cols, info.width),
                min((row + high) * block_rows, info.height),
            )


def next_ids(connection: Connection, entry: Entry) -> tuple[int, int]:
    """Numbers for the next raster of an entry, and for its first band."""
    import sqlalchemy as sa

    tables = entry.tables
    last = connection.execute(sa.select(sa.func.coalesce(sa.func.max(tables.business.c.objectid), 0))).scalar_one()
    if tables.bnd is None:
        return int(last) + 1, 1
    bands = sa.select(sa.func.coalesce(sa.func.max(tables.bnd.c.rasterband_id), 0))
    return int(last) + 1, int(connection.execute(bands).scalar_one()) + 1
