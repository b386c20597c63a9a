"""``fastpyr build``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .common import human_bytes, print_facts, print_json
from .options import build_options, request_of
from .progress import BuildProgress
from .start import load_pyproj, work_begins

if TYPE_CHECKING:
    from ..planning import Plan
    from ..pyramid import Pyramid

__all__ = ["build", "build_summary"]


def build_summary(pyramid: Pyramid, plan: Plan, progress: BuildProgress) -> dict[str, Any]:
    """Facts of a finished build, as plain values."""
    state = progress.state
    return {
        "descriptor": pyramid.uri,
        "tile_matrix_set": plan.tms.name,
        "format": plan.pixel.format.name,
        "channels": plan.pixel.channels,
        "nodata": list(plan.pixel.nodata),
        "mask": plan.options.mask,
        "interpolation": plan.options.interpolation.value,
        "bottom_rule": plan.bottom_rule,
        "levels": [
            {"level": level.id, "tile_limits": list(level.limits), "tiles": level.limits.count}
            for level in pyramid.levels
        ],
        "slabs": state.slabs if state else 0,
        "bytes": state.bytes if state else 0,
        "pixels": state.pixels if state else 0,
        "resumed_slabs": state.resumed_slabs if state else 0,
        "resumed_pixels": state.resumed_pixels if state else 0,
        "workers": plan.options.workers,
        "seconds": round(progress.seconds, 3),
    }


@click.command()
@build_options
def build(paths: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Build a pyramid from georeferenced rasters.

    SOURCE is a raster file, a folder (searched) or a glob; files are painted in the order of their names, the last
    one on top. DESCRIPTOR is where NAME.json goes; slabs go into the folder NAME next to it.

    \b
    Examples:
      fastpyr build delivery/ out/ORTHO.json --tms PM --compression jpg --mask
      fastpyr build dem/*.tif out/DEM.json --tms LAMB93_1M_MNT --interpolation linear --srs IGNF:LAMB93
      fastpyr build --config be4.json
    """
    request = request_of(paths, given)
    load_pyproj()
    from ..run import build as run_build

    plans: list[Plan] = []

    def begin(plan: Plan) -> None:
        plans.append(plan)
        work_begins()

    with BuildProgress(quiet=as_json) as progress:
        pyramid = run_build(
            request.sources or None,
            request.descriptor,
            progress=progress.update,
            on_plan=begin,
            warn=lambda line: click.echo(f"fastpyr: warning: {line}", err=True),
            **request.options,
        )
    summary = build_summary(pyramid, plans[0], progress)
    if as_json:
        print_json(summary)
        return
    levels = summary["levels"]
    resumed = f", {summary['resumed_slabs']} of them from an interrupted build" if summary["resumed_slabs"] else ""
    rate = (summary["pixels"] - summary["resumed_pixels"]) / 1e6 / max(summary["seconds"], 1e-3)
    print_facts(
        [
            ("pyramid", summary["descriptor"]),
            ("format", f"{summary['format']}, {summary['channels']} channel(s), nodata {summary['nodata']}"),
            ("levels", f"{levels[0]['level']} to {levels[-1]['level']} of {summary['tile_matrix_set']}"),
            ("bottom", summary["bottom_rule"]),
            ("tiles", sum(level["tiles"] for level in levels)),
            ("slabs", f"{summary['slabs']} ({human_bytes(summary['bytes'])}){resumed}"),
            ("time", f"{summary['seconds']:.2f} s, {rate:.0f} Mpx/s with {summary['workers']} worker(s)"),
        ]
    )
