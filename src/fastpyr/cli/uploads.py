"""``fastpyr uploads``: the deliveries of a platform."""

from __future__ import annotations

import click

from .common import human_bytes, print_json, print_table
from .platform_root import all_of, database_option, named, open_platform, root_option

__all__ = ["uploads"]


@click.group()
def uploads() -> None:
    """List, show or delete the deliveries of a platform.

    \b
    Examples:
      fastpyr uploads list --root platform
      fastpyr uploads delete ORTHO --root platform
    """


@uploads.command("list")
@root_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@database_option
def list_uploads(root: str, as_json: bool, database: str | None) -> None:
    """All deliveries, oldest first."""
    with open_platform(root, database, jobs=0) as platform:
        found = all_of(platform.uploads)
    if as_json:
        print_json(found)
        return
    rows = [(one["_id"], one["status"], one["srs"], human_bytes(one["size"]), one["name"]) for one in found]
    print_table(("id", "status", "srs", "size", "name"), rows)


@uploads.command("show")
@click.argument("upload", metavar="ID|NAME")
@root_option
@database_option
def show_upload(upload: str, root: str, database: str | None) -> None:
    """A delivery, its checks and its files, as JSON."""
    with open_platform(root, database, jobs=0) as platform:
        found = named(platform.uploads, "upload", upload)
        checks, tree = platform.uploads.checks(found["_id"]), platform.uploads.tree(found["_id"])
        print_json(found | {"checks": checks, "tree": tree})


@uploads.command("delete")
@click.argument("upload", metavar="ID|NAME")
@root_option
@database_option
def delete_upload(upload: str, root: str, database: str | None) -> None:
    """Delete a delivery and its files."""
    with open_platform(root, database, jobs=0) as platform:
        found = named(platform.uploads, "upload", upload)
        platform.uploads.delete(found["_id"])
    click.echo(f"{found['_id']}  deleted  {found['name']}")
