"""The options that the verbs of the platform share, and its opening."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..platform import Entrepot

__all__ = ["database_option", "open_platform", "root_option"]

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


def open_platform(root: str, database: str | None, jobs: int = 2) -> Entrepot:
    """The platform in a folder. Raises ConfigError when the packages it needs are missing."""
    try:
        from ..platform.entrepot import Entrepot
    except ModuleNotFoundError as error:
        raise ConfigError(f"the platform needs the package {error.name}: pip install 'fastpyr[api]'") from error
    return Entrepot(root, database, jobs=jobs)
