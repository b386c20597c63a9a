"""Where a build works: its staging area and its journal, begun anew or taken over from a build that was interrupted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from ..engine import Journal, JournalState, SealedSlab
from ..engine.notes import Notes
from ..errors import ConfigError, FastpyrError
from ..planning import Plan
from ..store import FileStore, MemoryStore, Staging, Store
from ..store.object_staging import hidden_name
from .fingerprint import PARTS_FORMAT, difference, fingerprint, unrepeatable

__all__ = [
    "Workplace",
    "check_free",
    "check_same",
    "how_to_go_on",
    "is_changing",
    "is_interrupted",
    "journal_of",
    "workplace",
]


class Workplace:
    """``journal`` None: this build cannot be gone on with. ``is_done``: nothing is left to build or to publish.
    ``is_placed``: the tree is whole and has its final name; list and descriptor are missing.
    """

    def __init__(self, store: Store, name: str, staging: Staging, journal: Journal | None = None) -> None:
        self.store = store
        self.name = name
        self.staging = staging
        self.journal = journal
        self.is_done = False
        self.is_placed = False

    def publish(self, overwrite: bool) -> None:
        """Give the tree its final name."""
        self.staging.publish(overwrite)

    def complete(self, overwrite: bool, keys: list[str], listing: bytes, descriptor: bytes) -> None:
        """Slabs (``keys``), then list, then descriptor get their final names.

        A new pyramid whose list or descriptor cannot be written is taken back.
        """
        existed = self.store.exists(f"{self.name}.json")
        self.publish(overwrite)
        try:
            self.store.put(f"{self.name}.list", [listing])
            self.store.put(f"{self.name}.json", [descriptor])
        except BaseException:
            if not existed:
                self.take_back(keys)
            raise

    def keys(self) -> tuple[str, str]:
        """Where other processes write: beginnings of the keys in the store of slabs, and of scratch files."""
        raise NotImplementedError

    def adopt(self, keys: list[str]) -> None:
        """Other processes have written these slabs."""

    def give_up(self) -> None:
        """The build has failed or was stopped: nobody is to wait for a slow store any more."""

    def take_back(self, keys: list[str]) -> None:
        """Undo ``publish`` for a new pyramid; ``keys``: its slabs. Errors are passed over: there is one already."""
        with contextlib.suppress(FastpyrError):
            for key in keys:
                self.store.delete(f"{self.name}/{key}")
            self.store.delete(f"{self.name}.list")


@contextlib.contextmanager
def workplace(store: Store, name: str, plan: Plan, base: Any = None) -> Iterator[Workplace]:
    """The place for the build of a pyramid; ``base`` as for ``fingerprint``.

    Left without an error, scratch files are removed. Left with one, what was written is removed too, unless a slab
    was finished and the build can be gone on with: then it is kept, and a note is added to the error that says so.
    Raises ConfigError when the pyramid exists or an interrupted build of other sources or options is in the way,
    StoreError when another builder is at work.
    """
    options = plan.options
    identity = fingerprint(plan, base) if options.resume and not isinstance(store, MemoryStore) else None
    if options.executor != "threads":
        # What parts leave for each other lies in the journal, whether or not a later build can go on with it.
        identity = (identity or unrepeatable()) | {"parts": PARTS_FORMAT}
    with contextlib.ExitStack() as stack:
        if isinstance(store, FileStore):
            from .folder_place import folder_place

            place = stack.enter_context(folder_place(store, name, plan, identity))
        elif isinstance(store, MemoryStore):
            check_free(store, name, options.overwrite)
            place = Workplace(store, name, stack.enter_context(store.stage(name, options.overwrite)))
        else:
            from .object_place import object_place, object_store

            place = stack.enter_context(object_place(object_store(store), name, plan, identity))
        yield place


def journal_of(
    notes: Notes,
    plan: Plan,
    about: dict[str, Any],
    state: JournalState | None = None,
    is_whole: Callable[[SealedSlab], bool] | None = None,
) -> Journal:
    """The journal of a build in one process, or what stands in for it when other processes make the parts."""
    if plan.options.executor == "threads":
        return Journal(notes, plan, about, state, is_whole)
    from ..scale.ledger import Ledger

    return Ledger.standing_in(notes, plan, about, state, is_whole)


def check_free(store: Store, name: str, overwrite: bool) -> None:
    """Raises ConfigError when there is a pyramid of that name that may not be overwritten."""
    key = f"{name}.json"
    if not overwrite and store.exists(key):
        raise ConfigError(f"{store.location(key)} exists: choose another name, or replace it with --overwrite")
    if overwrite and is_changing(store, name):
        raise ConfigError(
            f"an interrupted change of {store.location(key)} is kept beside it: go on with it, or take it back "
            "(fastpyr update --rollback) before you replace it"
        )


def check_same(state: JournalState, identity: dict[str, Any], place: str, overwrite: bool) -> bool:
    """Whether the interrupted build of ``state`` is this one.

    Raises ConfigError when it is another one that is worth keeping, unless it may be overwritten. ``place`` is where
    it is.
    """
    if state.fingerprint == identity:
        return True
    if state.fingerprint is not None and state.is_worth_keeping and not overwrite:
        raise ConfigError(
            f"{place} holds an unfinished build, but {difference(state.fingerprint, identity)}: "
            "go on with it as it was begun, or add --overwrite to start anew"
        )
    return False


def is_changing(store: Store, name: str) -> bool:
    """Whether a change of a pyramid in place was interrupted."""
    return store.exists(f"{hidden_name(name, 'change')}/note")


def how_to_go_on(slabs: int, place: str) -> str:
    """The note of an error that ended a build."""
    return (
        f"{slabs} finished slab(s) are kept in {place}: run the same command again to go on, "
        "or add --no-resume to start anew"
    )


def is_interrupted(store: Store, name: str) -> bool:
    """Whether there are traces of an interrupted build of a pyramid."""
    if isinstance(store, MemoryStore):
        return False
    if is_changing(store, name):
        return True
    if isinstance(store, FileStore):
        from .folder_place import has_traces

        return has_traces(store, name)
    from .object_place import object_store

    tray = object_store(store)
    return next(tray.keys(tray.journal(name)), None) is not None
