"""Platforms for tests: in this process on both databases, and one served by a process."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from platform_server import Server, serving
from postgres_server import running_postgres

if find_spec("sqlalchemy") is None or find_spec("fastapi") is None:
    collect_ignore_glob = ["test_*.py"]  # the extra api is not installed


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a file, which name their entities apart."""
    with serving(tmp_path_factory.mktemp("served") / "platform", "--max-upload", "3000000") as running:
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "platform"
