"""Rotated, skewed and flipped sources go through the same warp, to the same place as in GDAL."""

import math

import numpy as np
import pytest
import rasterio
from rasterio.warp import Resampling, reproject

import fastpyr
from fastpyr.source.synthetic import ortho_scene

CELL = 1.0  # coarser than the level, so that no kernel is widened: GDAL widens by the envelope of the turn
TURN = math.radians(30)
TRANSFORMS = {
    "rotated": (CELL * math.cos(TURN), CELL * math.sin(TURN), CELL * math.sin(TURN), -CELL * math.cos(TURN)),
    "skewed": (CELL, 0.2 * CELL, 0.0, -CELL),
    "south up": (CELL, 0.0, 0.0, CELL),
    "mirrored": (-CELL, 0.0, 0.0, -CELL),
    "quarter turn": (0.0, CELL, CELL, 0.0),
}


@pytest.mark.parametrize("crs", ["EPSG:2154", "EPSG:3857"])
@pytest.mark.parametrize("kind", TRANSFORMS)
def test_any_affine_lands_where_gdal_puts_it(kind, crs):
    a, b, d, e = TRANSFORMS[kind]
    x, y = (920_000.0, 6_564_000.0) if crs == "EPSG:2154" else (651_000.0, 5_803_000.0)
    picture = ortho_scene(400, 500, 11)
    affine = rasterio.Affine(a, b, x, d, e, y)
    source = fastpyr.ArraySource(picture, transform=(a, b, x, d, e, y), crs=crs)
    pyramid = fastpyr.build(
        source, "mem://affine/X.json", tms="PM", bottom="18", top="17", compression="png", mask=True, overwrite=True
    )
    pixels, mask = pyramid.read("18", None)
    bottom = pyramid.levels[0]
    box, cell = bottom.matrix.bounds_of(bottom.limits), bottom.matrix.cell_size
    theirs = np.zeros((3, *mask.shape), np.float32)
    inside = np.zeros((1, *mask.shape), np.uint8)
    for y0 in range(0, mask.shape[0], 256):
        for x0 in range(0, mask.shape[1], 256):
            here = np.s_[:, y0 : y0 + 256, x0 : x0 + 256]
            job = {
                "src_transform": affine, "src_crs": crs, "dst_crs": "EPSG:3857",
                "dst_transform": rasterio.Affine(cell, 0, box.left + x0 * cell, 0, -cell, box.top - y0 * cell),
            }  # fmt: skip
            piece = np.zeros(theirs[here].shape, np.float32)
            reproject(np.moveaxis(picture, 2, 0).astype(np.float32), piece, resampling=Resampling.cubic, **job)
            theirs[here] = piece
            flag = np.zeros(inside[here].shape, np.uint8)
            reproject(np.full((1, 400, 500), 255, np.uint8), flag, resampling=Resampling.nearest, **job)
            inside[here] = flag
    # The footprints agree but for pixels whose centre lies on the edge.
    assert np.mean((mask > 0) != (inside[0] > 0)) < 2e-4
    core = (mask > 0) & (inside[0] > 0)
    for shift in range(1, 7):
        for axis in (0, 1):
            core &= np.roll(mask > 0, shift, axis) & np.roll(mask > 0, -shift, axis)
    assert core.sum() > 50_000
    difference = np.abs(pixels[core].astype(np.float32) - np.clip(theirs.transpose(1, 2, 0), 0, 255)[core])
    assert difference.mean() <= 1.0
