"""Bridges: a level of a tile pyramid is imported tile by tile, a stored raster is a source of a pyramid build."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError, SourceError
from ..formats import SampleType
from ..grid.bounds import BoundingBox
from ..pyramid.reader import Pyramid
from ..pyramid.window import Level, PixelWindow
from ..source.base import Affine, BlockLayout, Mask, Pixels, RasterInfo, check_window
from .database import Geodatabase
from .dataset import RasterDataset
from .inputs import InputInfo, wkt_of
from .pixels import PixelType

__all__ = ["DatasetSource", "PyramidInput", "open_dataset_source", "split_dataset_url"]


class PyramidInput:
    """A level of a pyramid, or a box of it, as something to import: its tiles are decoded from the slabs."""

    def __init__(
        self, pyramid: Pyramid, level: str | int | Level | None = None, bbox: BoundingBox | None = None
    ) -> None:
        self._pyramid = pyramid
        self._level = pyramid.levels[0] if level is None else pyramid.level(level)
        self._window = self._level.window(bbox)
        bounds, cell = self._level.window_bounds(self._window), self._level.matrix.cell_size
        matrix = self._level.matrix
        self.info = InputInfo(
            f"{pyramid.name}, level {self._level.id}",
            self._window.width,
            self._window.height,
            pyramid.format.channels,
            PixelType.of(pyramid.format.dtype),
            Affine(cell, 0.0, bounds.left, 0.0, -cell, bounds.top),
            wkt_of(pyramid.tile_matrix_set.crs),
            block=(matrix.tile_height, matrix.tile_width),
        ).checked()

    def read(self, x0: int, y0: int, x1: int, y1: int) -> tuple[Pixels, Mask | None]:
        left, top = self._window.x0, self._window.y0
        pixels, mask = self._pyramid.read_window(self._level, PixelWindow(left + x0, top + y0, left + x1, top + y1))
        return np.moveaxis(pixels, 2, 0), mask


class DatasetSource:
    """A stored raster as a source of a build: 1 to 4 bands of U8 or F32; a colour map gives its colours, U1 0 and 255.

    Raises SourceError for other rasters.
    """

    def __init__(self, dataset: RasterDataset) -> None:
        state = dataset.state
        kind = state.pixel_type
        self._dataset = dataset
        self._table = self._colours(dataset)
        channels = dataset.bands if self._table is None else self._table.shape[1]
        if not 1 <= channels <= 4 or (kind.name not in ("U1", "U8", "F32") and self._table is None):
            raise SourceError(
                f"{dataset.name}: {dataset.bands} band(s) of {kind.name}: a build takes 1 to 4 bands of U8 or F32"
            )
        if not dataset.crs:
            raise SourceError(f"{dataset.name}: carries no CRS: import it again with --srs")
        sample = SampleType.FLOAT32 if kind.name == "F32" else SampleType.UINT8
        self.info = RasterInfo(
            dataset.name, dataset.crs, dataset.transform, dataset.width, dataset.height, channels, sample, True
        )
        rows, cols = state.block_shape
        self.layout: BlockLayout | None = BlockLayout(min(rows, dataset.height), min(cols, dataset.width))

    @staticmethod
    def _colours(dataset: RasterDataset) -> Any:
        """(n, 3 or 4) uint8 by value, None where pixels are values."""
        if dataset.pixel_type == "U1" and dataset.colormap is None:
            return np.array([[0], [255]], np.uint8)
        colormap = dataset.colormap if dataset.bands == 1 else None
        if colormap is None:
            return None
        entries = colormap.entries
        table = np.zeros((1 << dataset.state.pixel_type.bits, entries.shape[1]), np.uint8)
        table[: len(entries)] = entries if entries.dtype == np.uint8 else entries >> 8
        return table

    def read(self, x0: int, y0: int, x1: int, y1: int) -> tuple[Pixels, Mask | None]:
        """The window. See ``Source.read``."""
        check_window(self.info, x0, y0, x1, y1)
        pixels, mask = self._dataset.read(window=(x0, y0, x1, y1))
        if self._table is not None:
            pixels = self._table[pixels[:, :, 0]]
        return np.ascontiguousarray(pixels), None if mask.all() else mask

    def close(self) -> None:
        """Gives back the connections."""
        self._dataset.database.close()


def split_dataset_url(text: str) -> tuple[str, str]:
    """URL of the database and name of the dataset. ConfigError when there is no name."""
    url, mark, name = text.rpartition("#")
    if not mark or not url or not name:
        raise ConfigError("a stored raster as a source is URL#NAME, e.g. sqlite:///rasters.sqlite#ORTHO")
    return url, name


def open_dataset_source(text: str) -> DatasetSource:
    """The source that ``URL#NAME`` names. Raises FastpyrError."""
    url, name = split_dataset_url(text)
    return DatasetSource(Geodatabase(url).dataset(name))
