"""What tiles become on their way out: as they are stored where clients can take that, converted where they cannot."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..encode.decode import decode_tile
from ..errors import RequestError
from ..formats import MASK_FORMAT, Compression, PixelFormat, SampleType
from ..pyramid.tile_file import TIFF_CODES, png_file, tiff_head
from ..pyramid.window import Level

__all__ = [
    "MEDIA_TYPES",
    "Kind",
    "Payload",
    "decoded",
    "kinds_of",
    "mask_png",
    "payload",
    "stored_kind",
    "tile_prefix",
    "value_range",
    "view_png",
]

Kind = str
"""``jpg``, ``png``, ``tif`` or ``bil``."""

MEDIA_TYPES: Mapping[Kind, str] = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "tif": "image/tiff",
    "bil": "image/x-bil;bits=32",
}


class Payload(NamedTuple):
    """``prefix`` and the stored bytes, or ``prefix`` alone when ``converted``."""

    prefix: bytes
    converted: bool
    deflated: bool = False
    """The stored bytes are a zlib stream, to be announced as such."""


def kinds_of(format: PixelFormat) -> tuple[Kind, ...]:
    """What tiles of a format can be had as, the best one first.

    JPEG and PNG are stored as such, other uint8 tiles become TIFF by a few bytes before them. Heights are TIFF, which
    clients open, or bare samples (BIL), as tile servers of the format have them.
    """
    if format.format.compression.is_lossy:
        return ("jpg", "png", "tif")
    if format.format.compression is Compression.PNG:
        return ("png", "tif")
    if format.format.sample is SampleType.UINT8:
        return ("tif", "png")
    return ("tif", "bil")


def stored_kind(format: PixelFormat) -> Kind:
    return kinds_of(format)[0]


def tile_prefix(format: PixelFormat, level: Level, size: int) -> bytes:
    """What goes before a stored tile of ``size`` bytes to make it what ``kinds_of`` has first."""
    if stored_kind(format) != "tif":
        return b""
    code = TIFF_CODES[format.format.compression]
    return tiff_head(size, format, level.matrix.tile_width, level.matrix.tile_height, code)


def payload(format: PixelFormat, level: Level, data: bytes | bytearray, kind: Kind, deflate: bool = False) -> Payload:
    """A stored tile as ``kind``; ``deflate``: the client takes deflated content. Raises RequestError, DecodeError."""
    if kind not in kinds_of(format):
        known = " or ".join(kinds_of(format))
        raise RequestError(f"{format.format.name} tiles cannot be had as {kind}: ask for {known}")
    compression = format.format.compression
    if kind == stored_kind(format):
        return Payload(tile_prefix(format, level, len(data)), False)
    if kind == "bil":
        if compression is Compression.RAW:
            return Payload(b"", False)
        if compression is Compression.ZIP and deflate:
            return Payload(b"", False, True)
        return Payload(decoded(format, level, data).astype("<f4").tobytes(), True)
    pixels = decoded(format, level, data)
    if kind == "png":
        return Payload(png_file(pixels), True)
    strip = zlib.compress(pixels.tobytes(), 1)
    return Payload(tiff_head(len(strip), format, pixels.shape[1], pixels.shape[0], 8) + strip, True)


def decoded(format: PixelFormat, level: Level, data: bytes | bytearray) -> npt.NDArray[Any]:
    """Pixels (rows, cols, channels) of a stored tile. Raises DecodeError."""
    return decode_tile(format, format.channels, level.matrix.tile_width, level.matrix.tile_height, bytes(data))


def mask_png(level: Level, data: bytes | bytearray) -> bytes:
    """A stored mask as a gray PNG: 255 where there is data."""
    mask = decode_tile(MASK_FORMAT, 1, level.matrix.tile_width, level.matrix.tile_height, bytes(data))
    return png_file(np.where(mask != 0, np.uint8(255), np.uint8(0)))


def view_png(format: PixelFormat, pixels: npt.NDArray[Any], low: float, high: float) -> bytes:
    """Any pixels as a PNG that browsers show: ``low`` becomes black and ``high`` white, nodata transparent.

    uint8 pixels are stretched only when ``low`` and ``high`` say so. Heights of several channels show the first three.
    """
    if format.format.sample is SampleType.UINT8 and (low, high) == (0, 255):
        return png_file(pixels)
    values = pixels.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        stretched = np.clip((values - low) * (255.0 / ((high - low) or 1.0)), 0, 255)
        shown = np.nan_to_num(np.rint(stretched)).astype(np.uint8)
    if format.format.sample is SampleType.UINT8:
        if format.channels in (2, 4):
            shown[..., -1] = pixels[..., -1]
        return png_file(shown)
    colours = shown if format.channels == 3 else shown[..., :3] if format.channels == 4 else shown[..., :1]
    empty = ((pixels == np.asarray(format.nodata, pixels.dtype)) | np.isnan(pixels)).all(axis=-1, keepdims=True)
    return png_file(np.concatenate([colours, np.where(empty, np.uint8(0), np.uint8(255))], axis=-1))


def value_range(format: PixelFormat, pixels: npt.NDArray[Any]) -> tuple[float, float] | None:
    """Least and greatest value that is data, None without any."""
    valid = np.isfinite(pixels) & (pixels != np.asarray(format.nodata, pixels.dtype))
    return (float(pixels[valid].min()), float(pixels[valid].max())) if valid.any() else None
