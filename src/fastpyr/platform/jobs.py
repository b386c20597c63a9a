"""Who works when: waiting checks and executions are claimed, each gets a process of its own, its end is written down.

Several processes may serve one platform. A job belongs to the one that claimed it; that one holds a lock on a file as
long as it lives, so that the others see its death and write down the truth: a check waits again, an execution has
failed and what it was making is unstable.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.exc import SQLAlchemyError

from ..errors import FastpyrError
from .base import Place, note
from .catalogue import CHECK_RASTER, CHECK_STANDARD
from .changes import drop_old
from .drivers import drivers_to_skip
from .endings import end, settle, succeed
from .models import CheckExecution, Execution, StoredData, Upload, new_id, now
from .orders import order
from .sweep import is_old, sweep
from .uploads import latest_checks

__all__ = ["Supervisor"]

_SECONDS_BETWEEN_LOOKS = 0.25
_SECONDS_BETWEEN_RECOVERIES = 3.0
_SECONDS_TO_DIE = 5.0
_SECRETS = ("FASTPYR_PASSWORD", "FASTPYR_TOKEN", "FASTPYR_DATABASE")
_CHECKS = {CHECK_STANDARD: "standard", CHECK_RASTER: "raster"}
Json = dict[str, Any]


@dataclass(slots=True)
class _Job:
    """A running worker, or one that could not be started (``process`` None).

    ``checks``: the ids of check executions by check, empty for an execution.
    """

    id: str
    kind: str
    process: subprocess.Popen[str] | None
    errors: Path
    checks: dict[str, str]
    result: Json | None = None
    error: str | None = None
    progress: float = 0.0


class Supervisor:
    """Runs the jobs of a platform until it is closed: ``executions`` at most at once, and as many checks.

    ``own_only``: those that this process has asked for; others are left to other processes. Each worker is a session
    of its own, which systems that group processes give the same share of the machine.
    """

    def __init__(self, place: Place, executions: int = 2, *, own_only: bool = False) -> None:
        self._place = place
        self._limit = executions
        self._own_only = own_only
        self._id = new_id()
        self._owners = place.root / "owners"
        self._owners.mkdir(parents=True, exist_ok=True)
        self._lock = open(self._owners / f"{self._id}.lock", "w")  # noqa: SIM115 (held until close)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._jobs: dict[str, _Job] = {}
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._recovered = 0.0
        self._threads: list[threading.Thread] = []
        self._main = threading.Thread(target=self._loop, name="jobs", daemon=True)

    def start(self) -> None:
        """Write down what became of the work of the dead, and begin to work, unless no job may run here."""
        self.recover()
        sweep(self._place)
        for lock in self._owners.glob("*.lock"):  # of those that died with nothing to do
            if is_old(lock) and self._is_dead(lock.stem):
                lock.unlink(missing_ok=True)
        if self._limit:
            self._place.wake = self._look
            self._main.start()

    def _look(self) -> None:
        """Have a look soon; before it returns, workers whose jobs were aborted are gone."""
        self._stop_unwanted()
        self._settle()
        self._wake.set()

    def close(self) -> None:
        """End all workers: their executions count as failed, and can be gone on with."""
        self._stop.set()
        self._wake.set()
        if self._main.is_alive():
            self._main.join()
        with self._guard:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.error = job.error or "the platform was closed; a new execution goes on with what is done"
            _kill(job)
        for thread in list(self._threads):
            thread.join(_SECONDS_TO_DIE)
        with contextlib.suppress(OSError):
            os.unlink(self._lock.name)
        self._lock.close()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                if time.monotonic() - self._recovered > _SECONDS_BETWEEN_RECOVERIES:
                    self.recover()
                self._stop_unwanted()
                while not self._stop.is_set() and (self._start_check() or self._start_execution()):
                    continue
            except (SQLAlchemyError, OSError) as error:
                # the database may answer again, and the disk have room; what runs goes on meanwhile
                print(f"fastpyr: {' '.join(str(error).split())[:300]}", file=sys.stderr)
                self._stop.wait(1.0)
            self._wake.wait(_SECONDS_BETWEEN_LOOKS)
            self._wake.clear()

    def _count(self, kind: str) -> int:
        with self._guard:
            return sum(job.kind == kind for job in self._jobs.values())

    def _mine(self, column: Any) -> ColumnElement[bool]:
        return column.in_(self._place.asked) if self._own_only else true()

    def _start_check(self) -> bool:
        """Claim the checks of one delivery and start a worker for them."""
        if self._count("check") >= self._limit:
            return False
        with self._guard:
            ending = [job.id for job in self._jobs.values() if job.kind == "check"]
        with self._place.database.write() as session:
            first = session.scalar(
                select(CheckExecution)
                .where(CheckExecution.status == "WAITING", self._mine(CheckExecution.upload_id))
                .where(CheckExecution.upload_id.not_in(ending))
                .order_by(CheckExecution.creation)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if first is None:
                return False
            upload = session.get(Upload, first.upload_id)
            rows = [row for row in latest_checks(session, first.upload_id).values() if row.status == "WAITING"]
            for row in rows:
                row.status, row.start, row.owner = "PROGRESS", now(), self._id
            assert upload is not None
            job = {
                "kind": "check",
                "folder": str(self._place.upload_folder(upload.id) / "data"),
                "srs": upload.srs,
                "logs": {_CHECKS[row.check_id]: str(self._place.root / "logs" / f"{row.id}.log") for row in rows},
            }
            checks = {row.check_id: row.id for row in rows}
            for row in rows:
                self._place.log(row.id).say("Vérification commencée")
        self._begin(upload.id, "check", job, checks)
        return True

    def _start_execution(self) -> bool:
        """Claim an execution and start a worker for it."""
        if self._count("execution") >= self._limit:
            return False
        with self._place.database.write() as session:
            row = session.scalar(
                select(Execution)
                .where(Execution.status == "WAITING", self._mine(Execution.id))
                .order_by(Execution.launch, Execution.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if row is None:
                return False
            row.status, row.start, row.owner = "PROGRESS", now(), self._id
            job = order(self._place, session, row)
        self._begin(row.id, "execution", job, {})
        return True

    def _begin(self, id: str, kind: str, work: Json, checks: dict[str, str]) -> None:
        """Start a worker for a job that is claimed. One that cannot be started has failed."""
        job = _Job(id, kind, None, self._place.root / "logs" / f"{id}.{kind}.stderr", checks)
        try:
            if kind == "execution":
                Path(work["descriptor"]).parent.mkdir(parents=True, exist_ok=True)
                self._place.log(id).say("Exécution commencée")
            job.process = _start(job.errors, self._lock)
        except OSError as error:
            job.error = f"no worker could be started: {error}"
        with self._guard:
            self._jobs[id] = job
        if job.process is not None and job.process.stdin is not None:
            with contextlib.suppress(OSError):
                job.process.stdin.write(json.dumps(work) + "\n")
                job.process.stdin.flush()
        thread = threading.Thread(target=self._follow, args=(job,), name=f"{kind} {id}", daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def _follow(self, job: _Job) -> None:
        """Listen to a worker until it ends, and write its end down."""
        if job.process is not None:
            self._listen(job, job.process)
        while True:
            try:
                (self._end_check if job.kind == "check" else self._end_execution)(job)
                self._settle()
                break
            except (SQLAlchemyError, OSError):
                if self._stop.wait(1.0):
                    break  # the lock goes with this process, and others will see it
        with contextlib.suppress(OSError):
            job.errors.unlink(missing_ok=True)
        with self._guard:
            del self._jobs[job.id]
        self._wake.set()

    def _listen(self, job: _Job, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        written = 0.0
        for fact in _facts(process.stdout):
            job.result = fact.get("result", job.result)
            job.error = fact.get("error", job.error)
            job.progress = fact.get("progress", job.progress)
            if time.monotonic() - written > 0.5 and job.kind == "execution":
                written = time.monotonic()
                with contextlib.suppress(SQLAlchemyError):
                    self._write_progress(job)
        code = process.wait()
        process.stdout.close()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        if job.result is None and job.error is None:
            job.error = _last_words(job, code)

    def _write_progress(self, job: _Job) -> None:
        with self._place.database.write() as session:
            row = session.get(Execution, job.id, with_for_update=True)
            if row is not None and row.status == "PROGRESS":
                row.progress = job.progress

    def _end_check(self, job: _Job) -> None:
        with self._place.database.write() as session:
            for check, id in job.checks.items():
                row = session.get(CheckExecution, id, with_for_update=True)
                if row is None or row.status != "PROGRESS" or row.owner != self._id:
                    continue
                if job.result is None and self._stop.is_set():
                    row.status, row.start, row.owner = "WAITING", None, None  # the next one here does it
                    continue
                passed = job.result is not None and job.result["passed"][_CHECKS[check]]
                row.status, row.finish, row.owner = "SUCCESS" if passed else "FAILURE", now(), None
                if job.result is None:
                    self._place.log(id).say(job.error or "", "ERROR")
            session.flush()
            upload = session.get(Upload, job.id, with_for_update=True)
            if upload is None or upload.status != "CHECKING":
                return
            states = {row.status for row in latest_checks(session, job.id).values()}
            if states & {"WAITING", "PROGRESS"}:
                return
            upload.status = "CLOSED" if states == {"SUCCESS"} else "UNSTABLE"
            if job.result is not None and job.result["passed"]["raster"]:
                upload.extent = job.result["extent"]
            note(session, upload.id, "Vérification", upload.status)

    def _end_execution(self, job: _Job) -> None:
        with self._place.database.write() as session:
            row = session.get(Execution, job.id, with_for_update=True)
            if row is None or row.status != "PROGRESS" or row.owner != self._id:
                return
            output = session.get(StoredData, row.output_id)
            if job.result is None:
                end(session, row, "FAILURE")
                self._place.log(job.id).say(f"Exécution en échec : {job.error}", "ERROR")
                return
            succeed(session, row, job.result)
            self._place.log(job.id).say("Exécution terminée avec succès")
        if output is not None:
            with contextlib.suppress(FastpyrError):  # the next to start sweeps it away
                drop_old(self._place.descriptor(output))

    def _settle(self) -> None:
        """Take back what executions that failed or were aborted have changed in place."""
        settle(self._place, self._is_over)

    def _is_over(self, id: str, owner: str) -> bool:
        """Whether the worker of an execution is gone."""
        if owner != self._id:
            return self._is_dead(owner)
        with self._guard:
            job = self._jobs.get(id)
        # one that is claimed and not begun yet has a worker soon, which is stopped at once
        return job is not None and (job.process is None or job.process.poll() is not None)

    def _stop_unwanted(self) -> None:
        """Kill workers whose jobs are not to be done any more, and wait until they are gone."""
        with self._guard:
            jobs = list(self._jobs.values())
        if not jobs:
            return
        with self._place.database.read() as session:
            doomed = [job for job in jobs if not self._is_wanted(session, job)]
        for job in doomed:
            _kill(job)
        for job in doomed:
            if job.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    job.process.wait(_SECONDS_TO_DIE)

    @staticmethod
    def _is_wanted(session: Any, job: _Job) -> bool:
        if job.kind == "execution":
            return session.scalar(select(Execution.status).where(Execution.id == job.id)) in ("PROGRESS", None)
        ids = list(job.checks.values())
        states = set(session.scalars(select(CheckExecution.status).where(CheckExecution.id.in_(ids))))
        return "PROGRESS" in states

    def recover(self) -> None:
        """Write down what became of the jobs of processes that are gone."""
        self._recovered = time.monotonic()
        with self._place.database.read() as session:
            owners = set(session.scalars(select(Execution.owner).where(Execution.owner.is_not(None)).distinct()))
            owners |= set(session.scalars(select(CheckExecution.owner).where(CheckExecution.status == "PROGRESS")))
        dead = [owner for owner in owners if owner not in (None, self._id) and self._is_dead(str(owner))]
        if not dead:
            return
        with self._place.database.write() as session:
            for row in session.scalars(
                select(Execution).where(Execution.owner.in_(dead), Execution.status == "PROGRESS").with_for_update()
            ):
                end(session, row, "FAILURE")
                self._place.log(row.id).say(
                    "Exécution en échec : le serveur s'est arrêté ; une nouvelle exécution reprendra ce qui est fait",
                    "ERROR",
                )
            for check in session.scalars(
                select(CheckExecution)
                .where(CheckExecution.owner.in_(dead), CheckExecution.status == "PROGRESS")
                .with_for_update()
            ):
                check.status, check.start, check.owner = "WAITING", None, None
                self._place.log(check.id).say("Le serveur s'est arrêté : la vérification recommencera", "WARNING")
        self._settle()
        for owner in dead:
            (self._owners / f"{owner}.lock").unlink(missing_ok=True)

    def _is_dead(self, owner: str) -> bool:
        """Whether nobody holds the lock of a process any more: neither itself nor a worker of it."""
        try:
            with open(self._owners / f"{owner}.lock") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


def _start(errors: Path, lock: IO[str]) -> subprocess.Popen[str]:
    """A worker that waits for its job, and holds the lock too as long as it lives. It decodes what strangers deliver:
    it is told no secrets, and knows no files that name others."""
    errors.parent.mkdir(parents=True, exist_ok=True)
    known = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    known |= {"GDAL_SKIP": drivers_to_skip(), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with open(errors, "wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "fastpyr.platform.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            encoding="utf-8",
            start_new_session=True,
            env=known,
            pass_fds=(lock.fileno(),),
        )


def _facts(stream: IO[str]) -> Any:
    """Whole JSON objects of a worker's lines; a torn line is passed over."""
    for line in stream:
        with contextlib.suppress(ValueError):
            fact = json.loads(line)
            if isinstance(fact, dict):
                yield fact


def _last_words(job: _Job, code: int) -> str:
    """Why a worker ended without a word."""
    try:
        lines = [line for line in job.errors.read_text("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    how = f"signal {-code}" if code < 0 else f"code {code}"
    return f"the worker ended with {how}" + (f" ({lines[-1][:500]})" if lines else "")


def _kill(job: _Job) -> None:
    """End a worker at once; what it has finished is on disk."""
    if job.process is not None and job.process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(job.process.pid, signal.SIGKILL)
