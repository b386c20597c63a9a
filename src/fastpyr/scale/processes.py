"""Processes of this machine as workers."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections import deque
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any

from ..errors import WorkerError
from .executor import Done
from .job import Task
from .work import run_task

__all__ = ["MOST_DEATHS", "ProcessExecutor"]

MOST_DEATHS = 3
"""Workers that a task may cost before it is given up."""
_PATIENCE = 10.0


def _serve(line: Connection) -> None:
    """A worker: tasks come down the line, outcomes and exceptions go up. It ends with the line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal: the coordinator decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(EOFError, OSError):
        while (task := line.recv()) is not None:
            try:
                result: Any = run_task(task)
            except Exception as error:
                result = error
            line.send(result)


class _Worker:
    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), name="fastpyr-worker", daemon=True)
        self.process.start()
        theirs.close()
        self.task: Task | None = None

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.line.close()


class ProcessExecutor:
    """A number of processes, each with one task at a time. One that dies is replaced, and its task made again."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._team: list[_Worker] = []
        self._queue: deque[Task] = deque()
        self._deaths: dict[Task, int] = {}

    def submit(self, task: Task) -> None:
        self._queue.append(task)
        self._hand_out()

    def wait(self, seconds: float) -> list[Done]:
        done: list[Done] = []
        busy = {worker.line: worker for worker in self._team if worker.task is not None}
        for line in wait(list(busy), seconds) if busy else ():
            worker = busy[line]  # type: ignore[index]
            task, worker.task = worker.task, None
            assert task is not None  # it was busy
            try:
                result = worker.line.recv()
            except (EOFError, OSError):
                self._lost(worker, task, done)
                continue
            is_error = isinstance(result, BaseException)
            done.append(Done(task.part, None if is_error else result, result if is_error else None))
        self._hand_out()
        return done

    def halt(self) -> None:
        self._queue.clear()
        for worker in self._team:
            if worker.task is not None and not worker.line.poll(_PATIENCE):
                worker.process.kill()

    def _hand_out(self) -> None:
        while self._queue:
            free = next((worker for worker in self._team if worker.task is None), None)
            if free is None:
                if len(self._team) == self.workers:
                    return
                free = _started()
                self._team.append(free)
            free.task = self._queue[0]
            try:
                free.line.send(free.task)
            except OSError:
                free.end()
                self._team.remove(free)
                continue
            self._queue.popleft()

    def _lost(self, worker: _Worker, task: Task, done: list[Done]) -> None:
        worker.end()
        self._team.remove(worker)
        self._deaths[task] = deaths = self._deaths.get(task, 0) + 1
        if deaths < MOST_DEATHS:
            self._queue.appendleft(task)
            return
        code = worker.process.exitcode
        error = WorkerError(
            f"part {task.part.name}: {deaths} workers died over it (the last one with exit code {code}): "
            "give workers more memory, or start fewer with --parallelization"
        )
        done.append(Done(task.part, None, error))

    def __enter__(self) -> ProcessExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._team:
            worker.end()
        self._team.clear()


def _started() -> _Worker:
    """A new process. A main module that cannot be imported again (a console, a notebook) is no obstacle."""
    main = sys.modules["__main__"]
    file, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    hidden = spec is None and file is not None
    with _one_thread_each():
        if hidden:
            del main.__file__
        try:
            return _Worker()
        finally:
            if hidden:
                main.__file__ = file


@contextlib.contextmanager
def _one_thread_each() -> Any:
    """Workers are as many as cores: no threads of a linear algebra that is never asked for."""
    name = "OPENBLAS_NUM_THREADS"
    before = os.environ.get(name)
    os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
