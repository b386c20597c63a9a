"""What a block says about its pixels is what a plane would say."""

from threading import Lock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpyr.engine.block import EMPTY, FULL, MIXED, Block, BlockPool
from fastpyr.kernels import mask_states

SIDE, TILE = 32, 8


def rubbish(pool):
    """Planes full of what was there before."""
    for value in (255, 7):
        pool.give_mask(np.full((SIDE, SIDE), value, np.uint8))


@given(
    st.lists(st.sampled_from(["full", "mixed", "empty", "absent"]), min_size=4, max_size=4),
    st.permutations(range(4)),
    st.integers(0, 99),
)
def test_states_equal_planes(kinds, order, seed):
    pool, lock, rng = BlockPool(SIDE, SIDE, 3, "uint8"), Lock(), np.random.default_rng(seed)
    rubbish(pool)
    block = Block(pool.take(), np.zeros((4, 4), np.bool_))
    plane, half = np.zeros((SIDE, SIDE), np.uint8), SIDE // 2
    for quarter in order:
        y, x = quarter // 2 * half, quarter % 2 * half
        area = slice(y, y + half), slice(x, x + half)
        if kinds[quarter] == "absent":
            continue
        values = {"full": 255, "empty": 0}.get(kinds[quarter], rng.integers(0, 2, (half, half)) * 255)
        plane[area] = values
        given_part = block.give(area, lock, pool, full=kinds[quarter] == "full")
        assert (given_part is None) == (kinds[quarter] == "full")
        if given_part is not None:
            given_part[...] = values
    states = block.states(TILE, TILE, pool)
    np.testing.assert_array_equal(states, mask_states(plane, TILE, TILE))
    if block.mask is not None:
        np.testing.assert_array_equal(block.mask, plane)
    else:
        assert set(states.ravel().tolist()) in ({EMPTY}, {FULL})
    pool.give(block)


@given(st.lists(st.tuples(*[st.integers(0, SIDE - 1)] * 4), min_size=1, max_size=3), st.integers(0, 99))
def test_states_of_a_block_given_in_parts(corners, seed):
    """Parts of any place and size; what lies beyond them may be anything in memory that is used again."""
    pool, lock, rng = BlockPool(SIDE, SIDE, 3, "uint8"), Lock(), np.random.default_rng(seed)
    rubbish(pool)
    block, plane = Block(pool.take(), np.zeros((4, 4), np.bool_)), np.zeros((SIDE, SIDE), np.uint8)
    for y0, y1, x0, x1 in corners:
        area = slice(min(y0, y1), max(y0, y1) + 1), slice(min(x0, x1), max(x0, x1) + 1)
        values = rng.integers(0, 2, plane[area].shape) * 255
        plane[area] = values
        part = block.give(area, lock, pool, full=False)
        assert part is not None
        part[...] = values
    np.testing.assert_array_equal(block.states(TILE, TILE, pool), mask_states(plane, TILE, TILE))


@pytest.mark.parametrize("state", [EMPTY, MIXED, FULL])
def test_a_block_from_the_sources(state):
    pool = BlockPool(SIDE, SIDE, 1, "float32")
    block = Block(pool.take(), np.zeros((4, 4), np.bool_))
    if state == FULL:
        block.whole.append(block.all_of_it)
    if state == MIXED:
        block.mask = pool.take_mask()
        block.mask[...] = 0
        block.mask[3, 3] = 255
    expected = np.full((4, 4), FULL if state == FULL else EMPTY)
    expected[0, 0] = state
    np.testing.assert_array_equal(block.states(TILE, TILE, pool), expected)


def test_memory_is_used_again():
    pool = BlockPool(SIDE, SIDE, 1, "uint8")
    block = Block(pool.take(), np.zeros((4, 4), np.bool_))
    block.mask = pool.take_mask()
    pixels, mask = block.pixels, block.mask
    pool.give(block)
    assert pool.take() is pixels
    assert pool.take_mask() is mask
