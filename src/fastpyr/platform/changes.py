"""Pyramids that a worker changes in place: what is undone, what is left for the next one, what goes."""

from __future__ import annotations

from pathlib import Path

from ..store import FileStore
from ..updates.inplace import forget_kept, kept_name, rollback
from ..updates.note import CHANGE, STAGING, read_note

__all__ = ["drop_old", "drop_staged", "take_back"]


def take_back(descriptor: Path) -> None:
    """Undo what was done to a pyramid in place. New slabs that are not in it yet stay for the next execution.

    Raises StoreError.
    """
    store, name = FileStore(descriptor.parent), descriptor.stem
    found = read_note(store, name, CHANGE)
    if store.path(kept_name(name)).exists() or (found is not None and found.phase != STAGING):
        rollback(store, name)


def drop_old(descriptor: Path) -> None:
    """Remove the old slabs of a change that is written down: it is not taken back any more. Raises StoreError."""
    forget_kept(FileStore(descriptor.parent), descriptor.stem)


def drop_staged(descriptor: Path) -> bool:
    """Remove the new slabs of an interrupted change; False when there are none. Raises StoreError."""
    store, name = FileStore(descriptor.parent), descriptor.stem
    found = read_note(store, name, CHANGE)
    return found is not None and found.phase == STAGING and not rollback(store, name)
