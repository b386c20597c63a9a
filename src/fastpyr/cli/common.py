"""What the verbs share: number and size texts, tables, JSON output, bounding box arguments."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import click

from ..grid.bounds import BoundingBox

__all__ = ["BoxType", "WorkProgress", "human_bytes", "print_facts", "print_json", "print_table", "tms_option"]

tms_option = click.option(
    "--tms",
    metavar="NAME|FILE",
    help="Tile matrix set, when the one that the descriptor names is not among the known ones.",
)


def human_bytes(size: int) -> str:
    """Size with a decimal unit and three digits: ``1.23 MB``; below 1000 plain ``999 B``."""
    if size < 1000:
        return f"{size} B"
    power = min(int(math.log10(size + size // 2000) / 3), 4)  # 999.6 kB is 1 MB: three digits are shown
    return f"{size / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def print_json(value: object) -> None:
    """One JSON document on stdout, indented."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Two columns: name and value."""
    width = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        click.echo(f"{name:<{width}}  {value}")


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table: drawn by rich on a terminal, aligned plain text anywhere else. Numbers are right-aligned."""
    texts = [[str(cell) for cell in row] for row in rows]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
    if sys.stdout.isatty():
        _rich_table(header, texts, right)
        return
    widths = [max(len(line[i]) for line in [list(header), *texts]) for i in range(len(header))]
    for line in [list(header), *texts]:
        cells = [f"{t:>{w}}" if r else f"{t:<{w}}" for t, w, r in zip(line, widths, right, strict=True)]
        click.echo("  ".join(cells).rstrip())


def _rich_table(header: Sequence[str], texts: list[list[str]], right: list[bool]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, numeric in zip(header, right, strict=True):
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in texts:
        table.add_row(*row)
    # markup off: a name like ``[x]`` is text, not a style
    Console(markup=False, highlight=False).print(table)


class BoxType(click.ParamType[BoundingBox]):
    """``LEFT,BOTTOM,RIGHT,TOP``: four finite numbers in the CRS of the tile matrix set, x (longitude) first."""

    name = "L,B,R,T"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> BoundingBox:
        if isinstance(value, BoundingBox):
            return value
        try:
            left, bottom, right, top = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not four numbers LEFT,BOTTOM,RIGHT,TOP", param, ctx)
        if not all(math.isfinite(v) for v in (left, bottom, right, top)):
            self.fail(f"{value!r} holds a number that is not finite", param, ctx)
        if left >= right or bottom >= top:
            self.fail(f"{value!r} is empty: LEFT must be less than RIGHT and BOTTOM less than TOP", param, ctx)
        return BoundingBox(left, bottom, right, top)


class WorkProgress:
    """Context manager whose ``update`` draws a bar on stderr when that is a terminal, and nothing elsewhere."""

    def __init__(self, quiet: bool = False) -> None:
        self._shown = sys.stderr.isatty() and not quiet
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> WorkProgress:
        if self._shown:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` units of a stage; each stage has its bar."""
        if self._bar is None:
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=total)
        self._bar.update(self._tasks[stage], completed=done)
