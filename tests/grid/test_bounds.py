from hypothesis import given
from hypothesis import strategies as st

from fastpyr.grid import BoundingBox, TileLimits

numbers = st.floats(-1e6, 1e6)


@st.composite
def boxes(draw):
    left, bottom = draw(numbers), draw(numbers)
    return BoundingBox(left, bottom, left + draw(st.floats(0.01, 1e6)), bottom + draw(st.floats(0.01, 1e6)))


def test_sizes_and_validity():
    box = BoundingBox(1, 2, 4, 10)
    assert (box.width, box.height) == (3, 8)
    assert box.is_valid
    assert not BoundingBox(4, 2, 1, 10).is_valid
    assert not BoundingBox(1, 2, 1, 10).is_valid
    assert not BoundingBox(1, 2, float("nan"), 10).is_finite
    assert not BoundingBox(1, 2, float("inf"), 10).is_valid


def test_boxes_that_share_an_edge_do_not_intersect():
    box = BoundingBox(0, 0, 1, 1)
    for other in (BoundingBox(1, 0, 2, 1), BoundingBox(0, 1, 1, 2), BoundingBox(-1, 0, 0, 1), BoundingBox(0, -1, 1, 0)):
        assert not box.intersects(other)
        assert box.intersection(other) is None
    assert box.intersection(BoundingBox(0.5, -1, 2, 0.5)) == (0.5, 0, 1, 0.5)


@given(boxes(), boxes())
def test_union_holds_both_and_intersection_is_in_both(a, b):
    both = a.union(b)
    for box in (a, b):
        assert both.intersection(box) == box
    common = a.intersection(b)
    assert (common is None) == (not a.intersects(b)) == (not b.intersects(a))
    if common is not None:
        assert common.is_valid
        assert a.union(common) == a
        assert b.union(common) == b


def test_tile_limits():
    limits = TileLimits(min_row=2, max_row=4, min_col=10, max_col=10)
    assert (limits.columns, limits.rows, limits.count) == (1, 3, 3)
    assert limits.contains(col=10, row=2)
    assert limits.contains(col=10, row=4)
    assert not limits.contains(col=10, row=5)
    assert not limits.contains(col=2, row=10)
    assert limits.union(TileLimits(0, 0, 11, 12)) == TileLimits(0, 4, 10, 12)
    assert limits.intersection(TileLimits(4, 9, 0, 20)) == TileLimits(4, 4, 10, 10)
    assert limits.intersection(TileLimits(5, 9, 0, 20)) is None
