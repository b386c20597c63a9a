"""``fastpyr serve`` in a process of its own, and a client that shows answers as they come."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import fastpyr


class Got(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class TileServer:
    """``url`` is where it answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.host = url.removeprefix("http://")

    def get(self, path: str, method: str = "GET", **headers: str) -> Got:
        """One request on a connection of its own; underscores in names of headers stand for hyphens."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            answer = connection.getresponse()
            return Got(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@contextlib.contextmanager
def tile_server(*options: str | Path, env: dict[str, str] | None = None) -> Iterator[TileServer]:
    """A server on a free port, ended at the end."""
    package = str(Path(fastpyr.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "fastpyr", "serve", "--port", "0", *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": package, **(env or {})},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        found = re.match(r"(http://\S+)", process.stdout.readline())
        if not found:
            process.kill()
            raise AssertionError(f"the server did not start: {process.stderr.read()}")
        yield TileServer(found[1])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()
            process.stderr.close()
