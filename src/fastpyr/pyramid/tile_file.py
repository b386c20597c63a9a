"""One tile as a file that any viewer opens: JPEG and PNG as stored, everything else behind a small TIFF header."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from ..encode.deflate import deflater
from ..encode.png import png_head, png_tile
from ..errors import ConfigError
from ..formats import Compression, PixelFormat, SampleType
from .reader import Pyramid
from .window import Level

__all__ = ["TIFF_CODES", "png_file", "tiff_head", "tile_file"]

TIFF_CODES = {
    Compression.RAW: 1,
    Compression.LZW: 5,
    Compression.ZIP: 8,
    Compression.PKB: 32773,
}
"""Value of the compression tag for tiles that a TIFF can hold as they are stored."""
_IMAGES = {Compression.JPG: "jpg", Compression.JPG90: "jpg", Compression.PNG: "png"}
_SUFFIXES = {"jpg": "jpg", "jpeg": "jpg", "png": "png", "tif": "tif", "tiff": "tif"}


def tile_file(
    pyramid: Pyramid, level: str | int | Level, col: int, row: int, suffix: str = ""
) -> tuple[bytes, str, str]:
    """Bytes of a file with the tile, its kind ("jpg", "png" or "tif"), and a phrase that says what was done.

    ``suffix`` (".png", ".tif", ".jpg") asks for a kind; anything else takes the one that is stored: JPEG and PNG tiles
    as they are, other tiles as they are behind the header of a one-strip TIFF. Raises ConfigError when no tile is
    stored there, naming the tile limits, or when the kind cannot hold it; and the errors of ``Pyramid.tile``.
    """
    found = pyramid.level(level)
    data = pyramid.tile_bytes(found, col, row)
    if data is None:
        raise ConfigError(_absent(found, col, row))
    pixels = pyramid.format
    stored = _IMAGES.get(pixels.format.compression, "tif")
    wanted = _SUFFIXES.get(suffix.lower().removeprefix("."), stored)
    name = pixels.format.compression.value.lower()
    if wanted == stored:
        if stored != "tif":
            return data, stored, f"{stored.upper()} as stored"
        size = (found.matrix.tile_width, found.matrix.tile_height)
        return (
            tiff_head(len(data), pixels, *size, TIFF_CODES[pixels.format.compression]) + data,
            "tif",
            f"TIFF around the {name} stored",
        )
    tile = pyramid.tile(found, col, row)
    assert tile is not None, "its bytes are there"
    if wanted == "tif":
        packed = deflater()(np.ascontiguousarray(tile))
        head = tiff_head(len(packed), pixels, tile.shape[1], tile.shape[0], 8)
        return head + packed, "tif", f"TIFF converted from {name}"
    if wanted == "jpg":
        raise ConfigError(f"the tile is stored as {name} and JPEG would change it: ask for .png or .tif")
    if pixels.format.sample is SampleType.FLOAT32:
        raise ConfigError("PNG cannot hold float32 samples: ask for .tif")
    return png_file(tile), "png", f"PNG converted from {name}"


def _absent(level: Level, col: int, row: int) -> str:
    limits = level.limits
    where = f"columns {limits.min_col} to {limits.max_col}, rows {limits.min_row} to {limits.max_row}"
    if not limits.contains(col, row):
        return f"level {level.id} has no tile at column {col}, row {row}: its tile limits are {where}"
    return f"no tile is stored at level {level.id}, column {col}, row {row} (nodata); its tile limits are {where}"


def png_file(tile: npt.NDArray[Any]) -> bytes:
    """A PNG of uint8 pixels (rows, cols, channels)."""
    height, width, channels = tile.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # column 0: filter "none"
    rows[:, 1:] = tile.reshape(height, -1)
    return png_tile(png_head(width, height, channels), rows, deflater())


def tiff_head(size: int, pixels: PixelFormat, width: int, height: int, compression: int) -> bytes:
    """What goes before a strip of ``size`` bytes to make a TIFF of it; ``compression`` is the tag's value."""
    short, long = 3, 4
    channels = pixels.channels
    bits = 8 * pixels.format.sample.size
    entries = [
        (256, long, [width]),
        (257, long, [height]),
        (258, short, [bits] * channels),
        (259, short, [compression]),
        (262, short, [1 if pixels.photometric == "gray" else 2]),
        (273, long, [0]),  # where the strip is: known below
        (277, short, [channels]),
        (278, long, [height]),
        (279, long, [size]),
        *([(338, short, [2])] if channels in (2, 4) else []),  # alpha that does not multiply the colours
        (339, short, [1 if pixels.format.sample is SampleType.UINT8 else 3] * channels),
    ]
    extra_at = 8 + 2 + 12 * len(entries) + 4
    extra = b"".join(struct.pack(f"<{len(v)}H", *v) for _, kind, v in entries if kind == short and len(v) > 2)
    strip_at = extra_at + len(extra)
    directory = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    for tag, kind, values in entries:
        inline = kind == long or len(values) <= 2
        if tag == 273:
            values = [strip_at]
        if inline:
            value = struct.pack("<I" if kind == long else f"<{len(values)}H", *values).ljust(4, b"\0")
        else:
            value = struct.pack("<I", extra_at)
            extra_at += 2 * len(values)
        directory += struct.pack("<HHI", tag, kind, len(values)) + value
    return directory + b"\0\0\0\0" + extra
