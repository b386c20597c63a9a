"""From sources and options to a plan: pixel format, levels, and the blocks that the sources reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..errors import ConfigError, GridError, SourceError
from ..formats import Compression, PixelFormat, SampleType, TileFormat
from ..frozen import frozen
from ..grid import (
    BoundingBox,
    Derivation,
    TileLimits,
    TileMatrix,
    TileMatrixSet,
    Transform,
    bottom_level,
    derivations,
    footprint_resolution,
    level_range,
    load_tms,
    project_boxes,
)
from ..source import Attempts, ChunkCache, Mosaic, RasterInfo, Source, build_mosaic
from .coverage import AxisLinks, Coverage, block_side
from .options import BuildOptions
from .plan import LevelPlan, Plan

__all__ = ["LastLevel", "SourceGroup", "derived_blocks", "make_plan"]

LastLevel = Callable[[TileMatrixSet, TileMatrix], str]
"""The level at which a range of levels ends that nothing else ends, from the set and the range's bottom."""

DEFAULT_CACHE_BYTES = 256 << 20
"""Decoded source pixels kept for reuse by neighbouring blocks."""


@frozen
class SourceGroup:
    """Sources that make one range of levels. ``bottom`` and ``top`` are level ids, None = automatic."""

    sources: Sequence[Source]
    bottom: str | None = None
    top: str | None = None


@frozen
class _Range:
    """A group with its levels decided."""

    group: SourceGroup
    bottom: TileMatrix
    top: str | None
    resolution: float
    rule: str


def make_plan(
    groups: Sequence[SourceGroup],
    options: BuildOptions,
    cache_bytes: int = DEFAULT_CACHE_BYTES,
    last_level: LastLevel | None = None,
) -> Plan:
    """Decide a build. ``groups`` hold at least one opened source each; nothing but their headers is read.

    ``last_level``: by default the coarsest one of the set.

    Raises ConfigError, GridError or SourceError naming the parameter, level or file.
    """
    if options.tms is None:
        raise ConfigError("a new pyramid needs a tile matrix set: give --tms, for instance --tms PM")
    tms = load_tms(options.tms)
    pixel = _pixel_format([source.info for group in groups for source in group.sources], options)
    ranges = _ranges(groups, tms, options)
    block = block_side(options.width, options.height)
    cache = ChunkCache(cache_bytes)
    attempt = Attempts(options.read_attempts)
    mosaics: list[Mosaic] = []
    levels: list[LevelPlan] = []
    for position, part in enumerate(ranges):
        mosaics.append(build_mosaic(part.group.sources, cache, pixel.channels, pixel.format.sample, attempt))
        boxes = _footprints(part.group.sources, tms)
        top = part.top or (_next_coarser(tms, part, ranges[position + 1]) if position + 1 < len(ranges) else None)
        top = top or (tms.ids[-1] if last_level is None else last_level(tms, part.bottom))
        level_range(tms, part.bottom.id, top)
        for derivation in derivations(tms, part.bottom.id, top):
            levels.append(_level(derivation, tms, boxes, levels, position, block, options, part.resolution))
    _check_levels(levels)
    rule = "; ".join(part.rule for part in ranges)
    return Plan(options, pixel, tms, tuple(levels), tuple(mosaics), block, rule)


def _pixel_format(infos: Sequence[RasterInfo], options: BuildOptions) -> PixelFormat:
    """Format of the stored pixels, from the options and else from the sources."""
    first = infos[0]
    sample = options.sample or first.sample
    for info in infos:
        if info.sample is not sample:
            wanted = f"as {first.name}" if options.sample is None else "as asked"
            raise SourceError(
                f"{info.name}: its samples are {info.sample.value.lower()}, not {sample.value.lower()} {wanted}; "
                "a pyramid holds one sample type: build one pyramid for each"
            )
    if options.channels is not None:
        channels = options.channels
    else:
        # Colour wins over gray, and an alpha channel is kept if any source has one.
        colours = 3 if any(info.channels >= 3 for info in infos) else 1
        alpha = any(info.channels in (2, 4) for info in infos)
        channels = colours + alpha
    compression = options.compression or _default_compression(sample, channels)
    pixel = PixelFormat.of(TileFormat(compression, sample), channels, options.nodata)
    for info in infos:
        if sample is SampleType.FLOAT32 and info.channels != channels:
            raise SourceError(f"{info.name}: has {info.channels} channel(s) of float32, the pyramid {channels}")
    return pixel


def _default_compression(sample: SampleType, channels: int) -> Compression:
    if sample is SampleType.FLOAT32:
        return Compression.ZIP
    return Compression.JPG if channels == 3 else Compression.PNG


def _ranges(groups: Sequence[SourceGroup], tms: TileMatrixSet, options: BuildOptions) -> list[_Range]:
    """Levels of each group, finest bottom first."""
    ranges = []
    for group in groups:
        resolution = _finest_resolution(group.sources, tms)
        asked = group.bottom or options.bottom
        if asked is None:
            matrix, ratio = bottom_level(tms, resolution)
            rule = (
                f"level {matrix.id}: the sources' finest resolution in the tile matrix set is {resolution:.6g}, "
                f"{ratio:.3f} times this level's {matrix.cell_size:.6g} (accepted 0.8 to 1.6, nearest to 1)"
            )
        else:
            matrix = tms.level(asked)
            rule = f"level {matrix.id}: asked; sources are {resolution / matrix.cell_size:.3f} times its resolution"
        ranges.append(_Range(group, matrix, group.top or options.top, resolution, rule))
    return sorted(ranges, key=lambda part: part.bottom.cell_size)


def _finest_resolution(sources: Sequence[Source], tms: TileMatrixSet) -> float:
    """Finest source resolution in units of the tile matrix set. Sources of one kind are measured once or twice."""
    finest = np.inf
    measured: dict[tuple[object, ...], float] = {}
    for source in sources:
        info = source.info
        # Neighbouring files of one delivery differ by their place alone: measure one of each size and pixel.
        key = (info.crs, info.transform[:2], info.transform[3:5], info.width, info.height)
        if key not in measured:
            try:
                measured[key] = footprint_resolution(info.transform, info.width, info.height, info.crs, tms.crs)
            except GridError as error:
                raise GridError(f"{info.name}: {error}") from error
        finest = min(finest, measured[key])
    return float(finest)


def _footprints(sources: Sequence[Source], tms: TileMatrixSet) -> list[BoundingBox]:
    """Boxes of every source in the tile matrix set (two across the antimeridian).

    Raises GridError for a source outside of it.
    """
    world = tms.matrices[0].bounds
    found: list[BoundingBox] = []
    for source in sources:
        info = source.info
        try:
            boxes = project_boxes(info.bounds, Transform(info.crs, tms.crs, bounds=info.bounds))
        except GridError as error:
            raise GridError(f"{info.name}: {error}") from error
        inside = [part for box in boxes if (part := box.intersection(world)) is not None]
        if not inside:
            raise GridError(
                f"{info.name}: its extent {_text(boxes[0])} lies outside tile matrix set {tms.name} {_text(world)}: "
                "check its georeferencing and --srs, or choose another --tms"
            )
        found += inside
    return found


def _text(box: BoundingBox) -> str:
    return "({:.6g}, {:.6g}, {:.6g}, {:.6g})".format(*box)


def _next_coarser(tms: TileMatrixSet, part: _Range, following: _Range) -> str:
    """Top of a group of automatic top: the level just below the next group's bottom."""
    ids = list(tms.ids)
    position = ids.index(following.bottom.id) - 1
    if position < ids.index(part.bottom.id):
        raise ConfigError(f"two groups of sources start at level {following.bottom.id}: give each its own bottom")
    return ids[position]


def _check_levels(levels: Sequence[LevelPlan]) -> None:
    seen = set()
    first = levels[0].matrix
    for level in levels:
        if level.id in seen:
            raise ConfigError(f"level {level.id} would be made twice: ranges of levels may not overlap")
        seen.add(level.id)
        size = (level.matrix.tile_width, level.matrix.tile_height)
        if size != (first.tile_width, first.tile_height):
            raise GridError(
                f"level {level.id} has tiles of {size[0]} x {size[1]} pixels, level {first.id} of "
                f"{first.tile_width} x {first.tile_height}: the levels of one pyramid need tiles of one size"
            )


def _level(
    derivation: Derivation,
    tms: TileMatrixSet,
    boxes: Sequence[BoundingBox],
    done: Sequence[LevelPlan],
    mosaic: int,
    block: int,
    options: BuildOptions,
    resolution: float,
) -> LevelPlan:
    """Plan one level, the levels before it being planned already."""
    matrix = tms.level(derivation.level)
    ranges = [limits for box in boxes if (limits := matrix.limits_of(box)) is not None]
    if not ranges:
        raise GridError(f"level {matrix.id} of {tms.name} does not reach the sources' extent: choose other levels")
    limits = ranges[0]
    for other in ranges[1:]:
        limits = limits.union(other)
    slabs = Coverage.of_ranges([_divided(part, options.width, options.height) for part in ranges])
    if derivation.source is None:
        blocks = Coverage.of_ranges([_divided(part, block, block) for part in ranges])
        return LevelPlan(matrix, derivation, mosaic, blocks, slabs, limits, resolution / matrix.cell_size)
    source = next(level for level in done if level.id == derivation.source)
    return LevelPlan(matrix, derivation, None, derived_blocks(derivation, matrix, source, block), slabs, limits)


def derived_blocks(derivation: Derivation, matrix: TileMatrix, source: LevelPlan, block: int) -> Coverage:
    """The blocks of a level that receive something from the level it is derived from."""
    mean = derivation.method == "mean"
    columns = AxisLinks(derivation.ratio, derivation.offset[0], matrix.tile_width * block, mean)
    rows = AxisLinks(derivation.ratio, derivation.offset[1], matrix.tile_height * block, mean)
    size = -(-matrix.matrix_width // block), -(-matrix.matrix_height // block)
    return source.blocks.coarser(columns, rows).clipped(*size)


def _divided(limits: TileLimits, across: int, down: int) -> TileLimits:
    """Index range of the cells of ``across`` x ``down`` tiles that hold a range of tiles."""
    return TileLimits(
        limits.min_row // down, limits.max_row // down, limits.min_col // across, limits.max_col // across
    )
