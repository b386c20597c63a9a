"""A change of a pyramid in memory: one step, which nothing can interrupt."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator

from ..errors import ConfigError
from ..store import MemoryStore
from ..store.memory import MemoryStaging
from .inplace import SUCCESSOR, Change, check_changeable, kept_name, successor

__all__ = ["memory_change", "undo_memory"]


class MemoryChange(Change):
    def __init__(self, store: MemoryStore, name: str, staging: MemoryStaging, keep_old: bool) -> None:
        super().__init__(store, name, staging)
        self._memory = store
        self._keep = keep_old

    def commit(self, written: Collection[str], removed: Collection[str], listing: bytes, descriptor: bytes) -> None:
        new: dict[str, bytes | None] = {f"{self.name}/{key}": self.staging.get(key) for key in written}
        new |= {f"{self.name}/{key}": None for key in removed}
        new |= {f"{self.name}.json": descriptor, f"{self.name}.list": listing}
        kept = kept_name(self.name)
        old: dict[str, bytes | None] = dict.fromkeys(self._memory.list(kept))
        if self._keep:
            for key in new:
                present = self._memory.exists(key)
                # One letter tells what was there from what was not.
                old[f"{kept}/{'+' if present else '-'}{key}"] = self._memory.get(key) if present else b""
            old[f"{kept}/{SUCCESSOR}"] = successor(descriptor, listing).encode()
        self._memory.change(new | old)


@contextlib.contextmanager
def memory_change(store: MemoryStore, name: str, keep_old: bool) -> Iterator[Change]:
    """As ``open_change``."""
    check_changeable(store, name)
    with store.stage(name) as staging:
        yield MemoryChange(store, name, staging, keep_old)


def undo_memory(store: MemoryStore, name: str) -> bool:
    """As ``rollback``: nothing is ever interrupted here."""
    kept = kept_name(name)
    found = list(store.list(kept))
    where = store.location(f"{name}.json")
    if not found:
        raise ConfigError(f"{where}: there is nothing to take back: no old slabs were kept")
    listing = f"{name}.list"
    now = successor(store.get(f"{name}.json"), store.get(listing) if store.exists(listing) else None)
    if store.get(f"{kept}/{SUCCESSOR}").decode() != now:
        raise ConfigError(f"{where} was changed since the change that could be taken back: there is no way back")
    back: dict[str, bytes | None] = dict.fromkeys(found)
    for key in found:
        sign, rest = key[len(kept) + 1], key[len(kept) + 2 :]
        if sign in "+-":
            back[rest] = store.get(key) if sign == "+" else None
    store.change(back)
    return True
