"""What a finished part tells: facts, a few kilobytes, never pixels."""

from __future__ import annotations

import json
from typing import Any

from ..engine.written import SealedSlab, SlabSum, WrittenSlab
from ..frozen import frozen
from ..grid import TileLimits
from .parts import BlockKey, Part

__all__ = ["Given", "Outcome"]

_NOTHING = SlabSum()


@frozen
class Given:
    """What a part leaves for a larger one: bytes of its file of records (0: there is no file), and how many of its
    blocks have given to which block."""

    size: int
    counts: tuple[tuple[BlockKey, int], ...]


@frozen
class Outcome:
    """A finished part: its slabs, its blocks per level position, and what it leaves for others.

    ``seconds``: how long a worker had to do with it; no part of what is compared.
    """

    part: Part
    slabs: tuple[SealedSlab, ...]
    blocks: tuple[tuple[int, int], ...]
    given: tuple[tuple[Part, Given], ...]
    seconds: float = 0.0

    def to_bytes(self) -> bytes:
        """As JSON."""
        slabs = [
            [slab.key, slab.limits, slab.tiles, [(file.kind, file.key, file.size, crc) for file, crc in slab.files]]
            for slab in self.slabs
        ]
        given = [[to, one.size, one.counts] for to, one in self.given]
        return json.dumps([self.part, slabs, self.blocks, given], separators=(",", ":")).encode()

    @classmethod
    def of(cls, data: bytes) -> Outcome:
        """The outcome of ``to_bytes``. Raises ValueError for anything else."""
        try:
            part, slabs, blocks, given = json.loads(data)
            return cls(
                Part(*part),
                tuple(_slab(*slab) for slab in slabs),
                tuple((int(level), int(count)) for level, count in blocks),
                tuple((Part(*to), Given(int(size), _counts(counts))) for to, size, counts in given),
            )
        except (TypeError, RecursionError, AttributeError, KeyError) as error:
            raise ValueError(f"no outcome of a part: {error}") from error


def _slab(key: list[int], limits: Any, tiles: int, files: list[Any]) -> SealedSlab:
    level, column, row = key
    return SealedSlab(
        (level, column, row),
        None if limits is None else TileLimits(*limits),
        tiles,
        tuple((WrittenSlab(level, kind, row, column, key, size), crc) for kind, key, size, crc in files),
        _NOTHING,
    )


def _counts(found: list[Any]) -> tuple[tuple[BlockKey, int], ...]:
    return tuple(((level, column, row), count) for (level, column, row), count in found)
