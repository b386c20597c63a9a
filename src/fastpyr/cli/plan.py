"""``fastpyr plan``."""

from __future__ import annotations

from typing import Any

import click

from .common import human_bytes, print_facts, print_json, print_table
from .options import build_options, request_of
from .start import load_pyproj

__all__ = ["plan"]


@click.command()
@build_options
def plan(paths: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Say what build would do with the same arguments; nothing is written.

    \b
    Example:
      fastpyr plan delivery/ out/ORTHO.json --tms PM
    """
    request = request_of(paths, given)
    load_pyproj()
    from ..run import plan as run_plan

    decided = run_plan(
        request.sources or None,
        request.descriptor,
        warn=lambda line: click.echo(f"fastpyr: warning: {line}", err=True),
        **request.options,
    )
    summary = decided.summary()
    for mosaic in decided.mosaics:
        mosaic.close()
    if as_json:
        print_json(summary)
        return
    kind = summary["tile_matrix_set_kind"]
    print_facts(
        [
            ("sources", summary["sources"]),
            ("grid", f"{summary['tile_matrix_set']} ({kind})"),
            ("bottom", summary["bottom_rule"]),
            ("format", f"{summary['format']}, {summary['channels']} channel(s), nodata {summary['nodata']}"),
            ("total", f"{summary['tiles']} tiles in {summary['slabs']} slabs, {summary['pixels'] / 1e6:.1f} Mpx"),
            ("estimate", f"about {human_bytes(summary['estimated_bytes'])}"),
        ]
    )
    click.echo()
    rows = [
        (
            level["level"],
            f"{level['method']} from {level['from']}" if level["from"] else "sources",
            f"{level['resolution']:.6g}",
            level["tiles"],
            level["slabs"],
            f"{level['tile_limits'][2]}-{level['tile_limits'][3]}",
            f"{level['tile_limits'][0]}-{level['tile_limits'][1]}",
            human_bytes(level["estimated_bytes"]),
        )
        for level in summary["levels"]
    ]
    print_table(("level", "made", "resolution", "tiles", "slabs", "columns", "rows", "estimate"), rows)
