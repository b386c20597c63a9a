"""``fastpyr copy``: a pyramid to another place."""

from __future__ import annotations

import click

from ..errors import ConfigError
from .common import WorkProgress, human_bytes, print_facts, print_json

__all__ = ["copy"]


@click.command()
@click.argument("places", nargs=-1, metavar="FROM.json TO.json")
@click.option("--config", metavar="CONF.json", help="A PYR2PYR configuration; what is given here wins over it.")
@click.option("--follow-links", is_flag=True, help="Copy linked slabs as slabs of the new pyramid.")
@click.option("--slab-limit", type=click.IntRange(0), metavar="BYTES", help="Leave out slabs of this size or less.")
@click.option("--path-depth", type=click.IntRange(0, 32), metavar="N", help="Folders between a level and its slabs.")
@click.option("--parallelization", type=click.IntRange(1), metavar="N", help="Slabs copied at a time. [default: 8]")
@click.option("--overwrite", is_flag=True, help="Replace a pyramid of that name.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def copy(
    places: tuple[str, ...],
    config: str | None,
    follow_links: bool,
    slab_limit: int | None,
    path_depth: int | None,
    parallelization: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Copy a pyramid, between folders and object storage in any direction.

    Slabs keep their bytes; names, descriptor and list become those of the new place. Links are made again where their
    owner can be reached, else --follow-links is needed. The copy appears when it is complete; one that was interrupted
    goes on when the same command is given again.

    \b
    Examples:
      fastpyr copy out/ORTHO.json s3://bucket/ORTHO.json
      fastpyr copy s3://bucket/ORTHO.json backup/ORTHO.json --follow-links
    """
    from ..updates import copy_pyramid
    from ..updates.config import read_pyr2pyr

    options = {"slab_limit": slab_limit, "path_depth": path_depth, "workers": parallelization}
    if config is not None:
        conf = read_pyr2pyr(config)
        for line in conf.warnings:
            click.echo(f"fastpyr: warning: {line}", err=True)
        if len(places) not in (0, 2):
            raise ConfigError("with --config give FROM and TO, to use them instead of its own, or neither")
        places = places or (conf.source, conf.target)
        follow_links |= conf.follow_links
        theirs = {"slab_limit": conf.slab_limit, "path_depth": conf.path_depth, "workers": conf.workers}
        options = {key: theirs[key] if value is None else value for key, value in options.items()}
    if len(places) != 2:
        raise ConfigError("give the descriptors FROM and TO, e.g. fastpyr copy out/ORTHO.json s3://bucket/ORTHO.json")
    with WorkProgress(quiet=as_json) as progress:
        result = copy_pyramid(
            *places,
            follow_links=follow_links,
            slab_limit=options["slab_limit"] or 0,
            path_depth=options["path_depth"],
            workers=options["workers"],
            overwrite=overwrite,
            progress=lambda done, total: progress.update("slabs", done, total),
        )
    facts = {name: getattr(result, name) for name in ("descriptor", "copied", "kept", "linked", "skipped", "bytes")}
    if as_json:
        print_json(facts)
        return
    print_facts(
        [
            ("pyramid", result.descriptor),
            ("slabs", f"{result.copied} copied ({human_bytes(result.bytes)}), {result.linked} linked"),
            *([("kept", f"{result.kept} slab(s) of an interrupted copy")] if result.kept else []),
            *([("left out", f"{result.skipped} slab(s) within the limit")] if result.skipped else []),
        ]
    )
