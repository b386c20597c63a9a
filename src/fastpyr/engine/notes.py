"""Where a journal is kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, BinaryIO, Protocol

from .records import Part
from .written import SealedSlab, SlabKey

__all__ = ["Notes"]


class Notes(Protocol):
    """Facts on lines, and for each slab a scratch file of records. Verbs are called from many threads.

    All raise StoreError.
    """

    def note(self, fact: dict[str, Any]) -> None:
        """Write a line; it and all slabs that were sealed before are safe when this returns."""

    def begin(self, slab: SlabKey) -> None:
        """The first record of a slab is about to be kept. Called once for it."""

    def keep(self, slab: SlabKey, parts: Sequence[Part], offset: int) -> None:
        """Write the parts of a record at that place of a slab's scratch file. The parts change afterwards."""

    def seal(self, slab: SealedSlab, parents: Collection[SlabKey], done: Callable[[], None]) -> None:
        """A slab is finished and all of its records are kept: write its line, now or soon, then call ``done``.

        ``parents`` are the slabs, not finished yet, that its records are for.
        """

    def open(self, slab: SlabKey) -> tuple[BinaryIO, int]:
        """The scratch file of a sealed slab and its bytes. Raises StoreNotFound when there is none."""

    def free(self, slab: SlabKey) -> None:
        """The scratch file of a sealed slab is needed no more."""

    def keep_only(self, slabs: Collection[SlabKey]) -> None:
        """Remove all scratch files but those of ``slabs``."""

    def location(self, slab: SlabKey) -> str:
        """How messages call the scratch file of a slab."""

    def close(self) -> None:
        """Write down what can be, and then no more; leave everything in place. Never raises StoreError."""
