"""Which slabs depend on which.

Every block has a *home*: a slab whose journal entry answers for it. A block made from the sources, or from blocks of
several homes, is at home in its own slab; one made from blocks of a single home is at home there. So most blocks of
the levels above a slab are finished together with it, and only at the borders pixels have to be kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ..planning import Link, Plan
from .written import SlabKey

__all__ = ["BlockKey", "Kinship"]

BlockKey = tuple[int, int, int]
"""Level position (finest 0), column and row of a block."""

_MOST_HOMES = 1 << 16
"""Blocks whose homes are remembered."""


class Kinship:
    """Blocks and slabs of a plan and their relations. Safe for many threads."""

    def __init__(self, plan: Plan) -> None:
        self._levels = plan.levels
        self._links = [plan.links_of(index) for index in range(len(plan.levels))]
        self._source: dict[int, tuple[int, Link]] = {
            link.target: (index, link) for index, links in enumerate(self._links) for link in links
        }
        self._across, self._down = plan.options.width // plan.block, plan.options.height // plan.block
        self._homes: dict[BlockKey, SlabKey] = {}

    def slab_of(self, block: BlockKey) -> SlabKey:
        """The slab that holds a block."""
        return block[0], block[1] // self._across, block[2] // self._down

    def block_count(self, slab: SlabKey) -> int:
        """Planned blocks of a slab."""
        return self._levels[slab[0]].blocks.count(*self._rectangle(slab))

    def is_planned(self, slab: SlabKey) -> bool:
        """Whether a slab is one of the plan's."""
        return 0 <= slab[0] < len(self._levels) and self.block_count(slab) > 0

    def slab_count(self) -> int:
        """Slabs with planned blocks, over all levels."""
        return sum(len(level.blocks.grouped(self._across, self._down)) for level in self._levels)

    def home(self, block: BlockKey) -> SlabKey:
        """The home of a planned block."""
        found = self._homes.get(block)
        if found is None:
            homes = {self.home(child) for child in self._children(block)}
            found = homes.pop() if len(homes) == 1 else self.slab_of(block)
            if len(self._homes) >= _MOST_HOMES:
                self._homes.clear()
            self._homes[block] = found
        return found

    def at_home(self, slab: SlabKey) -> list[BlockKey]:
        """All blocks whose home is a slab, its own first."""
        columns, rows = self._rectangle(slab)
        own = ((slab[0], column, row) for row in rows for column in columns)
        found = [block for block in own if self._is_planned(*block) and self.home(block) == slab]
        seen = set(found)
        for block in found:  # grows while we go
            for target in self._targets(block):
                if target not in seen and self.home(target) == slab:
                    seen.add(target)
                    found.append(target)
        return found

    def reached(self, blocks: Iterable[BlockKey], slab: SlabKey) -> Counter[BlockKey]:
        """Blocks of other homes that ``blocks``, at home in ``slab``, give pixels to; by how many of these."""
        return Counter(target for block in blocks for target in self._targets(block) if self.home(target) != slab)

    def parents(self, slab: SlabKey) -> set[SlabKey]:
        """Other slabs that need what is kept of a slab: tiles or pixels."""
        blocks = self.at_home(slab)
        needing = {self.slab_of(block) for block in blocks} | {self.slab_of(b) for b in self.reached(blocks, slab)}
        return needing - {slab}

    def _children(self, block: BlockKey) -> Iterator[BlockKey]:
        """Planned blocks that a block is made from, none for one made from the sources."""
        if block[0] not in self._source:
            return
        level, link = self._source[block[0]]
        for row in link.rows.sources(block[2]):
            for column in link.columns.sources(block[1]):
                if self._is_planned(level, column, row):
                    yield level, column, row

    def _targets(self, block: BlockKey) -> Iterator[BlockKey]:
        """Planned blocks that a block gives pixels to."""
        for link in self._links[block[0]]:
            for row in link.rows.targets(block[2]):
                for column in link.columns.targets(block[1]):
                    if self._is_planned(link.target, column, row):
                        yield link.target, column, row

    def _is_planned(self, level: int, column: int, row: int) -> bool:
        return (column, row) in self._levels[level].blocks

    def _rectangle(self, slab: SlabKey) -> tuple[range, range]:
        """Columns and rows of the blocks of a slab, within the planned rectangle of its level."""
        level, column, row = slab
        cells = self._levels[level].blocks
        height, width = cells.cells.shape
        columns = range(column * self._across, (column + 1) * self._across)
        rows = range(row * self._down, (row + 1) * self._down)
        return (
            _common(columns, range(cells.column, cells.column + width)),
            _common(rows, range(cells.row, cells.row + height)),
        )


def _common(first: range, second: range) -> range:
    """Overlap of two ranges of step 1, empty where there is none."""
    start = max(first.start, second.start)
    return range(start, max(start, min(first.stop, second.stop)))
