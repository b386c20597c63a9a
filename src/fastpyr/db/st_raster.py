"""The functions of the ST_Raster type, by their names, on a stored raster of either storage."""

from __future__ import annotations

import re
from typing import Any

from ..errors import ConfigError
from .dataset import RasterDataset
from .window import Masks, Pixels

__all__ = ["STRaster"]

_METHODS = ("nearest", "bilinear", "bicubic")


class STRaster:
    """The type's functions, on one raster.

    Options are texts such as ``level 2, skipLevel1, bilinear, quality 80`` or ``level=1``; ConfigError for others.
    """

    def __init__(self, dataset: RasterDataset) -> None:
        self.dataset = dataset

    def describe(self) -> dict[str, Any]:
        """All facts."""
        return self.dataset.describe()

    def getCompressionType(self) -> str:
        """``NONE``, ``LZ77``, ``JPEG`` or ``JP2``."""
        return str(self.dataset.state.compression.value)

    def getPyramidLevel(self) -> int:
        """The last level; 0 without a pyramid."""
        return max(self.dataset.levels)

    def getRasterProperties(self) -> dict[str, Any]:
        """Size, bands, pixel type and extent."""
        d = self.dataset
        return {"width": d.width, "height": d.height, "bands": d.bands, "type": d.pixel_type, "extent": tuple(d.extent)}

    def buildPyramid(self, options: str = "") -> tuple[int, ...]:
        """``level -1|n, skipLevel1, nearest|bilinear|bicubic, quality n``; the levels stored."""
        found = _parse(options, {"level", "skiplevel1", "quality", *_METHODS})
        named = [name for name in _METHODS if name in found]
        quality = found.get("quality")
        return self.dataset.build_pyramid(
            found.get("level", -1),
            skip_level1="skiplevel1" in found,
            method=named[0] if named else "bilinear",
            quality=quality,
        )

    def deletePyramid(self) -> None:
        """Removes all levels but the base."""
        self.dataset.build_pyramid(0)

    def getPixelData(self, options: str = "") -> tuple[Pixels, Masks]:
        """``level=n``: pixels (rows, cols, bands) and mask (rows, cols)."""
        return self.dataset.read(level=_parse(options, {"level"}).get("level", 0))

    def mosaic(self, sources: Any, options: str = "merge") -> None:
        """``merge`` or ``delete``."""
        self.dataset.mosaic(sources, options.strip().lower())


def _parse(options: str, known: set[str]) -> dict[str, int]:
    """Options by name in small letters, with their number, or 1 where they have none."""
    found: dict[str, int] = {}
    for part in filter(None, (text.strip() for text in options.split(","))):
        match = re.fullmatch(r"([A-Za-z]\w*)(?:\s*[=\s]\s*(-?\d{1,4}))?", part)
        if match is None or match[1].lower() not in known:
            raise ConfigError(f"option {part[:40]!r}: expected some of {', '.join(sorted(known))}")
        found[match[1].lower()] = int(match[2] or 1)
    return found
