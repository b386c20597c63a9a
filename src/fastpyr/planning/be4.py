"""BE4 configurations (JSON) read as they are: sources, options and target of a GENERATION.

What the engine has no use for (script and temporary folders) is accepted and ignored; keys nobody knows give a
warning, and requests that would change the result but cannot be met are refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .options import BuildOptions, as_bool

__all__ = ["Be4Config", "Be4Group", "read_be4"]

MAX_CONFIG_BYTES = 4 << 20
DEFAULT_COMPRESSION = "raw"
"""What BE4 takes when a configuration names no compression."""

_KNOWN = {
    "": {"datasources", "pyramid", "process", "logger"},
    "datasources": {"top", "bottom", "source"},
    "source": {"type", "directory", "srs"},
    "pyramid": {
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
    """A configuration, checked. ``descriptor`` is where ``<name>.json`` goes; ``warnings`` are one line each."""

    groups: tuple[Be4Group, ...]
    options: BuildOptions
    descriptor: str
    warnings: tuple[str, ...]


class _Reader:
    """Typed access to nested objects, with the key path in every message."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.warnings: list[str] = []

    def fail(self, where: str, what: str) -> ConfigError:
        return ConfigError(f"{self.path}: {where}: {what}")

    def section(self, parent: Mapping[str, Any], key: str, where: str, known: str) -> dict[str, Any]:
        value = parent.get(key, {})
        if not isinstance(value, dict):
            raise self.fail(where, "expected an object")
        self.warn_unknown(value, where, known)
        return value

    def warn_unknown(self, value: Mapping[str, Any], where: str, known: str) -> None:
        for key in value:
            if key not in _KNOWN[known]:
                self.warnings.append(f"{self.path}: unknown key {where + '.' if where else ''}{key} is ignored")

    def text(self, section: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
        value = section.get(key, default)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(f"{where}.{key}", "expected a text, and it is required")
        return value.strip()

    def level(self, section: Mapping[str, Any], key: str, where: str) -> str | None:
        value = section.get(key)
        if value is None:
            return None
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            raise self.fail(f"{where}.{key}", "expected a level id")
        word = str(value).strip()
        return None if word in ("", "<AUTO>") else word


def _descriptor(reader: _Reader, storage: Mapping[str, Any], name: str) -> str:
    """Where the descriptor goes: a path, or ``s3://<root>/<name>.json`` and the like for object storage."""
    kind = reader.text(storage, "type", "pyramid.storage", "FILE").upper()
    root = reader.text(storage, "root", "pyramid.storage")
    if kind == "FILE":
        return os.path.join(root, f"{name}.json")
    if kind not in ("S3", "SWIFT", "CEPH"):
        raise reader.fail("pyramid.storage.type", "expected FILE, S3, SWIFT or CEPH")
    return f"{kind.lower()}://{root.strip('/')}/{name}.json"


def read_be4(path: str | os.PathLike[str]) -> Be4Config:
    """Read a BE4 configuration file. Raises ConfigError naming the file and the key."""
    reader = _Reader(str(path))
    document = _load(Path(path), reader)
    reader.warn_unknown(document, "", "")
    pyramid = reader.section(document, "pyramid", "pyramid", "pyramid")
    process = reader.section(document, "process", "process", "process")
    kind = reader.text(pyramid, "type", "pyramid", "GENERATION").upper()
    if kind != "GENERATION":
        raise reader.fail("pyramid.type", f"{kind} is not handled here, only GENERATION of a new pyramid is")
    if process.get("style"):
        raise reader.fail("process.style", "styles are not applied: build without it, or style the sources first")
    storage = reader.section(pyramid, "storage", "pyramid.storage", "storage")
    name = reader.text(pyramid, "name", "pyramid")
    descriptor = _descriptor(reader, storage, name)
    try:
        options = _options(pyramid, process, storage, reader)
    except ConfigError as error:
        message = str(error)
        raise error if message.startswith(reader.path) else ConfigError(f"{path}: {message}") from None
    return Be4Config(_groups(document, reader), options, descriptor, tuple(reader.warnings))


def _load(path: Path, reader: _Reader) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(text) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{path}: is larger than {MAX_CONFIG_BYTES} bytes, too large for a configuration")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise reader.fail("document", "expected an object with datasources, pyramid and process")
    return document


def _groups(document: Mapping[str, Any], reader: _Reader) -> tuple[Be4Group, ...]:
    entries = document.get("datasources")
    if not isinstance(entries, list) or not entries:
        raise reader.fail("datasources", "expected a list of at least one source")
    groups = []
    for number, entry in enumerate(entries):
        where = f"datasources[{number}]"
        if not isinstance(entry, dict):
            raise reader.fail(where, "expected an object")
        reader.warn_unknown(entry, where, "datasources")
        source = reader.section(entry, "source", f"{where}.source", "source")
        kind = reader.text(source, "type", f"{where}.source", "IMAGES").upper()
        if kind != "IMAGES":
            raise reader.fail(f"{where}.source.type", f"{kind} is not handled, only IMAGES is")
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
    pyramid: Mapping[str, Any], process: Mapping[str, Any], storage: Mapping[str, Any], reader: _Reader
) -> BuildOptions:
    pixel = reader.section(pyramid, "pixel", "pyramid.pixel", "pixel")
    slab = pyramid.get("slab_size", [16, 16])
    if not isinstance(slab, list) or len(slab) != 2:
        raise reader.fail("pyramid.slab_size", "expected [columns, rows] in tiles")
    nodata = pyramid.get("nodata")
    if nodata is not None and not isinstance(nodata, (list, str)):
        raise reader.fail("pyramid.nodata", "expected a list of numbers, one per channel")
    # Masks asked for during computation only: the engine always computes with masks, so nothing is left to do.
    if "mask" in process:
        as_bool("process.mask", process["mask"])
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
