"""Database URLs, and engines with the settings each database needs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigError, DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Dialect, Engine, PoolProxiedConnection

__all__ = ["closing_errors", "database_url", "make_engine", "read", "read_once", "shown", "write"]

_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "mssql": "mssql+pyodbc",
    "mssql+pyodbc": "mssql+pyodbc",
}
_QUERY = {
    "sqlite": frozenset[str](),
    # what names a server and its certificate; nothing that reads other files or sets server options
    "postgresql": frozenset({"host", "port", "sslmode", "sslrootcert", "connect_timeout", "application_name"}),
    "mssql": frozenset({"driver", "Encrypt", "TrustServerCertificate"}),
}
_PAGE_SIZE = 65536
_CACHE_KIB = 65536
_BUSY_MS = 30_000
_SQLITE_MAGIC = b"SQLite format 3\0"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def database_url(text: str | os.PathLike[str]) -> URL:
    """The URL of a database from ``sqlite:///file``, a plain path (SQLite), ``postgresql://…`` or ``mssql://…``.

    Raises ConfigError for other schemes, for control characters, for SQLite in memory or with ``file:`` URIs, and for
    query options outside of a short list.
    """
    import sqlalchemy as sa

    given = os.fspath(text)
    if not given.strip() or any(ord(c) < 32 or ord(c) == 127 for c in given):
        raise ConfigError(f"database {given[:80]!r}: expected a file, sqlite:///FILE or postgresql://USER@HOST/NAME")
    if not _SCHEME.match(given):
        return _sqlite_url(given, given)
    try:
        url = sa.make_url(given)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError(
            f"database {_without_password(given)!r}: not a database URL: expected scheme://user@host/name"
        ) from None
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        known = "sqlite, postgresql, mssql"
        raise ConfigError(f"database scheme {url.drivername[:40]!r} is not supported: {known} are")
    url = url.set(drivername=driver)
    backend = url.get_backend_name()
    strange = set(url.query) - _QUERY[backend]
    if strange:
        allowed = ", ".join(sorted(_QUERY[backend])) or "none"
        raise ConfigError(f"database option {sorted(strange)[0][:40]!r} is not accepted for {backend}: {allowed}")
    if backend == "sqlite":
        if url.host or url.username or url.port:
            raise ConfigError("a SQLite URL names a file, not a server: sqlite:///relative or sqlite:////absolute")
        return _sqlite_url(url.database or "", given)
    if not url.database:
        raise ConfigError(f"database URL {shown(url)} names no database: end it with /NAME")
    return url


def _sqlite_url(path: str, given: str) -> URL:
    import sqlalchemy as sa

    if not path or path == ":memory:" or path.startswith("file:"):
        raise ConfigError(f"database {given[:80]!r}: give a file, SQLite in memory and file: URIs are not supported")
    if os.path.isdir(path):
        raise ConfigError(f"database {path}: is a folder, give a file")
    return sa.URL.create("sqlite", database=path)


def _without_password(text: str) -> str:
    return re.sub(r"//[^@/]*@", "//***@", text)[:120]


def shown(url: URL) -> str:
    """A URL for messages: a file's path, or the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    return url.render_as_string(hide_password=True)


def make_engine(url: URL, *, create: bool) -> Engine:
    """An engine; a connection is opened at first use only.

    SQLite: WAL, 64 KiB pages in new files, foreign keys on, no trust in the schema of a file from elsewhere. ``create``
    false refuses a file that does not exist or is none of SQLite's. Raises DatabaseError, ConfigError for a driver
    that is not installed.
    """
    import sqlalchemy as sa

    backend = url.get_backend_name()
    try:
        if backend == "sqlite":
            _check_file(url.database or "", create)
            given = {"timeout": _BUSY_MS / 1000, "check_same_thread": False}
            engine = sa.create_engine(url, connect_args=given, max_overflow=-1)  # readers do not wait for each other
            _prepare_sqlite(engine, create)
        elif backend == "mssql":
            engine = sa.create_engine(url, fast_executemany=True)
        else:
            engine = sa.create_engine(url, connect_args={"connect_timeout": 20}, pool_size=8, max_overflow=16)
    except ModuleNotFoundError as error:
        cure = "pip install 'fastpyr[db]'" if backend == "postgresql" else f"pip install {error.name}"
        raise ConfigError(f"{backend} needs the package {error.name}: {cure}") from None
    return engine


def _check_file(path: str, create: bool) -> None:
    if not os.path.exists(path):
        folder = os.path.dirname(path) or "."
        if not create:
            raise DatabaseError(f"{path}: no such geodatabase: make one with fastpyr db create {path}")
        if not os.path.isdir(folder):
            raise DatabaseError(f"{path}: the folder {folder} does not exist")
        return
    try:
        with open(path, "rb") as file:
            head = file.read(len(_SQLITE_MAGIC))
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be read ({(error.strerror or str(error)).lower()})") from None
    if head and head != _SQLITE_MAGIC:
        raise DatabaseError(f"{path}: is not an SQLite file")


def _prepare_sqlite(engine: Engine, create: bool) -> None:
    """Pragmas of each connection, and transactions that begin when told: writers take the lock at once."""
    import sqlalchemy as sa

    def connect(connection: Any, record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        if create:
            cursor.execute(f"PRAGMA page_size={_PAGE_SIZE}")
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            "temp_store=MEMORY",
            f"cache_size=-{_CACHE_KIB}",
            f"busy_timeout={_BUSY_MS}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("fastpyr_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    sa.event.listen(engine, "connect", connect)
    sa.event.listen(engine, "begin", begin)


@contextmanager
def closing_errors(engine: Engine) -> Iterator[None]:
    """Errors of the database and its driver become a DatabaseError of one line, without statement and parameters."""
    import sqlalchemy as sa

    try:
        yield
    except (sa.exc.SQLAlchemyError, engine.dialect.loaded_dbapi.Error) as error:
        cause = getattr(error, "orig", None) or error
        text = " ".join(str(cause).split())[:300] or type(cause).__name__
        raise DatabaseError(f"{shown(engine.url)}: {text}") from error


@contextmanager
def read(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that only reads: all statements see one state of the database."""
    with closing_errors(engine):
        options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
        with engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection


class Single(NamedTuple):
    """A connection of the pool for one statement by the driver; named as the parts of SQLAlchemy's Connection."""

    dialect: Dialect
    connection: PoolProxiedConnection


@contextmanager
def read_once(engine: Engine) -> Iterator[Connection | Single]:
    """A connection for one statement that reads, which sees one state of the database anyway.

    No transaction is begun and ended: that is two more round trips to PostgreSQL, and on SQLite takes as long as the
    statement.
    """
    if engine.dialect.name not in ("postgresql", "sqlite"):
        with read(engine) as connection:
            yield connection
        return
    with closing_errors(engine):
        pooled = engine.raw_connection()
        try:
            driver: Any = pooled.driver_connection
            if engine.dialect.name == "postgresql":
                driver.autocommit = True
            yield Single(engine.dialect, pooled)
            if engine.dialect.name == "postgresql":
                driver.autocommit = False
        except BaseException:
            pooled.invalidate()
            raise
        finally:
            pooled.close()


@contextmanager
def write(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that writes; it is committed at the end of the block, or nothing happened."""
    with (
        closing_errors(engine),
        engine.connect().execution_options(fastpyr_write=True) as connection,
        connection.begin(),
    ):
        yield connection
