"""What is inside the slabs: header, index, every tile, and the masks that go with the pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..encode import MASK_PIXELS, decode_tile
from ..errors import DecodeError, SlabError, StoreError
from ..formats import Compression, PixelFormat, SlabKind
from ..grid.bounds import TileLimits
from ..kernels import nodata_mask
from ..slab.header import MAX_SLAB_SIZE, SlabHeader, first_tile_offset, parse_header
from ..slab.reader import SlabIndex, index_problems, parse_index
from .slabs import LinkError, SlabRef, read_head
from .verify_subject import Subject
from .window import Level

__all__ = ["SlabFacts", "check_slab"]

_ALIGNMENT = 16
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CONSTANT_BYTES = 4096
"""A tile of fewer bytes is likely to be of one colour, and to come again in its slab."""

_TILE_NUMBER = re.compile(r"tile ([0-9]+) ")


@dataclass(frozen=True, slots=True)
class SlabFacts:
    """What a readable data slab holds: the range of tiles with data, None when it is nodata only."""

    ref: SlabRef
    data_tiles: TileLimits | None


@dataclass(frozen=True, slots=True)
class _Opened:
    """A slab whose header and index can be used."""

    data: bytes
    header: SlabHeader
    index: SlabIndex
    decoded: dict[bytes, npt.NDArray[Any]] = field(default_factory=dict)

    def tile(self, number: int) -> bytes:
        offset, size = self.index.tile_range(number)
        return self.data[offset : offset + size]


def check_slab(subject: Subject, ref: SlabRef, has_mask: bool) -> SlabFacts | None:
    """Check a data slab and, with ``has_mask``, the mask slab beside it; None when its content cannot be judged."""
    level = subject.level(ref.level)
    assert level is not None, "slabs to check are those of the subject's levels"
    slab = _open(subject, level, ref)
    mask = None
    if has_mask:
        mask_ref = ref._replace(kind=SlabKind.MASK)
        mask = _open(subject, level, mask_ref)
        if mask is None:
            subject.mark_broken(mask_ref)
    if slab is None:
        subject.mark_broken(ref)
        return None
    if subject.format is None:
        subject.report.count(tiles=int(np.count_nonzero(slab.index.sizes)))
        return None
    return _check_content(subject, subject.format, level, ref, slab, mask)


def _open(subject: Subject, level: Level, ref: SlabRef) -> _Opened | None:
    """The slab's bytes with header and index checked; None, after a finding, when its tiles cannot be located."""
    count = level.descriptor.tiles_per_slab
    try:
        head = read_head(subject.store, level.descriptor, subject.slab_key(ref), first_tile_offset(count))
        size = head.store.size(head.key)
        if size > MAX_SLAB_SIZE:
            subject.add("index", f"{size} bytes, more than the {MAX_SLAB_SIZE} that readers can address", ref=ref)
            return None
        data = head.store.get(head.key)
    except LinkError as error:
        subject.add("link", str(error), ref=ref)
        return None
    except StoreError as error:
        subject.add("listed-slab", str(error), ref=ref)
        return None
    subject.report.count(bytes=len(data), **{"slabs" if ref.kind is SlabKind.DATA else "mask_slabs": 1})
    if len(head.data) < first_tile_offset(count):
        text = f"truncated: {len(head.data)} bytes, its header and index need {first_tile_offset(count)}"
        subject.add("index", text, ref=ref)
        return None
    try:
        header = parse_header(data)
    except SlabError as error:
        subject.add("header", str(error), ref=ref)
        return None
    wrong = _header_mismatch(subject, level, ref, header)
    if wrong:
        subject.add("header", wrong, ref=ref)
        return None
    index = parse_index(data, count)
    for problem in [*index_problems(header, index, len(data)), *_gap_problems(index, data)]:
        match = _TILE_NUMBER.match(problem)
        subject.add("index", problem, ref=ref, number=int(match[1]) if match else None)
    return _Opened(data, header, index)


def _header_mismatch(subject: Subject, level: Level, ref: SlabRef, header: SlabHeader) -> str | None:
    """First disagreement of a header with the descriptor."""
    count = level.descriptor.tiles_per_slab
    if subject.format is None:
        if not header.is_vector:
            return "holds pixels, the descriptor says vector tiles"
        return f"holds {header.tile_count} tiles, the descriptor says {count}" if header.tile_count != count else None
    if header.is_vector:
        return "holds vector tiles, the descriptor says pixels"
    pixels = subject.format if ref.kind is SlabKind.DATA else MASK_PIXELS
    matrix = level.matrix
    wrong = header.mismatch(pixels.format, pixels.channels, matrix.tile_width, matrix.tile_height)
    if wrong:
        return wrong
    if (header.columns, header.rows) != (level.tiles_per_width, level.tiles_per_height):
        expected = f"{level.tiles_per_width} x {level.tiles_per_height}"
        return f"holds {header.columns} x {header.rows} tiles, the descriptor says {expected}"
    return None


def _gap_problems(index: SlabIndex, data: bytes) -> list[str]:
    """Places between tiles that are not the zeros up to the next multiple of 16. Tiles may share a payload."""
    stored = np.flatnonzero(index.sizes)
    order = stored[np.argsort(index.offsets[stored], kind="stable")]
    end = first_tile_offset(len(index))
    for number in order.tolist():
        start, size = index.tile_range(number)
        if end < start <= len(data):
            if start - end >= _ALIGNMENT:
                return [
                    f"tile {number} starts {start - end} bytes after the end of the one before, at most 15 expected"
                ]
            if any(data[end:start]):
                return [f"tile {number} is preceded by a gap that is not zero (bytes {end} to {start})"]
        end = max(end, start + size)
    return []


def _check_content(
    subject: Subject, pixels: PixelFormat, level: Level, ref: SlabRef, slab: _Opened, mask: _Opened | None
) -> SlabFacts | None:
    """Decode every tile, compare it with its mask, and find which tiles hold data."""
    holding: list[tuple[int, int]] = []
    complete = True
    for number in range(len(slab.index)):
        tile = _decode(subject, level, ref, slab, number, pixels)
        tile_mask = None
        if mask is not None:
            tile_mask = _decode(subject, level, ref._replace(kind=SlabKind.MASK), mask, number, MASK_PIXELS)
        complete &= tile is not None and (mask is None or tile_mask is not None)
        if tile is None:
            continue
        data = _data_mask(tile, pixels)
        if tile_mask is not None:
            data = _check_mask(subject, pixels, ref, number, data, tile_mask[..., 0])
        if data.any():
            holding.append(subject.tile_of(ref, number) or (0, 0))
            _check_limits(subject, level, ref, number)
    subject.report.count(tiles=len(slab.index), mask_tiles=len(mask.index) if mask else 0)
    if not complete:
        subject.mark_broken(ref)
        return None
    # Upper slabs are stored wherever a slab below them is, even when the reduction left no pixel of it.
    if not holding and level.id == subject.levels[0].id:
        subject.add("nodata-slab", "the slab holds nothing but nodata: it need not exist", "warning", ref=ref)
    return SlabFacts(ref, _range_of(holding))


def _range_of(tiles: list[tuple[int, int]]) -> TileLimits | None:
    """The smallest range around (column, row) pairs."""
    if not tiles:
        return None
    columns, rows = zip(*tiles, strict=True)
    return TileLimits(min(rows), max(rows), min(columns), max(columns))


def _decode(
    subject: Subject, level: Level, ref: SlabRef, slab: _Opened, number: int, pixels: PixelFormat
) -> npt.NDArray[Any] | None:
    data = slab.tile(number)
    known = slab.decoded.get(data)
    if known is not None:
        return known
    try:
        if not data:
            raise DecodeError("no bytes are stored for it")
        matrix = level.matrix
        tile = decode_tile(pixels, pixels.channels, matrix.tile_width, matrix.tile_height, data)
        if len(data) <= _CONSTANT_BYTES and not slab.decoded:
            slab.decoded[data] = tile  # most slabs on the edge of the data hold one nodata tile many times
        return tile
    except DecodeError as error:
        hint = ""
        if data.startswith(_PNG_SIGNATURE) and pixels.format.compression is not Compression.PNG:
            hint = "; it is a PNG, the descriptor says otherwise"
        subject.add("tile", f"{error}{hint}", ref=ref, number=number)
        return None


def _data_mask(tile: npt.NDArray[Any], pixels: PixelFormat) -> npt.NDArray[np.bool_]:
    """True where a pixel is not the nodata colour."""
    data: npt.NDArray[np.bool_] = nodata_mask(tile, pixels.nodata) != 0
    return data


def _check_mask(
    subject: Subject,
    pixels: PixelFormat,
    ref: SlabRef,
    number: int,
    data: npt.NDArray[np.bool_],
    mask: npt.NDArray[np.uint8],
) -> npt.NDArray[np.bool_]:
    """Check one tile of a mask against its pixels; True where the mask says data."""
    odd = (mask != 0) & (mask != 255)
    if odd.any():
        row, col = np.argwhere(odd)[0]
        text = f"mask value {mask[row, col]} at column {col}, row {row} of the tile: only 0 and 255 are masks"
        subject.add(
            "mask", f"{text} ({np.count_nonzero(odd)} pixels)", ref=ref._replace(kind=SlabKind.MASK), number=number
        )
    if not pixels.format.compression.is_lossy:
        coloured = data & (mask == 0)
        if coloured.any():
            row, col = np.argwhere(coloured)[0]
            text = f"the pixel at column {col}, row {row} of the tile is not nodata, but its mask is 0"
            subject.add("mask-nodata", f"{text} ({np.count_nonzero(coloured)} pixels)", ref=ref, number=number)
    is_data: npt.NDArray[np.bool_] = mask != 0
    return is_data


def _check_limits(subject: Subject, level: Level, ref: SlabRef, number: int) -> None:
    col, row = subject.tile_of(ref, number) or (0, 0)
    if not level.limits.contains(col, row):
        limits = level.limits
        text = f"holds data outside the tile limits (columns {limits.min_col}-{limits.max_col}"
        text += f", rows {limits.min_row}-{limits.max_row}): servers refuse to show it"
        subject.add("limits", text, ref=ref, number=number)
