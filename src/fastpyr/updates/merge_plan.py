"""What a merge takes from where: sources by level and area, slab by slab, and whether they fit together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from ..errors import ConfigError
from ..formats import SlabKind
from ..frozen import frozen
from ..grid.bounds import TileLimits
from ..grid.levels import level_range
from ..grid.matrix import TileMatrixSet
from ..pyramid.descriptor import Descriptor
from ..pyramid.level import LevelDescriptor
from ..pyramid.reader import Level, Pyramid, find_tms
from .inventory import Inventory, ListedSlab, open_inventory
from .region import Region

__all__ = ["MergeGroup", "Method", "Source", "Task", "find_tasks", "open_sources", "slab_tiles", "tasks_limits"]

_MAX_SOURCES = 64


class Method(StrEnum):
    """What becomes of a place where several sources have a slab."""

    REPLACE = "replace"
    TOP = "top"
    ALPHATOP = "alphatop"
    MULTIPLY = "multiply"


@frozen
class MergeGroup:
    """Pyramids, the first on top, that are used for the levels ``bottom`` to ``top`` (None: no end) inside an area.

    Slabs that the area meets are taken whole; None is everywhere.
    """

    sources: tuple[str, ...]
    bottom: str | None = None
    top: str | None = None
    area: Region | None = None


class Source:
    """A pyramid that is merged, as stored and open for reading."""

    def __init__(self, inventory: Inventory, tms: TileMatrixSet) -> None:
        self.inventory = inventory
        self.pyramid = Pyramid(inventory.store, inventory.key, inventory.descriptor, tms)
        self.slabs: dict[tuple[SlabKind, str, int, int], ListedSlab] = {slab.ref: slab for slab in inventory.slabs}

    @property
    def descriptor(self) -> Descriptor:
        return self.inventory.descriptor

    def slab(self, kind: SlabKind, task: Task) -> ListedSlab | None:
        """The slab of a task, None when there is none."""
        if kind is SlabKind.MASK and not self.descriptor.mask:
            return None
        return self.slabs.get((kind, task.level, task.col, task.row))

    def limits_in(self, level: LevelDescriptor, col: int, row: int) -> TileLimits | None:
        """Tiles of a slab that may hold data of this pyramid."""
        return self.pyramid.level(level.id).limits.intersection(slab_tiles(level, col, row))


class Task(NamedTuple):
    """A slab of the result, and the numbers of the sources that have it, the one on top first."""

    level: str
    col: int
    row: int
    sources: tuple[int, ...]


def slab_tiles(level: LevelDescriptor, col: int, row: int) -> TileLimits:
    """The tiles of a slab."""
    width, height = level.tiles_per_width, level.tiles_per_height
    return TileLimits(row * height, (row + 1) * height - 1, col * width, (col + 1) * width - 1)


def open_sources(groups: Sequence[MergeGroup], tms: TileMatrixSet | None) -> tuple[list[Source], list[tuple[int, ...]]]:
    """The pyramids of all groups, each once, and their numbers by group.

    Raises ConfigError when they cannot be merged, StoreError, DescriptorError or GridError when one cannot be opened.
    """
    sources: list[Source] = []
    numbers: dict[str, int] = {}
    members = []
    for group in groups:
        found = []
        for uri in group.sources:
            name = uri if "://" in uri else os.path.realpath(uri)
            if name not in numbers:
                numbers[name] = len(sources)
                inventory = open_inventory(uri)
                if sources:
                    _check_fits(sources[0].inventory, inventory)
                if tms is None:
                    tms = find_tms(inventory.descriptor.tile_matrix_set, inventory.name)
                sources.append(Source(inventory, tms))
            if numbers[name] not in found:
                found.append(numbers[name])
        if not found:
            raise ConfigError("there are no pyramids to merge: give at least one")
        members.append(tuple(found))
    if not 1 <= len(sources) <= _MAX_SOURCES:
        raise ConfigError(f"{len(sources)} pyramids cannot be merged at a time: 1 to {_MAX_SOURCES} can")
    return sources, members


def _check_fits(first: Inventory, other: Inventory) -> None:
    """Raise ConfigError when no conversion makes two pyramids slabs of one."""

    def differ(what: str, one: object, two: object, cure: str) -> ConfigError:
        return ConfigError(f"{first.uri} and {other.uri} cannot be merged: {what} {one} and {two}; {cure}")

    a, b = first.descriptor, other.descriptor
    if a.tile_matrix_set != b.tile_matrix_set:
        raise differ("their tile matrix sets are", a.tile_matrix_set, b.tile_matrix_set, "build one of them anew")
    if a.format.format.sample is not b.format.format.sample:
        sample = a.format.format.sample.value, b.format.format.sample.value
        raise differ("their samples are", *sample, "build one of them anew")
    if a.format.dtype == "float32" and a.format.channels != b.format.channels:
        cure = "float32 channels are not converted, build one of them anew"
        raise differ("their channels are", a.format.channels, b.format.channels, cure)
    sizes = {level.id: (level.tiles_per_width, level.tiles_per_height) for level in a.levels}
    for level in b.levels:
        size = level.tiles_per_width, level.tiles_per_height
        expected = sizes.get(level.id) or next(iter(sizes.values()))
        if size != expected:
            what = f"at level {level.id} their slabs are"
            raise differ(what, "x".join(map(str, expected)), "x".join(map(str, size)) + " tiles", "build one anew")


def find_tasks(
    groups: Sequence[MergeGroup],
    members: Sequence[tuple[int, ...]],
    sources: Sequence[Source],
    tms: TileMatrixSet,
    method: Method,
) -> list[Task]:
    """The slabs of the result: levels finest first, rows from the top, columns from the left.

    Raises ConfigError when there are none, or when a source lacks a level that its group asks for.
    """
    owners: dict[tuple[str, int, int], list[int]] = {}
    for group, numbers in zip(groups, members, strict=True):
        for number in numbers:
            levels = _levels(group, sources[number], tms)
            for slab in sources[number].inventory.slabs:
                level = levels.get(slab.ref.level)
                if slab.ref.kind is SlabKind.DATA and level is not None and _is_taken(group, level, slab):
                    found = owners.setdefault((slab.ref.level, slab.ref.col, slab.ref.row), [])
                    if number not in found:
                        found.append(number)
    if not owners:
        raise ConfigError("the pyramids have no slab in the levels and the area that were asked for: nothing to merge")
    order = {id: number for number, id in enumerate(tms.ids)}
    keys = sorted(owners, key=lambda key: (order[key[0]], key[2], key[1]))
    only_first = method is Method.REPLACE
    return [Task(*key, tuple(owners[key][:1] if only_first else owners[key])) for key in keys]


def _levels(group: MergeGroup, source: Source, tms: TileMatrixSet) -> dict[str, Level]:
    """The levels of a source that a group uses."""
    has = {level.id: level for level in source.pyramid.levels}
    asked = [matrix.id for matrix in level_range(tms, group.bottom or tms.ids[0], group.top or tms.ids[-1])]
    missing = [id for id in asked if id not in has]
    if missing and group.bottom is not None and group.top is not None:
        raise ConfigError(
            f"{source.inventory.uri} has no level {missing[0]}, of {group.bottom} to {group.top} that are to be "
            f"merged: its levels are {', '.join(has)}"
        )
    return {id: has[id] for id in asked if id in has}


def _is_taken(group: MergeGroup, level: Level, slab: ListedSlab) -> bool:
    tiles = slab_tiles(level.descriptor, slab.ref.col, slab.ref.row)
    if level.limits.intersection(tiles) is None:
        return False  # no reader sees any of it
    return group.area is None or group.area.meets(level.matrix.bounds_of(tiles))


def tasks_limits(tasks: Sequence[Task], sources: Sequence[Source]) -> dict[str, TileLimits]:
    """Limits by level: around the tiles that the sources' limits leave of the slabs that are taken."""
    found: dict[str, TileLimits] = {}
    for task in tasks:
        for number in task.sources:
            level = sources[number].descriptor.level(task.level)
            tiles = sources[number].limits_in(level, task.col, task.row)
            if tiles is not None:
                found[task.level] = found[task.level].union(tiles) if task.level in found else tiles
    return found
