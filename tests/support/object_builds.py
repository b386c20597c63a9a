"""A small pyramid to build on disk and on object storage."""

import posixpath

import numpy as np

import fastpyr
from fastpyr.store.naming import parse_slab_path

LEVEL = "18"
OPTIONS = {"tms": "PM", "bottom": LEVEL, "top": "15", "width": 2, "height": 2, "interpolation": "nn", "mask": True}


def source(seed=1, size=900):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (size, size, 3), np.uint8)
    mask = np.full((size, size), 255, np.uint8)
    mask[200:500, 300:700] = 0
    cell = fastpyr.load_tms("PM").level(LEVEL).cell_size
    left, top = fastpyr.load_tms("PM").level(LEVEL).origin_x, fastpyr.load_tms("PM").level(LEVEL).origin_y
    transform = (cell, 0.0, left + 34_646_100 * cell, 0.0, -cell, top - 23_834_050 * cell)
    return fastpyr.ArraySource(pixels, transform=transform, crs="EPSG:3857", mask=mask, name="scene")


def use(monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def as_objects(folder, name):
    """Files of a pyramid on disk under the names that they have as objects."""
    found = {}
    for path in (folder / name).rglob("*.tif"):
        kind, level, *rest = path.relative_to(folder / name).parts
        col, row = parse_slab_path(posixpath.join(*rest))
        found[f"{kind}_{level}_{col}_{row}"] = path.read_bytes()
    return found
