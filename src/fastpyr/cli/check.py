"""``fastpyr check``: is a delivery fit for a pyramid."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..check import Report, check_delivery
from ..check.report import RASTER, STANDARD
from .common import WorkProgress

__all__ = ["check"]

_CHECKS = {STANDARD: "MD5 signatures", RASTER: "rasters readable, georeferenced, alike; every block decodes"}


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FOLDER|FILES...")
@click.option("--srs", metavar="CRS", help="Reference system the delivery is declared in, e.g. EPSG:2154.")
@click.option("--md5", multiple=True, metavar="LIST", help="List of MD5 signatures; *.md5 in the folder is found.")
@click.option("--json", "as_json", is_flag=True, help="The whole report as JSON on stdout.")
@click.option("--footprint", metavar="FILE.geojson", help="Write the outlines of rasters, gaps and overlaps.")
@click.option("--threads", type=click.IntRange(1, 1024), metavar="N", help="Files and blocks at once. [default: cores]")
def check(
    paths: tuple[str, ...],
    srs: str | None,
    md5: tuple[str, ...],
    as_json: bool,
    footprint: str | None,
    threads: int | None,
) -> int:
    """Check a delivery before a pyramid is made of it: a verdict for every file.

    Signatures are compared; every raster is opened and every block of it decoded, while it is hashed, so that each
    byte is read once. Reference systems, resolutions, bands and sample types must agree. Warned of, and not failed,
    are overlaps, gaps, files of nothing but nodata or one value, and files without signature. Files whose names begin
    with __ are passed over.

    Exit codes: 0 the delivery is good, 1 it is not, 2 it cannot be judged (no such folder, unknown CRS).

    \b
    Examples:
      fastpyr check delivery/ --srs EPSG:2154
      fastpyr check delivery/ --srs EPSG:2154 --md5 delivery.md5 --json --footprint outlines.geojson
    """
    with WorkProgress(quiet=as_json) as bar:
        report = check_delivery(
            paths, srs=srs, md5=md5, threads=threads, progress=lambda done, total: bar.update("checking", done, total)
        )
    if footprint is not None:
        Path(footprint).write_text(json.dumps(report.footprint, ensure_ascii=False), "utf-8")
    if as_json:
        click.echo(report.to_json())
    else:
        _tell(report)
    return 0 if report.ok else 1


def _tell(report: Report) -> None:
    for name, text in _CHECKS.items():
        click.echo(f"{'ok' if report.passed(name) else 'failed':<7}  {name:<8}  {text}")
    click.echo("")
    for file in report.files:
        click.echo(f"{'ok' if file.ok else 'failed':<7}  {file.name}")
    for finding in report.all_findings:
        click.echo(str(finding))
    rasters = sum(file.info is not None for file in report.files)
    verdict = "the delivery is good" if report.ok else f"{report.errors} error(s)"
    warned = f", {report.warnings} warning(s)" if report.warnings else ""
    click.echo(f"{rasters} raster(s), {sum(file.size for file in report.files)} bytes: {verdict}{warned}")
