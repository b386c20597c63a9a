"""Sources in painting order, grouped into packs that share a pixel grid."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from fastpyr.errors import SourceError
from fastpyr.formats import SampleType
from fastpyr.grid.crs import same_crs

from .attempts import Attempts
from .base import RasterInfo, Source
from .cache import ChunkCache
from .pack import Pack, pack_rects

__all__ = ["Mosaic", "build_mosaic"]

_RESOLUTION_TOLERANCE = 1e-3
"""Of the finer resolution, per axis."""
_PHASE_TOLERANCE = 1e-3
"""Pixels between a source's edges and the grid of its pack."""


class Mosaic:
    """Packs in painting order, later over earlier. Use it as a context manager, or ``close()`` it at the end."""

    def __init__(self, packs: Sequence[Pack], cache: ChunkCache, channels: int, sample: SampleType) -> None:
        self.packs = tuple(packs)
        self.cache = cache
        self.channels = channels
        self.sample = sample

    @property
    def infos(self) -> tuple[RasterInfo, ...]:
        """All sources in painting order."""
        return tuple(info for pack in self.packs for info in pack.infos)

    @property
    def band_row_bytes(self) -> int:
        """Decoded bytes of one row of pixels of the widest source that is decoded in bands of its full width.

        0 when there is none, or when the cache holds all sources at once: then windows may be read in any order. Else
        what lies beside a window is decoded with it, and has to be read soon or decoded again.
        """
        if sum(pack.decoded_bytes for pack in self.packs) <= self.cache.max_bytes:
            return 0
        return max(pack.band_row_bytes for pack in self.packs)

    def close(self) -> None:
        """Closes all files and empties the cache."""
        for pack in self.packs:
            pack.close()
        self.cache.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def build_mosaic(
    sources: Sequence[Source],
    cache: ChunkCache,
    channels: int,
    sample: SampleType,
    attempt: Attempts | None = None,
) -> Mosaic:
    """Groups consecutive sources with the same CRS, resolution and pixel grid into packs.

    Resolutions may differ by a thousandth of a pixel's size and edges may lie a thousandth of a pixel off the grid;
    the whole pack takes the grid of its first source. A rotated, skewed or flipped source is a pack of its own.
    Pixels are delivered with ``channels`` and ``sample``, converted when they are decoded. ``attempt`` says how often
    a read that fails is tried again (None: never). Raises SourceError for an
    empty list, for uint8 mixed with float32 and for conversions that do not exist.
    """
    if not sources:
        raise SourceError("no source given")
    _check_samples([source.info for source in sources], channels, sample)
    packs: list[Pack] = []
    group: list[Source] = []
    offsets: list[tuple[int, int]] = []
    for source in sources:
        offset = _offset(group[0].info, source.info) if group else (0, 0)
        if offset is None:
            packs.append(_pack(group, offsets, cache, channels, sample, attempt))
            group, offsets, offset = [], [], (0, 0)
        group.append(source)
        offsets.append(offset)
    packs.append(_pack(group, offsets, cache, channels, sample, attempt))
    return Mosaic(packs, cache, channels, sample)


def _pack(
    group: Sequence[Source],
    offsets: Sequence[tuple[int, int]],
    cache: ChunkCache,
    channels: int,
    sample: SampleType,
    attempt: Attempts | None,
) -> Pack:
    col, row, rects = pack_rects(offsets, [source.info for source in group])
    transform = group[0].info.transform
    if (col, row) != (0, 0):
        transform = transform.shifted(col, row)
    return Pack(group, rects, transform, cache, channels, sample, attempt)


def _check_samples(infos: Sequence[RasterInfo], channels: int, sample: SampleType) -> None:
    first = infos[0]
    for info in infos:
        if info.sample is not first.sample:
            raise SourceError(
                f"{info.name} has {info.sample.dtype} samples but {first.name} has {first.sample.dtype}: "
                "build them apart or convert one"
            )
        if info.sample is SampleType.FLOAT32:
            if sample is not SampleType.FLOAT32:
                raise SourceError(
                    f"{info.name}: float32 samples do not fit in {sample.dtype}: use sample format float32"
                )
            if channels != info.channels and {channels, info.channels} != {1, 3}:
                raise SourceError(
                    f"{info.name}: {info.channels} float32 channel(s) cannot become {channels}: "
                    "only 1 to 3 and 3 to 1 are defined"
                )


def _offset(first: RasterInfo, other: RasterInfo) -> tuple[int, int] | None:
    """Column and row of ``other`` on the grid of ``first``; None when it is not on that grid."""
    a, b = first.transform, other.transform
    if not (a.is_north_up and b.is_north_up and (first.crs == other.crs or same_crs(first.crs, other.crs))):
        return None
    col = _position(a.c, a.a, b.c, b.a, other.width)
    row = _position(a.f, a.e, b.f, b.e, other.height)
    return None if col is None or row is None else (col, row)


def _position(start: float, step: float, other_start: float, other_step: float, count: int) -> int | None:
    """Pixel index of ``other_start`` along one axis when both ends of ``count`` pixels meet the grid, else None."""
    if abs(other_step - step) > _RESOLUTION_TOLERANCE * min(abs(step), abs(other_step)):
        return None
    near = (other_start - start) / step
    far = near + count * (other_step / step)
    if max(abs(near - round(near)), abs(far - round(far))) > _PHASE_TOLERANCE or round(far) - round(near) != count:
        return None
    return round(near)
