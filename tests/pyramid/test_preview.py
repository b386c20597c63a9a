"""Previews, read back with Pillow."""

import numpy as np
import pytest
import small_pyramid
from PIL import Image
from shared_data import shared

from fastpyr.errors import ConfigError
from fastpyr.pyramid import open_pyramid
from fastpyr.pyramid.preview import preview


def picture(pyramid, path, size=1024):
    width, height = preview(pyramid, path, size)
    image = Image.open(path)
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (width, height))
    return np.asarray(image)


def test_small_pyramid_is_shown_as_it_is(tmp_path):
    key, canvases = small_pyramid.write(tmp_path)
    shown = picture(open_pyramid(tmp_path / key), tmp_path / "p.png")
    mask = canvases[0].mask != 0
    assert shown.shape == (768, 768, 3)
    np.testing.assert_array_equal(shown[mask], canvases[0].pixels[mask])
    board = shown[~mask]
    assert set(np.unique(board)) == {174, 214}
    assert (board == board[:, :1]).all(), "the board is grey"


@pytest.mark.parametrize("size", [16, 100, 300, 400])
def test_size_is_kept_and_colours_are_means(tmp_path, size):
    key, canvases = small_pyramid.write(tmp_path)
    shown = picture(open_pyramid(tmp_path / key), tmp_path / "p.png", size)
    assert size / 2 < max(shown.shape[:2]) <= size
    factor = 768 // shown.shape[0]
    middle = canvases[0].pixels[600:700, 600:700].mean((0, 1))
    here = np.s_[600 // factor : 700 // factor, 600 // factor : 700 // factor]
    if size >= 100:
        np.testing.assert_allclose(shown[here].mean((0, 1)), middle, atol=4)


def test_nodata_without_masks_and_crop(tmp_path):
    key, _ = small_pyramid.write(tmp_path, mask=False, channels=1)
    shown = picture(open_pyramid(tmp_path / key), tmp_path / "p.png")
    assert set(np.unique(shown[:100, 500:])) == {174, 214}


def test_transparency_is_blended(tmp_path):
    key, canvases = small_pyramid.write(tmp_path, channels=4, mask=True)
    shown = picture(open_pyramid(tmp_path / key), tmp_path / "p.png")
    y, x = 400, 100
    alpha = canvases[0].pixels[y, x, 3] / 255
    board = 174 if (y // 8 + x // 8) % 2 else 214
    np.testing.assert_allclose(shown[y, x], canvases[0].pixels[y, x, :3] * alpha + board * (1 - alpha), atol=0.51)


def test_relief_of_elevations(tmp_path):
    shown = picture(open_pyramid(shared("rok4/golden/RGEALTI.json")), tmp_path / "p.png")
    assert shown.shape == (200, 200, 3)
    assert (shown == shown[..., :1]).all()
    assert shown.std() > 20, "relief is visible"


def test_too_small(tmp_path):
    key, _ = small_pyramid.write(tmp_path, levels=1)
    with pytest.raises(ConfigError, match="at least 16"):
        preview(open_pyramid(tmp_path / key), tmp_path / "p.png", 8)
