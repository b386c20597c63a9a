"""A build into a folder: the tree and the journal are hidden folders beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..engine import FolderNotes, Journal, JournalState, files_are_whole, read_journal
from ..errors import FastpyrError
from ..planning import Plan
from ..store import FileStore, MemoryStore, Staging
from ..store.atomic import store_error
from ..store.hidden import HiddenFolder, make_parents, remove_empty
from ..store.staging import FileStaging
from .workplace import Workplace, check_free, check_same, how_to_go_on, journal_of

__all__ = ["folder_place", "has_traces"]


class FolderWorkplace(Workplace):
    def __init__(
        self, store: FileStore, name: str, staging: Staging, journal: Journal, notes: FolderNotes, placed: bool
    ) -> None:
        super().__init__(store, name, staging, journal)
        self._files = store
        self._journal = journal
        self._notes = notes
        self.is_placed = placed

    def keys(self) -> tuple[str, str]:
        folders = self._files.building(self.name), self._files.journal(self.name)
        tree, scratch = (f"{folder.relative_to(self._files.root).as_posix()}/" for folder in folders)
        return tree, scratch

    def publish(self, overwrite: bool) -> None:
        self._journal.publishing()
        if not self.is_placed:
            self.staging.publish(overwrite)

    def take_back(self, keys: list[str]) -> None:
        with contextlib.suppress(FastpyrError):
            self._files.unpublish(self.name)
            self.store.delete(f"{self.name}.list")

    def finish(self, hidden: HiddenFolder) -> None:
        """The pyramid is there: remove what only its builder needs."""
        self.staging.abort()
        self._notes.say_farewell()
        hidden.remove()
        self._notes.forget(hidden.path)

    def leave(self, hidden: HiddenFolder, made: list[Path], error: BaseException) -> None:
        """Keep or remove what a failed build has written. Never hides the error."""
        if not self._journal.finished:
            with contextlib.suppress(FastpyrError, OSError):
                self.staging.abort()
                self._notes.remove()
                hidden.remove()
            hidden.release()
            remove_empty(made)
            return
        self._journal.close()
        if isinstance(self.staging, FileStaging):
            self.staging.suspend()
        hidden.release()
        error.add_note(how_to_go_on(self._journal.finished, str(self._files.building(self.name))))


@contextlib.contextmanager
def folder_place(store: FileStore, name: str, plan: Plan, identity: dict[str, Any] | None) -> Iterator[Workplace]:
    """As ``workplace``; ``identity`` None: without a journal."""
    overwrite = plan.options.overwrite
    if identity is None:
        check_free(store, name, overwrite)
        _forget(store, name)
        with store.stage(name, overwrite) as staging:
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
        state = _earlier(store, name, identity, overwrite)
        if state is not None and state.published:
            hidden.remove()
            FolderNotes.forget(folder)
            done = Workplace(store, name, MemoryStore().stage(name))
            done.is_done = True
            yield done
            return
        place = _place(store, name, plan, identity, state)
    except BaseException:
        hidden.release()
        _drop_if_empty(folder, made)
        raise
    try:
        yield place
    except BaseException as error:
        place.leave(hidden, made, error)
        raise
    place.finish(hidden)


def has_traces(store: FileStore, name: str) -> bool:
    """Whether a build of that pyramid was interrupted, be it at its very end."""
    folder = store.journal(name)
    return (folder.is_dir() and any(folder.iterdir())) or read_journal(folder).published


def _earlier(store: FileStore, name: str, identity: dict[str, Any], overwrite: bool) -> JournalState | None:
    """What an interrupted build left that is to be gone on with; None when there is no such thing."""
    state = read_journal(store.journal(name))
    same = state.fingerprint == identity
    if same and state.published and store.exists(f"{name}.json"):
        return state
    if not (same and state.publishing):
        check_free(store, name, overwrite)
    store.sweep(f"{name}.json")
    store.sweep(f"{name}.list")
    if state.published or not check_same(state, identity, str(store.building(name)), overwrite):
        return None
    return state


def _place(
    store: FileStore, name: str, plan: Plan, identity: dict[str, Any], state: JournalState | None
) -> FolderWorkplace:
    """Staging and journal, from the beginning or with what is left of the earlier build."""
    folder, building, tree = store.journal(name), store.building(name), store.path(name)
    if state is None:
        return _new_place(store, name, plan, identity)
    published = state.publishing and not building.exists() and tree.is_dir()
    notes = FolderNotes(folder)
    is_whole = files_are_whole(tree if published else building, state.boot)
    journal = journal_of(notes, plan, {}, state, is_whole)
    if published and journal.is_complete:
        store.mend(name)
        # Nothing will be written: an area on disk would only be one more thing to die over.
        return FolderWorkplace(store, name, MemoryStore().stage(name), journal, notes, placed=True)
    if published:
        store.unpublish(name)
    staging = store.resume(name)
    staging.prune(journal.kept_keys)
    return FolderWorkplace(store, name, staging, journal, notes, placed=False)


def _new_place(store: FileStore, name: str, plan: Plan, identity: dict[str, Any]) -> FolderWorkplace:
    folder = store.journal(name)
    FolderNotes.forget(folder)
    staging = store.stage(name)
    try:
        notes = FolderNotes(folder)
        journal = journal_of(notes, plan, {"fingerprint": identity})
        return FolderWorkplace(store, name, staging, journal, notes, placed=False)
    except BaseException:
        with contextlib.suppress(FastpyrError, OSError):
            staging.abort()
            FolderNotes.forget(folder)
        raise


def _forget(store: FileStore, name: str) -> None:
    """Remove the journal of an interrupted build that will not be gone on with."""
    folder = store.journal(name)
    if folder.is_dir():
        try:
            HiddenFolder(folder, store.path(name)).remove()
        except OSError as error:
            raise store_error("remove", folder, error) from error
    FolderNotes.forget(folder)


def _drop_if_empty(folder: Path, made: list[Path]) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
    remove_empty(made)
