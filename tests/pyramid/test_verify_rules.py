"""The rules of upper levels against their definition, enumerated pixel by pixel."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpyr import kernels
from fastpyr.pyramid import verify_rules as rules

NODATA = 255


def allowed(block, nodata):
    """Every value that rule A can give for the four pixels (tuples) of a block, by enumeration."""
    data = [p for p in block if p != nodata]
    found = set()
    for taken in range(5 - len(data)):
        used = data + [nodata] * taken
        if len(used) < 2:
            found.add(nodata)
            continue
        value = []
        for channel in zip(*used, strict=True):
            quarters = int(Fraction(4 * sum(channel), len(used)))
            value.append((quarters + 1) // 4)
        found.add(tuple(value))
    return found


pixel = st.integers(0, 255) | st.sampled_from([NODATA, NODATA, 254, 0])


@settings(max_examples=60)
@given(st.lists(st.tuples(pixel, pixel), min_size=4, max_size=4))
def test_unmasked_block_accepts_exactly_the_values_of_the_rule(block):
    children = np.array(block, np.uint8).reshape(2, 2, 2)
    good = allowed(block, (NODATA, NODATA))
    # Around every good value, and some values at random: all of 65536 would only be slower.
    tried = {
        (min(max(a + i, 0), 255), min(max(b + j, 0), 255)) for a, b in good for i, j in product((-1, 0, 1), repeat=2)
    }
    tried |= {(0, 0), (NODATA, NODATA), (7, 200)}
    for value in tried:
        parent = np.array(value, np.uint8).reshape(1, 1, 2)
        wrong = rules.mean_mismatch(parent, children, (NODATA, NODATA))[0, 0]
        assert wrong == (value not in good), (value, good)


def test_every_value_of_one_channel():
    rng = np.random.default_rng(5)
    blocks = rng.integers(0, 256, (200, 4))
    blocks[rng.random((200, 4)) < 0.3] = NODATA
    for block in blocks.tolist():
        good = {v[0] if isinstance(v, tuple) else v for v in allowed([(p,) for p in block], (NODATA,))}
        # One parent row with all 256 values over the same block.
        parent = np.arange(256, dtype=np.uint8).reshape(1, 256, 1)
        children = np.tile(np.array(block, np.uint8).reshape(2, 2), (1, 256))[..., None]
        wrong = rules.mean_mismatch(parent, children, (NODATA,))
        assert set(np.flatnonzero(~wrong[0]).tolist()) == good


@pytest.mark.parametrize(("dtype", "gamma"), [("uint8", 1.0), ("uint8", 0.6), ("uint8", 2.2), ("float32", 1.0)])
@pytest.mark.parametrize("masked", [True, False])
def test_the_kernel_passes_and_any_change_is_seen(gamma, dtype, masked):
    rng = np.random.default_rng(11)
    nodata = (255, 255, 255) if dtype == "uint8" else (-99999,) * 3
    children = rng.integers(0, 256, (128, 96, 3)).astype(dtype) / (1 if dtype == "uint8" else 7.0)
    children = children.astype(dtype)
    mask = np.where(rng.random((128, 96)) < 0.6, 255, 0).astype(np.uint8)
    children[mask == 0] = nodata
    parent, parent_mask = kernels.reduce2x2(children, mask=mask, nodata=nodata, gamma=gamma)
    given_mask = mask if masked else None
    kernels.fill_nodata(parent, parent_mask, nodata)
    assert not rules.mean_mismatch(parent, children, nodata, gamma=gamma, child_mask=given_mask).any()
    np.testing.assert_array_equal(rules.mean_mask(mask), parent_mask)
    changed = parent.copy()
    changed[10, 20, 1] += 3
    wrong = rules.mean_mismatch(changed, children, nodata, gamma=gamma, child_mask=given_mask)
    assert np.argwhere(wrong).tolist() == [[10, 20]]


def test_table_of_gamma_one_is_the_exact_one():
    i = np.arange(1021)
    np.testing.assert_array_equal(rules.mean_table(1.0), (i + 1) // 4)
    for gamma in (0.5, 1.0, 1.7, 3.0):
        assert rules.mean_table(gamma)[[0, 1020]].tolist() == [0, 255]
        assert (np.diff(rules.mean_table(gamma).astype(int)) >= 0).all()


def test_float_nan_and_infinity():
    children = np.array([[np.nan, 1.0], [2.0, 3.0]], np.float32)[..., None]
    assert not rules.mean_mismatch(np.full((1, 1, 1), np.nan, np.float32), children, (-99999,)).any()
    assert rules.mean_mismatch(np.full((1, 1, 1), 2.0, np.float32), children, (-99999,)).all()
    children[0, 0] = np.inf
    assert not rules.mean_mismatch(np.full((1, 1, 1), np.inf, np.float32), children, (-99999,)).any()


def _jpeg(pixels, quality):
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(buffer))


@pytest.fixture(scope="module")
def jpeg_pair():
    """(parent, children), each decoded from its own JPEG, from one textured image."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:512, :512]
    base = 110 + 50 * np.sin(x / 19) + 40 * np.cos(y / 31)
    noise = rng.normal(0, 25, (512, 512, 3))
    children = np.clip(base[..., None] + noise, 0, 225).astype(np.uint8)
    parent, _ = kernels.reduce2x2(children)
    return _jpeg(parent, 75), _jpeg(children, 75)


def test_lossy_parent_passes(jpeg_pair):
    parent, children = jpeg_pair
    assert rules.lossy_mismatch(parent, *rules.lossy_mean(children, (255, 255, 255))) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: np.roll(p, 16, axis=1),
        lambda p: p[::-1],
        lambda p: (255 - rules.mean_table(2.0)[(255 - p).astype(int) * 4]).astype(np.uint8),
        lambda p: np.clip(p.astype(int) + 6, 0, 255).astype(np.uint8),
        lambda p: p[..., ::-1] // 2,
    ],
    ids=["shift", "flip", "gamma", "brighter", "colours"],
)
def test_lossy_damage_is_seen(jpeg_pair, damage):
    parent, children = jpeg_pair
    assert rules.lossy_mismatch(damage(parent), *rules.lossy_mean(children, (255, 255, 255))) is not None


def test_lossy_block_is_located(jpeg_pair):
    parent, children = jpeg_pair
    parent = parent.copy()
    parent[32:48, 64:80] = 0
    problem = rules.lossy_mismatch(parent, *rules.lossy_mean(children, (255, 255, 255)))
    assert problem is not None
    assert "column 64, row 32" in problem
