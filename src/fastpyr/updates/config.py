"""PYR2PYR configurations (JSON) read as they are."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError, StoreError
from ..frozen import frozen
from ..store import open_location

__all__ = ["CopyConfig", "read_pyr2pyr"]

_MAX_BYTES = 4 << 20
_KNOWN = {
    "": {"from", "to", "process", "logger"},
    "from": {"descriptor"},
    "to": {"name", "storage"},
    "to.storage": {"type", "root", "depth"},
    "process": {"directory", "directories", "parallelization", "follow_links", "slab_limit"},
}
_SCHEMES = {"S3": "s3", "SWIFT": "swift", "CEPH": "ceph"}


@frozen
class CopyConfig:
    """A configuration, checked: arguments of ``copy_pyramid``. ``warnings`` are one line each."""

    source: str
    target: str
    follow_links: bool
    slab_limit: int
    path_depth: int | None
    workers: int | None
    warnings: tuple[str, ...]


def read_pyr2pyr(path: str | os.PathLike[str]) -> CopyConfig:
    """Read a PYR2PYR configuration: a path or a URI. Raises ConfigError naming the file and the key."""
    reader = _Reader(os.fspath(path))
    document = reader.load()
    origin = reader.section(document, "from", "from")
    target = reader.section(document, "to", "to")
    storage = reader.section(target, "storage", "to.storage")
    process = reader.section(document, "process", "process")
    kind = reader.text(storage, "type", "to.storage").upper()
    root, name = reader.text(storage, "root", "to.storage").rstrip("/"), reader.text(target, "name", "to")
    if kind != "FILE" and kind not in _SCHEMES:
        raise reader.fail("to.storage.type", "expected FILE, S3, SWIFT or CEPH")
    follow = process.get("follow_links", False)
    if not isinstance(follow, bool):
        raise reader.fail("process.follow_links", "expected true or false")
    return CopyConfig(
        source=reader.text(origin, "descriptor", "from"),
        target=f"{root}/{name}.json" if kind == "FILE" else f"{_SCHEMES[kind]}://{root}/{name}.json",
        follow_links=follow,
        slab_limit=reader.number(process, "slab_limit", "process", 0) or 0,
        path_depth=reader.number(storage, "depth", "to.storage", 0),
        workers=reader.number(process, "parallelization", "process", 1),
        warnings=tuple(reader.warnings),
    )


class _Reader:
    """Typed access to nested objects, with the key path in every message."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.warnings: list[str] = []

    def fail(self, where: str, what: str) -> ConfigError:
        return ConfigError(f"{self.path}: {where}: {what}")

    def load(self) -> dict[str, Any]:
        try:
            store, key = open_location(self.path)
            if store.size(key) > _MAX_BYTES:
                raise ConfigError(f"{self.path}: is larger than {_MAX_BYTES} bytes, too large for a configuration")
            document = json.loads(store.get(key))
        except StoreError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error}") from None
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{self.path}: is not valid JSON: {error}") from None
        if not isinstance(document, dict):
            raise self.fail("document", "expected an object with from, to and process")
        self._warn_unknown(document, "")
        return document

    def section(self, parent: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
        value = parent.get(key, {})
        if not isinstance(value, dict):
            raise self.fail(where, "expected an object")
        self._warn_unknown(value, where)
        return value

    def _warn_unknown(self, value: Mapping[str, Any], where: str) -> None:
        for key in value:
            if key not in _KNOWN[where]:
                self.warnings.append(f"{self.path}: unknown key {where + '.' if where else ''}{key} is ignored")

    def text(self, section: Mapping[str, Any], key: str, where: str) -> str:
        value = section.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.fail(f"{where}.{key}", "expected a text, and it is required")
        return value.strip()

    def number(self, section: Mapping[str, Any], key: str, where: str, least: int) -> int | None:
        value = section.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.fail(f"{where}.{key}", f"expected an integer of {least} or more")
        return value
