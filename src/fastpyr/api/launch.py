"""From what a server is told to a server that answers, in one process or in several that share its port."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from ..platform.entrepot import Entrepot
from ..tiles.catalogue import DescriptorCatalogue
from .access import Access
from .app import DEFAULT_MAX_UPLOAD, create_app, create_tile_app
from .server import listen, loopback_names, serve
from .tiles import TileSettings

__all__ = ["Launch", "launch"]

_RESTART_SECONDS = 1.0


@dataclass(frozen=True)
class Launch:
    """What a server is told: a platform's ``root``, or descriptors of ``pyramids``; the rest as of ``fastpyr serve``.

    ``secret`` signs tokens, so that each process knows those of the others.
    """

    root: str | None = None
    pyramids: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8080
    database: str | None = None
    jobs: int = 2
    workers: int = 1
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    max_upload: int | None = None
    max_age: int = 60
    cors: bool = False
    public_url: str | None = None
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)

    def url(self, port: int) -> str:
        """Where it answers."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{port}"


def launch(told: Launch, ready: Callable[[int], object], *, is_helper: bool = False) -> None:
    """Answer requests until the process is asked to end. ``ready`` is called with the port when it begins.

    With ``workers`` above 1 so many processes answer; jobs run in the first one. Raises ConfigError when the address
    cannot be had, and the errors of opening a platform or pyramids.
    """
    with ExitStack() as stack:
        shared = told.workers > 1
        bound = stack.enter_context(listen(told.host, told.port, shared=shared, is_first=not is_helper))
        port: int = bound.getsockname()[1]
        app = _application(told, port, stack, jobs=0 if is_helper else told.jobs)
        if shared and not is_helper:
            stack.enter_context(_Helpers(told, port))
        serve(app, bound, lambda: ready(port))


def _application(told: Launch, port: int, stack: ExitStack, jobs: int) -> Any:
    access = Access(told.user, told.password, told.token, secret=told.secret)
    names = loopback_names(told.host)
    tiles = TileSettings(access, told.max_age, told.cors, told.public_url)
    if told.root is None:
        return create_tile_app(DescriptorCatalogue(told.pyramids), access, hosts=names, tiles=tiles)
    platform = stack.enter_context(Entrepot(told.root, told.database, jobs=jobs))
    platform.configurations.service_url = told.public_url or told.url(port)
    limit = told.max_upload or DEFAULT_MAX_UPLOAD
    return create_app(platform, access, hosts=names, max_upload=limit, tiles=tiles)


class _Helpers:
    """The other processes of a server. They end with it, however it ends; one that dies is replaced."""

    def __init__(self, told: Launch, port: int) -> None:
        self._told = (json.dumps(asdict(told) | {"port": port}) + "\n").encode()
        self._stopping = threading.Event()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._threads = [threading.Thread(target=self._keep, args=(number,)) for number in range(told.workers - 1)]

    def __enter__(self) -> None:
        for number, thread in enumerate(self._threads):
            self._start(number)
            thread.start()

    def _start(self, number: int) -> None:
        command = [sys.executable, "-m", "fastpyr.api.helper"]
        process = self._processes[number] = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        assert process.stdin is not None
        process.stdin.write(self._told)
        process.stdin.flush()  # and stays open: its end is the helper's

    def _keep(self, number: int) -> None:
        while True:
            code = self._processes[number].wait()
            if self._stopping.wait(_RESTART_SECONDS):
                return
            print(f"fastpyr: a serving process ended with {code}: another one is started", file=sys.stderr)
            self._start(number)

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for process in self._processes.values():
            assert process.stdin is not None
            process.stdin.close()
        for thread in self._threads:
            thread.join()
