"""Kernel benchmarks (pytest-benchmark): ours and rivals in one group, the same input, correctness marked.

``pytest bench --benchmark-json=FILE``. No durations are asserted; what is asserted is that results are right.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

SIDE = 1024


@pytest.fixture(scope="session")
def ortho() -> np.ndarray:
    """An aerial photograph, RGB, 1040 x 1040: a block and what a bicubic kernel reaches around it."""
    from fastpyr.source.synthetic import ortho_scene

    return ortho_scene(SIDE + 16, SIDE + 16, 7)


@pytest.fixture(scope="session")
def scan() -> np.ndarray:
    """A map scan, RGB, 1024 x 1024."""
    from fastpyr.source.synthetic import scan_scene

    return scan_scene(SIDE, SIDE, 7)


@pytest.fixture(params=["generic", "avx2", "avx512", "avx512icl", "neon"])
def cpu_path(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each vector path that this machine has, live for one test."""
    from fastpyr import _native

    if request.param not in _native.cpu_paths(available=True):
        pytest.skip(f"this machine has no {request.param}")
    live = _native.cpu_paths()
    _native.set_cpu_paths([request.param])
    yield request.param
    _native.set_cpu_paths(live)


@pytest.fixture
def measured(benchmark: Any) -> Callable[..., Any]:
    """``measured(group, name, work, correct, ...)``: benchmark ``work`` under ``group``, facts into extra_info.

    ``correct(result)`` -> bool is asserted and recorded. Further keywords are recorded as they are. The last result is
    returned.
    """
    from bench.machine import cpu_model

    def run(group: str, name: str, work: Callable[[], Any], correct: Callable[[Any], bool], **facts: Any) -> Any:
        benchmark.group = group
        result = work()
        good = bool(correct(result))
        benchmark.extra_info.update({"name": name, "correct": good, "cpu": cpu_model(), **facts})
        benchmark(work)
        assert good, f"{name}: wrong result"
        return result

    return run


class Worker:
    """A kernel in another environment: one line asks for one run of a verb, one line answers."""

    def __init__(self, python: Path, program: Path, version: str) -> None:
        import subprocess

        self.version = version
        self._process = subprocess.Popen(
            [python, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture(scope="session")
def pillow_simd() -> Iterator[Worker]:
    """Pillow-SIMD, which cannot live beside Pillow, in its own environment."""
    from bench.environments import Missing, environment

    try:
        ready = environment("pillow-simd")
    except Missing as missing:
        pytest.skip(str(missing))
    worker = Worker(ready.python, ROOT / "bench" / "foreign" / "pillow_kernels.py", ready.versions["pillow-simd"])
    yield worker
    worker.close()
