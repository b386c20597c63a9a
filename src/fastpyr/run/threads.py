"""Threads over tasks: a pool that pulls from an iterator, stops at the first failure and can be interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

__all__ = ["run_threads"]

Task = TypeVar("Task")
State = TypeVar("State")

_POLL_SECONDS = 0.2
"""How often the main thread looks up while it waits, so that Ctrl-C is seen at once."""


def run_threads(
    tasks: Iterable[Task],
    run: Callable[[Task, State], object],
    state: Callable[[], State],
    workers: int,
    on_stop: Callable[[], object] = lambda: None,
) -> None:
    """Run every task in one of ``workers`` threads, each with a state of its own made by ``state()``.

    Tasks are taken in order. The first exception stops the pool after the tasks in progress and is raised; so does
    an exception in the waiting thread (KeyboardInterrupt). ``on_stop`` is called then, once or more: whatever tasks
    in progress may be waiting for is to let them go.
    """
    if workers == 1:
        own = state()
        for task in tasks:
            run(task, own)
        return
    pool = _Pool(iter(tasks), run, state, on_stop)
    threads = [threading.Thread(target=pool.work, name=f"fastpyr-{n}", daemon=True) for n in range(workers)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(_POLL_SECONDS)
    except BaseException:
        pool.halt()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        raise
    if pool.error is not None:
        raise pool.error


class _Pool(Generic[Task, State]):
    def __init__(
        self,
        tasks: Iterator[Task],
        run: Callable[[Task, State], object],
        state: Callable[[], State],
        on_stop: Callable[[], object],
    ) -> None:
        self._tasks = tasks
        self._run = run
        self._state = state
        self._lock = threading.Lock()
        self._on_stop = on_stop
        self.stop = threading.Event()
        self.error: BaseException | None = None

    def _next(self) -> Iterator[Task]:
        while not self.stop.is_set():
            with self._lock:
                try:
                    task = next(self._tasks)
                except StopIteration:
                    return
            yield task

    def work(self) -> None:
        try:
            own = self._state()
            for task in self._next():
                self._run(task, own)
        except BaseException as error:
            with self._lock:
                self.error = self.error or error
            self.halt()

    def halt(self) -> None:
        """No more tasks."""
        self.stop.set()
        self._on_stop()
