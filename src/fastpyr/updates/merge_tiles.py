"""Slabs made of the tiles of several pyramids: bytes kept where one has data, pixels laid over each other elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..encode import encoder, mask_encoder
from ..encode.base import TileEncoder
from ..encode.decode import decode_tile
from ..errors import DecodeError, SlabError, StoreError
from ..formats import MASK_FORMAT, PixelFormat, SlabKind, TileFormat
from ..kernels import convert_channels, fill_nodata, overlay
from ..pyramid.reader import Level
from ..pyramid.slabs import SlabRef
from ..slab import SlabIndex, slab_chunks
from .merge_plan import Method, Source, Task, slab_tiles

__all__ = ["Composer", "Made"]

Mask = NDArray[np.uint8]


class Made(NamedTuple):
    """A slab's chunks by kind; ``data`` None when none of its tiles has data, ``mask`` None without masks."""

    data: list[bytes] | None
    mask: list[bytes] | None


class _Tools:
    """Encoders of one thread for one size of tiles, and tiles that are the same everywhere."""

    def __init__(self, pixels: PixelFormat, width: int, height: int) -> None:
        self.pixels: TileEncoder = encoder(pixels, width, height)
        self.masks = mask_encoder(width, height)
        self.blank = self.pixels.nodata_tile
        self.no_data = self.masks.nodata_tile
        self.all_data = self.masks.encode(np.full((height, width, 1), 255, np.uint8))


class _Tile(NamedTuple):
    """A stored tile that has data. ``mask`` None: all of it is; ``stored_mask``: the bytes of a mask."""

    part: _Part
    number: int
    mask: Mask | None
    stored_mask: bytes | None


class _Part:
    """One source's slab in memory, its tiles by number."""

    def __init__(self, source: Source, level: Level, task: Task) -> None:
        self.source = source
        self.level = level
        self.limits = source.limits_in(level.descriptor, task.col, task.row)
        self._task = task
        data = self._load(SlabKind.DATA)
        assert data is not None
        self._data = data
        self._masks = self._load(SlabKind.MASK)

    def _load(self, kind: SlabKind) -> tuple[bytes, SlabIndex] | None:
        slab = self.source.slab(kind, self._task)
        if slab is None:
            return None
        found = self.source.pyramid.slab_data(SlabRef(*slab.ref))
        if found is None:
            where = self.source.inventory.location(slab.ref)
            raise StoreError(f"{where} is listed, but it does not exist: verify the pyramid")
        return found

    def tile(self, number: int, tools: _Tools) -> _Tile | None:
        """A tile that has data, else None."""
        col, row = self.place(number)
        if self.limits is None or not self.limits.contains(col, row) or not self._data[1].sizes[number]:
            return None
        stored = None if self._masks is None else self._payload(SlabKind.MASK, self._masks, number)
        if stored == tools.no_data:
            return None
        if stored is None or stored == tools.all_data:
            return _Tile(self, number, None, None)
        mask = self._decode(SlabKind.MASK, number, MASK_FORMAT, 1, stored)[..., 0]
        if not mask.any():
            return None
        if mask.all():
            return _Tile(self, number, None, None)
        usual = bool(((mask == 0) | (mask == 255)).all())
        return _Tile(self, number, np.where(mask != 0, np.uint8(255), np.uint8(0)), stored if usual else None)

    def payload(self, number: int) -> bytes:
        """Encoded bytes of a tile that has data."""
        data = self._payload(SlabKind.DATA, self._data, number)
        assert data is not None
        return data

    def pixels(self, number: int) -> NDArray[Any]:
        """Decoded pixels of a tile that has data."""
        fmt = self.source.descriptor.format
        return self._decode(SlabKind.DATA, number, fmt.format, fmt.channels, self.payload(number))

    def place(self, number: int) -> tuple[int, int]:
        """Column and row of a tile."""
        row, col = divmod(number, self.level.tiles_per_width)
        return (
            self._task.col * self.level.tiles_per_width + col,
            self._task.row * self.level.tiles_per_height + row,
        )

    def _payload(self, kind: SlabKind, slab: tuple[bytes, SlabIndex], number: int) -> bytes | None:
        offset, size = slab[1].tile_range(number)
        data = slab[0][offset : offset + size]
        if len(data) != size:
            raise SlabError(f"{self._name(kind, number)}: {size} bytes at {offset} are beyond the end of the slab")
        return data or None

    def _decode(self, kind: SlabKind, number: int, fmt: TileFormat, channels: int, data: bytes) -> NDArray[Any]:
        matrix = self.level.matrix
        try:
            return decode_tile(fmt, channels, matrix.tile_width, matrix.tile_height, data)
        except DecodeError as error:
            raise DecodeError(f"{self._name(kind, number)}: {error}; verify the pyramid") from error

    def _name(self, kind: SlabKind, number: int) -> str:
        col, row = self.place(number)
        where = self.source.inventory.location(SlabRef(kind, self._task.level, self._task.col, self._task.row))
        return f"level {self._task.level}, tile column {col}, row {row} of {where}"


class Composer:
    """Makes slabs of format ``output``. For many threads.

    ``alike``: which sources have that very format, so that their tiles keep their bytes.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        output: PixelFormat,
        has_masks: bool,
        method: Method,
        transparent: tuple[int, int, int] | None,
    ) -> None:
        self._sources = sources
        self._output = output
        self._has_masks = has_masks
        self._transparent = transparent if method is Method.ALPHATOP else None
        self._method = method
        self._kernel = "top" if method is Method.REPLACE else method.value
        self.alike = [
            (s.descriptor.format.format, s.descriptor.format.channels) == (output.format, output.channels)
            for s in sources
        ]
        opaque = self._transparent is None and all(s.descriptor.format.channels % 2 for s in sources)
        self._covers = self._kernel == "top" or (self._kernel == "alphatop" and opaque)
        self._local = threading.local()

    def identity(self) -> list[Any]:
        """What tells the result of this composer from that of others, of the same sources and format."""
        return [self._method.value, list(self._transparent or ())]

    def slab(self, task: Task) -> Made:
        """The slab of a task. Raises DecodeError, SlabError or StoreError naming level and tile."""
        level = self._sources[task.sources[0]].pyramid.level(task.level)
        tools = self._tools(level)
        parts = [
            (_Part(self._sources[n], self._sources[n].pyramid.level(task.level), task), self.alike[n])
            for n in task.sources
        ]
        data, masks = [], []
        for number in range(level.descriptor.tiles_per_slab):
            tiles = [(tile, alike) for part, alike in parts if (tile := part.tile(number, tools)) is not None]
            encoded, mask = self._composed(tiles, tools)
            data.append(encoded)
            masks.append(mask)
        if all(mask == tools.no_data for mask in masks):
            return Made(None, None)
        return Made(self._chunks(level, self._output, data), self._mask_chunks(level, masks, tools))

    def mask_slab(self, task: Task) -> list[bytes]:
        """The mask slab of a source without one: its tiles are data as far as its limits reach."""
        source = self._sources[task.sources[0]]
        level = source.pyramid.level(task.level)
        tools = self._tools(level)
        limits = source.limits_in(level.descriptor, task.col, task.row)
        tiles = slab_tiles(level.descriptor, task.col, task.row)
        places = [
            (col, row)
            for row in range(tiles.min_row, tiles.max_row + 1)
            for col in range(tiles.min_col, tiles.max_col + 1)
        ]
        has_data = [limits is not None and limits.contains(*place) for place in places]
        return self._chunks(level, tools.masks.format, [tools.all_data if has else tools.no_data for has in has_data])

    def _mask_chunks(self, level: Level, masks: list[bytes], tools: _Tools) -> list[bytes] | None:
        return self._chunks(level, tools.masks.format, masks) if self._has_masks else None

    def _chunks(self, level: Level, fmt: PixelFormat, tiles: list[bytes]) -> list[bytes]:
        matrix = level.matrix
        width, height = level.tiles_per_width, level.tiles_per_height
        return slab_chunks(fmt, matrix.tile_width, matrix.tile_height, width, height, tiles)

    def _tools(self, level: Level) -> _Tools:
        size = level.matrix.tile_width, level.matrix.tile_height
        found: dict[tuple[int, int], _Tools] = self._local.__dict__.setdefault("tools", {})
        if size not in found:
            found[size] = _Tools(self._output, *size)
        return found[size]

    def _composed(self, tiles: list[tuple[_Tile, bool]], tools: _Tools) -> tuple[bytes, bytes]:
        """Bytes of a tile and of its mask, from the tiles that have data, the one on top first."""
        if self._covers:
            full = next((n for n, (tile, _) in enumerate(tiles) if tile.mask is None), len(tiles))
            tiles = tiles[: full + 1]
        if not tiles:
            return tools.blank, tools.no_data
        if len(tiles) == 1:
            tile, alike = tiles[0]
            return self._taken(tile, alike, tools), self._taken_mask(tile, tools)
        layers = [(tile.part.pixels(tile.number), tile.mask) for tile, _ in reversed(tiles)]
        pixels, mask = overlay(
            layers,
            self._output.channels,
            method=self._kernel,
            background=self._output.nodata,
            transparent=self._transparent,
        )
        return tools.pixels.encode(pixels), tools.masks.encode(mask[..., None])

    def _taken(self, tile: _Tile, alike: bool, tools: _Tools) -> bytes:
        """Bytes of a tile that is alone: as they are, or its pixels in the format of the result."""
        if alike:
            return tile.part.payload(tile.number)
        pixels = convert_channels(tile.part.pixels(tile.number), self._output.channels)
        if tile.mask is not None:
            fill_nodata(pixels, tile.mask, self._output.nodata)
        return tools.pixels.encode(pixels)

    def _taken_mask(self, tile: _Tile, tools: _Tools) -> bytes:
        if tile.mask is None:
            return tools.all_data
        return tile.stored_mask or tools.masks.encode(tile.mask[..., None])
