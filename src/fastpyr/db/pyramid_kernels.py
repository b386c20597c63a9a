"""Levels of a block pyramid: every 2x2 pixels of a level become one of the next, counted from the fixed block origin.

=========  ==========================================================================================================
nearest    the upper left pixel; valid when that one is
bilinear   the mean of the valid ones of the four, rounded to the nearest, halves away from 0; valid when one is
bicubic    4x4 pixels with weights -1 9 9 -1 (of 16) in both directions (Catmull-Rom half-way between pixels), rounded
           and kept within the type, where all 16 are valid; elsewhere as bilinear
=========  ==========================================================================================================

Pixels without data are 0. Floats are computed in double; NaN is a value like any other.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import ConfigError
from .blocks import Block, Fetch, Window, assemble
from .pixels import Mask, Pixels, PixelType

__all__ = ["Method", "default_method", "halve", "parent_block", "skipped"]


class Method(enum.Enum):
    """How pixels of a level are made. Values are the names of the command line and of ST_Raster's buildPyramid."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"

    @property
    def margin(self) -> int:
        """Pixels around a quad that the method looks at."""
        return int(self is Method.BICUBIC)

    @classmethod
    def of(cls, name: str | Method) -> Method:
        """By name in any case. ConfigError naming the known ones otherwise."""
        try:
            return name if isinstance(name, Method) else cls(name.lower())
        except ValueError:
            raise ConfigError(f"unknown interpolation {name!r}: expected nearest, bilinear or bicubic") from None


_NUMBERS = {Method.NEAREST: 0, Method.BILINEAR: 1, Method.BICUBIC: 2}


def default_method(pixel_type: PixelType, has_colormap: bool = False) -> Method:
    """What a pyramid is made with unless asked otherwise: means of classes, bits or palette entries say nothing."""
    return Method.NEAREST if has_colormap or pixel_type.bits < 8 else Method.BILINEAR


def halve(
    quad: Pixels, mask: Mask | None, method: Method, margin: int = 0, most: float | None = None
) -> tuple[Pixels, Mask | None]:
    """Pixels (2h, 2w), with ``margin`` 1 (2h + 2, 2w + 2), of one level to (h, w) of the next.

    quad: any of the eight dtypes of pixel types, rows may be strided. margin: pixels around the quad, 0 or 1, which
    bicubic looks at; without them it takes the mean along the edges. mask: (rows, cols) of quad, None when all pixels
    are data. most: the largest value of a pixel where that is less than the dtype's (15 for 4 bits).

    Returns new arrays; the mask is None when every pixel is data. ValueError on shapes that do not fit.
    """
    if margin not in (0, 1) or quad.ndim != 2 or any(side < 2 + 2 * margin or side % 2 for side in quad.shape):
        raise ValueError(f"quad of shape {quad.shape} with margin {margin}: expected even sizes")
    shape = (quad.shape[0] // 2 - margin, quad.shape[1] // 2 - margin)
    if method is Method.BICUBIC and margin == 0:
        mask = np.pad(np.full(quad.shape, 255, np.uint8) if mask is None else mask, 1)
        quad, margin = np.pad(quad, 1), 1
    out = np.empty(shape, quad.dtype)
    out_mask = None if mask is None else np.empty(shape, np.uint8)
    _native.halve(quad, out, mask, out_mask, _NUMBERS[method], margin, _ceiling(quad.dtype, most))
    return out, None if out_mask is None or out_mask.all() else out_mask


def _ceiling(dtype: np.dtype[Any], most: float | None) -> float:
    if dtype.kind == "f":
        return 0.0
    limit = int(np.iinfo(dtype).max)
    return float(limit if most is None else min(limit, most))


def parent_block(
    fetch: Fetch, row: int, col: int, shape: tuple[int, int], pixel_type: PixelType, method: Method
) -> Block | None:
    """Block (row, col) of a level from the blocks of the level below; None when no pixel is data.

    ``fetch`` gives blocks of the level below: the four children, for bicubic also the blocks around them. ``shape``:
    (block height, block width).
    """
    height, width = shape
    children = [fetch(2 * row + k // 2, 2 * col + k % 2) for k in range(4)]
    if not any(child is not None for child in children):
        return None
    if method is Method.BICUBIC:
        frame = Window(2 * col * width - 1, 2 * row * height - 1, 2 * (col + 1) * width + 1, 2 * (row + 1) * height + 1)
        near = {(2 * row + k // 2, 2 * col + k % 2): child for k, child in enumerate(children)}
        quad, quad_mask = assemble(
            lambda r, c: near[r, c] if (r, c) in near else fetch(r, c), frame, width, height, pixel_type.dtype
        )
        pixels, mask = halve(quad, quad_mask, method, 1, pixel_type.most)
    else:
        pixels, mask = _parent_of_four(children, shape, pixel_type.dtype, method)
    return None if mask is not None and not mask.any() else (pixels, mask)


def _parent_of_four(
    children: list[Block | None], shape: tuple[int, int], dtype: np.dtype[Any], method: Method
) -> tuple[Pixels, Mask | None]:
    """Each child straight into its quarter of the parent, where blocks have even sizes; else by way of a quad."""
    height, width = shape
    if height % 2 or width % 2:
        quad, quad_mask = assemble(
            lambda r, c: children[2 * r + c], Window(0, 0, 2 * width, 2 * height), width, height, dtype
        )
        return halve(quad, quad_mask, method)
    pixels = np.zeros(shape, dtype)
    mask: Mask | None = None
    if any(child is None or child[1] is not None for child in children):
        mask = np.zeros(shape, np.uint8)
    for k, child in enumerate(children):
        if child is None:
            continue
        top, left = k // 2 * height // 2, k % 2 * width // 2
        quarter = slice(top, top + height // 2), slice(left, left + width // 2)
        inner: npt.NDArray[np.uint8] | None = None if mask is None or child[1] is None else mask[quarter]
        _native.halve(child[0], pixels[quarter], child[1], inner, _NUMBERS[method], 0, 0.0)
        if mask is not None and child[1] is None:
            mask[quarter] = 255
    return pixels, None if mask is None or mask.all() else mask


def skipped(fetch: Fetch, shape: tuple[int, int], pixel_type: PixelType, method: Method) -> Fetch:
    """Blocks of a level that is not stored, made from the level below when asked for: level 1 of ``skip_level1``.

    Bicubic parents ask their neighbours twice: the last 64 blocks are remembered. Not for several threads at once.
    """
    known: dict[tuple[int, int], Block | None] = {}

    def missing(row: int, col: int) -> Block | None:
        if (row, col) not in known:
            if len(known) >= 64:
                known.pop(next(iter(known)))
            known[row, col] = parent_block(fetch, row, col, shape, pixel_type, method)
        return known[row, col]

    return missing
