"""``fastpyr merge``: several pyramids into a new one."""

from __future__ import annotations

from typing import Any

import click

from ..errors import ConfigError
from ..grid.bounds import BoundingBox
from .common import BoxType, WorkProgress, human_bytes, print_facts, print_json, tms_option

__all__ = ["merge"]


@click.command()
@click.argument("places", nargs=-1, metavar="TOP.json ... BOTTOM.json OUT.json")
@click.option("--config", metavar="CONF.json", help="A JOINCACHE configuration; what is given here wins over it.")
@click.option(
    "--method",
    metavar="replace|top|alphatop|multiply",
    help="Where several pyramids have a slab: all of the first one's; the first one's data; its data by alpha; a "
    "product. [required without --config]",
)
@click.option(
    "--mode",
    metavar="slink|hlink|copy",
    help="How a slab of one pyramid gets into the new one: a link to its owner, a hard link, a copy. [default: slink]",
)
@click.option("--bottom", metavar="LEVEL", help="Finest level. [default: all that there are]")
@click.option("--top", metavar="LEVEL", help="Coarsest level. [default: all that there are]")
@click.option("--bbox", type=BoxType(), help="Only slabs that meet this box; taken whole. In the grid's coordinates.")
@click.option("--area", metavar="FILE", help="Only slabs that meet these polygons: WKT, GeoJSON or GML.")
@click.option("--compression", metavar="NAME", help="Of the new pyramid. [default: as the first one]")
@click.option("--channels", type=click.IntRange(1, 4), metavar="N", help="Of the new pyramid. [default: as the first]")
@click.option("--nodata", metavar="V[,V...]", help="Of the new pyramid. [default: as the first one]")
@click.option("--mask/--no-mask", default=None, help="Write data masks. [default: when one of the pyramids has some]")
@click.option(
    "--transparent", metavar="R,G,B|none", help="Colour that counts as transparent. [alphatop: 255,255,255 for uint8]"
)
@click.option("--path-depth", type=click.IntRange(0, 32), metavar="N", help="Folders between a level and its slabs.")
@click.option("--parallelization", type=click.IntRange(1), metavar="N", help="Worker threads. [default: all cores]")
@click.option("--overwrite", is_flag=True, help="Replace a pyramid of that name.")
@tms_option
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def merge(places: tuple[str, ...], config: str | None, overwrite: bool, as_json: bool, **given: Any) -> None:
    """Merge pyramids of one grid into a new one; only slabs that several have are computed.

    The first pyramid is on top. A slab of one pyramid becomes a link to it (its pyramid must stay then), or is
    converted when the result has another format. A slab of several is composed tile by tile through their masks: pixels
    without data let the next pyramid through, so build with --mask what is to be merged. Each level is composed of the
    same level of the pyramids, which stay as they are.

    \b
    Examples:
      fastpyr merge NORTH.json SOUTH.json FRANCE.json --method top
      fastpyr merge s3://b/NEW.json s3://b/OLD.json s3://b/ALL.json --method replace --bottom 18 --top 12
      fastpyr merge ROADS.json PHOTO.json out/MAP.json --method alphatop --mode copy --compression png
      fastpyr merge --config joincache.json
    """
    from ..updates import merge_pyramids

    sources, target, options = _request(places, config, given)
    with WorkProgress(quiet=as_json) as progress:
        result = merge_pyramids(
            sources,
            target,
            overwrite=overwrite,
            progress=lambda done, total: progress.update("slabs", done, total),
            **options,
        )
    for line in result.warnings:
        click.echo(f"fastpyr: warning: {line}", err=True)
    counts = ("linked", "copied", "converted", "composed", "masks", "kept", "bytes")
    if as_json:
        facts: dict[str, Any] = {name: getattr(result, name) for name in ("descriptor", *counts)}
        print_json(facts | {"warnings": list(result.warnings)})
        return
    print_facts(
        [
            ("pyramid", result.descriptor),
            ("slabs of one", f"{result.linked} linked, {result.copied} copied, {result.converted} converted"),
            ("slabs of several", f"{result.composed} composed"),
            *([("masks", f"{result.masks} made for a pyramid without any")] if result.masks else []),
            *([("kept", f"{result.kept} slab(s) of an interrupted merge")] if result.kept else []),
            ("written", human_bytes(result.bytes)),
        ]
    )


def _request(
    places: tuple[str, ...], config: str | None, given: dict[str, Any]
) -> tuple[list[Any], str, dict[str, Any]]:
    """Sources, target and options of ``merge_pyramids``."""
    options = {key: value for key, value in given.items() if value is not None}
    if "nodata" in options:
        options["nodata"] = _integers(options["nodata"])
    if "parallelization" in options:
        options["workers"] = options.pop("parallelization")
    box: BoundingBox | None = options.pop("bbox", None)
    if box is not None:
        if "area" in options:
            raise ConfigError("--bbox and --area contradict each other: give one of them")
        options["area"] = box
    if config is None:
        if len(places) < 2:
            raise ConfigError("give pyramids and the new one, e.g. fastpyr merge A.json B.json OUT.json --method top")
        if "method" not in options:
            raise ConfigError("give --method: replace, top, alphatop or multiply")
        return list(places[:-1]), places[-1], options
    from ..updates.joincache import read_joincache

    conf = read_joincache(config)
    for line in conf.warnings:
        click.echo(f"fastpyr: warning: {line}", err=True)
    if len(places) > 1 or options.keys() & {"bottom", "top", "area"}:
        raise ConfigError("with --config give OUT.json at most: the configuration has pyramids, levels and areas")
    theirs = {key: value for key, value in conf.options.items() if value is not None}
    return list(conf.groups), places[0] if places else conf.target, theirs | options | {"sample": conf.sample}


def _integers(text: str) -> list[int]:
    try:
        return [int(value) for value in text.split(",")]
    except ValueError:
        raise ConfigError(f"--nodata {text!r} is not integers separated by commas") from None
