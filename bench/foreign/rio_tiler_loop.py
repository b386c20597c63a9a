"""usage: python rio_tiler_loop.py SOURCE OUT BOTTOM jpeg|png RESAMPLING: each tile of each level read on its own."""

from __future__ import annotations

import math
import sys
import warnings
from multiprocessing import Pool
from pathlib import Path

import morecantile
from rio_tiler.errors import TileOutsideBounds
from rio_tiler.io import Reader

_EXTENSION = {"jpeg": "jpg", "png": "png"}


def _tiles(source: str, bottom: int) -> list[tuple[int, int, int]]:
    tms = morecantile.tms.get("WebMercatorQuad")
    with Reader(source) as reader:
        bounds = reader.get_geographic_bounds(tms.geographic_crs)
    return [(t.x, t.y, t.z) for z in range(bottom + 1) for t in tms.tiles(*bounds, zooms=z)]


def _make(task: tuple[str, str, str, str, list[tuple[int, int, int]]]) -> None:
    source, out, kind, resampling, tiles = task
    options = {"quality": 75} if kind == "jpeg" else {}
    warnings.simplefilter("ignore")  # it says that the source has no overviews, which is the job
    with Reader(source) as reader:
        for x, y, z in tiles:
            try:
                image = reader.tile(x, y, z, tilesize=256, resampling_method=resampling, reproject_method=resampling)
            except TileOutsideBounds:  # in the envelope of the raster, but not under it
                continue
            path = Path(out, str(z), str(x), f"{y}.{_EXTENSION[kind]}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image.render(img_format=kind.upper(), add_mask=False, **options))


if __name__ == "__main__":
    raster, folder, bottom_level, kind_of_tile, method = sys.argv[1:]
    todo = _tiles(raster, int(bottom_level))
    size = math.ceil(len(todo) / 16)
    parts = [(raster, folder, kind_of_tile, method, todo[i : i + size]) for i in range(0, len(todo), size)]
    with Pool(2) as pool:
        pool.map(_make, parts, chunksize=1)
