"""The database: SQLite in the platform's folder, or a server by its URL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from ..errors import ConfigError, ConflictError, StoreError
from .models import Base

__all__ = ["Database"]

_FILE = "entrepot.sqlite"
_WAIT_MS = 30_000
_POOL: dict[str, Any] = {"pool_size": 20, "max_overflow": 40}
"""Connections: requests are answered by up to 40 threads."""


class Database:
    """Sessions for reading and for writing. Any number of threads and processes may use one database.

    ``url``: as SQLAlchemy has it (``postgresql+psycopg://user@host/name``); None: a file in ``root``. Raises
    ConfigError for a URL that cannot work, StoreError when the database does not answer.
    """

    def __init__(self, root: Path, url: str | None = None) -> None:
        self.url = url or f"sqlite:///{root / _FILE}"
        try:
            self._engine = create_engine(self.url, pool_pre_ping=url is not None, json_serializer=_to_json, **_POOL)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise ConfigError(f"database {self.shown}: {error}") from error
        self._writing = self._engine
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _set_up_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
            self._writing = self._engine.execution_options(fastpyr_writes=True)
        try:
            with self._writing.begin() as connection:
                Base.metadata.create_all(connection)
        except SQLAlchemyError as error:
            if not self._tables_exist():  # two processes may make them at the same moment
                raise StoreError(f"database {self.shown}: {' '.join(str(error.__cause__ or error).split())}") from error

    @property
    def shown(self) -> str:
        """The URL without a password."""
        before, at, after = self.url.rpartition("@")
        scheme, colons, rest = before.partition("://")
        return f"{scheme}{colons}{rest.partition(':')[0]}{at}{after}" if at else self.url

    def _tables_exist(self) -> bool:
        from sqlalchemy import inspect

        try:
            return set(Base.metadata.tables) <= set(inspect(self._engine).get_table_names())
        except SQLAlchemyError:
            return False

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that changes nothing."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that is committed at the end of the block, and rolled back when the block raises.

        SQLite lets one writer in at a time, from the start; elsewhere rows are locked when they are fetched for
        writing. Raises ConflictError when another writer was quicker with something that there can be one of.
        """
        try:
            with Session(self._writing, expire_on_commit=False, info={"writes": True}) as session, session.begin():
                yield session
        except IntegrityError as error:
            raise ConflictError("another request has just changed the same thing: look and ask again") from error

    def close(self) -> None:
        self._engine.dispose()


def _to_json(value: Any) -> str:
    """Letters as they are: SQLite looks keys up as they are written."""
    return json.dumps(value, ensure_ascii=False)


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={_WAIT_MS}", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # A transaction that reads first and writes later may be refused: writers take their lock at once.
    writes = connection.get_execution_options().get("fastpyr_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
