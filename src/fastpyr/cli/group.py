"""The group of all verbs. A verb is imported when it is called."""

from __future__ import annotations

import importlib

import click

from .. import __version__

__all__ = ["cli", "run"]

_VERBS = {
    "build": "Build a pyramid from georeferenced rasters.",
    "plan": "Say what build would do, without writing anything.",
    "info": "Facts of a pyramid, of one slab, or of the CPU paths in use.",
    "verify": "Check a pyramid in full; exit 0 only if every check holds.",
    "tile": "Extract one stored tile as a viewer expects it.",
    "export": "Write a level, or a part of it, as a georeferenced GeoTIFF.",
    "tms": "List the known tile matrix sets, or show one.",
    "demo": "Make a small delivery, build its pyramid, verify it, leave a preview.",
    "bench": "Measure whole jobs against rivals and the floor (in a source checkout).",
}
"""The line that ``fastpyr --help`` shows. A verb is the attribute of its name in the module of its name."""


class _LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps, and imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f"{__package__}.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="fastpyr")
def cli() -> None:
    """Georeferenced rasters in, ROK4 tile pyramids out.

    \b
    Example, from a folder of GeoTIFFs to a verified pyramid:
      fastpyr build delivery/ out/ORTHO.json --tms PM --compression jpg --mask
      fastpyr verify out/ORTHO.json
    """


def run(args: list[str]) -> int:
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
