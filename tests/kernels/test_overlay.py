"""Overlays against their definition, and against numbers worked out by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fastpyr.kernels import convert_channels, overlay, reference_overlay

METHODS = ["top", "alphatop", "multiply"]


def strided(array: np.ndarray) -> np.ndarray:
    frame = np.zeros((array.shape[0], array.shape[1] + 4, *array.shape[2:]), array.dtype)
    frame[:, 3:-1] = array
    return frame[:, 3:-1]


def layer(rng: np.random.Generator, channels: int, dtype: str, masked: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Samples with many equal colours, full and empty alphas."""
    pixels = rng.choice(np.array([0, 1, 43, 128, 200, 254, 255]), (6, 41, channels)).astype(np.uint8)
    pixels = np.where(rng.random(pixels.shape) < 0.5, rng.integers(0, 256, pixels.shape), pixels)
    flat = rng.random((6, 41, 1)) < 0.3
    pixels[..., : 1 + 2 * (channels > 2)] = np.where(flat, 255, pixels[..., : 1 + 2 * (channels > 2)])
    mask = rng.choice(np.array([0, 0, 1, 255], np.uint8), (6, 41)) if masked else None
    if dtype == "uint8":
        return strided(pixels.astype(np.uint8)), None if mask is None else strided(mask)
    values = (pixels * 1.37 - 40).astype(np.float32)
    if channels in (2, 4):
        values[..., -1] = pixels[..., -1] / 255
    values[0, 0] = np.nan
    return strided(values), None if mask is None else strided(mask)


@settings(max_examples=150)
@given(
    method=st.sampled_from(METHODS),
    dtype=st.sampled_from(["uint8", "float32"]),
    counts=st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=5),
    channels=st.integers(1, 4),
    transparent=st.sampled_from([None, (255, 255, 255), (43, 0, 255), (0, 0, 0)]),
    seed=st.integers(0, 2**32),
)
def test_equals_its_definition(
    method: str, dtype: str, counts: list[tuple[int, bool]], channels: int, transparent: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    layers = [layer(rng, count, dtype, masked) for count, masked in counts]
    background = rng.choice([0, 43, 128, 255], channels).tolist()
    options = {"method": method, "background": background, "transparent": transparent}
    expected, expected_mask = reference_overlay.overlay(layers, channels, **options)
    out, out_mask = strided(np.full((6, 41, channels), 9, dtype)), strided(np.full((6, 41), 9, np.uint8))
    assert overlay(layers, channels, out=out, out_mask=out_mask, **options)[0] is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(out_mask, expected_mask)
    assert (out.base[:, :3] == 0).all()
    assert (out.base[:, -1] == 0).all()


def one(method: str, channels: int, background: list[float], *layers: list[float], **options: Any) -> list[float]:
    """A single pixel of layers, the lowest first."""
    dtype = options.pop("dtype", np.uint8)
    arrays = [(np.array([[pixel]], dtype), None) for pixel in layers]
    result: list[float] = overlay(arrays, channels, method=method, background=background, **options)[0][0, 0].tolist()
    return result


class TestByHand:
    def test_top(self) -> None:
        assert one("top", 3, [9, 9, 9], [1, 2, 3], [4, 5, 6]) == [4, 5, 6]
        assert one("top", 4, [0] * 4, [1, 2, 3], [4, 5, 6, 7]) == [4, 5, 6, 7]
        assert one("top", 3, [9, 9, 9], [100, 200, 50, 128]) == [50, 100, 25]  # alpha times colour, truncated
        assert one("top", 2, [0, 0], [10, 20, 30]) == [19, 255]  # 18.596 to the nearest

    def test_alphatop(self) -> None:
        below, above = [100, 0, 200, 255], [200, 100, 0, 51]  # alpha 0.2 over 1
        assert one("alphatop", 4, [0] * 4, below, above) == [120, 20, 160, 255]
        assert one("alphatop", 4, [0] * 4, below, [1, 2, 3, 0]) == below
        assert one("alphatop", 4, [9, 9, 9, 0], above) == above
        half = one("alphatop", 4, [0] * 4, [100, 0, 0, 128], [0, 100, 0, 128])
        a = 128 / 255
        whole = a + a * (1 - a)
        assert half == [int(a * 100 * (1 - a) / whole), int(a * 100 / whole), 0, int(255 * whole)]

    def test_alphatop_shows_the_background_through(self) -> None:
        assert one("alphatop", 3, [255, 255, 255], [0, 0, 0, 51]) == [204, 204, 204]

    def test_transparent(self) -> None:
        white = (255, 255, 255)
        assert one("alphatop", 3, [7, 7, 7], [1, 2, 3], [255, 255, 255], transparent=white) == [1, 2, 3]
        assert one("alphatop", 3, [7, 7, 7], [1, 2, 3], [255, 255, 254], transparent=white) == [255, 255, 254]
        assert one("alphatop", 1, [7], [3], [255], transparent=white) == [3]
        values = one("alphatop", 1, [0], [3], [999.5], transparent=(1000, 1000, 1000), dtype=np.float32)
        assert values == [3]
        assert one("alphatop", 1, [0], [3], [998], transparent=(1000,) * 3, dtype=np.float32) == [998]

    def test_multiply(self) -> None:
        assert one("multiply", 3, [0, 0, 0], [100, 200, 255], [128, 51, 255]) == [50, 40, 255]
        assert one("multiply", 4, [0] * 4, [255, 100, 10, 128], [255, 255, 255, 128]) == [255, 100, 10, 64]
        assert one("multiply", 3, [0, 0, 0], [100, 200, 30]) == [100, 200, 30]  # the background is no factor
        assert one("multiply", 1, [-99999], [3], [1.5], dtype=np.float32) == [4.5]

    def test_masks(self) -> None:
        arrays = [
            (np.full((1, 4, 1), 10, np.uint8), np.array([[255, 1, 0, 0]], np.uint8)),
            (np.full((1, 4, 1), 20, np.uint8), np.array([[0, 255, 255, 0]], np.uint8)),
        ]
        out, mask = overlay(arrays, 1, method="top", background=[7])
        assert out.ravel().tolist() == [10, 20, 20, 7]
        assert mask.ravel().tolist() == [255, 255, 255, 0]
        assert overlay(arrays, 1, method="multiply", background=[7])[0].ravel().tolist() == [10, 0, 20, 7]
        assert overlay([arrays[0], (arrays[1][0], None)], 1, method="top", background=[7])[1].min() == 255


def test_whole_numbers_stay_whole() -> None:
    """Every sample and every alpha survives a division by 255 and a truncation; so does every gray a conversion."""
    values = np.arange(256, dtype=np.uint8)
    rgba = np.stack(np.broadcast_arrays(values[:, None], 7, values[None], values[:, None]), axis=2).astype(np.uint8)
    for method in METHODS:
        out = overlay([(rgba, None)], 4, method=method, background=[0] * 4)[0]
        expected = np.where(rgba[..., 3:] == 0, 0, rgba) if method == "alphatop" else rgba
        np.testing.assert_array_equal(out, expected)
    gray = values.reshape(16, 16, 1)
    for channels in (2, 3, 4):
        colours = convert_channels(gray, channels)
        np.testing.assert_array_equal(overlay([(colours, None)], 1, method="top", background=[0])[0], gray)
    rgb = np.random.default_rng(3).integers(0, 256, (99, 99, 3), np.uint8)
    np.testing.assert_array_equal(overlay([(rgb, None)], 1, method="top", background=[0])[0], convert_channels(rgb, 1))


def test_alphatop_is_the_alpha_composite_of_pillow_within_its_rounding() -> None:
    rng = np.random.default_rng(8)
    below, above = rng.integers(0, 256, (2, 60, 60, 4), np.uint8)
    ours = overlay([(below, None), (above, None)], 4, method="alphatop", background=[0] * 4)[0].astype(int)
    theirs = np.asarray(Image.alpha_composite(Image.fromarray(below, "RGBA"), Image.fromarray(above, "RGBA")))
    seen = ours[..., 3] > 8
    assert np.abs(ours - theirs)[seen].max() <= 2
    assert np.abs(ours - theirs)[..., 3].max() <= 1


def test_elevations_are_untouched() -> None:
    values = np.random.default_rng(2).normal(0, 4000, (20, 20, 1)).astype(np.float32)
    values[0, :3, 0] = [np.nan, np.inf, -0.0]
    out = overlay([(values, None)], 1, method="top", background=[-99999])[0]
    assert out.tobytes() == values.tobytes()


PIXELS, MASK = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        ([], {}, "layers: 0"),
        ([(PIXELS, None)] * 65, {}, "layers: 65"),
        ([(PIXELS, None)], {"method": "replace"}, "method 'replace'"),
        ([(PIXELS, None)], {"background": [0]}, "background: 1 values"),
        ([(PIXELS, None)], {"background": [0, 0, 256]}, "outside 0..255"),
        ([(PIXELS, None)], {"transparent": [0]}, "transparent: 1 values"),
        ([(PIXELS, None), (PIXELS[:3], None)], {}, "layer 1: shape"),
        ([(PIXELS, None), (PIXELS.astype(np.float32), None)], {}, "layer 1: samples"),
        ([(PIXELS, MASK[1:])], {}, "mask of layer 0: shape"),
        ([(np.zeros((4, 6, 5), np.uint8), None)], {}, "layer 0: 5 channels"),
        ([(PIXELS.astype(np.int16), None)], {}, "out: samples"),
        ([(PIXELS, None)], {"out": np.zeros((4, 6, 1), np.uint8)}, "out: shape"),
        ([(PIXELS, None)], {"out_mask": MASK[1:]}, "out_mask: shape"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(layers: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        overlay(layers, 3, **{"method": "top", "background": [0, 0, 0], **options})
