"""How much work each part of a plan is, in blocks, slabs and bytes: of tens of thousands of parts at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..planning import Plan
from .parts import Part, Parts

__all__ = ["Workload", "workload_of"]

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Workload:
    """Per part, in the order of ``Parts``: its outer part (-1: a root), its tier, blocks made from the sources and from
    blocks, slabs written (without masks), and what it leaves: blocks as encoded tiles, and pixels."""

    outer: NDArray[np.int64]
    tier: NDArray[np.int64]
    made: Counts
    derived: Counts
    slabs: Counts
    tile_blocks: Counts
    pixels: Counts

    def __len__(self) -> int:
        return len(self.outer)


class _Index:
    """Positions of the parts of one family, by arrays of tiers and cells."""

    def __init__(self, parts: Parts, family: int, numbers: dict[Part, int]) -> None:
        self._grids: list[tuple[int, int, NDArray[np.int64]]] = []
        for tier, cells in enumerate(parts.tiers(family)):
            grid = np.full(cells.cells.shape, -1, np.int64)
            for row, column in np.argwhere(cells.cells).tolist():
                grid[row, column] = numbers[Part(family, tier, column + cells.column, row + cells.row)]
            self._grids.append((cells.column, cells.row, grid))

    def of(self, tier: NDArray[Any], columns: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.int64]:
        found = np.full(tier.shape, -1, np.int64)
        for number, (left, top, grid) in enumerate(self._grids):
            here = tier == number
            y, x = rows[here] - top, columns[here] - left
            inside = (y >= 0) & (y < grid.shape[0]) & (x >= 0) & (x < grid.shape[1])
            values = np.full(len(y), -1, np.int64)
            values[inside] = grid[y[inside], x[inside]]
            found[here] = values
        return found


def workload_of(plan: Plan, parts: Parts) -> Workload:
    """The workload of a plan. A block that gives to several blocks counts for the first of them."""
    order = list(parts)
    numbers = {part: at for at, part in enumerate(order)}
    outer = [parts.parent(part) for part in order]
    count = len(order)
    made, derived, slabs, tile_blocks, pixels = (np.zeros(count) for _ in range(5))
    indexes = {family: _Index(parts, family, numbers) for family in {part.family for part in order}}
    across, down = plan.options.width // plan.block, plan.options.height // plan.block
    homes = []
    for level, one in enumerate(plan.levels):
        index, planned = indexes[parts.family(level)], one.blocks.cells
        home = np.where(planned, index.of(*parts.homes(level)), -1)
        homes.append(home)
        target = made if one.mosaic is not None else derived
        target += np.bincount(home[home >= 0], minlength=count)
        slab_home = index.of(*parts.homes(level, across, down))
        rows = (np.arange(planned.shape[0]) + one.blocks.row) // down - one.blocks.row // down
        columns = (np.arange(planned.shape[1]) + one.blocks.column) // across - one.blocks.column // across
        mine = slab_home[rows[:, None], columns[None, :]]
        leaving = home[(home >= 0) & (mine != home)]
        tile_blocks += np.bincount(leaving, minlength=count)
        number = (rows[:, None] * slab_home.shape[1] + columns[None, :])[planned]
        filled = slab_home.ravel()[np.bincount(number, minlength=slab_home.size) > 0]
        slabs += np.bincount(filled, minlength=count)
    matrix = plan.levels[0].matrix
    block_pixels = plan.block**2 * matrix.tile_width * matrix.tile_height
    for level, one in enumerate(plan.levels):
        for link in plan.links_of(level):
            above = plan.levels[link.target].blocks
            x = np.array([link.columns.targets(one.blocks.column + i).start for i in range(one.blocks.cells.shape[1])])
            y = np.array([link.rows.targets(one.blocks.row + i).start for i in range(one.blocks.cells.shape[0])])
            x = np.clip(x - above.column, 0, above.cells.shape[1] - 1)
            y = np.clip(y - above.row, 0, above.cells.shape[0] - 1)
            targets, home = homes[link.target][y[:, None], x[None, :]], homes[level]
            given = home[(home >= 0) & (targets >= 0) & (targets != home)]
            pixels += np.bincount(given, minlength=count) * (block_pixels / link.columns.ratio**2)
    outers = np.array([-1 if part is None else numbers[part] for part in outer], np.int64)
    return Workload(outers, np.array([p.tier for p in order]), made, derived, slabs, tile_blocks, pixels)
