"""The options that ``build`` and ``plan`` share, and the inputs they make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..errors import ConfigError
from ..frozen import frozen

__all__ = ["Request", "build_options", "request_of"]

Command = TypeVar("Command", bound=Callable[..., Any])


def build_options(command: Command) -> Command:
    """Attach SOURCE..., DESCRIPTOR and every option of a build to a command."""
    decorators = [
        click.argument("paths", nargs=-1, metavar="SOURCE... DESCRIPTOR"),
        click.option("--config", metavar="CONF.json", help="A BE4 configuration; options given here win over it."),
        click.option("--tms", metavar="NAME|FILE", help="Tile matrix set, e.g. PM (required for a new pyramid)."),
        click.option("--bottom", metavar="LEVEL", help="Finest level. Automatic: nearest to the sources' resolution."),
        click.option("--top", metavar="LEVEL", help="Coarsest level. Automatic: the coarsest of the tile matrix set."),
        click.option("--width", metavar="N", help="Tiles per slab, across. [default: 16]"),
        click.option("--height", metavar="N", help="Tiles per slab, down. [default: 16]"),
        click.option(
            "--compression",
            metavar="NAME",
            help="jpg, jpg90, png, zip, lzw, pkb or raw. [default: jpg for 3 channels, else png; zip for float32]",
        ),
        click.option("--interpolation", metavar="NAME", help="nn, linear, bicubic or lanczos. [default: bicubic]"),
        click.option("--parallelization", metavar="N", help="Workers of this machine. [default: all cores]"),
        click.option(
            "--executor", metavar="NAME", help="Who works: threads, processes, or dask (a cluster). [default: threads]"
        ),
        click.option("--scheduler", metavar="URL", help="Scheduler of a Dask cluster. [default: one is started here]"),
        click.option(
            "--mask",
            is_flag=False,
            flag_value="true",
            metavar="[true|false]",
            help="Write data masks too. [default: no]",
        ),
        click.option("--no-mask", is_flag=True, help="Write no masks."),
        click.option("--srs", metavar="CRS", help="CRS of sources that carry none, e.g. EPSG:2154 or IGNF:LAMB93."),
        click.option("--nodata", metavar="V[,V...]", help="Nodata value, one for all channels or one per channel."),
        click.option("--channels", metavar="N", help="Channels stored, 1 to 4. [default: as the sources]"),
        click.option("--sample-format", metavar="TYPE", help="uint8 or float32. [default: as the sources]"),
        click.option("--gamma", metavar="G", help="Exponent of the 2x2 mean; above 1 brightens. [default: 1]"),
        click.option("--name", metavar="NAME", help="Pyramid name, when DESCRIPTOR is a folder."),
        click.option(
            "--overwrite",
            is_flag=False,
            flag_value="true",
            metavar="[true|false]",
            help="Replace a pyramid of the same name.",
        ),
        click.option(
            "--no-resume", is_flag=True, help="Keep no record to go on with after an interruption; start anew."
        ),
        click.option("--read-attempts", metavar="N", help="Attempts to read a part of a source. [default: 3]"),
        click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


@frozen
class Request:
    """What the command line asks for, ready for ``fastpyr.build`` and ``fastpyr.plan``."""

    sources: list[str]
    descriptor: str | None
    options: dict[str, Any]


def request_of(paths: tuple[str, ...], given: dict[str, Any]) -> Request:
    """Sort arguments and options. Raises ConfigError when SOURCE or DESCRIPTOR is missing."""
    options = {key: value for key, value in given.items() if value is not None}
    if options.pop("no_mask", False):
        if "mask" in options:
            raise ConfigError("--mask and --no-mask contradict each other: give one of them")
        options["mask"] = False
    if options.pop("no_resume", False):
        options["resume"] = False
    if options.get("config") is None and len(paths) < 2:
        raise ConfigError("give at least one SOURCE and the DESCRIPTOR, e.g. fastpyr build delivery/ out/ORTHO.json")
    if len(paths) == 1:
        raise ConfigError("with --config give SOURCE... and DESCRIPTOR, to use them instead of its own, or neither")
    return Request(list(paths[:-1]), paths[-1] if paths else None, options)
