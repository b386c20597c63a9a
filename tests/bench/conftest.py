"""The benchmark is a package at the root of the checkout, beside ``tests``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Inputs of these tests go into a folder of their own."""
    pytest.importorskip("bench", reason="no benchmark beside the tests: not a source checkout")
    import bench.data

    bench.data.CACHE = tmp_path_factory.mktemp("bench-cache")
