"""What an upper level's pixels may be, given the level below: the definitions, in NumPy, independent of the kernels.

The builder computes upper levels with native kernels; a checker that called the same code would agree with its
mistakes. Images are (rows, columns, channels), uint8 or float32; masks (rows, columns), 0 = nodata.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["decimated", "lossy_mean", "lossy_mismatch", "mean_mask", "mean_mismatch", "mean_table", "near_nodata"]

Image = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]

_LOSSY_CELL = 16
"""Side of the squares whose means are compared: one 4:2:0 chroma block."""

LOSSY_MEAN = 16.0
"""Largest accepted difference of a square's mean, in grey levels. JPEG keeps the mean of a 16 x 16 square within one
quantisation step, about 1 grey level, in the parent and in its children; clipping at 0 and 255 and chroma blurred
between saturated colours move it further. Worst seen at quality 75: 4 on aerial images, 2 on noise, 7 on stripes of
pure colours. A wrong tile, a shift or a wrong gamma moves it beyond 16 on anything but flat pixels."""

LOSSY_TILE = 4.0
"""Largest accepted root mean square of those differences over a tile (worst seen: 0.7 on aerial images and noise, 1.8
on stripes of pure colours): a systematic error shows here."""

LOSSY_EDGE = 96.0
"""The same as ``LOSSY_MEAN`` for squares with nodata-coloured pixels in a pyramid without stored masks: nobody knows
which of them were nodata, and on thin lines over nodata each decides about half of its parent pixel."""

_NEAR_NODATA = 48
"""A decoded pixel this close to nodata in all channels may have been nodata before it was compressed."""


def mean_table(gamma: float = 1.0) -> npt.NDArray[np.uint8]:
    """The 1021 means of rule A: entry i is the value of a block whose valid samples sum to i once scaled to four.

    255 - round(((1020 - i) / 1020) ** gamma * 255), halves up; computed in integers for gamma 1, where it is
    floor((i + 1) / 4): the nearest integer to i / 4, ties downwards.
    """
    i = np.arange(1021)
    if gamma == 1:
        return ((i + 1) // 4).astype(np.uint8)
    return (255 - np.floor(((1020 - i) / 1020) ** gamma * 255 + 0.5)).astype(np.uint8)


def _blocks(children: Image) -> Image:
    """(2h, 2w, ...) as (4, h, w, ...): the four pixels of every 2 x 2 block."""
    return np.stack([children[0::2, 0::2], children[0::2, 1::2], children[1::2, 0::2], children[1::2, 1::2]])


def _means(total: Image, count: Image, table: npt.NDArray[np.uint8] | None) -> Image:
    """Rule A value of blocks whose ``count`` valid samples sum to ``total``; anything where count is 0."""
    divisor = np.maximum(count, 1)
    return total / divisor if table is None else table[total * 4 // divisor]


def _differs(found: Image, expected: Image, largest: Image) -> Flags:
    """True where a pixel differs in some channel: exactly for integers, beyond 2 units in the last place for floats.

    ``largest`` is the largest magnitude that entered the sum: the rounding of float32 sums is relative to it.
    """
    if found.dtype == np.uint8:
        differs: Flags = np.any(found != expected, axis=-1)
        return differs
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(found - expected) <= 2 * np.spacing(largest.astype(np.float32)).astype(np.float64)
    same = (found == expected) | (np.isnan(found) & np.isnan(expected)) | near
    differs = np.any(~same, axis=-1)
    return differs


def mean_mask(child_mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Mask of the parent: 255 where at least two of the four pixels below are data."""
    return np.where((_blocks(child_mask) != 0).sum(axis=0) >= 2, 255, 0).astype(np.uint8)


def mean_mismatch(
    parent: Image,
    children: Image,
    nodata: tuple[int, ...],
    *,
    gamma: float = 1.0,
    child_mask: npt.NDArray[np.uint8] | None = None,
) -> Flags:
    """True for each pixel of ``parent`` (h, w, C) that the 2 x 2 mean of ``children`` (2h, 2w, C) cannot give.

    With ``child_mask`` the value is exact: the mean of the pixels whose mask is not 0, nodata when fewer than two.
    Without it, nodata-coloured pixels may have been data of that colour or nodata when the parent was computed: of k
    such pixels in a block, any number from 0 to k may have taken part.
    """
    table = mean_table(gamma) if parent.dtype == np.uint8 else None
    work = np.uint16 if table is not None else np.float64
    blocks = _blocks(children).astype(work)
    colour = np.asarray(nodata, work)
    if child_mask is not None:
        return _masked_mismatch(parent, blocks, _blocks(child_mask) != 0, colour, table)
    with np.errstate(invalid="ignore", over="ignore"):
        expected = _means(blocks.sum(axis=0, dtype=work), np.asarray(4, work), table)
        wrong = _differs(parent, expected, np.abs(blocks).max(axis=0))
    rows, columns = np.nonzero(wrong)
    if len(rows):
        wrong[rows, columns] = _unexplained(parent[rows, columns], blocks[:, rows, columns], colour, table)
    return wrong


def _masked_mismatch(
    parent: Image, blocks: Image, valid: Flags, colour: Image, table: npt.NDArray[np.uint8] | None
) -> Flags:
    kept = np.where(valid[..., None], blocks, 0)
    count = valid.sum(axis=0, dtype=blocks.dtype)[..., None]
    with np.errstate(invalid="ignore", over="ignore"):
        mean = _means(kept.sum(axis=0, dtype=blocks.dtype), count, table)
        return _differs(parent, np.where(count >= 2, mean, colour), np.abs(kept).max(axis=0))


def _unexplained(parent: Image, blocks: Image, colour: Image, table: npt.NDArray[np.uint8] | None) -> Flags:
    """True for each of m pixels (m, C) that no choice among the nodata-coloured pixels of its (4, m, C) explains."""
    empty = np.all(blocks == colour, axis=-1)
    absent = empty.sum(axis=0)
    data = np.where(empty[..., None], 0, blocks)
    total, largest = data.sum(axis=0, dtype=blocks.dtype), np.abs(data).max(axis=0)
    explained = np.zeros(len(parent), bool)
    for taken in range(5):
        count = np.asarray(4 - absent + taken)[:, None].astype(blocks.dtype)
        possible = taken <= absent
        with np.errstate(invalid="ignore", over="ignore"):
            # Impossible choices (more than four pixels) are computed too, then left out: keep them inside the table.
            count = np.minimum(count, 4)
            sums = np.where(possible[:, None], total + taken * colour, 0).astype(blocks.dtype)
            value = np.where(count >= 2, _means(sums, count, table), colour)
            weight = np.maximum(largest, np.abs(colour) if taken else 0)
            explained |= possible & ~_differs(parent, value, weight)
    return ~explained


def decimated(children: Image, ratio: int) -> Image:
    """Every ``ratio``-th pixel of ``children`` in both axes, from the first one."""
    return children[::ratio, ::ratio]


def lossy_mean(
    children: Image,
    nodata: tuple[int, ...],
    *,
    gamma: float = 1.0,
    child_mask: npt.NDArray[np.uint8] | None = None,
) -> tuple[Image, Flags]:
    """Rule A value of decoded lossy children (2h, 2w, C), and True where nobody knows which pixels were nodata.

    That is next to nodata-coloured pixels, and nowhere when there is a mask.
    """
    valid = np.ones(children.shape[:2], np.uint8) if child_mask is None else child_mask
    blocks, used = _blocks(children).astype(np.int32), _blocks(valid) != 0
    count = used.sum(axis=0)[..., None]
    total = np.where(used[..., None], blocks, 0).sum(axis=0)
    expected = np.where(count >= 2, _means(total, count, mean_table(gamma)), np.asarray(nodata))
    if child_mask is not None:
        return expected, np.zeros(expected.shape[:2], bool)
    unsure: Flags = np.any(near_nodata(blocks, nodata), axis=0)
    return expected, unsure


def near_nodata(pixels: Image, nodata: tuple[int, ...]) -> Flags:
    """True where a decoded lossy pixel (..., C) may have been nodata before it was compressed."""
    near: Flags = np.all(np.abs(pixels.astype(np.int32) - np.asarray(nodata)) <= _NEAR_NODATA, axis=-1)
    return near


def lossy_mismatch(parent: Image, expected: Image, unsure: Flags) -> str | None:
    """What is wrong with a decoded lossy parent (h, w, C) next to what its decoded children give, or None.

    Compression changed both, so means over squares of 16 x 16 pixels are compared: see ``LOSSY_MEAN``, ``LOSSY_TILE``
    and, for squares with an ``unsure`` pixel, ``LOSSY_EDGE``.
    """
    difference = _cell_means(parent.astype(np.float64) - expected)
    edge = _cell_means(unsure[..., None].astype(np.float64))[..., 0] > 0
    limits = np.where(edge, LOSSY_EDGE, LOSSY_MEAN)[..., None]
    row, col, channel = np.unravel_index(np.argmax(np.abs(difference) - limits), difference.shape)
    if abs(difference[row, col, channel]) > limits[row, col, 0]:
        return (
            f"the mean of the 16 x 16 pixels at column {col * _LOSSY_CELL}, row {row * _LOSSY_CELL} of the tile is "
            f"{difference[row, col, channel]:+.1f} grey levels from the level below, tolerance {limits[row, col, 0]:g}"
        )
    inner = difference[~edge]
    rms = float(np.sqrt(np.mean(inner**2))) if inner.size else 0.0
    return (
        f"16 x 16 means differ by {rms:.1f} grey levels (rms), tolerance {LOSSY_TILE:g}" if rms > LOSSY_TILE else None
    )


def _cell_means(image: Image) -> Image:
    """Means over squares of 16 x 16, the last ones of a row or column narrower when the size is no multiple."""
    rows = np.arange(0, image.shape[0], _LOSSY_CELL)
    columns = np.arange(0, image.shape[1], _LOSSY_CELL)
    sums = np.add.reduceat(np.add.reduceat(image, rows, axis=0), columns, axis=1)
    heights = np.diff(np.append(rows, image.shape[0]))
    widths = np.diff(np.append(columns, image.shape[1]))
    means: Image = sums / (heights[:, None] * widths)[..., None]
    return means
