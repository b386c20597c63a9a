"""BE4 configurations (JSON) read as they are: sources, options and target of a GENERATION, UPDATE or INJECTION.

What the engine has no use for (script and temporary folders) is accepted and ignored; keys nobody knows give a
warning, and requests that would change the result but cannot be met are refused.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from .config_reader import ConfigReader
from .options import BuildOptions, as_bool

__all__ = ["Be4Config", "Be4Group", "read_be4"]

DEFAULT_COMPRESSION = "raw"
"""What BE4 takes when a configuration names no compression."""

_PYRAMID = {
    "GENERATION": {
        "type",
        "name",
        "tms",
        "compression",
        "pixel",
        "storage",
        "slab_size",
        "nodata",
        "mask",
        "interpolation",
        "gamma",
    },
    "UPDATE": {"type", "pyramid_to_update", "update_mode", "name", "root"},
    "INJECTION": {"type", "pyramid_to_inject"},
}
_KNOWN = {
    **_PYRAMID,
    "": {"datasources", "pyramid", "process", "logger"},
    "datasources": {"top", "bottom", "source"},
    "source": {"type", "directory", "srs"},
    "pixel": {"samplesperpixel", "sampleformat"},
    "storage": {"type", "root", "depth"},
    "process": {"directories", "parallelization", "mask", "style"},
}


@dataclass(frozen=True, slots=True)
class Be4Group:
    """One data source: a folder of images, their coordinate reference system, and the levels they make."""

    directory: str
    srs: str | None
    bottom: str | None
    top: str | None


@dataclass(frozen=True, slots=True)
class Be4Config:
    """A configuration, checked. ``descriptor`` is where ``<name>.json`` goes; ``warnings`` are one line each.

    ``kind`` is GENERATION, UPDATE (of the pyramid ``base``, in that ``mode``) or INJECTION (into ``descriptor``).
    """

    groups: tuple[Be4Group, ...]
    options: BuildOptions
    descriptor: str
    warnings: tuple[str, ...]
    kind: str = "GENERATION"
    base: str | None = None
    mode: str | None = None


def read_be4(path: str | os.PathLike[str]) -> Be4Config:
    """Read a BE4 configuration: a path or a URI. Raises ConfigError naming the file and the key."""
    reader = ConfigReader(os.fspath(path), _KNOWN)
    try:
        return _read(reader.load(), reader)
    except ConfigError as error:
        message = str(error)
        raise error if message.startswith(reader.path) else ConfigError(f"{path}: {message}") from None


def _read(document: Mapping[str, Any], reader: ConfigReader) -> Be4Config:
    pyramid = document.get("pyramid", {})
    if not isinstance(pyramid, dict):
        raise reader.fail("pyramid", "expected an object")
    kind = reader.text(pyramid, "type", "pyramid", "GENERATION").upper()
    if kind not in _PYRAMID:
        raise reader.fail("pyramid.type", f"{kind} is not known: expected {', '.join(_PYRAMID)}")
    reader.warn_unknown(pyramid, "pyramid", kind)
    process = reader.section(document, "process", "process")
    if process.get("style"):
        raise reader.fail("process.style", "styles are not applied: build without it, or style the sources first")
    # Masks asked for during computation only: the engine always computes with masks, so nothing is left to do.
    if "mask" in process:
        as_bool("process.mask", process["mask"])
    groups = _groups(document, reader)
    if kind != "GENERATION":
        return _change(kind, pyramid, process, groups, reader)
    storage = reader.section(pyramid, "storage", "pyramid.storage", "storage")
    descriptor = reader.descriptor(storage, "pyramid.storage", reader.text(pyramid, "name", "pyramid"), "FILE")
    options = _options(pyramid, process, storage, reader)
    return Be4Config(groups, options, descriptor, tuple(reader.warnings))


def _change(
    kind: str,
    pyramid: Mapping[str, Any],
    process: Mapping[str, Any],
    groups: tuple[Be4Group, ...],
    reader: ConfigReader,
) -> Be4Config:
    """A configuration for a pyramid that exists: what is not in it is that pyramid's."""
    options = BuildOptions.parse(parallelization=process.get("parallelization"))
    if kind == "INJECTION":
        descriptor = reader.text(pyramid, "pyramid_to_inject", "pyramid")
        return Be4Config(groups, options, descriptor, tuple(reader.warnings), kind)
    base = reader.text(pyramid, "pyramid_to_update", "pyramid")
    mode = reader.text(pyramid, "update_mode", "pyramid", "slink")
    scheme, slashes, rest = base.rpartition("://")
    root = reader.text(pyramid, "root", "pyramid", os.path.dirname(rest) or ".").rstrip("/")
    descriptor = f"{scheme}{slashes}{root}/{reader.text(pyramid, 'name', 'pyramid')}.json"
    return Be4Config(groups, options, descriptor, tuple(reader.warnings), kind, base, mode)


def _groups(document: Mapping[str, Any], reader: ConfigReader) -> tuple[Be4Group, ...]:
    groups = []
    for where, entry, source in reader.datasources(document, "IMAGES"):
        srs = reader.text(source, "srs", f"{where}.source") if "srs" in source else None
        groups.append(
            Be4Group(
                reader.text(source, "directory", f"{where}.source"),
                srs,
                reader.level(entry, "bottom", where),
                reader.level(entry, "top", where),
            )
        )
    return tuple(groups)


def _options(
    pyramid: Mapping[str, Any], process: Mapping[str, Any], storage: Mapping[str, Any], reader: ConfigReader
) -> BuildOptions:
    pixel = reader.section(pyramid, "pixel", "pyramid.pixel", "pixel")
    slab = pyramid.get("slab_size", [16, 16])
    if not isinstance(slab, list) or len(slab) != 2:
        raise reader.fail("pyramid.slab_size", "expected [columns, rows] in tiles")
    nodata = pyramid.get("nodata")
    if nodata is not None and not isinstance(nodata, (list, str)):
        raise reader.fail("pyramid.nodata", "expected a list of numbers, one per channel")
    return BuildOptions.parse(
        tms=reader.text(pyramid, "tms", "pyramid"),
        width=slab[0],
        height=slab[1],
        compression=pyramid.get("compression", DEFAULT_COMPRESSION),
        interpolation=pyramid.get("interpolation"),
        parallelization=process.get("parallelization"),
        mask=pyramid.get("mask"),
        nodata=nodata,
        channels=pixel.get("samplesperpixel"),
        sample_format=pixel.get("sampleformat"),
        gamma=pyramid.get("gamma"),
        path_depth=storage.get("depth"),
    )
