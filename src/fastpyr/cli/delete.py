"""``fastpyr delete``: remove a pyramid."""

from __future__ import annotations

import sys

import click

from ..errors import ConfigError
from .common import WorkProgress

__all__ = ["delete"]


@click.command()
@click.argument("descriptor")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Delete it although other pyramids have links to its slabs.")
@click.option(
    "--search",
    multiple=True,
    metavar="FOLDER|URI",
    help="Look for such pyramids there too (folders with all below); may be given several times.",
)
def delete(descriptor: str, yes: bool, force: bool, search: tuple[str, ...]) -> None:
    """Remove a pyramid: descriptor, list and slabs, nothing else.

    Links are removed, never what they lead to. Refused while other pyramids beside it have links to its slabs. A
    removal that was interrupted is finished by the same command.

    \b
    Examples:
      fastpyr delete out/ORTHO.json
      fastpyr delete s3://bucket/ORTHO.json --yes --search s3://other
    """
    from ..updates.delete import prepare_deletion

    deletion = prepare_deletion(descriptor, search=search, force=force)
    for line in deletion.left:
        click.echo(f"fastpyr: warning: {line}", err=True)
    what = f"{deletion.uri} and its {len(deletion.keys)} slab(s)"
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(f"{what} would be deleted: confirm it with --yes")
        if not click.confirm(f"Delete {what}?", err=True):
            raise ConfigError(f"{deletion.uri} was not deleted")
    with WorkProgress() as progress:
        deletion.run(lambda done, total: progress.update("slabs", done, total))
    click.echo(f"deleted {what}")
