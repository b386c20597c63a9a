"""JSON configurations of other tools, read with the path of the key in every message."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..errors import ConfigError, StoreError
from ..store import open_location

__all__ = ["ConfigReader"]

_MAX_BYTES = 4 << 20
_SCHEMES = {"S3": "s3", "SWIFT": "swift", "CEPH": "ceph"}


class ConfigReader:
    """Typed access to the nested objects of a configuration: a path or a URI.

    ``known`` are the keys of each kind of section, ``""`` that of the document; others give a line in ``warnings``.
    """

    def __init__(self, path: str, known: Mapping[str, Collection[str]]) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._known = known

    def fail(self, where: str, what: str) -> ConfigError:
        return ConfigError(f"{self.path}: {where}: {what}")

    def load(self) -> dict[str, Any]:
        """The document. Raises ConfigError, as all methods do."""
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
            raise self.fail("document", f"expected an object with {', '.join(sorted(self._known['']))}")
        self.warn_unknown(document, "", "")
        return document

    def section(self, parent: Mapping[str, Any], key: str, where: str, kind: str | None = None) -> dict[str, Any]:
        """The object ``key``, empty where there is none; ``kind`` of section: by default ``where``."""
        value = parent.get(key, {})
        if not isinstance(value, dict):
            raise self.fail(where, "expected an object")
        self.warn_unknown(value, where, where if kind is None else kind)
        return value

    def warn_unknown(self, value: Mapping[str, Any], where: str, kind: str) -> None:
        for key in value:
            if key not in self._known[kind]:
                self.warnings.append(f"{self.path}: unknown key {where + '.' if where else ''}{key} is ignored")

    def text(self, section: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
        value = section.get(key, default)
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

    def level(self, section: Mapping[str, Any], key: str, where: str) -> str | None:
        """A level id; None where it is left to be decided."""
        value = section.get(key)
        if value is None:
            return None
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            raise self.fail(f"{where}.{key}", "expected a level id")
        word = str(value).strip()
        return None if word in ("", "<AUTO>") else word

    def descriptor(self, storage: Mapping[str, Any], where: str, name: str, default: str | None = None) -> str:
        """Where the descriptor of the pyramid ``name`` goes: a path, or ``s3://<root>/<name>.json`` and the like."""
        kind = self.text(storage, "type", where, default).upper()
        root = self.text(storage, "root", where)
        if kind == "FILE":
            return f"{root.rstrip('/')}/{name}.json"
        if kind not in _SCHEMES:
            raise self.fail(f"{where}.type", "expected FILE, S3, SWIFT or CEPH")
        return f"{_SCHEMES[kind]}://{root.strip('/')}/{name}.json"

    def datasources(
        self, document: Mapping[str, Any], kind: str
    ) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        """The path, the entry and its source of each of the ``datasources``, whose sources are all of type ``kind``."""
        entries = document.get("datasources")
        if not isinstance(entries, list) or not entries:
            raise self.fail("datasources", "expected a list of at least one source")
        for number, entry in enumerate(entries):
            where = f"datasources[{number}]"
            if not isinstance(entry, dict):
                raise self.fail(where, "expected an object")
            self.warn_unknown(entry, where, "datasources")
            source = self.section(entry, "source", f"{where}.source", "source")
            found = self.text(source, "type", f"{where}.source", kind).upper()
            if found != kind:
                raise self.fail(f"{where}.source.type", f"{found} is not handled, only {kind} is")
            yield where, entry, source
