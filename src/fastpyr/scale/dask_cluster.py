"""Workers of a Dask cluster: the user's, or a local one."""

from __future__ import annotations

import logging
import time
from concurrent.futures import CancelledError
from importlib import import_module
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

from ..errors import ConfigError, WorkerError
from .executor import Done
from .job import Task
from .parts import Part
from .work import run_task

__all__ = ["dask_executor"]

_PATIENCE = 10.0
_CONNECT_SECONDS = 10
_WORKERS_SECONDS = 60
_LOOK_SECONDS = 0.2


def dask_executor(scheduler: str | None, workers: int) -> DaskExecutor:
    """The cluster of a scheduler, or one of ``workers`` processes on this machine. Raises ConfigError, WorkerError."""
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise ConfigError(f"--executor dask needs dask.distributed ({error}): pip install 'fastpyr[dask]'") from error
    logging.getLogger("distributed").setLevel(logging.ERROR)
    if scheduler is None:
        # Ports that are free: several builds may run at a time.
        cluster = distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=logging.ERROR
        )
        return DaskExecutor(distributed.Client(cluster, set_as_default=False), cluster)
    try:
        client = distributed.Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WorkerError(f"no Dask scheduler answers at {scheduler} ({reason}): check --scheduler") from error
    return DaskExecutor(client, None)


class DaskExecutor:
    """Tasks as futures of a client. Dask runs those of a lost worker again."""

    def __init__(self, client: Any, cluster: Any) -> None:
        self._client = client
        self._cluster = cluster
        self._ended: SimpleQueue[Any] = SimpleQueue()
        self._running: dict[Any, Part] = {}

    @property
    def workers(self) -> int:
        return max(1, sum(map(int, self._client.nthreads().values())))

    def submit(self, task: Task) -> None:
        # Larger parts first: what they wait for lies in the store until they are made.
        key = f"fastpyr-{task.paper.key}-{task.part.name}"
        future = self._client.submit(run_task, task, key=key, priority=task.part.tier, pure=False)
        self._running[future] = task.part
        future.add_done_callback(self._ended.put)

    def wait(self, seconds: float) -> list[Done]:
        done = []
        if self._client.status not in ("running", "connecting"):
            raise WorkerError("the Dask scheduler went away: start the build again to go on with it")
        try:
            future = self._ended.get(timeout=seconds)
            while True:
                done.append(self._done(future))
                future = self._ended.get_nowait()
        except Empty:
            return done

    def _done(self, future: Any) -> Done:
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker

        part = self._running.pop(future)
        try:
            return Done(part, future.result(), None)
        except KilledWorker as error:
            death: Exception = WorkerError(
                f"part {part.name}: several workers died over it, the last one was {error.last_worker.address}: "
                "give workers more memory"
            )
        except (FutureCancelledError, CancelledError):
            death = WorkerError("the Dask scheduler has dropped the build: start it again to go on with it")
        except Exception as error:
            death = error
        return Done(part, None, death)

    def halt(self) -> None:
        end = time.monotonic() + _PATIENCE
        while self._running and time.monotonic() < end:
            try:
                self._running.pop(self._ended.get(timeout=_LOOK_SECONDS), None)
            except Empty:
                if self._client.status != "running":
                    break

    def __enter__(self) -> DaskExecutor:
        try:
            self._client.wait_for_workers(1, timeout=_WORKERS_SECONDS)
        except TimeoutError:
            self.__exit__(None, None, None)
            raise WorkerError(
                f"the Dask cluster has had no worker for {_WORKERS_SECONDS} s: start some, then build again"
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for closing in (self._client, self._cluster):
            if closing is not None:
                closing.close()
