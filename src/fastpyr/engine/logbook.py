"""Lines that outlive their writer: what is torn or damaged is seen and passed over."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from threading import Lock
from typing import Any

from ..store.atomic import store_error

__all__ = ["Logbook", "boot_id", "log_line", "parse_log"]

_BOOT_FILE = Path("/proc/sys/kernel/random/boot_id")


def log_line(fact: dict[str, Any]) -> bytes:
    """A fact (a JSON object) with its checksum, on a line of its own."""
    text = json.dumps(fact, separators=(",", ":")).encode()
    # A line begins with its own end of line, so that a torn one before it spoils nothing but itself.
    return b"\n%08x %s\n" % (zlib.crc32(text), text)


def parse_log(data: bytes) -> list[dict[str, Any]]:
    """The facts of all whole lines."""
    facts = []
    for line in data.split(b"\n"):
        try:
            if len(line) > 9 and int(line[:8], 16) == zlib.crc32(line[9:]):
                facts.append(json.loads(line[9:]))
        except (ValueError, RecursionError):
            continue
    return [fact for fact in facts if isinstance(fact, dict)]


class Logbook:
    """Appends facts to a file. Safe for many threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise store_error("write", path, error) from error

    def append(self, fact: dict[str, Any]) -> None:
        """Write one line. Raises StoreError; a part that was written then is no line."""
        line = log_line(fact)
        try:
            with self._lock:
                while line:
                    line = line[os.write(self._file, line) :]
        except OSError as error:
            raise store_error("write", self._path, error) from error

    def close(self) -> None:
        """No more lines."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def boot_id() -> str:
    """Tells one run of the operating system from the next; empty where that is unknown."""
    try:
        return _BOOT_FILE.read_text().strip()
    except (OSError, ValueError):
        return ""
