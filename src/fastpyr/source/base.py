"""What every source of pixels has in common: its facts, its reading verb and how it is stored in blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from fastpyr.errors import SourceError
from fastpyr.formats import SampleType
from fastpyr.frozen import frozen
from fastpyr.grid.bounds import BoundingBox

__all__ = [
    "Affine",
    "BlockLayout",
    "Mask",
    "Pixels",
    "RasterInfo",
    "Source",
    "check_window",
    "damaged_block",
    "nodata_values",
    "undecodable",
]

Pixels: TypeAlias = npt.NDArray[Any]
"""(rows, cols, channels), uint8 or float32, last two axes contiguous."""

Mask: TypeAlias = npt.NDArray[np.uint8]
"""(rows, cols), 0 = nodata, 255 = data."""


class Affine(NamedTuple):
    """Pixel corners to coordinates: ``x = a * col + b * row + c``, ``y = d * col + e * row + f``."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    @property
    def is_north_up(self) -> bool:
        """True when rows run along x and down y: no rotation, no skew, no flip."""
        return self.b == 0 and self.d == 0 and self.a > 0 and self.e < 0

    @property
    def is_usable(self) -> bool:
        """True for six finite numbers that can be inverted."""
        return all(map(math.isfinite, self)) and self.a * self.e - self.b * self.d != 0

    @property
    def resolution(self) -> tuple[float, float]:
        """Length of a pixel's sides along columns and along rows, CRS units."""
        return math.hypot(self.a, self.d), math.hypot(self.b, self.e)

    def apply(self, col: float, row: float) -> tuple[float, float]:
        """Coordinates of a pixel position; (0, 0) is the top-left corner of the first pixel."""
        return self.a * col + self.b * row + self.c, self.d * col + self.e * row + self.f

    def shifted(self, col: float, row: float) -> Affine:
        """The same grid counted from another pixel."""
        x, y = self.apply(col, row)
        return Affine(self.a, self.b, x, self.d, self.e, y)

    def bounds(self, width: int, height: int) -> BoundingBox:
        """Envelope of a raster's four corners."""
        corners = [self.apply(col, row) for col in (0, width) for row in (0, height)]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        return BoundingBox(min(xs), min(ys), max(xs), max(ys))


@frozen
class RasterInfo:
    """Facts of one source raster.

    ``crs``: a text that ``grid.crs.parse_crs`` understands. ``channels``: 1 to 4, after 1-bit and palette expansion.
    ``has_mask``: a nodata value, an alpha band, a mask band or a mask file can make pixels invalid.
    """

    name: str
    crs: str
    transform: Affine
    width: int
    height: int
    channels: int
    sample: SampleType
    has_mask: bool

    @property
    def bounds(self) -> BoundingBox:
        """Envelope in the source's own CRS."""
        return self.transform.bounds(self.width, self.height)

    @property
    def resolution(self) -> tuple[float, float]:
        """Pixel size along columns and along rows, CRS units."""
        return self.transform.resolution

    @property
    def may_have_holes(self) -> bool:
        """False only when every pixel is data for certain; float32 samples may be NaN, which is never data."""
        return self.has_mask or self.sample is SampleType.FLOAT32


@frozen
class BlockLayout:
    """How a file stores its pixels. ``sequential``: rows can only be decoded from the top (PNG, JPEG). ``in_pairs``:
    two blocks at once take less time than one after the other."""

    rows: int
    cols: int
    sequential: bool = False
    in_pairs: bool = False


class Source(Protocol):
    """A georeferenced raster that many threads read windows of.

    ``layout`` is None where reading is free (arrays in memory): such a source is never cached.
    """

    @property
    def info(self) -> RasterInfo: ...

    @property
    def layout(self) -> BlockLayout | None: ...

    def read(self, x0: int, y0: int, x1: int, y1: int) -> tuple[Pixels, Mask | None]:
        """Pixels of columns x0..x1-1 and rows y0..y1-1, and their mask (None: every pixel is data).

        The arrays may be views of the source: do not write to them. ValueError for an empty window or one that
        leaves the raster, SourceError when the pixels cannot be read.
        """
        ...

    def close(self) -> None:
        """Gives back file handles; a later read opens them again."""
        ...


def check_window(info: RasterInfo, x0: int, y0: int, x1: int, y1: int) -> None:
    """Raises ValueError unless the window holds pixels of the raster only."""
    if not (0 <= x0 < x1 <= info.width and 0 <= y0 < y1 <= info.height):
        raise ValueError(
            f"{info.name}: window ({x0}, {y0}, {x1}, {y1}) is empty or outside 0..{info.width} x 0..{info.height}"
        )


def damaged_block(
    name: str, block: tuple[int, int], window: tuple[int, int, int, int], width: int, reason: str
) -> SourceError:
    """The error about a stored block (column, row) that holds the pixels x0, y0, x1, y1 of a raster."""
    x0, y0, x1, y1 = window
    columns = "" if x1 - x0 >= width else f", columns {x0}-{x1 - 1}"
    lines = f"rows {y0}-{y1 - 1}" if y1 - y0 > 1 else f"row {y0}"
    return undecodable(name, f"block ({block[0]}, {block[1]}), {lines}{columns},", reason)


def undecodable(name: str, where: str, reason: str) -> SourceError:
    """The error about a part of a file whose bytes are not what its header promises."""
    return SourceError(
        f"{name}: {where} cannot be decoded ({reason}): the file is damaged or incomplete, deliver it again"
    )


def nodata_values(values: Sequence[float | None], sample: SampleType, name: str) -> tuple[float, ...] | None:
    """Nodata value per band, or None when no pixel can have it.

    One value is needed for every band, each of them one that the sample type can hold; -9999 in uint8 is nowhere.
    Raises SourceError for what is not a number.
    """
    numbers: list[float] = []
    for value in values:
        if value is None:
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise SourceError(f"{name}: nodata value {value!r} is not a number") from None
        if sample is SampleType.UINT8 and not (0 <= number <= 255 and number == int(number)):
            return None
        numbers.append(number)
    return tuple(numbers) or None
