"""Blocks: which, in which order, and how derived levels meet their sources."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpyr.grid import TileLimits
from fastpyr.planning import AxisLinks, Coverage, block_side, morton_order


@pytest.mark.parametrize(
    ("width", "height", "side"), [(16, 16, 4), (2, 2, 2), (10, 10, 2), (3, 16, 1), (1, 1, 1), (12, 8, 4), (6, 4, 2)]
)
def test_block_side_divides_both_sides(width, height, side):
    assert block_side(width, height) == side


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)), min_size=1, max_size=30))
def test_morton_order_sorts_by_interleaved_bits(cells):
    def interleaved(cell):
        return sum(((cell[0] >> b & 1) << 2 * b) | ((cell[1] >> b & 1) << 2 * b + 1) for b in range(31))

    columns, rows = np.array(cells).T
    found = [cells[i] for i in morton_order(columns, rows)]
    assert [interleaved(c) for c in found] == sorted(interleaved(c) for c in cells)


ranges = st.builds(
    lambda r, c, h, w: TileLimits(r, r + h, c, c + w),
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(0, 12),
    st.integers(0, 12),
)


def cells_of(boxes):
    return {(c, r) for b in boxes for r in range(b.min_row, b.max_row + 1) for c in range(b.min_col, b.max_col + 1)}


@given(st.lists(ranges, min_size=1, max_size=4), st.integers(1, 5), st.integers(1, 5), st.booleans())
def test_in_order_yields_every_cell_once_group_by_group(boxes, width, height, by_rows):
    coverage = Coverage.of_ranges(boxes)
    cells = list(coverage.in_order(width, height, by_rows=by_rows))
    assert len(coverage) == len(cells)
    assert len(cells) == len(set(cells))
    assert set(cells) == cells_of(boxes)
    groups = [(c // width, r // height) for c, r in cells]
    changes = sum(a != b for a, b in itertools.pairwise(groups))
    assert changes == len(set(groups)) - 1  # a group is never left and entered again
    grouped = coverage.grouped(width, height)
    assert len(grouped) == len(set(groups))
    if by_rows:
        assert [row for _, row in groups] == sorted(row for _, row in groups)
        for row, line in itertools.groupby(groups, key=lambda group: group[1]):
            columns = [column for column, _ in line]
            assert columns == sorted(columns, reverse=bool(row % 2))


@given(st.lists(ranges, min_size=1, max_size=3), ranges)
def test_count_counts_cells_of_a_rectangle(boxes, window):
    coverage = Coverage.of_ranges(boxes)
    columns = range(window.min_col, window.max_col + 1)
    rows = range(window.min_row, window.max_row + 1)
    assert coverage.count(columns, rows) == len(cells_of(boxes) & cells_of([window]))


axis_links = st.one_of(
    st.builds(AxisLinks, st.just(2), st.just(0), st.sampled_from([2, 4, 16]), st.just(True)),
    st.builds(AxisLinks, st.integers(2, 7), st.just(0), st.sampled_from([8, 16, 20]), st.just(False)),
)


@given(axis_links, st.integers(0, 40))
def test_links_of_one_axis_agree_with_their_definition(links, cell):
    """Every target pixel takes its source pixels from cells that know about it, exactly once."""
    first = cell * links.size
    reached = set()
    for target in range(first, first + links.size):
        source = links.ratio * target + links.offset
        source_cell = source // links.size
        assert cell in links.targets(source_cell)
        assert source_cell in links.sources(cell)
        begin, at, count = links.picks(source_cell, cell)
        inside = target - first
        assert at <= inside < at + count
        assert begin + (inside - at) * links.ratio + source_cell * links.size == source
        reached.add(source_cell)
    assert sum(links.picks(c, cell)[2] for c in links.sources(cell)) == links.size
    for source_cell in links.sources(cell):
        assert cell in links.targets(source_cell)


@given(st.lists(ranges, min_size=1, max_size=3), axis_links)
def test_coarser_is_the_union_of_targets(boxes, links):
    coverage = Coverage.of_ranges(boxes)
    coarse = coverage.coarser(links, links)
    expected = {(x, y) for c, r in cells_of(boxes) for x in links.targets(c) for y in links.targets(r)}
    found = {(c, r) for c, r in coarse.in_order(1, 1)} if coarse.row >= 0 and coarse.column >= 0 else expected
    assert found == expected
    clipped = coarse.clipped(3, 2)
    assert len(clipped) == len({(x, y) for x, y in expected if 0 <= x < 3 and 0 <= y < 2})
