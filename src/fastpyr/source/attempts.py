"""Patience with reads that fail: a network share hiccups, a damaged file does not mend."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from fastpyr.errors import SourceError

__all__ = ["Attempts"]

Result = TypeVar("Result")

_LONGEST_WAIT = 30.0


class Attempts:
    """Calls what may fail up to ``count`` times. Waits ``first_wait`` seconds after the first failure, four times as
    long after each further one, at most 30 seconds. Safe for many threads."""

    def __init__(self, count: int = 1, first_wait: float = 0.2) -> None:
        if count < 1:
            raise ValueError(f"count: {count}, expected at least 1")
        self._count = count
        self._first_wait = first_wait

    def __call__(self, read: Callable[[], Result]) -> Result:
        """What ``read`` returns. SourceError and OSError are passed on when they come at the last attempt."""
        wait = self._first_wait
        for _ in range(self._count - 1):
            try:
                return read()
            except (SourceError, OSError):
                # Damage and a dropped connection look alike from here: only time tells them apart.
                time.sleep(min(wait, _LONGEST_WAIT))
                wait *= 4
        return read()
