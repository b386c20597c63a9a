"""Tile bytes to pixels, under the rules that the readers of the format really have.

The bytes are not trusted: sizes are known before anything is inflated, and nothing can grow beyond them.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..errors import DecodeError
from ..formats import Compression, PixelFormat, TileFormat
from .base import Pixels
from .lzw import check_lzw
from .png import IDAT_AT, PNG_END, png_head

__all__ = ["decode_tile"]

_MAX_TILE_BYTES = 2**31 - 1


def decode_tile(
    fmt: PixelFormat | TileFormat,
    channels: int,
    tile_width: int,
    tile_height: int,
    data: bytes,
    strict: bool = True,
) -> Pixels:
    """Pixels of a tile, a new array (tile_height, tile_width, channels).

    ``strict`` refuses what a tile server would silently turn into wrong pixels, or refuse itself: PNG filters, more
    than one IDAT, other PNG chunks, bytes behind a deflate stream, PackBits control byte -128. Without it these
    decode as the libraries of their formats say. Raises DecodeError saying what is wrong with the bytes.
    """
    format = fmt.format if isinstance(fmt, PixelFormat) else fmt
    size = tile_width * tile_height * channels * format.sample.size
    if min(tile_width, tile_height, channels) < 1 or channels > 4 or size > _MAX_TILE_BYTES:
        raise DecodeError(f"no tile has {tile_width} x {tile_height} pixels of {channels} channel(s)")
    compression = format.compression
    if compression.is_lossy:
        return _jpeg(data, tile_width, tile_height, channels)
    if compression is Compression.PNG:
        if strict:
            return _png(data, tile_width, tile_height, channels)
        return _any_png(data, tile_width, tile_height, channels)
    samples = _samples(compression, data, size, strict)
    pixels: Pixels = samples.view("<f4" if format.sample.size == 4 else "u1")
    return pixels.astype(format.sample.dtype, copy=False).reshape(tile_height, tile_width, channels)


def _samples(compression: Compression, data: bytes, size: int, strict: bool) -> npt.NDArray[np.uint8]:
    """The ``size`` bytes of the samples."""
    if compression is Compression.ZIP:
        return np.frombuffer(_inflate(data, size, strict), np.uint8).copy()
    if compression is Compression.LZW:
        return _lzw(data, size)
    if compression is Compression.PKB:
        return _packbits(data, size, strict)
    if len(data) != size:
        raise DecodeError(f"raw tile of {len(data)} bytes instead of {size}")
    return np.frombuffer(data, np.uint8).copy()


def _inflate(data: bytes | memoryview, size: int, strict: bool = True) -> bytes:
    """Exactly ``size`` bytes out of one zlib stream, never more than one byte above that in memory."""
    from isal import isal_zlib

    failure = cast("type[Exception]", isal_zlib.error)
    stream = isal_zlib.decompressobj()
    try:
        # One byte more than expected tells a longer stream from a right one.
        out: bytes = stream.decompress(data, size + 1)
    except (failure, ValueError, EOFError) as error:
        raise DecodeError(f"damaged deflate stream ({error})") from None
    if len(out) > size:
        raise DecodeError(f"deflate stream holds more than {size} bytes")
    if not stream.eof:
        raise DecodeError(f"deflate stream is truncated: {len(out)} of {size} bytes, or no checksum")
    if len(out) < size:
        raise DecodeError(f"deflate stream holds {len(out)} bytes instead of {size}")
    if strict and stream.unused_data:
        raise DecodeError(f"{len(stream.unused_data)} bytes follow the deflate stream")
    return out


def _png(data: bytes, width: int, height: int, channels: int) -> npt.NDArray[np.uint8]:
    """The only PNG that readers decode right: see the png module."""
    head = png_head(width, height, channels)
    if width != height:
        raise DecodeError(f"PNG tile of {width} x {height} pixels: readers only take square ones")
    if data[:16] != head[:16]:
        raise DecodeError("not a PNG: no signature and IHDR chunk at its start")
    if data[16:IDAT_AT] != head[16:]:
        raise DecodeError(_wrong_ihdr(data, width, height, channels))
    if len(data) < IDAT_AT + 8:
        raise DecodeError("PNG is truncated behind its IHDR chunk")
    length, kind = struct.unpack_from(">I4s", data, IDAT_AT)
    if kind != b"IDAT":
        raise DecodeError(f"PNG chunk {ascii(kind)[2:-1]} at byte {IDAT_AT}: readers expect IDAT there")
    end = IDAT_AT + 8 + length
    if len(data) < end + 4 + len(PNG_END):
        raise DecodeError(f"PNG is truncated: its IDAT chunk and its end need {end + 4 + len(PNG_END)} bytes")
    if data[end + 4 :] != PNG_END:
        next_kind = data[end + 8 : end + 12]
        what = "bytes after its end" if next_kind == b"IEND" else f"chunk {ascii(next_kind)[2:-1]} after its IDAT"
        raise DecodeError(f"PNG has {what}: readers expect one IDAT and the end")
    body = memoryview(data)[IDAT_AT + 4 : end]
    if zlib.crc32(body) != struct.unpack_from(">I", data, end)[0]:
        raise DecodeError("PNG checksum of its IDAT chunk is wrong")
    rows = np.frombuffer(_inflate(body[4:], height * (1 + width * channels)), np.uint8).reshape(height, -1)
    if rows[:, 0].any():
        row = int(np.argmax(rows[:, 0] != 0))
        raise DecodeError(f"PNG row {row} has filter {rows[row, 0]}: readers ignore filters and show wrong pixels")
    return rows[:, 1:].copy().reshape(height, width, channels)


def _wrong_ihdr(data: bytes, width: int, height: int, channels: int) -> str:
    if len(data) < IDAT_AT:
        return "PNG is truncated inside its IHDR chunk"
    found = struct.unpack_from(">IIBBBBB", data, 16)
    wanted = struct.unpack_from(">IIBBBBB", png_head(width, height, channels), 16)
    names = ("width", "height", "bit depth", "colour type", "compression", "filter method", "interlace")
    for name, is_, must in zip(names, found, wanted, strict=True):
        if is_ != must:
            return f"PNG {name} is {is_} instead of {must}"
    return "PNG checksum of its IHDR chunk is wrong"


def _any_png(data: bytes, width: int, height: int, channels: int) -> npt.NDArray[np.uint8]:
    """Whatever PNG of the right size and channels; two channels only as strictly as always (no library has them)."""
    # Not png_decode: it gives back a reference it does not own whenever a PNG is damaged.
    from imagecodecs import spng_decode

    if channels == 2:
        return _png(data, width, height, channels)
    if data[:16] != png_head(1, 1, 1)[:16] or len(data) < IDAT_AT:
        raise DecodeError("not a PNG: no signature and IHDR chunk at its start")
    if struct.unpack_from(">IIB", data, 16) != (width, height, 8):
        raise DecodeError(_wrong_ihdr(data, width, height, channels))
    return _shaped(spng_decode, data, (height, width, channels), "PNG")


def _shaped(decode: Any, data: bytes, shape: tuple[int, int, int], what: str) -> npt.NDArray[np.uint8]:
    """Decode by a library and demand the shape."""
    try:
        pixels = decode(data)
    except (ValueError, RuntimeError) as error:
        raise DecodeError(f"damaged {what} ({' '.join(str(error).split())})") from None
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise DecodeError(f"{what} holds {pixels.dtype} pixels of shape {pixels.shape} instead of uint8 {shape}")
    return np.ascontiguousarray(pixels)


def _jpeg(data: bytes, width: int, height: int, channels: int) -> npt.NDArray[np.uint8]:
    from imagecodecs import jpeg8_decode

    found = _jpeg_frame(data)
    if found != (height, width, channels):
        raise DecodeError(
            f"JPEG of {found[1]} x {found[0]} pixels and {found[2]} channel(s) instead of "
            f"{width} x {height} and {channels}"
        )
    if data[-2:] != b"\xff\xd9":
        raise DecodeError("JPEG is truncated: no end marker at its end")
    return _shaped(jpeg8_decode, data, (height, width, channels), "JPEG")


def _jpeg_frame(data: bytes) -> tuple[int, int, int]:
    """(height, width, components) of the frame header, so that nothing is decoded into a surprising size."""
    if data[:2] != b"\xff\xd8":
        raise DecodeError("not a JPEG: no start marker")
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker in (0xC0, 0xC1, 0xC2):
            if position + 10 > len(data):
                break
            precision, height, width, components = struct.unpack_from(">BHHB", data, position + 4)
            if precision != 8:
                raise DecodeError(f"JPEG has {precision} bits per sample instead of 8")
            return height, width, components
        if 0xC3 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            raise DecodeError("JPEG is neither baseline nor progressive")
        if marker in (0xD9, 0xDA) or length < 2:
            break
        position += 2 + length
    raise DecodeError("JPEG has no frame header")


def _lzw(data: bytes, size: int) -> npt.NDArray[np.uint8]:
    from imagecodecs import lzw_decode

    check_lzw(data)
    # The decoder fills what it is given and stops: one byte more tells a longer stream from a right one.
    out = bytearray(size + 1)
    try:
        found = lzw_decode(data, out=out)
    except (ValueError, RuntimeError) as error:
        raise DecodeError(f"damaged LZW stream ({error})") from None
    if len(found) != size:
        count = f"more than {size}" if len(found) > size else f"{len(found)} of {size}"
        raise DecodeError(f"LZW stream holds {count} bytes")
    return np.frombuffer(out, np.uint8, size)


def _packbits(data: bytes, size: int, strict: bool) -> npt.NDArray[np.uint8]:
    from imagecodecs import packbits_decode

    if strict and b"\x80" in data:
        _refuse_noop(data)
    out = bytearray(size + 1)
    try:
        found = packbits_decode(data, out=out)
    except (ValueError, RuntimeError) as error:
        raise DecodeError(f"damaged PackBits stream ({error})") from None
    if len(found) != size:
        count = f"more than {size}" if len(found) > size else f"{len(found)} of {size}"
        raise DecodeError(f"PackBits stream holds {count} bytes")
    return np.frombuffer(out, np.uint8, size)


def _refuse_noop(data: bytes) -> None:
    position = 0
    while position < len(data):
        control = data[position]
        if control == 0x80:
            raise DecodeError(f"PackBits control byte -128 at {position}: readers take it for a run of 129")
        position += 2 if control > 0x80 else control + 2
