"""The pyramid descriptor ``<name>.json``: reads what one of the known loaders accepts, writes what all accept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError, DescriptorError
from ..formats import MASK_FORMAT, Interpolation, PixelFormat, TileFormat
from ..frozen import frozen
from ..grid.bounds import TileLimits
from .level import LevelDescriptor, StorageType

__all__ = ["Descriptor", "descriptor_problems", "parse_descriptor"]

_MAX_BYTES = 16 * 2**20
_MAX_LEVELS = 1000
_MAX_TILES_PER_SLAB = 2**24
_MAX_INDEX = 2**31 - 1
_MAX_TEXT = 4096
_VECTOR_FORMAT = "TIFF_PBF_MVT"


@frozen
class Descriptor:
    """A raster pyramid: its grid, its pixels, its levels.

    ``name`` is the file's name without ``.json``; ``tile_matrix_set`` the file name of the tile matrix set without
    ``.json``. ``levels`` keep the order of the file: coarsest first in all that known tools write.
    """

    name: str
    tile_matrix_set: str
    format: PixelFormat
    mask: bool
    interpolation: Interpolation
    levels: tuple[LevelDescriptor, ...]

    def level(self, id: str) -> LevelDescriptor:
        """The level called ``id``. Raises DescriptorError naming the known ones."""
        for level in self.levels:
            if level.id == id:
                return level
        known = ", ".join(level.id for level in self.levels)
        raise DescriptorError(f"pyramid {self.name} has no level {id!r}: its levels are {known}")

    def to_json(self) -> bytes:
        """The descriptor as UTF-8 JSON with every key that any known loader demands."""
        document: dict[str, Any] = {"tile_matrix_set": self.tile_matrix_set, "format": self.format.format.name}
        if self.mask:
            document["mask_format"] = MASK_FORMAT.name
        document["raster_specifications"] = {
            "channels": self.format.channels,
            "nodata": self.format.nodata_text,
            "interpolation": self.interpolation.value,
            "photometric": self.format.photometric,
        }
        document["levels"] = [_level_json(level) for level in self.levels]
        return (json.dumps(document, indent=4, ensure_ascii=False) + "\n").encode()


def _level_json(level: LevelDescriptor) -> dict[str, Any]:
    storage: dict[str, Any] = {"type": level.storage.value}
    if level.storage.tray_key is None:
        storage |= {"image_directory": level.image_directory, "path_depth": level.path_depth}
        if level.mask_directory is not None:
            storage["mask_directory"] = level.mask_directory
    else:
        storage |= {level.storage.tray_key: level.tray, "image_prefix": level.image_directory}
        if level.mask_directory is not None:
            storage["mask_prefix"] = level.mask_directory
    return {
        "id": level.id,
        "tiles_per_width": level.tiles_per_width,
        "tiles_per_height": level.tiles_per_height,
        "tile_limits": level.limits._asdict(),
        "storage": storage,
    }


class _Reader:
    """Typed access to untrusted JSON; every error names the descriptor and the key."""

    def __init__(self, name: str) -> None:
        self.name = name

    def error(self, what: str) -> DescriptorError:
        return DescriptorError(f"descriptor {self.name}: {what}")

    def document(self, data: bytes) -> Mapping[str, Any]:
        if len(data) > _MAX_BYTES:
            raise self.error(f"it has {len(data)} bytes, more than the {_MAX_BYTES} a descriptor may have")
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, json.JSONDecodeError) else "not text, or beyond all measure"
            raise self.error(f"not valid JSON ({reason})") from None
        return self.mapping(document, "the document")

    def mapping(self, value: object, where: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.error(f"{where} must be an object, not {_shown(value)}")
        return value

    def text(self, holder: Mapping[str, Any], key: str, where: str = "") -> str:
        value = holder.get(key)
        if not isinstance(value, str) or not value:
            raise self.error(f"{where}{key} must be a string, not {_shown(value)}")
        if len(value) > _MAX_TEXT or any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in value):
            raise self.error(f"{where}{key} holds control characters or is too long: {_shown(value)}")
        return value

    def integer(self, holder: Mapping[str, Any], key: str, low: int, high: int, where: str = "") -> int:
        value = holder.get(key)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(f"{where}{key} must be an integer from {low} to {high}, not {_shown(value)}")
        return value


def _shown(value: object) -> str:
    """A value from outside, short and on one line, for messages."""
    if value is None:
        return "missing"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**30:
        return "a huge number"
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def parse_descriptor(data: bytes, name: str) -> Descriptor:
    """The descriptor in ``data``, the bytes of the file ``<name>.json``.

    Lenient where a known loader is (level ids as numbers, missing interpolation or photometric, unknown keys, mask
    keys without ``mask_format``), strict about types and sizes. Raises DescriptorError, one line, for everything else,
    vector pyramids included.
    """
    read = _Reader(name)
    document = read.document(data)
    tile_matrix_set = read.text(document, "tile_matrix_set").removesuffix(".json")
    pixels, interpolation = _pixel_format(read, document)
    items = document.get("levels")
    if not isinstance(items, list) or not items:
        raise read.error(f"levels must be a list of at least one level, not {_shown(items)}")
    if len(items) > _MAX_LEVELS:
        raise read.error(f"it has {len(items)} levels, more than {_MAX_LEVELS}")
    levels = tuple(_level(read, read.mapping(item, f"levels[{i}]"), i) for i, item in enumerate(items))
    seen: set[str] = set()
    for level in levels:
        if level.id in seen:
            raise read.error(f"level {level.id!r} appears twice")
        seen.add(level.id)
    if len({level.storage for level in levels}) > 1:
        raise read.error("its levels are in storages of different types: convert them to one first")
    mask_format = document.get("mask_format")
    if mask_format not in (None, MASK_FORMAT.name):
        raise read.error(f"mask_format must be {MASK_FORMAT.name}, not {_shown(mask_format)}")
    masks = [level.mask_directory is not None for level in levels]
    if any(masks) and not all(masks):
        raise read.error(f"level {levels[masks.index(False)].id!r} has no masks while others have")
    return Descriptor(name, tile_matrix_set, pixels, all(masks), interpolation, levels)


def _pixel_format(read: _Reader, document: Mapping[str, Any]) -> tuple[PixelFormat, Interpolation]:
    format_name = read.text(document, "format")
    if format_name == _VECTOR_FORMAT:
        raise read.error("it describes vector tiles (TIFF_PBF_MVT), this reads raster pyramids")
    where = "raster_specifications."
    raster = read.mapping(document.get("raster_specifications"), where[:-1])
    interpolation = raster.get("interpolation", Interpolation.BICUBIC.value)
    channels = read.integer(raster, "channels", 1, 4, where)
    nodata = _nodata(read, read.text(raster, "nodata", where), channels)
    try:
        pixels = PixelFormat(TileFormat.parse(format_name), channels, nodata)
    except (ConfigError, DescriptorError) as error:
        raise read.error(str(error)) from None
    if not isinstance(interpolation, str) or interpolation not in {i.value for i in Interpolation}:
        known = ", ".join(i.value for i in Interpolation)
        raise read.error(f"{where}interpolation must be one of {known}, not {_shown(interpolation)}")
    return pixels, Interpolation(interpolation)


def _nodata(read: _Reader, text: str, channels: int) -> tuple[int, ...]:
    """The first ``channels`` values of a comma-separated list; an empty item stands for 255."""
    items = [item.strip() for item in text.split(",")]
    if len(items) < channels:
        raise read.error(f"nodata {_shown(text)} has {len(items)} value(s) for {channels} channel(s)")
    values: list[int] = []
    for item in items[:channels]:
        try:
            number = float(item or "255")
        except ValueError:
            number = float("nan")
        if not number.is_integer() or abs(number) > _MAX_INDEX:
            raise read.error(f"nodata {_shown(text)} must be integers separated by commas")
        values.append(int(number))
    return tuple(values)


def _level(read: _Reader, item: Mapping[str, Any], number: int) -> LevelDescriptor:
    id = item.get("id")
    if isinstance(id, int) and not isinstance(id, bool) and 0 <= id <= _MAX_INDEX:
        id = str(id)
    else:
        id = read.text(item, "id", f"levels[{number}].")
    where = f"level {_shown(id)}, "
    if "/" in id or id in (".", ".."):
        raise read.error(f"levels[{number}].id {_shown(id)} cannot be part of a path")
    width = read.integer(item, "tiles_per_width", 1, _MAX_TILES_PER_SLAB, where)
    height = read.integer(item, "tiles_per_height", 1, _MAX_TILES_PER_SLAB, where)
    if width * height > _MAX_TILES_PER_SLAB:
        raise read.error(f"{where}slabs of {width} x {height} tiles are too large")
    limits = read.mapping(item.get("tile_limits"), where + "tile_limits")
    numbers = [read.integer(limits, key, 0, _MAX_INDEX, where) for key in TileLimits._fields]
    box = TileLimits(*numbers)
    if box.min_row > box.max_row or box.min_col > box.max_col:
        raise read.error(f"{where}tile_limits are upside down: {tuple(box)}")
    storage = read.mapping(item.get("storage"), where + "storage")
    kind = storage.get("type")
    if not isinstance(kind, str) or kind not in {s.value for s in StorageType}:
        raise read.error(f"{where}storage.type must be FILE, S3, CEPH or SWIFT, not {_shown(kind)}")
    kind = StorageType(kind)
    stem, tray, depth = "prefix", None, 0
    if kind.tray_key is None:
        stem, depth = "directory", read.integer(storage, "path_depth", 0, 32, where)
    else:
        tray = read.text(storage, kind.tray_key, where)
    image = _relative(read, storage, f"image_{stem}", where)
    mask = _relative(read, storage, f"mask_{stem}", where) if f"mask_{stem}" in storage else None
    return LevelDescriptor(id, width, height, box, image, mask, depth, kind, tray)


def _relative(read: _Reader, storage: Mapping[str, Any], key: str, where: str) -> str:
    """A path relative to the descriptor; it may climb (``../OTHER/DATA/3``) but not be absolute."""
    path = read.text(storage, key, where)
    if path.startswith("/"):
        raise read.error(f"{where}{key} must be relative to the descriptor, not {_shown(path)}")
    return path.rstrip("/")


def descriptor_problems(data: bytes, name: str) -> list[str]:
    """What in a readable descriptor one of the known loaders (server, Perl, Python) would still refuse.

    One short sentence each; empty when all of them load it. Raises DescriptorError as ``parse_descriptor``.
    """
    descriptor = parse_descriptor(data, name)
    document = json.loads(data)
    raster = document["raster_specifications"]
    problems: list[str] = []
    if "interpolation" not in raster:
        problems.append("raster_specifications.interpolation is missing")
    if raster.get("photometric") not in ("gray", "rgb", "mask"):
        problems.append(f"raster_specifications.photometric is {_shown(raster.get('photometric'))}, not gray or rgb")
    if len(raster["nodata"].split(",")) != descriptor.format.channels:
        problems.append("raster_specifications.nodata has more values than channels")
    if document["tile_matrix_set"].endswith(".json"):
        problems.append("tile_matrix_set must be written without .json")
    if descriptor.mask != (document.get("mask_format") is not None):
        problems.append("mask_format must be there exactly when all levels have masks")
    numbers = [item["id"] for item in document["levels"] if not isinstance(item["id"], str)]
    problems += [f"the id of level {number} is not a string" for number in numbers]
    if len({level.path_depth for level in descriptor.levels}) > 1:
        problems.append("path_depth differs between levels")
    return problems
