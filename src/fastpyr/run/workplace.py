"""Where a build works: its staging area and its journal, begun anew or taken over from a build that was interrupted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engine import LOG_NAME, Journal, JournalState, read_journal
from ..errors import ConfigError, FastpyrError
from ..planning import Plan
from ..store import FileStore, MemoryStore, Staging, Store
from ..store.atomic import store_error
from ..store.hidden import HiddenFolder, make_parents, remove_empty
from ..store.staging import FileStaging
from .fingerprint import difference, fingerprint

__all__ = ["Workplace", "check_free", "is_interrupted", "workplace"]


@dataclass(frozen=True, slots=True)
class Workplace:
    """``journal`` None: this build cannot be gone on with. ``published``: the tree has its final name already."""

    store: Store
    name: str
    staging: Staging
    journal: Journal | None = None
    published: bool = False

    def publish(self, overwrite: bool) -> None:
        """Give the tree its final name."""
        if self.journal is not None:
            self.journal.publishing()
        if not self.published:
            self.staging.publish(overwrite)

    def take_back(self, keys: list[str]) -> None:
        """Undo ``publish`` for a new pyramid; ``keys``: its slabs. Errors are passed over: there is one already."""
        with contextlib.suppress(FastpyrError):
            if self.journal is not None and isinstance(self.store, FileStore):
                self.store.unpublish(self.name)
            else:
                for key in keys:
                    self.store.delete(f"{self.name}/{key}")
            self.store.delete(f"{self.name}.list")


@contextlib.contextmanager
def workplace(store: Store, name: str, plan: Plan) -> Iterator[Workplace]:
    """The place for the build of a pyramid.

    Left without an error, scratch files are removed. Left with one, what was written is removed too, unless a slab
    was finished and the build can be gone on with: then it is kept, and a note is added to the error that says so.
    Raises ConfigError when the pyramid exists or an interrupted build of other sources or options is in the way,
    StoreError when another builder is at work.
    """
    options = plan.options
    identity = fingerprint(plan) if options.resume and isinstance(store, FileStore) else None
    if identity is None or not isinstance(store, FileStore):
        check_free(store, name, options.overwrite)
        if isinstance(store, FileStore):
            _forget(store, name)
        with store.stage(name, options.overwrite) as staging:
            yield Workplace(store, name, staging)
        return
    made: list[Path] = []
    folder = store.journal(name)
    try:
        made = make_parents(folder)
        hidden = HiddenFolder(folder, store.path(name), adopt=True)
    except OSError as error:
        remove_empty(made)
        raise store_error("write", folder, error) from error
    try:
        state = _earlier(store, name, identity, options.overwrite, hidden)
        place = _place(store, name, plan, identity, state)
    except BaseException:
        hidden.release()
        _drop_if_empty(folder, made)
        raise
    try:
        yield place
    except BaseException as error:
        _leave(place, hidden, made, error)
        raise
    assert place.journal is not None
    place.staging.abort()
    place.journal.remove_files()
    hidden.remove()


def check_free(store: Store, name: str, overwrite: bool) -> None:
    """Raises ConfigError when there is a pyramid of that name that may not be overwritten."""
    key = f"{name}.json"
    if not overwrite and store.exists(key):
        raise ConfigError(f"{store.location(key)} exists: choose another name, or replace it with --overwrite")


def is_interrupted(store: Store, name: str) -> bool:
    """Whether there are traces of an interrupted build of a pyramid."""
    return isinstance(store, FileStore) and store.journal(name).is_dir()


def _earlier(
    store: FileStore, name: str, identity: dict[str, Any], overwrite: bool, hidden: HiddenFolder
) -> JournalState | None:
    """What an interrupted build left that is to be gone on with; None after removing what is not."""
    state = read_journal(hidden.path) if hidden.adopted else None
    same = state is not None and state.fingerprint == identity
    if not (same and state is not None and state.publishing):
        check_free(store, name, overwrite)
    store.sweep(f"{name}.json")
    store.sweep(f"{name}.list")
    if state is None or same:
        return state
    if state.fingerprint is not None and state.is_worth_keeping and not overwrite:
        raise ConfigError(
            f"{store.building(name)} holds an unfinished build, but {difference(state.fingerprint, identity)}: "
            "go on with it as it was begun, or add --overwrite to start anew"
        )
    return None


def _place(store: FileStore, name: str, plan: Plan, identity: dict[str, Any], state: JournalState | None) -> Workplace:
    """Staging and journal, from the beginning or with what is left of the earlier build."""
    folder, building, tree = store.journal(name), store.building(name), store.path(name)
    if state is None:
        return _new_place(store, name, plan, identity)
    published = state.publishing and not building.exists() and tree.is_dir()
    journal = Journal(folder, plan, identity, state, tree if published else building)
    if published and journal.is_complete:
        store.mend(name)
        # Nothing will be written: an area on disk would only be one more thing to die over.
        return Workplace(store, name, MemoryStore().stage(name), journal, published=True)
    if published:
        store.unpublish(name)
    staging = store.resume(name)
    staging.prune(journal.kept_keys)
    return Workplace(store, name, staging, journal)


def _new_place(store: FileStore, name: str, plan: Plan, identity: dict[str, Any]) -> Workplace:
    log = store.journal(name) / LOG_NAME
    try:
        log.unlink(missing_ok=True)
    except OSError as error:
        raise store_error("remove", log, error) from error
    staging = store.stage(name)
    try:
        return Workplace(store, name, staging, Journal(log.parent, plan, identity))
    except BaseException:
        with contextlib.suppress(FastpyrError, OSError):
            staging.abort()
            log.unlink(missing_ok=True)
        raise


def _leave(place: Workplace, hidden: HiddenFolder, made: list[Path], error: BaseException) -> None:
    """Keep or remove what a failed build has written. Never hides the error."""
    journal, staging = place.journal, place.staging
    assert journal is not None
    assert isinstance(place.store, FileStore)
    if not journal.finished:
        with contextlib.suppress(FastpyrError, OSError):
            staging.abort()
            journal.remove_files()
            hidden.remove()
        hidden.release()
        remove_empty(made)
        return
    journal.close()
    if isinstance(staging, FileStaging):
        staging.suspend()
    hidden.release()
    error.add_note(
        f"{journal.finished} finished slab(s) are kept in {place.store.building(place.name)}: run the same command "
        "again to go on, or add --no-resume to start anew"
    )


def _forget(store: FileStore, name: str) -> None:
    """Remove the journal of an interrupted build that will not be gone on with."""
    folder = store.journal(name)
    if folder.is_dir():
        try:
            HiddenFolder(folder, store.path(name)).remove()
        except OSError as error:
            raise store_error("remove", folder, error) from error


def _drop_if_empty(folder: Path, made: list[Path]) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
    remove_empty(made)
