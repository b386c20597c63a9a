"""Opening a pyramid and reading its tiles, masks and windows of pixels."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..encode.decode import decode_tile
from ..errors import ConfigError, DecodeError, DescriptorError, GridError, SlabError, StoreError
from ..formats import MASK_FORMAT, PixelFormat, SlabKind, TileFormat
from ..frozen import frozen
from ..grid.bounds import BoundingBox
from ..grid.matrix import TileMatrixSet
from ..grid.tms import load_tms
from ..slab.header import first_tile_offset
from ..slab.reader import SlabIndex, read_index
from ..store import Store, StoreNotFound, open_location
from .changing import resolve
from .descriptor import Descriptor, parse_descriptor
from .list import parse_list
from .slabs import SlabRef, level_store, pyramid_key, read_head, stored_slabs
from .window import Level, PixelWindow, open_levels

if TYPE_CHECKING:
    from .verify_report import VerifyReport

__all__ = [
    "MAX_READ_BYTES",
    "Level",
    "PixelWindow",
    "Pyramid",
    "SlabRef",
    "find_tms",
    "open_descriptor",
    "open_pyramid",
]

MAX_READ_BYTES = 2**31
"""Largest result of one ``Pyramid.read``, pixels and mask together."""

_INDEX_CACHE_BYTES = 32 * 2**20

Image = npt.NDArray[Any]
Mask = npt.NDArray[np.uint8]


@frozen
class _OpenSlab:
    """Index of a slab, and the store and key its bytes are at, links followed."""

    store: Store
    key: str
    index: SlabIndex


class Pyramid:
    """A pyramid open for reading. All methods may be called from many threads at once.

    Slab indexes are kept in memory (least recently used leave first): after the first tile of a slab, each tile is one
    ranged read. Absent slabs are looked up again each time. After another process rewrote the pyramid, open it anew.
    """

    def __init__(self, store: Store, key: str, descriptor: Descriptor, tile_matrix_set: TileMatrixSet) -> None:
        self.store = store
        self.key = key
        self.descriptor = descriptor
        self.tile_matrix_set = tile_matrix_set
        self.levels = open_levels(descriptor.name, descriptor.levels, tile_matrix_set)
        self._by_id = {level.id: level for level in self.levels}
        self._indexes: OrderedDict[SlabRef, _OpenSlab] = OrderedDict()
        self._index_bytes = 0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Pyramid {self.uri}: {self.format.format.name}, {len(self.levels)} levels>"

    @property
    def name(self) -> str:
        return self.descriptor.name

    @property
    def uri(self) -> str:
        """Where the descriptor is: what ``open_pyramid`` takes."""
        return self.store.location(self.key)

    @property
    def format(self) -> PixelFormat:
        """Tile format, channels and nodata."""
        return self.descriptor.format

    @property
    def nodata(self) -> tuple[int, ...]:
        """Nodata value, one integer per channel."""
        return self.descriptor.format.nodata

    @property
    def has_masks(self) -> bool:
        """Whether data masks are stored next to the pixels."""
        return self.descriptor.mask

    @property
    def extent(self) -> BoundingBox:
        """Box around the tile limits of the finest level, in the CRS of the tile matrix set."""
        return self.levels[0].bounds

    @property
    def size(self) -> int:
        """Bytes of all slabs, data and masks; linked slabs count with their full size. Asks the storage each time."""
        return sum(self.slab_bytes(ref) for ref in self.slabs())

    def level(self, level: str | int | Level) -> Level:
        """The level of that id. Raises DescriptorError naming the known ones."""
        asked = level.id if isinstance(level, Level) else str(level)
        found = self._by_id.get(asked)
        if found is None:
            known = ", ".join(one.id for one in self.levels)
            raise DescriptorError(f"pyramid {self.name} has no level {asked[:80]!r}: its levels are {known}")
        return found

    def slab_key(self, ref: SlabRef) -> str:
        """Key of a slab in ``store``."""
        return pyramid_key(self.key, self._by_id[ref.level].descriptor, ref.kind, ref.col, ref.row)

    def slabs(self) -> Iterator[SlabRef]:
        """The slabs that the list file names, or all that exist where there is no list. Raises DescriptorError."""
        try:
            data = self.store.get(self.key.removesuffix(".json") + ".list")
        except StoreNotFound:
            yield from self._existing_slabs()
            return
        for entry in parse_list(data, f"{self.name}.list").entries:
            kind, level, col, row = entry.slab()
            if level in self._by_id:
                yield SlabRef(kind, level, col, row)

    def _existing_slabs(self) -> Iterator[SlabRef]:
        kinds = (SlabKind.DATA, SlabKind.MASK) if self.has_masks else (SlabKind.DATA,)
        for level in self.levels:
            for kind in kinds:
                for _, slab in stored_slabs(self.store, self.key, level.descriptor, kind):
                    if slab is not None:
                        yield SlabRef(kind, level.id, *slab)

    def slab_bytes(self, ref: SlabRef) -> int:
        """Bytes of a slab as stored (of the link, for linked objects). Raises StoreNotFound when it does not exist."""
        return level_store(self.store, self.level(ref.level).descriptor).size(self.slab_key(ref))

    def tile_sizes(self, ref: SlabRef) -> list[int]:
        """Bytes of each tile of a slab, row by row from its top left. Raises StoreNotFound when it does not exist."""
        slab = self._open_slab(ref)
        if slab is None:
            raise StoreNotFound(f"{self.store.location(self.slab_key(ref))} does not exist")
        sizes: list[int] = slab.index.sizes.tolist()
        return sizes

    def slab_data(self, ref: SlabRef) -> tuple[bytes, SlabIndex] | None:
        """All bytes of a slab, links followed, and where its tiles are in them; None when it does not exist.

        Raises SlabError or StoreError naming level, slab and file when it cannot be used.
        """
        slab = self._open_slab(ref)
        return None if slab is None else (slab.store.get(slab.key), slab.index)

    def tile_bytes(self, level: str | int | Level, col: int, row: int) -> bytes | None:
        """The stored bytes of a tile; None outside the tile limits and where nothing is stored (nodata).

        Raises DescriptorError for an unknown level, SlabError or StoreError naming level, tile and file when the slab
        cannot be read.
        """
        return self._tile_bytes(self.level(level), SlabKind.DATA, col, row)

    def tile(self, level: str | int | Level, col: int, row: int) -> Image | None:
        """Pixels of a tile (rows, cols, channels), None as for ``tile_bytes``. Raises DecodeError too."""
        return self._tile(self.level(level), SlabKind.DATA, col, row)

    def mask(self, level: str | int | Level, col: int, row: int) -> Mask | None:
        """Data mask of a tile (rows, cols), 0 = nodata; None where no tile is stored.

        Without stored masks, or without a mask slab here, every pixel of a stored tile is data (255).
        """
        found = self.level(level)
        if self.has_masks:
            mask = self._tile(found, SlabKind.MASK, col, row)
            if mask is not None:
                return _binary(mask)
        if self._tile_range(found, SlabKind.DATA, col, row) is None:
            return None
        return np.full((found.matrix.tile_height, found.matrix.tile_width), 255, np.uint8)

    def read(self, level: str | int | Level, bbox: BoundingBox | None = None) -> tuple[Image, Mask]:
        """Pixels (rows, cols, channels) and mask (rows, cols) of a box in the CRS of the tile matrix set.

        The box is snapped outward to the level's pixels; None is the whole level. Where nothing is stored pixels are
        nodata and the mask is 0. ``level.window_bounds(level.window(bbox))`` is the box the result covers. Raises
        ConfigError for a result over 2 GiB (export_level streams any size) and the errors of ``tile``.
        """
        found = self.level(level)
        return self.read_window(found, found.window(bbox))

    def read_window(self, level: str | int | Level, window: PixelWindow) -> tuple[Image, Mask]:
        """The same for a window of pixels."""
        found = self.level(level)
        size = self._read_size(window)
        hint = "read a smaller box or a coarser level, or export it (export_level, fastpyr export)"
        if not 0 < size <= MAX_READ_BYTES or min(window.width, window.height) < 1:
            shape = f"{window.width} x {window.height} pixels of level {found.id}"
            raise ConfigError(f"{shape} are {size} bytes, more than the {MAX_READ_BYTES} of one read: {hint}")
        try:
            pixels = np.empty((window.height, window.width, self.format.channels), self.format.dtype)
            mask = np.zeros((window.height, window.width), np.uint8)
        except MemoryError:
            raise ConfigError(f"not enough memory for {size} bytes: {hint}") from None
        pixels[...] = self.nodata
        tiles = found.tiles_of(window)
        if tiles is not None:
            for row in range(tiles.min_row, tiles.max_row + 1):
                for col in range(tiles.min_col, tiles.max_col + 1):
                    self._paste(found, col, row, window, pixels, mask)
        return pixels, mask

    def verify(self, **options: Any) -> VerifyReport:
        """Check everything; options as of ``verify_pyramid`` (all_tiles, gamma, threads, progress)."""
        from .verify import verify_pyramid

        return verify_pyramid(self.store, self.key, tile_matrix_set=self.tile_matrix_set, **options)

    def _read_size(self, window: PixelWindow) -> int:
        pixel = self.format.channels * self.format.format.sample.size + 1
        return max(window.width, 0) * max(window.height, 0) * pixel

    def _paste(self, level: Level, col: int, row: int, window: PixelWindow, pixels: Image, mask: Mask) -> None:
        tile = self._tile(level, SlabKind.DATA, col, row)
        if tile is None:
            return
        tw, th = level.matrix.tile_width, level.matrix.tile_height
        x0, y0 = max(col * tw, window.x0), max(row * th, window.y0)
        x1, y1 = min((col + 1) * tw, window.x1), min((row + 1) * th, window.y1)
        here = np.s_[y0 - window.y0 : y1 - window.y0, x0 - window.x0 : x1 - window.x0]
        there = np.s_[y0 - row * th : y1 - row * th, x0 - col * tw : x1 - col * tw]
        pixels[here] = tile[there]
        stored = self._tile(level, SlabKind.MASK, col, row) if self.has_masks else None
        mask[here] = 255 if stored is None else _binary(stored[there])

    def _tile(self, level: Level, kind: SlabKind, col: int, row: int) -> Image | None:
        data = self._tile_bytes(level, kind, col, row)
        if data is None:
            return None
        format: TileFormat = self.format.format if kind is SlabKind.DATA else MASK_FORMAT
        channels = self.format.channels if kind is SlabKind.DATA else 1
        try:
            return decode_tile(format, channels, level.matrix.tile_width, level.matrix.tile_height, data)
        except DecodeError as error:
            slab_col, slab_row, _ = level.descriptor.slab_of(col, row)
            where = self.store.location(self.slab_key(SlabRef(kind, level.id, slab_col, slab_row)))
            raise DecodeError(f"level {level.id}, tile column {col}, row {row} ({where}): {error}") from error

    def _tile_bytes(self, level: Level, kind: SlabKind, col: int, row: int) -> bytes | None:
        found = self._tile_range(level, kind, col, row)
        if found is None:
            return None
        slab, offset, size = found
        try:
            data = slab.store.get_range(slab.key, offset, size)
        except StoreError as error:
            raise StoreError(f"level {level.id}, tile column {col}, row {row}: {error}") from error
        if len(data) != size:
            raise SlabError(
                f"level {level.id}, tile column {col}, row {row}: {slab.store.location(slab.key)} is truncated, "
                f"{len(data)} of {size} bytes are at {offset}"
            )
        return data

    def _tile_range(self, level: Level, kind: SlabKind, col: int, row: int) -> tuple[_OpenSlab, int, int] | None:
        """Slab, offset and size of a stored tile."""
        if not level.limits.contains(col, row):
            return None
        slab_col, slab_row, number = level.descriptor.slab_of(col, row)
        slab = self._open_slab(SlabRef(kind, level.id, slab_col, slab_row))
        if slab is None:
            return None
        offset, size = slab.index.tile_range(number)
        return (slab, offset, size) if size else None

    def _open_slab(self, ref: SlabRef) -> _OpenSlab | None:
        with self._lock:
            slab = self._indexes.get(ref)
            if slab is not None:
                self._indexes.move_to_end(ref)
                return slab
        slab = self._load_slab(ref)
        if slab is None:
            return None
        with self._lock:
            if self._indexes.setdefault(ref, slab) is slab:
                self._index_bytes += 8 * len(slab.index)
            while self._index_bytes > _INDEX_CACHE_BYTES and len(self._indexes) > 1:
                _, old = self._indexes.popitem(last=False)
                self._index_bytes -= 8 * len(old.index)
        return slab

    def _load_slab(self, ref: SlabRef) -> _OpenSlab | None:
        level = self._by_id[ref.level].descriptor
        try:
            head = read_head(self.store, level, self.slab_key(ref), self.head_size(ref))
        except StoreNotFound:
            return None
        return _OpenSlab(head.store, head.key, self.parse_head(ref, head.data))

    def head_size(self, ref: SlabRef) -> int:
        """Bytes of header and index of a slab."""
        return first_tile_offset(self._by_id[ref.level].descriptor.tiles_per_slab)

    def parse_head(self, ref: SlabRef, data: bytes) -> SlabIndex:
        """The index in the first ``head_size`` bytes of a slab.

        Raises SlabError when they are not those of a slab of this pyramid.
        """
        level = self._by_id[ref.level]
        format = self.format.format if ref.kind is SlabKind.DATA else MASK_FORMAT
        channels = self.format.channels if ref.kind is SlabKind.DATA else 1
        name = f"level {ref.level}, slab column {ref.col}, row {ref.row} ({self.store.location(self.slab_key(ref))})"
        header, index = read_index(data, level.descriptor.tiles_per_slab, name)
        wrong = header.mismatch(format, channels, level.matrix.tile_width, level.matrix.tile_height)
        if wrong is None and header.columns != level.tiles_per_width:
            wrong = f"it has {header.columns} tiles per row, not {level.tiles_per_width} as the descriptor says"
        if wrong:
            raise SlabError(f"{name}: {wrong}")
        return index


def _binary(mask: Mask) -> Mask:
    """(rows, cols, 1) as (rows, cols) of 0 and 255: any stored value but 0 means data."""
    return np.where(mask[..., 0] != 0, np.uint8(255), np.uint8(0))


def find_tms(name: str, descriptor: str) -> TileMatrixSet:
    """The tile matrix set that a descriptor names: a known name, never a path. Raises DescriptorError or GridError."""
    if os.path.basename(name) != name or "\\" in name:
        raise DescriptorError(f"descriptor {descriptor}: tile_matrix_set {name[:80]!r} is a path, not a name")
    try:
        return load_tms(name)
    except GridError as error:
        raise GridError(f"descriptor {descriptor}: {error}; or give its file (--tms)") from None


def open_descriptor(uri: str | os.PathLike[str]) -> tuple[Store, str, str]:
    """Store, key and pyramid name of a descriptor ``<name>.json``. Raises StoreError or DescriptorError."""
    store, key = open_location(uri)
    name = os.path.basename(key).removesuffix(".json")
    if not key.endswith(".json") or not name:
        raise DescriptorError(f"{store.location(key)} is not a pyramid descriptor: expected <name>.json")
    return store, key, name


def open_pyramid(uri: str | os.PathLike[str], tms: TileMatrixSet | str | os.PathLike[str] | None = None) -> Pyramid:
    """The pyramid of a descriptor ``<name>.json``: a path, or a URI as open_location takes it.

    ``tms`` is the tile matrix set, or its name or file, when the one that the descriptor names is not among the known
    ones. Raises StoreError when the descriptor cannot be read, DescriptorError or GridError when it cannot be used.
    """
    store, key, name = open_descriptor(uri)
    store, data = resolve(store, key, store.get(key))
    descriptor = parse_descriptor(data, name)
    for level in descriptor.levels:
        level_store(store, level)
    if tms is None:
        tms = find_tms(descriptor.tile_matrix_set, name)
    elif not isinstance(tms, TileMatrixSet):
        tms = load_tms(tms)
    return Pyramid(store, key, descriptor, tms)
