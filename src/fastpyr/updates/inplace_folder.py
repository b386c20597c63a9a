"""A change of a pyramid in a folder: a second tree beside it, which shares all files that stay as they are.

``.X.building`` takes the new slabs. ``commit`` gives it the others as hard links, writes down that the change is
decided, and lets the two trees change places. The old tree is removed, or kept as ``.X.kept``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from typing import Any

from ..engine import FolderNotes, Journal, files_are_whole, read_journal
from ..errors import ConfigError, FastpyrError
from ..planning import Plan
from ..store import FileStore, MemoryStore
from ..store.exchange import force_to_disk
from ..store.hidden import HiddenFolder, remove_tree
from ..store.staging import FileStaging
from .inplace import (
    SUCCESSOR,
    Change,
    as_store_error,
    check_changeable,
    kept_name,
    other_change,
    refuse_others,
    state_of,
    successor,
)
from .note import CHANGE, COMMITTING, DONE, STAGING, UNDOING, Note, forget_note, read_note, write_note
from .trees import INSIDE, NEW, OLD, fill, mark, marked, place

__all__ = ["folder_change", "settle_folder", "undo_folder"]

_HOW_TO_GO_ON = "run the same command again to go on, or take the change back (--rollback)"


class FolderChange(Change):
    """``notes`` are those of the journal, None without one."""

    def __init__(
        self,
        store: FileStore,
        name: str,
        staging: FileStaging,
        note: Note,
        journal: Journal | None = None,
        notes: FolderNotes | None = None,
    ) -> None:
        super().__init__(store, name, staging, journal)
        self._files = store
        self._tree = staging
        self._note = note
        self._journal_notes = notes

    def commit(self, written: Collection[str], removed: Collection[str], listing: bytes, descriptor: bytes) -> None:
        if self.journal is not None:
            self.journal.publishing()
        tree, other = self._files.path(self.name), self._tree.hidden
        with as_store_error(other):
            self._tree.prune(frozenset(written))
            fill(tree, other, {*written, *removed})
        mark(other, NEW, {"descriptor": descriptor, "list": listing})
        with as_store_error(other):
            force_to_disk(other)
        self._note = self._note.now(COMMITTING)
        write_note(self.store, self.name, self._note, CHANGE)
        _go_through(self._files, self.name, self._note)

    def finish(self, lock: HiddenFolder) -> None:
        """Left without an error, with or without a commit: remove what was staged, and the traces of the work."""
        self._tree.abort()
        self._close()
        _forget(self._files, self.name, lock)

    def leave(self, lock: HiddenFolder, error: BaseException) -> None:
        """Keep or remove what a failed change has written. Never hides the error."""
        decided = self._note.phase != STAGING
        if not decided and (self.journal is None or not self.journal.finished):
            with contextlib.suppress(FastpyrError, OSError):
                self.finish(lock)
            return
        if self.journal is None:  # what cannot be gone on with is not to be left half done
            with contextlib.suppress(FastpyrError, OSError):
                note = read_note(self.store, self.name, CHANGE) or self._note
                (_go_back if note.phase == COMMITTING else _go_through)(self._files, self.name, note)
                self.finish(lock)
                return
        self._close()
        self._tree.suspend()
        kept = "the change is decided" if decided else f"the work is kept in {self._tree.hidden}"
        error.add_note(f"{kept}: {_HOW_TO_GO_ON}")

    def _close(self) -> None:
        if self.journal is not None:
            self.journal.close()


@contextlib.contextmanager
def folder_change(
    store: FileStore, name: str, identity: dict[str, Any] | None, plan: Plan | None, keep_old: bool
) -> Iterator[Change]:
    """As ``open_change``; ``identity`` None: without a journal."""
    _refuse_links(store, name)
    with _locked(store, name) as lock:
        finished = _settled(store, name, lock)
        if identity is not None and finished is not None and finished.identity.get("change") == identity:
            done = Change(store, name, MemoryStore().stage(name))
            done.is_done = True
            yield done
            return
        check_changeable(store, name)
        full = {"change": identity, "before": state_of(store, name)}
        change = _begin(store, name, full, plan if identity is not None else None, keep_old)
        try:
            yield change
        except BaseException as error:
            change.leave(lock, error)
            raise
        change.finish(lock)


def settle_folder(store: FileStore, name: str) -> dict[str, Any] | None:
    """As ``settle``."""
    with _locked(store, name) as lock:
        note = _settled(store, name, lock)
    return None if note is None else note.identity.get("change")


def undo_folder(store: FileStore, name: str) -> bool:
    """As ``rollback``."""
    with _locked(store, name) as lock:
        note = read_note(store, name, CHANGE)
        refuse_others(store, name, note)
        if note is not None and note.phase in (COMMITTING, UNDOING):
            _go_back(store, name, note)
            taken_back = True
        elif note is not None and note.phase == STAGING:
            with as_store_error(store.building(name)):
                remove_tree(store.building(name))
            taken_back = False
        else:
            _settled(store, name, lock)
            _bring_back(store, name)
            taken_back = True
        _forget(store, name, lock)
    return taken_back


@contextlib.contextmanager
def _locked(store: FileStore, name: str) -> Iterator[HiddenFolder]:
    """Keep all others away from a pyramid that exists. The folder that is locked goes when nothing is left in it."""
    folder = store.journal(name)
    if not store.exists(f"{name}.json") and read_note(store, name, CHANGE) is None:
        store.get(f"{name}.json")
    with as_store_error(folder):
        lock = HiddenFolder(folder, store.path(name), adopt=True)
    try:
        yield lock
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()
        lock.release()


def _refuse_links(store: FileStore, name: str) -> None:
    """A tree or a descriptor that is a link elsewhere cannot be exchanged for another one."""
    if read_note(store, name, CHANGE) is not None:
        return
    for key in (name, f"{name}.json", f"{name}.list"):
        path = store.path(key)
        if path.is_symlink():
            raise ConfigError(f"{path} is a link: change the pyramid where it is, {os.path.realpath(path)}")


def _begin(store: FileStore, name: str, full: dict[str, Any], plan: Plan | None, keep_old: bool) -> FolderChange:
    """Staging and journal, from the beginning or with what is left of the earlier run."""
    folder = store.journal(name)
    note = read_note(store, name, CHANGE)
    refuse_others(store, name, note)
    store.sweep(f"{name}.json")
    store.sweep(f"{name}.list")
    state = read_journal(folder)
    known = note is not None and state.fingerprint == full
    if plan is not None and not known and note is not None and state.is_worth_keeping:
        raise other_change(store, name, (state.fingerprint or {}).get("change"), full["change"])
    note = Note(full, STAGING, {"keep": keep_old})
    if plan is not None and known:
        write_note(store, name, note, CHANGE)
        notes = FolderNotes(folder)
        journal = Journal(notes, plan, {}, state, files_are_whole(store.building(name), state.boot))
        staging = store.resume(name)
        staging.prune(journal.kept_keys)
        return FolderChange(store, name, staging, note, journal, notes)
    with as_store_error(folder):
        for path in folder.iterdir():
            path.unlink()
    staging = store.stage(name)
    try:
        write_note(store, name, note, CHANGE)
        if plan is None:
            return FolderChange(store, name, staging, note)
        notes = FolderNotes(folder)
        return FolderChange(store, name, staging, note, Journal(notes, plan, {"fingerprint": full}), notes)
    except BaseException:
        with contextlib.suppress(FastpyrError, OSError):
            staging.abort()
            for path in folder.iterdir():
                path.unlink()
            _forget_note(store, name)
        raise


def _settled(store: FileStore, name: str, lock: HiddenFolder) -> Note | None:
    """Bring a decided change, or its undoing, to its end. Returns the note of a change."""
    note = read_note(store, name, CHANGE)
    if note is None or note.phase == STAGING:
        return None
    undoing = note.phase == UNDOING
    (_go_back if undoing else _go_through)(store, name, note)
    _forget(store, name, lock)
    return None if undoing else note


def _go_through(store: FileStore, name: str, note: Note) -> None:
    """The new tree takes its place, the old one goes. Raises StoreError; may be called again then."""
    tree, other = store.path(name), store.building(name)
    if note.phase == COMMITTING:
        with as_store_error(tree):
            place(tree, other, NEW)
        write_note(store, name, note.now(DONE), CHANGE)
    with as_store_error(other):
        force_to_disk(tree.parent)
        if note.place.get("keep") and marked(other) == OLD:
            mark(other, OLD, {SUCCESSOR: _successor(store, name).encode()})
            kept = store.path(kept_name(name))
            remove_tree(kept)
            os.rename(other, kept)
        remove_tree(other)


def _go_back(store: FileStore, name: str, note: Note) -> None:
    """The old tree stays, or takes its place again; the new one goes. Raises StoreError; may be called again then."""
    tree, other, kept = store.path(name), store.building(name), store.path(kept_name(name))
    write_note(store, name, note.now(UNDOING), CHANGE)
    with as_store_error(tree):
        if note.place.get("from_kept") and kept.exists():
            os.rename(kept, other)
        place(tree, other, OLD)
        remove_tree(other)


def _bring_back(store: FileStore, name: str) -> None:
    """Exchange the tree for the one that was kept. Raises ConfigError when there is none."""
    where = store.location(f"{name}.json")
    try:
        then = (store.path(kept_name(name)) / INSIDE / SUCCESSOR).read_text()
    except OSError:
        raise ConfigError(
            f"{where}: there is nothing to take back: no change of it was interrupted, and no old slabs were kept"
        ) from None
    if then != _successor(store, name):
        raise ConfigError(f"{where} was changed since the change that could be taken back: there is no way back")
    other = store.building(name)
    with as_store_error(other):
        remove_tree(other)
    _go_back(store, name, Note({}, UNDOING, {"from_kept": True}))


def _successor(store: FileStore, name: str) -> str:
    listing = f"{name}.list"
    return successor(store.get(f"{name}.json"), store.get(listing) if store.exists(listing) else None)


def _forget(store: FileStore, name: str, lock: HiddenFolder) -> None:
    """Remove the traces of a change that is over."""
    with as_store_error(lock.path):
        for path in lock.path.iterdir():
            path.unlink()
    _forget_note(store, name)


def _forget_note(store: FileStore, name: str) -> None:
    forget_note(store, name, CHANGE)
    tree = store.path(name)
    with contextlib.suppress(OSError):
        remove_tree(tree.with_name(f".{tree.name}.change"))
