"""Small builds of many slabs, and ways to die in the middle of them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import random
import shutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastpyr
from fastpyr.engine.render import Renderer

DEAD = 77
"""Exit code of a process that ended at the step it was told to."""

_PM = {"tms": "PM", "bottom": "18", "top": "13"}
_DEM = {"tms": "LAMB93_1M_MNT", "bottom": "8", "top": "3"}
JOBS: dict[str, dict[str, Any]] = {
    "png mask": {**_PM, "top": "12", "width": 2, "height": 2, "compression": "png", "mask": True},
    "nested": {**_PM, "bottom": "20", "top": "12", "width": 8, "height": 8, "compression": "jpg", "mask": True},
    "jpg": {**_PM, "width": 2, "height": 2, "compression": "jpg"},
    "odd slabs": {**_PM, "width": 3, "height": 1, "compression": "zip", "mask": True},
    "decimated": {**_DEM, "width": 2, "height": 2, "mask": True},
    "decimated 4 x 4": {**_DEM, "top": "4", "width": 4, "height": 4, "compression": "zip"},
}
"""Options of builds: lossless with masks, lossy, slabs of several blocks, slabs that do not halve, levels made by
decimation of float32."""


def make_source(folder: Path, job: str, side: int = 1100) -> Path:
    """A GeoTIFF with a hole for a job, in Lambert 93."""
    import rasterio
    from rasterio.transform import from_origin

    rng = np.random.default_rng(5)
    y, x = np.mgrid[:side, :side]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "source.tif"
    dem = job.startswith("decimated")
    relief = 300 + 90 * np.sin(x / 61) * np.cos(y / 43) + rng.normal(0, 4, (side, side))
    if dem:
        pixels, cell, nodata = relief.astype("float32")[None], 1.0, -99999.0
        pixels[:, side // 3 : side // 2, side // 2 :] = nodata
    else:
        pixels = np.stack([relief - 150 + 20 * n for n in range(3)]).clip(1, 255).astype("uint8")
        cell, nodata = 0.5, 0.0
        pixels[:, side // 3 : side // 2, side // 2 :] = 0
    with rasterio.open(
        path, "w", driver="GTiff", height=side, width=side, count=len(pixels), dtype=pixels.dtype, crs="EPSG:2154",
        transform=from_origin(920_137.0, 6_565_211.0, cell, cell), nodata=nodata, tiled=True, compress="deflate",
    ) as out:  # fmt: skip
        out.write(pixels)
    return path


def build(source: Path, target: Path, job: str, workers: int = 1, **options: Any) -> fastpyr.Pyramid:
    return fastpyr.build(source, target, parallelization=workers, **{**JOBS[job], **options})


def tree(folder: Path) -> dict[str, str]:
    """Every file and folder below ``folder``, hidden ones included, with the files' SHA-256."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    return found


def reference(source: Path, target: Path, job: str, **options: Any) -> dict[str, str]:
    """The tree of an uninterrupted build, which is removed again: lists hold absolute paths."""
    build(source, target, job, resume=False, **options)
    found = tree(target.parent)
    shutil.rmtree(target.parent)
    return found


@contextlib.contextmanager
def rendered() -> Iterator[list[tuple[int, int]]]:
    """The blocks that are made from sources, by their first pixel."""
    real, found = Renderer.render, []

    def render(self: Renderer, px: int, py: int, *args: Any) -> int:
        found.append((px, py))
        return real(self, px, py, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Renderer, "render", render)
        yield found


def moments(steps: int, spread: int, last: int = 16) -> list[int]:
    """Steps to die at: the first, the ``last``, where trees get their final names, and ``spread`` in between.

    FASTPYR_TEST_STEP is the distance of the steps instead; 1 for a full proof.
    """
    every = int(os.environ.get("FASTPYR_TEST_STEP", "0"))
    if every:
        return list(range(0, steps, every))
    between = random.Random(steps).sample(range(steps), min(spread, steps))
    return sorted({*range(min(4, steps)), *range(max(steps - last, 0), steps), *between})


def in_a_process(work: Callable[[], object]) -> int:
    """Run something in a forked process: its exit code, 0 when ``work`` returned, 1 when it raised."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


_WRITES = ("write", "writev", "pwritev")
_STEPS = (*_WRITES, "mkdir", "rename", "replace", "rmdir", "unlink", "link", "symlink")
NEED_SPACE = (*_WRITES, "mkdir")
"""Operations that a full disk refuses."""


class Steps:
    """Counts the operations that change what is on disk, and does ``at_last`` instead of those from one of them on.

    ``before``: the number of operations that are let through. Half of the first write that is not is done
    nevertheless. ``names``: the operations meant.
    """

    def __init__(
        self, before: int | None, at_last: Callable[[], object] | None = None, names: Sequence[str] = _STEPS
    ) -> None:
        self.count = 0
        self._names = names
        self._before = before
        self._at_last = at_last

    @contextlib.contextmanager
    def watched(self) -> Iterator[Steps]:
        real = {name: getattr(os, name) for name in self._names}
        try:
            for name, function in real.items():
                setattr(os, name, self._stand_in(name, function))
            yield self
        finally:
            for name, function in real.items():
                setattr(os, name, function)

    def _stand_in(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            if self._before is not None and self.count >= self._before and self._at_last is not None:
                if name in _WRITES and self.count == self._before:
                    data = bytes(args[1]) if name == "write" else b"".join(args[1])
                    half = data[: len(data) // 2]
                    function(args[0], half if name == "write" else [half], *args[2:])
                self.count += 1
                return self._at_last()
            self.count += 1
            return function(*args, **kwargs)

        return step


def die() -> None:
    os._exit(DEAD)


def fill_the_disk() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
