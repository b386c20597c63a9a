"""JOINCACHE configurations (JSON) read as they are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..formats import SampleType
from ..frozen import frozen
from ..grid.bounds import BoundingBox
from ..planning.config_reader import ConfigReader
from .merge_plan import MergeGroup
from .region import Region, read_region

__all__ = ["JoinConfig", "read_joincache"]

_KNOWN = {
    "": {"datasources", "pyramid", "process", "logger"},
    "datasources": {"top", "bottom", "source"},
    "source": {"type", "area", "descriptors"},
    "area": {"bbox", "geometry"},
    "pyramid": {"name", "storage", "pixel", "compression", "nodata", "mask"},
    "pixel": {"samplesperpixel", "sampleformat"},
    "storage": {"type", "root", "depth"},
    "process": {"directories", "parallelization", "merge_method", "mask"},
}
_SCHEMES = ("s3", "swift", "ceph")


@frozen
class JoinConfig:
    """A configuration, checked: ``groups``, ``target`` and ``options`` of ``merge_pyramids``.

    ``sample`` is what the configuration says of the samples, None when nothing. ``warnings`` are one line each.
    """

    groups: tuple[MergeGroup, ...]
    target: str
    options: dict[str, Any]
    sample: SampleType | None
    warnings: tuple[str, ...]


def read_joincache(path: str | os.PathLike[str]) -> JoinConfig:
    """Read a JOINCACHE configuration: a path or a URI. Raises ConfigError naming the file and the key."""
    reader = ConfigReader(os.fspath(path), _KNOWN)
    document = reader.load()
    pyramid = reader.section(document, "pyramid", "pyramid")
    process = reader.section(document, "process", "process")
    storage = reader.section(pyramid, "storage", "pyramid.storage", "storage")
    pixel = reader.section(pyramid, "pixel", "pyramid.pixel", "pixel")
    groups = _groups(reader, document)
    scheme = groups[0].sources[0].partition("://")[0].lower()
    kind = scheme.upper() if scheme in _SCHEMES else "FILE"  # where a join has its first source
    masks = _flag(reader, pyramid, "mask", "pyramid") or False
    if _flag(reader, process, "mask", "process") is False and not masks:
        reader.warnings.append(f"{reader.path}: process.mask: masks that the pyramids have are used all the same")
    options = {
        "method": reader.text(process, "merge_method", "process"),
        "workers": reader.number(process, "parallelization", "process", 1),
        "compression": reader.text(pyramid, "compression", "pyramid") if "compression" in pyramid else None,
        "channels": reader.number(pixel, "samplesperpixel", "pyramid.pixel", 1),
        "nodata": _nodata(reader, pyramid),
        "mask": masks,
        "path_depth": reader.number(storage, "depth", "pyramid.storage", 0),
    }
    target = reader.descriptor(storage, "pyramid.storage", reader.text(pyramid, "name", "pyramid"), kind)
    return JoinConfig(groups, target, options, _sample(reader, pixel), tuple(reader.warnings))


def _groups(reader: ConfigReader, document: Mapping[str, Any]) -> tuple[MergeGroup, ...]:
    groups = []
    for where, entry, source in reader.datasources(document, "PYRAMIDS"):
        names = source.get("descriptors")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
            raise reader.fail(f"{where}.source.descriptors", "expected a list of at least one descriptor")
        bottom, top = reader.level(entry, "bottom", where), reader.level(entry, "top", where)
        groups.append(MergeGroup(tuple(names), bottom, top, _area(reader, source, f"{where}.source.area")))
    return tuple(groups)


def _area(reader: ConfigReader, source: Mapping[str, Any], where: str) -> Region | None:
    area = reader.section(source, "area", where, "area")
    if "geometry" in area:
        return read_region(reader.text(area, "geometry", where))
    if "bbox" not in area:
        return None
    box = area["bbox"]
    if isinstance(box, str):
        box = box.split(",")
    try:
        left, bottom, right, top = (float(side) for side in box)
        found = BoundingBox(left, bottom, right, top)
    except (TypeError, ValueError):
        found = BoundingBox(0, 0, 0, 0)
    if not found.is_valid:
        raise reader.fail(f"{where}.bbox", "expected [xmin, ymin, xmax, ymax] around an area")
    return Region(found)


def _flag(reader: ConfigReader, section: Mapping[str, Any], key: str, where: str) -> bool | None:
    value = section.get(key)
    if value is not None and not isinstance(value, bool):
        raise reader.fail(f"{where}.{key}", "expected true or false")
    return value


def _nodata(reader: ConfigReader, pyramid: Mapping[str, Any]) -> list[int] | None:
    value = pyramid.get("nodata")
    if value is None:
        return None
    items = value.split(",") if isinstance(value, str) else value
    try:
        return [int(item) for item in items]
    except (TypeError, ValueError):
        raise reader.fail("pyramid.nodata", "expected a list of integers, one per channel") from None


def _sample(reader: ConfigReader, pixel: Mapping[str, Any]) -> SampleType | None:
    if "sampleformat" not in pixel:
        return None
    try:
        return SampleType(reader.text(pixel, "sampleformat", "pyramid.pixel").upper())
    except ValueError:
        raise reader.fail("pyramid.pixel.sampleformat", "expected UINT8 or FLOAT32") from None
