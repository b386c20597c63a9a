"""Entry point of the ``fastpyr`` command.

Verbs, and click itself, are imported only when used, so that ``fastpyr --help`` answers at once. Exit codes: 0 done,
1 ``verify`` or ``check`` found something, 2 the command could not do its work (one line says why), 130 interrupted,
143 terminated.
"""

from __future__ import annotations

import gc
import os
import sys

from .. import __version__
from ..errors import FastpyrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["VERBS", "Verb", "main"]

_FRAMES_BYTES = 1 << 18
_BROKEN_PIPE = 141  # what a shell reports for a process that SIGPIPE ended


class Verb:
    """A command: an attribute of a module below fastpyr.cli, both of the verb's name; ``help`` for the overview."""

    def __init__(self, module: str, help: str) -> None:
        self.module = module
        self.help = help


VERBS = {
    "build": Verb("build", "Build a pyramid from georeferenced rasters."),
    "plan": Verb("plan", "Say what build would do, without writing anything."),
    "info": Verb("info", "Facts of a pyramid, of one slab, or of the CPU paths in use."),
    "check": Verb("check", "Check a delivery of rasters: signatures, blocks, georeferencing, gaps."),
    "verify": Verb("verify", "Check a pyramid in full; exit 0 only if every check holds."),
    "tile": Verb("tile", "Extract one stored tile as a viewer expects it."),
    "export": Verb("export", "Write a level, or a part of it, as a georeferenced GeoTIFF."),
    "update": Verb("update", "Put new rasters on a pyramid; what they do not touch stays as it is."),
    "rebuild-top": Verb("rebuild_top", "Make the upper levels of a pyramid again from one of its levels."),
    "copy": Verb("copy", "Copy a pyramid to another place, in any kind of storage."),
    "merge": Verb("merge", "Merge pyramids of one grid; only shared slabs are computed."),
    "delete": Verb("delete", "Remove a pyramid; refused while others link to it."),
    "tms": Verb("tms", "List the known tile matrix sets, or show one."),
    "db": Verb("db", "Rasters in a relational database: import, mosaic, read, export."),
    "deliver": Verb("deliver", "Put a delivery into a platform and await its checks."),
    "run": Verb("run", "Run a processing of a platform on a delivery, and follow it."),
    "uploads": Verb("uploads", "List, show or delete the deliveries of a platform."),
    "stored": Verb("stored", "List, show or delete the stored pyramids of a platform."),
    "serve": Verb("serve", "Serve the platform over HTTP: deliveries, checks, processings, stored pyramids."),
    "demo": Verb("demo", "Make a small delivery, build its pyramid, verify it, leave a preview."),
    "bench": Verb("bench", "Measure whole jobs against rivals and the floor (in a source checkout)."),
}


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line with ``args`` (default: the process's) and return the exit code.

    Errors raised on purpose, and errors of the operating system, become one line on stderr.
    """
    if args is None:
        from .signals import end_in_order

        if sys.argv[1:2] != ["bench"]:  # which starts other programs, as they are
            from .start import spare_this_process

            spare_this_process()
        end_in_order()
    try:
        code = _run(list(sys.argv[1:] if args is None else args))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader went away (``| head``): nothing more can be said, not even by the flush at exit.
        _silence_stdout()
        return _BROKEN_PIPE
    except KeyboardInterrupt as stop:
        code = getattr(stop, "code", 130)  # signals.Terminated has one
        _say(("fastpyr: interrupted" if code == 130 else "fastpyr: terminated") + _notes(stop))
        return int(code)
    except MemoryError as error:
        return _fail(f"not enough memory: {error}{_notes(error)}")
    except FastpyrError as error:
        return _fail(f"{error}{_notes(error)}")
    except OSError as error:
        return _fail(_os_error_text(error) + _notes(error))
    finally:
        if args is None:
            gc.freeze()  # else the interpreter looks for cycles in all that was loaded, before it throws it away


def _run(args: list[str]) -> int:
    if args == ["--version"]:
        print(f"fastpyr, version {__version__}")
        return 0
    from .group import run

    return run(args)


# CPython asks the system for a chunk of 16 KiB whenever a call does not fit into the last one, and gives it back when
# the call returns: a loop at such a depth does so all the time. One chunk for all frames above this one ends that.
_run.__code__ = _run.__code__.replace(co_stacksize=_FRAMES_BYTES // 8)


def _notes(error: BaseException) -> str:
    """What was added to an error on its way, for instance where unfinished work is kept."""
    return "".join(f"; {note}" for note in getattr(error, "__notes__", ()))


def _fail(message: str) -> int:
    _say("fastpyr: error: " + " ".join(message.split()))
    return 2


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _os_error_text(error: OSError) -> str:
    """Reason and file of an operating system error: ``No space left on device: out/x.tif``."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{reason}: {os.fsdecode(error.filename)}" if isinstance(error.filename, (str, bytes)) else reason


def _silence_stdout() -> None:
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return  # stdout is not a file (a test's capture): nothing left to flush to a closed pipe


if __name__ == "__main__":
    sys.exit(main())
