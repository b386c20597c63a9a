"""``fastpyr rebuild-top``: the upper levels of a pyramid made again."""

from __future__ import annotations

import click

from .common import human_bytes, print_facts, print_json, tms_option
from .progress import BuildProgress

__all__ = ["rebuild_top"]


@click.command("rebuild-top")
@click.argument("descriptor", metavar="PYRAMID.json")
@click.option("--from-level", required=True, metavar="LEVEL", help="The level that the ones above are made from.")
@click.option(
    "--top",
    metavar="LEVEL",
    help="The last level; those above are removed. [default: the last one there is, or of the tile matrix set]",
)
@click.option("--gamma", type=float, metavar="G", help="As for build. [default: 1]")
@click.option("--keep-old", is_flag=True, help="Keep the old slabs, for update --rollback.")
@click.option("--even-if-linked", is_flag=True, help="Do it although other pyramids have links to the slabs.")
@click.option("--search", multiple=True, metavar="FOLDER|URI", help="Look for such pyramids there too.")
@click.option("--no-resume", is_flag=True, help="Start anew, and keep nothing when interrupted.")
@click.option("--parallelization", type=click.IntRange(1), metavar="N", help="Threads. [default: one per core]")
@tms_option
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def rebuild_top(
    descriptor: str,
    from_level: str,
    top: str | None,
    gamma: float | None,
    keep_old: bool,
    even_if_linked: bool,
    search: tuple[str, ...],
    no_resume: bool,
    parallelization: int | None,
    tms: str | None,
    as_json: bool,
) -> None:
    """Make the levels above a level again from its stored tiles, in place.

    Readers see the old levels until all new ones are there. What was interrupted goes on when the same command is given
    again. The level itself and those below it stay as they are.

    \b
    Examples:
      fastpyr rebuild-top out/ORTHO.json --from-level 18
      fastpyr rebuild-top s3://bucket/ORTHO.json --from-level 14 --top 6
    """
    from ..updates.rebuild import rebuild_top as run

    given = {"gamma": gamma, "tms": tms, "parallelization": parallelization, "resume": not no_resume}
    with BuildProgress(quiet=as_json) as progress:
        pyramid = run(
            descriptor,
            from_level,
            top,
            keep_old=keep_old,
            even_if_linked=even_if_linked,
            search=search,
            progress=progress.update,
            **{key: value for key, value in given.items() if value is not None},
        )
    state = progress.state
    slabs, size = (state.slabs, state.bytes) if state else (0, 0)
    levels = [level.id for level in pyramid.levels]
    if as_json:
        print_json({"descriptor": pyramid.uri, "levels": levels, "slabs": slabs, "bytes": size})
        return
    print_facts(
        [
            ("pyramid", pyramid.uri),
            ("levels", f"{levels[0]} to {levels[-1]}"),
            ("slabs", f"{slabs} made ({human_bytes(size)})"),
            ("time", f"{progress.seconds:.2f} s"),
        ]
    )
