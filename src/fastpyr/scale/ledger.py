"""What an interrupted build of many processes has finished, found out from what its parts have left."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from ..engine import Journal, JournalState, SealedSlab
from ..engine.notes import Notes
from ..engine.records import BlockShape, record_sum
from ..engine.written import SlabKey
from ..planning import Plan
from ..store import StoreNotFound
from .outcome import Outcome
from .parts import Part, Parts
from .work import outcome_key, records_key

__all__ = ["Ledger"]

_THREADS = 16


class Ledger:
    """Stands in for the Journal of a build in one process; the log holds nothing but what the build is about.

    ``restored``: outcomes of the parts that need not be made again: all of their slabs are whole, and what larger
    parts yet to be made need of them is there. ``finished`` counts slabs with tiles that a later build
    can use.
    """

    def __init__(
        self,
        notes: Notes,
        plan: Plan,
        about: dict[str, Any],
        state: JournalState | None = None,
        is_whole: Callable[[SealedSlab], bool] | None = None,
    ) -> None:
        self._shape = BlockShape.of(plan)
        self._notes = notes
        self.parts = Parts(plan)
        self.restored: dict[Part, Outcome] = {}
        self._is_lasting = not about.get("fingerprint", {}).get("once")
        if state is not None and is_whole is not None:
            self._survivors(is_whole)
        self.done = set(self.restored)
        self.finished = 0
        for outcome in self.restored.values():
            self._count(outcome)
        keep = [outcome_key(part) for part in self.restored]
        keep += [records_key(part, to) for part, to in self._needed()]
        notes.keep_only(cast("list[SlabKey]", keep))
        if state is None:
            notes.note(about)

    @classmethod
    def standing_in(cls, *arguments: Any) -> Journal:
        """A ledger where a journal is expected."""
        return cast("Journal", cls(*arguments))

    @property
    def is_complete(self) -> bool:
        """True when no part is left to make."""
        return len(self.done) == len(self.parts)

    @property
    def kept_keys(self) -> set[str]:
        """Keys below the tree of the files of restored slabs."""
        return {
            written.key for outcome in self.restored.values() for slab in outcome.slabs for written, _ in slab.files
        }

    def record(self, outcome: Outcome) -> None:
        """A part is made; that is written down already."""
        self.done.add(outcome.part)
        self._count(outcome)

    def _count(self, outcome: Outcome) -> None:
        if self._is_lasting:
            self.finished += sum(bool(slab.files) for slab in outcome.slabs)

    def publishing(self) -> None:
        """All parts are made: the tree gets its final name from now on. Raises StoreError."""
        self._notes.note({"publishing": True})

    def close(self) -> None:
        """Write no more and leave everything in place."""
        self._notes.close()

    def _needed(self) -> list[tuple[Part, Part]]:
        return [
            (part, to)
            for part, outcome in self.restored.items()
            for to, given in outcome.given
            if given.size and to not in self.restored
        ]

    def _survivors(self, is_whole: Callable[[SealedSlab], bool]) -> None:
        with ThreadPoolExecutor(_THREADS, "ledger") as pool:
            found = dict(zip(self.parts, pool.map(self._outcome, self.parts), strict=True))
        for part in sorted(found, key=lambda part: -part.tier):  # largest first: smaller ones are needed by these
            outcome = found[part]
            if outcome is None or not all(map(is_whole, outcome.slabs)):
                continue
            if all(to in self.restored or self._is_there(part, to, given.size) for to, given in outcome.given):
                self.restored[part] = outcome

    def _outcome(self, part: Part) -> Outcome | None:
        try:
            file, _ = self._notes.open(cast("SlabKey", outcome_key(part)))
            with file:
                outcome = Outcome.of(file.read())
        except (StoreNotFound, ValueError):
            return None
        return outcome if outcome.part == part else None

    def _is_there(self, part: Part, to: Part, size: int) -> bool:
        if not size:
            return True
        try:
            file, found = self._notes.open(cast("SlabKey", records_key(part, to)))
        except StoreNotFound:
            return False
        with file:
            return found == size and record_sum(file, size, self._shape) is not None
