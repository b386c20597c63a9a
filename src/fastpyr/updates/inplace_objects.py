"""A change of a pyramid in object storage, which has neither folders nor renames.

New slabs go to hidden names. ``commit`` copies the old ones that will go to others, writes down that the change is
decided, and puts the new descriptor, which says that slabs are on their way: see ``pyramid.changing``. Then slab
after slab is copied to its name, inside the store; the list follows, and the descriptor as it is to stay.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..engine import Journal, ObjectNotes, read_object_journal
from ..errors import ConfigError, FastpyrError, StoreError
from ..planning import Plan
from ..pyramid.changing import MOVED, NEW, OLD, marked, sides
from ..run.object_place import object_store, objects_are_whole
from ..store import MemoryStore, Store, StoreNotFound
from ..store.claim import Claim
from ..store.object_staging import ObjectStaging, hidden_name
from ..store.objects import ObjectStore
from .inplace import (
    SUCCESSOR,
    Change,
    check_changeable,
    forget_kept,
    kept_name,
    other_change,
    refuse_others,
    state_of,
    successor,
)
from .note import CHANGE, COMMITTING, DONE, STAGING, UNDOING, Note, forget_note, read_note, write_note

__all__ = ["object_change", "settle_objects", "undo_objects"]

_THREADS = 16
_HOW_TO_GO_ON = "run the same command again to go on, or take the change back (--rollback)"


class ObjectChange(Change):
    """``notes`` are those of the journal, None without one."""

    def __init__(
        self,
        tray: ObjectStore,
        staging: ObjectStaging,
        note: Note,
        journal: Journal | None = None,
        notes: ObjectNotes | None = None,
    ) -> None:
        super().__init__(tray, staging.name, staging, journal)
        self._tray = tray
        self._objects = staging
        self._note = note
        self._journal_notes = notes

    def give_up(self) -> None:
        if self._journal_notes is not None:
            self._journal_notes.refuse()
        self._objects.refuse()

    def commit(self, written: Collection[str], removed: Collection[str], listing: bytes, descriptor: bytes) -> None:
        if self.journal is not None:
            self.journal.publishing()
        self._objects.arrive()
        tray, name = self._tray, self.name
        _keep(tray, name, written, removed)
        _tell(tray, hidden_name(name, "change"), written, removed, descriptor, listing)
        self._note = self._note.now(COMMITTING)
        write_note(tray, name, self._note, CHANGE)
        _go_through(tray, name, self._note)

    def finish(self) -> None:
        """Left without an error, with or without a commit: remove what was staged, and the traces of the work."""
        if self.journal is not None:
            self.journal.close()
        committed = self._note.phase != STAGING
        _forget(self._tray, self.name, self._objects.finish if committed else self._objects.abort)

    def leave(self, error: BaseException) -> None:
        """Keep or remove what a failed change has written. Never hides the error."""
        decided = self._note.phase != STAGING
        if self.journal is not None:
            self.journal.close()
        if not decided and (self.journal is None or not self.journal.finished):
            with contextlib.suppress(FastpyrError):
                _forget(self._tray, self.name, self._objects.abort)
            self._objects.suspend()
            return
        if self.journal is None:  # what cannot be gone on with is not to be left half done
            with contextlib.suppress(FastpyrError):
                note = read_note(self._tray, self.name, CHANGE) or self._note
                (_go_back if note.phase == COMMITTING else _go_through)(self._tray, self.name, note)
                self.finish()
                return
        self._objects.suspend()
        kept = (
            "the change is decided" if decided else f"the work is kept in {self._tray.location(self._objects.folder)}"
        )
        error.add_note(f"{kept}: {_HOW_TO_GO_ON}")


@contextlib.contextmanager
def object_change(
    store: Store, name: str, identity: dict[str, Any] | None, plan: Plan | None, keep_old: bool
) -> Iterator[Change]:
    """As ``open_change``; ``identity`` None: without a journal."""
    tray = object_store(store)
    with _claimed(tray, name) as (claim, given_away):
        finished = _settled(tray, name)
        if identity is not None and finished is not None and finished.identity.get("change") == identity:
            done = Change(store, name, MemoryStore(layout=tray.layout).stage(name))
            done.is_done = True
            yield done
            return
        check_changeable(tray, name)
        full = {"change": identity, "before": state_of(tray, name)}
        change = _begin(tray, name, full, plan if identity is not None else None, keep_old, claim)
        given_away()
    try:
        yield change
    except BaseException as error:
        change.leave(error)
        raise
    change.finish()


def settle_objects(store: Store, name: str) -> dict[str, Any] | None:
    """As ``settle``."""
    tray = object_store(store)
    with _claimed(tray, name):
        note = _settled(tray, name)
    return None if note is None else note.identity.get("change")


def undo_objects(store: Store, name: str) -> bool:
    """As ``rollback``."""
    tray = object_store(store)
    with _claimed(tray, name):
        note = read_note(tray, name, CHANGE)
        refuse_others(tray, name, note)
        decided = note is not None and note.phase != STAGING
        if note is not None and note.phase in (COMMITTING, UNDOING):
            _go_back(tray, name, note)
        elif note is None or note.phase == DONE:
            _settled(tray, name)
            _bring_back(tray, name)
            decided = True
        _forget(tray, name, lambda: None)
    return decided


@contextlib.contextmanager
def _claimed(tray: ObjectStore, name: str) -> Iterator[tuple[Claim, Callable[[], None]]]:
    """Keep all others away from a pyramid that exists, until the end or until the claim is given away."""
    if not tray.exists(f"{name}.json"):
        raise StoreNotFound(f"{tray.location(name)}.json does not exist")
    claim = tray.claim(name)
    kept = True

    def give_away() -> None:
        nonlocal kept
        kept = False

    try:
        yield claim, give_away
    finally:
        if kept:
            with contextlib.suppress(StoreError):  # it dies by itself
                claim.release()


def _begin(
    tray: ObjectStore, name: str, full: dict[str, Any], plan: Plan | None, keep_old: bool, claim: Claim
) -> ObjectChange:
    """Staging and journal, from the beginning or with what is left of the earlier run."""
    folder = tray.journal(name)
    before = read_note(tray, name, CHANGE)
    refuse_others(tray, name, before)
    state = read_object_journal(tray, folder)
    known = before is not None and state is not None and state.fingerprint == full
    if plan is not None and before is not None and state is not None and not known and state.is_worth_keeping:
        raise other_change(tray, name, (state.fingerprint or {}).get("change"), full["change"])
    note = Note(full, STAGING, {"keep": keep_old})
    write_note(tray, name, note, CHANGE)
    if plan is not None and known:
        staging = ObjectStaging(tray, name, claim, aside=True)
    else:
        tray.delete_all(list(tray.keys(folder)))
        staging = ObjectStaging.begin(tray, name, True, claim, inherited=True)
        state = None
    if plan is None:
        return ObjectChange(tray, staging, note)
    notes = ObjectNotes(tray, folder, staging)
    try:
        whole = None if state is None else objects_are_whole(tray, staging.folder)
        journal = Journal(notes, plan, {"fingerprint": full, "aside": True}, state, whole)
        staging.adopt(journal.kept_keys)
        return ObjectChange(tray, staging, note, journal, notes)
    except BaseException:
        notes.close()
        staging.suspend()
        raise


def _settled(tray: ObjectStore, name: str) -> Note | None:
    """Bring a decided change, or its undoing, to its end. Returns the note of a change."""
    note = read_note(tray, name, CHANGE)
    if note is None or note.phase == STAGING:
        return None
    undoing = note.phase == UNDOING
    (_go_back if undoing else _go_through)(tray, name, note)
    _forget(tray, name, lambda: None)
    return None if undoing else note


def _keep(tray: ObjectStore, name: str, written: Collection[str], removed: Collection[str]) -> None:
    """Copy the old slabs that will be replaced or removed, and descriptor and list."""
    kept = kept_name(name)
    forget_kept(tray, name)
    touched = {*written, *removed}
    there = sorted(touched.intersection(key.removeprefix(f"{name}/") for key in tray.keys(f"{name}/")))
    _copies(tray, ((f"{name}/{key}", f"{kept}/{key}") for key in there))
    listing = tray.get(f"{name}.list") if tray.exists(f"{name}.list") else None
    _tell(tray, kept, there, touched.difference(there), tray.get(f"{name}.json"), listing)


def _tell(
    tray: ObjectStore,
    folder: str,
    moved: Iterable[str],
    gone: Iterable[str],
    descriptor: bytes,
    listing: bytes | None,
) -> None:
    """Write what belongs to one side of a change, old or new."""
    tray.put(f"{folder}/descriptor", [descriptor])
    if listing is not None:
        tray.put(f"{folder}/list", [listing])
    tray.put(f"{folder}/{MOVED}", [json.dumps({"moved": sorted(moved), "gone": sorted(gone)}).encode()])


def _install(tray: ObjectStore, name: str, which: str) -> None:
    """Make one side of a change the pyramid. From the first step on readers see all of it."""
    slabs, about = sides(name, which)
    facts = json.loads(tray.get(f"{about}/{MOVED}"))
    descriptor = tray.get(f"{about}/descriptor")
    tray.put(f"{name}.json", [marked(descriptor, which)])
    _copies(tray, ((f"{slabs}/{key}", f"{name}/{key}") for key in facts["moved"]))
    tray.delete_all([f"{name}/{key}" for key in facts["gone"]])
    try:
        tray.put(f"{name}.list", [tray.get(f"{about}/list")])
    except StoreNotFound:
        tray.delete(f"{name}.list")
    tray.put(f"{name}.json", [descriptor])


def _copies(tray: ObjectStore, pairs: Iterable[tuple[str, str]]) -> None:
    with ThreadPoolExecutor(_THREADS, "change") as pool:
        try:
            for _ in pool.map(lambda pair: tray.copy(*pair), pairs):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _go_through(tray: ObjectStore, name: str, note: Note) -> None:
    """The new slabs take their places, the old ones go. Raises StoreError; may be called again then."""
    if note.phase == COMMITTING:
        _install(tray, name, NEW)
        write_note(tray, name, note.now(DONE), CHANGE)
    if note.place.get("keep"):
        tray.put(f"{kept_name(name)}/{SUCCESSOR}", [_successor(tray, name)])
    else:
        forget_kept(tray, name)


def _go_back(tray: ObjectStore, name: str, note: Note) -> None:
    """The old slabs are at their places again. Raises StoreError; may be called again then."""
    write_note(tray, name, note.now(UNDOING), CHANGE)
    _install(tray, name, OLD)
    write_note(tray, name, Note({}, DONE, {"keep": False}), CHANGE)  # of no change: nothing was made
    forget_kept(tray, name)


def _bring_back(tray: ObjectStore, name: str) -> None:
    """Put the slabs back that were kept. Raises ConfigError when there are none."""
    where = tray.location(f"{name}.json")
    try:
        then = tray.get(f"{kept_name(name)}/{SUCCESSOR}")
    except StoreNotFound:
        raise ConfigError(
            f"{where}: there is nothing to take back: no change of it was interrupted, and no old slabs were kept"
        ) from None
    if then != _successor(tray, name):
        raise ConfigError(f"{where} was changed since the change that could be taken back: there is no way back")
    _go_back(tray, name, Note({}, UNDOING, {"keep": False}))


def _successor(tray: ObjectStore, name: str) -> bytes:
    listing = tray.get(f"{name}.list") if tray.exists(f"{name}.list") else None
    return successor(tray.get(f"{name}.json"), listing).encode()


def _forget(tray: ObjectStore, name: str, staged: Callable[[], None]) -> None:
    """Remove the traces of a change that is over, the note last; ``staged`` removes the staged slabs of this run."""
    change = hidden_name(name, "change")
    tray.delete_all(list(tray.keys(tray.journal(name))))
    tray.delete_all([f"{change}/{MOVED}", f"{change}/descriptor", f"{change}/list"])
    building = hidden_name(name, "building")
    tray.delete_all([key for key in tray.keys(f"{building}/") if "/claim-" not in key[len(building) :]])
    if not tray.exists(f"{kept_name(name)}/{SUCCESSOR}"):  # copies of a commit that was not decided
        forget_kept(tray, name)
    forget_note(tray, name, CHANGE)
    staged()
