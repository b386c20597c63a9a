"""A stored raster, a level or a part of it as a GeoTIFF of any size."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, StoreError
from ..grid.bounds import BoundingBox
from ..source.base import Affine
from ..store.atomic import whole_raster
from .blocks import Window
from .engine import read as reading
from .state import load_presence
from .stats import level_blocks
from .window import Masks, Pixels, read_window

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .dataset import RasterDataset

__all__ = ["export_filegdb_raster", "export_raster"]

_BLOCK = 256
_CHUNK = 8 * _BLOCK
_SIDE = 2**31 - 1

PixelBox = tuple[int, int, int, int]


def export_raster(
    dataset: RasterDataset,
    path: str | os.PathLike[str],
    *,
    level: int = 0,
    bbox: BoundingBox | tuple[float, float, float, float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PixelBox:
    """Write pixels of a level to a tiled, deflated GeoTIFF; the window written, from the raster's first pixel.

    ``bbox``: in the raster's CRS, snapped outward to pixels; None is all. Pixels that lack data in every band are
    masked by the file's internal mask, a colour map is kept, the transformation is the stored one. Memory does not
    depend on the size; all pixels are of one state of the database. The file appears when it is complete. Raises
    StoreError when it cannot be written, and the errors of ``RasterDataset.read``.
    """
    first = dataset.state.grid.level(level).window
    window = (0, 0, first.right - first.left, first.bottom - first.top)
    if bbox is not None:
        window = dataset.window_of(bbox, level)
    if max(window[2] - window[0], window[3] - window[1]) > _SIDE:
        raise ConfigError(f"a GeoTIFF of {window[2] - window[0]} x {window[3] - window[1]} pixels: export a box")
    with whole_raster(path, "raster.tif") as temporary:
        _write(dataset, level, window, temporary, os.fspath(path), progress)
    return window


def _write(
    dataset: RasterDataset,
    level: int,
    window: PixelBox,
    temporary: str,
    path: str,
    progress: Callable[[int, int], None] | None,
) -> None:
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.windows import Window as FileWindow

    colormap = dataset.colormap if level == 0 or dataset.state.settings.method == "nearest" else None
    holes = False
    total, done = (window[2] - window[0]) * (window[3] - window[1]), 0
    try:
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_NUM_THREADS="ALL_CPUS"),
            reading(dataset.database.engine) as connection,
            rasterio.open(temporary, "w", **_profile(dataset, level, window, colormap is not None)) as out,
        ):
            if colormap is not None:
                out.write_colormap(1, _table(colormap.entries))
            for number, band in enumerate(dataset.state.bands):
                out.set_band_description(number + 1, band.name or "")
            for box, pixels, masks in _chunks(connection, dataset, level, window):
                place = FileWindow(box[0] - window[0], box[1] - window[1], box[2] - box[0], box[3] - box[1])
                out.write(pixels, window=place)
                mask = np.bitwise_or.reduce(masks, axis=0)
                # the mask band is made at the first hole: before it, what is written is all data
                if not holes and not mask.all():
                    holes = True
                    out.write_mask(True)
                if holes:
                    out.write_mask(mask, window=place)
                done += (box[2] - box[0]) * (box[3] - box[1])
                if progress:
                    progress(done, total)
    except (RasterioError, ValueError) as error:
        raise StoreError(f"cannot write {path}: {' '.join(str(error).split())}") from error


def _profile(dataset: RasterDataset, level: int, window: PixelBox, palette: bool) -> dict[str, Any]:
    from rasterio.crs import CRS
    from rasterio.transform import Affine as FileAffine

    kind = dataset.state.pixel_type
    floating = kind.dtype.kind == "f"
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": window[2] - window[0],
        "height": window[3] - window[1],
        "count": dataset.bands,
        "dtype": kind.dtype.name,
        "transform": FileAffine(*_transform(dataset, level, window)),
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "compress": "deflate",
        "bigtiff": "IF_SAFER",
        "interleave": "band",
    }
    if kind.bits < 8:
        profile["nbits"] = kind.bits
    else:
        profile["predictor"] = 3 if floating else 2
    if dataset.crs:
        profile["crs"] = CRS.from_user_input(dataset.crs)
    if palette:
        profile["photometric"] = "palette"
    elif dataset.bands in (3, 4) and kind.name == "U8":
        profile["photometric"] = "rgb"
        if dataset.bands == 4:
            profile["alpha"] = "yes"
    return profile


def _transform(dataset: RasterDataset, level: int, window: PixelBox) -> Affine:
    """Of the window's first pixel: the stored numbers where it is the raster's."""
    affine, factor = dataset.state.affine, 2**level
    first = dataset.state.grid.level(level).window
    moved = affine.shifted((window[0] + first.left) * factor, (window[1] + first.top) * factor)
    return Affine(affine.a * factor, 0.0, moved.c, 0.0, affine.e * factor, moved.f)


def _table(entries: Any) -> dict[int, tuple[int, ...]]:
    """Colours as rasterio takes them, 8 bits each."""
    values = entries if entries.dtype == np.uint8 else (entries >> 8).astype(np.uint8)
    opaque = np.full((len(values), 1), 255, np.uint8)
    whole = values if values.shape[1] == 4 else np.hstack([values, opaque])
    return {number: tuple(colour) for number, colour in enumerate(whole.tolist())}


def _chunks(
    connection: Connection, dataset: RasterDataset, level: int, window: PixelBox
) -> Iterator[tuple[PixelBox, Pixels, Masks]]:
    state = dataset.state
    first = state.grid.level(level).window
    for top in range(window[1], window[3], _CHUNK):
        for left in range(window[0], window[2], _CHUNK):
            box = (left, top, min(left + _CHUNK, window[2]), min(top + _CHUNK, window[3]))
            asked = Window(box[0] + first.left, box[1] + first.top, box[2] + first.left, box[3] + first.top)
            pixels, masks = read_window(connection, state, state.band_ids, level, asked, dataset.database.pool)
            yield box, pixels, masks


def export_filegdb_raster(dataset: RasterDataset, path: str | os.PathLike[str]) -> tuple[int, ...]:
    """Write a raster as a new file geodatabase, block for block; the levels written.

    The pyramid goes along where readers understand it: without a gap after the base, and as long as the raster begins
    at its block origin. Raises ConfigError when the folder exists or pyogrio is missing, StoreError when GDAL fails.
    """
    from .filegdb import FileGdbBlock, export_filegdb

    state = dataset.state
    anchored = (state.grid.first_column, state.grid.first_row) == (0, 0)
    levels = state.levels if anchored and state.levels == tuple(range(len(state.levels))) else (0,)
    numbers = {band: number for number, band in enumerate(state.band_ids, 1)}
    with reading(dataset.database.engine) as connection:
        presences = load_presence(connection, state)

        def blocks() -> Iterator[FileGdbBlock]:
            for number, presence in enumerate(presences):
                for level in levels:
                    for run in level_blocks(connection, state, number, presence, level):
                        for one in run:
                            yield FileGdbBlock(numbers[one.band], level, one.row, one.col, bytes(one.data))

        kind, packing, name = state.pixel_type, state.compression, state.entry.name
        export_filegdb(Path(path), name, state.grid, kind, packing, len(state.bands), blocks(), dataset.crs)
    return levels
