"""PYR2PYR configurations (JSON) read as they are."""

from __future__ import annotations

import os

from ..frozen import frozen
from ..planning.config_reader import ConfigReader

__all__ = ["CopyConfig", "read_pyr2pyr"]

_KNOWN = {
    "": {"from", "to", "process", "logger"},
    "from": {"descriptor"},
    "to": {"name", "storage"},
    "to.storage": {"type", "root", "depth"},
    "process": {"directory", "directories", "parallelization", "follow_links", "slab_limit"},
}


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
    reader = ConfigReader(os.fspath(path), _KNOWN)
    document = reader.load()
    origin = reader.section(document, "from", "from")
    target = reader.section(document, "to", "to")
    storage = reader.section(target, "storage", "to.storage")
    process = reader.section(document, "process", "process")
    follow = process.get("follow_links", False)
    if not isinstance(follow, bool):
        raise reader.fail("process.follow_links", "expected true or false")
    return CopyConfig(
        source=reader.text(origin, "descriptor", "from"),
        target=reader.descriptor(storage, "to.storage", reader.text(target, "name", "to")),
        follow_links=follow,
        slab_limit=reader.number(process, "slab_limit", "process", 0) or 0,
        path_depth=reader.number(storage, "depth", "to.storage", 0),
        workers=reader.number(process, "parallelization", "process", 1),
        warnings=tuple(reader.warnings),
    )
