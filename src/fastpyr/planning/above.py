"""The plan of levels that are made from levels of a pyramid that are there already."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ConfigError
from ..formats import PixelFormat
from ..frozen import frozen
from ..grid import Derivation, TileLimits, TileMatrixSet, derivations
from .coverage import Coverage, block_side
from .decide import derived_blocks
from .options import BuildOptions
from .plan import LevelPlan, Plan

__all__ = ["StoredLevel", "plan_above"]

_NOWHERE = TileLimits(0, -1, 0, -1)


@frozen
class StoredLevel:
    """A level of a pyramid: the range of its tiles, and (column, row) of its slabs."""

    limits: TileLimits
    slabs: tuple[tuple[int, int], ...]


def plan_above(
    tms: TileMatrixSet,
    pixel: PixelFormat,
    options: BuildOptions,
    stored: Mapping[str, StoredLevel],
    level: str,
    top: str,
) -> Plan:
    """Make the levels above ``level`` up to ``top`` from ``level`` and, where a level picks pixels of a finer one, from
    that. ``stored`` are the levels there are, by their ids, those to be made again included.

    Raises ConfigError when one of them cannot be made from what there is, GridError for an unknown level.
    """
    if level not in stored:
        raise ConfigError(f"the pyramid has no level {level[:80]}: its levels are {', '.join(stored)}")
    if tms.index(top) <= tms.index(level):
        raise ConfigError(f"level {top} is not above level {level}: give a coarser one (--top)")
    finest = min(stored, key=tms.index)
    wanted = derivations(tms, finest, top)[tms.index(level) - tms.index(finest) + 1 :]
    made = {derivation.level for derivation in wanted}
    sources = {derivation.source for derivation in wanted} - made
    for derivation in wanted:
        source = derivation.source
        if source is None or (source not in made and source not in stored):
            lacks = "the sources" if source is None else f"level {source}"
            raise ConfigError(
                f"level {derivation.level} needs {lacks}, and cannot be made from the levels that the pyramid has: end "
                "below it (--top), or build the pyramid anew"
            )
    block = block_side(options.width, options.height)
    levels = [_stored_level(tms, id, stored[id], block, options) for id in sorted(filter(None, sources), key=tms.index)]
    for derivation in wanted:
        matrix = tms.level(derivation.level)
        below = next(done for done in levels if done.id == derivation.source)
        blocks = derived_blocks(derivation, matrix, below, block)
        slabs = blocks.grouped(options.width // block, options.height // block)
        # A level that was there keeps the footprint of its sources, a new one has the tiles with data alone.
        limits = stored[derivation.level].limits if derivation.level in stored else _NOWHERE
        levels.append(LevelPlan(matrix, derivation, None, blocks, slabs, limits))
    return Plan(options, pixel, tms, tuple(levels), (), block, f"level {level}: as it is stored")


def _stored_level(tms: TileMatrixSet, id: str, level: StoredLevel, block: int, options: BuildOptions) -> LevelPlan:
    """A level that is read: the blocks of its slabs, as far as they are inside its limits."""
    if not level.slabs:
        raise ConfigError(f"level {id} has no slab: there is nothing to make others from")
    slabs = Coverage.of_ranges([TileLimits(row, row, column, column) for column, row in level.slabs])
    across, down = options.width // block, options.height // block
    limits = level.limits
    inside = TileLimits(*(tile // block for tile in limits))
    blocks = slabs.finer(across, down).common(inside)
    if not len(blocks):
        raise ConfigError(f"level {id} has no slab inside its tile limits: verify the pyramid")
    read = Derivation(id, None, 1, (0, 0), "source")
    return LevelPlan(tms.level(id), read, None, blocks, slabs, limits, stored=True)
