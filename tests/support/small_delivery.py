"""Small rasters for deliveries, and what a pyramid's slabs hold."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

import fastpyr

LEFT, TOP, CELL = 920_000.0, 6_565_000.0, 0.5


def tiff(
    size: int = 64, col: float = 0, row: float = 0, cell: float = 0.5, crs: str = "EPSG:2154", **more: Any
) -> bytes:
    """A GeoTIFF of smooth colours whose corner lies ``col``, ``row`` pixels from LEFT, TOP."""
    from rasterio.io import MemoryFile
    from rasterio.transform import from_origin

    rows, cols = np.mgrid[0:size, 0:size]
    noise = np.random.default_rng(size).integers(0, 30, (size, size))
    pixels = np.stack([rows * 255 // size, cols * 255 // size, (rows + cols) % 200 + noise]).astype(np.uint8)
    transform = from_origin(LEFT + col * CELL, TOP - row * CELL, CELL, CELL)
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 3, "dtype": "uint8", "compress": "deflate"}
    with MemoryFile() as memory:
        with memory.open(crs=crs, transform=transform, **{**profile, **more}) as out:
            out.write(pixels)
        return bytes(memory.read())


def on_grid(col: int, row: int, width: int, height: int, seed: int) -> bytes:
    """A GeoTIFF of noise on the pixels of PM's level 18, ``col``, ``row`` of them from a corner of its slabs."""
    from rasterio.io import MemoryFile
    from rasterio.transform import from_origin

    matrix = fastpyr.load_tms("PM").level("18")
    cell = matrix.cell_size
    left, top = matrix.origin_x + (34_603_008 + col) * cell, matrix.origin_y - (23_855_104 + row) * cell
    pixels = np.random.default_rng(seed).integers(0, 255, (3, height, width), np.uint8)
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8"}
    with MemoryFile() as memory:
        with memory.open(crs="EPSG:3857", transform=from_origin(left, top, cell, cell), **profile) as out:
            out.write(pixels)
        return bytes(memory.read())


def md5_list(files: dict[str, bytes]) -> bytes:
    return "".join(f"{hashlib.md5(content).hexdigest()}  {path}\n" for path, content in files.items()).encode()


def slabs(folder: Path) -> dict[str, str]:
    """Hash of every slab below a folder, by its path inside the pyramid."""
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.tif")
    }


def written(tmp_path: Path, files: dict[str, bytes]) -> Path:
    """The files in a folder."""
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path
