"""kill -9 in the middle of an import, a mosaic or a pyramid: the old or the new state afterwards, never between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fastpyr
from fastpyr.db import ArrayInput, Geodatabase

PIXELS = np.random.default_rng(1).integers(0, 255, (200, 300), np.uint8)

WORKER = """
import os, signal, sys
import numpy as np
from fastpyr.db import ArrayInput, Geodatabase, block_io, registry, state

operation, url, kill_at = sys.argv[1], sys.argv[2], int(sys.argv[3])
block_io._BATCH_ROWS = 4  # rows reach the database long before the end
calls = 0

def counted(function):
    def wrapper(*args, **kwargs):
        global calls
        calls += 1
        if calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return wrapper

block_io.BlockWriter.put = counted(block_io.BlockWriter.put)
block_io.BlockWriter.flush = counted(block_io.BlockWriter.flush)
for name in ("save_bands", "write_aux"):
    setattr(state, name, counted(getattr(state, name)))
pixels = np.random.default_rng(2).integers(0, 255, (200, 300), np.uint8)
with Geodatabase(url) as database:
    source = ArrayInput(pixels, transform=(1, 0, -70, 0, -1, 90))
    if operation == "import":
        database.import_raster(source, "new", block=32)
    elif operation == "mosaic":
        database.dataset("old").mosaic(source)
    else:
        database.dataset("old").build_pyramid("auto", method="nearest")
print(calls)
"""


def run(operation: str, url: str, kill_at: int) -> subprocess.CompletedProcess[str]:
    package = str(Path(fastpyr.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": package}
    command = [sys.executable, "-c", WORKER, operation, url, str(kill_at)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def state_of(url: str) -> list[object]:
    """Everything that a reader can see, after a full check."""
    seen: list[object] = []
    with Geodatabase(url) as database:
        for entry in database.entries():
            dataset = database.dataset(entry.full_name)
            report = dataset.check()
            assert report.findings == []
            seen += [entry.name, dataset.width, dataset.height, dataset.levels, report.blocks]
            seen += [dataset.read(level=level)[0].tobytes() for level in dataset.levels]
    return seen


def prepared(url: str) -> None:
    with Geodatabase.create(url, database="gdb") as database:
        database.import_raster(ArrayInput(PIXELS, transform=(1, 0, 0, 0, -1, 0)), "old", block=32)


@pytest.mark.parametrize("operation", ["import", "mosaic", "pyramid"])
def test_kill_leaves_old_or_new(new_url: Callable[[], str], operation: str) -> None:
    whole = new_url()
    prepared(whole)
    old = state_of(whole)
    done = run(operation, whole, 0)
    assert done.returncode == 0, done.stderr
    new, calls = state_of(whole), int(done.stdout)
    assert new != old
    url = new_url()
    prepared(url)
    # all steps, or one in the middle of the blocks and the last one before the end of the transaction
    for at in range(1, calls + 1) if os.environ.get("FASTPYR_TEST_EVERY_KILL") else (calls // 2, calls):
        killed = run(operation, url, at)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert state_of(url) == old, f"killed at step {at} of {calls}"
    assert run(operation, url, 0).returncode == 0
    assert state_of(url) == new
