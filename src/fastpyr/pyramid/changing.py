"""Reading a pyramid in object storage while it is being changed: old before a change is decided, new from then on.

Objects are replaced one after the other. Until the last one is, the descriptor says so in a key that other readers pass
over, ``fastpyr_change``: which slabs are to be read from elsewhere, and which are no more, is told by a hidden object.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..errors import StoreError
from ..store import Store, StoreNotFound

if TYPE_CHECKING:
    from ..store.changing import ChangingStore
    from ..store.objects import ObjectStore

__all__ = ["MARK", "MOVED", "NEW", "OLD", "marked", "resolve", "sides"]

MARK = "fastpyr_change"
"""The descriptor's key."""

NEW, OLD = "new", "old"
"""Its values: the slabs that come, or those that come back."""

MOVED = "moved"
"""The object that tells the names of slabs: those to be read from elsewhere, and those that are no more."""

_TRIES = 5


def sides(name: str, which: str) -> tuple[str, str]:
    """Where the slabs of a change of the pyramid ``name`` are, and where what is said of them is: folders of keys."""
    from ..store.object_staging import hidden_name

    if which == OLD:
        return hidden_name(name, "kept"), hidden_name(name, "kept")
    return hidden_name(name, "building"), hidden_name(name, "change")


def marked(descriptor: bytes, which: str) -> bytes:
    """A descriptor that says that its pyramid is being changed."""
    document = json.loads(descriptor)
    return json.dumps({**document, MARK: which}, indent=4, ensure_ascii=False).encode()


def resolve(store: Store, key: str, data: bytes) -> tuple[Store, bytes]:
    """The store to read a pyramid through, whose descriptor ``key`` contains ``data``, and its descriptor's content.

    The same ones unless it is being changed. Raises StoreError.
    """
    if MARK.encode() not in data or store.layout.is_file:
        return store, data
    from ..store.objects import ObjectStore

    name = key.removesuffix(".json")
    for _ in range(_TRIES):
        if MARK.encode() not in data or not isinstance(store, ObjectStore):
            return store, data
        found = _changing(store, name, data)
        if found is not None:
            return found, found.get(key)
        data = store.get(key)  # the change has ended meanwhile
    raise StoreError(f"{store.location(key)} is being changed: try again, or take the change back (--rollback)")


def _changing(store: ObjectStore, name: str, data: bytes) -> ChangingStore | None:
    """None when the change has ended."""
    from ..store.changing import ChangingStore

    try:
        which = json.loads(data)[MARK]
        slabs, about = sides(name, OLD if which == OLD else NEW)
        facts = json.loads(store.get(f"{about}/{MOVED}"))
        moved = {f"{name}/{one}": f"{slabs}/{one}" for one in facts["moved"]}
        gone = {f"{name}/{one}" for one in facts["gone"]}
    except StoreNotFound:
        return None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise StoreError(f"{store.location(name)}.json: what is said of its change cannot be read") from None
    moved[f"{name}.json"] = f"{about}/descriptor"
    moved[f"{name}.list"] = f"{about}/list"
    return ChangingStore(store, moved, frozenset(gone))
