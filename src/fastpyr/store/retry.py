"""Trying again what may work the next time, with growing pauses."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from .transport import ObjectMissing, TransportError, number

__all__ = ["RetryPolicy", "Stopped"]

Result = TypeVar("Result")

_ATTEMPTS = 10
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 15.0
_ATTEMPTS_TO_REACH = 3
"""Tries for a server that never answered before: a wrong host should not take a minute to be called so."""


class Stopped(Exception):
    """The work was given up while it waited to be tried again."""


@dataclass(slots=True)
class RetryPolicy:
    """How often, and after what pause in seconds.

    Without ``wait`` pauses double from 0.25 to 15 seconds, each shortened at random by up to half, so that many
    builders do not come back together: ten attempts outlast a minute without the server.
    """

    read_attempts: int = _ATTEMPTS
    write_attempts: int = _ATTEMPTS
    wait: float | None = None
    reached: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> RetryPolicy:
        """As ROK4_OBJECT_READ_ATTEMPTS, ROK4_OBJECT_WRITE_ATTEMPTS and ROK4_OBJECT_ATTEMPTS_WAIT (seconds) say.

        Raises ConfigError for values that are not numbers.
        """
        reads = number(environ, "ROK4_OBJECT_READ_ATTEMPTS", 0, 1000)
        writes = number(environ, "ROK4_OBJECT_WRITE_ATTEMPTS", 0, 1000)
        return cls(
            _ATTEMPTS if reads is None else max(int(reads), 1),
            _ATTEMPTS if writes is None else max(int(writes), 1),
            number(environ, "ROK4_OBJECT_ATTEMPTS_WAIT", 0, 3600),
        )

    def pause(self, attempt: int) -> float:
        """Seconds to wait after the failed attempt of that number, counted from 1."""
        if self.wait is not None:
            return self.wait
        longest = min(_FIRST_WAIT * 2.0 ** min(attempt - 1, 30), _LONGEST_WAIT)
        return longest * random.uniform(0.5, 1)

    def run(self, attempts: int, work: Callable[[], Result], stop: threading.Event | None = None) -> Result:
        """The result of ``work``, tried again after TransportErrors that allow it.

        Raises the last TransportError, saying how often it was tried; Stopped when ``stop`` is set during a pause.
        """
        stop = stop or threading.Event()
        attempt = 1
        while True:
            try:
                result = work()
            except ObjectMissing:
                self.reached = True
                raise
            except TransportError as error:
                self.reached |= not error.unreachable
                allowed = attempts if self.reached else min(attempts, _ATTEMPTS_TO_REACH)
                if not error.retry or attempt >= allowed:
                    tried = f" (tried {attempt} times)" if attempt > 1 else ""
                    raise TransportError(f"{error}{tried}", retry=error.retry, unreachable=error.unreachable) from error
            else:
                self.reached = True
                return result
            if stop.wait(self.pause(attempt)):
                raise Stopped
            attempt += 1
