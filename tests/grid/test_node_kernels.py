"""The native judgement of reprojection grids against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpyr import _native

SIDES = st.integers(1, 9)


def grid(seed, rows, cols, holes):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :cols]
    nodes = np.stack((x * 31.7 + y * 2.1, y * 30.3 - x * 1.3), -1) + rng.normal(0, 3, (rows, cols, 2))
    nodes[rng.random((rows, cols)) < holes] = np.inf
    return nodes


@given(st.integers(0, 999), SIDES, SIDES, st.sampled_from([0, 0, 0.2, 0.7, 1]), st.sampled_from([1.0, 16.0]))
def test_facts(seed, rows, cols, holes, step):
    nodes = grid(seed, rows, cols, holes)
    found = _native.node_facts(nodes, step)
    finite = np.isfinite(nodes).all(axis=2)
    if not finite.any():
        assert found is None
        return
    whole, low, high, ratio = found
    assert whole == finite.all()
    assert low == tuple(nodes[finite].min(axis=0))
    assert high == tuple(nodes[finite].max(axis=0))
    with np.errstate(invalid="ignore"):
        lengths = np.hypot((nodes[:-1, 1:] - nodes[:-1, :-1]) / step, (nodes[1:, :-1] - nodes[:-1, :-1]) / step)
    usable = lengths[np.isfinite(lengths).all(axis=2)]
    assert ratio == (tuple(np.median(usable, axis=0)) if usable.size else (1.0, 1.0))


@given(st.integers(0, 999), st.integers(2, 6), st.integers(2, 6), st.sampled_from([0, 0.1]), st.booleans())
def test_error(seed, rows, cols, holes, limited):
    step, rng = 8, np.random.default_rng(seed)
    nodes = grid(seed, rows, cols, holes)
    ys = np.unique(rng.integers(0, (rows - 1) * step, 7)).astype(float)
    xs = np.unique(rng.integers(0, (cols - 1) * step, 7)).astype(float)
    i, j = (ys // step).astype(int), (xs // step).astype(int)
    v, u = (ys / step - i)[:, None, None], (xs / step - j)[None, :, None]
    with np.errstate(invalid="ignore"):
        lines = nodes[i] * (1 - v) + nodes[i + 1] * v
        found = lines[:, j] * (1 - u) + lines[:, j + 1] * u
    exact = found + rng.normal(0, 0.01, found.shape)
    exact[rng.random(exact.shape[:2]) < holes / 4] = np.inf
    size = (40, 35) if limited else None
    near = [((p > -5) & (p < np.array(size or (0, 0)) + 5)).all(axis=2) for p in (found, exact)]
    counted = near[0] | near[1] if limited else np.ones(found.shape[:2], bool)
    known, exists = np.isfinite(found).all(axis=2), np.isfinite(exact).all(axis=2)
    expected = np.inf
    if not (counted & (known != exists)).any():
        both = counted & known & exists
        expected = np.abs(found[both] - exact[both]).max(initial=0)
    assert _native.node_error(nodes, step, exact, xs, ys, size, 5.0) == expected


def test_arguments_that_do_not_fit():
    nodes, exact = np.zeros((3, 3, 2)), np.zeros((2, 2, 2))
    inside, beyond = np.array([0.0, 1.0]), np.array([0.0, 16.0])
    with pytest.raises(ValueError, match="exact: shape"):
        _native.node_error(nodes, 8, exact, np.zeros(3), inside, None, 0.0)
    with pytest.raises(ValueError, match=r"ys: 16.0 is beyond"):
        _native.node_error(nodes, 8, exact, inside, beyond, None, 0.0)
    with pytest.raises(ValueError, match=r"xs: 16.0 is beyond"):
        _native.node_error(nodes, 8, exact, beyond, inside, None, 0.0)
    with pytest.raises(ValueError, match="nodes: shape"):
        _native.node_facts(np.zeros((2, 2, 3)), 8)


@given(st.integers(0, 999), st.integers(1, 70), st.integers(1, 70), st.sampled_from([2, 8, 64]), st.booleans())
def test_grid(seed, height, width, step, every):
    stride = 1 if every else 2
    places = [np.unique(np.append(np.arange(0, count, step // stride), count - 1)) for count in (height, width)]
    exact = grid(seed, len(places[0]), len(places[1]), 0.2 if seed % 3 else 0)
    nodes = np.empty(((height - 1) // step + 2, (width - 1) // step + 2, 2))
    _native.node_grid(exact, height, width, step, stride, nodes)
    expected = exact
    for axis, count in ((0, height), (1, width)):
        values = np.moveaxis(expected, axis, 0)
        whole = np.flatnonzero(places[axis] % step == 0)
        rest = (count - 1) % step
        line = values[whole]
        beyond = line[-1:]
        if rest:
            with np.errstate(invalid="ignore"):
                beyond = line[-1:] + (values[-1:] - line[-1:]) * (step / rest)
        line = np.concatenate([line, beyond])
        if rest:
            line[~np.isfinite(line)] = np.inf
        expected = np.moveaxis(line, 0, axis)
    assert np.array_equal(nodes, expected)


def test_coordinates_and_positions():
    xs, ys = np.array([0.0, 3.0, 7.0]), np.array([0.0, 5.0])
    x, y = np.empty((2, 6))
    _native.node_coordinates(xs, ys, (100, 200), (-3.25, 7.1), 0.3, x, y)
    assert np.array_equal(x.reshape(2, 3), np.broadcast_to(-3.25 + (100 + xs + 0.5) * 0.3, (2, 3)))
    assert np.array_equal(y.reshape(2, 3), np.broadcast_to(7.1 - (200 + ys[:, None] + 0.5) * 0.3, (2, 3)))
    x[1], y[2], affine, out = np.nan, np.inf, (2.1, 0.3, 9.7, -0.4, 1.9, 11.3), np.empty((2, 3, 2))
    _native.node_positions(x, y, affine, out)
    with np.errstate(invalid="ignore"):
        expected = np.stack([a * x + b * y + (c - 0.5) for a, b, c in (affine[:3], affine[3:])], -1)
    expected[1:3] = np.inf
    assert np.array_equal(out.reshape(6, 2), expected)


@pytest.mark.parametrize(
    ("exact", "size", "step", "stride", "out"),
    [
        ((2, 2), (5, 5), 4, 2, (3, 3)),
        ((3, 3), (5, 5), 4, 2, (2, 3)),
        ((3, 3), (5, 5), 4, 2, (3, 4)),
        ((3, 3), (0, 5), 4, 2, (3, 3)),
        ((3, 3), (5, 5), 4, 3, (3, 3)),
        ((3, 3), (5, 5), 0, 2, (3, 3)),
    ],
)
def test_grids_that_do_not_fit(exact, size, step, stride, out):
    with pytest.raises(ValueError, match=r"expected|belong|fit"):
        _native.node_grid(np.zeros((*exact, 2)), *size, step, stride, np.zeros((*out, 2)))


def test_points_that_do_not_fit():
    few, many = np.zeros(5), np.zeros(6)
    with pytest.raises(ValueError, match="coordinates"):
        _native.node_coordinates(np.zeros(3), np.zeros(2), (0, 0), (0, 0), 1.0, few, many)
    with pytest.raises(ValueError, match="coordinates"):
        _native.node_positions(few, many, (0.0,) * 6, np.zeros((2, 3, 2)))
