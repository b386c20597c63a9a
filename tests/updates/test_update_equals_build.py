"""An update is what a build of all sources would have been: the proof, for random footprints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from updates import QTREE, Job, assert_same, content, in_memory, jobs, random_pixels, state, tiles

import fastpyr
from fastpyr.pyramid.list import parse_list


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(jobs())
def test_update_equals_a_build_of_all(job: Job) -> None:
    old, new = job.sources()
    first, last = in_memory(), in_memory()
    fastpyr.build([old], first, **job.options)
    expected = fastpyr.build([old, new], in_memory(), **job.options)
    updated = fastpyr.update([new], last, base=first, mode="copy", bottom=job.grid.bottom, parallelization=2)
    assert assert_same(updated, expected) > 0
    assert updated.verify().findings == expected.verify().findings == []
    for level in updated.levels:
        assert level.limits == expected.level(level.id).limits, level.id


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(jobs(), st.integers(0, 2**32 - 1))
def test_updates_of_updates_equal_a_build_of_all(job: Job, seed: int) -> None:
    """Three times the same way; on a pyramid with links the third one reads through them."""
    rng = np.random.default_rng(seed)
    x, y, pixels, mask = job.second
    third = job.grid.source(x + 100, y - 50, random_pixels(rng, *pixels.shape, str(pixels.dtype)), mask, name="c")
    old, new = job.sources()
    places = [in_memory() for _ in range(3)]
    fastpyr.build([old], places[0], **job.options)
    fastpyr.update([new], places[1], base=places[0], mode="copy", bottom=job.grid.bottom)
    updated = fastpyr.update([third], places[2], base=places[1], mode="copy", bottom=job.grid.bottom)
    expected = fastpyr.build([old, new, third], in_memory(), **job.options)
    assert_same(updated, expected)


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(jobs(lossless=False))
def test_tiles_that_are_not_touched_keep_their_bytes(job: Job) -> None:
    """JPEG, with and without masks: no tile is encoded again that new data does not reach."""
    old, new = job.sources()
    first = in_memory()
    before = fastpyr.build([old], first, **job.options)
    updated = fastpyr.update([new], in_memory(), base=first, mode="copy", bottom=job.grid.bottom)
    touched = _touched(fastpyr.build([new], in_memory(), **job.options))
    kept = 0
    for level, column, row in tiles(updated, before):
        if (level, column, row) in touched:
            continue
        kept += 1
        was = before.tile_bytes(level, column, row)
        if was is not None:
            assert updated.tile_bytes(level, column, row) == was
            np.testing.assert_array_equal(updated.mask(level, column, row), before.mask(level, column, row))
    fully = (job.second[3] is None) and job.grid is QTREE
    if fully:  # where all pixels of a tile are new, nothing of the old one is in it
        alone = fastpyr.build([new], in_memory(), **job.options)
        for level, column, row in touched:
            if (alone.mask(level, column, row) == 255).all() and _is_full(job, level, column, row):
                assert updated.tile_bytes(level, column, row) == alone.tile_bytes(level, column, row)


def _touched(alone: fastpyr.Pyramid) -> set[tuple[str, int, int]]:
    """The tiles below which the new sources have a tile: those that a pyramid of them alone stores, and their
    neighbours of decimated levels, which take pixels from the same tile."""
    found = set()
    for level, column, row in tiles(alone, alone):
        found.add((level, column, row))
    if alone.tile_matrix_set.kind == "QTREE":
        return found
    return {(level, column + i, row + j) for level, column, row in found for i in (-1, 0, 1) for j in (-1, 0, 1)}


def _is_full(job: Job, level: str, column: int, row: int) -> bool:
    """Whether new pixels cover a tile and all that is averaged into it."""
    if level != job.grid.bottom:
        return False
    x, y, pixels, _ = job.second
    left, top = column * 256 - job.grid.x0 - x, row * 256 - job.grid.y0 - y
    return left >= 0 and top >= 0 and left + 256 <= pixels.shape[1] and top + 256 <= pixels.shape[0]


@pytest.mark.parametrize("interpolation", ["linear", "bicubic", "lanczos"])
@pytest.mark.parametrize(("scale", "dtype"), [(1.0, "uint8"), (0.77, "uint8"), (1.4, "float32")])
def test_other_kernels_differ_at_the_seam_alone(interpolation: str, scale: float, dtype: str) -> None:
    """Sources of one grid are resampled across their seam by a build of both. An update sees the new one alone: its
    pixels differ within the kernel's radius of the seam, and nowhere else. Masks are equal everywhere."""
    radius = {"linear": 1, "bicubic": 2, "lanczos": 3}[interpolation]
    reach = int(np.ceil(radius * max(1.0, 1 / scale) * max(scale, 1.0))) + 1
    rng = np.random.default_rng(3)
    options = QTREE.options(width=2, height=2, compression="zip", mask=True, interpolation=interpolation, top="16")
    shift = 0.37
    old = QTREE.source(shift, shift, random_pixels(rng, 900, 900, 1, dtype), scale=scale, name="a")
    x, y = shift + 300 * scale, shift + 200 * scale
    new = QTREE.source(x, y, random_pixels(rng, 400, 300, 1, dtype), scale=scale, name="b")
    first = in_memory()
    fastpyr.build([old], first, **options)
    expected = fastpyr.build([old, new], in_memory(), **options)
    updated = fastpyr.update([new], in_memory(), base=first, mode="copy", bottom=QTREE.bottom)
    inner = np.array([x, x + 300 * scale, y, y + 400 * scale])
    differ = 0
    for level, column, row in tiles(updated, expected):
        factor = 2 ** (int(QTREE.bottom) - int(level))
        found, wanted = content(updated, level, column, row), content(expected, level, column, row)
        np.testing.assert_array_equal(found[1], wanted[1])
        rows, columns = np.mgrid[row * 256 : (row + 1) * 256, column * 256 : (column + 1) * 256] * factor
        near = _near(columns - QTREE.x0, inner[0], inner[1], reach + factor)
        near &= _near(rows - QTREE.y0, inner[2], inner[3], reach + factor)
        inside = ~_near(columns - QTREE.x0, inner[0], inner[1], -reach - factor)
        inside |= ~_near(rows - QTREE.y0, inner[2], inner[3], -reach - factor)
        differences = np.abs(found[0].astype(np.float64) - wanted[0]).max(2)
        seam = near & inside
        differ += int((differences[seam] != 0).sum())
        # Positions are counted from another corner there: they may round to another 1/1024 of a pixel.
        assert differences[~seam].max(initial=0) <= 1, (level, column, row)
        assert (differences[~seam] != 0).sum() <= 3, (level, column, row)
    assert differ > 0  # else this test would show nothing


def _near(at: np.ndarray, first: float, last: float, margin: float) -> np.ndarray:
    """Which positions lie between two others, with a margin around them."""
    found: np.ndarray = (at >= first - margin) & (at <= last + margin)
    return found


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_slabs_are_rewritten_where_touched_and_above(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Their number, from the footprint alone; all others are links to the old ones, whose files stay as they were."""
    job = data.draw(jobs().filter(lambda job: job.grid is QTREE))
    folder: Path = tmp_path_factory.mktemp("slabs")
    old, new = job.sources()
    fastpyr.build([old], folder / "OLD.json", **job.options)
    before = state(folder)
    mode = data.draw(st.sampled_from(["slink", "hlink", "copy"]))
    fastpyr.update([new], folder / "NEW.json", base=folder / "OLD.json", mode=mode, bottom=QTREE.bottom)
    after = state(folder)
    assert {name: after[name] for name in before} == before
    expected = _touched_slabs(job)
    kinds = ("DATA", "MASK") if job.options["mask"] else ("DATA",)
    listing = parse_list((folder / "NEW.list").read_bytes())
    names = {entry.path: entry.slab() for entry in listing.entries}
    own = {names[path] for path in names if (folder / "NEW" / path).stat().st_nlink == 1}
    if mode == "slink":
        own = {names[entry.path] for entry in listing.entries if entry.root == 0}
    elif mode == "copy":
        old_names = {entry.slab() for entry in parse_list((folder / "OLD.list").read_bytes()).entries}
        own = {n for n in own if n not in old_names or n[1:] in expected}
    assert {(kind, *slab) for kind in kinds for slab in expected} == {(n.kind.value, *n[1:]) for n in own}


def _touched_slabs(job: Job) -> set[tuple[str, int, int]]:
    """Level, column and row of the slabs with a new pixel, and of those above: by arithmetic on the footprint."""
    x, y, pixels, mask = job.second
    rows, columns = np.nonzero(np.ones(pixels.shape[:2]) if mask is None else mask)
    found = set(zip((columns + x + QTREE.x0).tolist(), (rows + y + QTREE.y0).tolist(), strict=True))
    found = {(column // 256, row // 256) for column, row in found}
    slabs = set()
    for level in range(int(QTREE.bottom), int(QTREE.top) - 1, -1):
        slabs |= {(str(level), c // job.options["width"], r // job.options["height"]) for c, r in found}
        found = {(column // 2, row // 2) for column, row in found}
    return slabs
