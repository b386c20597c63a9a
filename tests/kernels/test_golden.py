"""Upper levels of published pyramids, computed from their bottom level: not one sample may differ."""

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shared_data import shared

from fastpyr.kernels import decimate, reduce2x2

TILE = 256
SIDE = 2 * TILE  # all these pyramids have slabs of 2 x 2 tiles
Slabs = dict[tuple[int, int], np.ndarray]  # (slab column, slab row) -> pixels (SIDE, SIDE, channels)


def png(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data))).reshape(TILE, TILE, -1)


def zip_mask(data: bytes) -> np.ndarray:
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(TILE, TILE, 1)


def zip_float(data: bytes) -> np.ndarray:
    return np.frombuffer(zlib.decompress(data), "<f4").reshape(TILE, TILE, 1)


def read_level(folder: Path, decode: Callable[[bytes], np.ndarray]) -> Slabs:
    """All slabs of a level. A path is the base-36 digits of column and row, interleaved."""
    slabs = {}
    for path in folder.rglob("*.tif"):
        digits = "".join(path.relative_to(folder).with_suffix("").parts)
        data = path.read_bytes()
        index = struct.unpack_from("<8I", data, 2048)
        tiles = [decode(data[start : start + size]) for start, size in zip(index[:4], index[4:], strict=True)]
        slabs[int(digits[0::2], 36), int(digits[1::2], 36)] = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
    return slabs


def parents(children: Slabs, masks: Slabs, nodata: list[int], masked: bool) -> tuple[Slabs, Slabs]:
    """Next level: each present child goes into its quadrant, the rest is nodata."""
    above: Slabs = {}
    above_masks: Slabs = {}
    for (column, row), child in children.items():
        key = (column // 2, row // 2)
        parent = above.setdefault(key, np.full_like(child, nodata))
        parent_mask = above_masks.setdefault(key, np.zeros((SIDE, SIDE, 1), np.uint8))
        quadrant = (slice(row % 2 * TILE, row % 2 * TILE + TILE), slice(column % 2 * TILE, column % 2 * TILE + TILE))
        mask = masks[column, row][..., 0] if masked else None
        reduce2x2(child, parent[quadrant], mask=mask, out_mask=parent_mask[..., 0][quadrant], nodata=nodata)
    return above, above_masks


@pytest.mark.parametrize(
    "name", ["golden/BDPARCELLAIRE", "golden/SCAN1000", "reference-runs/SCAN1000_PNG_MASK_M4T50"], ids=Path
)
def test_means_of_the_published_bottom(cpu_path: str, name: str) -> None:
    root = shared("rok4") / name
    descriptor = json.loads(root.with_suffix(".json").read_text())
    nodata = [int(v) for v in descriptor["raster_specifications"]["nodata"].split(",")]
    levels = sorted((level["id"] for level in descriptor["levels"]), key=int, reverse=True)
    masked = (root / "MASK").is_dir()
    slabs = read_level(root / "DATA" / levels[0], png)
    masks = read_level(root / "MASK" / levels[0], zip_mask) if masked else {}
    assert slabs
    compared = 0
    for level in levels[1:]:
        slabs, masks = parents(slabs, masks, nodata, masked)
        published = read_level(root / "DATA" / level, png)
        assert slabs.keys() == published.keys(), level
        for key, pixels in published.items():
            assert np.count_nonzero(slabs[key] != pixels) == 0, (level, key)
            compared += pixels.size
        if masked:
            for key, mask in read_level(root / "MASK" / level, zip_mask).items():
                assert np.count_nonzero(masks[key] != mask) == 0, (level, key)
    assert compared > 2_000_000


SOURCES = [(7, 8, 5), (6, 7, 5), (5, 6, 2), (4, 6, 3), (3, 5, 2), (2, 5, 5), (1, 2, 2), (0, 1, 2)]


def test_decimation_of_the_published_bottom() -> None:
    """RGEALTI in a grid that is no quadtree: (level, source level, ratio), elevations equal to the last bit."""
    root = shared("rok4/golden/RGEALTI/DATA")
    grid = json.loads(shared("rok4/tilematrixsets/LAMB93_1M_MNT.json").read_text())
    matrices = {int(matrix["id"]): matrix for matrix in grid["tileMatrices"]}
    levels = {8: read_level(root / "8", zip_float)}
    for level, source, ratio in SOURCES:
        published = read_level(root / str(level), zip_float)
        assert published
        offset = pixel_offset(matrices[level], matrices[source], ratio)
        levels[level] = {key: decimated(levels[source], key, ratio, offset) for key in published}
        for key, pixels in published.items():
            np.testing.assert_array_equal(levels[level][key], pixels, err_msg=f"level {level} slab {key}")
            assert (pixels != -99999).any()


def pixel_offset(target: dict, source: dict, ratio: int) -> tuple[int, int]:
    """(x, y) of the source pixel under the centre of the target's pixel (0, 0)."""
    fine, coarse = source["cellSize"], target["cellSize"]
    assert coarse / fine == pytest.approx(ratio)
    x = (target["pointOfOrigin"][0] + coarse / 2 - source["pointOfOrigin"][0] - fine / 2) / fine
    y = (source["pointOfOrigin"][1] - fine / 2 - target["pointOfOrigin"][1] + coarse / 2) / fine
    return round(x), round(y)


def decimated(source: Slabs, key: tuple[int, int], ratio: int, offset: tuple[int, int]) -> np.ndarray:
    """One slab from the slabs under it: each fills the pixels whose source pixel it holds."""
    out = np.full((SIDE, SIDE, 1), -99999, np.float32)
    for slab, pixels in source.items():
        spans, first = [], []
        for axis in (0, 1):
            start = ratio * SIDE * key[axis] + offset[axis] - SIDE * slab[axis]  # source index of target pixel 0
            low = max(0, -(start // ratio))
            high = min(SIDE, (SIDE - 1 - start) // ratio + 1)
            spans.append(slice(low, max(low, high)))
            first.append(start + low * ratio)
        window = out[spans[1], spans[0]]
        if window.size:
            decimate(pixels, ratio, (first[0], first[1]), window)
    return out
