"""What starting costs: whole processes. What each of them must not load is tested in tests/cli/test_start.py."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench import SOURCES
from bench.data import Input

_HEAVY = ("numba", "rasterio", "pyproj", "imagecodecs", "rich", "isal")
_ENV = {**os.environ, "PYTHONPATH": os.pathsep.join([*SOURCES, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}


def _start(*words):
    return subprocess.run([sys.executable, *words], env=_ENV, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("python alone", ("-c", "pass")),
        ("import numpy", ("-c", "import numpy")),
        ("import fastpyr", ("-c", "import fastpyr")),
        ("import fastpyr.kernels", ("-c", "import fastpyr.kernels")),
        ("fastpyr --version", ("-m", "fastpyr", "--version")),
        ("fastpyr --help", ("-m", "fastpyr", "--help")),
        ("fastpyr build --help", ("-m", "fastpyr", "build", "--help")),
        ("fastpyr tms", ("-m", "fastpyr", "tms")),
        ("import rasterio, a rival's start", ("-c", "import rasterio")),
    ],
)
def test_start(measured, name, words):
    measured("start", name, lambda: _start(*words), lambda done: done.returncode == 0)


def test_plan_of_a_plain_file(measured, tmp_path):
    """All that comes before the first pixel."""
    words = ("-m", "fastpyr", "plan", str(Input("ortho", 640).path()), str(tmp_path / "X.json"), "--tms", "PM")
    measured("start", "fastpyr plan, one GeoTIFF", lambda: _start(*words), lambda done: done.returncode == 0)


@pytest.mark.parametrize("statement", ["import fastpyr", "import fastpyr.kernels", "import fastpyr.cli.main"])
def test_heavy_packages_stay_out(statement):
    code = f"import sys; {statement}; print(sorted(set({_HEAVY}) & set(sys.modules)))"
    assert _start("-c", code).stdout.strip() == "[]"
