"""``fastpyr stored``: the stored pyramids of a platform."""

from __future__ import annotations

import click

from .common import human_bytes, print_json, print_table
from .platform_root import all_of, database_option, named, open_platform, root_option

__all__ = ["stored"]


@click.group()
def stored() -> None:
    """List, show or delete the stored pyramids of a platform.

    \b
    Examples:
      fastpyr stored list --root platform
      fastpyr stored show ORTHO_PM --root platform
    """


@stored.command("list")
@root_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@database_option
def list_stored(root: str, as_json: bool, database: str | None) -> None:
    """All stored data, oldest first."""
    with open_platform(root, database, jobs=0) as platform:
        found = all_of(platform.stored_data)
    if as_json:
        print_json(found)
        return
    rows = []
    for one in found:
        infos = one.get("type_infos") or {}
        levels = infos.get("levels") or ["-"]
        span = f"{levels[-1]} to {levels[0]}"
        size = human_bytes(one["size"]) if "size" in one else "-"
        rows.append((one["_id"], one["status"], infos.get("tms", "-"), span, size, one["name"]))
    print_table(("id", "status", "tms", "levels", "size", "name"), rows)


@stored.command("show")
@click.argument("data", metavar="ID|NAME")
@root_option
@database_option
def show_stored(data: str, root: str, database: str | None) -> None:
    """A stored data, what it depends on and where its files are, as JSON."""
    with open_platform(root, database, jobs=0) as platform:
        found = named(platform.stored_data, "stored data", data)
        more: dict[str, object] = {"dependencies": platform.stored_data.dependencies(found["_id"])}
        if found["status"] == "GENERATED":
            more["descriptor"] = str(platform.stored_data.descriptor(found["_id"]))
        print_json(found | more)


@stored.command("delete")
@click.argument("data", metavar="ID|NAME")
@root_option
@database_option
def delete_stored(data: str, root: str, database: str | None) -> None:
    """Delete a stored data and its files."""
    with open_platform(root, database, jobs=0) as platform:
        found = named(platform.stored_data, "stored data", data)
        platform.stored_data.delete(found["_id"])
    click.echo(f"{found['_id']}  deleted  {found['name']}")
