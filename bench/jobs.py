"""The jobs of the benchmark: who takes part, on what, and what is asked of us."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .check import Verdict, check_folder, check_pyramid
from .data import Input, delivery_folder
from .results import Outcome
from .rivals import RIVALS, Rival, Task

__all__ = ["JOBS", "Contender", "Job", "Target", "job"]

_RESAMPLING = {"nn": "nearest", "linear": "bilinear", "bicubic": "cubic"}
_TILES = {"jpg": "jpeg", "png": "png"}
REFERENCE_FLOOR = 1.43
"""CPU seconds of the floor of ortho8k on the machine where the ROK4 tools took ``REFERENCE_BE4``."""
REFERENCE_BE4 = 25.0
"""CPU seconds of the ROK4 reference tools (BE4) on a map of 6400 x 6400 pixels, JPEG, there."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody who does the job. ``kind``: ours, floor or rival.

    ``commands`` are started together, given the folder for output; ``verdict`` looks at the folder after the first
    round (None: nothing to look at). ``slow``: one round is enough.
    """

    name: str
    label: str
    kind: str
    commands: Callable[[Path], list[list[str]]]
    verdict: Callable[[Path], Verdict | None] = lambda _: None
    version: str = ""
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A number that is wanted: ``value`` of the outcome, None when a contender is absent; at most or at least."""

    text: str
    value: Callable[[Outcome], float | None]
    limit: float
    at_most: bool = True

    def met(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit


@dataclass(frozen=True, slots=True)
class Job:
    """``contenders`` are asked for when the job starts, because rivals may have to be installed."""

    name: str
    title: str
    ours: Sequence[Contender]
    floors: Sequence[Contender] = ()
    rivals: Sequence[str] = ()
    task: Callable[[Path], Task] | None = None
    source: Input | None = None
    bottom: int = 0
    interpolation: str = ""
    targets: Sequence[Target] = field(default=())
    absent: str = ""

    def rival(self, name: str) -> Contender:
        """A rival by its key in ``RIVALS``. Raises Missing when it cannot be installed."""
        rival: Rival = RIVALS[name]
        assert self.task is not None
        assert self.source is not None
        task, source, method = self.task, self.source, _RESAMPLING[self.interpolation]
        rival.argv(task(Path("nowhere"))) if rival.layout != "cog" else rival.version()
        return Contender(
            name,
            rival.label,
            "rival",
            lambda out: [rival.argv(task(out))],
            lambda out: check_folder(out, rival.layout, source, self.bottom, method, rival.overviews),
            f"{rival.package} {rival.version()}",
            rival.slow,
        )


def _ours(source: Input, *options: str, label: str = "fastpyr", bottom: int, interpolation: str, check: bool = True,
          workers: int = 2) -> Contender:  # fmt: skip
    def commands(out: Path) -> list[list[str]]:
        words = ["build", str(source.path()), str(out / "OURS.json"), "--tms", "PM", "--top", "0"]
        words += ["--interpolation", interpolation, "--parallelization", str(workers), *options]
        return [[sys.executable, "-m", "fastpyr", *words]]

    def verdict(out: Path) -> Verdict | None:
        return check_pyramid(out / "OURS.json", source, bottom, _RESAMPLING[interpolation]) if check else None

    return Contender(label, label, "ours", commands, verdict)


def _floors(source: Input, *options: str, name: str = "floor", busy: bool = True) -> list[Contender]:
    def commands(out: Path, copies: int) -> list[list[str]]:
        program = [sys.executable, "-m", "bench.floor", str(source.path())]
        return [[*program, str(out / f"floor-{n}"), str(out / f"floor-{n}.json"), *options] for n in range(copies)]

    found = [Contender(name, f"{name}: the parts alone, one core", "floor", lambda out: commands(out, 1))]
    if busy:
        label = f"{name}, both cores busy"
        found.append(Contender(f"{name}-busy", label, "floor", lambda out: commands(out, 2)))
    return found


def _whole(
    name: str,
    title: str,
    source: Input,
    *,
    bottom: int,
    compression: str,
    interpolation: str,
    rivals: Sequence[str] = (),
    targets: Sequence[Target] = (),
    mask: bool = False,
    absent: str = "",
) -> Job:
    """One input, ours against its floor and rivals."""
    options = ["--compression", compression, *(["--mask"] if mask else [])]
    tiles = _TILES.get(compression, "")
    return Job(
        name,
        title,
        [_ours(source, *options, bottom=bottom, interpolation=interpolation)],
        _floors(source, *options, "--interpolation", interpolation),
        rivals,
        lambda out: Task(source.path(), out, bottom, tiles, _RESAMPLING[interpolation]),
        source,
        bottom,
        interpolation,
        targets,
        absent,
    )


def _floor_target(limit: float) -> Target:
    return Target(f"CPU at most {limit} x the floor", lambda o: o.ratio("fastpyr", "floor", "cpu"), limit)


def _against(rival: str, what: str, limit: float) -> Target:
    words = {"cpu": "less CPU", "wall": "less wall"}[what]
    text = f"at least {limit:g} x {words} than {RIVALS[rival].label}"
    return Target(text, lambda o: o.ratio(rival, "fastpyr", what), limit, at_most=False)


def _ortho(name: str, title: str, source: Input, limit: float, rivals: Sequence[str], *more: Target, absent: str = ""):
    targets = [_floor_target(limit), *more]
    return _whole(
        name, title, source, bottom=18, compression="jpg", interpolation="bicubic", rivals=rivals, targets=targets,
        absent=absent,
    )  # fmt: skip


def ortho8k() -> Job:
    rivals = ("raster-tile", "cog", "rio-tiler", "gdal2tiles")
    more = (_against("raster-tile", "cpu", 6), _against("raster-tile", "wall", 5))
    title = "ortho8k, EPSG:2154, deflate -> PM 18..0, JPEG q75, bicubic"
    return _ortho("ortho8k", title, Input("ortho", 8192), 1.25, rivals, *more)


def ortho8k_raw() -> Job:
    title = "ortho8k, EPSG:2154, uncompressed -> PM 18..0, JPEG q75, bicubic"
    return _ortho("ortho8k-raw", title, Input("ortho", 8192, "raw"), 1.35, ("raster-tile",))


def aligned8k() -> Job:
    title = "ortho8k already on PM 18 (EPSG:3857), deflate -> PM 18..0, JPEG q75"
    more = (_against("vips", "wall", 2), _against("vips", "cpu", 2))
    return _ortho("aligned8k", title, Input("ortho", 8192, aligned=True), 1.35, ("vips", "raster-tile", "cog"), *more)


def ortho16k() -> Job:
    title = "ortho16k, EPSG:2154, deflate -> PM 18..0, JPEG q75, bicubic"
    return _ortho("ortho16k", title, Input("ortho", 16384), 1.25, ("raster-tile", "cog"))


def ortho2k() -> Job:
    title = "ortho2k, EPSG:2154, deflate -> PM 18..0, JPEG q75, bicubic"
    return _ortho("ortho2k", title, Input("ortho", 2048), 1.25, ("raster-tile", "cog", "rio-tiler", "gdal2tiles"))


def real8k() -> Job:
    title = "a real delivery mirrored to 8k, EPSG:2154, deflate -> PM 18..0, JPEG q75, bicubic"
    absent = "" if delivery_folder() else "the shared delivery is not here"
    return _ortho("real8k", title, Input("real", 8192), 1.25, ("raster-tile",), absent=absent)


def scan8k() -> Job:
    def bytes_ratio(outcome: Outcome) -> float | None:
        return outcome.bytes_ratio("fastpyr", "raster-tile")

    targets = [_against("raster-tile", "cpu", 10), Target("bytes at most gdal raster tile's", bytes_ratio, 1.0)]
    return _whole(
        "scan8k", "scan8k, EPSG:2154, 5 m -> PM 15..0, PNG, nearest", Input("scan", 8192), bottom=15,
        compression="png", interpolation="nn", rivals=("raster-tile", "raster-tile-nearest", "cog"),
        targets=targets,
    )  # fmt: skip


def dem8k() -> Job:
    return _whole(
        "dem8k", "dem8k, float32 with holes, EPSG:2154, 1 m -> PM 17..0, ZIP, linear, masks", Input("dem", 8192),
        bottom=17, compression="zip", interpolation="linear", mask=True, targets=[_floor_target(1.3)],
    )  # fmt: skip


def masks() -> Job:
    """The same job with and without masks."""
    source = Input("ortho", 8192)
    ours = [
        _ours(source, "--compression", "jpg", *extra, label=label, bottom=18, interpolation="bicubic")
        for label, extra in (("fastpyr", ()), ("fastpyr --mask", ("--mask",)))
    ]
    target = Target(
        "masks on: CPU at most 1.05 x masks off", lambda o: o.ratio("fastpyr --mask", "fastpyr", "cpu"), 1.05
    )
    return Job("masks", "ortho8k, masks off and on", ours, targets=[target])


def small() -> Job:
    """A whole process for a few dozen tiles: what starting costs."""
    target = Target("wall at most 0.5 s", lambda o: o.median("fastpyr", "wall"), 0.5)
    return _whole(
        "small", "42 tiles, whole process", Input("ortho", 640), bottom=18, compression="jpg", interpolation="bicubic",
        rivals=("raster-tile",), targets=[target],
    )  # fmt: skip


def scaling() -> Job:
    return _scaling(8192)


def scaling16k() -> Job:
    """Four times the work after the same start, which is not shared out."""
    return _scaling(16384)


def _scaling(side: int) -> Job:
    source = Input("ortho", side)
    ours = [
        _ours(source, "--compression", "jpg", label=label, bottom=18, interpolation="bicubic", workers=workers)
        for label, workers in (("fastpyr", 2), ("fastpyr, 1 worker", 1))
    ]
    target = Target(
        "2 workers at least 1.85 x faster than 1", lambda o: o.ratio("fastpyr, 1 worker", "fastpyr", "wall"), 1.85,
        at_most=False,
    )  # fmt: skip
    name, title = ("scaling", "ortho8k") if side == 8192 else ("scaling16k", "ortho16k")
    return Job(name, f"{title} with 1 and 2 workers", ours, targets=[target])


def memory() -> Job:
    sides = (8192, 16384, 32768)
    ours = [
        _ours(
            Input("ortho", side), "--compression", "jpg", label=f"fastpyr {side}", bottom=18, interpolation="bicubic",
            check=False,
        )
        for side in sides
    ]  # fmt: skip
    targets = [
        Target("peak at 32768 at most 1000 MB", lambda o: _megabytes(o, "fastpyr 32768"), 1000),
        Target(
            "peak at 32768 at most 1.1 x that at 8192", lambda o: o.ratio("fastpyr 32768", "fastpyr 8192", "rss"), 1.1
        ),
    ]
    return Job("memory", "peak memory, 2 workers, sources of 8k to 32k", ours, targets=targets)


def _megabytes(outcome: Outcome, name: str) -> float | None:
    peak = outcome.median(name, "rss")
    return None if peak is None else peak / 1e6


def be4() -> Job:
    """The job for which CPU seconds of the ROK4 reference tools are known, scaled to this machine by the floor."""

    def times_less(outcome: Outcome) -> float | None:
        speed = outcome.median("floor of ortho8k", "cpu")
        ours = outcome.median("fastpyr", "cpu")
        return None if speed is None or ours is None else REFERENCE_BE4 * speed / REFERENCE_FLOOR / ours

    source = Input("scan", 6400)
    ours = [_ours(source, "--compression", "jpg", bottom=15, interpolation="bicubic")]
    floors = [
        *_floors(source, "--compression", "jpg", "--interpolation", "bicubic", busy=False),
        *_floors(Input("ortho", 8192), "--compression", "jpg", name="floor of ortho8k", busy=False),
    ]
    target = Target("at least 25 x less CPU than BE4's, scaled by the floor", times_less, 25, at_most=False)
    return Job(
        "be4", "a map of 6400 x 6400, EPSG:2154, 5 m -> PM 15..0, JPEG q75, bicubic", ours, floors, targets=[target]
    )


def tiny() -> Job:
    """Seconds in all: shows that the benchmark itself works."""
    return _whole(
        "tiny", "ortho, 512 x 512", Input("ortho", 512), bottom=18, compression="jpg", interpolation="bicubic",
        rivals=("raster-tile", "cog"),
    )  # fmt: skip


_MAKERS = (
    ortho8k, ortho8k_raw, aligned8k, scan8k, dem8k, masks, small, scaling, scaling16k, memory, be4, real8k, ortho16k,
    ortho2k, tiny,
)  # fmt: skip
JOBS: dict[str, Callable[[], Job]] = {maker.__name__.replace("_", "-"): maker for maker in _MAKERS}


def job(name: str) -> Job:
    """A job by name. KeyError for an unknown one."""
    return JOBS[name]()
