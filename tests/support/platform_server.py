"""A platform served by a process of its own, as users start it, and a small client for it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fastpyr

DATASTORE = "11111111-1111-4111-8111-111111111111"
PYRAMID = "2ae50661-986c-4f47-a3f0-e380417b522c"
Headers = dict[str, str]


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Any


class Server:
    """``base`` is the URL of the datastore."""

    def __init__(self, root: Path, *options: str, env: Headers | None = None) -> None:
        package = str(Path(fastpyr.__file__).parents[1])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fastpyr", "serve", "--root", str(root), "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=(root.parent / "serve.stderr").open("ab"),
            text=True,
            env={**os.environ, "PYTHONPATH": package, **(env or {})},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.match(r"(http://\S+)", line)
        assert found, f"the server did not start: {line}{(root.parent / 'serve.stderr').read_text()}"
        self.url = found[1]
        self.base = f"{self.url}/api/datastores/{DATASTORE}"

    def call(self, method: str, path: str, body: Any = None, headers: Headers | None = None) -> Answer:
        """``path`` below the datastore, or from the root when it begins with ``//``."""
        url = self.url + path[1:] if path.startswith("//") else self.base + path
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})})
        request.get_method = lambda: method  # type: ignore[method-assign]
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return Answer(answer.status, _parsed(answer.read()), answer.headers)
        except urllib.error.HTTPError as error:
            return Answer(error.code, _parsed(error.read()), error.headers)

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status in (200, 206), answer
        return answer.body

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.call("POST", path, body)
        assert answer.status in (200, 201, 204), answer
        return answer.body

    def push(self, path: str, content: bytes, filename: str = "f") -> Answer:
        """A file as multipart/form-data."""
        head = f'--XX\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'.encode()
        body = head + content + b"\r\n--XX--\r\n"
        return self.call("POST", path, body, {"content-type": "multipart/form-data; boundary=XX"})

    def deliver(self, name: str, files: dict[str, bytes], srs: str = "EPSG:2154", md5: bytes = b"") -> str:
        """A delivery, closed; its id."""
        upload: str = self.post("/uploads", {"name": name, "description": "d", "type": "RASTER", "srs": srs})["_id"]
        for path, content in files.items():
            answer = self.push(f"/uploads/{upload}/data?path={urllib.parse.quote(path)}", content)
            assert answer.status == 204, answer
        if md5:
            assert self.push(f"/uploads/{upload}/md5", md5, "all.md5").status == 204
        self.post(f"/uploads/{upload}/close")
        return upload

    def checked(self, upload: str) -> Any:
        """The upload after its checks."""
        return wait_until(lambda: self.get(f"/uploads/{upload}"), lambda one: one["status"] != "CHECKING")

    def create(self, upload: str, name: str = "PYR", **parameters: Any) -> Any:
        """An execution, not launched."""
        body = {
            "processing": PYRAMID,
            "inputs": {"upload": [upload]},
            "output": {"stored_data": {"name": name}},
            "parameters": {"tms": "PM", **parameters},
        }
        return self.post("/processings/executions", body)

    def launched(self, upload: str, name: str = "PYR", **parameters: Any) -> str:
        id: str = self.create(upload, name, **parameters)["_id"]
        self.post(f"/processings/executions/{id}/launch")
        return id

    def ended(self, execution: str) -> Any:
        done = ("SUCCESS", "FAILURE", "ABORTED")
        return wait_until(lambda: self.get(f"/processings/executions/{execution}"), lambda one: one["status"] in done)

    def kill(self) -> None:
        """As if the power went: no goodbye."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data) if data else None
    except ValueError:
        return data


def wait_until(look: Any, ready: Any, seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while True:
        found = look()
        if ready(found):
            return found
        assert time.monotonic() < end, found
        time.sleep(0.02)


@contextlib.contextmanager
def serving(root: Path, *options: str, env: Headers | None = None) -> Iterator[Server]:
    server = Server(root, *options, env=env)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.close()
