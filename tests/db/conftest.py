"""Databases for the tests: SQLite files, and databases of one PostgreSQL server."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres_server import running_postgres

sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server's own database; the test is skipped where no server can run."""
    with running_postgres() as url:
        yield url


def _new_database(server: str) -> str:
    name = f"gdb{next(_numbers)}"
    url = sqlalchemy.make_url(server).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """A function that gives the URL of another empty database, of both kinds in turn."""
    if request.param == "sqlite":
        return lambda: str(tmp_path / f"gdb{next(_numbers)}.sqlite")
    server = request.getfixturevalue("postgres")
    return lambda: _new_database(server)


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """URL of an empty database."""
    return new_url()


@pytest.fixture
def database(url: str) -> Iterator[object]:
    """A new geodatabase named ``gdb`` with the owner ``RJP``."""
    from fastpyr.db import Geodatabase

    with Geodatabase.create(url, database="gdb", owner="RJP") as made:
        yield made
