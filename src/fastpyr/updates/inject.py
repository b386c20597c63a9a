"""New data on a pyramid where it is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from ..engine import ProgressCallback
from ..errors import ConfigError
from ..pyramid import Pyramid, open_pyramid
from ..pyramid.reader import open_descriptor
from ..run.fingerprint import fingerprint
from ..run.inputs import SourceLike
from ..store import Store
from . import inplace
from .amend import PlanCallback, Warn, amended, amended_descriptor, planned, read_config
from .carry import slab_list
from .inventory import open_inventory

__all__ = ["inject", "rollback"]


def inject(
    sources: SourceLike | Iterable[SourceLike] | None,
    descriptor: str | os.PathLike[str] | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    keep_old: bool = False,
    even_if_linked: bool = False,
    search: Iterable[str | os.PathLike[str]] = (),
    progress: ProgressCallback | None = None,
    on_plan: PlanCallback | None = None,
    warn: Warn | None = None,
    **options: Any,
) -> Pyramid:
    """Put new sources on the pyramid ``descriptor``, in place, and return it opened.

    Touched slabs are made beside the old ones, which take their place in one step when all are there: whenever the
    work ends, the pyramid is the old one or the new one.

    Args:
        sources, progress, on_plan, warn: as for ``fastpyr.build``.
        config: a BE4 configuration of an INJECTION; what else is given wins over it.
        keep_old: keep the old slabs, for ``rollback``, until the next change.
        even_if_linked: change it although other pyramids have links to its slabs.
        search: places where such pyramids are looked for, besides the pyramid's own.
        options: as for ``fastpyr.update``.

    Goes on after an interruption when it is called again with the same sources and options.

    Raises:
        FastpyrError: one line naming the file, level or option and the cure.
    """
    conf = read_config(config, "INJECTION", warn)
    target = conf.descriptor if conf is not None and descriptor is None else descriptor
    if target is None:
        raise ConfigError("no descriptor: say which pyramid is updated")
    store, name = _named(target)
    finished = inplace.settle(store, name)
    old = open_inventory(target)
    plan = planned(old, sources, config, conf, options, warn)
    try:
        if on_plan is not None:
            on_plan(plan)
        identity = fingerprint(plan, {"descriptor": old.uri, "mode": "inject"}) if plan.options.resume else None
        if identity is not None and finished == identity:  # nothing but the end of it was missing
            return open_pyramid(target, plan.tms)
        with inplace.open_change(
            store, name, identity, plan, keep_old=keep_old, even_if_linked=even_if_linked, search=search
        ) as change:
            if not change.is_done:
                result, written = amended(change, plan, old, progress)
                layout, depth = store.layout, plan.options.path_depth
                kept = [
                    (slab.owner, layout.slab(*slab.ref, layout.depth(depth)))
                    for slab in old.slabs
                    if slab.ref not in written
                ]
                keys = [slab.key for slab in result.slabs]
                listing = slab_list(layout.root(name, store.location(name)), [*((None, key) for key in keys), *kept])
                descriptor_bytes = amended_descriptor(store, name, plan, old.descriptor, result)
                change.commit(keys, [], listing.to_bytes(), descriptor_bytes)
    finally:
        for mosaic in plan.mosaics:
            mosaic.close()
    return open_pyramid(target, plan.tms)


def rollback(descriptor: str | os.PathLike[str]) -> bool:
    """Take back an interrupted change of a pyramid, or the last one when its old slabs were kept.

    True: the pyramid is again what it was. False: it had not changed yet, what was made for the change is removed.
    Raises ConfigError when there is nothing to take back, StoreError when that fails.
    """
    return inplace.rollback(*_named(descriptor))


def _named(descriptor: str | os.PathLike[str]) -> tuple[Store, str]:
    store, key, _ = open_descriptor(descriptor)
    return store, store.layout.check_name(key.removesuffix(".json"))
