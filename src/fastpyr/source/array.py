"""Arrays in memory as sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastpyr.errors import GridError, SourceError
from fastpyr.formats import SampleType
from fastpyr.grid.bounds import BoundingBox

from .base import Affine, Mask, Pixels, RasterInfo, check_window, nodata_values
from .validity import combine, data_mask

__all__ = ["ArraySource"]

_SAMPLES = {"uint8": SampleType.UINT8, "float32": SampleType.FLOAT32}


class ArraySource:
    """A NumPy array with a place on earth.

    ``pixels``: (rows, cols) or (rows, cols, 1..4), uint8 or float32; never copied as a whole, so changes made to it
    while a pyramid is built show. ``transform``: six numbers in the order of ``Affine`` (an ``affine.Affine`` will do),
    or ``bbox``: (left, bottom, right, top) of a north-up raster; exactly one of them. ``crs``: text or pyproj CRS.
    ``mask``: (rows, cols), 0 or False = nodata. ``nodata``: a number, or one per channel; pixels whose channels all
    equal it are nodata, as are float32 pixels with a NaN. Raises SourceError for anything else.
    """

    layout = None

    def __init__(
        self,
        pixels: npt.NDArray[Any],
        *,
        crs: Any,
        transform: Sequence[float] | None = None,
        bbox: Sequence[float] | None = None,
        mask: npt.NDArray[Any] | None = None,
        nodata: float | Sequence[float] | None = None,
        name: str = "array",
    ) -> None:
        pixels = np.asarray(pixels)
        sample = _SAMPLES.get(pixels.dtype.name) if pixels.dtype.isnative else None
        if sample is None:
            raise SourceError(f"{name}: samples are {pixels.dtype}: convert them to uint8 or float32")
        if pixels.ndim == 2:
            pixels = pixels[:, :, np.newaxis]
        if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or 0 in pixels.shape:
            raise SourceError(f"{name}: shape {pixels.shape}: expected (rows, cols) or (rows, cols, 1 to 4 channels)")
        height, width, channels = pixels.shape
        if mask is not None and mask.shape != (height, width):
            raise SourceError(f"{name}: the mask has shape {mask.shape}, the pixels {(height, width)}")
        self._pixels, self._mask = pixels, mask
        self._nodata = None if nodata is None else nodata_values(_per_channel(nodata, channels, name), sample, name)
        self.info = RasterInfo(
            name=name,
            crs=_crs_text(crs, name),
            transform=_transform(transform, bbox, width, height, name),
            width=width,
            height=height,
            channels=channels,
            sample=sample,
            has_mask=mask is not None or self._nodata is not None,
        )

    @property
    def nbytes(self) -> int:
        """Bytes of pixels and mask."""
        return self._pixels.nbytes + (0 if self._mask is None else self._mask.nbytes)

    def read(self, x0: int, y0: int, x1: int, y1: int) -> tuple[Pixels, Mask | None]:
        """The window, a view of the array where its last two axes are contiguous. See ``Source.read``."""
        check_window(self.info, x0, y0, x1, y1)
        pixels = self._pixels[y0:y1, x0:x1]
        item, channels = pixels.itemsize, self.info.channels
        if pixels.strides[1:] != (item * channels, item):
            pixels = np.ascontiguousarray(pixels)
        mask = data_mask(pixels, self._nodata, has_alpha=False)
        if self._mask is not None:
            mask = combine(mask, self._mask[y0:y1, x0:x1])
        return pixels, mask

    def close(self) -> None:
        """Nothing to give back."""


def _per_channel(nodata: float | Sequence[float], channels: int, name: str) -> list[float]:
    values = [nodata] * channels if isinstance(nodata, int | float | np.number) else list(nodata)
    if len(values) != channels:
        raise SourceError(f"{name}: {len(values)} nodata values for {channels} channel(s): give one per channel")
    return values


def _crs_text(crs: Any, name: str) -> str:
    from fastpyr.grid.crs import parse_crs

    text = crs if isinstance(crs, str) else crs.to_wkt() if hasattr(crs, "to_wkt") else None
    if text is None:
        raise SourceError(f"{name}: crs {crs!r}: expected a text such as 'EPSG:2154' or a pyproj CRS")
    try:
        parse_crs(text)
    except GridError as exc:
        raise SourceError(f"{name}: {exc}") from exc
    return text


def _transform(
    transform: Sequence[float] | None, bbox: Sequence[float] | None, width: int, height: int, name: str
) -> Affine:
    if (transform is None) == (bbox is None):
        raise SourceError(f"{name}: give exactly one of transform and bbox")
    try:
        if transform is not None:
            affine = Affine(*map(float, tuple(transform)[:6]))
        else:
            left, bottom, right, top = map(float, bbox or ())
            if not BoundingBox(left, bottom, right, top).is_valid:
                raise ValueError("bbox must enclose an area: (left, bottom, right, top)")
            affine = Affine((right - left) / width, 0.0, left, 0.0, (bottom - top) / height, top)
        if not affine.is_usable:
            raise ValueError(f"transform {tuple(affine)} cannot be inverted")
    except (TypeError, ValueError) as exc:
        raise SourceError(f"{name}: unusable georeferencing: {exc}") from None
    return affine
