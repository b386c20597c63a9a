"""The whole job: sources to a published pyramid."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from ..engine import Builder, BuildResult, ProgressCallback
from ..errors import ConfigError, SourceError
from ..planning import Plan, make_plan
from ..pyramid import Pyramid, open_pyramid
from ..pyramid.descriptor import Descriptor
from ..pyramid.level import LevelDescriptor
from ..pyramid.list import SlabList
from ..store import open_location
from ..store.layout import Layout
from ..store.naming import check_level_id
from .inputs import SourceLike, prepare
from .threads import run_threads
from .workplace import Workplace, check_free, is_interrupted, workplace

__all__ = ["build", "plan"]

Warn = Callable[[str], object]


def plan(
    sources: SourceLike | Iterable[SourceLike] | None,
    descriptor: str | os.PathLike[str] | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    name: str | None = None,
    warn: Warn | None = None,
    **options: Any,
) -> Plan:
    """Decide what ``build`` with the same arguments would do, and write nothing.

    Raises FastpyrError as ``build`` does for what can be known before pixels are read.
    """
    inputs = prepare(sources, descriptor, config, name, **options)
    for line in inputs.warnings if warn else ():
        warn(line)  # type: ignore[misc]
    return make_plan(inputs.groups, inputs.options)


def build(
    sources: SourceLike | Iterable[SourceLike] | None,
    descriptor: str | os.PathLike[str] | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    name: str | None = None,
    progress: ProgressCallback | None = None,
    on_plan: Callable[[Plan], object] | None = None,
    warn: Warn | None = None,
    **options: Any,
) -> Pyramid:
    """Build a new pyramid and return it opened.

    Args:
        sources: raster files, folders (searched), globs, opened sources, or a list of them. Files are painted in the
            order of their names, the last one on top.
        descriptor: where ``<name>.json`` goes, a path or a URI (``s3://bucket/<name>.json``); the slabs go into the
            folder ``<name>`` next to it, or become objects whose names start with ``<name>/``.
        config: a BE4 configuration; what else is given wins over it.
        name: pyramid name, when ``descriptor`` is a folder.
        progress: called with a Progress after every block and slab, from worker threads, one call at a time, and once
            before them when an earlier build has left some.
        on_plan: called once with the Plan before work starts.
        warn: called with one-line warnings.
        options: attributes of BuildOptions (``tms``, ``bottom``, ``top``, ``width``, ``height``, ``compression``,
            ``interpolation``, ``parallelization``, ``mask``, ``srs``, ``nodata``, ``channels``, ``sample_format``,
            ``gamma``, ``overwrite``, ``path_depth``, ``resume``, ``read_attempts``, ``executor``, ``scheduler``), as
            values or as text.

    A build of files into a folder that was interrupted after its first finished slab, in whatever way, goes on from
    there when it is started again with the same sources and options, and ends with the same bytes. With ``resume``
    false, and with sources in memory, it starts anew and keeps no record. With an ``executor`` other than ``threads``
    parts of the build are made by other processes, with the same bytes: see ``fastpyr.scale``.

    Raises:
        FastpyrError: one line naming the file, level or option and the cure. Nothing is left under a final name; an
            existing pyramid stays as it was. A note of the error says where finished slabs are kept, if there are.
    """
    inputs = prepare(sources, descriptor, config, name, **options)
    for line in inputs.warnings if warn else ():
        warn(line)  # type: ignore[misc]
    if inputs.descriptor is None:
        raise ConfigError("no descriptor: say where <name>.json goes")
    store, key = open_location(inputs.descriptor)
    pyramid_name = store.layout.check_name(key.removesuffix(".json"))
    overwrite = inputs.options.overwrite
    try:
        check_free(store, pyramid_name, overwrite)
    except ConfigError:
        if not is_interrupted(store, pyramid_name):  # else it may be the last step of that build that is missing
            raise
    decided = make_plan(inputs.groups, inputs.options)
    for level in decided.levels:
        check_level_id(level.id)
    try:
        if decided.options.executor != "threads" or decided.options.scheduler is not None:
            from .shared import check_shared

            check_shared(store, pyramid_name, decided)
        for line in _servability(decided) if warn else ():
            warn(line)  # type: ignore[misc]
        if on_plan is not None:
            on_plan(decided)
        with workplace(store, pyramid_name, decided) as place:
            if not place.is_done:
                _build(place, decided, progress)
    finally:
        for mosaic in decided.mosaics:
            mosaic.close()
    return open_pyramid(inputs.descriptor, decided.tms)


def _build(place: Workplace, plan: Plan, progress: ProgressCallback | None) -> None:
    if plan.options.executor == "threads":
        builder = Builder(plan, place.staging, progress, place.journal)
        run_threads(builder.tasks(), builder.run, builder.worker, plan.options.workers, place.give_up)
        result = builder.result()
    else:
        from .shared import build_shared

        result = build_shared(place, plan, progress)
    if result.limits[0] is None:
        raise SourceError(f"the sources hold no data inside tile matrix set {plan.tms.name}: nothing to build")
    _publish(place, plan, result)


def _servability(plan: Plan) -> list[str]:
    """Warnings about formats that can be written but that servers cannot deliver."""
    pixel = plan.pixel
    name = pixel.format.name
    if pixel.channels == 2 and name != "TIFF_PNG_UINT8":
        return [f"2-channel {name} tiles are not servable: prefer --compression png"]
    if pixel.dtype == "float32" and pixel.channels > 1:
        return [f"float32 tiles of {pixel.channels} channels are not servable: prefer 1 channel"]
    return []


def _descriptor(name: str, plan: Plan, result: BuildResult, layout: Layout) -> Descriptor:
    """Descriptor of what was written; levels that hold no tile at all are left out."""
    options = plan.options
    levels = [
        LevelDescriptor.placed(
            name,
            level.id,
            options.width,
            options.height,
            limits,
            mask=options.mask,
            path_depth=options.path_depth,
            layout=layout,
        )
        for level, limits in zip(plan.levels, result.limits, strict=True)
        if limits is not None
    ]
    coarsest_first = tuple(reversed(levels))
    return Descriptor(name, plan.tms.name, plan.pixel, options.mask, options.interpolation, coarsest_first)


def _publish(place: Workplace, plan: Plan, result: BuildResult) -> None:
    store, name = place.store, place.name
    descriptor = _descriptor(name, plan, result, store.layout).to_json()
    root = store.layout.root(name, store.location(name))
    keys = [slab.key for slab in result.slabs]
    place.complete(plan.options.overwrite, keys, SlabList.owned(root, keys).to_bytes(), descriptor)
