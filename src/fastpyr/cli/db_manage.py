"""Verbs of ``fastpyr db`` about datasets as a whole."""

from __future__ import annotations

from typing import Any

import click

from ..db import Geodatabase, RasterCatalog, RasterDataset
from ..errors import ConfigError
from ..grid.bounds import BoundingBox
from .common import BoxType, print_facts, print_json, print_table

__all__ = ["check_verb", "copy_verb", "create_verb", "describe_verb", "drop_verb", "list_verb", "search_verb"]

json_option = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")


@click.command("create")
@click.argument("url")
@click.argument("name", required=False)
@click.option("--catalog", is_flag=True, help="Make NAME, an empty raster catalog.")
@click.option("--srs", default="", metavar="CRS", help="CRS of the catalog's footprints, e.g. EPSG:2154.")
@click.option("--database", metavar="NAME", help="First part of all names. [default: the file's or database's name]")
@click.option("--owner", default="sde", show_default=True, metavar="NAME", help="Second part of all names.")
def create_verb(url: str, name: str | None, catalog: bool, srs: str, database: str | None, owner: str) -> None:
    """Make a geodatabase at URL, or with --catalog an empty raster catalog NAME in the one there."""
    if catalog != (name is not None):
        raise ConfigError("a catalog needs both NAME and --catalog; datasets are made by fastpyr db import")
    if name is None:
        with Geodatabase.create(url, database=database, owner=owner) as made:
            click.echo(f"{made.location}: geodatabase {made.workspace.database}, owner {made.workspace.owner}")
        return
    with Geodatabase(url) as opened:
        click.echo(f"{opened.create_catalog(name, srs).name}: empty catalog")


@click.command("list")
@click.argument("url")
@json_option
def list_verb(url: str, as_json: bool) -> None:
    """List datasets and catalogs."""
    with Geodatabase(url) as opened:
        found = [
            {"name": entry.full_name, "kind": "catalog" if entry.is_catalog else "dataset", "storage": entry.storage}
            for entry in opened.entries()
        ]
    if as_json:
        print_json(found)
    elif found:
        print_table(["name", "kind", "storage"], [list(one.values()) for one in found])


def open_entry(opened: Geodatabase, name: str) -> RasterDataset | RasterCatalog:
    """A dataset or catalog by name."""
    entry = opened.find(name)
    return opened.catalog(name) if entry.is_catalog else opened.dataset(name)


def open_raster(opened: Geodatabase, name: str, raster: str | None) -> RasterDataset:
    """A dataset, or with ``raster`` (object id or name) one of a catalog's."""
    if raster is None:
        return opened.dataset(name)
    return opened.catalog(name).raster(int(raster) if raster.isdigit() else raster)


@click.command("describe")
@click.argument("url")
@click.argument("name")
@click.option("--raster", metavar="ID|NAME", help="One raster of a catalog.")
@json_option
def describe_verb(url: str, name: str, raster: str | None, as_json: bool) -> None:
    """Facts of a dataset, of a catalog, or of one of its rasters."""
    with Geodatabase(url) as opened:
        found = open_raster(opened, name, raster) if raster else open_entry(opened, name)
        facts: dict[str, Any]
        if isinstance(found, RasterCatalog):
            facts = {"name": found.name, "kind": "catalog", "rasters": len(found), "crs": found.crs}
        else:
            facts = found.describe()
    if as_json:
        print_json(facts)
        return
    print_facts([(key, _text(value)) for key, value in facts.items()])


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {item}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(str(item["name"]) if isinstance(item, dict) else str(item) for item in value)
    return str(value)


@click.command("drop")
@click.argument("url")
@click.argument("name")
@click.option("--raster", metavar="ID|NAME", help="Only this raster of a catalog.")
def drop_verb(url: str, name: str, raster: str | None) -> None:
    """Remove a dataset or catalog with all its tables."""
    with Geodatabase(url) as opened:
        if raster is not None:
            opened.catalog(name).delete(int(raster) if raster.isdigit() else raster)
        else:
            opened.drop(name)
    click.echo(f"{name}{f' {raster}' if raster else ''}: dropped")


@click.command("copy")
@click.argument("url")
@click.argument("name")
@click.argument("new_name")
@click.option("--to", metavar="URL", help="Another geodatabase. [default: the same]")
def copy_verb(url: str, name: str, new_name: str, to: str | None) -> None:
    """Copy a dataset or catalog, block for block, as NEW_NAME."""
    with Geodatabase(url) as opened:
        if to is None:
            click.echo(f"{opened.copy(name, new_name)}: copied")
            return
        with Geodatabase(to) as target:
            click.echo(f"{opened.copy(name, new_name, target)}: copied")


@click.command("search")
@click.argument("url")
@click.argument("name")
@click.option("--bbox", type=BoxType(), required=True, help="left,bottom,right,top in the catalog's CRS.")
@json_option
def search_verb(url: str, name: str, bbox: BoundingBox, as_json: bool) -> None:
    """List the rasters of a catalog whose footprints share an area with a box."""
    with Geodatabase(url) as opened:
        items = opened.catalog(name).search(bbox)
    if as_json:
        print_json([{"id": item.id, "name": item.name, "bounds": list(item.bounds)} for item in items])
    elif items:
        print_table(["id", "name", "bounds"], [[item.id, item.name, item.bounds] for item in items])


@click.command("check")
@click.argument("url")
@click.argument("name", required=False)
def check_verb(url: str, name: str | None) -> int:
    """Check NAME, or everything: rows, blocks, pyramid, statistics, extents. Exit 1 when something is wrong."""
    wrong = 0
    with Geodatabase(url) as opened:
        names = [name] if name else [entry.full_name for entry in opened.entries()]
        for each in names:
            found = open_entry(opened, each)
            rasters = [found] if isinstance(found, RasterDataset) else [found.raster(i.id) for i in found.items()]
            for raster in rasters:
                report = raster.check()
                wrong += len(report.findings)
                for line in report.findings:
                    click.echo(f"{report.name}: {line}")
                if report.ok:
                    click.echo(f"{report.name}: {report.blocks} blocks, all right")
    return 1 if wrong else 0
