"""Being told to end: batch systems and service managers send SIGTERM, a closed terminal SIGHUP."""

from __future__ import annotations

import signal
from types import FrameType

__all__ = ["Terminated", "end_in_order"]


class Terminated(KeyboardInterrupt):
    """The process was told to end by a signal other than Ctrl-C's. ``code`` is the exit code that tells it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


def end_in_order() -> None:
    """From now on these signals end the work as Ctrl-C does. Signals that are ignored (``nohup``) stay so."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminate)


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # some send it twice: what is being put in order then goes on
    raise Terminated(number)
