"""A PostgreSQL server of one's own in a temporary folder: started for the tests, stopped and gone after them."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FOLDERS = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin"), Path("/usr/bin")]


def _program(name: str) -> str | None:
    found = shutil.which(name)
    return next((str(folder / name) for folder in FOLDERS if (folder / name).is_file()), found)


def _user() -> str | None:
    """Whom the server runs as: it refuses root. None: as who we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _as(user: str | None, *command: str) -> list[str]:
    if user is None:
        return [*command]
    return ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups", *command]


@contextmanager
def running_postgres() -> Iterator[str]:
    """URL of a database of a new server that listens on a socket only; the test is skipped where none can run."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
    initdb, control = _program("initdb"), _program("pg_ctl")
    if initdb is None or control is None:
        pytest.skip("no PostgreSQL server installed (initdb, pg_ctl)")
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="fppg", dir="/tmp"))  # short: a socket's path may have 107 bytes
    try:
        if user:
            shutil.chown(folder, user)
        data = folder / "data"
        quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": folder}
        made = subprocess.run(_as(user, initdb, "-D", str(data), "-U", "tester", "-A", "trust", "-E", "UTF8"), **quiet)
        if made.returncode:
            pytest.skip(f"initdb failed: {made.stdout[-300:]}")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c shared_buffers=256MB"
        start = _as(user, control, "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "-t", "60", "start")
        started = subprocess.run(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
        if started.returncode:
            log = (folder / "log").read_text("utf-8", "replace") if (folder / "log").exists() else ""
            pytest.skip(f"PostgreSQL does not start: {log[-300:]}")
        try:
            yield f"postgresql://tester@/postgres?host={folder}"
        finally:
            stop = _as(user, control, "-D", str(data), "-m", "immediate", "-w", "stop")
            subprocess.run(stop, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
