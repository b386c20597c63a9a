"""Blocks of one band to the bytes of a row of the block table, and back, bit for bit as geodatabases have them.

===========  =====================================================================================================
compression  bytes of a block
===========  =====================================================================================================
NONE         pixels row by row, big-endian; those of 1, 2 and 4 bits packed, the first one in the most significant
             bits, over the whole block without gaps between rows; then, unless all pixels are data, the mask: a bit
             per pixel, 1 = data, packed alike. Its presence is told by the length alone
LZ77         one zlib stream of that
JPEG         0x01 and a grey JPEG file; with a mask 0xFE, the size of the JPEG (uint32, little-endian), the JPEG, and
             the zlib stream of the mask
JP2          0x00 and a JPEG 2000 file or codestream; with a mask 0xFF and the rest as for JPEG
===========  =====================================================================================================

A block without data is not stored at all. The bytes of a row are not trusted: sizes are known before anything is
inflated or allocated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

import numpy as np

from .. import _native
from ..encode.deflate import DEFAULT_LEVEL, deflater
from ..errors import DecodeError, EncodeError
from .codec_lossy import decode_jp2, decode_jpeg, encode_jp2, encode_jpeg
from .pixels import Compression, Mask, Pixels, PixelType, check_compression

__all__ = ["MAX_BLOCK_SIDE", "BlockCodec", "Compression"]

MAX_BLOCK_SIDE = 4096
"""Pixels; a block of doubles is then 128 MiB."""

_MARKS = {Compression.JPEG: (1, 0xFE), Compression.JP2: (0, 0xFF)}
_In = TypeVar("_In")
_Out = TypeVar("_Out")


class BlockCodec:
    """Codec of blocks (block_height, block_width) of one pixel type; may serve several threads at once.

    ``quality``: 1 to 100, of JPEG and JPEG 2000 (where 100 is lossless). ``level``: 1 (fast) to 12 (small), of LZ77 and
    of the masks. ConfigError when the compression cannot hold such pixels, EncodeError on numbers out of range.
    """

    def __init__(
        self,
        pixel_type: PixelType,
        block_width: int,
        block_height: int,
        compression: Compression = Compression.LZ77,
        quality: int = 75,
        level: int = DEFAULT_LEVEL,
    ) -> None:
        if not (1 <= block_width <= MAX_BLOCK_SIDE and 1 <= block_height <= MAX_BLOCK_SIDE):
            raise EncodeError(
                f"a block of {block_width} x {block_height} pixels: expected 1 to {MAX_BLOCK_SIDE} on a side"
            )
        if not 1 <= quality <= 100:
            raise EncodeError(f"quality {quality}: expected 1 to 100")
        check_compression(pixel_type, compression)
        self.pixel_type = pixel_type
        self.block_width = block_width
        self.block_height = block_height
        self.compression = compression
        self.quality = quality
        self._shape = (block_height, block_width)
        self._count = block_width * block_height
        self._pixel_bytes = (self._count * pixel_type.bits + 7) // 8
        self._mask_bytes = (self._count + 7) // 8
        self._deflate = deflater(level)

    def encode(self, block: Pixels, mask: Mask | None = None) -> bytes | None:
        """Bytes of a block (block_height, block_width), None when no pixel is data.

        ``mask``: None when every pixel is data. Pixels that are nodata are stored as they are. EncodeError for another
        shape or dtype and for values that the pixel type cannot hold.
        """
        pixels, valid = self._checked(block, "block"), self._checked_mask(mask)
        packed = np.empty(self._pixel_bytes + (self._mask_bytes if mask is not None else 0), np.uint8)
        size = _native.pack_block(pixels, self.pixel_type.bits, valid, packed)
        if size == 0:
            return None
        if size < 0:
            raise EncodeError(f"block holds {int(pixels.max())}: {self.pixel_type.value} pixels are 0 to {self._most}")
        if self.compression is Compression.NONE:
            return packed[:size].tobytes()
        if self.compression is Compression.LZ77:
            return self._deflate(packed[:size])
        return self._encode_lossy(pixels, packed[self._pixel_bytes : size])

    def decode(self, data: bytes) -> tuple[Pixels, Mask | None]:
        """Pixels and mask (None when every pixel is data), new arrays, of the bytes of a row.

        DecodeError, one line, when they are not exactly a block of this size and type.
        """
        if self.compression.is_lossy:
            return self._decode_lossy(data)
        if self.compression is Compression.LZ77:
            data = inflate(data, self._pixel_bytes + self._mask_bytes)
        if len(data) not in (self._pixel_bytes, self._pixel_bytes + self._mask_bytes):
            raise DecodeError(
                f"block of {len(data)} bytes instead of {self._pixel_bytes}, "
                f"or {self._pixel_bytes + self._mask_bytes} with a mask"
            )
        pixels = np.empty(self._shape, self.pixel_type.dtype)
        view = memoryview(data)
        _native.unpack_block(view[: self._pixel_bytes], self.pixel_type.bits, pixels)
        return pixels, self._mask(view[self._pixel_bytes :])

    def encode_many(
        self, blocks: Iterable[Pixels], masks: Iterable[Mask | None] | None = None, threads: int = 1
    ) -> list[bytes | None]:
        """``encode`` of each block with its mask; the order stays. The GIL is released most of the time."""
        pairs = [(block, None) for block in blocks] if masks is None else list(zip(blocks, masks, strict=True))
        return _each(lambda pair: self.encode(*pair), pairs, threads)

    def decode_many(self, rows: Iterable[bytes | None], threads: int = 1) -> list[tuple[Pixels, Mask | None] | None]:
        """``decode`` of each row, None where there is none; the order stays."""
        return _each(lambda data: None if data is None else self.decode(data), list(rows), threads)

    @property
    def _most(self) -> int:
        return int(self.pixel_type.most)

    def _checked(self, block: Pixels, name: str) -> Pixels:
        """Contiguous pixels in native byte order."""
        dtype = self.pixel_type.dtype
        if block.shape != self._shape:
            raise EncodeError(f"{name} of shape {block.shape} given, {self._shape} expected")
        if block.dtype == bool and self.pixel_type is PixelType.U1:
            block = block.view(np.uint8)
        if (block.dtype.kind, block.dtype.itemsize) != (dtype.kind, dtype.itemsize):
            raise EncodeError(f"{name} of {block.dtype} given, {self.pixel_type.value} pixels are {dtype}")
        return np.ascontiguousarray(block, dtype)

    def _checked_mask(self, mask: Mask | None) -> Mask | None:
        if mask is None:
            return None
        if mask.shape != self._shape or mask.dtype not in (np.uint8, np.bool_):
            raise EncodeError(f"mask of {mask.dtype} {mask.shape} given, uint8 {self._shape} expected")
        return cast(Mask, np.ascontiguousarray(mask).view(np.uint8))

    def _encode_lossy(self, pixels: Pixels, mask: Mask) -> bytes:
        encode = encode_jpeg if self.compression is Compression.JPEG else encode_jp2
        stream = encode(pixels, self.quality)
        plain, masked = _MARKS[self.compression]
        if not mask.size:
            return bytes((plain,)) + stream
        return b"".join((bytes((masked,)), len(stream).to_bytes(4, "little"), stream, self._deflate(mask)))

    def _decode_lossy(self, data: bytes) -> tuple[Pixels, Mask | None]:
        plain, masked = _MARKS[self.compression]
        name = self.compression.value
        if not data or data[0] not in (plain, masked):
            raise DecodeError(
                f"{name} block begins with {data[:1].hex() or 'nothing'}: {plain:02x} or {masked:02x} expected"
            )
        stream, mask = data[1:], b""
        if data[0] == masked:
            size = int.from_bytes(data[1:5], "little")
            if len(data) < 5 or size > len(data) - 5:
                raise DecodeError(f"{name} block of {len(data)} bytes is too short for an image of {size} bytes")
            stream = data[5 : 5 + size]
            mask = inflate(data[5 + size :], self._mask_bytes)
            if len(mask) != self._mask_bytes:
                raise DecodeError(f"mask of {len(mask)} bytes instead of {self._mask_bytes}")
        decode = decode_jpeg if self.compression is Compression.JPEG else decode_jp2
        return decode(stream, self.block_width, self.block_height), self._mask(memoryview(mask))

    def _mask(self, bits: memoryview) -> Mask | None:
        """Mask of packed bits, None without bits or when they are all 1."""
        if not bits:
            return None
        mask = np.empty(self._shape, np.uint8)
        return None if _native.unpack_mask(bits, mask) == 2 else mask


def inflate(data: bytes | memoryview, most: int) -> bytes:
    """What one zlib stream holds, ``most`` bytes at most. DecodeError when damaged, truncated, longer or followed."""
    from isal import isal_zlib

    failure = cast("type[Exception]", isal_zlib.error)
    stream = isal_zlib.decompressobj()
    try:
        # One byte more than allowed tells a longer stream from a right one.
        out: bytes = stream.decompress(data, most + 1)
    except (failure, ValueError, EOFError, OverflowError) as error:
        raise DecodeError(f"damaged deflate stream ({error})") from None
    if len(out) > most:
        raise DecodeError(f"deflate stream holds more than {most} bytes")
    if not stream.eof:
        raise DecodeError(f"deflate stream is truncated after {len(out)} bytes, or has no checksum")
    if stream.unused_data:
        raise DecodeError(f"{len(stream.unused_data)} bytes follow the deflate stream")
    return out


def _each(work: Callable[[_In], _Out], items: Sequence[_In], threads: int) -> list[_Out]:
    if threads <= 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(threads, len(items)), "blocks") as pool:
        return list(pool.map(work, items))
