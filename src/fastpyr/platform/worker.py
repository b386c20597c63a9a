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
from typing import Any, TextIO

from ..errors import FastpyrError

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
        result = _check(job, teller) if job["kind"] == "check" else _build(job, teller)
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


def polygon(west: float, south: float, east: float, north: float) -> Json:
    """A box as GeoJSON, longitude first, counter-clockwise."""
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _build(job: Json, teller: _Teller) -> Json:
    from ..check import delivered_rasters
    from ..pyramid import open_pyramid
    from ..run import build
    from ..run.workplace import is_interrupted
    from ..store import open_location
    from .logs import Log

    log = Log(Path(job["log"]))
    descriptor = Path(job["descriptor"])
    # Whoever worked here before may have died between the last file and the good news, in another folder: what is
    # complete is made anew, because its list names that folder.
    complete = descriptor.is_file() and not is_interrupted(open_location(str(descriptor))[0], descriptor.stem)
    figures = _Figures(teller, log)
    started = time.monotonic()
    build(
        delivered_rasters(job["folder"]),
        descriptor,
        progress=figures.take,
        on_plan=lambda plan: _explain(plan, log),
        warn=lambda line: log.say(line, "WARNING"),
        overwrite=complete,
        **job["options"],
    )
    facts = _facts(descriptor)
    pyramid = open_pyramid(descriptor)
    seconds = time.monotonic() - started
    if figures.resumed:
        log.say(f"{figures.resumed} dalle(s) déjà faites ont été reprises")
    log.say(f"Pyramide de {len(pyramid.levels)} niveaux, {facts['size']} octets, calculée en {seconds:.1f} s")
    return facts


def _explain(plan: Any, log: Any) -> None:
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
        moment = time.monotonic()
        share = progress.blocks / max(1, progress.blocks_total)
        if moment - self._told >= _SECONDS_BETWEEN_FIGURES:
            self._told = moment
            self._teller.tell({"progress": share})
        if moment - self._logged >= _SECONDS_BETWEEN_LINES:
            self._logged = moment
            self._log.say(f"{share:.0%} : {progress.slabs} dalles, {progress.bytes} octets écrits")


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
    }


if __name__ == "__main__":
    sys.exit(main())
