"""Changing a pyramid where it is: readers see the old one or the new one, whenever the work ends.

New slabs are written where no reader looks. ``commit`` then decides: from that moment on whoever comes next goes
through with the change. ``.<name>.change/note`` says how far it has come.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..engine import Journal
from ..errors import ConfigError
from ..planning import Plan
from ..pyramid.descriptor import Descriptor, parse_descriptor
from ..run.fingerprint import difference
from ..run.workplace import is_interrupted
from ..store import FileStore, MemoryStore, Staging, Store, StoreNotFound
from ..store.atomic import store_error
from ..store.hidden import remove_tree
from ..store.object_staging import hidden_name
from ..store.objects import ObjectStore
from .inventory import modified
from .linkers import find_linkers
from .note import CHANGE, COPY, Note, read_note

SUCCESSOR = "successor"
"""What is beside kept slabs, and says of which pyramid they are the old ones."""


class Change:
    """A change of the pyramid ``name`` under way.

    ``staging`` takes the new slabs. ``journal`` None: what is staged cannot be gone on with. ``is_done``: an earlier
    run of the same change was decided and is finished now; nothing is left to do.
    """

    def __init__(self, store: Store, name: str, staging: Staging, journal: Journal | None = None) -> None:
        self.store = store
        self.name = name
        self.staging = staging
        self.journal = journal
        self.is_done = False

    def give_up(self) -> None:
        """The work has failed or was stopped: nobody is to wait for a slow store any more."""

    def commit(self, written: Collection[str], removed: Collection[str], listing: bytes, descriptor: bytes) -> None:
        """Make the change: call it once, when all slabs are staged.

        Args:
            written: keys below the tree of the staged slabs, which are new or replace old ones.
            removed: keys below the tree of the slabs that are no more.
            listing: the new list, of all slabs.
            descriptor: the new descriptor.

        Raises StoreError: the pyramid is the old one then, or the change is decided and the next call of open_change,
        settle or rollback finishes it.
        """
        raise NotImplementedError


@contextlib.contextmanager
def open_change(
    store: Store,
    name: str,
    identity: Mapping[str, Any] | None,
    plan: Plan | None = None,
    *,
    keep_old: bool = False,
    even_if_linked: bool = False,
    search: Iterable[str | os.PathLike[str]] = (),
) -> Iterator[Change]:
    """Begin to change the pyramid ``name``, or go on with a change of the same ``identity`` that was interrupted.

    Left without ``commit``, nothing has changed. Left with an error, staged slabs are kept when one was finished and
    the change can be gone on with; a note is added to the error that says so.

    Args:
        identity: what tells this change from others: what the user asked for, not what was found in the pyramid. None:
            it cannot be gone on with.
        plan: what is built, for the journal; without one the change cannot be gone on with.
        keep_old: keep the old slabs, for ``rollback`` after the commit.
        even_if_linked: change it although other pyramids have links to its slabs.
        search: places where such pyramids are looked for, besides the pyramid's own.

    Raises ConfigError when the pyramid cannot be changed in place, others link to it, or other unfinished work is kept
    beside it; StoreError when somebody else is at work on it.
    """
    known = None if identity is None or plan is None else json.loads(json.dumps(dict(identity)))
    if not even_if_linked:
        _refuse_linked(store, name, search)
    if isinstance(store, FileStore):
        from .inplace_folder import folder_change

        context = folder_change(store, name, known, plan, keep_old)
    elif isinstance(store, MemoryStore):
        from .inplace_memory import memory_change

        context = memory_change(store, name, keep_old)
    else:
        from .inplace_objects import object_change

        context = object_change(store, name, known, plan, keep_old)
    with context as change:
        yield change


def settle(store: Store, name: str) -> dict[str, Any] | None:
    """Go through with a change of the pyramid ``name`` that was decided and interrupted: its identity.

    None when there was none, or none that can be known again. What the next change does first; call it before the old
    pyramid is read. Raises StoreError.
    """
    if isinstance(store, MemoryStore) or read_note(store, name, CHANGE) is None:
        return None
    if isinstance(store, FileStore):
        from .inplace_folder import settle_folder

        return settle_folder(store, name)
    from .inplace_objects import settle_objects

    return settle_objects(store, name)


def rollback(store: Store, name: str) -> bool:
    """Take back an interrupted change of the pyramid ``name``, or the last one when its old slabs were kept.

    True: a decided change was taken back. False: only staged slabs were removed. Raises ConfigError when there is
    nothing to take back.
    """
    if isinstance(store, FileStore):
        from .inplace_folder import undo_folder

        return undo_folder(store, name)
    if isinstance(store, MemoryStore):
        from .inplace_memory import undo_memory

        return undo_memory(store, name)
    from .inplace_objects import undo_objects

    return undo_objects(store, name)


def kept_name(name: str) -> str:
    """Where the old slabs of a change that may be taken back are kept."""
    return hidden_name(name, "kept")


def forget_kept(store: Store, name: str) -> None:
    """Remove the old slabs that were kept for ``rollback``. Raises StoreError."""
    kept = kept_name(name)
    if isinstance(store, FileStore):
        with as_store_error(store.path(kept)):
            remove_tree(store.path(kept))
        return
    store.delete(f"{kept}/{SUCCESSOR}")  # first: what is left is not to be brought back
    keys = list(store.keys(f"{kept}/") if isinstance(store, ObjectStore) else store.list(kept))
    if isinstance(store, ObjectStore):
        store.delete_all(keys)
        return
    for key in keys:
        store.delete(key)


@contextlib.contextmanager
def as_store_error(path: Path) -> Iterator[None]:
    """OSErrors of writing become StoreErrors; ``path`` is named where they name none."""
    try:
        yield
    except OSError as error:
        raise store_error("write", Path(error.filename) if error.filename else path, error) from error


def state_of(store: Store, name: str) -> str:
    """What tells the pyramid as it is now from what it is after a change. Raises StoreError."""
    return f"{successor(*_both(store, name))} {modified(store, f'{name}.json')}"


def successor(descriptor: bytes, listing: bytes | None) -> str:
    """What tells a committed pyramid from one that was changed by others since."""
    return hashlib.sha256(descriptor + b"\0" + (listing or b"")).hexdigest()


def _both(store: Store, name: str) -> tuple[bytes, bytes | None]:
    descriptor = store.get(f"{name}.json")
    try:
        return descriptor, store.get(f"{name}.list")
    except StoreNotFound:
        return descriptor, None


def check_changeable(store: Store, name: str) -> Descriptor:
    """The descriptor of a pyramid whose slabs are all in its own tree, under their usual names.

    Raises ConfigError for another one, StoreError or DescriptorError for one that cannot be read.
    """
    place = store.location(f"{name}.json")
    descriptor = parse_descriptor(store.get(f"{name}.json"), os.path.basename(name))
    layout = store.layout
    own = os.path.basename(name) if layout.is_file else name
    for level in descriptor.levels:
        expected = [layout.level(own, kind, level.id) for kind in _kinds(descriptor)]
        found = [level.image_directory, level.mask_directory][: len(expected)]
        tray = None if level.tray is None else level.tray.partition("@")[0]
        if found != expected or level.storage is not layout.storage or tray != layout.tray:
            raise ConfigError(
                f"{place} cannot be changed in place, the slabs of its level {level.id} are in "
                f"{tray + '/' if tray else ''}{level.image_directory}: copy it first (fastpyr copy)"
            )
    return descriptor


def _kinds(descriptor: Descriptor) -> list[Any]:
    from ..formats import SlabKind

    return [SlabKind.DATA, SlabKind.MASK] if descriptor.mask else [SlabKind.DATA]


def _refuse_linked(store: Store, name: str, search: Iterable[str | os.PathLike[str]]) -> None:
    linkers = find_linkers(store, name, search)
    if linkers:
        more = f" and {len(linkers) - 1} more" if len(linkers) > 1 else ""
        raise ConfigError(
            f"{store.location(f'{name}.json')} is linked to by {linkers[0].location}{more}: {linkers[0].reason}, which "
            "would change too; make a new pyramid instead (--from), or add --even-if-linked"
        )


def refuse_others(store: Store, name: str, note: Note | None) -> None:
    """Raise ConfigError when an interrupted build or copy is kept beside a pyramid."""
    if read_note(store, name, COPY) is not None or (note is None and is_interrupted(store, name)):
        raise ConfigError(f"an interrupted build or copy of {store.location(name)} is kept beside it: finish it first")


def other_change(store: Store, name: str, then: dict[str, Any] | None, now: dict[str, Any]) -> ConfigError:
    """The error for a change that is in the way of another one."""
    why = ""
    if then is not None and "versions" in then and "versions" in now:
        why = f" ({difference(then, now)})"
    return ConfigError(
        f"an interrupted change of {store.location(f'{name}.json')} is kept beside it, and it is another one{why}: go "
        "on with it as it was begun, or take it back (--rollback)"
    )
