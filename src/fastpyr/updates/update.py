"""New data on an old pyramid: what it touches is made, the rest stays as it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from ..engine import Builder, BuildResult, ProgressCallback
from ..engine.base import Base
from ..errors import ConfigError, SourceError, StoreError
from ..formats import SlabKind
from ..grid import TileLimits
from ..planning import Plan
from ..pyramid import Pyramid, open_pyramid
from ..pyramid.descriptor import Descriptor
from ..pyramid.level import LevelDescriptor
from ..pyramid.slabs import SlabRef
from ..run.inputs import SourceLike, descriptor_path, source_groups
from ..run.threads import run_threads
from ..run.workplace import Workplace, check_free, is_interrupted, workplace
from ..store import Store, open_location
from ..store.naming import check_level_id
from .carry import Carrier, Mode, is_same_place, slab_list
from .inherit import inherited_options, plan_update
from .inventory import Inventory, open_inventory
from .linkers import find_linkers

__all__ = ["update"]

Warn = Callable[[str], object]


def update(
    sources: SourceLike | Iterable[SourceLike] | None,
    descriptor: str | os.PathLike[str] | None = None,
    *,
    base: str | os.PathLike[str] | None = None,
    mode: Mode | str = Mode.SLINK,
    name: str | None = None,
    progress: ProgressCallback | None = None,
    on_plan: Callable[[Plan], object] | None = None,
    warn: Warn | None = None,
    **options: Any,
) -> Pyramid:
    """Make a new pyramid of an old one and new sources, and return it opened.

    Only the slabs that the sources touch and those above them are made, from new pixels over old ones; a tile without
    a new pixel keeps its bytes. All other slabs are the old pyramid's, which stays as it is.

    Args:
        sources: as for ``build``.
        descriptor: where the new pyramid's ``<name>.json`` goes, as for ``build``; another one than ``base``.
        base: descriptor of the old pyramid.
        mode: how untouched slabs come into the new pyramid: ``slink`` (symbolic links or linking objects to the
            pyramid that owns the slab, which the new one then depends on), ``hlink`` (hard links, folders of one file
            system) or ``copy``.
        name, progress, on_plan, warn: as for ``build``.
        options: as for ``build``. Tile matrix set, pixel format, nodata, masks, interpolation and slab size are the
            old pyramid's; one that is given must agree. Levels go from the sources' own to the old pyramid's last.

    Goes on after an interruption as ``build`` does.

    Raises:
        FastpyrError: one line naming the file, level or option and the cure. The old pyramid is never touched.
    """
    if base is None:
        raise ConfigError("no old pyramid: say which one is updated (--from OLD.json)")
    mode = _mode(mode)
    old = open_inventory(base)
    settled = inherited_options(old.descriptor, options)
    target = descriptor_path(descriptor, name)
    if target is None:
        raise ConfigError("no descriptor: say where the new <name>.json goes")
    store, key = open_location(target)
    pyramid_name = store.layout.check_name(key.removesuffix(".json"))
    if is_same_place(old, store, key):
        raise ConfigError(
            f"{store.location(key)} would be updated onto itself: choose another name, or change it in place (--inject)"
        )
    carrier = Carrier(old, store, pyramid_name, store.layout.depth(settled.path_depth), mode)
    carrier.check()
    _check_free(store, pyramid_name, settled.overwrite)
    plan = plan_update(old.descriptor, source_groups(sources, settled.srs), settled)
    identity = {"descriptor": old.uri, "stamp": old.stamp, "mode": mode.value}
    try:
        for line in _remarks(plan, old.descriptor) if warn else ():
            warn(line)  # type: ignore[misc]
        if on_plan is not None:
            on_plan(plan)
        with workplace(store, pyramid_name, plan, identity) as place:
            if not place.is_done:
                result = render_update(place, plan, old, progress)
                _publish(place, plan, old, result, carrier)
    finally:
        for mosaic in plan.mosaics:
            mosaic.close()
    return open_pyramid(target, plan.tms)


def _mode(mode: Mode | str) -> Mode:
    try:
        return Mode(str(mode).strip().lower())
    except ValueError:
        raise ConfigError(f"unknown mode {mode!r}: expected slink, hlink or copy") from None


def _check_free(store: Store, name: str, overwrite: bool) -> None:
    try:
        check_free(store, name, overwrite)
    except ConfigError:
        if not is_interrupted(store, name):  # else it may be the last step of that update that is missing
            raise
    if overwrite and (linkers := find_linkers(store, name)):
        raise ConfigError(
            f"{store.location(f'{name}.json')} cannot be replaced, {linkers[0].location} needs it: {linkers[0].reason}"
        )


def _remarks(plan: Plan, old: Descriptor) -> list[str]:
    """What the caller may not expect of the levels."""
    first = plan.tms.ids.index(plan.levels[0].id)
    finer = [level.id for level in old.levels if plan.tms.ids.index(level.id) < first]
    if not finer:
        return []
    return [f"level(s) {', '.join(finer)} are finer than the sources' level {plan.levels[0].id} and stay as they are"]


def render_update(
    place: Workplace, plan: Plan, old: Inventory, progress: ProgressCallback | None = None
) -> BuildResult:
    """Make the slabs that new data touches. Raises FastpyrError; SourceError when there is no such data."""
    for level in plan.levels:
        check_level_id(level.id)
    base = Base(Pyramid(old.store, old.key, old.descriptor, plan.tms), frozenset(slab.ref for slab in old.slabs))
    builder = Builder(plan, place.staging, progress, place.journal, base)
    run_threads(builder.tasks(), builder.run, builder.worker, plan.options.workers, place.give_up)
    result = builder.result()
    if all(limits is None for limits in result.limits):
        raise SourceError(f"the sources hold no data inside tile matrix set {plan.tms.name}: nothing to update")
    return result


def written_slabs(plan: Plan, result: BuildResult) -> set[SlabRef]:
    """The slabs that were made."""
    return {SlabRef(SlabKind(w.kind), plan.levels[w.level].id, w.column, w.row) for w in result.slabs}


def _publish(place: Workplace, plan: Plan, old: Inventory, result: BuildResult, carrier: Carrier) -> None:
    store, name = place.store, place.name
    written = written_slabs(plan, result)
    untouched = [slab for slab in old.slabs if slab.ref not in written]
    carried = carrier.run(untouched, None if place.is_placed else place.staging)
    if open_inventory(old.uri).stamp != old.stamp:
        raise StoreError(f"{old.uri} was changed while it was updated: update it again")
    entries = [(None, slab.key) for slab in result.slabs] + carried
    root = store.layout.root(name, store.location(name))
    place.complete(
        plan.options.overwrite,
        [key for _, key in entries],
        slab_list(root, entries).to_bytes(),
        updated_descriptor(store, name, plan, old.descriptor, result).to_json(),
    )


def updated_descriptor(store: Store, name: str, plan: Plan, old: Descriptor, result: BuildResult) -> Descriptor:
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
    return Descriptor(name, old.tile_matrix_set, old.format, old.mask, old.interpolation, tuple(levels))
