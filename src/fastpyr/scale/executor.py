"""What the executors have in common: tasks go in, outcomes come out in any order."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from ..frozen import frozen
from .job import Task
from .outcome import Outcome
from .parts import Part

__all__ = ["Done", "Executor", "open_executor"]


@frozen
class Done:
    """A task that has ended: its outcome, or the exception that it ended with."""

    part: Part
    outcome: Outcome | None
    error: BaseException | None


class Executor(Protocol):
    """Runs tasks somewhere. For one thread; a context manager that ends all work when it is left."""

    @property
    def workers(self) -> int:
        """Tasks that can run at a time, as far as is known now."""

    def submit(self, task: Task) -> None:
        """Take a task over. It is run again when its worker is lost."""

    def wait(self, seconds: float) -> list[Done]:
        """The tasks that have ended since the last call; waits so long for one."""

    def halt(self) -> None:
        """Let no further task begin and wait a while for those that run, which notice by themselves."""

    def __enter__(self) -> Executor: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_executor(name: str, scheduler: str | None, workers: int) -> Executor:
    """``processes`` or ``dask``; threads of one process need no task graph. ``workers``: processes of this machine,
    where it starts them.

    Raises ConfigError for a missing package, WorkerError when a cluster cannot be reached.
    """
    if name == "processes":
        from .processes import ProcessExecutor

        return ProcessExecutor(workers)
    from .dask_cluster import dask_executor

    return dask_executor(scheduler, workers)
