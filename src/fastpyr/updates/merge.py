"""Merging pyramids of one grid into a new one: slabs of a single source by link, shared ones composed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeVar

from ..errors import ConfigError, StoreError
from ..formats import Compression, PixelFormat, SampleType, TileFormat, default_nodata
from ..grid.bounds import BoundingBox
from ..grid.matrix import TileMatrixSet
from ..grid.tms import load_tms
from ..pyramid.descriptor import Descriptor
from ..pyramid.level import LevelDescriptor
from ..pyramid.reader import open_descriptor
from ..store import FileStore, MemoryStore, Store
from ..store.naming import DEFAULT_PATH_DEPTH, check_level_id
from .area import open_area
from .carry import Mode, is_same_place
from .inventory import open_inventory
from .linkers import find_linkers
from .merge_plan import MergeGroup, Method, Source, Task, find_tasks, open_sources, tasks_limits
from .merge_run import Merger, MergeResult, Progress
from .merge_tiles import Composer
from .region import Region, read_region

__all__ = ["WHITE", "MergeGroup", "MergeResult", "Method", "merge_pyramids"]

Word = TypeVar("Word", bound=StrEnum)

WHITE = (255, 255, 255)
"""What ALPHATOP takes for transparent in uint8 pyramids when nothing else is asked for."""


def merge_pyramids(
    sources: Sequence[str | os.PathLike[str] | MergeGroup],
    target: str | os.PathLike[str],
    *,
    method: Method | str,
    mode: Mode | str | None = None,
    bottom: str | None = None,
    top: str | None = None,
    area: BoundingBox | Sequence[float] | str | os.PathLike[str] | Region | None = None,
    compression: Compression | str | None = None,
    channels: int | None = None,
    sample: SampleType | str | None = None,
    nodata: Sequence[int] | None = None,
    mask: bool | None = None,
    transparent: Sequence[int] | str | None = None,
    path_depth: int | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    tms: TileMatrixSet | str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> MergeResult:
    """Merge pyramids of one tile matrix set, slab size and sample type into the new pyramid ``target``.

    A slab that one source has becomes a link to its owner, or is converted when the result has another compression
    or other channels. A slab that several have is composed tile by tile through their masks. Each level is composed of
    the sources' same level. Sources stay as they are. A merge that was interrupted goes on when it is called again with
    the same arguments; the result does not depend on the number of workers.

    Args:
        sources: descriptors ``<name>.json``, the first on top; or MergeGroups with levels and areas of their own.
        method: "replace" (the first source that has a slab gives all of it), "top", "alphatop", "multiply"; see
            ``fastpyr.kernels.overlay``.
        mode: how slabs of one source get there: "slink", "hlink" (folders) or "copy"; default slink, copy in memory.
        bottom, top: levels to merge, for all sources; default: all that they have.
        area: a box (left, bottom, right, top) in the coordinates of the tile matrix set, or a file with polygons (WKT,
            GeoJSON, GML): slabs that it meets are taken whole.
        compression, channels, nodata: of the result; default: the first source's.
        sample: refuse pyramids of another sample type: samples are never converted.
        mask: whether the result has masks; default: when a source has. Masks of sources are used in any case.
        transparent: three values whose pixels count as transparent, with alphatop; default white for uint8; "none".
        path_depth: folders between a level and its slabs; default: the first source's, or 2.

    Raises:
        FastpyrError: one line naming the pyramid, slab or tile, and the cure.
    """
    how = _member(Method, method, "method")
    groups = _groups(sources, bottom, top, area)
    store, key, name = open_descriptor(target)
    name = store.layout.check_name(key.removesuffix(".json"))
    grid = tms if tms is None or isinstance(tms, TileMatrixSet) else load_tms(tms)
    opened, members = open_sources(groups, grid)
    first = opened[0]
    _check_sample(first, sample)
    tasks = find_tasks(groups, members, opened, first.pyramid.tile_matrix_set, how)
    pixels = _pixels(first.descriptor.format, compression, channels, nodata)
    merger = _merger(store, name, opened, tasks, how, pixels, mask, mode, transparent, path_depth)
    _check_target(store, key, opened, overwrite)
    merger.check_links()
    with open_area(store, name, _identity(groups, members, merger), overwrite) as place:
        if not place.is_done:
            merger.run(place, workers or _cores(), progress)
            _check_unchanged(opened)
            place.publish(merger.keys, merger.listing(), merger.descriptor.to_json())
    return merger.result(store.location(key))


def _merger(
    store: Store,
    name: str,
    sources: Sequence[Source],
    tasks: Sequence[Task],
    method: Method,
    pixels: PixelFormat,
    mask: bool | None,
    mode: Mode | str | None,
    transparent: Sequence[int] | str | None,
    path_depth: int | None,
) -> Merger:
    masks = any(source.descriptor.mask for source in sources) if mask is None else mask
    ways = _usual_mode(store) if mode is None else _member(Mode, mode, "mode")
    composer = Composer(sources, pixels, masks, method, _transparent(transparent, method, pixels))
    descriptor = _descriptor(store, name, pixels, masks, tasks, sources, _depth(path_depth, sources[0], store))
    return Merger(store, name, descriptor, sources, tasks, composer, ways)


def _identity(groups: Sequence[MergeGroup], members: Sequence[tuple[int, ...]], merger: Merger) -> dict[str, Any]:
    """What tells a merge from another one that was interrupted."""
    return {
        "merge": [[source.inventory.uri, source.inventory.stamp] for source in merger.sources],
        "groups": [
            [list(numbers), group.bottom, group.top, group.area.identity() if group.area else None]
            for group, numbers in zip(groups, members, strict=True)
        ],
        "options": [merger.mode.value, *merger.composer.identity(), merger.descriptor.to_json().decode()],
    }


def _check_unchanged(sources: Sequence[Source]) -> None:
    for source in sources:
        if open_inventory(source.inventory.uri).stamp != source.inventory.stamp:
            raise StoreError(f"{source.inventory.uri} was changed while it was merged: merge again")


def _check_sample(first: Source, asked: SampleType | str | None) -> None:
    has = first.descriptor.format.format.sample
    if asked is not None and _member(SampleType, asked, "sample format") is not has:
        raise ConfigError(
            f"{first.inventory.uri} has {has.value} samples, which are not converted to {asked}: build it anew"
        )


def _check_target(store: Store, key: str, sources: Sequence[Source], overwrite: bool) -> None:
    """Raise ConfigError when the result would replace a source, or what others need."""
    for source in sources:
        if is_same_place(source.inventory, store, key):
            raise ConfigError(f"{store.location(key)} is one of the pyramids to merge: choose another name")
    if overwrite and (linkers := find_linkers(store, key.removesuffix(".json"))):
        raise ConfigError(
            f"{store.location(key)} cannot be replaced, {linkers[0].location} needs it: {linkers[0].reason}"
        )


def _member(kind: type[Word], value: str, what: str) -> Word:
    """The member of an enumeration, written in any case."""
    for one in kind:
        if one.value.lower() == str(value).lower():
            return one
    known = ", ".join(one.value.lower() for one in kind)
    raise ConfigError(f"{what} {value!r} is unknown: it is one of {known}")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _groups(
    sources: Sequence[str | os.PathLike[str] | MergeGroup], bottom: str | None, top: str | None, area: Any
) -> list[MergeGroup]:
    groups = [source for source in sources if isinstance(source, MergeGroup)]
    if groups and (len(groups) < len(sources) or any(value is not None for value in (bottom, top, area))):
        raise ConfigError("give MergeGroups alone: levels and areas are theirs")
    if groups:
        return groups
    names = tuple(os.fspath(source) for source in sources if not isinstance(source, MergeGroup))
    return [MergeGroup(names, bottom, top, _region(area))]


def _region(area: Any) -> Region | None:
    if area is None or isinstance(area, Region):
        return area
    if isinstance(area, (str, os.PathLike)):
        return read_region(area)
    try:
        box = BoundingBox(*(float(side) for side in area))
    except (TypeError, ValueError):
        raise ConfigError(f"area {area!r} is not left, bottom, right, top") from None
    if not box.is_valid:
        raise ConfigError(f"the area {box} is empty or not finite: it is left, bottom, right, top")
    return Region(box)


def _pixels(
    first: PixelFormat, compression: Compression | str | None, channels: int | None, nodata: Sequence[int] | None
) -> PixelFormat:
    """Pixel format of the result."""
    sample = first.format.sample
    if compression is None:
        packing = first.format.compression
    else:
        word = str(compression).lower()
        packing = _member(Compression, "raw" if word == "none" else word, "compression")
    count = first.channels if channels is None else channels
    if count != first.channels and sample is SampleType.FLOAT32:
        raise ConfigError(f"float32 pixels of {first.channels} channel(s) are not converted: leave --channels out")
    if nodata is None:
        nodata = first.nodata if count == first.channels else default_nodata(sample, count)
    return PixelFormat.of(TileFormat(packing, sample), count, tuple(nodata))


def _depth(asked: int | None, first: Source, store: Store) -> int:
    level = first.descriptor.levels[0]
    depth = asked
    if depth is None:
        depth = level.path_depth if isinstance(first.inventory.store, FileStore) else DEFAULT_PATH_DEPTH
    if not 0 <= depth <= 32:
        raise ConfigError(f"path depth {depth} cannot be used: it is 0 to 32")
    return store.layout.depth(depth)


def _usual_mode(store: Store) -> Mode:
    return Mode.COPY if isinstance(store, MemoryStore) else Mode.SLINK


def _transparent(asked: Sequence[int] | str | None, method: Method, pixels: PixelFormat) -> tuple[int, int, int] | None:
    if asked is not None and method is not Method.ALPHATOP:
        raise ConfigError(f"a transparent colour goes with method alphatop, not with {method.value}: leave it out")
    if method is not Method.ALPHATOP or asked == "none":
        return None
    if asked is None:
        return WHITE if pixels.format.sample is SampleType.UINT8 else None
    try:
        red, green, blue = (int(value) for value in (asked.split(",") if isinstance(asked, str) else asked))
    except (TypeError, ValueError):
        raise ConfigError(f"transparent colour {asked!r} is not R,G,B or none") from None
    return red, green, blue


def _descriptor(
    store: Store,
    name: str,
    pixels: PixelFormat,
    masks: bool,
    tasks: Sequence[Task],
    sources: Sequence[Source],
    depth: int,
) -> Descriptor:
    first = sources[0]
    limits = tasks_limits(tasks, sources)
    sizes = {level.id: level for source in reversed(sources) for level in source.descriptor.levels}
    levels = tuple(
        LevelDescriptor.placed(
            name,
            check_level_id(id),
            sizes[id].tiles_per_width,
            sizes[id].tiles_per_height,
            limits[id],
            mask=masks,
            path_depth=depth,
            layout=store.layout,
        )
        for id in reversed(first.pyramid.tile_matrix_set.ids)
        if id in limits
    )
    grid = first.descriptor
    return Descriptor(os.path.basename(name), grid.tile_matrix_set, pixels, masks, grid.interpolation, levels)
