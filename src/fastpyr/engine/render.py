"""Blocks of a level made from the sources: mosaic windows resampled or reprojected onto the level's pixel grid."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._native import node_facts
from ..errors import GridError
from ..formats import Interpolation, PixelFormat
from ..frozen import frozen
from ..grid import (
    BoundingBox,
    TileMatrix,
    TileMatrixSet,
    Transform,
    coordinate_grid,
    mean_pixel_area,
    project_boxes,
)
from ..kernels import paint, resample, warp
from ..planning import Coverage
from ..source import Mosaic, Pack, ReducedPack
from .block import EMPTY, FULL, MIXED
from .scratch import Scratch

__all__ = ["Renderer"]

WINDOW_PIXELS = 12 << 20
"""A block whose source window is larger than this is made in parts."""
PREFILTER_RATIO = 16.0
"""Levels coarser than this many source pixels are resampled from sources that were halved until 8 to 16 are left."""
GRID_TOLERANCE = 0.02
"""Largest error, in source pixels, of positions interpolated between the nodes of a reprojection grid."""
WINDOW_SLACK = 16
"""Source pixels by which the window of a block may exceed the envelope of its corners without being decoded twice."""
EDGE = 1
"""Pixels of a window kept beyond the edge of its pack: enough to be seen as an edge."""
COPY_TOLERANCE = 0.01
"""Grids that agree within this fraction of a pixel over their whole extent are the same grid."""

_HALF_WIDTH = {
    Interpolation.NN: 0.5,
    Interpolation.LINEAR: 1.0,
    Interpolation.BICUBIC: 2.0,
    Interpolation.LANCZOS: 3.0,
}

Pixels = NDArray[Any]
Mask = NDArray[np.uint8]


@frozen
class _Window:
    """Source pixels that a part of a block needs: columns x0..x1-1, rows y0..y1-1 of the pack's grid.

    ``inside``: all positions asked for lie between the centres of pixels of the pack.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    inside: bool

    @property
    def size(self) -> int:
        return (self.x1 - self.x0) * (self.y1 - self.y0)


class _PackView:
    """One pack seen from one level: where it lies and how to come from level pixels to its pixels.

    ``area`` selects the transformation between the coordinate reference systems.
    """

    def __init__(
        self,
        pack: Pack,
        matrix: TileMatrix,
        tms: TileMatrixSet,
        interpolation: Interpolation,
        area: BoundingBox,
    ) -> None:
        self.matrix = matrix
        to_level = Transform(pack.crs, tms.crs, bounds=area)
        # An equal CRS is no identity for longitudes beyond 180 degrees, which have to be wrapped.
        self.straight = pack.transform.is_north_up and to_level.is_identity
        self.half = _HALF_WIDTH[interpolation]
        self.pack: Pack | ReducedPack = pack
        if interpolation is not Interpolation.NN and (halvings := _halvings(pack, matrix, to_level)) > 0:
            self.pack = ReducedPack(pack, halvings)
        a, b, c, d, e, f = self.pack.transform
        if self.straight:
            cell = matrix.cell_size
            self.ratio = (cell / a, cell / -e)
            # Source position of the centre of level pixel (0, 0).
            self.start = ((matrix.origin_x + cell / 2 - c) / a - 0.5, (matrix.origin_y - cell / 2 - f) / e - 0.5)
            self.boxes: tuple[BoundingBox, ...] = (pack.bounds,)
            self.copies = self._is_copy()
            self.margin = tuple(math.ceil(self.half * max(1.0, r)) + 2 for r in self.ratio)
            return
        self.copies = False
        self.to_source = to_level.inverse
        self.boxes = project_boxes(pack.bounds, to_level)
        determinant = a * e - b * d
        self.inverse = (
            e / determinant,
            -b / determinant,
            (b * f - e * c) / determinant,
            -d / determinant,
            a / determinant,
            (d * c - a * f) / determinant,
        )

    def _is_copy(self) -> bool:
        """True when level and pack share their pixel grid over the whole pack."""
        for axis, length in ((0, self.pack.width), (1, self.pack.height)):
            ratio, start = self.ratio[axis], self.start[axis]
            first = math.ceil((0 - start) / ratio)
            for pixel in (first, first + length):
                at = start + pixel * ratio
                if abs(at - (round(start + first * ratio) + pixel - first)) > COPY_TOLERANCE:
                    return False
        return True

    def windows(self, px: NDArray[np.int64], py: NDArray[np.int64], width: int, height: int) -> NDArray[np.int64]:
        """About the windows of blocks with these first pixels, int64 (n, 4): from their corners alone, with a little
        more for what bends between them."""
        cell, matrix = self.matrix.cell_size, self.matrix
        x = matrix.origin_x + (px[:, None] + np.array([0, width, 0, width])) * cell
        y = matrix.origin_y - (py[:, None] + np.array([0, 0, height, height])) * cell
        if not self.straight:
            x, y = self.to_source.forward(x, y)
        pack = self.pack
        a, b, c, d, e, f = self.pack.transform
        determinant = a * e - b * d
        columns, rows = (e * (x - c) - b * (y - f)) / determinant, (a * (y - f) - d * (x - c)) / determinant
        low, high = np.stack((columns.min(1), rows.min(1)), 1), np.stack((columns.max(1), rows.max(1)), 1)
        unknown = ~(np.isfinite(low) & np.isfinite(high)).all(1)
        low[unknown] = high[unknown] = 0
        margin = self.half * np.maximum(1.0, (high - low) / (width, height)) + WINDOW_SLACK
        low, high = low - margin, high + margin
        size = np.array([pack.width, pack.height], np.float64)
        low[unknown], high[unknown] = 0, size
        return np.hstack((np.clip(low, 0, size), np.clip(high, 0, size))).astype(np.int64)


class Renderer:
    """Fills blocks of one level from a mosaic. Shared by workers; each passes its own Scratch."""

    def __init__(
        self,
        mosaic: Mosaic,
        matrix: TileMatrix,
        tms: TileMatrixSet,
        pixel: PixelFormat,
        interpolation: Interpolation,
    ) -> None:
        self.matrix = matrix
        self.pixel = pixel
        self.interpolation = interpolation
        areas: dict[str, BoundingBox] = {}
        for pack in mosaic.packs:  # one operation for all packs of a CRS, so that they meet without a step
            areas[pack.crs] = areas[pack.crs].union(pack.bounds) if pack.crs in areas else pack.bounds
        self.views = [_PackView(pack, matrix, tms, interpolation, areas[pack.crs]) for pack in mosaic.packs]
        self.width = matrix.matrix_width * matrix.tile_width
        self.height = matrix.matrix_height * matrix.tile_height
        self._numbers: NDArray[np.int64] = np.empty((0, 0), np.int64)
        self._first = 0, 0

    def expect(self, blocks: Coverage, width: int, height: int) -> None:
        """Announce blocks of ``width`` x ``height`` pixels, each of which is rendered once at most, so that decoded
        pixels need not be kept longer than for these. Not for a mosaic that others read too."""
        rows, columns = np.nonzero(blocks.cells)
        self._numbers = np.full(blocks.cells.shape, -1, np.int64)
        self._numbers[rows, columns] = np.arange(len(rows))
        self._first = blocks.column * width, blocks.row * height
        for view in self.views:
            if isinstance(view.pack, Pack):
                px, py = columns * width + self._first[0], rows * height + self._first[1]
                view.pack.expect(view.windows(px, py, width, height))

    def _done(self, px: int, py: int, width: int, height: int) -> None:
        """A block has been rendered."""
        column, row = (px - self._first[0]) // width, (py - self._first[1]) // height
        if 0 <= row < self._numbers.shape[0] and 0 <= column < self._numbers.shape[1]:
            number = int(self._numbers[row, column])
            for view in self.views if number >= 0 else ():
                if isinstance(view.pack, Pack):
                    view.pack.done(number)

    def render(self, px: int, py: int, out: Pixels, mask: Mask, scratch: Scratch) -> int:
        """Fill a block whose top-left pixel is (px, py) of the level.

        ``out`` is (rows, cols, channels) and ``mask`` (rows, cols), both uninitialised. Returns EMPTY when no source
        has data in the block, FULL when all of ``out`` is data, else MIXED: ``mask`` is then 255 where ``out`` holds
        data and 0 elsewhere, where ``out`` is nodata or untouched. Raises SourceError naming the file that cannot be
        read.
        """
        # Edge blocks reach beyond the matrix: nothing is drawn there.
        rows, cols = min(out.shape[0], self.height - py), min(out.shape[1], self.width - px)
        state = self._render(px, py, out[:rows, :cols], mask[:rows, :cols], scratch)
        self._done(px, py, out.shape[1], out.shape[0])
        if state == EMPTY or (rows, cols) == mask.shape:
            return state
        if state == FULL:
            mask[:rows, :cols] = 255
        mask[rows:] = 0
        mask[:rows, cols:] = 0
        return MIXED

    def _render(self, px: int, py: int, out: Pixels, mask: Mask, scratch: Scratch) -> int:
        (rows, cols), cell, matrix = mask.shape, self.matrix.cell_size, self.matrix
        left, top = matrix.origin_x + px * cell, matrix.origin_y - py * cell
        box = BoundingBox(left, top - rows * cell, left + cols * cell, top)
        state = EMPTY
        for view in self.views:
            if all(part.intersection(box) is None for part in view.boxes):
                continue
            if state == EMPTY:
                state = self._draw(view, px, py, out, mask, scratch)
                continue
            over = scratch.array("over", out.shape, self.pixel.dtype)
            over_mask = scratch.array("over_mask", mask.shape, "uint8")
            added = self._draw(view, px, py, over, over_mask, scratch)
            if added != EMPTY:
                paint(out, mask if state == MIXED else None, over, over_mask if added == MIXED else None)
                state = max(state, added)
        return state

    def _draw(self, view: _PackView, px: int, py: int, out: Pixels, mask: Mask, scratch: Scratch) -> int:
        """Draw one pack on a block or on a part of it, in four parts when its window is too large.

        Returns a state; all of the mask is written when it is MIXED, any of it otherwise.
        """
        rows, cols = mask.shape
        if view.straight:
            nodes, step = None, 0
            window = self._straight_window(view, px, py, rows, cols)
        else:
            try:
                nodes, step = coordinate_grid(
                    view.to_source,
                    self.matrix,
                    px,
                    py,
                    cols,
                    rows,
                    view.inverse,
                    GRID_TOLERANCE,
                    (view.pack.width, view.pack.height),
                )
            except GridError as error:
                raise GridError(f"level {self.matrix.id}, pixel ({px}, {py}): {error}") from error
            window, ratio = self._curved_window(view, nodes, step)
        if window is None:
            return EMPTY
        if window.size > WINDOW_PIXELS and max(rows, cols) > 1:
            return self._draw_parts(view, px, py, out, mask, scratch)
        if view.copies:
            return view.pack.read(window.x0, window.y0, window.x1, window.y1, out, mask)
        pixels, source_mask = self._read(view, window, scratch)
        if pixels is None:
            return EMPTY
        state = FULL if window.inside and source_mask is None else MIXED
        out_mask, nodata = None if state == FULL else mask, self.pixel.nodata
        if nodes is None:
            resample(
                pixels,
                out,
                x0=view.start[0] + px * view.ratio[0] - window.x0,
                y0=view.start[1] + py * view.ratio[1] - window.y0,
                rx=view.ratio[0],
                ry=view.ratio[1],
                interpolation=self.interpolation,
                mask=source_mask,
                out_mask=out_mask,
                nodata=nodata,
            )
        else:
            nodes -= (window.x0, window.y0)
            warp(
                pixels,
                nodes,
                step,
                out,
                interpolation=self.interpolation,
                ratio=ratio,
                mask=source_mask,
                out_mask=out_mask,
                nodata=nodata,
            )
        return state

    def _draw_parts(self, view: _PackView, px: int, py: int, out: Pixels, mask: Mask, scratch: Scratch) -> int:
        rows, cols = mask.shape
        half_rows, half_cols = max(1, rows // 2), max(1, cols // 2)
        parts = []
        for top in {0, half_rows} - {rows}:
            for left in {0, half_cols} - {cols}:
                part = np.s_[top : half_rows if top == 0 else rows, left : half_cols if left == 0 else cols]
                parts.append((part, self._draw(view, px + left, py + top, out[part], mask[part], scratch)))
        states = {state for _, state in parts}
        if len(states) == 1:
            return states.pop()
        for part, state in parts:
            if state != MIXED:
                mask[part] = 255 if state == FULL else 0
        return MIXED

    def _read(self, view: _PackView, window: _Window, scratch: Scratch) -> tuple[Pixels | None, Any]:
        """Pixels and mask (None = all data) of a window; (None, None) when no pixel is data."""
        shape = (window.y1 - window.y0, window.x1 - window.x0, self.pixel.channels)
        pixels = scratch.array("window", shape, self.pixel.dtype)
        mask = scratch.array("window_mask", shape[:2], "uint8")
        state = view.pack.read(window.x0, window.y0, window.x1, window.y1, pixels, mask)
        if state == EMPTY:
            return None, None
        return pixels, None if state == FULL else mask

    def _straight_window(self, view: _PackView, px: int, py: int, rows: int, cols: int) -> _Window | None:
        """Window of a part of a block when pixel axes are parallel; None when it misses the pack."""
        spans, inside = [], True
        for axis, first, count, length in ((0, px, cols, view.pack.width), (1, py, rows, view.pack.height)):
            start = view.start[axis] + first * view.ratio[axis]
            last = start + (count - 1) * view.ratio[axis]
            inside &= start >= 0 and last <= length - 1
            if view.copies:
                begin, end = round(start), round(start) + count
            else:
                begin = math.floor(start) - view.margin[axis]
                end = math.ceil(last) + view.margin[axis] + 1
            if end <= 0 or begin >= length:
                return None
            spans.append((begin, end) if view.copies else (max(begin, -EDGE), min(end, length + EDGE)))
        return _Window(spans[0][0], spans[1][0], spans[0][1], spans[1][1], inside)

    def _curved_window(
        self, view: _PackView, nodes: NDArray[np.float64], step: int
    ) -> tuple[_Window | None, tuple[float, float]]:
        """Window of a part of a block under reprojection, and the source pixels per level pixel along source x and y:
        lengths of the gradient of each coordinate, median of the cells, so that a rotation does not change it."""
        facts = node_facts(nodes, step)
        if facts is None:
            return None, (1.0, 1.0)
        whole, low, high, (across, down) = facts
        ratio = _snapped(across), _snapped(down)
        margin = [math.ceil(view.half * max(1.0, r)) + 2 for r in ratio]
        x0, y0 = math.floor(low[0]) - margin[0], math.floor(low[1]) - margin[1]
        x1, y1 = math.ceil(high[0]) + margin[0] + 1, math.ceil(high[1]) + margin[1] + 1
        if x1 <= 0 or y1 <= 0 or x0 >= view.pack.width or y0 >= view.pack.height:
            return None, ratio
        width, height = view.pack.width, view.pack.height
        inside = bool(whole and low[0] >= 0 and low[1] >= 0 and high[0] <= width - 1 and high[1] <= height - 1)
        return _Window(max(x0, -EDGE), max(y0, -EDGE), min(x1, width + EDGE), min(y1, height + EDGE), inside), ratio


def _halvings(pack: Pack, matrix: TileMatrix, to_level: Transform) -> int:
    """Halvings of a pack after which a level pixel covers at most 16 of its pixels across; 0 when it does anyway."""
    if to_level.is_identity:
        pixel = min(pack.transform.resolution)
    else:
        pixel = math.sqrt(mean_pixel_area(pack.transform, pack.width, pack.height, to_level))
    ratio = matrix.cell_size / pixel
    return math.ceil(math.log2(ratio / PREFILTER_RATIO)) if ratio > PREFILTER_RATIO else 0


def _snapped(ratio: float) -> float:
    """A ratio barely above 1 as 1: widening the kernel by less than a twentieth costs half as many taps again."""
    return 1.0 if 1.0 < ratio < 1.05 else ratio
