"""Verbs of ``fastpyr db`` about what goes with pixels: statistics, colours, values, XML."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..db import ColorMap, Geodatabase
from ..db.stats import build_vat, read_vat, set_colormap
from ..errors import ConfigError
from .common import print_json, print_table
from .db_manage import json_option, open_raster

__all__ = ["colormap_verb", "stats_verb", "vat_verb", "xml_verb"]

_MAX_FILE = 64 << 20
raster_option = click.option("--raster", metavar="ID|NAME", help="One raster of a catalog.")


@click.command("stats")
@click.argument("url")
@click.argument("name")
@click.option("--build", is_flag=True, help="Count them anew, exactly.")
@click.option("--level", type=int, default=0, help="Count a pyramid level instead: quick, not exact, not stored.")
@raster_option
@json_option
def stats_verb(url: str, name: str, build: bool, level: int, raster: str | None, as_json: bool) -> None:
    """Statistics of the bands: those stored, with --build counted now and stored, or those of a pyramid level."""
    if build and level:
        raise ConfigError("--build counts the base: leave out --level")
    with Geodatabase(url) as opened:
        dataset = open_raster(opened, name, raster)
        counted = dataset.build_statistics(level=level) if build or level else None
        rows = []
        for number in range(1, dataset.bands + 1):
            found = dataset.statistics(number) if counted is None else counted[number - 1]
            facts: dict[str, Any] = {"band": number}
            for what in ("minimum", "maximum", "mean", "std", "count", "nodata_count"):
                facts[what] = None if found is None else getattr(found, what)
            rows.append(facts)
    if as_json:
        print_json(rows)
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])


def _lines(path: str) -> Iterator[list[str]]:
    """Rows of a CSV file. ConfigError for one that is too large or no text."""
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"{path}: no such file")
    if file.stat().st_size > _MAX_FILE:
        raise ConfigError(f"{path}: larger than {_MAX_FILE >> 20} MiB")
    try:
        yield from csv.reader(file.read_text("utf-8-sig").splitlines())
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: is no CSV text in UTF-8: {error}") from None


@click.command("colormap")
@click.argument("url")
@click.argument("name")
@click.option("--from", "source", metavar="FILE.csv", help="Set it: lines of red,green,blue[,alpha], value 0 first.")
@click.option("--remove", is_flag=True, help="Remove it.")
@raster_option
def colormap_verb(url: str, name: str, source: str | None, remove: bool, raster: str | None) -> None:
    """Show the colour map as CSV, set it, or remove it."""
    if source is not None and remove:
        raise ConfigError("--from and --remove contradict each other")
    with Geodatabase(url) as opened:
        dataset = open_raster(opened, name, raster)
        if source is not None:
            set_colormap(dataset, _colormap(source))
        elif remove:
            set_colormap(dataset, None)
        found = dataset.colormap
    if found is None:
        click.echo(f"{name}: no colour map", err=True)
        return
    for row in found.entries.tolist():
        click.echo(",".join(map(str, row)))


def _colormap(path: str) -> ColorMap:
    try:
        rows = [[int(cell) for cell in line] for line in _lines(path) if line]
        entries = np.array(rows)
    except ValueError:
        raise ConfigError(f"{path}: expected lines of whole numbers red,green,blue[,alpha]") from None
    if entries.ndim != 2 or entries.shape[1] not in (3, 4) or entries.min() < 0 or entries.max() > 65535:
        raise ConfigError(f"{path}: expected lines of 3 or 4 numbers from 0 to 255, or to 65535")
    return ColorMap(entries.astype(np.uint8 if entries.max() < 256 else np.uint16))


@click.command("vat")
@click.argument("url")
@click.argument("name")
@click.option("--build", is_flag=True, help="Count the values anew.")
@click.option("--attach", metavar="FILE.csv", help="Count, and attach columns: a header, then the value and its texts.")
@raster_option
@json_option
def vat_verb(url: str, name: str, build: bool, attach: str | None, raster: str | None, as_json: bool) -> None:
    """The value attribute table: shown, built, or built with more columns."""
    with Geodatabase(url) as opened:
        dataset = open_raster(opened, name, raster)
        if build or attach:
            build_vat(dataset, _columns(attach) if attach else None)
        rows = read_vat(dataset)
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    else:
        click.echo(f"{name}: no value attribute table", err=True)


def _columns(path: str) -> dict[str, dict[int, Any]]:
    """Columns of a CSV file by value, its first column; texts that are numbers become numbers."""
    lines = [line for line in _lines(path) if line]
    if len(lines) < 2 or len(lines[0]) < 2 or any(len(line) != len(lines[0]) for line in lines):
        raise ConfigError(f"{path}: expected a header and lines of as many cells, the value first")
    try:
        values = [int(line[0]) for line in lines[1:]]
    except ValueError:
        raise ConfigError(f"{path}: the first column must hold whole numbers") from None
    columns = {}
    for number, header in enumerate(lines[0][1:], 1):
        cells = [line[number].strip()[:255] for line in lines[1:]]
        columns[header.strip()] = dict(zip(values, _typed(cells), strict=True))
    return columns


def _typed(cells: list[str]) -> list[Any]:
    for kind in (int, float):
        try:
            return [kind(cell) for cell in cells]
        except ValueError:
            continue
    return list(cells)


@click.command("xml")
@click.argument("url")
@click.argument("name")
@click.argument("out", metavar="[OUT.xml]", required=False)
@click.option("--from", "source", metavar="FILE.xml", help="Make NAME, without pixels, from its description.")
@raster_option
def xml_verb(url: str, name: str, out: str | None, source: str | None, raster: str | None) -> None:
    """The DataElement document of a dataset, on stdout or to a file; or a new dataset from one."""
    with Geodatabase(url) as opened:
        if source is not None:
            made = opened.create_dataset(_bytes(source), name)
            click.echo(f"{made.name}: {made.width} x {made.height} pixels, no data yet")
            return
        document = open_raster(opened, name, raster).xml()
    if out is None:
        click.echo(document.decode("utf-8"))
    else:
        Path(out).write_bytes(document)


def _bytes(path: str) -> bytes:
    file = Path(path)
    if not file.is_file() or file.stat().st_size > _MAX_FILE:
        raise ConfigError(f"{path}: {'larger than 64 MiB' if file.is_file() else 'no such file'}")
    return file.read_bytes()
