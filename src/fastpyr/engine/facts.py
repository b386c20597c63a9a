"""What the lines of a journal say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from ..frozen import frozen
from ..grid import TileLimits
from .written import SealedSlab, SlabKey, SlabSum, WrittenSlab

__all__ = ["JournalState", "slab_fact"]


@frozen
class JournalState:
    """What the journal of an earlier build says.

    ``fingerprint``: of its plan, None when there was none. ``slabs``: the last word about each slab. ``publishing``:
    all slabs were finished. ``published``: the descriptor was written too. ``aside``: slabs are not under their final
    names. ``boot``: the run of the operating system that it was last written in.
    """

    fingerprint: dict[str, Any] | None
    slabs: dict[SlabKey, SealedSlab]
    publishing: bool = False
    published: bool = False
    aside: bool = False
    boot: str = ""

    @property
    def is_worth_keeping(self) -> bool:
        """Whether a slab with tiles was finished."""
        return any(slab.files for slab in self.slabs.values())

    @classmethod
    def of(cls, facts: Iterable[dict[str, Any]]) -> JournalState:
        """The state after all facts, in the order in which they were written."""
        fingerprint, boot = None, ""
        flags = {"publishing": False, "published": False, "aside": False}
        slabs: dict[SlabKey, SealedSlab] = {}
        for fact in facts:
            if "fingerprint" in fact:
                fingerprint = fact["fingerprint"] if isinstance(fact["fingerprint"], dict) else None
            boot = str(fact.get("boot", boot))
            flags = {name: bool(fact.get(name, value)) for name, value in flags.items()}
            if "slab" in fact:
                with contextlib.suppress(KeyError, TypeError, ValueError, IndexError):
                    slab = _parse(fact)
                    slabs[slab.key] = slab
        return cls(fingerprint, slabs, **flags, boot=boot)


def slab_fact(slab: SealedSlab) -> dict[str, Any]:
    """The line of a sealed slab."""
    scratch = slab.scratch
    return {
        "slab": slab.key,
        "limits": slab.limits,
        "tiles": slab.tiles,
        "files": [(written.kind, written.key, written.size, crc) for written, crc in slab.files],
        "scratch": (scratch.size, scratch.records, scratch.check),
    }


def _parse(fact: dict[str, Any]) -> SealedSlab:
    """The slab of a line. Raises KeyError, TypeError, ValueError or IndexError when it is no such line."""
    level, column, row = (int(n) for n in fact["slab"])
    limits = None if fact["limits"] is None else TileLimits(*(int(n) for n in fact["limits"]))
    files = tuple(
        (WrittenSlab(level, str(kind), row, column, str(key), int(size)), int(crc))
        for kind, key, size, crc in fact["files"]
    )
    scratch = SlabSum(*(int(n) for n in fact["scratch"]))
    return SealedSlab((level, column, row), limits, int(fact["tiles"]), files, scratch)
