"""The process that does one job: ``python -m fastpyr.platform.worker``.

It is handed the job as one line of JSON on its standard input, and tells what happens as lines of JSON on its standard
output. It ends itself as soon as its standard input ends: then nobody is left to hear it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..errors import ConfigError, FastpyrError
from .extents import polygon

if TYPE_CHECKING:
    from .logs import Log

__all__ = ["main"]

_SECONDS_BETWEEN_FIGURES = 0.2
_SECONDS_BETWEEN_LINES = 5.0
Json = dict[str, Any]


class _Teller:
    """Lines to whoever started this process."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def tell(self, fact: Json) -> None:
        with self._lock:
            try:
                self._stream.write(json.dumps(fact) + "\n")
                self._stream.flush()
            except OSError:
                os._exit(1)


def main() -> int:
    """Do the job. Exit code 0: a result was told, 1: an error was told."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not get between our lines
    line = sys.stdin.readline()
    if not line:
        return 1
    job = json.loads(line)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    teller = _Teller(stream)
    try:
        result = _check(job, teller) if job["kind"] == "check" else _execute(job, teller)
    except (FastpyrError, OSError, MemoryError) as error:
        notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
        teller.tell({"error": " ".join(f"{error or type(error).__name__}{notes}".split())})
        return 1
    teller.tell({"result": result})
    return 0


def _end_with_parent() -> None:
    while os.read(0, 1 << 10):
        continue
    os._exit(1)


def _check(job: Json, teller: _Teller) -> Json:
    from ..check import check_delivery
    from ..check.report import RASTER, STANDARD
    from .logs import Log

    logs = {check: Log(Path(path)) for check, path in job["logs"].items()}
    told = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > _SECONDS_BETWEEN_FIGURES:
            told = time.monotonic()
            teller.tell({"progress": done / total})

    report = check_delivery(job["folder"], srs=job["srs"], progress=progress)
    for finding in report.all_findings:
        if finding.check in logs:
            logs[finding.check].say(finding.message, finding.severity.upper(), "fastpyr.check")
    for check, log in logs.items():
        passed = report.passed(check)
        log.say(f"{len(report.files)} fichier(s) : {'succès' if passed else 'échec'}", "INFO" if passed else "ERROR")
    return {
        "passed": {check: report.passed(check) for check in (STANDARD, RASTER)},
        "extent": None if report.extent is None else polygon(*report.extent),
    }


def _execute(job: Json, teller: _Teller) -> Json:
    from ..pyramid import open_pyramid
    from .logs import Log

    log = Log(Path(job["log"]))
    descriptor = Path(job["descriptor"])
    figures = _Figures(teller, log)
    started = time.monotonic()
    {"build": _build, "update": _update, "inject": _inject, "merge": _merge}[job["work"]](job, figures, log)
    _name_home(descriptor)
    facts = _facts(descriptor)
    seconds = time.monotonic() - started
    if figures.resumed:
        log.say(f"{figures.resumed} dalle(s) déjà faites ont été reprises")
    levels = len(open_pyramid(descriptor).levels)
    log.say(f"Pyramide de {levels} niveaux, {facts['size']} octets, calculée en {seconds:.1f} s")
    if "bbox" in job["options"]:
        facts["within"] = _extent(descriptor)
    return facts


def _is_complete(descriptor: Path) -> bool:
    """Whether a pyramid is there. Whoever worked here before may have died between the last file and the good news, in
    another folder: what is complete is made anew, because its list names that folder."""
    from ..run.workplace import is_interrupted
    from ..store import FileStore
    from ..updates.note import forget_note, read_note

    store, name = FileStore(descriptor.parent), descriptor.stem
    if not descriptor.is_file() or is_interrupted(store, name):
        return False
    if read_note(store, name) is not None:
        forget_note(store, name)
    return True


def _name_home(descriptor: Path) -> None:
    """Make a list name the folder that it is in: when nothing but the last step was missing, it names another one."""
    from ..pyramid.list import SlabList, parse_list
    from ..store import FileStore

    store, name = FileStore(descriptor.parent), descriptor.stem
    listing = parse_list(store.get(f"{name}.list"), name)
    home = store.layout.root(name, store.location(name))
    if listing.roots.get(0) != home:
        store.put(f"{name}.list", [SlabList({**listing.roots, 0: home}, listing.entries).to_bytes()])


def _callbacks(figures: _Figures, log: Log) -> Json:
    """What all works on deliveries are told by."""
    return {
        "progress": figures.take,
        "on_plan": lambda plan: _explain(plan, log),
        "warn": lambda line: log.say(line, "WARNING"),
    }


def _build(job: Json, figures: _Figures, log: Log) -> None:
    from ..check import delivered_rasters
    from ..run import build

    descriptor = Path(job["descriptor"])
    options = {"overwrite": _is_complete(descriptor), **job["options"], **_callbacks(figures, log)}
    build(delivered_rasters(job["folder"]), descriptor, **options)


def _update(job: Json, figures: _Figures, log: Log) -> None:
    """A new pyramid with links to the slabs of an old one that stay as they are."""
    from ..check import delivered_rasters
    from ..updates.update import update

    descriptor, (base,) = Path(job["descriptor"]), job["bases"]
    options = {"overwrite": _is_complete(descriptor), **_inherited(base, job), **_callbacks(figures, log)}
    update(delivered_rasters(job["folder"]), descriptor, base=base, mode="slink", **options)


def _inject(job: Json, figures: _Figures, log: Log) -> None:
    """The old slabs are kept: whoever hears of the end decides whether the change stays."""
    from ..check import delivered_rasters
    from ..updates.inject import inject
    from .changes import drop_old, drop_staged

    descriptor = Path(job["descriptor"])
    drop_old(descriptor)
    options = {"keep_old": True, **_inherited(descriptor, job), **_callbacks(figures, log)}
    rasters = delivered_rasters(job["folder"])
    try:
        inject(rasters, descriptor, **options)
    except ConfigError:  # perhaps because of what an execution of another work has left
        if not drop_staged(descriptor):
            raise
        inject(rasters, descriptor, **options)


def _inherited(base: str | Path, job: Json) -> Json:
    """Options of an update: it begins where its pyramid does, the rest is taken from there anyway."""
    from ..pyramid import open_pyramid

    return {**job["options"], "bottom": open_pyramid(base).levels[0].id}


def _merge(job: Json, figures: _Figures, log: Log) -> None:
    from ..updates.merge import merge_pyramids

    options, bases = job["options"], job["bases"]
    log.say(f"{len(bases)} pyramides en entrée, la première au-dessus")
    result = merge_pyramids(
        bases,
        job["descriptor"],
        method="top",
        mode="slink",
        bottom=options.get("bottom"),
        top=options.get("top"),
        area=_area(options.get("bbox"), bases[0]),
        overwrite=_is_complete(Path(job["descriptor"])),
        workers=options["parallelization"],
        progress=figures.count,
    )
    for line in result.warnings:
        log.say(line, "WARNING")
    figures.resumed = result.kept
    log.say(f"{result.linked} dalles référencées, {result.composed} recalculées, {result.masks} masques ajoutés")


def _area(bbox: list[float] | dict[str, float] | None, base: str) -> list[float] | None:
    """A box in the coordinates of a pyramid; the sides of an object are degrees."""
    from ..grid import Transform, project_bounds
    from ..grid.bounds import BoundingBox
    from ..pyramid import open_pyramid

    if not isinstance(bbox, dict):
        return bbox
    degrees = BoundingBox(bbox["west"], bbox["south"], bbox["east"], bbox["north"])
    return list(project_bounds(degrees, Transform("EPSG:4326", open_pyramid(base).tile_matrix_set.crs)))


def _extent(descriptor: Path) -> Json:
    """The tiles of a pyramid's finest level, in degrees."""
    from ..grid import Transform, project_bounds
    from ..pyramid import open_pyramid

    pyramid = open_pyramid(descriptor)
    return polygon(*project_bounds(pyramid.extent, Transform(pyramid.tile_matrix_set.crs, "EPSG:4326")))


def _explain(plan: Any, log: Log) -> None:
    """What was decided, in words."""
    summary = plan.summary()
    log.say(f"{summary['sources']} image(s) en entrée, format {summary['format']}, {summary['channels']} canal/canaux")
    log.say(f"Niveau du bas : {plan.bottom_rule}")
    for level in summary["levels"]:
        log.say(f"Niveau {level['level']} : {level['tiles']} tuiles, {level['slabs']} dalles ({level['method']})")


class _Figures:
    """Progress of a build, told now and then."""

    def __init__(self, teller: _Teller, log: Any) -> None:
        self._teller = teller
        self._log = log
        self._told = 0.0
        self._logged = time.monotonic()
        self.resumed = 0

    def take(self, progress: Any) -> None:
        self.resumed = progress.resumed_slabs
        share = progress.blocks / max(1, progress.blocks_total)
        self._say(share, f"{progress.slabs} dalles, {progress.bytes} octets écrits")

    def count(self, done: int, total: int) -> None:
        self._say(done / max(1, total), f"{done} dalles")

    def _say(self, share: float, text: str) -> None:
        moment = time.monotonic()
        if moment - self._told >= _SECONDS_BETWEEN_FIGURES:
            self._told = moment
            self._teller.tell({"progress": share})
        if moment - self._logged >= _SECONDS_BETWEEN_LINES:
            self._logged = moment
            self._log.say(f"{share:.0%} : {text}")


def _facts(descriptor: Path) -> Json:
    """What the platform tells about a finished pyramid."""
    from ..pyramid import open_pyramid
    from .files import folder_size

    pyramid = open_pyramid(descriptor)
    pixel = pyramid.format
    return {
        "size": folder_size(descriptor.parent),
        "srs": pyramid.tile_matrix_set.crs,
        "type_infos": {
            "tms": pyramid.tile_matrix_set.name,
            "levels": [level.id for level in reversed(pyramid.levels)],
            "channels_format": pixel.format.sample.value,
            "channels_number": pixel.channels,
            "compression": pixel.format.compression.value,
            "nodata_value": pixel.nodata_text,
        },
        "uses": _uses(descriptor),
    }


def _uses(descriptor: Path) -> list[str]:
    """The stored data whose slabs a pyramid refers to: their folders are beside its own."""
    from ..pyramid.list import parse_list

    listing = parse_list(descriptor.with_suffix(".list").read_bytes(), descriptor.stem)
    home = descriptor.parent.resolve().parent
    used = {entry.root for entry in listing.entries} - {0}
    folders = [Path(listing.roots[number]).resolve().parent for number in used]
    return sorted({folder.name for folder in folders if folder.parent == home})


if __name__ == "__main__":
    sys.exit(main())
