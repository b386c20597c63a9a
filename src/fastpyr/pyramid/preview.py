"""A small picture of a pyramid, for people."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..encode.deflate import deflater
from ..encode.png import png_head, png_tile
from ..errors import ConfigError
from ..formats import SampleType
from ..kernels import nodata_mask, reduce2x2
from ..store.file import FileStore
from .reader import Image, Mask, Pyramid
from .window import Level

__all__ = ["preview", "preview_pixels"]

_CHECKER = (214, 174)
"""Greys of the board shown where there is no data."""

_CHECKER_SIDE = 8

RGB = npt.NDArray[np.uint8]


def preview(pyramid: Pyramid, path: str | os.PathLike[str], max_size: int = 1024) -> tuple[int, int]:
    """Write a PNG of the covered area, at most ``max_size`` pixels wide and high; its (width, height).

    Nodata and transparency are shown as a checkerboard, elevations (float32) as grey relief lit from the north-west.
    Raises ConfigError for a size below 16 and StoreError when the file cannot be written.
    """
    pixels = preview_pixels(pyramid, max_size)
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # column 0: PNG filter "none"
    rows[:, 1:] = pixels.reshape(height, -1)
    target = Path(path)
    FileStore(target.parent).put(target.name, [png_tile(png_head(width, height, 3), rows, deflater(6))])
    return width, height


def preview_pixels(pyramid: Pyramid, max_size: int = 1024) -> RGB:
    """The picture as (rows, cols, 3) uint8. Errors as ``preview`` and of reading tiles."""
    if max_size < 16:
        raise ConfigError(f"a preview of {max_size} pixels shows nothing: give at least 16")
    pixels, mask = _covered(pyramid, _choose_level(pyramid, max_size))
    while max(mask.shape) > max_size:
        pixels, mask = _halved(pixels, mask, pyramid.nodata)
    if pyramid.format.format.sample is SampleType.FLOAT32:
        colours = np.repeat(_relief(pixels[..., 0], mask != 0)[..., None], 3, axis=2)
        opacity = (mask != 0).astype(np.float32)
    else:
        channels = pyramid.format.channels
        colours = pixels[..., :3] if channels > 2 else np.repeat(pixels[..., :1], 3, axis=2)
        opacity = (mask != 0).astype(np.float32)
        if channels in (2, 4):
            opacity *= pixels[..., -1] / np.float32(255)
    shown = colours * opacity[..., None] + _checkerboard(mask.shape)[..., None] * (1 - opacity[..., None])
    picture: RGB = (shown + 0.5).astype(np.uint8)
    return picture


def _choose_level(pyramid: Pyramid, max_size: int) -> Level:
    """The finest level that is at most four times as large as the picture, else the coarsest."""
    for level in pyramid.levels:
        window = level.window()
        if max(window.width, window.height) <= 4 * max_size:
            return level
    return pyramid.levels[-1]


def _covered(pyramid: Pyramid, level: Level) -> tuple[Image, Mask]:
    """Pixels and mask of a level, cropped to the data; all of it when there is none."""
    pixels, mask = pyramid.read(level)
    if not pyramid.has_masks:
        mask &= nodata_mask(pixels, pyramid.nodata)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return pixels, mask
    here = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return pixels[here], mask[here]


def _halved(pixels: Image, mask: Mask, nodata: tuple[int, ...]) -> tuple[Image, Mask]:
    """Half the size: 2x2 means of data pixels. An odd last row or column is doubled first."""
    odd = [(0, mask.shape[0] % 2), (0, mask.shape[1] % 2)]
    pixels = np.ascontiguousarray(np.pad(pixels, [*odd, (0, 0)], "edge"))
    halved, smaller = reduce2x2(pixels, mask=np.ascontiguousarray(np.pad(mask, odd, "edge")), nodata=nodata)
    assert smaller is not None, "a mask goes in, so one comes out"
    return halved, smaller


def _relief(heights: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Heights as grey 0..255: half from a stretch over the middle 96 % of values, half from the light on the slopes.

    Slopes are scaled to the terrain itself, so no unit is needed and plains show their relief too.
    """
    valid = valid & np.isfinite(heights)
    if not valid.any():
        return np.zeros(heights.shape, np.float32)
    low, high = np.percentile(heights[valid], (2, 98))
    filled = np.where(valid, heights, low).astype(np.float32)
    stretched = np.clip((filled - low) / max(high - low, 1e-6), 0, 1)
    padded = np.pad(filled, 1, "edge")
    dx = padded[1:-1, 2:] - padded[1:-1, :-2]
    dy = padded[2:, 1:-1] - padded[:-2, 1:-1]
    steep = float(np.percentile(np.hypot(dx, dy)[valid], 90)) or 1.0
    lit = 0.5 + 0.35 * np.clip((dx + dy) / steep, -1.4, 1.4)
    relief: npt.NDArray[np.float32] = (255 * (0.5 * stretched + 0.5 * lit)).astype(np.float32)
    return relief


def _checkerboard(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    dark = (rows // _CHECKER_SIDE + columns // _CHECKER_SIDE) % 2 != 0
    return np.where(dark, np.float32(_CHECKER[1]), np.float32(_CHECKER[0]))
