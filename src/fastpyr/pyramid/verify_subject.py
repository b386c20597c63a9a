"""The pyramid under verification, raster or vector, and the recording of findings about it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import DescriptorError
from ..formats import PixelFormat, SlabKind
from ..grid.matrix import TileMatrixSet
from ..store import Store
from .changing import resolve
from .descriptor import Descriptor, descriptor_problems, parse_descriptor
from .reader import find_tms
from .slabs import SlabRef, level_store, pyramid_key
from .verify_report import Finding, Severity, VerifyReport
from .window import Level, open_levels

__all__ = ["Progress", "Subject", "load_subject"]

Progress = Callable[[str, int, int], None]
"""``progress(stage, done, total)``: stage "slabs" or "upper levels"."""

_VECTOR_FORMAT = "TIFF_PBF_MVT"


@dataclass(slots=True)
class Subject:
    """What is verified. ``descriptor`` is None for vector pyramids, whose tiles are opaque.

    ``broken`` are slabs already reported as missing or unreadable: other checks leave them out.
    """

    store: Store
    key: str
    name: str
    levels: tuple[Level, ...]
    tile_matrix_set: TileMatrixSet
    descriptor: Descriptor | None
    report: VerifyReport
    broken: set[SlabRef] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def format(self) -> PixelFormat | None:
        return self.descriptor.format if self.descriptor else None

    @property
    def has_masks(self) -> bool:
        return self.descriptor is not None and self.descriptor.mask

    @property
    def kinds(self) -> tuple[SlabKind, ...]:
        """Kinds of slabs that the descriptor has places for."""
        return (SlabKind.DATA, SlabKind.MASK) if self.has_masks else (SlabKind.DATA,)

    def level(self, id: str) -> Level | None:
        return next((level for level in self.levels if level.id == id), None)

    def slab_key(self, ref: SlabRef) -> str:
        level = self.level(ref.level)
        assert level is not None, "slab references are made from the levels of the subject"
        return pyramid_key(self.key, level.descriptor, ref.kind, ref.col, ref.row)

    def add(
        self,
        check: str,
        message: str,
        severity: Severity = "error",
        *,
        ref: SlabRef | None = None,
        number: int | None = None,
        key: str | None = None,
        level: str | None = None,
    ) -> None:
        """Record a finding about a slab (``ref``), one of its tiles (``number``), another object, or a level."""
        slab = (ref.col, ref.row) if ref else None
        tile = self.tile_of(ref, number) if ref and number is not None else None
        if ref:
            level, key = ref.level, key or self.slab_key(ref)
        path = self.store.location(key) if key is not None else None
        self.report.add(Finding(severity, check, message, path, level, slab, tile))

    def mark_broken(self, ref: SlabRef) -> None:
        with self._lock:
            self.broken.add(ref)

    def tile_of(self, ref: SlabRef, number: int) -> tuple[int, int] | None:
        """(column, row) in the matrix of tile ``number`` of a slab."""
        level = self.level(ref.level)
        if level is None:
            return None
        row, col = divmod(number, level.tiles_per_width)
        return ref.col * level.tiles_per_width + col, ref.row * level.tiles_per_height + row


def load_subject(store: Store, key: str, name: str, tms: TileMatrixSet | None) -> Subject:
    """The pyramid of the descriptor at ``key``, raster or vector, with the findings about the descriptor itself.

    Raises StoreError, DescriptorError or GridError when the descriptor cannot be used at all.
    """
    store, data = resolve(store, key, store.get(key))
    report = VerifyReport(store.location(key))
    raster = not _is_vector(data)
    readable = data if raster else _as_raster(data, name)
    descriptor = parse_descriptor(readable, name)
    for described in descriptor.levels:
        level_store(store, described)
    tms = tms or find_tms(descriptor.tile_matrix_set, name)
    levels = open_levels(name, descriptor.levels, tms)
    subject = Subject(store, key, name, levels, tms, descriptor if raster else None, report)
    if raster:
        for problem in descriptor_problems(data, name):
            subject.add("descriptor", problem, key=key)
    for level in levels:
        if level.limits != level.descriptor.limits:
            matrix = level.matrix
            text = f"tile limits exceed the {matrix.matrix_width} x {matrix.matrix_height} tiles of the matrix"
            subject.add("limits", f"{text}: readers cut them", "warning", key=key, level=level.id)
    return subject


def _is_vector(data: bytes) -> bool:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False  # parse_descriptor says what is wrong
    return isinstance(document, dict) and document.get("format") == _VECTOR_FORMAT


def _as_raster(data: bytes, name: str) -> bytes:
    """A vector descriptor with a raster's facts in place of its own: levels, limits and storage are the same.

    Raises DescriptorError for levels that lack the list of tables that vector levels have.
    """
    document = json.loads(data)
    levels = document.get("levels")
    for level in levels if isinstance(levels, list) else []:
        if not isinstance(level, dict) or not isinstance(level.get("tables"), list):
            raise DescriptorError(f"descriptor {name}: a level of a vector pyramid has no list of tables")
    document["format"] = "TIFF_RAW_UINT8"
    document["raster_specifications"] = {"channels": 1, "nodata": "0", "photometric": "gray"}
    return json.dumps(document).encode()
