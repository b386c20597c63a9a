"""``fastpyr plan``."""

from __future__ import annotations

from typing import Any

import click

from ..errors import ConfigError
from .common import human_bytes, print_facts, print_json, print_table
from .options import build_options, request_of
from .start import load_pyproj

__all__ = ["plan"]


@click.command()
@build_options
@click.option("--simulate", is_flag=True, help="Simulate the schedule on many workers.")
@click.option("--workers", metavar="N[,N...]", help="Simulate it on so many workers. [default: 1 to 4096]")
@click.option("--pixels", metavar="N", help="Simulate an area of N bottom pixels, e.g. 1.4e13, without any source.")
@click.option("--costs", metavar="NAME=S[,...]", help="Costs to simulate with, in seconds, instead of measured ones.")
def plan(paths: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Say what build would do with the same arguments; nothing is written.

    \b
    Examples:
      fastpyr plan delivery/ out/ORTHO.json --tms PM
      fastpyr plan delivery/ out/ORTHO.json --tms PM --workers 1,8,64
      fastpyr plan --pixels 1.4e13 --tms PM --bottom 19 --workers 1000
    """
    simulation = {name: given.pop(name) for name in ("simulate", "workers", "pixels", "costs")}
    if any(simulation.values()):
        _simulate(paths, as_json, given, **simulation)
        return
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


def _simulate(
    paths: tuple[str, ...],
    as_json: bool,
    given: dict[str, Any],
    simulate: bool,
    workers: str | None,
    pixels: str | None,
    costs: str | None,
) -> None:
    """``fastpyr plan --simulate``: ``--workers``, ``--pixels`` and ``--costs`` ask for it too."""
    if pixels is not None and (paths or given["config"]):
        raise ConfigError("--pixels stands for sources: give one or the other")
    request = request_of(paths or ("area", "area.json"), given)
    load_pyproj()
    from ..planning import BuildOptions
    from ..run import plan as run_plan
    from ..scale.forecast import DEFAULT_WORKERS, area_plan, as_pixels, as_workers, forecast

    counts = as_workers(workers) if workers is not None else DEFAULT_WORKERS
    if pixels is not None:
        options = {key: value for key, value in request.options.items() if key != "name"}
        decided = area_plan(as_pixels(pixels), BuildOptions.parse(**options))
    else:
        if not paths and not given["config"]:
            raise ConfigError("--simulate needs SOURCE... and DESCRIPTOR, or --pixels")
        decided = run_plan(request.sources or None, request.descriptor, **request.options)
    found = forecast(decided, counts, costs, has_sources=pixels is None)
    for mosaic in decided.mosaics:
        mosaic.close()
    if as_json:
        print_json(found)
        return
    print_facts(
        [
            ("grid", f"{decided.tms.name}, levels {decided.levels[0].id} to {decided.levels[-1].id}"),
            ("work", f"{found['blocks']} blocks, {found['slabs']} slabs, {found['parts']} parts"),
            ("costs", found["costs_are"]),
            ("", ", ".join(f"{name} {value:.4g}" for name, value in found["costs"].items())),
        ]
    )
    click.echo()
    rows = [
        (
            one["workers"],
            f"{one['seconds']:.1f} s",
            f"{100 * one['efficiency']:.1f} %",
            f"{one['serial_seconds']:.1f} s",
            f"{100 * one['coordinator_load']:.1f} %",
            human_bytes(int(one["scratch_bytes"])),
            human_bytes(int(one["scratch_peak"])),
            one["puts"],
            one["gets"],
            f"{human_bytes(int(one['store_bytes_per_second']))}/s",
        )
        for one in found["schedules"]
    ]
    header = ("workers", "time", "efficiency", "serial", "coordinator", "scratch", "at most", "PUT", "GET", "written")
    print_table(header, rows)
