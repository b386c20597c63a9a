"""Read a whole pyramid with the ``rok4`` package: run by an interpreter that has it (and GDAL's Python bindings).

Usage: python rok4_reader.py DESCRIPTOR OUT.npz, with ROK4_TMS_DIRECTORY set. OUT.npz gets one array (rows, cols,
channels) per tile under ``<level>_<column>_<row>``; stdout gets one JSON object with what the package says of the
pyramid. A tile that it reports as absent is listed under ``absent``.
"""

import json
import sys

import numpy
from rok4.pyramid import Pyramid


def main(descriptor: str, out: str) -> None:
    pyramid = Pyramid.from_descriptor(descriptor)
    tiles = {}
    absent = []
    for level in pyramid.get_levels():
        limits = level.tile_limits
        for row in range(limits["min_row"], limits["max_row"] + 1):
            for column in range(limits["min_col"], limits["max_col"] + 1):
                key = f"{level.id}_{column}_{row}"
                data = pyramid.get_tile_data_raster(level.id, column, row)
                if data is None:
                    absent.append(key)
                else:
                    tiles[key] = data
    slabs = [
        [slab_type.value, level, column, row, infos["link"], infos["slab"]]
        for (slab_type, level, column, row), infos in pyramid.list_generator()
    ]
    numpy.savez(out, **tiles)
    facts = {
        "format": pyramid.format,
        "channels": pyramid.raster_specifications["channels"],
        "nodata": pyramid.raster_specifications["nodata"],
        "interpolation": pyramid.raster_specifications["interpolation"],
        "photometric": pyramid.raster_specifications["photometric"],
        "tms": pyramid.tms.name,
        "masks": pyramid.own_masks,
        "size": pyramid.size,
        "bottom": pyramid.bottom_level.id,
        "bottom_bbox": pyramid.bottom_level.bbox,
        "limits": {level.id: level.tile_limits for level in pyramid.get_levels()},
        "absent": absent,
        "slabs": slabs,
    }
    json.dump(facts, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
