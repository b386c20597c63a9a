"""``fastpyr serve``: the platform over HTTP."""

from __future__ import annotations

import click

from ..errors import ConfigError
from .platform_root import database_option, needed_packages, open_platform, root_option

__all__ = ["serve"]


@click.command()
@root_option
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any that is free.")
@database_option
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Executions that run at once.")
@click.option("--user", envvar="FASTPYR_USER", metavar="NAME", help="Ask for this user and his password.")
@click.option("--password", envvar="FASTPYR_PASSWORD", metavar="TEXT", help="Better given as FASTPYR_PASSWORD.")
@click.option("--token", envvar="FASTPYR_TOKEN", metavar="TEXT", help="Let in whoever brings this token.")
@click.option("--max-upload", type=click.IntRange(1), metavar="BYTES", help="Largest file taken. [default: 64 GiB]")
def serve(
    root: str,
    host: str,
    port: int,
    database: str | None,
    jobs: int,
    user: str | None,
    password: str | None,
    token: str | None,
    max_upload: int | None,
) -> None:
    """Serve the platform: deliveries, checks, processings, stored pyramids, publications.

    All is kept in --root. It answers on this machine only, to everybody, unless it is told otherwise. Its routes are
    those of the Geoplateforme's API; /docs lists them. Needs the extra "api": pip install 'fastpyr[api]'.

    \b
    Examples:
      fastpyr serve --root platform
      FASTPYR_PASSWORD=secret fastpyr serve --root platform --host 0.0.0.0 --user me
      fastpyr serve --root platform --database postgresql+psycopg://me@localhost/platform
    """
    if (user is None) != (password is None):
        raise ConfigError("--user and --password belong together: give both or neither")
    with needed_packages():
        import uvicorn  # noqa: F401 (used by ``run`` below)

        from ..api.access import Access
        from ..api.app import DEFAULT_MAX_UPLOAD, create_app
        from ..api.server import listen, loopback_names
        from ..api.server import serve as run
        from ..platform.catalogue import DATASTORE

    names = loopback_names(host)
    if names is None and user is None and token is None:
        click.echo(f"fastpyr: warning: {host} can be reached by others: give --user and --password", err=True)
    with listen(host, port) as bound, open_platform(root, database, jobs) as platform:
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{bound.getsockname()[1]}"
        platform.configurations.service_url = url
        access = Access(user, password, token)
        app = create_app(platform, access, hosts=names, max_upload=max_upload or DEFAULT_MAX_UPLOAD)
        run(app, bound, lambda: click.echo(f"{url}  (API {url}/api, datastore {DATASTORE}, documentation {url}/docs)"))
