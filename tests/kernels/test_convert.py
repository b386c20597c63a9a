"""Channel conversion against the table of the format, exhaustively where it computes."""

import numpy as np
import pytest
from PIL import Image

from fastpyr.kernels import convert_channels, reference

COUNTS = [1, 2, 3, 4]


@pytest.mark.parametrize("to", COUNTS)
@pytest.mark.parametrize("count", COUNTS)
def test_every_pair_of_counts(count: int, to: int) -> None:
    rng = np.random.default_rng(10 * count + to)
    frame = rng.integers(0, 256, (7, 93, count), np.uint8)
    src = frame[:, 2:-1]
    expected = reference.convert_channels(src, to)
    np.testing.assert_array_equal(convert_channels(src, to), expected)
    around = np.full((7, 94, to), 0xA5, np.uint8)
    out = around[:, 1:91]
    assert convert_channels(src, to, out) is out
    np.testing.assert_array_equal(out, expected)
    assert (around[:, 0] == 0xA5).all()
    assert (around[:, 91:] == 0xA5).all()


def test_gray_of_every_colour_is_rounded_exactly() -> None:
    """All 2**24 colours, a plane of red at a time: |10000 Y - (2125 R + 7154 G + 721 B)| <= 5000, ties up."""
    green, blue = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    colours = np.stack([np.zeros_like(green), green, blue], axis=2).astype(np.uint8)
    for red in range(256):
        colours[..., 0] = red
        exact = 2125 * red + 7154 * green + 721 * blue
        error = 10000 * convert_channels(colours, 1)[..., 0].astype(np.int64) - exact
        assert error.max() <= 5000
        assert error.min() > -5000


def test_grays_survive_a_round_trip() -> None:
    """The truncation of the reference tools loses 1 on eight of them (43, 86, 91...): rounding must not."""
    grays = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    for channels in (2, 3, 4):
        np.testing.assert_array_equal(convert_channels(convert_channels(grays, channels), 1), grays)


def test_agrees_with_pillow_where_the_rules_are_the_same() -> None:
    rgba = np.random.default_rng(4).integers(0, 256, (20, 30, 4), np.uint8)
    rgb = np.asarray(Image.fromarray(rgba, "RGBA").convert("RGB"))  # alpha dropped, not blended
    np.testing.assert_array_equal(convert_channels(rgba, 3), rgb)
    np.testing.assert_array_equal(convert_channels(rgb, 4), np.asarray(Image.fromarray(rgb).convert("RGBA")))
    gray = rgba[..., :1].copy()
    np.testing.assert_array_equal(convert_channels(gray, 3), np.asarray(Image.fromarray(gray[..., 0]).convert("RGB")))


@pytest.mark.parametrize(("count", "to"), [(1, 3), (3, 1), (2, 2)])
def test_float_channels_are_copied_untouched(count: int, to: int) -> None:
    src = np.random.default_rng(1).standard_normal((5, 11, count)).astype(np.float32)
    src[0, 0] = np.nan
    out = np.zeros((5, 11, to), np.float32)
    np.testing.assert_array_equal(convert_channels(src, to, out), reference.convert_channels(src, to))


def test_nothing_to_do_returns_the_source() -> None:
    src = np.zeros((2, 2, 3), np.uint8)
    assert convert_channels(src, 3) is src


def test_arguments_that_do_not_fit_are_refused() -> None:
    src = np.zeros((4, 6, 3), np.uint8)
    for channels in (0, 5, -1):
        with pytest.raises(ValueError, match="expected 1 to 4"):
            convert_channels(src, channels)
    with pytest.raises(ValueError, match="no rule from 3 to 4"):
        convert_channels(src.astype(np.float32), 4)
    with pytest.raises(ValueError, match="out: shape"):
        convert_channels(src, 1, np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(ValueError, match="out: shape"):
        convert_channels(src, 1, np.zeros((4, 5, 1), np.uint8))
    with pytest.raises(ValueError, match="samples of format 'h'"):
        convert_channels(src.astype(np.int16), 1)
    with pytest.raises(ValueError, match="src: shape"):
        convert_channels(src[..., 0], 1)
