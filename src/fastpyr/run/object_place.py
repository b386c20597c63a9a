"""A build into object storage: the journal is made of hidden objects beside the tree."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from ..engine import Journal, JournalState, ObjectNotes, SealedSlab, read_object_journal
from ..engine.object_notes import SCRATCH
from ..errors import FastpyrError, StoreError
from ..planning import Plan
from ..store import Store
from ..store.claim import Claim
from ..store.object_staging import ObjectStaging
from ..store.objects import ObjectStore
from .workplace import Workplace, check_free, check_same, how_to_go_on, journal_of

__all__ = ["object_place", "object_store", "objects_are_whole"]


class _WithoutJournal(Workplace):
    def __init__(self, store: ObjectStore, staging: ObjectStaging) -> None:
        super().__init__(store, staging.name, staging)
        self._objects = staging

    def give_up(self) -> None:
        self._objects.refuse()


class ObjectWorkplace(Workplace):
    """``publishing``: an earlier build came so far that a descriptor may be its own."""

    def __init__(
        self, store: ObjectStore, staging: ObjectStaging, journal: Journal, notes: ObjectNotes, publishing: bool
    ) -> None:
        super().__init__(store, staging.name, staging, journal)
        self._tray = store
        self._objects = staging
        self._journal = journal
        self._notes = notes
        self._publishing = publishing

    def give_up(self) -> None:
        self._notes.refuse()
        self._objects.refuse()

    def keys(self) -> tuple[str, str]:
        return self._objects.folder, self._tray.journal(self.name) + SCRATCH

    def adopt(self, keys: list[str]) -> None:
        self._objects.adopt(keys)

    def publish(self, overwrite: bool) -> None:
        self._journal.publishing()
        self._objects.install(overwrite or self._publishing)

    def take_back(self, keys: list[str]) -> None:
        """Slabs without descriptor are no pyramid: they stay to be gone on with."""
        with contextlib.suppress(FastpyrError):
            self.store.delete(f"{self.name}.list")

    def finish(self, identity: dict[str, Any]) -> None:
        """The pyramid is there: remove what only its builder needs."""
        self._notes.say_farewell(identity, self._objects.finish)

    def leave(self, error: BaseException) -> None:
        """Keep or remove what a failed build has written. Never hides the error."""
        self._journal.close()
        if not self._journal.finished:
            with contextlib.suppress(FastpyrError):
                self._notes.remove()
                self._objects.abort()
        else:
            place = self._tray.location(self._objects.folder)
            error.add_note(how_to_go_on(self._journal.finished, place))
        self._objects.suspend()


def object_store(store: Store) -> ObjectStore:
    """``store``, which is one of objects."""
    assert isinstance(store, ObjectStore)
    return store


@contextlib.contextmanager
def object_place(store: ObjectStore, name: str, plan: Plan, identity: dict[str, Any] | None) -> Iterator[Workplace]:
    """As ``workplace``; ``identity`` None: without a journal."""
    overwrite = plan.options.overwrite
    if identity is None:
        check_free(store, name, overwrite)
        claim = store.claim(name)
        with _released_by_failure(claim):
            inherited = _forget(store, name)
        with ObjectStaging.begin(store, name, overwrite, claim, inherited) as staging:
            yield _WithoutJournal(store, staging)
        return
    claim = store.claim(name)
    with _released_by_failure(claim):
        state = _earlier(store, name, identity, overwrite)
    if state is not None and state.published:
        yield from _last_steps(store, name, claim)
        return
    place = _place(store, name, plan, identity, state, claim)
    try:
        yield place
    except BaseException as error:
        place.leave(error)
        raise
    place.finish(identity)


def _last_steps(store: ObjectStore, name: str, claim: Claim) -> Iterator[Workplace]:
    """Only the end of an earlier build's end is missing."""
    staging = ObjectStaging(store, name, claim, aside=True)  # hidden slabs, if there were any, may be left
    place = Workplace(store, name, staging)
    place.is_done = True
    with _released_by_failure(claim):
        yield place
    staging.finish()
    _forget(store, name)


@contextlib.contextmanager
def _released_by_failure(claim: Claim) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(StoreError):
            claim.release()
        raise


def _earlier(store: ObjectStore, name: str, identity: dict[str, Any], overwrite: bool) -> JournalState | None:
    """What an interrupted build left that is to be gone on with; None when there is no such thing."""
    state = read_object_journal(store, store.journal(name))
    if state is None:
        check_free(store, name, overwrite)
        return None
    exists = store.exists(f"{name}.json")
    same = state.fingerprint == identity
    if same and exists and state.published:
        return state
    if not (same and state.publishing):
        check_free(store, name, overwrite)
    if state.published or not check_same(state, identity, store.location(f"{name}/"), overwrite):
        return None
    # A pyramid that came in between is replaced as a whole: what was written may be among its slabs.
    return state if state.aside or state.publishing or not exists else None


def _place(
    store: ObjectStore,
    name: str,
    plan: Plan,
    identity: dict[str, Any],
    state: JournalState | None,
    claim: Claim,
) -> ObjectWorkplace:
    """Staging and journal, from the beginning or with what is left of the earlier build."""
    if state is None:
        with _released_by_failure(claim):
            inherited = _forget(store, name)
        staging = ObjectStaging.begin(store, name, plan.options.overwrite, claim, inherited)
    else:
        staging = ObjectStaging(store, name, claim, state.aside)
    notes = ObjectNotes(store, store.journal(name), staging)
    try:
        about = {"fingerprint": identity, "aside": staging.aside}
        is_whole = objects_are_whole(store, staging.folder) if state else None
        journal = journal_of(notes, plan, about, state, is_whole)
        staging.adopt(journal.kept_keys)
        return ObjectWorkplace(store, staging, journal, notes, state is not None and state.publishing)
    except BaseException:
        notes.close()
        staging.suspend()
        raise


def objects_are_whole(store: ObjectStore, folder: str) -> Callable[[SealedSlab], bool]:
    """Whether the objects of a slab below ``folder`` are there in full."""
    sizes = store.sizes(folder)
    return lambda slab: all(sizes.get(folder + written.key) == written.size for written, _ in slab.files)


def _forget(store: ObjectStore, name: str) -> bool:
    """Remove the journal of an earlier build: whether there was one."""
    found = list(store.keys(store.journal(name)))
    store.delete_all(found)
    return bool(found)
