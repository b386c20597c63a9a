"""``fastpyr serve``: the platform, or some pyramids alone, over HTTP."""

from __future__ import annotations

from typing import Any

import click

from ..errors import ConfigError
from .platform_root import database_option, needed_packages

__all__ = ["serve"]

_AGE = click.IntRange(0, 365 * 86400)


@click.command()
@click.option("--root", envvar="FASTPYR_ROOT", metavar="DIR", help="Folder of the platform; made when absent.")
@click.option("--pyramid", "pyramids", multiple=True, metavar="DESCRIPTOR", help="Serve tiles of it; may be repeated.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any that is free.")
@database_option
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Executions that run at once.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that answer.")
@click.option("--user", envvar="FASTPYR_USER", metavar="NAME", help="Ask for this user and his password.")
@click.option("--password", envvar="FASTPYR_PASSWORD", metavar="TEXT", help="Better given as FASTPYR_PASSWORD.")
@click.option("--token", envvar="FASTPYR_TOKEN", metavar="TEXT", help="Let in whoever brings this token.")
@click.option("--max-upload", type=click.IntRange(1), metavar="BYTES", help="Largest file taken. [default: 64 GiB]")
@click.option("--max-age", type=_AGE, default=60, show_default=True, help="Seconds clients may keep a tile unasked.")
@click.option("--cors", is_flag=True, help="Let pages from elsewhere show tiles.")
@click.option("--public-url", metavar="URL", help="Root of URLs in documents, behind a proxy. [default: as called]")
def serve(root: str | None, pyramids: tuple[str, ...], **options: Any) -> None:
    """Serve the platform: deliveries, checks, processings, stored pyramids, publications, and their tiles.

    All is kept in --root. It answers on this machine only, to everybody, unless it is told otherwise. Its routes are
    those of the Geoplateforme's API; /docs lists them. Tiles are at /wmts, /tms and /xyz. With --pyramid instead, only
    tiles of these pyramids are served, from disk or object storage. Needs the extra "api": pip install 'fastpyr[api]'.

    \b
    Examples:
      fastpyr serve --root platform
      fastpyr serve --pyramid out/ORTHO.json --pyramid s3://bucket/ALTI.json
      FASTPYR_PASSWORD=secret fastpyr serve --root platform --host 0.0.0.0 --user me
      fastpyr serve --root platform --database postgresql+psycopg://me@localhost/platform
    """
    context = click.get_current_context()
    if pyramids and context.get_parameter_source("root") is click.core.ParameterSource.ENVIRONMENT:
        root = None
    if bool(root) == bool(pyramids):
        raise ConfigError("give --root (or FASTPYR_ROOT) to serve a platform, or --pyramid to serve pyramids alone")
    if (options["user"] is None) != (options["password"] is None):
        raise ConfigError("--user and --password belong together: give both or neither")
    with needed_packages():
        import uvicorn  # noqa: F401 (used by ``launch``)

        from ..api.launch import Launch, launch
        from ..api.server import loopback_names
        from ..platform.catalogue import DATASTORE

    told = Launch(root=root, pyramids=pyramids, **options)
    if loopback_names(told.host) is None and told.user is None and told.token is None:
        click.echo(f"fastpyr: warning: {told.host} can be reached by others: give --user and --password", err=True)

    def ready(port: int) -> None:
        url = told.url(port)
        if root:
            click.echo(f"{url}  (API {url}/api, datastore {DATASTORE}, documentation {url}/docs, tiles {url}/wmts)")
        else:
            click.echo(f"{url}  (WMTS {url}/wmts, TMS {url}/tms/1.0.0, list {url}/tiles)")

    launch(told, ready)
