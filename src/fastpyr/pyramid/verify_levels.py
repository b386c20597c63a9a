"""Upper levels against the level below: the 2 x 2 mean, or the picked pixels, tile by tile."""

from __future__ import annotations

import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..errors import FastpyrError
from ..formats import SlabKind
from ..grid.bounds import TileLimits
from ..grid.graph import Derivation, derivations
from ..ordered import in_order
from .reader import Pyramid
from .slabs import SlabRef
from .verify_rules import decimated, lossy_mean, lossy_mismatch, mean_mask, mean_mismatch, near_nodata
from .verify_slabs import SlabFacts
from .verify_subject import Progress, Subject
from .verify_tree import slab_tiles
from .window import Level, PixelWindow

__all__ = ["check_upper_levels"]

SAMPLED_SLABS = 8
"""Slabs per level that are compared unless everything is."""

SAMPLED_TILES = 16
"""Tiles per compared slab unless everything is."""

_SEED = 20241


@dataclass(frozen=True, slots=True)
class _Job:
    """The tiles of one slab that are compared."""

    level: Level
    source: Level
    derivation: Derivation
    ref: SlabRef
    tiles: tuple[tuple[int, int], ...]


def check_upper_levels(
    subject: Subject,
    facts: list[SlabFacts],
    pool: ThreadPoolExecutor,
    *,
    all_tiles: bool,
    gamma: float,
    progress: Progress | None,
) -> None:
    """Compare tiles of every level that derives from another one of the pyramid with the tiles they come from.

    A slab that is absent is nodata, and compared in full where the level below has slabs. Slabs already reported as
    missing or unreadable are left out.
    """
    assert subject.descriptor is not None, "vector tiles are not compared"
    pyramid = Pyramid(subject.store, subject.key, subject.descriptor, subject.tile_matrix_set)
    existing: dict[str, set[tuple[int, int]]] = {level.id: set() for level in subject.levels}
    for fact in facts:
        existing[fact.ref.level].add((fact.ref.col, fact.ref.row))
    jobs: list[_Job] = []
    compared = 0
    for derivation in derivations(subject.tile_matrix_set, subject.levels[0].id, subject.levels[-1].id):
        level, source = subject.level(derivation.level), subject.level(derivation.source or "")
        if level is not None and source is not None:
            compared += 1
            jobs += _jobs(subject, derivation, level, source, existing, all_tiles)
    if not compared:
        subject.report.skipped["upper-level"] = "no level derives from another one of the pyramid"
    work = in_order(pool, lambda job: _check_job(subject, pyramid, job, gamma), jobs)
    for done, _ in enumerate(work, 1):
        if progress:
            progress("upper levels", done, len(jobs))


def _jobs(
    subject: Subject,
    derivation: Derivation,
    level: Level,
    source: Level,
    existing: dict[str, set[tuple[int, int]]],
    all_tiles: bool,
) -> list[_Job]:
    """What is compared at one level."""
    rng = random.Random(f"{_SEED} {level.id}")
    slabs = existing[level.id]
    absent = _parents(derivation, level, source, existing[source.id]) - slabs
    chosen = sorted(slabs)
    if not all_tiles:
        chosen = sorted(rng.sample(chosen, min(SAMPLED_SLABS, len(chosen))))
    jobs = []
    for col, row in [*chosen, *sorted(absent)]:
        ref = SlabRef(SlabKind.DATA, level.id, col, row)
        tiles = level.limits.intersection(slab_tiles(level, ref))
        if tiles is None or ref in subject.broken:
            continue
        rows, columns = range(tiles.min_row, tiles.max_row + 1), range(tiles.min_col, tiles.max_col + 1)
        wanted = [(c, r) for r in rows for c in columns]
        if not all_tiles and (col, row) not in absent:
            wanted = sorted(rng.sample(wanted, min(SAMPLED_TILES, len(wanted))))
        jobs.append(_Job(level, source, derivation, ref, tuple(wanted)))
    return jobs


def _parents(
    derivation: Derivation, level: Level, source: Level, slabs: Iterable[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Slabs of a level whose pixels come from these slabs of its source, inside the limits."""
    found = set()
    for col, row in slabs:
        tiles = slab_tiles(source, SlabRef(SlabKind.DATA, source.id, col, row))
        columns = _targets(tiles.min_col, tiles.max_col, source.matrix.tile_width, derivation, 0)
        rows = _targets(tiles.min_row, tiles.max_row, source.matrix.tile_height, derivation, 1)
        tw, th = level.matrix.tile_width, level.matrix.tile_height
        touched = TileLimits(rows[0] // th, rows[1] // th, columns[0] // tw, columns[1] // tw).intersection(
            level.limits
        )
        if touched is None or rows[0] > rows[1] or columns[0] > columns[1]:
            continue
        across, down = level.tiles_per_width, level.tiles_per_height
        for y in range(touched.min_row // down, touched.max_row // down + 1):
            found |= {(x, y) for x in range(touched.min_col // across, touched.max_col // across + 1)}
    return found


def _targets(first_tile: int, last_tile: int, tile: int, derivation: Derivation, axis: int) -> tuple[int, int]:
    """First and last pixel of the level that come from the source pixels of a range of tiles, along one axis."""
    offset, ratio = derivation.offset[axis], derivation.ratio
    start, end = first_tile * tile - offset, (last_tile + 1) * tile - 1 - offset
    if derivation.method == "mean":
        return start // ratio, end // ratio
    return -(-start // ratio), end // ratio


def _check_job(subject: Subject, pyramid: Pyramid, job: _Job, gamma: float) -> None:
    level, source = job.level, job.source
    tw, th = level.matrix.tile_width, level.matrix.tile_height
    for col, row in job.tiles:
        window = PixelWindow(col * tw, row * th, (col + 1) * tw, (row + 1) * th)
        below = _source_window(window, job.derivation)
        if _touches_broken(subject, source, below):
            continue
        try:
            problem = _tile_problem(pyramid, job, window, below, gamma)
        except FastpyrError as error:
            problem = f"cannot be compared with the level below: {error}"
        subject.report.count(upper_tiles=1)
        if problem:
            _, _, number = level.descriptor.slab_of(col, row)
            subject.add("upper-level", problem, ref=job.ref, number=number)


def _source_window(window: PixelWindow, derivation: Derivation) -> PixelWindow:
    """Pixels of the source level that the pixels of a window come from."""
    (ox, oy), ratio = derivation.offset, derivation.ratio
    if derivation.method == "mean":
        return PixelWindow(*(ratio * v + o for v, o in zip(window, (ox, oy, ox, oy), strict=True)))
    x1, y1 = ratio * (window.x1 - 1) + ox + 1, ratio * (window.y1 - 1) + oy + 1
    return PixelWindow(ratio * window.x0 + ox, ratio * window.y0 + oy, x1, y1)


def _touches_broken(subject: Subject, level: Level, window: PixelWindow) -> bool:
    tiles = level.tiles_of(window)
    if tiles is None or not subject.broken:
        return False
    across, down = level.tiles_per_width, level.tiles_per_height
    return any(
        SlabRef(kind, level.id, col, row) in subject.broken
        for kind in subject.kinds
        for row in range(tiles.min_row // down, tiles.max_row // down + 1)
        for col in range(tiles.min_col // across, tiles.max_col // across + 1)
    )


def _tile_problem(pyramid: Pyramid, job: _Job, window: PixelWindow, below: PixelWindow, gamma: float) -> str | None:
    """What is wrong with one tile, mask first, or None."""
    parent, parent_mask = pyramid.read_window(job.level, window)
    children, child_mask = pyramid.read_window(job.source, below)
    mean, ratio, nodata = job.derivation.method == "mean", job.derivation.ratio, pyramid.nodata
    stored_mask = child_mask if pyramid.has_masks else None
    if stored_mask is not None:
        expected_mask = mean_mask(stored_mask) if mean else decimated(stored_mask, ratio)
        wrong = parent_mask != expected_mask
        if wrong.any():
            row, col = np.argwhere(wrong)[0]
            text = f"mask is {parent_mask[row, col]} instead of {expected_mask[row, col]}"
            return f"{text} at column {col}, row {row} of the tile ({np.count_nonzero(wrong)} pixels)"
    if pyramid.format.format.compression.is_lossy:
        if mean:
            expected, unsure = lossy_mean(children, nodata, gamma=gamma, child_mask=stored_mask)
        else:
            expected = decimated(children, ratio)
            unsure = near_nodata(expected, nodata)
        return lossy_mismatch(parent, expected, unsure)
    if mean:
        wrong = mean_mismatch(parent, children, nodata, gamma=gamma, child_mask=stored_mask)
    else:
        picked = decimated(children, ratio)
        same = (parent == picked) | ((parent != parent) & (picked != picked))  # NaN equals NaN
        wrong = ~same.all(axis=-1)
    if not wrong.any():
        return None
    row, col = np.argwhere(wrong)[0]
    how = "the 2 x 2 mean" if mean else "the picked pixels"
    found = ",".join(f"{value:g}" for value in parent[row, col].tolist())
    where = f"at column {col}, row {row} of the tile"
    return f"pixel {found} {where} is not {how} of level {job.source.id} ({np.count_nonzero(wrong)} pixels)"
