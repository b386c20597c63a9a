"""``fastpyr verify``: is a pyramid complete, readable and right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .common import WorkProgress, tms_option

if TYPE_CHECKING:
    from ..pyramid.verify import VerifyReport

__all__ = ["verify"]


@click.command()
@click.argument("descriptor")
@click.option("--json", "as_json", is_flag=True, help="The whole report as JSON on stdout.")
@click.option("--all", "all_tiles", is_flag=True, help="Compare every tile of the upper levels, not a sample.")
@click.option("--gamma", type=float, default=1.0, show_default=True, help="Gamma the pyramid was built with.")
@tms_option
def verify(descriptor: str, as_json: bool, all_tiles: bool, gamma: float, tms: str | None) -> int:
    """Check a pyramid in full; exit 0 only if every check holds.

    Every slab is read and every tile decoded under the rules of the strictest reader. Upper levels are compared with
    the level below: a seeded sample of tiles, or all of them with --all. Each finding names level, slab, tile and file.
    Warnings (slabs without data, limits wider than the data) do not fail.

    Exit codes: 0 every check holds, 1 something was found, 2 the descriptor cannot be used at all.

    \b
    Examples:
      fastpyr verify out/ORTHO.json
      fastpyr verify out/ORTHO.json --all --json > report.json
    """
    from ..pyramid.verify import verify as verify_descriptor

    with WorkProgress(quiet=as_json) as progress:
        report = verify_descriptor(descriptor, tms=tms, all_tiles=all_tiles, gamma=gamma, progress=progress.update)
    if as_json:
        click.echo(report.to_json())
    else:
        _tell(report)
    return 0 if report.ok else 1


def _tell(report: VerifyReport) -> None:
    from ..pyramid.verify import CHECKS

    for name, text in CHECKS.items():
        status = report.status(name)
        click.echo(f"{status:<7}  {name:<13}  {report.skipped[name] if status == 'skipped' else text}")
    counts = report.counts
    click.echo(
        f"\n{counts['levels']} levels, {counts['slabs']} slabs and {counts['mask_slabs']} mask slabs, "
        f"{counts['tiles']} tiles; {counts['upper_tiles']} tiles compared with the level below"
    )
    for finding in report.findings:
        click.echo(str(finding))
    left_out = report.errors + report.warnings - len(report.findings)
    if left_out:
        click.echo(f"... and {left_out} more of the same checks")
    verdict = "every check holds" if report.ok else f"{report.errors} error(s)"
    click.echo(f"{report.pyramid}: {verdict}" + (f", {report.warnings} warning(s)" if report.warnings else ""))
