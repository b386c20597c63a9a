"""The image streams inside lossy blocks: grey JPEG and JPEG 2000 of 8 bits.

JPEG is baseline with standard tables: the bytes are those of libjpeg, and so of Pillow, at the same quality. The size
that a header declares is compared with that of the block before a decoder sees the stream.
"""

from __future__ import annotations

import struct

import numpy as np

from ..encode.decode import decode_tile
from ..errors import DecodeError, EncodeError
from ..formats import Compression as TileCompression
from ..formats import SampleType, TileFormat
from .pixels import Pixels

__all__ = ["decode_jp2", "decode_jpeg", "encode_jp2", "encode_jpeg"]

_JPEG = TileFormat(TileCompression.JPG, SampleType.UINT8)
_CODESTREAM, _SIZE = b"\xff\x4f", b"\xff\x51"


def encode_jpeg(pixels: Pixels, quality: int) -> bytes:
    """Grey baseline JPEG of uint8 (rows, cols), quality 1 to 100."""
    from imagecodecs import jpeg8_encode

    return bytes(jpeg8_encode(pixels, quality))


def decode_jpeg(data: bytes, width: int, height: int) -> Pixels:
    """uint8 (height, width). DecodeError unless it is a complete grey JPEG of that size."""
    return decode_tile(_JPEG, 1, width, height, data)[:, :, 0]


def encode_jp2(pixels: Pixels, quality: int) -> bytes:
    """JPEG 2000 file of uint8 (rows, cols).

    quality 100 is lossless; below it aims at a peak signal-to-noise ratio of 20 + quality // 4 dB, 38 dB at 75, about
    what JPEG reaches with the same number.
    """
    from imagecodecs import jpeg2k_encode

    try:
        if quality == 100:
            return bytes(jpeg2k_encode(pixels, reversible=True, codecformat="jp2"))
        return bytes(jpeg2k_encode(pixels, 20 + quality // 4, codecformat="jp2"))
    except (ValueError, RuntimeError) as error:
        raise EncodeError(f"JPEG 2000 cannot hold the block ({error})") from None


def decode_jp2(data: bytes, width: int, height: int) -> Pixels:
    """uint8 (height, width). DecodeError unless it is a complete grey JPEG 2000 of 8 unsigned bits and that size.

    Of a file only the codestream is decoded: palettes and channel definitions have no place in a block.
    """
    from imagecodecs import jpeg2k_decode

    stream = _codestream(data)
    _check_size(stream, width, height)
    if stream[-2:] != b"\xff\xd9":
        raise DecodeError("JPEG 2000 codestream is truncated: no end marker at its end")
    try:
        pixels = jpeg2k_decode(stream)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise DecodeError(f"damaged JPEG 2000 ({' '.join(str(error).split())})") from None
    if pixels.dtype != np.uint8 or pixels.size != width * height:
        raise DecodeError(f"JPEG 2000 holds {pixels.dtype} pixels of shape {pixels.shape}")
    return np.ascontiguousarray(pixels).reshape(height, width)


def _codestream(data: bytes) -> bytes:
    """The contiguous codestream of a JP2 file, or the data themselves when they are one."""
    if data[:2] == _CODESTREAM:
        return data
    if data[4:8] != b"jP  ":
        raise DecodeError("not a JPEG 2000: neither a signature box nor a codestream")
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        head = 8
        if length == 1 and position + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, position + 8)
            head = 16
        end = len(data) if length == 0 else position + length
        if (length and length < head) or end > len(data):
            break
        if kind == b"jp2c":
            return data[position + head : end]
        position = end
    raise DecodeError("JPEG 2000 file has no whole codestream box")


def _check_size(stream: bytes, width: int, height: int) -> None:
    """The SIZ segment must declare one component of 8 unsigned bits and the size of the block."""
    if len(stream) < 43 or stream[:2] != _CODESTREAM or stream[2:4] != _SIZE:
        raise DecodeError("JPEG 2000 codestream has no size segment at its start")
    right, bottom, left, top = struct.unpack_from(">4I", stream, 8)
    components, depth, dx, dy = struct.unpack_from(">HBBB", stream, 40) if len(stream) >= 45 else (0, 0, 0, 0)
    if (right - left, bottom - top) != (width, height):
        raise DecodeError(f"JPEG 2000 of {right - left} x {bottom - top} pixels instead of {width} x {height}")
    if (components, depth, dx, dy) != (1, 7, 1, 1):
        raise DecodeError(
            f"JPEG 2000 of {components} component(s), depth byte {depth}: one of 8 unsigned bits expected"
        )
