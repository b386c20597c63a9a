"""A process that answers beside the first one of a server: ``python -m fastpyr.api.helper``, told what on its stdin."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

from ..errors import FastpyrError
from .launch import Launch, launch

__all__: list[str] = []


def _end_with_parent() -> None:
    """The other end of stdin is held by the first process: at its end, whatever it came by, this one ends."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _main() -> int:
    told = json.loads(sys.stdin.buffer.readline())
    told["pyramids"] = tuple(told["pyramids"])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        launch(Launch(**told), lambda _port: None, is_helper=True)
    except FastpyrError as error:
        print(f"fastpyr: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_main())
