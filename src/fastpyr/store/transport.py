"""What a client of an object store must do for us, told in bytes; each client's own errors become one of two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from ..errors import ConfigError

__all__ = ["Entry", "ObjectMissing", "Part", "Stat", "Transport", "TransportError", "flag", "number"]


class ObjectMissing(Exception):
    """There is no object of that key."""


class TransportError(Exception):
    """A request failed. The text says why, and the cure where one is known, on one line.

    ``retry``: asking again may help. ``unreachable``: the server was not even reached.
    """

    def __init__(self, reason: str, *, retry: bool = False, unreachable: bool = False) -> None:
        super().__init__(" ".join(reason.split()))
        self.retry = retry
        self.unreachable = unreachable


class Part(NamedTuple):
    """Bytes of an object, the size of the whole object, and what identifies this version of it (None: unknown)."""

    data: bytes
    total: int
    tag: str | None


class Stat(NamedTuple):
    """Size in bytes, and when the object was written, in seconds by the server's clock."""

    size: int
    modified: float


class Entry(NamedTuple):
    """An object in a list: its key, and its size in bytes where the list says so."""

    key: str
    size: int | None = None


class Transport(Protocol):
    """One tray of an object store. Every verb is one try, from any thread; raises ObjectMissing or TransportError."""

    def put(self, key: str, data: bytes) -> None:
        """Write an object, replacing one of the same key in one step."""

    def get(self, key: str, offset: int, size: int) -> Part:
        """``size`` bytes from ``offset``, fewer (none) where the object ends. ``size`` is at least 1."""

    def stat(self, key: str) -> Stat:
        """Size and age."""

    def list(self, folder: str, after: str | None) -> Iterator[Sequence[Entry]]:
        """Pages of the sorted keys that start with ``folder`` (empty, or ending in ``/``), those behind ``after``."""

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; no error for those that are not there."""

    def copy(self, source: str, target: str) -> None:
        """Copy an object inside the tray, without moving its bytes over the network where the store can."""


def flag(environ: Mapping[str, str], name: str) -> bool:
    """Whether a variable is set: its presence counts, as for all tools of the format, unless it says no."""
    return environ.get(name, "0").strip().lower() not in ("", "0", "false", "no", "off")


def number(environ: Mapping[str, str], name: str, low: float, high: float) -> float | None:
    """A number from the environment, None when it is not set. Raises ConfigError for anything else."""
    text = environ.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise ConfigError(f"{name} is {text[:40]!r}: expected a number from {low:g} to {high:g}")
    return value
