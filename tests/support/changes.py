"""A pyramid and the one it is changed into, with slabs that stay, slabs that are replaced, added and removed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from interruptions import Steps, moments
from stored_pyramids import contents

import fastpyr
from fastpyr.engine import Builder
from fastpyr.planning import Plan
from fastpyr.pyramid.list import SlabList, parse_list
from fastpyr.run.threads import run_threads
from fastpyr.store import Store, exchange, open_location
from fastpyr.updates.inplace import open_change

LEVEL = "18"
OPTIONS = {"tms": "PM", "bottom": LEVEL, "width": 2, "height": 2, "interpolation": "nn", "compression": "png"}


def source(size: int) -> fastpyr.ArraySource:
    """The top left corner of one scene."""
    pixels = np.random.default_rng(3).integers(0, 256, (1500, 1500, 3), np.uint8)
    mask = np.full((1500, 1500), 255, np.uint8)
    mask[200:500, 300:700] = 0
    matrix = fastpyr.load_tms("PM").level(LEVEL)
    cell = matrix.cell_size
    place = (cell, 0.0, matrix.origin_x + 34_646_100 * cell, 0.0, -cell, matrix.origin_y - 23_834_050 * cell)
    crop = np.s_[:size, :size]
    return fastpyr.ArraySource(
        np.ascontiguousarray(pixels[crop]),
        transform=place,
        crs="EPSG:3857",
        mask=np.ascontiguousarray(mask[crop]),
        name="scene",
    )


class Changed:
    """Two pyramids of the same name: ``old`` in the place to be tested, ``new`` in memory, to be made of it.

    The new one reaches further, and lacks the coarsest level.
    """

    def __init__(self, uri: str | Path, **options: Any) -> None:
        self.uri = str(uri)
        store, key = open_location(self.uri)
        self.store: Store = store
        self.name = key.removesuffix(".json")
        self.options = {**OPTIONS, "mask": True, **options}
        fastpyr.build(source(900), self.uri, top="14", **self.options)
        new = f"mem://changes-{os.urandom(6).hex()}/{key.rpartition('/')[2]}"
        fastpyr.build(source(1300), new, top="15", **self.options)
        self.old = contents(self.uri)
        self.new = contents(new)
        self._prepare(fastpyr.open(new))
        here = fastpyr.open(self.uri)
        self.limits = {
            "old": {level.id: level.limits for level in here.levels},
            "new": {level.id: level.limits for level in fastpyr.open(new).levels},
        }
        self.corner = here.levels[0].limits.min_col, here.levels[0].limits.min_row

    def _prepare(self, new: fastpyr.Pyramid) -> None:
        layout = self.store.layout
        here = fastpyr.open(self.uri)
        prefix = f"{self.name}/"

        def key(pyramid: fastpyr.Pyramid, ref: Any) -> str:
            depth = here.descriptor.levels[0].path_depth
            return layout.slab(ref.kind, ref.level, ref.col, ref.row, depth)

        self.slabs = {
            key(new, ref): new.store.get(new.slab_key(ref)) for ref in self.new if self.new[ref] != self.old.get(ref)
        }
        self.removed = {key(here, ref) for ref in self.old.keys() - self.new.keys()}
        self.stays = {key(here, ref) for ref in self.old if self.old[ref] == self.new.get(ref)}
        replaced = {key(here, ref) for ref in self.old.keys() & self.new.keys()} - self.stays
        assert self.removed
        assert self.stays
        assert replaced
        assert len(self.slabs) > len(replaced)
        assert all(self.store.exists(prefix + one) for one in self.removed | self.stays | replaced)
        root = parse_list(self.store.get(f"{self.name}.list")).roots[0]
        self.listing = SlabList.owned(root, sorted(self.slabs.keys() | self.stays)).to_bytes()
        levels = {level.id: level for level in here.descriptor.levels}
        self.descriptor = replace(
            here.descriptor,
            levels=tuple(replace(levels[level.id], limits=level.limits) for level in new.descriptor.levels),
        ).to_json()

    def run(self, identity: dict[str, Any] | None = None, plan: Plan | None = None, **options: Any) -> bool:
        """Make the change: whether there was anything to do."""
        with open_change(self.store, self.name, identity, plan, **options) as change:
            if change.is_done:
                return False
            for key, data in self.slabs.items():
                change.staging.put(key, [data])
            change.commit(sorted(self.slabs), sorted(self.removed), self.listing, self.descriptor)
        return True

    def seen(self, verify: bool = True) -> str:
        """What an independent reader sees: ``old`` or ``new``, every slab, tile limits and all."""
        pyramid = fastpyr.open(self.uri)
        found = contents(self.uri)
        limits = {level.id: level.limits for level in pyramid.levels}
        assert pyramid.tile_bytes(LEVEL, *self.corner) is not None
        which = "old" if found == self.old else "new" if found == self.new else "a mix"
        if verify:
            report = pyramid.verify(all_tiles=True)
            assert report.ok, (which, report.findings[:3])
        assert limits == self.limits[which], which
        return which

    def build(self, **options: Any) -> bool:
        """The same, with slabs from a build that can be gone on with."""
        plan = fastpyr.plan(source(1300), self.uri, top="15", **self.options)
        with open_change(self.store, self.name, {"sources": "1300"}, plan, **options) as change:
            if change.is_done:
                return False
            builder = Builder(plan, change.staging, None, change.journal)
            run_threads(builder.tasks(), builder.run, builder.worker, 1, change.give_up)
            written = [slab.key for slab in builder.result().slabs]
            change.commit(written, sorted(self.removed), self.listing, self.descriptor)
        return True


class ChangeSteps(Steps):
    """Counts links and exchanges too; ``log`` has the operations' names."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.log: list[str] = []

    @contextlib.contextmanager
    def watched(self) -> Iterator[ChangeSteps]:
        real = exchange._exchanged
        try:
            exchange._exchanged = self._stand_in("exchange", real)
            with super().watched():
                yield self
        finally:
            exchange._exchanged = real

    def _stand_in(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        step = super()._stand_in(name, function)

        def logged(*args: Any, **kwargs: Any) -> Any:
            self.log.append(name)
            return step(*args, **kwargs)

        return logged

    def moments(self) -> list[int]:
        """Steps to die at: around the exchange, and some before and after it; see ``interruptions.moments``."""
        first, exchanged = self.log.index("symlink"), self.log.index("exchange")
        every = 1 if "FASTPYR_TEST_STEP" in os.environ else 4
        around = range(first - 5, min(first + 15, self.count), every)
        return sorted({*around, *range(exchanged - 1, exchanged + 3), *moments(self.count, 2, last=2)})


class Saved:
    """What is in a folder, to be had again."""

    def __init__(self, folder: Path, aside: Path) -> None:
        self.folder = folder
        self._aside = aside
        shutil.copytree(folder, aside, symlinks=True)

    def again(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self._aside, self.folder, symlinks=True)

    def forget(self) -> None:
        shutil.rmtree(self._aside)
