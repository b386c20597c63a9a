"""The pyramid that a build goes on from: its pixels under new ones, its tiles beside them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encode import encoder, mask_encoder
from ..encode.decode import decode_tile
from ..errors import DecodeError, SlabError, StoreError
from ..formats import MASK_FORMAT, PixelFormat, SlabKind, TileFormat
from ..kernels import nodata_mask, paint
from ..pyramid import Pyramid
from ..pyramid.slabs import SlabRef
from ..slab import SlabIndex
from .block import FULL, MIXED

__all__ = ["Base"]

_KEPT_BYTES = 128 << 20
"""Old slabs kept in memory between the first block that needs one and the writing of its successor."""


@dataclass(frozen=True, slots=True)
class _OldSlab:
    data: bytes
    index: SlabIndex


class Base:
    """An older pyramid of the same grid, format and slab size. Safe for many threads.

    ``listed``: the slabs that it must have; one of them that does not exist is an error, any other one is nodata.
    """

    def __init__(self, pyramid: Pyramid, listed: Collection[SlabRef]) -> None:
        matrix = pyramid.levels[0].matrix
        self._pyramid = pyramid
        self._listed = listed
        self._tile = matrix.tile_height, matrix.tile_width
        self._levels = {level.id: level.descriptor for level in pyramid.levels}
        self._blank = encoder(pyramid.format, matrix.tile_width, matrix.tile_height).nodata_tile
        masks = mask_encoder(matrix.tile_width, matrix.tile_height)
        self._blank_mask = masks.nodata_tile
        self._full_mask = masks.encode(np.full((*self._tile, 1), 255, np.uint8))
        self._lock = Lock()
        self._slabs: OrderedDict[SlabRef, Future[_OldSlab | None]] = OrderedDict()
        self._bytes = 0

    def underlay(
        self,
        level: str,
        column: int,
        row: int,
        pixels: NDArray[Any],
        mask: NDArray[np.uint8],
        states: NDArray[np.uint8],
    ) -> None:
        """Put old pixels where a block has no new ones, in its MIXED tiles; ``states`` and ``mask`` then say so.

        ``column`` and ``row`` are those of the block's first tile. Raises DecodeError, SlabError or StoreError naming
        level and tile.
        """
        height, width = self._tile
        for j, i in np.argwhere(states == MIXED).tolist():
            part = np.s_[j * height : (j + 1) * height, i * width : (i + 1) * width]
            old = self.decoded(level, column + i, row + j)
            if old is None:
                continue
            paint(pixels[part], mask[part], old[0], np.where(mask[part] == 0, old[1], np.uint8(0)))
            if mask[part].all():
                states[j, i] = FULL

    def completed(self, kind: SlabKind, level: str, column: int, row: int, tiles: Sequence[bytes]) -> list[bytes]:
        """The tiles of a slab with the old one's bytes in place of those that are empty. Raises as ``underlay``."""
        ref = SlabRef(kind, level, column, row)
        slab = self._slab(ref)
        blank = self._blank if kind is SlabKind.DATA else self._blank_mask
        data = self._slab(ref._replace(kind=SlabKind.DATA)) if kind is SlabKind.MASK and slab is None else None
        found = []
        for number, tile in enumerate(tiles):
            old = tile or (self._payload(ref, slab, number) if slab is not None else None)
            if old is None and data is not None and data.index.sizes[number]:
                old = self._full_mask  # data without a mask slab is data everywhere
            found.append(old or blank)
        self._forget(ref)
        return found

    def decoded(self, level: str, column: int, row: int) -> tuple[NDArray[Any], NDArray[np.uint8]] | None:
        """Pixels and mask (0 = nodata) of an old tile; None when it has no data."""
        described = self._levels.get(level)
        if described is None:
            return None
        slab_column, slab_row, number = described.slab_of(column, row)
        ref = SlabRef(SlabKind.DATA, level, slab_column, slab_row)
        slab = self._slab(ref)
        data = None if slab is None else self._payload(ref, slab, number)
        if data is None:
            return None
        fmt = self._pyramid.format
        if not self._pyramid.has_masks:
            if data == self._blank:
                return None
            pixels = self._pixels(ref, number, fmt, data)
            return pixels, nodata_mask(pixels, fmt.nodata)
        mask_ref = ref._replace(kind=SlabKind.MASK)
        mask_slab = self._slab(mask_ref)
        stored = None if mask_slab is None else self._payload(mask_ref, mask_slab, number)
        if stored == self._blank_mask:
            return None
        if stored is None:
            mask = np.full(self._tile, 255, np.uint8)
        else:
            mask = np.where(
                self._pixels(mask_ref, number, MASK_FORMAT, stored)[..., 0] != 0, np.uint8(255), np.uint8(0)
            )
        return self._pixels(ref, number, fmt, data), mask

    def _pixels(self, ref: SlabRef, number: int, fmt: PixelFormat | TileFormat, data: bytes) -> NDArray[Any]:
        channels = fmt.channels if isinstance(fmt, PixelFormat) else 1
        height, width = self._tile
        try:
            return decode_tile(fmt, channels, width, height, data)
        except DecodeError as error:
            raise DecodeError(f"{self._name(ref, number)}: {error}; verify the old pyramid") from error

    def _payload(self, ref: SlabRef, slab: _OldSlab, number: int) -> bytes | None:
        """Bytes of a tile, None when none are stored."""
        offset, size = slab.index.tile_range(number)
        data = slab.data[offset : offset + size]
        if len(data) != size:
            raise SlabError(
                f"{self._name(ref, number)}: {size} bytes at {offset} are beyond the end of the slab: "
                "verify the old pyramid"
            )
        return data or None

    def _name(self, ref: SlabRef, number: int) -> str:
        down, across = divmod(number, self._levels[ref.level].tiles_per_width)
        column = ref.col * self._levels[ref.level].tiles_per_width + across
        row = ref.row * self._levels[ref.level].tiles_per_height + down
        where = self._pyramid.store.location(self._pyramid.slab_key(ref))
        return f"old level {ref.level}, tile column {column}, row {row} ({where})"

    def _slab(self, ref: SlabRef) -> _OldSlab | None:
        """An old slab, read once however many threads ask; None when there is none."""
        if ref.level not in self._levels or (ref.kind is SlabKind.MASK and not self._pyramid.has_masks):
            return None
        with self._lock:
            future = self._slabs.get(ref)
            if future is None:
                mine = self._slabs[ref] = Future()
            else:
                self._slabs.move_to_end(ref)
        if future is not None:
            return future.result()
        try:
            found = self._read(ref)
        except BaseException as error:
            with self._lock:
                del self._slabs[ref]
            mine.set_exception(error)
            raise
        mine.set_result(found)
        with self._lock:
            self._bytes += len(found.data) if found is not None else 0
            for key in [key for key, other in self._slabs.items() if other.done() and key != ref]:
                if self._bytes <= _KEPT_BYTES:
                    break
                self._drop(key)
        return found

    def _read(self, ref: SlabRef) -> _OldSlab | None:
        found = self._pyramid.slab_data(ref)
        if found is not None:
            return _OldSlab(*found)
        if ref in self._listed:
            where = self._pyramid.store.location(self._pyramid.slab_key(ref))
            raise StoreError(
                f"old level {ref.level}, slab column {ref.col}, row {ref.row} ({where}) is listed, but it does not "
                "exist: verify the old pyramid"
            )
        return None

    def _forget(self, ref: SlabRef) -> None:
        """An old slab is not needed any more."""
        with self._lock:
            if ref in self._slabs:
                self._drop(ref)

    def _drop(self, ref: SlabRef) -> None:
        slab = self._slabs.pop(ref).result()
        self._bytes -= 0 if slab is None else len(slab.data)
