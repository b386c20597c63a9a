"""usage: python gdal_cog.py SOURCE OUT.tif BOTTOM jpeg|deflate RESAMPLING OVERVIEWS: GDAL's COG on Web Mercator."""

from __future__ import annotations

import sys

import rasterio
from rasterio.shutil import copy

if __name__ == "__main__":
    source, out, bottom, compression, resampling, overviews = sys.argv[1:]
    options = {
        "TILING_SCHEME": "GoogleMapsCompatible",
        "ZOOM_LEVEL": bottom,
        "COMPRESS": compression.upper(),
        "BLOCKSIZE": 256,
        "WARP_RESAMPLING": resampling,
        "OVERVIEW_RESAMPLING": overviews,
        "NUM_THREADS": 2,
        "BIGTIFF": "IF_SAFER",
    }
    if compression == "jpeg":
        options |= {"QUALITY": 75, "ADD_ALPHA": "NO"}
    with rasterio.Env(GDAL_NUM_THREADS=2):
        copy(source, out, driver="COG", **options)
