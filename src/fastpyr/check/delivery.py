"""The check of a whole delivery."""

from __future__ import annotations

import math
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from fastpyr.errors import ConfigError, GridError, SourceError
from fastpyr.formats import SampleType
from fastpyr.grid import parse_crs, same_crs
from fastpyr.source import RasterInfo, find_sources

from .coverage import Coverage, coverage
from .file import FileJob
from .footprint import extent_of, footprint
from .md5 import lists_in, read_md5_list, resolve
from .report import RASTER, STANDARD, FileReport, Finding, Report

__all__ = ["RESOLUTION_TOLERANCE", "check_delivery", "delivered_rasters"]

RESOLUTION_TOLERANCE = 0.01
"""Of the finest resolution: rasters of one delivery may not differ by more."""
_IGNORED = "__"
"""Files whose names begin so belong to no delivery."""

PathLike = str | os.PathLike[str]
ProgressCallback = Callable[[int, int], object]
"""Called with the parts done and the parts in all, from worker threads, one call at a time."""


def check_delivery(
    paths: PathLike | Iterable[PathLike],
    *,
    srs: str | None = None,
    md5: Iterable[PathLike] = (),
    threads: int | None = None,
    progress: ProgressCallback | None = None,
) -> Report:
    """Check rasters as the platform does, and decode every block of them. Nothing is written.

    Args:
        paths: a folder, files or globs, or several of them.
        srs: the reference system that the delivery is declared in; files that carry none are taken to be in it.
        md5: lists of signatures; those named ``*.md5`` in the folders are used too.
        threads: how many work at once; None: as many as there are cores.
        progress: see ProgressCallback.

    Raises ConfigError for an unknown ``srs``, SourceError for a path or a list that cannot be read: then there is
    nothing to judge. All else is a finding of the report.
    """
    given = [Path(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]
    if srs is not None:
        _known(srs)
    roots = [path for path in given if path.is_dir()]
    rasters, findings = _rasters(given)
    digests, listed = _signatures(
        [Path(path) for path in md5], roots, {path.parent for path in given if path.is_file()}
    )
    findings += listed
    jobs = _jobs(rasters, digests, roots)
    _work(jobs, srs, threads or _cores(), progress)
    files = _compared([job.report() for job in jobs], srs)
    files = _unlisted(files, jobs, digests)
    placed, crs = _placed(files)
    if placed is not None:
        findings += _about(placed, [file for file in files if file.info is not None])
    if not rasters and all(finding.code != "empty" for finding in findings):
        findings.append(Finding(RASTER, "empty", "error", None, "no readable georeferenced raster in the delivery"))
    drawn = footprint(files, placed, crs)
    return Report(srs, tuple(files), tuple(findings), extent_of(drawn), drawn)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _known(srs: str) -> None:
    try:
        parse_crs(srs)
    except GridError as error:
        raise ConfigError(f"srs: {error}") from error


def delivered_rasters(folder: PathLike) -> list[Path]:
    """The raster files of a delivery in painting order; names that begin with ``__`` belong to none.

    Raises SourceError when there is none.
    """
    found = [path for path in find_sources([folder]) if not path.name.startswith(_IGNORED)]
    if not found:
        raise SourceError(f"{os.fspath(folder)}: no raster in the delivery")
    return found


def _rasters(given: Sequence[Path]) -> tuple[list[Path], list[Finding]]:
    """Raster files in painting order. SourceError for a path that is not there; an empty folder is a finding."""
    if not given:
        raise ConfigError("no delivery given: name a folder or files")
    found: list[Path] = []
    findings = []
    for path in given:
        try:
            found += find_sources([path])
        except SourceError as error:
            if not path.is_dir():
                raise
            findings.append(Finding(RASTER, "empty", "error", None, " ".join(str(error).split())))
    unique = {os.path.realpath(path): path for path in reversed(found) if not path.name.startswith(_IGNORED)}
    return sorted(unique.values(), key=lambda path: (path.name, os.fspath(path))), findings


def _signatures(
    lists: Sequence[Path], roots: Sequence[Path], others: Iterable[Path]
) -> tuple[dict[str, tuple[Path, str]] | None, list[Finding]]:
    """(path, digest) by real path, None when there is no list at all; and what is wrong with the lists."""
    files = [*lists, *(file for file in lists_in(roots) if file not in lists)]
    if not files:
        return None, []
    digests: dict[str, tuple[Path, str]] = {}
    findings = []

    def say(code: str, file: str, message: str) -> None:
        findings.append(Finding(STANDARD, code, "error", file, message))

    for file in files:
        read = read_md5_list(file)
        for line, text in read.strange:
            say("md5-list", file.name, f"{file.name} line {line} is no MD5 signature: {text!r}")
        for signature in read.signatures:
            found = resolve(signature.path, file.parent, [*roots, *others])
            if found is None:
                text = f"{file.name} line {signature.line} lists a file that is missing ({signature.path})"
                say("missing", signature.path, text)
                continue
            known = digests.setdefault(os.path.realpath(found), (found, signature.digest))
            if known[1] != signature.digest:
                text = f"{file.name} line {signature.line} gives another signature than an earlier line ({found.name})"
                say("md5-list", found.name, text)
    return digests, findings


def _jobs(rasters: Sequence[Path], digests: dict[str, tuple[Path, str]] | None, roots: Sequence[Path]) -> list[FileJob]:
    """Rasters in painting order, then the other files that have a signature."""
    left = dict(digests or {})
    jobs = []
    for path in rasters:
        _, digest = left.pop(os.path.realpath(path), (path, None))
        jobs.append(FileJob(path, _name(path, roots), digest, is_raster=True))
    for path, digest in left.values():
        jobs.append(FileJob(path, _name(path, roots), digest, is_raster=False))
    return jobs


def _name(path: Path, roots: Sequence[Path]) -> str:
    """The path below the delivery's folder; as given for files named one by one."""
    for root in roots:
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.as_posix()


def _work(jobs: Sequence[FileJob], srs: str | None, threads: int, progress: ProgressCallback | None) -> None:
    """Open all, then read all parts in order, by several threads. The first unexpected error stops them."""
    stop = threading.Event()
    lock = threading.Lock()
    done = 0
    total = 0

    def pull(tasks: Iterator[Callable[[], object]], count: bool) -> None:
        nonlocal done
        while not stop.is_set():
            with lock:
                task = next(tasks, None)
            if task is None:
                return
            try:
                task()
            except BaseException:
                stop.set()
                raise
            if count and progress is not None:
                with lock:
                    done += 1
                    progress(done, total)

    def run(tasks: Iterator[Callable[[], object]], count: bool) -> None:
        workers = [pool.submit(pull, tasks, count) for _ in range(threads)]
        try:
            for worker in workers:
                worker.result()
        finally:
            stop.set()
        stop.clear()

    with ThreadPoolExecutor(threads, "check") as pool:
        run((lambda job=job: job.open(srs) for job in jobs), count=False)  # type: ignore[misc]
        total = sum(len(job.parts) for job in jobs)
        run((lambda job=job, n=n: job.read(n) for job in jobs for n in range(len(job.parts))), count=True)  # type: ignore[misc]


def _compared(files: list[FileReport], srs: str | None) -> list[FileReport]:
    """The reports with what does not agree between files, or with the declared reference system."""
    infos = [file.info for file in files if file.info is not None]
    if not infos:
        return files
    wanted = srs or Counter(info.crs for info in infos).most_common(1)[0][0]
    bands = Counter((info.channels, info.sample) for info in infos).most_common(1)[0][0]
    resolutions = [info.resolution for info in infos if same_crs(info.crs, wanted)] or [(math.inf, math.inf)]
    finest = min(x for x, _ in resolutions), min(y for _, y in resolutions)
    return [
        file if file.info is None else _with(file, _disagreements(file.name, file.info, wanted, bands, finest))
        for file in files
    ]


def _with(file: FileReport, findings: list[Finding]) -> FileReport:
    return replace(file, findings=(*file.findings, *findings)) if findings else file


def _disagreements(
    name: str, info: RasterInfo, srs: str, bands: tuple[int, SampleType], finest: tuple[float, float]
) -> list[Finding]:
    """``finest``: the smallest pixel of the delivery, along columns and along rows."""
    found = []

    def say(code: str, message: str) -> None:
        found.append(Finding(RASTER, code, "error", name, message))

    if not same_crs(info.crs, srs):
        own = parse_crs(info.crs).name
        say("crs", f"Incohérence avec le SRS du fichier {name}: declared {srs[:80]}, the file is in {own}")
    elif any(own > best * (1 + RESOLUTION_TOLERANCE) for own, best in zip(info.resolution, finest, strict=True)):
        shown, best = (" x ".join(f"{value:g}" for value in pair) for pair in (info.resolution, finest))
        say("resolution", f"{name}: resolution {shown}, the finest of the delivery is {best}: more than 1 % apart")
    if (info.channels, info.sample) != bands:
        channels, sample = bands
        text = f"{name}: {info.channels} band(s) of {info.sample.dtype}, most files have {channels} of {sample.dtype}"
        say("bands", text)
    return found


def _unlisted(
    files: list[FileReport], jobs: Sequence[FileJob], digests: dict[str, tuple[Path, str]] | None
) -> list[FileReport]:
    """A raster without signature, where others have one, is worth a word."""
    if digests is None:
        return files
    return [
        file
        if os.path.realpath(job.path) in digests
        else _with(file, [Finding(STANDARD, "unlisted", "warning", file.name, f"no MD5 signature ({file.name})")])
        for file, job in zip(files, jobs, strict=True)
    ]


def _placed(files: Sequence[FileReport]) -> tuple[Coverage | None, str | None]:
    """Overlaps and gaps of rasters that share a system and are north up; None when they do not."""
    infos = [file.info for file in files if file.info is not None]
    if not infos or not all(info.transform.is_north_up and same_crs(info.crs, infos[0].crs) for info in infos):
        return None, None
    pixel = min(info.resolution[0] for info in infos), min(info.resolution[1] for info in infos)
    return coverage([info.bounds for info in infos], pixel), infos[0].crs


def _about(placed: Coverage, files: Sequence[FileReport]) -> list[Finding]:
    found = []
    for overlap in placed.overlaps:
        first, second = files[overlap.first].name, files[overlap.second].name
        code, what = (
            ("duplicate", "cover the same area") if overlap.same else ("overlap", f"share {_text(overlap.box)}")
        )
        found.append(Finding(RASTER, code, "warning", second, f"{first} and {second} {what}: the latter is on top"))
    for gap in placed.gaps:
        found.append(Finding(RASTER, "gap", "warning", None, f"no raster covers {_text(gap)}"))
    if not placed.complete:
        text = "the rasters are too many or too irregular to list all overlaps and gaps"
        found.append(Finding(RASTER, "overlap", "warning", None, text))
    return found


def _text(box: Sequence[float]) -> str:
    return "({})".format(", ".join(f"{value:.10g}" for value in box))
