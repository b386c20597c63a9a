"""What a build's bytes depend on, so that an interrupted build is only gone on with as the same build."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import SourceError
from ..planning import Plan
from ..scale.versions import versions_of
from ..source import Source

__all__ = ["PARTS_FORMAT", "difference", "fingerprint", "unrepeatable"]

PARTS_FORMAT = 1
"""What the parts of a build leave for each other, and how a plan is cut into them."""

_SCRATCH_FORMAT = 1
_WITHOUT_EFFECT = {"parallelization", "overwrite", "resume", "read_attempts", "executor", "scheduler"}
"""Options that do not change a byte of the result."""
_DECIDED = {"tms", "bottom", "top", "compression", "nodata", "channels", "sample"}
"""Options that a plan has settled: their outcome counts, not what was asked."""
_SIDECARS = (".aux.xml", ".msk")
_STEM_SIDECARS = (".msk", ".MSK")


def fingerprint(plan: Plan, base: Any = None) -> dict[str, Any] | None:
    """Facts as JSON has them: versions, options, grid, levels, and the identity of every source.

    ``base``: what tells the pyramid that the build goes on from, and its state, None for a new one.

    None when a source is not a file: arrays in memory have no identity that a later process could know again. Raises
    SourceError when a file has vanished.
    """
    sources: list[Any] = []
    with_gdal = False
    for mosaic in plan.mosaics:
        for pack in mosaic.packs:
            for source in pack.sources:
                files = getattr(source, "files", None)
                if files is None:
                    return None
                with_gdal |= getattr(source, "needs_gdal", True)
                sources.append(_source(source, files))
    options = {
        field.name: getattr(plan.options, field.name)
        for field in fields(plan.options)
        if field.name not in _WITHOUT_EFFECT | _DECIDED
    }
    facts = {
        "scratch": _SCRATCH_FORMAT,
        "versions": versions_of(with_gdal),
        "options": options,
        "format": [plan.pixel.format.name, plan.pixel.channels, plan.pixel.nodata, plan.block],
        "grid": [plan.tms.name, _digest(json.dumps(plan.tms.to_json(), sort_keys=True))],
        "levels": [
            [
                level.id,
                level.mosaic,
                *(str(getattr(level.derivation, name)) for name in level.derivation.__match_args__),
            ]
            for level in plan.levels
        ],
        "sources": sources,
    }
    if base is not None:
        facts["base"] = base
    # As it will be read back: tuples become lists, enumerations their values.
    known: dict[str, Any] = json.loads(json.dumps(facts))
    return known


def unrepeatable() -> dict[str, Any]:
    """A fingerprint that no other build ever has."""
    facts: dict[str, Any] = dict.fromkeys(("options", "format", "grid", "levels"))
    return {**facts, "once": True, "versions": {}, "sources": [[[["in memory", os.urandom(8).hex(), 0]]]]}


def difference(then: dict[str, Any], now: dict[str, Any]) -> str:
    """What has changed between two fingerprints that are not equal, in a few words."""
    versions = "it was begun with " + _changes(then.get("versions"), now["versions"], "other versions")
    before = then.get("versions")
    # a package that only one of them needs comes with a change of the sources
    if not isinstance(before, dict) or any(
        before[name] != now["versions"][name] for name in before.keys() & now["versions"].keys()
    ):
        return versions
    if then.get("sources") != now["sources"]:
        return _source_difference(then.get("sources"), now["sources"])
    if then.get("base") != now.get("base"):
        return "with another mode, or of another pyramid, or that has changed since"
    if then.get("options") != now["options"]:
        return "it was begun with " + _changes(then.get("options"), now["options"], "other options")
    names = {"format": "tile format", "grid": "tile matrix set", "levels": "levels"}
    if then.get("parts") != now.get("parts"):
        return "it was begun with another --executor"
    changed = [text for name, text in names.items() if then.get(name) != now[name]]
    if changed:
        return f"it was begun with another {' and '.join(changed)}"
    return versions if before != now["versions"] else "it was begun by another fastpyr"


def _source(source: Source, files: Iterable[Path]) -> list[Any]:
    info = source.info
    try:
        stats = [(str(path.absolute()), os.stat(path)) for path in _with_sidecars(files)]
    except OSError as error:
        raise SourceError(f"{info.name}: cannot be looked at any more ({error.strerror}): give it back") from error
    size = [info.width, info.height, info.channels, info.sample.value, info.has_mask]
    facts = [_digest(info.crs), list(info.transform), *size]
    return [[[path, status.st_size, status.st_mtime_ns] for path, status in stats], facts]


def _with_sidecars(files: Iterable[Path]) -> list[Path]:
    """The files that a source is read from, and those beside them that change its meaning."""
    found: dict[Path, None] = {}
    for path in files:
        found[path] = None
        beside = [path.with_name(path.name + end) for end in _SIDECARS]
        beside += [path.with_suffix(end) for end in _STEM_SIDECARS]
        found.update((other, None) for other in beside if other.is_file())
    return list(found)


@lru_cache(maxsize=64)
def _digest(text: str) -> str:
    """A few letters that tell two texts apart, unless somebody means them not to: the texts are long."""
    data = text.encode()
    return f"{len(data)}-{zlib.crc32(data):08x}"


def _changes(then: Any, now: dict[str, Any], otherwise: str) -> str:
    if not isinstance(then, dict):
        return otherwise
    names = sorted(set(then) | set(now))
    return ", ".join(f"{n} {then.get(n)} (now {now.get(n)})" for n in names if then.get(n) != now.get(n)) or otherwise


def _source_difference(then: Any, now: list[Any]) -> str:
    before, after = _by_path(then), _by_path(now)
    for path in sorted(before.keys() & after.keys()):
        if before[path] != after[path]:
            return f"source {path} has changed since"
    for path in sorted(before.keys() - after.keys()):
        return f"source {path} is missing now"
    for path in sorted(after.keys() - before.keys()):
        return f"source {path} is new"
    return "the order of the sources has changed"


def _by_path(sources: Any) -> dict[str, Any]:
    """Facts of each source by the path of its first file."""
    try:
        return {str(source[0][0][0]): source for source in sources}
    except (TypeError, IndexError, KeyError):
        return {}
