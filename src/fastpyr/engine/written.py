"""What a build leaves in the store, told in facts."""

from __future__ import annotations

from typing import NamedTuple

from ..frozen import frozen
from ..grid import TileLimits

__all__ = ["SealedSlab", "SlabKey", "SlabSum", "WrittenSlab"]

SlabKey = tuple[int, int, int]
"""Level position (finest 0), column and row of a slab."""


class WrittenSlab(NamedTuple):
    """A slab in the store: level position (finest 0), kind, row and column in slabs, key below the tree, bytes."""

    level: int
    kind: str
    row: int
    column: int
    key: str
    size: int


@frozen
class SlabSum:
    """What is checked of a scratch file: its bytes, its records and the sum of their checksums."""

    size: int = 0
    records: int = 0
    check: int = 0


@frozen
class SealedSlab:
    """A slab of which all is on disk: its files with their CRC-32 (none when it holds no tile), the range and number
    of its tiles, and what the levels above need of the blocks at home in it."""

    key: SlabKey
    limits: TileLimits | None
    tiles: int
    files: tuple[tuple[WrittenSlab, int], ...]
    scratch: SlabSum
