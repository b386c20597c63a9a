"""Peak memory of whole builds: it depends on slabs and workers, not on the size of the raster."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from bench import SOURCES
from bench.data import large_ortho

LIMIT = 1_000_000_000
_PROGRAM = """
import json, resource, sys
from fastpyr.cli.main import main
code = main(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"code": code, "peak": peak}), file=sys.stderr)
"""


def peak_of_build(side: int, folder) -> int:
    """Peak resident bytes of ``fastpyr build`` with two workers on a side x side raster."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "build", large_ortho(side), folder / f"B{side}.json", "--tms", "PM",
         "--compression", "jpg", "--parallelization", "2"],
        capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*SOURCES, os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    report = json.loads(done.stderr.strip().splitlines()[-1])
    assert report["code"] == 0, done.stderr
    return int(report["peak"])


@pytest.mark.skipif("FASTPYR_BENCH_LARGE" not in os.environ, reason="set FASTPYR_BENCH_LARGE=1: writes 3 GB, minutes")
def test_peak_memory_is_flat(tmp_path):
    small, large = peak_of_build(16384, tmp_path), peak_of_build(32768, tmp_path)
    print(f"\npeak RSS: 16384 x 16384: {small / 1e6:.0f} MB, 32768 x 32768: {large / 1e6:.0f} MB")
    assert large <= LIMIT
    assert abs(large - small) <= 0.1 * small
