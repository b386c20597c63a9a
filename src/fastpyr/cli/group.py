"""The group of all verbs. A verb is imported when it is called."""

from __future__ import annotations

import click

from .. import __version__
from .lazy_group import LazyGroup
from .main import VERBS
from .start import work_begins

__all__ = ["cli", "run"]


class _Programs(LazyGroup):
    """Tells when a command's own work begins."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is not None and cmd_name != "build":  # which says itself when all is loaded
            work_begins()
        return command


@click.group(
    cls=_Programs, verbs=VERBS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
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
