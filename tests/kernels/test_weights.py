"""Kernel functions and weight tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpyr.errors import ConfigError
from fastpyr.formats import Interpolation
from fastpyr.kernels import weights as w

SMOOTH = [Interpolation.LINEAR, Interpolation.BICUBIC, Interpolation.LANCZOS]


@pytest.mark.parametrize(
    ("interpolation", "distance", "value"),
    [
        ("linear", 0.25, 0.75),
        ("linear", 1.5, 0.0),
        ("bicubic", 0.0, 1.0),
        ("bicubic", 0.5, 0.5625),
        ("bicubic", 1.0, 0.0),
        ("bicubic", 1.5, -0.0625),
        ("bicubic", 2.0, 0.0),
        ("lanczos", 0.0, 1.0),
        ("lanczos", 0.5, 0.6079271018540267),
        ("lanczos", 1.5, -0.13509491152311703),
        ("lanczos", 3.0, 0.0),
        ("nn", 0.5, 1.0),
        ("nn", 0.51, 0.0),
    ],
)
def test_kernel_values(interpolation, distance, value):
    assert w.kernel(Interpolation(interpolation), np.array(distance)) == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize("interpolation", SMOOTH)
def test_table_interpolation_is_close_to_the_exact_kernel(interpolation):
    positions = np.linspace(4.0, 30.0, 500)
    exact = w.axis_taps(interpolation, positions, 1.3, 40, mirror=True)
    table = w.axis_taps(interpolation, positions, 1.3, 40, mirror=True, tabulated=True)
    np.testing.assert_array_equal(exact.first, table.first)
    np.testing.assert_allclose(exact.weights, table.weights, atol=1e-5)
    if interpolation is not Interpolation.LINEAR:
        assert not np.array_equal(exact.weights, table.weights)
    assert w.kernel_table(interpolation).shape == (1025,)


def test_tap_counts():
    assert [w.tap_count(i, 1.0) for i in Interpolation] == [1, 2, 4, 6]
    assert [w.tap_count(i, 1.3) for i in Interpolation] == [1, 3, 6, 8]
    assert w.tap_count(Interpolation.BICUBIC, 0.3) == 4
    assert w.tap_count(Interpolation.LINEAR, 1.5 + 1e-9) == 3


@pytest.mark.parametrize("position", [-0.5, 0.0, 0.49, 0.5, 0.5 + 1e-8, 0.51, 1.5, 1e6 + 0.5])
def test_nearest_gives_ties_to_the_lower_index(position):
    expected = {-0.5: -1, 0.0: 0, 0.49: 0, 0.5: 0, 0.5 + 1e-8: 0, 0.51: 1, 1.5: 1, 1e6 + 0.5: 1_000_000}
    assert w.nearest_index(np.array([position]))[0] == expected[position]


def test_nearest_of_positions_that_are_none():
    assert (np.abs(w.nearest_index(np.array([np.nan, np.inf, -np.inf, 1e300]))) > 1 << 39).all()


@given(
    st.sampled_from(SMOOTH),
    st.floats(-0.6, 40.0),
    st.floats(0.05, 9.0),
    st.integers(1, 40),
    st.booleans(),
)
def test_axis_taps_stay_inside_and_sum_to_one(interpolation, x0, ratio, size, mirror):
    taps = w.axis_taps(interpolation, x0 + ratio * np.arange(7), ratio, size, mirror=mirror)
    count = taps.weights.shape[1]
    assert 1 <= count <= size
    assert (taps.first >= 0).all()
    assert (taps.first + count <= size).all()
    np.testing.assert_allclose(taps.weights.sum(axis=1), 1.0, atol=1e-5)
    assert ((taps.inside > 0) & (taps.inside < 1.3)).all()
    assert (taps.nearest < size).all()
    if mirror:
        assert (taps.inside == 1).all()


def test_mirror_repeats_the_edge_pixel():
    taps = w.axis_taps(Interpolation.BICUBIC, np.array([-0.25]), 1.0, 10, mirror=True)
    # Taps -2, -1, 0, 1 lie at distances 1.75, 0.75, 0.25, 1.25; -1 is 0 again and -2 is 1.
    k = w.kernel(Interpolation.BICUBIC, np.array([0.25, 0.75, 1.25, 1.75]))
    np.testing.assert_allclose(taps.weights[0], [k[0] + k[1], k[2] + k[3], 0, 0], atol=1e-7)


@pytest.mark.parametrize("interpolation", SMOOTH)
@pytest.mark.parametrize("ratio", [0.4, 1.0, 1.1, 2.0, 6.7, 60.0])
def test_phase_table_integers(interpolation, ratio):
    table = w.phase_table(interpolation, ratio)
    assert table.integers.shape == table.floats.shape
    assert table.integers.shape[0] == w.PHASES
    assert table.taps % 2 == 0
    assert table.integers.shape[1] == (4 if table.taps <= 4 else -(-table.taps // 8) * 8)
    assert (table.integers.sum(axis=1) == 1 << 14).all()
    assert not table.integers[:, table.taps :].any()
    assert np.abs(table.integers[:, : table.taps] - table.weights * (1 << 14)).max() < 1.0
    np.testing.assert_allclose(table.floats.sum(axis=1), 1.0, atol=1e-6)
    # Half sums of 255 times the weights must fit 16 bits with the fraction bits.
    pairs = table.integers.astype(int).reshape(1024, -1, 2)
    for half in (pairs[:, 0::2], pairs[:, 1::2]):
        for extreme in (np.maximum(half, 0), np.minimum(half, 0)):
            assert np.abs(255 * extreme.sum(axis=(1, 2)) >> (14 - table.fraction_bits)).max() <= 32767


def test_whole_positions_take_one_pixel():
    table = w.phase_table(Interpolation.BICUBIC, 0.8)
    np.testing.assert_array_equal(table.integers[0], [0, 1 << 14, 0, 0])


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("nan"), float("inf")])
def test_useless_ratios_are_refused(ratio):
    with pytest.raises(ConfigError, match="must be a positive number"):
        w.phase_table(Interpolation.LINEAR, ratio)
    with pytest.raises(ConfigError, match="must be a positive number"):
        w.axis_taps(Interpolation.LINEAR, np.zeros(1), ratio, 10, mirror=True)


def test_too_many_taps_are_refused_before_memory_is_taken():
    with pytest.raises(ConfigError, match="reduce the source first"):
        w.phase_table(Interpolation.BICUBIC, 7000.0)
    with pytest.raises(ConfigError, match="reduce the source first"):
        w.axis_taps(Interpolation.LINEAR, np.zeros(1024), 1e8, 10, mirror=True)
