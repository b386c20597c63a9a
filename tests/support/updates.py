"""Sources that overlap, builds and updates of them, and what two pyramids hold, tile by tile."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

import fastpyr
from fastpyr.pyramid import Pyramid

Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.uint8]
_numbers = itertools.count()


class Grid:
    """A tile matrix set, its bottom level in a test, and the pixel (x0, y0) of that level where sources begin."""

    def __init__(self, tms: str, crs: str, bottom: str, top: str, x0: int, y0: int) -> None:
        self.tms, self.crs, self.bottom, self.top, self.x0, self.y0 = tms, crs, bottom, top, x0, y0

    def source(
        self, x: float, y: float, pixels: Pixels, mask: Mask | None = None, scale: float = 1.0, name: str = "array"
    ) -> fastpyr.ArraySource:
        """A source whose corner lies x, y pixels from the grid's; ``scale``: its pixels in those of the level."""
        matrix = fastpyr.load_tms(self.tms).level(self.bottom)
        cell = matrix.cell_size
        left, top = matrix.origin_x + (self.x0 + x) * cell, matrix.origin_y - (self.y0 + y) * cell
        transform = (cell * scale, 0.0, left, 0.0, -cell * scale, top)
        return fastpyr.ArraySource(pixels, transform=transform, crs=self.crs, mask=mask, name=name)

    def options(self, **more: Any) -> dict[str, Any]:
        return {"tms": self.tms, "bottom": self.bottom, "top": self.top, "parallelization": 2, **more}


QTREE = Grid("PM", "EPSG:3857", "18", "13", 34_646_000, 23_834_000)
NNGRAPH = Grid("LAMB93_1M_MNT", "EPSG:2154", "8", "3", 900_000, 300_000)


def in_memory() -> str:
    """A descriptor's place in a store of its own."""
    return f"mem://update-{os.getpid()}-{next(_numbers)}/X.json"


def random_pixels(rng: np.random.Generator, height: int, width: int, channels: int, dtype: str) -> Pixels:
    """Noise that no nodata value equals."""
    if dtype == "float32":
        return rng.normal(100, 50, (height, width, channels)).astype(np.float32)
    return rng.integers(0, 255, (height, width, channels), np.uint8)


def random_mask(rng: np.random.Generator, height: int, width: int, grain: int) -> Mask:
    """Islands and holes, at least one pixel of data."""
    coarse = rng.random((height // grain + 1, width // grain + 1)) < 0.6
    mask = np.kron(coarse, np.ones((grain, grain)))[:height, :width].astype(np.uint8) * 255
    mask[0, 0] = 255
    return mask


def tiles(pyramid: Pyramid, other: Pyramid) -> Iterator[tuple[str, int, int]]:
    """Level, column and row of all tiles that one of two pyramids may hold."""
    assert [level.id for level in pyramid.levels] == [level.id for level in other.levels]
    for level, second in zip(pyramid.levels, other.levels, strict=True):
        limits = level.limits.union(second.limits)
        for row in range(limits.min_row, limits.max_row + 1):
            for column in range(limits.min_col, limits.max_col + 1):
                yield level.id, column, row


def content(pyramid: Pyramid, level: str, column: int, row: int) -> tuple[Pixels, Mask]:
    """Pixels and mask of a tile as a reader sees it, nodata where none is stored."""
    matrix = pyramid.level(level).matrix
    pixels, mask = pyramid.tile(level, column, row), pyramid.mask(level, column, row)
    if pixels is None or mask is None:
        shape = matrix.tile_height, matrix.tile_width
        pixels = np.empty((*shape, pyramid.format.channels), pyramid.format.dtype)
        pixels[...] = pyramid.nodata
        mask = np.zeros(shape, np.uint8)
    if not pyramid.has_masks:  # a nodata tile of a stored slab counts as data for readers
        mask = np.where((pixels != np.asarray(pyramid.nodata, pixels.dtype)).any(2), np.uint8(255), np.uint8(0))
    return pixels, mask


def assert_same(pyramid: Pyramid, expected: Pyramid) -> int:
    """Every tile and every mask; the number of tiles compared."""
    count = 0
    for place in tiles(pyramid, expected):
        for found, wanted in zip(content(pyramid, *place), content(expected, *place), strict=True):
            np.testing.assert_array_equal(found, wanted, str(place))
        count += 1
    return count


def state(folder: Path) -> dict[str, str]:
    """Everything below a folder, hidden names included: a hash, or where a link leads."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    return found


def scene(
    seed: int, x: float, y: float, height: int, width: int, scale: float = 1.0, empty: bool = False
) -> fastpyr.ArraySource:
    """Noise in three channels on the quadtree's grid; ``empty``: none of it is data."""
    pixels = random_pixels(np.random.default_rng(seed), height, width, 3, "uint8")
    mask = np.zeros((height, width), np.uint8) if empty else None
    return QTREE.source(x, y, pixels, mask, scale, f"scene {seed}")


FORMATS = [("png", 1, "uint8"), ("png", 4, "uint8"), ("zip", 3, "uint8"), ("lzw", 3, "uint8"), ("raw", 2, "uint8")]
FLOATS = [("zip", 1, "float32"), ("raw", 3, "float32")]


class Job:
    """Two sources on the pixels of a level, the second one over the first, and the options of both builds."""

    def __init__(self, grid: Grid, options: dict[str, Any], first: Any, second: Any) -> None:
        self.grid, self.options, self.first, self.second = grid, options, first, second

    def __repr__(self) -> str:
        parts = [(x, y, pixels.shape, mask is not None) for x, y, pixels, mask in (self.first, self.second)]
        return f"{self.grid.tms} {self.options} {parts}"

    def sources(self) -> tuple[fastpyr.ArraySource, fastpyr.ArraySource]:
        return self.grid.source(*self.first, name="a"), self.grid.source(*self.second, name="b")


@st.composite
def jobs(draw: st.DrawFn, lossless: bool = True) -> Job:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    grid = draw(st.sampled_from([QTREE, QTREE, NNGRAPH]))
    compression, channels, dtype = draw(st.sampled_from(FORMATS + FLOATS)) if lossless else ("jpg", 3, "uint8")
    parts = []
    for _ in range(2):
        height, width = draw(st.integers(1, 800)), draw(st.integers(1, 800))
        mask = random_mask(rng, height, width, draw(st.sampled_from([1, 40, 300]))) if draw(st.booleans()) else None
        place = draw(st.integers(0, 1500)), draw(st.integers(0, 1500))
        parts.append((*place, random_pixels(rng, height, width, channels, dtype), mask))
    width, height = draw(st.sampled_from([(2, 2), (3, 2), (4, 4), (1, 1), (16, 16)]))
    options = {"width": width, "height": height, "compression": compression, "mask": draw(st.booleans())}
    return Job(grid, grid.options(interpolation="nn", **options), *parts)
