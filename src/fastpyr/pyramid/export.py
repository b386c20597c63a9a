"""A level, or a part of it, as one georeferenced GeoTIFF of any size."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ..errors import StoreError
from ..formats import SampleType
from ..grid.bounds import BoundingBox
from ..grid.crs import parse_crs
from ..ordered import in_order
from ..store.atomic import whole_raster
from .reader import Image, Mask, Pyramid
from .window import Level, PixelWindow

__all__ = ["ExportProgress", "export_level"]

ExportProgress = Callable[[int, int], None]
"""``progress(done, total)``: pixels."""

_BLOCK = 256
_CHUNK = 8 * _BLOCK
"""Side of what is read and written at once: large, because tiles on its edges are decoded twice when the exported box
is not aligned to tiles."""

_MAX_AHEAD = 8
"""Chunks decoded ahead of the writer."""


def export_level(
    pyramid: Pyramid,
    level: str | int | Level,
    out_path: str | os.PathLike[str],
    bbox: BoundingBox | None = None,
    progress: ExportProgress | None = None,
) -> PixelWindow:
    """Write pixels of a level to a tiled, deflated GeoTIFF; the window that was written.

    ``bbox`` is in the CRS of the tile matrix set, snapped outward to the level's pixels; None is all of the level.
    Memory does not depend on the size: squares of pixels are read, written and forgotten. Stored masks
    become the file's internal mask, otherwise nodata becomes its nodata tag where one value can say it. The file is
    written under a hidden name and renamed when it is complete.

    Raises ConfigError for an unusable box, DescriptorError for an unknown level, GridError for an unknown CRS,
    StoreError when the file cannot be written, and the errors of ``Pyramid.read``.
    """
    found = pyramid.level(level)
    window = found.window(bbox)
    with whole_raster(out_path, "level.tif") as temporary:
        _write(pyramid, found, window, temporary, os.fspath(out_path), progress)
    return window


def _write(
    pyramid: Pyramid, level: Level, window: PixelWindow, temporary: str, path: str, progress: ExportProgress | None
) -> None:
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.windows import Window

    profile = _profile(pyramid, level, window)
    try:
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_NUM_THREADS="ALL_CPUS"),
            rasterio.open(temporary, "w", **profile) as out,
        ):
            done = 0
            for chunk, pixels, mask in _chunks(pyramid, level, window):
                place = Window(chunk.x0 - window.x0, chunk.y0 - window.y0, chunk.width, chunk.height)
                out.write(np.moveaxis(pixels, 2, 0), window=place)
                if pyramid.has_masks:
                    out.write_mask(mask, window=place)
                done += chunk.width * chunk.height
                if progress:
                    progress(done, window.width * window.height)
    except (RasterioError, ValueError) as error:
        raise StoreError(f"cannot write {path}: {' '.join(str(error).split())}") from error


def _profile(pyramid: Pyramid, level: Level, window: PixelWindow) -> dict[str, Any]:
    from rasterio.crs import CRS
    from rasterio.transform import from_origin

    bounds = level.window_bounds(window)
    cell = level.matrix.cell_size
    crs = parse_crs(pyramid.tile_matrix_set.crs)
    is_float = pyramid.format.format.sample is SampleType.FLOAT32
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "width": window.width,
        "height": window.height,
        "count": pyramid.format.channels,
        "dtype": pyramid.format.dtype,
        "crs": CRS.from_user_input(crs.to_wkt()),
        "transform": from_origin(bounds.left, bounds.top, cell, cell),
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "compress": "deflate",
        "predictor": 3 if is_float else 2,
        "bigtiff": "IF_SAFER",
        "interleave": "pixel",
        "photometric": "rgb" if pyramid.format.photometric == "rgb" else "minisblack",
    }
    if pyramid.format.channels in (2, 4):
        profile["alpha"] = "yes"
    elif not pyramid.has_masks and len(set(pyramid.nodata)) == 1:
        # A GeoTIFF has one nodata value for all bands; with alpha, transparency says it already.
        profile["nodata"] = pyramid.nodata[0]
    return profile


def _chunks(pyramid: Pyramid, level: Level, window: PixelWindow) -> Iterator[tuple[PixelWindow, Image, Mask]]:
    """The window in squares of whole blocks, row by row, decoded by threads ahead of the writer."""
    workers = min(os.cpu_count() or 1, _MAX_AHEAD)
    chunks = (
        PixelWindow(x0, y0, min(x0 + _CHUNK, window.x1), min(y0 + _CHUNK, window.y1))
        for y0 in range(window.y0, window.y1, _CHUNK)
        for x0 in range(window.x0, window.x1, _CHUNK)
    )
    with ThreadPoolExecutor(workers, "export") as pool:
        yield from in_order(pool, lambda chunk: (chunk, *pyramid.read_window(level, chunk)), chunks, ahead=workers)
