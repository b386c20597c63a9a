"""How the rasters of a delivery lie beside each other: overlaps and gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastpyr.grid import BoundingBox

__all__ = ["Coverage", "Overlap", "coverage"]

_SNAP = 0.5
"""Of a pixel: edges nearer than this are one edge."""
_MAX_CELLS = 1 << 22
_MAX_PAIRS = 1000
_SLIVER = 0.25
"""Of a typical raster's side: an opening between two rasters that is narrower is a gap even when it leads outside."""

Grid = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two boxes (by index) and what they share; ``same``: they are one and the same place."""

    first: int
    second: int
    box: BoundingBox
    same: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """``complete`` false: the boxes are too many and too irregular, so that gaps were not looked for or not all
    overlaps are listed."""

    overlaps: tuple[Overlap, ...]
    gaps: tuple[BoundingBox, ...]
    complete: bool


def coverage(boxes: Sequence[BoundingBox], pixel: tuple[float, float]) -> Coverage:
    """Overlaps and gaps of boxes in one coordinate system.

    ``pixel``: width and height of a pixel; what is smaller than half of one is no overlap and no gap. A gap is an
    opening that the boxes enclose, or a strip between two of them narrower than a quarter of a typical box.
    """
    overlaps, all_listed = _overlaps(boxes, pixel)
    gaps = _gaps(boxes, pixel) if len(boxes) > 1 else ()
    return Coverage(overlaps, gaps or (), all_listed and gaps is not None)


def _overlaps(boxes: Sequence[BoundingBox], pixel: tuple[float, float]) -> tuple[tuple[Overlap, ...], bool]:
    """Pairs found by a sweep from left to right."""
    near_x, near_y = _SNAP * pixel[0], _SNAP * pixel[1]
    found: list[Overlap] = []
    active: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: boxes[i].left):
        box = boxes[index]
        active = [other for other in active if boxes[other].right > box.left + near_x]
        for other in active:
            shared = box.intersection(boxes[other])
            if shared is None or shared.width <= near_x or shared.height <= near_y:
                continue
            if len(found) == _MAX_PAIRS:
                return tuple(found), False
            same = all(
                abs(a - b) <= near
                for a, b, near in zip(box, boxes[other], (near_x, near_y, near_x, near_y), strict=True)
            )
            found.append(Overlap(min(index, other), max(index, other), shared, same))
        active.append(index)
    return tuple(sorted(found, key=lambda o: (o.first, o.second))), True


def _edges(values: Sequence[float], near: float) -> npt.NDArray[np.float64]:
    """Sorted edges, those nearer than ``near`` to the one before left out."""
    kept: list[float] = []
    for value in sorted(values):
        if not kept or value - kept[-1] > near:
            kept.append(value)
    return np.array(kept)


def _gaps(boxes: Sequence[BoundingBox], pixel: tuple[float, float]) -> tuple[BoundingBox, ...] | None:
    """Openings on the grid of all edges; None when that grid is too large."""
    xs = _edges([v for box in boxes for v in (box.left, box.right)], _SNAP * pixel[0])
    ys = _edges([v for box in boxes for v in (box.bottom, box.top)], _SNAP * pixel[1])
    if xs.size * ys.size > _MAX_CELLS:
        return None
    covered = np.zeros((ys.size - 1, xs.size - 1), bool)
    for box in boxes:
        left, right = _nearest(xs, box.left), _nearest(xs, box.right)
        bottom, top = _nearest(ys, box.bottom), _nearest(ys, box.top)
        covered[bottom:top, left:right] = True
    width = float(np.median([box.width for box in boxes]))
    height = float(np.median([box.height for box in boxes]))
    gap = _slivers(covered, xs, _SLIVER * width) | _slivers(covered.T, ys, _SLIVER * height).T
    gap |= ~covered & ~_outside(~covered & ~gap)
    return tuple(_boxes_of(gap, xs, ys))


def _nearest(edges: npt.NDArray[np.float64], value: float) -> int:
    return int(np.abs(edges - value).argmin())


def _slivers(covered: Grid, edges: npt.NDArray[np.float64], widest: float) -> Grid:
    """Free cells of runs along rows that lie between covered ones and are narrower than ``widest``."""
    found = np.zeros_like(covered)
    for row, cells in enumerate(covered):
        taken = np.flatnonzero(cells)
        for index in np.flatnonzero(np.diff(taken) > 1):
            before, after = taken[index], taken[index + 1]
            if edges[after] - edges[before + 1] < widest:
                found[row, before + 1 : after] = True
    return found


def _outside(free: Grid) -> Grid:
    """Free cells from which free cells lead out of the grid."""
    reached = np.zeros_like(free)
    for edge in (np.s_[0], np.s_[-1]):
        reached[edge] = free[edge]
        reached[:, edge] |= free[:, edge]
    count = -1
    while count != (now := int(reached.sum())):
        count = now
        for cells, allowed in ((reached, free), (reached[::-1], free[::-1])):
            for row in range(1, len(cells)):
                cells[row] |= cells[row - 1] & allowed[row]
        for cells, allowed in ((reached.T, free.T), (reached.T[::-1], free.T[::-1])):
            for row in range(1, len(cells)):
                cells[row] |= cells[row - 1] & allowed[row]
    return reached


def _boxes_of(cells: Grid, xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64]) -> list[BoundingBox]:
    """The cells as few boxes: runs along rows, joined with the same run of the row below."""
    found: list[BoundingBox] = []
    open_runs: dict[tuple[int, int], int] = {}
    for row in range(len(cells) + 1):
        runs = set(_runs(cells[row])) if row < len(cells) else set()
        for run in [run for run in open_runs if run not in runs]:
            start = open_runs.pop(run)
            found.append(BoundingBox(float(xs[run[0]]), float(ys[start]), float(xs[run[1]]), float(ys[row])))
        for run in runs:
            open_runs.setdefault(run, row)
    return sorted(found, key=lambda box: (-box.top, box.left))


def _runs(cells: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, end) of the runs of true cells."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], cells, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
