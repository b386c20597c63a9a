"""What a copy writes down for itself beside its target, so that the same command goes on where it was stopped.

One hidden object ``.<name>.copying/note``: JSON with the copy's identity and the phase it is in. A note that cannot
be read is no note.
"""

from __future__ import annotations

import json
from typing import Any

from ..frozen import frozen
from ..store import Store
from ..store.object_staging import hidden_name

__all__ = ["COPYING", "PLACING", "Note", "forget_note", "read_note", "write_note"]

COPYING = "copying"
"""Slabs are written where no reader looks; a descriptor of the target's name is that of an older pyramid."""

PLACING = "placing"
"""The older pyramid's descriptor is gone; a descriptor of the target's name is that of the finished copy."""

_MAX_BYTES = 2**20


@frozen
class Note:
    """``place`` tells the storage area that was written to from another one of the same name."""

    identity: dict[str, Any]
    phase: str
    place: dict[str, Any]


def _key(name: str) -> str:
    return hidden_name(name, "copying") + "/note"


def read_note(store: Store, name: str) -> Note | None:
    """The note of an earlier copy to ``name``, None when there is none. Raises StoreError."""
    key = _key(name)
    if not store.exists(key):
        return None
    try:
        document = json.loads(store.get_range(key, 0, _MAX_BYTES))
        note = Note(dict(document["identity"]), str(document["phase"]), dict(document["place"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return note if note.phase in (COPYING, PLACING) else None


def write_note(store: Store, name: str, note: Note) -> None:
    """Raises StoreError."""
    document = {"identity": note.identity, "phase": note.phase, "place": note.place}
    store.put(_key(name), [json.dumps(document).encode()])


def forget_note(store: Store, name: str) -> None:
    """Raises StoreError."""
    store.delete(_key(name))
