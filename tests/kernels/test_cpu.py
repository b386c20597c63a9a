"""The switch between vector paths."""

import os
import subprocess
import sys

import pytest

from fastpyr import _native

PROBE = """
import numpy as np
from fastpyr import _native, kernels
from fastpyr.kernels import reference
src = np.random.default_rng(1).integers(0, 256, (64, 202, 3), np.uint8)
assert np.array_equal(kernels.reduce2x2(src)[0], reference.reduce2x2(src)[0])
print(*_native.cpu_paths())
"""


def live_paths(disabled: str, *options: str) -> list[str]:
    env = dict(os.environ, FASTPYR_DISABLE_CPU=disabled, PYTHONPATH=os.pathsep.join(sys.path))
    run = subprocess.run([sys.executable, *options, "-c", PROBE], env=env, capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_all_paths_can_be_disabled() -> None:
    assert live_paths("all") == ["generic"]


def test_a_disabled_path_takes_those_above_it_along() -> None:
    available = _native.cpu_paths(available=True)
    assert live_paths("avx512") == [p for p in available if not p.startswith("avx512")]
    assert live_paths("avx2") == [p for p in available if not p.startswith("avx")]
    assert live_paths("") == list(available)


def test_unknown_name_in_the_environment_warns() -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        live_paths("avx9", "-W", "error")
    assert "unknown CPU path avx9" in failure.value.stderr


def test_a_named_path_brings_those_it_builds_on(cpu_path: str) -> None:
    assert cpu_path in _native.cpu_paths()
    if cpu_path == "avx512":
        assert _native.cpu_paths() == ("generic", "avx2", "avx512")
    if cpu_path == "generic":
        assert _native.cpu_paths() == ("generic",)


def test_unknown_path_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown CPU path 'sse9'"):
        _native.set_cpu_paths(["sse9"])
