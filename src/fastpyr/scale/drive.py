"""The coordinator: it hands out parts whose inner parts are done, and adds up what they tell."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from ..engine import BuildResult, ProgressCallback
from ..engine.progress import Counter
from ..engine.written import WrittenSlab
from ..grid import TileLimits
from ..planning import Plan
from ..store import Store
from .executor import Executor
from .job import JobPaper, Task
from .ledger import Ledger
from .outcome import Given, Outcome
from .parts import Part
from .site import remove_keys
from .work import records_key, scratch_name

__all__ = ["Totals", "drive"]

_AHEAD = 2
"""Tasks handed out for each that can run at a time: none waits for the coordinator, and few have to be taken back."""
_POLL_SECONDS = 0.2


class Totals:
    """What all parts together have made."""

    def __init__(self, plan: Plan, progress: ProgressCallback | None) -> None:
        self._plan = plan
        matrix = plan.levels[0].matrix
        self._tile_pixels = matrix.tile_width * matrix.tile_height
        self._counter = Counter({level.id: len(level.blocks) for level in plan.levels}, progress)
        self._limits: list[TileLimits | None] = [None] * len(plan.levels)
        self._slabs: list[WrittenSlab] = []

    def add(self, outcome: Outcome, *, resumed: bool = False) -> None:
        """A part is finished."""
        tiles, sizes = 0, []
        for slab in outcome.slabs:
            tiles += slab.tiles
            sizes += [written.size for written, _ in slab.files]
            self._slabs += [written for written, _ in slab.files]
            if slab.limits is not None:
                known = self._limits[slab.key[0]]
                self._limits[slab.key[0]] = slab.limits if known is None else known.union(slab.limits)
        blocks = {self._plan.levels[level].id: count for level, count in outcome.blocks}
        self._counter.part(blocks, tiles, self._tile_pixels, sizes, resumed=resumed)

    def result(self) -> BuildResult:
        """As a Builder's."""
        return BuildResult(tuple(self._limits), tuple(sorted(self._slabs)), self._counter.tiles, self._counter.pixels)


class _Graph:
    """Which parts can be made now. Larger ones come first: what they wait for lies in the store until then."""

    def __init__(self, ledger: Ledger) -> None:
        self._parts = ledger.parts
        self._order = {part: at for at, part in enumerate(self._parts)}
        left = [part for part in self._order if part not in ledger.done]
        self._inner = dict.fromkeys(left, 0)
        self.inputs: dict[Part, list[tuple[Part, Given]]] = {}
        for part in left:
            outer = self._parts.parent(part)
            if outer is not None and outer in self._inner:
                self._inner[outer] += 1
        for outcome in ledger.restored.values():
            self._note(outcome)
        self._ready = [(-part.tier, self._order[part], part) for part, inner in self._inner.items() if not inner]
        heapq.heapify(self._ready)

    def next(self) -> Part | None:
        """A part to be made now, None when all wait for others."""
        return heapq.heappop(self._ready)[2] if self._ready else None

    def finished(self, outcome: Outcome) -> None:
        """A part is made."""
        self._note(outcome)
        outer = self._parts.parent(outcome.part)
        if outer is not None:
            self._inner[outer] -= 1
            if not self._inner[outer]:
                heapq.heappush(self._ready, (-outer.tier, self._order[outer], outer))

    def _note(self, outcome: Outcome) -> None:
        for to, given in outcome.given:
            self.inputs.setdefault(to, []).append((outcome.part, given))


def drive(
    executor: Executor,
    paper: JobPaper,
    ledger: Ledger,
    store: Store,
    on_outcome: Callable[[Outcome], object],
) -> None:
    """Have all parts made that are not done. Raises what a task raises, when others have noticed the end."""
    graph = _Graph(ledger)
    running = 0
    while True:
        room = _AHEAD * executor.workers - running
        while room > 0 and (part := graph.next()) is not None:
            executor.submit(Task(paper, part, tuple(sorted(graph.inputs.get(part, ())))))
            running += 1
            room -= 1
        if not running:
            return
        for done in executor.wait(_POLL_SECONDS):
            running -= 1
            if done.error is not None:
                raise done.error
            assert done.outcome is not None  # or there were an error
            ledger.record(done.outcome)
            on_outcome(done.outcome)
            read = graph.inputs.pop(done.part, [])
            graph.finished(done.outcome)
            keys = (records_key(inner, done.part) for inner, given in read if given.size)
            remove_keys(store, [paper.site.scratch + scratch_name(key) for key in keys])
