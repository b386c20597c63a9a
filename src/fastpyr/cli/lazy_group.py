"""Groups of commands that are imported when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from .main import Verb

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps, and imports a command when it is called.

    The command of a verb is the attribute of its module that has its name, with underscores, and ``suffix``.
    """

    def __init__(self, *args: Any, verbs: Mapping[str, Verb], suffix: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self._verbs = verbs
        self._suffix = suffix

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = self._verbs.get(cmd_name)
        if verb is None:
            return None
        module = importlib.import_module(f"{__package__}.{verb.module}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_") + self._suffix)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in self._verbs.items()])
