"""usage: python vips_dzsave.py SOURCE OUT jpeg|png: an image that is already warped, cut into a Google layout."""

from __future__ import annotations

import sys

import pyvips

_SUFFIX = {"jpeg": ".jpg[Q=75]", "png": ".png"}

if __name__ == "__main__":
    source, out, kind = sys.argv[1:]
    image = pyvips.Image.new_from_file(source, access="sequential")
    image.dzsave(out, layout="google", tile_size=256, suffix=_SUFFIX[kind], region_shrink="mean")
