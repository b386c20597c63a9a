"""What an update takes from the pyramid that it goes on from: grid, pixels, slabs, and where its levels end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DescriptorError, GridError
from ..grid import TileMatrix, TileMatrixSet, load_tms
from ..planning import BuildOptions, Plan, SourceGroup, make_plan
from ..pyramid.descriptor import Descriptor
from ..store.naming import DEFAULT_PATH_DEPTH

__all__ = ["inherited_options", "plan_update"]


def inherited_options(old: Descriptor, given: dict[str, Any]) -> BuildOptions:
    """Options of an update of ``old``: those that are given, and what it has.

    Raises ConfigError for one that contradicts it.
    """
    first = old.levels[0]
    if any(
        (level.tiles_per_width, level.tiles_per_height) != (first.tiles_per_width, first.tiles_per_height)
        for level in old.levels
    ):
        raise ConfigError(f"pyramid {old.name} has slabs of several sizes: it cannot be updated, build it anew")
    values: dict[str, Any] = {
        "width": first.tiles_per_width,
        "height": first.tiles_per_height,
        "compression": old.format.format.compression,
        "interpolation": old.interpolation,
        "mask": old.mask,
        "nodata": old.format.nodata,
        "channels": old.format.channels,
        "sample": old.format.format.sample,
    }
    given = {key: value for key, value in given.items() if value is not None}
    asked = BuildOptions.parse(**given)
    names = {"sample" if key == "sample_format" else key for key in given}
    for name in sorted(names & values.keys()):
        _check_same(old, name, getattr(asked, name), values[name])
    if asked.tms is not None and (named := load_tms(asked.tms).name) != old.tile_matrix_set:
        raise _contradiction(old, "tms", named, old.tile_matrix_set)
    if "path_depth" in names and first.path_depth and asked.path_depth != first.path_depth:
        raise _contradiction(old, "path_depth", asked.path_depth, first.path_depth)
    values["path_depth"] = first.path_depth or (asked.path_depth if "path_depth" in names else DEFAULT_PATH_DEPTH)
    return replace(asked, tms=asked.tms or _known_tms(old), **values)


def _known_tms(old: Descriptor) -> str:
    name = old.tile_matrix_set
    if Path(name).name != name or "\\" in name:
        raise DescriptorError(f"descriptor {old.name}: tile_matrix_set {name[:80]!r} is a path, not a name")
    try:
        load_tms(name)
    except GridError as error:
        raise GridError(f"pyramid {old.name}: {error}; or give its file (--tms)") from None
    return name


def _check_same(old: Descriptor, name: str, asked: object, has: object) -> None:
    if name == "nodata" and isinstance(asked, tuple) and len(asked) == 1:
        asked *= old.format.channels
    if asked != has:
        raise _contradiction(old, name, asked, has)


def _contradiction(old: Descriptor, name: str, asked: object, has: object) -> ConfigError:
    option = {"sample": "sample-format", "path_depth": "path-depth"}.get(name, name)
    return ConfigError(
        f"--{option} {_word(asked)}: pyramid {old.name} has {_word(has)}, and an update keeps what it has: leave it out"
    )


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) or hasattr(value, "value") else str(value)


def plan_update(old: Descriptor, groups: Sequence[SourceGroup], options: BuildOptions) -> Plan:
    """The plan of an update of ``old``: levels from the sources' up to the last one that ``old`` has.

    Raises what ``make_plan`` does, and ConfigError for a level that would lack what ``old`` has below it.
    """
    has = {level.id for level in old.levels}
    plan = make_plan(groups, options, last_level=lambda tms, bottom: _last_level(tms, bottom, has, old.name))
    _check_levels(plan, has, old.name)
    return plan


def _last_level(tms: TileMatrixSet, bottom: TileMatrix, has: set[str], name: str) -> str:
    """The coarsest level of the first unbroken run of old levels from ``bottom`` on."""
    last = None
    for id in tms.ids[tms.ids.index(bottom.id) :]:
        if id in has:
            last = id
        elif last is not None:
            break
    if last is None:
        raise ConfigError(
            f"the sources would make level {bottom.id}, above all levels of pyramid {name}: give --bottom for a finer "
            "one, or --top too for levels of these sources alone"
        )
    return last


def _check_levels(plan: Plan, has: set[str], name: str) -> None:
    """Every level that the old pyramid lacks has no old one below it: that one's pixels would be missing in it."""
    below: dict[str, str] = {}
    beginning: dict[int, str] = {}
    for level in plan.levels:
        source = level.derivation.source
        if source is not None:
            lower = below.get(source)
        else:
            assert level.mosaic is not None  # levels are made from others or from sources
            lower = beginning.get(level.mosaic)
        if level.id in has:
            lower = level.id
        elif lower is not None:
            raise ConfigError(
                f"level {level.id} is not in pyramid {name}, and would lack what its level {lower} has: end at level "
                f"{lower} (--top {lower}), or add levels first (fastpyr rebuild-top)"
            )
        if lower is not None:
            below[level.id] = lower
            if level.mosaic is not None:
                beginning[level.mosaic] = lower
