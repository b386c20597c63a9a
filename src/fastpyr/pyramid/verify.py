"""Verification of a whole pyramid: is everything there, readable by every known reader, and right."""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor

from ..errors import ConfigError
from ..formats import SlabKind
from ..grid.bounds import TileLimits
from ..grid.matrix import TileMatrixSet
from ..grid.tms import load_tms
from ..ordered import in_order
from ..store import Store
from .reader import open_descriptor
from .slabs import SlabRef
from .verify_levels import check_upper_levels
from .verify_report import CHECKS, Finding, VerifyReport
from .verify_slabs import SlabFacts, check_slab
from .verify_subject import Progress, Subject, load_subject
from .verify_tree import check_tree

__all__ = ["CHECKS", "Finding", "VerifyReport", "verify", "verify_pyramid"]

_MAX_GAMMA = 5.0


def verify(
    uri: str | os.PathLike[str],
    *,
    tms: TileMatrixSet | str | os.PathLike[str] | None = None,
    all_tiles: bool = False,
    gamma: float = 1.0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check the pyramid of a descriptor, raster or vector (vector tiles are not opened).

    Every slab is read and every tile decoded. ``all_tiles`` also compares every tile of the upper levels with the
    level below, instead of a seeded sample; ``gamma`` is the one the pyramid was built with; ``threads`` default to
    the number of cores. Raises ConfigError for an unusable gamma, StoreError, DescriptorError or GridError when the
    descriptor cannot be used at all; everything else becomes a finding.
    """
    store, key, _ = open_descriptor(uri)
    if tms is not None and not isinstance(tms, TileMatrixSet):
        tms = load_tms(tms)
    return verify_pyramid(
        store, key, tile_matrix_set=tms, all_tiles=all_tiles, gamma=gamma, threads=threads, progress=progress
    )


def verify_pyramid(
    store: Store,
    key: str,
    *,
    tile_matrix_set: TileMatrixSet | None = None,
    all_tiles: bool = False,
    gamma: float = 1.0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """``verify`` of the descriptor at ``key`` of a store."""
    if not 0 < gamma <= _MAX_GAMMA:
        raise ConfigError(f"gamma {gamma:g} is not above 0 and at most {_MAX_GAMMA:g}: give the one of the build")
    name = os.path.basename(key).removesuffix(".json")
    subject = load_subject(store, key, name, tile_matrix_set)
    subject.report.count(levels=len(subject.levels))
    with ThreadPoolExecutor(threads or os.cpu_count() or 1, "verify") as pool:
        facts = _check_slabs(subject, check_tree(subject), pool, progress)
        _check_tight(subject, facts)
        if subject.descriptor is not None:
            check_upper_levels(subject, facts, pool, all_tiles=all_tiles, gamma=gamma, progress=progress)
    if subject.descriptor is None:
        why = "vector tiles are not opened"
        subject.report.skipped |= dict.fromkeys(("tile", "nodata-slab", "mask-nodata", "upper-level"), why)
    if not subject.has_masks:
        subject.report.skipped |= dict.fromkeys(("mask", "mask-nodata"), "the pyramid stores no masks")
    subject.report.settle()
    return subject.report


def _check_slabs(
    subject: Subject, stored: list[SlabRef], pool: ThreadPoolExecutor, progress: Progress | None
) -> list[SlabFacts]:
    """Check the content of every stored slab; facts of the data slabs that could be judged."""
    data = [ref for ref in stored if ref.kind is SlabKind.DATA]
    masks = {ref for ref in stored if ref.kind is SlabKind.MASK}
    if subject.has_masks:
        for ref in data:
            if ref._replace(kind=SlabKind.MASK) not in masks:
                subject.add("mask", "the slab has no mask slab beside it", ref=ref)
        for ref in sorted(masks - {ref._replace(kind=SlabKind.MASK) for ref in data}):
            subject.add("mask", "the mask slab has no data slab beside it", ref=ref)

    def check(ref: SlabRef) -> SlabFacts | None:
        return check_slab(subject, ref, ref._replace(kind=SlabKind.MASK) in masks)

    facts = []
    for done, found in enumerate(in_order(pool, check, data), 1):
        if found is not None:
            facts.append(found)
        if progress:
            progress("slabs", done, len(data))
    return facts


def _check_tight(subject: Subject, facts: list[SlabFacts]) -> None:
    """Are the limits of the bottom level no wider than its data? Judged when every slab of it could be read."""
    bottom = subject.levels[0]
    if subject.descriptor is None or any(ref.level == bottom.id for ref in subject.broken):
        return
    ranges = [fact.data_tiles for fact in facts if fact.ref.level == bottom.id and fact.data_tiles]
    if not ranges:
        subject.add("limits", "the bottom level holds no data", "warning", level=bottom.id, key=subject.key)
        return
    held = functools.reduce(TileLimits.union, ranges)
    if held.union(bottom.limits) != held:
        text = f"tile limits {_range_text(bottom.limits)} are wider than the data {_range_text(held)}"
        subject.add("limits", text, "warning", level=bottom.id, key=subject.key)


def _range_text(limits: TileLimits) -> str:
    return f"columns {limits.min_col}-{limits.max_col} rows {limits.min_row}-{limits.max_row}"
