"""Entry point of the ``fastpyr`` command.

Verbs are imported only when used, so that ``fastpyr --help`` answers at once. Exit codes: 0 done, 1 ``verify`` found
something, 2 the command could not do its work (one line says why), 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click

from .. import __version__
from ..errors import FastpyrError

__all__ = ["cli", "main"]

_BROKEN_PIPE = 141  # what a shell reports for a process that SIGPIPE ended


@dataclass(frozen=True, slots=True)
class _Verb:
    module: str  # below fastpyr.cli; the command is the attribute of the same name
    help: str  # the line that ``fastpyr --help`` shows


_VERBS = {
    "build": _Verb("build", "Build a pyramid from georeferenced rasters."),
    "plan": _Verb("plan", "Say what build would do, without writing anything."),
    "info": _Verb("info", "Facts of a pyramid, of one slab, or of the CPU paths in use."),
    "verify": _Verb("verify", "Check a pyramid in full; exit 0 only if every check holds."),
    "tile": _Verb("tile", "Extract one stored tile as a viewer expects it."),
    "export": _Verb("export", "Write a level, or a part of it, as a georeferenced GeoTIFF."),
    "tms": _Verb("tms", "List the known tile matrix sets, or show one."),
    "db": _Verb("db", "Rasters in a relational database: import, mosaic, read, export."),
    "demo": _Verb("demo", "Make a small delivery, build its pyramid, verify it, leave a preview."),
    "bench": _Verb("bench", "Measure whole jobs against rivals and the floor (in a source checkout)."),
}


class _LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps, and imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = _VERBS.get(cmd_name)
        if verb is None:
            return None
        module = importlib.import_module(f"{__package__}.{verb.module}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in _VERBS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="fastpyr")
def cli() -> None:
    """Georeferenced rasters in, ROK4 tile pyramids out.

    \b
    Example, from a folder of GeoTIFFs to a verified pyramid:
      fastpyr build delivery/ out/ORTHO.json --tms PM --compression jpg --mask
      fastpyr verify out/ORTHO.json
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line with ``args`` (default: the process's) and return the exit code.

    Errors raised on purpose, and errors of the operating system, become one line on stderr.
    """
    if args is None:
        _leave_out("boto3")
    try:
        code = _run(list(sys.argv[1:] if args is None else args))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader went away (``| head``): nothing more can be said, not even by the flush at exit.
        _silence_stdout()
        return _BROKEN_PIPE
    except KeyboardInterrupt as stop:
        click.echo("fastpyr: interrupted" + _notes(stop), err=True)
        return 130
    except MemoryError as error:
        return _fail(f"not enough memory: {error}{_notes(error)}")
    except FastpyrError as error:
        return _fail(f"{error}{_notes(error)}")
    except OSError as error:
        return _fail(_os_error_text(error) + _notes(error))


def _leave_out(package: str) -> None:
    """Let imports of ``package`` fail in this process, which is the command's own.

    rasterio imports boto3 wherever it is installed, which takes longer than a small build, for sessions that the
    command never opens.
    """
    sys.modules.setdefault(package, None)  # type: ignore[arg-type]


def _run(args: list[str]) -> int:
    """The group without click's own error handling: Ctrl-C must not print an empty line first."""
    try:
        with cli.make_context("fastpyr", args) as context:
            result = cli.invoke(context)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show()
        return 2


def _notes(error: BaseException) -> str:
    """What was added to an error on its way, for instance where unfinished work is kept."""
    return "".join(f"; {note}" for note in getattr(error, "__notes__", ()))


def _fail(message: str) -> int:
    click.echo("fastpyr: error: " + " ".join(message.split()), err=True)
    return 2


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
