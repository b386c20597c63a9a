"""What updates have in common, be it of a new pyramid or in place: the plan, the work, the descriptor in the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ..engine import Builder, BuildResult, Journal, ProgressCallback
from ..engine.base import Base
from ..errors import ConfigError, SourceError
from ..formats import SlabKind
from ..grid import TileLimits
from ..planning import Be4Config, Plan, read_be4
from ..pyramid import Pyramid
from ..pyramid.descriptor import Descriptor
from ..pyramid.level import LevelDescriptor
from ..pyramid.slabs import SlabRef
from ..run.inputs import SourceLike, as_list, configured_groups, source_groups
from ..run.threads import run_threads
from ..store import Staging, Store
from ..store.naming import check_level_id
from .inherit import inherited_options, plan_update
from .inventory import Inventory

__all__ = ["Config", "Place", "PlanCallback", "Warn", "amended", "amended_descriptor", "planned", "read_config"]

Config = str | os.PathLike[str] | None
PlanCallback = Callable[[Plan], object]
Warn = Callable[[str], object]


class Place(Protocol):
    """Where the new slabs go: a Workplace, or a Change."""

    staging: Staging
    journal: Journal | None

    def give_up(self) -> None: ...


def read_config(config: Config, kind: str, warn: Warn | None) -> Be4Config | None:
    """A BE4 configuration of that kind, None without one. Raises ConfigError."""
    if config is None:
        return None
    conf = read_be4(config)
    if conf.kind != kind:
        raise ConfigError(f"{os.fspath(config)}: pyramid.type is {conf.kind}, not {kind}")
    for line in conf.warnings if warn else ():
        warn(line)  # type: ignore[misc]
    return conf


def planned(
    old: Inventory,
    sources: SourceLike | Iterable[SourceLike] | None,
    config: Config,
    conf: Be4Config | None,
    options: dict[str, Any],
    warn: Warn | None,
) -> Plan:
    """The plan of an update of ``old``; the caller closes its mosaics. Raises FastpyrError."""
    if conf is not None and options.get("parallelization") is None:
        options = {**options, "parallelization": conf.options.parallelization}
    settled = inherited_options(old.descriptor, options)
    if conf is not None and config is not None:
        groups = configured_groups(conf, config, as_list(sources), settled.srs)
    else:
        groups = source_groups(as_list(sources), settled.srs)
    plan = plan_update(old.descriptor, groups, settled)
    for level in plan.levels:
        check_level_id(level.id)
    for line in _remarks(plan, old.descriptor) if warn else ():
        warn(line)  # type: ignore[misc]
    return plan


def _remarks(plan: Plan, old: Descriptor) -> list[str]:
    """What the caller may not expect of the levels."""
    order = {id: number for number, id in enumerate(plan.tms.ids)}
    has, first = sorted((level.id for level in old.levels), key=order.__getitem__), plan.levels[0].id
    made = [level.id for level in plan.levels]
    found = []
    if finer := [id for id in has if order[id] < order[first]]:
        found.append(f"level(s) {', '.join(finer)} are finer than the sources' level {first} and stay as they are")
    if new := [id for id in made if id not in has]:
        found.append(f"level(s) {', '.join(new)} are not in pyramid {old.name}: they hold the new sources alone")
    return found


def amended(
    place: Place, plan: Plan, old: Inventory, progress: ProgressCallback | None
) -> tuple[BuildResult, set[SlabRef]]:
    """Make the slabs that new data touches; they are named too. Raises FastpyrError, SourceError without such data."""
    base = Base(Pyramid(old.store, old.key, old.descriptor, plan.tms), frozenset(slab.ref for slab in old.slabs))
    builder = Builder(plan, place.staging, progress, place.journal, base)
    run_threads(builder.tasks(), builder.run, builder.worker, plan.options.workers, place.give_up)
    result = builder.result()
    if all(limits is None for limits in result.limits):
        raise SourceError(f"the sources hold no data inside tile matrix set {plan.tms.name}: nothing to update")
    written = {SlabRef(SlabKind(slab.kind), plan.levels[slab.level].id, slab.column, slab.row) for slab in result.slabs}
    return result, written


def amended_descriptor(store: Store, name: str, plan: Plan, old: Descriptor, result: BuildResult) -> bytes:
    """Descriptor of the pyramid ``name`` with the old levels and those that were made, limits around both."""
    limits: dict[str, TileLimits] = {level.id: level.limits for level in old.levels}
    for made, found in zip(plan.levels, result.limits, strict=True):
        if found is not None:
            limits[made.id] = limits[made.id].union(found) if made.id in limits else found
    options = plan.options
    levels = [
        LevelDescriptor.placed(
            name,
            id,
            options.width,
            options.height,
            limits[id],
            mask=options.mask,
            path_depth=options.path_depth,
            layout=store.layout,
        )
        for id in reversed(plan.tms.ids)
        if id in limits
    ]
    return Descriptor(name, old.tile_matrix_set, old.format, old.mask, old.interpolation, tuple(levels)).to_json()
