"""``fastpyr run``: a processing of a platform, without HTTP."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError
from .common import WorkProgress, print_json
from .platform_root import database_option, named, open_platform, root_option

if TYPE_CHECKING:
    from ..platform import Entrepot

__all__ = ["run"]


@click.command()
@click.argument("processing", metavar="PROCESSING")
@root_option
@click.option("--upload", metavar="ID|NAME", help="The delivery to process.")
@click.option("--stored", "bases", multiple=True, metavar="ID|NAME", help="A stored data to update, or to merge.")
@click.option("--name", metavar="TEXT", help="Name of the stored data to make.")
@click.option("--into", metavar="ID|NAME", help="The stored data to update in place, instead of --name.")
@click.option("-p", "--parameter", "given", multiple=True, metavar="NAME=VALUE", help="A parameter, e.g. tms=PM.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag of the stored data.")
@click.option("--clean", is_flag=True, help="Delete the delivery after success.")
@click.option("--json", "as_json", is_flag=True, help="The execution as JSON on stdout.")
@database_option
def run(
    processing: str,
    root: str,
    upload: str | None,
    bases: tuple[str, ...],
    name: str | None,
    into: str | None,
    given: tuple[str, ...],
    tags: tuple[str, ...],
    clean: bool,
    as_json: bool,
    database: str | None,
) -> int:
    """Run a processing and follow it to its end. Ctrl-C aborts it.

    PROCESSING is an id or a name. raster-to-pyramid makes a pyramid of a delivery; with --stored, a new one that has
    links to that one's slabs where the delivery does not touch them; with --into, it changes that one in place. merge
    makes a pyramid of two or more, the first on top. What an earlier run of the same work left unfinished is gone on
    with.

    Exit codes: 0 success, 1 failure, 2 it cannot be launched.

    \b
    Examples:
      fastpyr run raster-to-pyramid --root platform --upload ORTHO --name ORTHO_PM -p tms=PM -p compression=jpg
      fastpyr run raster-to-pyramid --root platform --upload NEW --stored ORTHO_PM --name ORTHO_2
      fastpyr run raster-to-pyramid --root platform --upload NEW --into ORTHO_PM
      fastpyr run merge --root platform --stored NORTH --stored SOUTH --name WHOLE
    """
    if (name is None) == (into is None):
        raise ConfigError("say what is made: --name of a new stored data, or --into to update one in place")
    parameters = dict(_pair("--parameter", text) for text in given)
    labels = dict(_pair("--tag", text) for text in tags)
    with open_platform(root, database, own_jobs_only=True) as platform:
        body = {
            "processing": _processing(platform, processing),
            "inputs": _inputs(platform, upload, bases),
            "output": {"stored_data": {"name": name} if into is None else {"id": _stored(platform, into)}},
            "parameters": parameters,
        }
        execution = platform.executions.create(body)
        stored_id = execution["output"]["stored_data"]["_id"]
        try:
            if labels:
                platform.stored_data.add_tags(stored_id, labels)
            platform.executions.launch(execution["_id"])
        except Exception:
            platform.executions.delete(execution["_id"])
            raise
        execution = _follow(platform, execution["_id"], as_json)
        succeeded = execution["status"] == "SUCCESS"
        for delivery in execution["inputs"]["upload"] if succeeded and clean else ():
            platform.uploads.delete(delivery["_id"])
        stored = platform.stored_data.get(stored_id)
        where = platform.stored_data.descriptor(stored_id) if succeeded else None
    if as_json:
        print_json({"execution": execution, "stored_data": stored, "descriptor": None if where is None else str(where)})
    else:
        click.echo(f"{stored_id}  {stored['status']}  {stored['name']}" + (f"  {where}" if where else ""))
    return 0 if succeeded else 1


def _inputs(platform: Entrepot, upload: str | None, bases: tuple[str, ...]) -> dict[str, list[str]]:
    deliveries = [] if upload is None else [str(named(platform.uploads, "upload", upload)["_id"])]
    return {"upload": deliveries, "stored_data": [_stored(platform, base) for base in bases]}


def _stored(platform: Entrepot, text: str) -> str:
    return str(named(platform.stored_data, "stored data", text)["_id"])


def _pair(option: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ConfigError(f"{option} {text!r}: expected NAME=VALUE")
    return key, value


def _processing(platform: Entrepot, name: str) -> str:
    from ..platform.queries import Query

    for filters in ({"_id": name}, {"name": name}):
        found = platform.executions.processings(Query(filters=filters)).items
        if len(found) == 1:
            return str(found[0]["_id"])
    known = ", ".join(one["name"] for one in platform.executions.processings(Query()).items)
    raise ConfigError(f"no processing {name!r}: known are raster-to-pyramid, merge, {known}")


def _follow(platform: Entrepot, id: str, quiet: bool) -> dict[str, Any]:
    """Wait for an execution; its log is shown line by line."""
    shown = 0
    try:
        with WorkProgress(quiet) as bar:
            while True:
                execution = platform.executions.get(id)
                lines = platform.executions.log(id)
                for line in lines[shown:] if not quiet else ():
                    click.echo(line)
                shown = len(lines)
                if execution["status"] in ("SUCCESS", "FAILURE", "ABORTED"):
                    return execution
                bar.update("computing", round(1000 * execution["extra"]["progress"]), 1000)
                time.sleep(0.1)
    except KeyboardInterrupt:
        if platform.executions.get(id)["status"] in ("WAITING", "PROGRESS"):
            platform.executions.abort(id)
        raise
