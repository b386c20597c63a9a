"""Pyramids of tiny tiles written straight from NumPy arrays, each level as the test wants it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastpyr.encode import encoder, mask_encoder
from fastpyr.formats import Interpolation, PixelFormat, SlabKind, TileFormat
from fastpyr.grid import TileLimits, TileMatrix, TileMatrixSet
from fastpyr.pyramid import Pyramid, open_pyramid
from fastpyr.pyramid.descriptor import Descriptor
from fastpyr.pyramid.level import LevelDescriptor
from fastpyr.pyramid.list import SlabList
from fastpyr.pyramid.reader import open_descriptor
from fastpyr.slab.writer import slab_bytes

TILE = 16
SIDES = {"1": 8, "0": 4}
"""Tiles of each level's matrix, across and down."""
TINY = TileMatrixSet(
    "TINY",
    "EPSG:3857",
    tuple(TileMatrix(id, 8 / side, 0.0, 128.0, TILE, TILE, side, side) for id, side in SIDES.items()),
)
"""Two levels over the box 0, 0, 128, 128."""

Planes = tuple[np.ndarray, np.ndarray]
"""Pixels (rows, cols, channels) and mask (rows, cols) of a whole matrix."""


def side(level: str) -> int:
    """Pixels of a level's matrix, across and down."""
    return SIDES[level] * TILE


def tiny_format(name: str, channels: int, nodata: list[int] | None = None) -> PixelFormat:
    return PixelFormat.of(TileFormat.parse(name), channels, nodata)


def write_tiny(
    uri: str | Path,
    fmt: PixelFormat,
    levels: Mapping[str, Planes],
    *,
    mask: bool = True,
    slab: tuple[int, int] = (2, 2),
) -> Pyramid:
    """A pyramid whose slabs are those where a level's mask has data; pixels elsewhere are nodata."""
    store, key, name = open_descriptor(uri)
    place = key.removesuffix(".json")
    described, paths = [], []
    for id in sorted(levels, key=list(SIDES).index, reverse=True):
        pixels, data = levels[id]
        pixels = np.where(data[..., None] != 0, pixels, np.asarray(fmt.nodata, fmt.dtype)).astype(fmt.dtype)
        rows, cols = np.nonzero(_tiles(data).any(axis=(2, 3)))
        limits = TileLimits(int(rows.min()), int(rows.max()), int(cols.min()), int(cols.max()))
        level = LevelDescriptor.placed(place, id, *slab, limits, mask=mask, layout=store.layout)
        described.append(level)
        paths += _write_level(store, place, level, fmt, pixels, data)
    descriptor = Descriptor(name, "TINY", fmt, mask, Interpolation.NN, tuple(described))
    root = store.layout.root(place, store.location(place))
    store.put(key.replace(".json", ".list"), [SlabList.owned(root, paths).to_bytes()])
    store.put(key, [descriptor.to_json()])
    return open_pyramid(uri, TINY)


def _tiles(plane: np.ndarray) -> np.ndarray:
    """(tile rows, tile columns, TILE, TILE, ...) of a matrix."""
    count = len(plane) // TILE
    return plane.reshape(count, TILE, count, TILE, *plane.shape[2:]).swapaxes(1, 2)


def _write_level(store: Any, place: str, level: LevelDescriptor, fmt: PixelFormat, pixels: Any, data: Any) -> list[str]:
    pixel_encoder, masks = encoder(fmt, TILE, TILE), mask_encoder(TILE, TILE)
    count, paths = SIDES[level.id], []
    width, height = level.tiles_per_width, level.tiles_per_height
    for row in range(-(-count // height)):
        for col in range(-(-count // width)):
            places = [(row * height + j, col * width + i) for j in range(height) for i in range(width)]
            inside = [max(tile) < count for tile in places]
            cells = [
                _tiles(data)[tile] if has else np.zeros((TILE, TILE)) for tile, has in zip(places, inside, strict=True)
            ]
            if not any(cell.any() for cell in cells):
                continue
            tiles = [
                pixel_encoder.encode(np.ascontiguousarray(_tiles(pixels)[tile])) if has else pixel_encoder.nodata_tile
                for tile, has in zip(places, inside, strict=True)
            ]
            kinds = {SlabKind.DATA: (fmt, tiles)}
            if level.mask_directory is not None:
                kinds[SlabKind.MASK] = (
                    masks.format,
                    [masks.encode(cell.astype(np.uint8)[..., None]) for cell in cells],
                )
            for kind, (packing, encoded) in kinds.items():
                path = store.layout.slab(kind, level.id, col, row, level.path_depth)
                store.put(f"{place}/{path}", [slab_bytes(packing, TILE, TILE, width, height, encoded)])
                paths.append(path)
    return paths


def read_tiny(pyramid: Pyramid) -> dict[str, Planes]:
    """Pixels and mask of every level, the whole matrix."""
    return {level.id: pyramid.read(level.id, TINY.level(level.id).bounds) for level in pyramid.levels}


def halves(base: str, format: str = "TIFF_PNG_UINT8", channels: int = 3, **options: Any) -> list[str]:
    """Two pyramids that share the slabs of a column of tiles: A to the left, B to the right, one colour each."""
    uris = [f"{base}/{name}.json" for name in "AB"]
    for number, uri in enumerate(uris):
        levels = {}
        for level in SIDES:
            size = side(level)
            mask = np.zeros((size, size), np.uint8)
            edge = size * 15 // 32
            mask[:, slice(None, edge) if number == 0 else slice(edge, None)] = 255
            levels[level] = np.full((size, size, channels), 40 + 100 * number), mask
        write_tiny(uri, tiny_format(format, channels), levels, **options)
    return uris
