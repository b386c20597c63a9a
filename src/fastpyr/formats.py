"""The vocabulary of the format: compressions, sample types, tile formats, interpolations, slab kinds.

Values are the strings that appear in descriptors and configurations, so they are part of the interface.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from .errors import ConfigError, DescriptorError
from .frozen import frozen

__all__ = [
    "MASK_FORMAT",
    "TILE_FORMATS",
    "Compression",
    "Interpolation",
    "PixelFormat",
    "SampleType",
    "SlabKind",
    "TileFormat",
    "default_nodata",
]


class Compression(StrEnum):
    """How the bytes of one tile are packed. Values are the middle word of a format name."""

    RAW = "RAW"
    JPG = "JPG"
    JPG90 = "JPG90"
    PNG = "PNG"
    LZW = "LZW"
    ZIP = "ZIP"
    PKB = "PKB"

    @property
    def is_lossy(self) -> bool:
        return self in (Compression.JPG, Compression.JPG90)


class SampleType(StrEnum):
    """Type of one sample. Values are the last word of a format name."""

    UINT8 = "UINT8"
    FLOAT32 = "FLOAT32"

    @property
    def dtype(self) -> str:
        """NumPy dtype name of a sample, little-endian when stored."""
        return "uint8" if self is SampleType.UINT8 else "float32"

    @property
    def size(self) -> int:
        """Bytes per sample."""
        return 1 if self is SampleType.UINT8 else 4


class Interpolation(StrEnum):
    """Resampling kernel. Values as in descriptors."""

    NN = "nn"
    LINEAR = "linear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class SlabKind(StrEnum):
    """What a slab holds. Values are the folder names of the storage tree."""

    DATA = "DATA"
    MASK = "MASK"


_NAME = re.compile(r"TIFF_(RAW|JPG|JPG90|PNG|LZW|ZIP|PKB)_(UINT8|FLOAT32)")
_FLOAT_COMPRESSIONS = (Compression.RAW, Compression.LZW, Compression.ZIP, Compression.PKB)


@frozen
class TileFormat:
    """A compression with a sample type: one of the eleven raster format names."""

    compression: Compression
    sample: SampleType

    def __post_init__(self) -> None:
        if self.sample is SampleType.FLOAT32 and self.compression not in _FLOAT_COMPRESSIONS:
            raise ConfigError(
                f"compression {self.compression.value.lower()} cannot hold float32 samples: use zip, lzw, pkb or raw"
            )

    @property
    def name(self) -> str:
        """Name in descriptors, e.g. ``TIFF_JPG_UINT8``."""
        return f"TIFF_{self.compression.value}_{self.sample.value}"

    @classmethod
    def parse(cls, name: str) -> TileFormat:
        """Format of a descriptor's ``format`` value. Raises DescriptorError on any other name."""
        match = _NAME.fullmatch(name)
        try:
            if match:
                return cls(Compression(match[1]), SampleType(match[2]))
        except ConfigError:
            pass
        known = ", ".join(f.name for f in TILE_FORMATS)
        raise DescriptorError(f"unknown raster format {name!r}: expected one of {known}")

    def __str__(self) -> str:
        return self.name


TILE_FORMATS: tuple[TileFormat, ...] = tuple(
    [TileFormat(c, SampleType.UINT8) for c in Compression]
    + [TileFormat(c, SampleType.FLOAT32) for c in _FLOAT_COMPRESSIONS]
)
"""All raster formats that readers know."""

MASK_FORMAT = TileFormat(Compression.ZIP, SampleType.UINT8)
"""Masks are always one channel of deflated bytes, 0 = nodata, 255 = data."""


def default_nodata(sample: SampleType, channels: int) -> tuple[int, ...]:
    """Nodata value per channel: white for colours, transparent for alpha, -99999 for float32."""
    if sample is SampleType.FLOAT32:
        return (-99999,) * channels
    colours = (255,) * (channels if channels in (1, 3) else channels - 1)
    return colours if channels in (1, 3) else (*colours, 0)


@frozen
class PixelFormat:
    """Everything that turns pixels into tile bytes and back: format, channels, nodata.

    ``nodata`` holds one integer per channel (descriptors cannot carry anything else): 0..255 for uint8.
    """

    format: TileFormat
    channels: int
    nodata: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.channels <= 4:
            raise ConfigError(f"{self.channels} channels: a pyramid has 1 to 4")
        if self.format.compression.is_lossy and self.channels != 3:
            name = self.format.compression.value.lower()
            raise ConfigError(
                f"compression {name} stores exactly 3 channels, not {self.channels}: "
                "use png or zip, or convert with channels=3 (--channels 3)"
            )
        if len(self.nodata) != self.channels:
            raise ConfigError(
                f"nodata has {len(self.nodata)} value(s) for {self.channels} channel(s): give one per channel"
            )
        if self.format.sample is SampleType.UINT8 and not all(0 <= v <= 255 for v in self.nodata):
            raise ConfigError(f"nodata {self.nodata_text} is outside 0..255 of uint8 samples")

    @classmethod
    def of(cls, format: TileFormat, channels: int, nodata: Sequence[int] | None = None) -> PixelFormat:
        """Pixel format with the default nodata; a single nodata value is repeated for all channels."""
        if nodata is None:
            values = default_nodata(format.sample, channels)
        elif len(nodata) == 1:
            values = (nodata[0],) * channels
        else:
            values = tuple(nodata)
        return cls(format, channels, values)

    @property
    def dtype(self) -> str:
        return self.format.sample.dtype

    @property
    def photometric(self) -> str:
        """``gray`` for 1 and 2 channels, ``rgb`` for 3 and 4."""
        return "gray" if self.channels < 3 else "rgb"

    @property
    def nodata_text(self) -> str:
        """Nodata as descriptors write it: comma-separated integers."""
        return ",".join(str(v) for v in self.nodata)
