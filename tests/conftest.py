"""Fixtures of all rooms: the vector paths of the native core, and where the reference data is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastpyr import _native

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(params=_native.cpu_paths())
def cpu_path(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once per live path of the native core (FASTPYR_DISABLE_CPU takes paths away)."""
    before = _native.cpu_paths()
    _native.set_cpu_paths([request.param])
    yield request.param
    _native.set_cpu_paths(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the reference data, read in place; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("reference data absent: no shared/data beside the project")
    return SHARED_DATA
