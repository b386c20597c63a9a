"""Windows and the rectangles that meet them, against a look at every one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpyr import _native
from fastpyr.source.rects import RectIndex

PLACES, SIDES = st.integers(-50, 50), st.integers(1, 40)


@given(
    st.lists(st.tuples(PLACES, PLACES, SIDES, SIDES), min_size=1, max_size=30), st.tuples(PLACES, PLACES, SIDES, SIDES)
)
def test_all_that_meet(rects, window):
    corners = [(x, y, x + width, y + height) for x, y, width, height in rects]
    x, y, width, height = window
    expected = [
        n for n, (x0, y0, x1, y1) in enumerate(corners) if x0 < x + width and x < x1 and y0 < y + height and y < y1
    ]
    assert RectIndex(np.array(corners, np.int64)).query(x, y, x + width, y + height) == expected


def test_tables_that_do_not_fit():
    with pytest.raises(ValueError, match="4 numbers"):
        _native.rects_meeting(np.zeros((2, 4), np.int64), np.zeros(3, np.int64), 1, 0, 0, 1, 1)
