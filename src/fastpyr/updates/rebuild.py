"""The upper levels of a pyramid made again from one of its levels, in place."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..engine import Builder, BuildResult, ProgressCallback
from ..engine.base import Base
from ..engine.stored import StoredLevels
from ..errors import ConfigError, StoreError
from ..formats import SlabKind
from ..grid import load_tms
from ..planning import Plan
from ..planning.above import StoredLevel, plan_above
from ..pyramid import Pyramid, open_pyramid
from ..pyramid.descriptor import Descriptor
from ..pyramid.level import LevelDescriptor
from ..pyramid.reader import open_descriptor
from ..run.fingerprint import fingerprint
from ..run.threads import run_threads
from ..store import Store
from ..store.naming import check_level_id
from .carry import slab_list
from .inherit import inherited_options
from .inplace import open_change, settle
from .inventory import Inventory, ListedSlab, Owner, open_inventory

__all__ = ["rebuild_top"]


def rebuild_top(
    descriptor: str | os.PathLike[str],
    from_level: str | int,
    top: str | int | None = None,
    *,
    keep_old: bool = False,
    even_if_linked: bool = False,
    search: Iterable[str | os.PathLike[str]] = (),
    progress: ProgressCallback | None = None,
    **options: Any,
) -> Pyramid:
    """Make the levels above ``from_level`` again from its stored tiles, in place, and return the pyramid opened.

    Readers see the old levels until all new ones are there. A change that was interrupted goes on when it is called
    again with the same arguments. In a nearest neighbour graph a level that picks pixels of one finer than
    ``from_level`` is made from that one, as by ``build``.

    Args:
        descriptor: the pyramid.
        from_level: the level that stays, with those below it.
        top: the last level: coarser than ``from_level``; default: the last one there is, or the last one of the tile
            matrix set when none is above ``from_level``. Levels above it are removed.
        keep_old: keep the old slabs, for ``rollback``.
        even_if_linked: change slabs although other pyramids have links to them.
        search: more places where such pyramids may be.
        progress: as for ``build``.
        options: ``parallelization``, ``gamma``, ``tms`` and ``resume`` of ``build``.

    Raises:
        FastpyrError: one line naming the level or option and the cure. The pyramid stays as it was.
    """
    store, key, _ = open_descriptor(descriptor)
    name = store.layout.check_name(key.removesuffix(".json"))
    finished = settle(store, name)
    old = open_inventory(descriptor)
    settled = inherited_options(old.descriptor, options)
    tms = load_tms(settled.tms or old.descriptor.tile_matrix_set)
    plan = plan_above(
        tms, old.descriptor.format, settled, _stored(old), str(from_level), _top(old, tms.ids, str(from_level), top)
    )
    for level in plan.levels:
        check_level_id(level.id)
    identity = {**(fingerprint(plan) or {}), "work": "rebuild-top", "from": str(from_level)}
    if finished != identity:
        with open_change(
            store,
            name,
            identity if settled.resume else None,
            plan,
            keep_old=keep_old,
            even_if_linked=even_if_linked,
            search=search,
        ) as change:
            if not change.is_done:
                pyramid = Pyramid(old.store, old.key, old.descriptor, tms)
                base = Base(pyramid, frozenset(slab.ref for slab in old.slabs))
                reader = StoredLevels(pyramid, base)
                builder = Builder(plan, change.staging, progress, change.journal, stored=reader)
                run_threads(builder.tasks(), builder.run, builder.worker, settled.workers, change.give_up)
                _commit(change, old, plan, builder.result())
    return open_pyramid(descriptor, tms)


def _top(old: Inventory, ids: tuple[str, ...], from_level: str, top: str | int | None) -> str:
    """The last level."""
    if top is not None:
        return str(top)
    unknown = [level.id for level in old.descriptor.levels if level.id not in ids]
    if unknown or from_level not in ids:
        raise ConfigError(f"level {(unknown or [from_level])[0][:80]} is not one of the tile matrix set")
    last = max((level.id for level in old.descriptor.levels), key=ids.index)
    return last if ids.index(last) > ids.index(from_level) else ids[-1]


def _stored(old: Inventory) -> dict[str, StoredLevel]:
    slabs: dict[str, list[tuple[int, int]]] = {level.id: [] for level in old.descriptor.levels}
    for slab in old.slabs:
        if slab.ref.kind is SlabKind.DATA:
            slabs[slab.ref.level].append((slab.ref.col, slab.ref.row))
    return {level.id: StoredLevel(level.limits, tuple(slabs[level.id])) for level in old.descriptor.levels}


def _commit(change: Any, old: Inventory, plan: Plan, result: BuildResult) -> None:
    store: Store = change.store
    stays = _finer(old.descriptor, plan)
    if open_inventory(old.uri).stamp != old.stamp:
        raise StoreError(f"{old.uri} was changed while its levels were made: do it again")
    kept = [slab for slab in old.slabs if slab.ref.level in stays]
    entries = [(slab.owner, _listed_key(old, store, slab)) for slab in kept]
    entries += [(None, slab.key) for slab in result.slabs]
    written = {slab.key for slab in result.slabs}
    gone = {_key(old, store, slab) for slab in old.slabs if slab.ref.level not in stays} - written
    root = store.layout.root(change.name, store.location(change.name))
    change.commit(
        sorted(written),
        sorted(gone),
        slab_list(root, entries).to_bytes(),
        _descriptor(store, change.name, old.descriptor, plan, result, stays).to_json(),
    )


def _finer(old: Descriptor, plan: Plan) -> set[str]:
    """The levels that stay: those below the first one that is made."""
    ids = plan.tms.ids
    first = min(ids.index(level.id) for level in plan.levels if not level.stored)
    return {level.id for level in old.levels if ids.index(level.id) < first}


def _key(old: Inventory, store: Store, slab: ListedSlab) -> str:
    ref = slab.ref
    return store.layout.slab(ref.kind, ref.level, ref.col, ref.row, old.descriptor.level(ref.level).path_depth)


def _listed_key(old: Inventory, store: Store, slab: ListedSlab) -> str:
    owner: Owner | None = slab.owner
    return _key(old, store, slab) if owner is None else owner.path


def _descriptor(
    store: Store, name: str, old: Descriptor, plan: Plan, result: BuildResult, stays: set[str]
) -> Descriptor:
    """The old descriptor with other levels above those that stay; levels without a tile are left out."""
    options = plan.options
    made = [
        LevelDescriptor.placed(
            old.name if store.layout.is_file else name,
            level.id,
            options.width,
            options.height,
            limits,
            mask=options.mask,
            path_depth=old.levels[0].path_depth,
            layout=store.layout,
        )
        for level, limits in zip(plan.levels, result.limits, strict=True)
        if limits is not None and not level.stored
    ]
    return replace(old, levels=(*reversed(made), *(level for level in old.levels if level.id in stays)))
