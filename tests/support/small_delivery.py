"""Small rasters for deliveries, and what a pyramid's slabs hold."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

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
