"""``fastpyr update``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .build import build_summary
from .common import human_bytes, print_facts, print_json
from .options import build_options, request_of
from .progress import BuildProgress

if TYPE_CHECKING:
    from ..planning import Plan

__all__ = ["update"]

_INHERITED = {
    "tms", "width", "height", "compression", "interpolation", "mask", "no_mask", "nodata", "channels", "sample_format",
}  # fmt: skip
"""Options that say what a pyramid is: those of an update agree with what the old one is."""


@click.command()
@click.option("--from", "base", metavar="OLD.json", help="The pyramid that is updated; it stays as it is.")
@click.option(
    "--mode",
    metavar="slink|hlink|copy",
    help="How untouched slabs get into the new pyramid: links to their owner, hard links, copies. [default: slink]",
)
@build_options
def update(paths: tuple[str, ...], base: str | None, mode: str | None, as_json: bool, **given: Any) -> None:
    """Make a new pyramid of an old one and new rasters; only what these touch is computed.

    SOURCE and DESCRIPTOR are as for build. Tile matrix set, pixel format, masks, interpolation and slab size are the
    old pyramid's; when given (--tms, --compression, ...) they must agree. Levels go from the sources' own, or --bottom,
    to the old pyramid's last.

    \b
    Examples:
      fastpyr update new/ --from out/ORTHO_2024.json out/ORTHO_2025.json
      fastpyr update new/ --from out/ORTHO_2024.json elsewhere/ORTHO_2025.json --mode copy
    """
    request = request_of(paths, given)
    from ..updates.update import update as run_update

    plans: list[Plan] = []
    with BuildProgress(quiet=as_json) as progress:
        pyramid = run_update(
            request.sources or None,
            request.descriptor,
            base=base,
            mode=mode,
            progress=progress.update,
            on_plan=plans.append,
            warn=lambda line: click.echo(f"fastpyr: warning: {line}", err=True),
            **request.options,
        )
    summary = build_summary(pyramid, plans[0], progress)
    summary["kept_slabs"] = sum(1 for _ in pyramid.slabs()) - summary["slabs"]
    if as_json:
        print_json(summary)
        return
    resumed = f", {summary['resumed_slabs']} of them from an interrupted update" if summary["resumed_slabs"] else ""
    print_facts(
        [
            ("pyramid", summary["descriptor"]),
            ("updated", f"levels {plans[0].levels[0].id} to {plans[0].levels[-1].id}"),
            ("bottom", summary["bottom_rule"]),
            ("slabs", f"{summary['slabs']} made ({human_bytes(summary['bytes'])}){resumed}"),
            ("kept", f"{summary['kept_slabs']} slab(s) of the old pyramid"),
            ("time", f"{summary['seconds']:.2f} s with {summary['workers']} worker(s)"),
        ]
    )


for _parameter in update.params:
    if isinstance(_parameter, click.Option) and _parameter.name in _INHERITED:
        _parameter.hidden = True
