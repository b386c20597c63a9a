"""A build as it travels to its workers: once, through the store that they all write to."""

from __future__ import annotations

import hashlib
import os
import pickle
import platform
import socket
from typing import Any

from ..errors import ConfigError, WorkerError
from ..frozen import frozen
from ..planning import Plan
from ..source import ArraySource, GdalSource
from .outcome import Given
from .parts import Part
from .site import Site, read_shared
from .versions import versions_of

__all__ = ["MOST_ARRAY_BYTES", "JobPaper", "Task", "check_portable", "digest", "open_job", "pack_job"]

MOST_ARRAY_BYTES = 64 << 20
"""Pixels in memory that are sent to other processes, all arrays together."""
_LOOKED_AT = 16
"""Source files that a worker looks up before it begins: a folder that it does not have is found out at once."""


@frozen
class JobPaper:
    """Where a worker finds its job: ``key`` below the site's scratch, and what its bytes must amount to."""

    site: Site
    key: str
    digest: str


@frozen
class Task:
    """One part to be made. ``inputs``: the parts inside of it that left something for it."""

    paper: JobPaper
    part: Part
    inputs: tuple[tuple[Part, Given], ...]


def check_portable(plan: Plan) -> None:
    """Raises ConfigError naming a source that cannot travel."""
    total = 0
    for mosaic in plan.mosaics:
        for pack in mosaic.packs:
            for source in pack.sources:
                name = source.info.name
                if isinstance(source, ArraySource):
                    total += source.nbytes
                    if total > MOST_ARRAY_BYTES:
                        raise ConfigError(
                            f"{name}: arrays in memory go to other processes up to {MOST_ARRAY_BYTES >> 20} MiB "
                            "together: write them to files, or use --executor threads"
                        )
                elif not isinstance(source, GdalSource):
                    raise ConfigError(f"{name}: only raster files go to other processes: use --executor threads")


def pack_job(plan: Plan) -> bytes:
    """The bytes of a job. Sources travel as what is known of them and their absolute paths."""
    check_portable(plan)
    return pickle.dumps((_versions(plan), plan), protocol=5)


def digest(data: bytes) -> str:
    """What the bytes of a job amount to."""
    return hashlib.sha256(data).hexdigest()


def open_job(paper: JobPaper) -> Plan:
    """The plan of a job, in a worker. Raises StoreError, or WorkerError when this worker cannot do it."""
    data = read_shared(paper.site, paper.key)
    if digest(data) != paper.digest:
        raise WorkerError(f"{paper.site.location(paper.key)} was changed while it was in use: start the build again")
    # these bytes are the coordinator's: what is unpickled is what it has pickled
    theirs, plan = _unpickled(data)
    ours = _versions(plan)
    if theirs != ours:
        other = ", ".join(
            f"{name} {theirs.get(name)} (here {ours.get(name)})"
            for name in theirs | ours
            if theirs.get(name) != ours.get(name)
        )
        raise WorkerError(f"worker on {socket.gethostname()}: the build was begun with {other}: use equal versions")
    _check_sources(plan)
    return plan


def _unpickled(data: bytes) -> tuple[dict[str, str], Plan]:
    try:
        theirs, plan = pickle.loads(data)
    except (AttributeError, ImportError, TypeError) as error:
        raise WorkerError(
            f"worker on {socket.gethostname()}: its fastpyr does not understand the build ({error}): use equal versions"
        ) from error
    return theirs, plan


def _versions(plan: Plan) -> dict[str, str]:
    sources = [source for mosaic in plan.mosaics for pack in mosaic.packs for source in pack.sources]
    found = versions_of(any(getattr(source, "needs_gdal", True) for source in sources))
    return {**found, "machine": platform.machine(), "python": ".".join(platform.python_version_tuple()[:2])}


def _check_sources(plan: Plan) -> None:
    for mosaic in plan.mosaics:
        files: list[Any] = [
            source for pack in mosaic.packs for source in pack.sources if isinstance(source, GdalSource)
        ]
        for source in files[:: max(1, len(files) // _LOOKED_AT)]:
            if not os.path.isfile(source.path):
                raise WorkerError(
                    f"worker on {socket.gethostname()} does not find {source.path}: "
                    "sources must lie where all workers see them under the same path"
                )
