"""Updates whose server or worker is killed at random moments: the truth is told, the old pyramid is whole, and the same
again makes the same bytes.

FASTPYR_TEST_KILLS: how many moments are tried (default 2). FASTPYR_TEST_SEED: other moments.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from platform_server import PYRAMID, Server, wait_until
from small_delivery import on_grid, slabs, written

import fastpyr

KILLS = int(os.environ.get("FASTPYR_TEST_KILLS", "2"))
OPTIONS: dict[str, Any] = {
    "compression": "png", "interpolation": "nn", "mask": True, "width": 8, "height": 8, "top": "16",
}  # fmt: skip
OLD, NEW = on_grid(0, 0, 2560, 200, 1), on_grid(2304, 50, 3500, 2600, 2)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, str]]:
    """The slabs of the old pyramid, and of the updated one, made without a platform."""
    folder = written(tmp_path_factory.mktemp("expected"), {"old.tif": OLD, "new.tif": NEW})
    fastpyr.build(folder / "old.tif", folder / "PYR.json", tms="PM", **OPTIONS)
    before = slabs(folder / "PYR")
    fastpyr.inject(folder / "new.tif", folder / "PYR.json")
    return before, slabs(folder / "PYR")


def launched(server: Server, body: dict[str, Any]) -> tuple[str, str]:
    made = server.post("/processings/executions", {"processing": PYRAMID, "parameters": {}, **body})
    server.post(f"/processings/executions/{made['_id']}/launch")
    return made["_id"], made["output"]["stored_data"]["_id"]


def settled(server: Server, execution: str) -> tuple[str, str]:
    """The last states of an execution and of its output."""
    done = wait_until(lambda: server.get(f"/processings/executions/{execution}"), _is_settled)
    return done["status"], done["output"]["stored_data"]["status"]


def _is_settled(execution: Any) -> bool:
    running = ("WAITING", "PROGRESS", "MODIFYING", "GENERATING")
    return execution["status"] not in running and execution["output"]["stored_data"]["status"] not in running


def _seconds_of_an_update(server: Server, upload: str, old: str) -> float:
    """How long an update by reference takes from its launch to its end when nobody dies."""
    begin = time.monotonic()
    inputs = {"upload": [upload], "stored_data": [old]}
    execution, stored = launched(server, {"inputs": inputs, "output": {"stored_data": {"name": "MEASURE"}}})
    assert settled(server, execution) == ("SUCCESS", "GENERATED")
    seconds = time.monotonic() - begin
    assert server.call("DELETE", f"/stored_data/{stored}").status == 204
    return seconds


def killed(server: Server, root: Path, *, worker: bool) -> Server:
    """The server that is there after the death of a server, or of its workers."""
    children = psutil.Process(server.process.pid).children()
    if worker:
        for one in children:
            one.kill()
        return server
    server.kill()
    psutil.wait_procs(children, 5)
    assert not any(one.is_running() for one in children), "a worker outlived its server"
    return Server(root)


@pytest.mark.timeout(300 + 60 * KILLS)
def test_moments_of_death(root: Path, expected: tuple[dict[str, str], dict[str, str]]) -> None:
    randomly = random.Random(os.environ.get("FASTPYR_TEST_SEED", "1"))
    before, after = expected
    server = Server(root)
    uploads = [server.deliver(name, {"a.tif": content}, "EPSG:3857") for name, content in (("O", OLD), ("N", NEW))]
    for upload in uploads:
        assert server.checked(upload)["status"] == "CLOSED"
    found: dict[tuple[str, str], int] = {}
    seconds = 0.0
    for number in range(KILLS):
        first = {"inputs": {"upload": uploads[:1]}, "output": {"stored_data": {"name": "PYR"}}}
        execution, old = launched(server, first | {"parameters": {"tms": "PM", **OPTIONS}})
        assert settled(server, execution) == ("SUCCESS", "GENERATED")
        seconds = seconds or _seconds_of_an_update(server, uploads[1], old)
        in_place = number % 4 < 2
        body: dict[str, Any] = {"inputs": {"upload": uploads[1:]}, "output": {"stored_data": {"id": old}}}
        if not in_place:
            body = {"inputs": {"upload": uploads[1:], "stored_data": [old]}, "output": {"stored_data": {"name": "PYR"}}}
        execution, output = launched(server, body)
        time.sleep(randomly.uniform(0, 1.1 * seconds))
        server = killed(server, root, worker=number % 2 == 1)
        states = settled(server, execution)
        found[states] = found.get(states, 0) + 1
        failed = ("FAILURE", "GENERATED" if in_place else "UNSTABLE")
        assert states in {("SUCCESS", "GENERATED"), failed}
        if states == failed:
            assert slabs(root / "stored_data" / old / "PYR") == before
            execution, output = launched(server, body)
            assert settled(server, execution) == ("SUCCESS", "GENERATED")
        assert slabs(root / "stored_data" / output / "PYR") == after
        if not in_place:
            assert slabs(root / "stored_data" / old / "PYR") == before
        assert fastpyr.open(root / "stored_data" / output / "PYR.json").verify().ok
        for stored in reversed(server.get("/stored_data?limit=1000&sort=creation,asc")):
            assert server.call("DELETE", f"/stored_data/{stored['_id']}").status == 204
    server.close()
    print(f"states after {KILLS} deaths: {found}")
    assert not [path for path in (root / "stored_data").iterdir() if path.suffix != ".deleted"]
