"""Databases for the tests: SQLite files, and databases of one PostgreSQL server."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


_spare: list[str] = []
"""URLs of databases that are empty again: making one takes longer than most tests."""


def _new_database(server: str) -> str:
    name = f"gdb{next(_numbers)}"
    with _connected(server) as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    return server.replace("/postgres?", f"/{name}?")


@contextmanager
def _connected(url: str) -> Iterator[sqlalchemy.Connection]:
    url = sqlalchemy.make_url(url).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        yield connection


def _emptied(url: str) -> str:
    """The same after its tables are gone; connections that a test left open are closed, they may hold locks."""
    with _connected(url) as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        connection.exec_driver_sql(f"{others} AND pid <> pg_backend_pid()")
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """A function that gives the URL of another empty database, of both kinds in turn."""
    if request.param == "sqlite":
        yield lambda: str(tmp_path / f"gdb{next(_numbers)}.sqlite")
        return
    server = request.getfixturevalue("postgres")
    lent: list[str] = []

    def lend() -> str:
        lent.append(_spare.pop() if _spare else _new_database(server))
        return lent[-1]

    yield lend
    _spare.extend(map(_emptied, lent))


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
