"""Which slabs depend on which: the blocks of a slab, and the blocks and slabs above that receive something of it."""

from __future__ import annotations

from collections.abc import Iterator

from ..plan import Link, Plan
from .written import SlabKey

__all__ = ["Kinship"]


class Kinship:
    """Slabs of a plan and their parents."""

    def __init__(self, plan: Plan) -> None:
        self._levels = plan.levels
        self._links = [plan.links_of(index) for index in range(len(plan.levels))]
        self._across, self._down = plan.options.width // plan.block, plan.options.height // plan.block

    def slab_of(self, level: int, column: int, row: int) -> SlabKey:
        """The slab that holds a block."""
        return level, column // self._across, row // self._down

    def block_count(self, slab: SlabKey) -> int:
        """Planned blocks of a slab."""
        return self._levels[slab[0]].blocks.count(*self._blocks(slab))

    def is_planned(self, slab: SlabKey) -> bool:
        """Whether a slab is one of the plan's."""
        return 0 <= slab[0] < len(self._levels) and self.block_count(slab) > 0

    def slab_count(self) -> int:
        """Slabs with planned blocks, over all levels."""
        return sum(len(level.blocks.grouped(self._across, self._down)) for level in self._levels)

    def reached(self, slab: SlabKey) -> Iterator[tuple[Link, int, int, int]]:
        """Every planned block above that blocks of a slab reach: link, column, row, number of those blocks."""
        cells = self._levels[slab[0]].blocks
        columns, rows = self._blocks(slab)
        if not columns or not rows:
            return
        for link in self._links[slab[0]]:
            above = self._levels[link.target].blocks
            for row in range(link.rows.targets(rows[0]).start, link.rows.targets(rows[-1]).stop):
                own_rows = _common(link.rows.sources(row), rows)
                for column in range(link.columns.targets(columns[0]).start, link.columns.targets(columns[-1]).stop):
                    if not above.count(range(column, column + 1), range(row, row + 1)):
                        continue
                    count = cells.count(_common(link.columns.sources(column), columns), own_rows)
                    if count:
                        yield link, column, row, count

    def parents(self, slab: SlabKey) -> set[SlabKey]:
        """Slabs above that receive something of a slab."""
        return {self.slab_of(link.target, column, row) for link, column, row, _ in self.reached(slab)}

    def _blocks(self, slab: SlabKey) -> tuple[range, range]:
        """Columns and rows of the blocks of a slab, within the planned rectangle of its level."""
        level, column, row = slab
        cells = self._levels[level].blocks
        height, width = cells.cells.shape
        return (
            _common(range(column * self._across, (column + 1) * self._across), range(cells.column, cells.column + width)),
            _common(range(row * self._down, (row + 1) * self._down), range(cells.row, cells.row + height)),
        )  # fmt: skip


def _common(first: range, second: range) -> range:
    """Overlap of two ranges of step 1, empty where there is none."""
    start = max(first.start, second.start)
    return range(start, max(start, min(first.stop, second.stop)))
