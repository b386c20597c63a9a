"""What all tile encoders share: checking, cutting a block into tiles, constant tiles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EncodeError
from ..formats import PixelFormat

__all__ = ["Pixels", "TileEncoder"]

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.float32]
"""(rows, cols, channels), uint8 or float32; the last two axes contiguous, rows at any stride."""

_MAX_CONSTANTS = 16


class TileEncoder(ABC):
    """Turns tiles of one format and size into bytes.

    Keeps scratch memory between calls: use one per thread. ``tile_width`` and ``tile_height`` are pixels.
    """

    remembers_constants = True
    """Whether finding out that a tile is constant costs less than encoding it."""

    def __init__(self, fmt: PixelFormat, tile_width: int, tile_height: int) -> None:
        if tile_width < 1 or tile_height < 1:
            raise EncodeError(f"a tile of {tile_width} x {tile_height} pixels cannot be encoded")
        self.format = fmt
        self.tile_width = tile_width
        self.tile_height = tile_height
        self._dtype = np.dtype(fmt.dtype)
        self._row_bytes = tile_width * fmt.channels * self._dtype.itemsize
        self._word = next(size for size in (8, 4, 2, 1) if self._row_bytes % size == 0)
        self._constants: dict[bytes, bytes] = {}
        self._nodata: bytes | None = None

    @abstractmethod
    def _pack(self, tile: npt.NDArray[Any]) -> bytes:
        """Bytes of a checked tile (tile_height, tile_width, channels), rows at any stride."""

    @property
    def nodata_tile(self) -> bytes:
        """The tile where every pixel is nodata; encoded once."""
        if self._nodata is None:
            tile = np.empty((self.tile_height, self.tile_width, self.format.channels), self._dtype)
            tile[...] = self.format.nodata
            self._nodata = self._constants[tile[0, 0].tobytes()] = self._pack(tile)
        return self._nodata

    def encode(self, tile: Pixels) -> bytes:
        """Bytes of one tile, (tile_height, tile_width, channels). Raises EncodeError for another shape or dtype."""
        pixels = self._check(tile)
        if pixels.shape[:2] != (self.tile_height, self.tile_width):
            raise EncodeError(
                f"a tile of {pixels.shape[1]} x {pixels.shape[0]} pixels was given to an encoder of "
                f"{self.tile_width} x {self.tile_height}"
            )
        return self._encode(pixels)

    def encode_block(self, block: Pixels, wanted: npt.NDArray[np.bool_] | None = None) -> list[list[bytes | None]]:
        """Bytes of each tile of a block of whole tiles: ``result[tile row][tile column]``.

        ``wanted``, (tile rows, tile columns), says which tiles are asked for, all when None; None stands for the
        others. Raises EncodeError when the block's shape or dtype does not fit.
        """
        pixels = self._check(block)
        width, height = self.tile_width, self.tile_height
        rows, odd_rows = divmod(pixels.shape[0], height)
        columns, odd_columns = divmod(pixels.shape[1], width)
        if odd_rows or odd_columns:
            raise EncodeError(
                f"a block of {pixels.shape[1]} x {pixels.shape[0]} pixels is not made of {width} x {height} tiles"
            )
        if wanted is None:
            wanted = np.ones((rows, columns), np.bool_)
        elif wanted.shape != (rows, columns):
            raise EncodeError(f"wanted has shape {wanted.shape} for {rows} x {columns} tiles")
        return self._encode_tiles(pixels, wanted)

    def _encode_tiles(self, pixels: npt.NDArray[Any], wanted: npt.NDArray[np.bool_]) -> list[list[bytes | None]]:
        """``encode_block`` behind its checks; encoders with a batch verb of their own override it."""
        width, height = self.tile_width, self.tile_height
        return [
            [
                self._encode(pixels[y * height : (y + 1) * height, x * width : (x + 1) * width]) if ask else None
                for x, ask in enumerate(row)
            ]
            for y, row in enumerate(wanted.tolist())
        ]

    def _check(self, pixels: Pixels) -> npt.NDArray[Any]:
        """``pixels`` with three axes, the last two contiguous."""
        if pixels.dtype != self._dtype:
            raise EncodeError(f"{pixels.dtype} pixels cannot be stored as {self.format.format.name}")
        if pixels.ndim == 2:
            pixels = pixels[:, :, None]
        channels = self.format.channels
        if pixels.ndim != 3 or pixels.shape[2] != channels:
            raise EncodeError(f"pixels of shape {pixels.shape} given, (rows, columns, {channels}) expected")
        size = self._dtype.itemsize
        if (channels > 1 and pixels.strides[2] != size) or pixels.strides[1] != size * channels:
            return np.ascontiguousarray(pixels)
        return pixels

    def _encode(self, tile: npt.NDArray[Any]) -> bytes:
        if not self.remembers_constants:
            return self._pack(tile)
        key = self._constant(tile)
        if key is None:
            return self._pack(tile)
        encoded = self._constants.get(key)
        if encoded is None:
            encoded = self._pack(tile)
            if len(self._constants) < _MAX_CONSTANTS:
                self._constants[key] = encoded
        return encoded

    def _rows(self, tile: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """The tile as rows of bytes, (tile_height, row bytes), a view."""
        rows: npt.NDArray[np.uint8] = tile.reshape(self.tile_height, -1).view(np.uint8)
        return rows

    def _constant(self, tile: npt.NDArray[Any]) -> bytes | None:
        """The bytes of a pixel when all pixels are equal bit by bit, else None.

        Two pixels decide for nearly all tiles; only what passes pays for a look at everything.
        """
        key = tile[0, 0].tobytes()
        if tile[-1, -1].tobytes() != key or tile[self.tile_height // 2, self.tile_width // 2].tobytes() != key:
            return None
        rows = self._rows(tile)
        if rows[0].tobytes() != key * self.tile_width:
            return None
        words = rows.view(f"u{self._word}")
        return key if bool((words == words[0]).all()) else None
