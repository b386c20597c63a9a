"""The task graph of a build that many processes share: a plan cut into *parts*.

The blocks made from the sources are grouped into square cells of whole slabs, these cells into larger ones, and so on
up to one root for each level made from the sources. A cell is a part, a task. Every block has a *home*: the smallest
cell that holds all blocks it is made from. A slab is written by the smallest cell that holds all its blocks; where
that is not the home of a block, its encoded tiles travel, and where a block and one that it is made from have different
homes, reduced pixels do. So a part needs nothing but what the cells inside of it have left, in any tile matrix set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..engine.written import SlabKey
from ..planning import AxisLinks, Coverage, Plan

__all__ = ["GROUPING", "BlockKey", "Part", "Parts", "slabs_along"]

BlockKey = tuple[int, int, int]
"""Level position (finest 0), column and row of a block."""

GROUPING = 4
"""Cells along a side of the cell that holds them: sixteen results, a few megabytes each, are brought together."""
_ROOT = 1 << 40
"""Blocks along a side of a root: more than any level has."""
_FEW_SLABS, _MANY_SLABS = 256, 16384


class Part(NamedTuple):
    """A task: position of the level made from the sources, tier (0: made from the sources), cell of that tier."""

    family: int
    tier: int
    column: int
    row: int

    @property
    def name(self) -> str:
        """As files are called: ``0.1.12.7``."""
        return ".".join(map(str, self))

    @classmethod
    def of(cls, name: str) -> Part:
        """The part of a name. Raises ValueError."""
        family, tier, column, row = (int(word) for word in name.split("."))
        return cls(family, tier, column, row)


class _Axis(NamedTuple):
    """One axis of a level: for each block from ``start`` on, the first and last block of the family's level that it is
    made from."""

    start: int
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    def span(self, first: int, stop: int) -> tuple[int, int]:
        """The same for a range of blocks, cut to those there are."""
        begin, end = max(first - self.start, 0), min(stop - self.start, len(self.low))
        return int(self.low[begin]), int(self.high[end - 1])


def slabs_along(slabs: int, most: int) -> int:
    """Slabs along a side of the smallest cells of a level of so many slabs, at most ``most``.

    It depends on nothing but the plan, so that an interrupted build can be gone on with by more or fewer workers.
    """
    return min(most, 1 if slabs < _FEW_SLABS else 2 if slabs < _MANY_SLABS else 4)


class Parts:
    """The parts of a plan. ``most_slabs``: slabs along a side of the smallest cells, at most. Read-only."""

    def __init__(self, plan: Plan, most_slabs: int = 4) -> None:
        self._plan = plan
        self._across, self._down = plan.options.width // plan.block, plan.options.height // plan.block
        self._family: list[int] = []
        self._axes: list[tuple[_Axis, _Axis]] = []
        self._sizes: dict[int, list[tuple[int, int]]] = {}
        self._cells: dict[int, list[Coverage]] = {}
        links = {link.target: (at, link) for at in range(len(plan.levels)) for link in plan.links_of(at)}
        for index, level in enumerate(plan.levels):
            box, (height, width) = level.blocks, level.blocks.cells.shape
            if index in links:
                source, link = links[index]
                self._family.append(self._family[source])
                before = self._axes[source]
                self._axes.append(
                    (
                        _derived(before[0], link.columns, box.column, width),
                        _derived(before[1], link.rows, box.row, height),
                    )
                )
                continue
            self._family.append(index)
            columns, rows = np.arange(box.column, box.column + width), np.arange(box.row, box.row + height)
            self._axes.append((_Axis(box.column, columns, columns), _Axis(box.row, rows, rows)))
            self._divide(index, most_slabs)

    def _divide(self, family: int, most_slabs: int) -> None:
        slabs = self._plan.levels[family].blocks.grouped(self._across, self._down)
        side = slabs_along(len(slabs), most_slabs)
        sizes, cells = [(self._across * side, self._down * side)], [slabs.grouped(side, side)]
        while len(cells[-1]) > GROUPING * GROUPING:
            sizes.append((sizes[-1][0] * GROUPING, sizes[-1][1] * GROUPING))
            cells.append(cells[-1].grouped(GROUPING, GROUPING))
        root = slabs.grouped(_ROOT, _ROOT)
        if len(cells[-1]) > 1:
            sizes.append((_ROOT, _ROOT))
            cells.append(root)
        else:  # a single cell is the root, whatever of it is not there
            sizes[-1], cells[-1] = (_ROOT, _ROOT), root
        self._sizes[family], self._cells[family] = sizes, cells

    def __iter__(self) -> Iterator[Part]:
        """All parts, each after those inside of it."""
        for family, tiers in self._cells.items():
            for tier, cells in enumerate(tiers):
                for column, row in cells.in_order(GROUPING, GROUPING):
                    yield Part(family, tier, column, row)

    def __len__(self) -> int:
        return sum(len(cells) for tiers in self._cells.values() for cells in tiers)

    def __contains__(self, part: Part) -> bool:
        tiers = self._cells.get(part.family, [])
        return 0 <= part.tier < len(tiers) and (part.column, part.row) in tiers[part.tier]

    def parent(self, part: Part) -> Part | None:
        """The next larger cell; None for a root."""
        sizes = self._sizes[part.family]
        if part.tier + 1 == len(sizes):
            return None
        (width, height), (outer, taller) = sizes[part.tier : part.tier + 2]
        return Part(part.family, part.tier + 1, part.column * width // outer, part.row * height // taller)

    def home(self, block: BlockKey) -> Part:
        """The part that makes a planned block."""
        index, column, row = block
        return self._holding(index, (column, column + 1), (row, row + 1))

    def slab_home(self, slab: SlabKey) -> Part:
        """The part that writes a slab with planned blocks."""
        index, column, row = slab
        across, down = self._across, self._down
        return self._holding(index, (column * across, column * across + across), (row * down, row * down + down))

    def slab_of(self, block: BlockKey) -> SlabKey:
        """The slab that holds a block."""
        return block[0], block[1] // self._across, block[2] // self._down

    def _holding(self, index: int, columns: tuple[int, int], rows: tuple[int, int]) -> Part:
        """The smallest cell that holds all that a rectangle of blocks is made from."""
        family = self._family[index]
        left, right = self._axes[index][0].span(*columns)
        top, bottom = self._axes[index][1].span(*rows)
        for tier, (width, height) in enumerate(self._sizes[family]):
            column, row = left // width, top // height
            if right // width == column and bottom // height == row:
                return Part(family, tier, column, row)
        raise AssertionError("a root holds everything")

    def tiers(self, family: int) -> list[Coverage]:
        """The cells of each tier of a level made from the sources."""
        return self._cells[family]

    def family(self, level: int) -> int:
        """The level made from the sources that a level is made from in the end."""
        return self._family[level]

    def homes(self, level: int, width: int = 1, height: int = 1) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Tier, column and row of the home of every group of ``width`` x ``height`` blocks (slabs, or blocks) in the
        rectangle of a level's planned blocks. Arrays (rows, columns) of groups."""
        sizes = self._sizes[self._family[level]]
        tiers, cells = [], []
        for axis, group, which in zip(self._axes[level], (width, height), (0, 1), strict=True):
            starts = np.arange(axis.start // group * group, axis.start + len(axis.low), group)
            first = np.maximum(starts - axis.start, 0)
            last = np.minimum(starts + group - axis.start, len(axis.low)) - 1
            low, high = axis.low[first], axis.high[last]
            lengths = np.array([size[which] for size in sizes])[:, None]
            cells.append(low // lengths)
            tiers.append(np.argmax(low // lengths == high // lengths, axis=0))
        tier = np.maximum(tiers[0][None, :], tiers[1][:, None])
        columns = np.arange(tier.shape[1])[None, :]
        return tier, cells[0][tier, columns], cells[1][tier, np.arange(tier.shape[0])[:, None]]

    def made(self, part: Part) -> Coverage | None:
        """The blocks that a part makes from the sources; None when it makes none."""
        if part.tier:
            return None
        width, height = self._sizes[part.family][0]
        blocks = self._plan.levels[part.family].blocks
        left, top = max(part.column * width - blocks.column, 0), max(part.row * height - blocks.row, 0)
        right, bottom = (part.column + 1) * width - blocks.column, (part.row + 1) * height - blocks.row
        return Coverage(blocks.column + left, blocks.row + top, blocks.cells[top:bottom, left:right])

    def source_blocks(self, part: Part) -> Iterator[BlockKey]:
        """The same one by one, in the order of work."""
        made = self.made(part)
        if made is not None:
            mosaic = self._plan.levels[part.family].mosaic
            assert mosaic is not None  # a family's level is made from the sources
            bands = self._plan.mosaics[mosaic].band_row_bytes > 0
            for column, row in made.in_order(self._across, self._down, by_rows=bands):
                yield part.family, column, row


def _derived(source: _Axis, links: AxisLinks, start: int, count: int) -> _Axis:
    """The axis of a level made from another one."""
    spans = [source.span(hit.start, hit.stop) for hit in (links.sources(cell) for cell in range(start, start + count))]
    low, high = np.array(spans, np.int64).reshape(-1, 2).T
    return _Axis(start, low, high)
