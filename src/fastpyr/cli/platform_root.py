"""The options that the verbs of the platform share, and its opening."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from ..platform import Entrepot

__all__ = ["all_of", "database_option", "named", "needed_packages", "open_platform", "root_option"]

root_option = click.option(
    "--root",
    required=True,
    envvar="FASTPYR_ROOT",
    metavar="DIR",
    help="Folder of the platform; made when absent. Also FASTPYR_ROOT.",
)
database_option = click.option(
    "--database", envvar="FASTPYR_DATABASE", metavar="URL", help="An SQLAlchemy URL. [default: SQLite in --root]"
)


@contextmanager
def needed_packages() -> Iterator[None]:
    """Imports of what the extra ``api`` brings. Raises ConfigError when a package is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"the platform needs the package {error.name}: pip install 'fastpyr[api]'") from error


def open_platform(root: str, database: str | None, jobs: int = 2, *, own_jobs_only: bool = False) -> Entrepot:
    """The platform in a folder. Raises ConfigError when the packages it needs are missing."""
    with needed_packages():
        from ..platform.entrepot import Entrepot
    return Entrepot(root, database, jobs=jobs, own_jobs_only=own_jobs_only)


def all_of(entities: Any) -> list[dict[str, Any]]:
    """All entities of a kind, oldest first."""
    from ..platform.queries import MAX_LIMIT, Query

    found: list[dict[str, Any]] = []
    page = 1
    while True:
        listing = entities.find(Query(page=page, limit=MAX_LIMIT))
        found += listing.items
        if not listing.items or len(found) >= listing.total:
            return found
        page += 1


def named(entities: Any, kind: str, name: str) -> dict[str, Any]:
    """The entity of that id, or the only one of that name. Raises NotFoundError, ConfigError when there are several."""
    from ..platform.queries import Query

    try:
        found: dict[str, Any] = entities.get(name)
        return found
    except NotFoundError:
        listed: list[dict[str, Any]] = entities.find(Query(filters={"name": name}, limit=100)).items
        same = [one for one in listed if one["name"] == name]
    if not same:
        raise NotFoundError(f"no {kind} {name!r}: give an id or a name that the list shows")
    if len(same) > 1:
        ids = ", ".join(one["_id"] for one in same)
        raise ConfigError(f"several {kind}s are named {name!r}: give one of the ids {ids}")
    return same[0]
