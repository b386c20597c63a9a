"""``fastpyr update``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError
from .build import build_summary
from .common import human_bytes, print_facts, print_json
from .options import build_options, request_of
from .progress import BuildProgress

if TYPE_CHECKING:
    from ..planning import Plan
    from ..pyramid import Pyramid

__all__ = ["update"]

_INHERITED = {
    "tms", "width", "height", "compression", "interpolation", "mask", "no_mask", "nodata", "channels", "sample_format",
}  # fmt: skip
"""Options that say what a pyramid is: those of an update agree with what the old one is."""
_OF_INJECT = ("keep_old", "even_if_linked", "search")


@click.command()
@click.option("--from", "base", metavar="OLD.json", help="The pyramid that is updated; it stays as it is.")
@click.option(
    "--mode",
    metavar="slink|hlink|copy",
    help="How untouched slabs get into the new pyramid: links to their owner, hard links, copies. [default: slink]",
)
@click.option("--inject", is_flag=True, help="Update the pyramid DESCRIPTOR in place, all at once in the end.")
@click.option("--keep-old", is_flag=True, help="With --inject: keep the old slabs, for --rollback.")
@click.option("--rollback", is_flag=True, help="Take back the update of DESCRIPTOR, interrupted or with --keep-old.")
@click.option("--even-if-linked", is_flag=True, help="With --inject: although other pyramids have links to its slabs.")
@click.option("--search", multiple=True, metavar="FOLDER|URI", help="With --inject: look for such pyramids there too.")
@build_options
def update(paths: tuple[str, ...], rollback: bool, as_json: bool, **given: Any) -> None:
    """Put new rasters on a pyramid; only what they touch is computed.

    With --from the pyramid OLD.json stays as it is, and DESCRIPTOR is a new one with links to its untouched slabs. With
    --inject the pyramid DESCRIPTOR itself is changed.

    SOURCE is as for build. Tile matrix set, pixel format, masks, interpolation and slab size are the old pyramid's;
    when given (--tms, --compression, ...) they must agree. Levels go from the sources' own, or --bottom, to the old
    pyramid's last.

    \b
    Examples:
      fastpyr update new/ --from out/ORTHO_2024.json out/ORTHO_2025.json
      fastpyr update new/ --from out/ORTHO_2024.json s3://bucket/ORTHO_2025.json --mode copy
      fastpyr update new/ out/ORTHO.json --inject --keep-old
      fastpyr update out/ORTHO.json --rollback
    """
    if rollback:
        _take_back(paths, given)
        return
    plans: list[Plan] = []
    with BuildProgress(quiet=as_json) as progress:
        pyramid = _updated(paths, given, plans, progress)
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


def _updated(paths: tuple[str, ...], given: dict[str, Any], plans: list[Plan], progress: BuildProgress) -> Pyramid:
    """Run what is asked for: a new pyramid, or a change in place."""
    from_old = {name: value for name in ("base", "mode") if (value := given.pop(name))}
    in_place = {name: value for name in _OF_INJECT if (value := given.pop(name))}
    is_injection = given.pop("inject") or (given["config"] is not None and _is_injection(given["config"]))
    wrong = from_old if is_injection else in_place
    if is_injection:
        wrong |= {name: given[name] for name in ("name", "overwrite") if given[name] is not None}
    if wrong:
        option = {"base": "from"}.get(next(iter(wrong)), next(iter(wrong))).replace("_", "-")
        other = "goes without --inject: it is for a new pyramid" if is_injection else "goes with --inject alone"
        raise ConfigError(f"--{option} {other}")
    request = request_of(paths, given)
    common: dict[str, Any] = {
        "progress": progress.update,
        "on_plan": plans.append,
        "warn": lambda line: click.echo(f"fastpyr: warning: {line}", err=True),
        **request.options,
    }
    sources = request.sources or None
    if is_injection:
        from ..updates.inject import inject

        return inject(sources, request.descriptor, **in_place, **common)
    from ..updates.update import update as run_update

    return run_update(sources, request.descriptor, **from_old, **common)


def _is_injection(config: str) -> bool:
    from ..planning import read_be4

    return read_be4(config).kind == "INJECTION"


def _take_back(paths: tuple[str, ...], given: dict[str, Any]) -> None:
    if len(paths) != 1 or any(value not in (None, False, ()) for value in given.values()):
        raise ConfigError("--rollback goes with the pyramid alone: fastpyr update out/ORTHO.json --rollback")
    from ..updates.inject import rollback

    if rollback(paths[0]):
        click.echo(f"{paths[0]} is again what it was")
    else:
        click.echo(f"{paths[0]} had not changed; what was made for it is removed")


for _parameter in update.params:
    if isinstance(_parameter, click.Option) and _parameter.name in _INHERITED:
        _parameter.hidden = True
