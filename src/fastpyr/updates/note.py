"""What a copy or a change writes down for itself beside its pyramid, so that it can be gone on with or taken back.

One hidden object, ``.<name>.copying/note`` or ``.<name>.change/note``: JSON with the work's identity and the phase it
is in. A note that cannot be read is no note.
"""

from __future__ import annotations

import json
from typing import Any

from ..frozen import frozen
from ..store import Store
from ..store.object_staging import hidden_name

__all__ = [
    "CHANGE",
    "COMMITTING",
    "COPY",
    "COPYING",
    "DONE",
    "PLACING",
    "STAGING",
    "UNDOING",
    "Note",
    "forget_note",
    "read_note",
    "write_note",
]

COPY = "copying"
"""Notes of copies."""

COPYING = "copying"
"""Slabs are written where no reader looks; a descriptor of the target's name is that of an older pyramid."""

PLACING = "placing"
"""The older pyramid's descriptor is gone; a descriptor of the target's name is that of the finished copy."""

CHANGE = "change"
"""Notes of changes in place."""

STAGING = "staging"
"""New slabs are written where no reader looks; the pyramid is the old one."""

COMMITTING = "committing"
"""All is written: the change is decided, and whoever finds the note goes through with it."""

UNDOING = "undoing"
"""The old pyramid is to be there again."""

DONE = "done"
"""The pyramid is as it is to be; what is left over is to be removed."""

_PHASES = {COPY: (COPYING, PLACING), CHANGE: (STAGING, COMMITTING, UNDOING, DONE)}
_MAX_BYTES = 2**20


@frozen
class Note:
    """``place`` is what the work has to know of the storage area that was written to."""

    identity: dict[str, Any]
    phase: str
    place: dict[str, Any]

    def now(self, phase: str) -> Note:
        """The same in another phase."""
        return Note(self.identity, phase, self.place)


def _key(name: str, use: str) -> str:
    return hidden_name(name, use) + "/note"


def read_note(store: Store, name: str, use: str = COPY) -> Note | None:
    """The note of an earlier copy to ``name``, or of a change of it; None when there is none. Raises StoreError."""
    key = _key(name, use)
    if not store.exists(key):
        return None
    try:
        document = json.loads(store.get_range(key, 0, _MAX_BYTES))
        note = Note(dict(document["identity"]), str(document["phase"]), dict(document["place"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return note if note.phase in _PHASES[use] else None


def write_note(store: Store, name: str, note: Note, use: str = COPY) -> None:
    """Raises StoreError."""
    document = {"identity": note.identity, "phase": note.phase, "place": note.place}
    store.put(_key(name, use), [json.dumps(document).encode()])


def forget_note(store: Store, name: str, use: str = COPY) -> None:
    """Raises StoreError."""
    store.delete(_key(name, use))
