"""New data on an old pyramid: what it touches is made, the rest stays as it is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from ..engine import BuildResult, ProgressCallback
from ..errors import ConfigError, StoreError
from ..planning import Plan
from ..pyramid import Pyramid, open_pyramid
from ..pyramid.slabs import SlabRef
from ..run.inputs import SourceLike, descriptor_path
from ..run.workplace import Workplace, check_free, is_interrupted, workplace
from ..store import Store, open_location
from .amend import PlanCallback, Warn, amended, amended_descriptor, planned, read_config
from .carry import Carrier, Mode, is_same_place, slab_list
from .inherit import inherited_options
from .inventory import Inventory, open_inventory
from .linkers import find_linkers

__all__ = ["update"]


def update(
    sources: SourceLike | Iterable[SourceLike] | None,
    descriptor: str | os.PathLike[str] | None = None,
    *,
    base: str | os.PathLike[str] | None = None,
    mode: Mode | str | None = None,
    config: str | os.PathLike[str] | None = None,
    name: str | None = None,
    progress: ProgressCallback | None = None,
    on_plan: PlanCallback | None = None,
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
            system) or ``copy``. Default: slink.
        config: a BE4 configuration of an UPDATE; what else is given wins over it.
        name, progress, on_plan, warn: as for ``build``.
        options: as for ``build``. Tile matrix set, pixel format, nodata, masks, interpolation and slab size are the
            old pyramid's; one that is given must agree. Levels go from the sources' own to the old pyramid's last.

    Goes on after an interruption as ``build`` does.

    Raises:
        FastpyrError: one line naming the file, level or option and the cure. The old pyramid is never touched.
    """
    conf = read_config(config, "UPDATE", warn)
    if conf is not None:
        base, mode = base or conf.base, mode or conf.mode
        descriptor = conf.descriptor if descriptor is None else descriptor
    if base is None:
        raise ConfigError("no old pyramid: say which one is updated (--from OLD.json)")
    mode = _mode(mode or Mode.SLINK)
    old = open_inventory(base)
    settled = inherited_options(old.descriptor, options)
    if settled.executor != "threads":
        raise ConfigError(f"--executor {settled.executor} is for new pyramids: update with --executor threads")
    target = descriptor_path(descriptor, name)
    if target is None:
        raise ConfigError("no descriptor: say where the new <name>.json goes")
    store, pyramid_name = _target(target, old)
    carrier = Carrier(old, store, pyramid_name, store.layout.depth(settled.path_depth), mode)
    carrier.check()
    _check_free(store, pyramid_name, settled.overwrite)
    plan = planned(old, sources, config, conf, options, warn)
    identity = {"descriptor": old.uri, "stamp": old.stamp, "mode": mode.value}
    try:
        if on_plan is not None:
            on_plan(plan)
        with workplace(store, pyramid_name, plan, identity) as place:
            if not place.is_done:
                result, written = amended(place, plan, old, progress)
                _publish(place, plan, old, result, written, carrier)
    finally:
        for mosaic in plan.mosaics:
            mosaic.close()
    return open_pyramid(target, plan.tms)


def _target(descriptor: str, old: Inventory) -> tuple[Store, str]:
    """Where the new pyramid goes, and its name."""
    store, key = open_location(descriptor)
    if is_same_place(old, store, key):
        raise ConfigError(
            f"{store.location(key)} would be updated onto itself: choose another name, or change it in place (--inject)"
        )
    return store, store.layout.check_name(key.removesuffix(".json"))


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


def _publish(
    place: Workplace, plan: Plan, old: Inventory, result: BuildResult, written: set[SlabRef], carrier: Carrier
) -> None:
    store, name = place.store, place.name
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
        amended_descriptor(store, name, plan, old.descriptor, result),
    )
