"""A build's progress on a terminal: one bar with rate and time left, silent anywhere else."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from .common import human_bytes

if TYPE_CHECKING:
    from types import TracebackType

    from ..engine import Progress

__all__ = ["BuildProgress"]

_SECONDS_BETWEEN_UPDATES = 0.1


class BuildProgress:
    """Context manager whose ``update`` is a ProgressCallback. Draws only when stderr is a terminal."""

    def __init__(self, quiet: bool = False) -> None:
        self._shown = sys.stderr.isatty() and not quiet
        self._bar: Any = None
        self._task: Any = None
        self._last = 0.0
        self.state: Progress | None = None
        self.started = time.monotonic()
        self._ended: float | None = None

    def __enter__(self) -> BuildProgress:
        self.started = time.monotonic()
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[detail]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task("building", total=None, detail="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = time.monotonic()
        if self._bar is not None:
            if self.state is not None:
                self._draw(self.state)
            self._bar.stop()

    @property
    def seconds(self) -> float:
        """Since the work began, until it ended."""
        return (self._ended or time.monotonic()) - self.started

    def update(self, state: Progress) -> None:
        """Take a new state; draw it unless the last drawing is fresh."""
        self.state = state
        now = time.monotonic()
        if self._bar is not None and now - self._last >= _SECONDS_BETWEEN_UPDATES:
            self._last = now
            self._draw(state)

    def _draw(self, state: Progress) -> None:
        rate = (state.pixels - state.resumed_pixels) / 1e6 / max(self.seconds, 1e-3)
        working = [level for level, (done, planned) in state.level_blocks.items() if done < planned]
        level = f"level {working[0]}" if working else "publishing"
        detail = f"{state.slabs} slabs  {human_bytes(state.bytes)}  {rate:.0f} Mpx/s"
        self._bar.update(self._task, completed=state.blocks, total=state.blocks_total, description=level, detail=detail)
