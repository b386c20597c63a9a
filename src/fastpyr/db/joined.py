"""Several rasters of one grid as one input: what an import of many files stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import SourceError
from .inputs import InputInfo, Masks, Pixels, RasterInput

__all__ = ["JoinedInput"]

_WHOLE_PIXEL = 0.01
_MAX_SIDE = 2**31 - 1


class JoinedInput:
    """Inputs with the same cells, registration, bands and type, later ones on top; no data between them.

    A colour map is not kept: the inputs' may differ.
    """

    def __init__(self, inputs: Sequence[RasterInput]) -> None:
        first = inputs[0].info
        places = [_offset(first, each.info) for each in inputs]
        left, top = min(x for x, _ in places), min(y for _, y in places)
        right = max(x + each.info.width for (x, _), each in zip(places, inputs, strict=True))
        bottom = max(y + each.info.height for (_, y), each in zip(places, inputs, strict=True))
        if max(right - left, bottom - top) > _MAX_SIDE:
            raise SourceError(f"{first.name} and the other sources cover {right - left} x {bottom - top} pixels")
        self._parts = [(x - left, y - top, each) for (x, y), each in zip(places, inputs, strict=True)]
        self.info = replace(
            first,
            name=f"{first.name} and {len(inputs) - 1} more",
            width=right - left,
            height=bottom - top,
            transform=first.transform.shifted(left, top),
            colormap=None,
            block=None,
        )

    def read(self, x0: int, y0: int, x1: int, y1: int) -> tuple[Pixels, Masks | None]:
        shape = (self.info.bands, y1 - y0, x1 - x0)
        pixels, masks = np.zeros(shape, self.info.pixel_type.dtype), np.zeros(shape, np.uint8)
        for left, top, part in self._parts:
            a, b = max(x0, left), max(y0, top)
            c, d = min(x1, left + part.info.width), min(y1, top + part.info.height)
            if a >= c or b >= d:
                continue
            values, mask = part.read(a - left, b - top, c - left, d - top)
            here = np.s_[:, b - y0 : d - y0, a - x0 : c - x0]
            if mask is None:
                pixels[here], masks[here] = values, 255
                continue
            np.copyto(pixels[here], values, where=mask != 0)
            masks[here] |= mask
        return pixels, None if masks.all() else masks


def _offset(first: InputInfo, other: InputInfo) -> tuple[int, int]:
    """Whole pixels from the first input's corner to another's. Raises SourceError when they share no grid."""
    if (other.bands, other.pixel_type) != (first.bands, first.pixel_type):
        raise SourceError(
            f"{other.name}: {other.bands} band(s) of {other.pixel_type.name}, {first.name} has {first.bands} of "
            f"{first.pixel_type.name}: import them as rasters of a catalog"
        )
    a, b = first.transform, other.transform
    if max(abs(b.a / a.a - 1) * other.width, abs(b.e / a.e - 1) * other.height) > _WHOLE_PIXEL:
        raise SourceError(f"{other.name}: pixels of {b.a:.12g}, those of {first.name} have {a.a:.12g}: resample it")
    if first.wkt != other.wkt:
        from ..grid.crs import same_crs

        if not (first.wkt and other.wkt and same_crs(first.wkt, other.wkt)):
            raise SourceError(f"{other.name}: its CRS is not that of {first.name}: reproject it first")
    x, y = (b.c - a.c) / a.a, (b.f - a.f) / a.e
    if not (abs(x) < _MAX_SIDE and abs(y) < _MAX_SIDE):
        raise SourceError(f"{other.name}: is too far from {first.name}")
    if max(abs(x - round(x)), abs(y - round(y))) > _WHOLE_PIXEL:
        raise SourceError(f"{other.name}: is not on the pixel grid of {first.name}: resample it first")
    return round(x), round(y)
