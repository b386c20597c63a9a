"""What a build writes down so that another process can go on from where this one stopped.

A slab is sealed when it is written and all blocks at home in it are finished. Until the slabs above are sealed too, a
scratch file keeps what these need: the tiles of blocks that lie in them, and at the borders pixels, whatever the format
of the tiles. A line says that it was sealed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from threading import Lock
from typing import Any, BinaryIO

from ..errors import StoreError
from ..grid import TileLimits
from ..planning import Plan
from ..store import Chunk, StoreNotFound
from ..store.atomic import store_error
from .facts import JournalState
from .kinship import BlockKey, Kinship
from .notes import Notes
from .records import BlockShape, Gift, Record, RecordError, pack, read_records, record_sum
from .scratch import Scratch
from .written import SealedSlab, SlabKey, SlabSum, WrittenSlab

__all__ = ["Journal"]


class _OpenSlab:
    """A slab that is not sealed. ``blocks``: those at home in it that are not finished. ``whole``: range and number of
    its tiles, known when it is written."""

    __slots__ = ("blocks", "files", "scratch", "whole")

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self.scratch = [0, 0, 0]
        self.files: list[tuple[WrittenSlab, int]] = []
        self.whole: tuple[TileLimits | None, int] | None = None

    @property
    def is_done(self) -> bool:
        return self.blocks == 0 and self.whole is not None


class Journal:
    """The journal of one build. Safe for many threads.

    ``notes`` is where it is kept. ``about`` is written down for a build from the beginning: its fingerprint, and what
    else a later one is to know. ``state`` is what an earlier build left there, None for a build from the beginning;
    ``is_whole`` says whether the files of one of its slabs are still there. ``restored`` are the slabs that need not
    be made again. ``finished`` counts those with tiles that are safe.
    """

    def __init__(
        self,
        notes: Notes,
        plan: Plan,
        about: dict[str, Any],
        state: JournalState | None = None,
        is_whole: Callable[[SealedSlab], bool] | None = None,
    ) -> None:
        self._shape = BlockShape.of(plan)
        self._notes = notes
        self._kin = Kinship(plan)
        self._lock = Lock()
        self._open: dict[SlabKey, _OpenSlab] = {}
        self._held: dict[SlabKey, int] = {}
        self._needed_by: dict[SlabKey, list[SlabKey]] = {}
        self.restored: dict[SlabKey, SealedSlab] = {}
        if state is not None and is_whole is not None:
            self._survivors(state, is_whole)
        self._sealed = set(self.restored)
        self.finished = sum(bool(slab.files) for slab in self.restored.values())
        for key in self._sealed:
            self._hold(key, self._kin.parents(key))
        notes.keep_only(self._held.keys())
        if state is None:
            notes.note(about)

    @property
    def is_complete(self) -> bool:
        """True when no slab is left to make."""
        return len(self._sealed) == self._kin.slab_count()

    @property
    def kept_keys(self) -> set[str]:
        """Keys below the tree of the files of restored slabs."""
        return {written.key for slab in self.restored.values() for written, _ in slab.files}

    def home(self, block: BlockKey) -> SlabKey:
        """The slab that answers for a block: see Kinship."""
        return self._kin.home(block)

    def slab_of(self, block: BlockKey) -> SlabKey:
        """The slab that holds a block's tiles."""
        return self._kin.slab_of(block)

    def block_count(self, slab: SlabKey) -> int:
        """Planned blocks of a slab."""
        return self._kin.block_count(slab)

    def is_stored(self, block: BlockKey) -> bool:
        """Whether the tiles of a block are in a restored slab."""
        return self._kin.slab_of(block) in self.restored

    def is_restored(self, block: BlockKey) -> bool:
        """Whether nothing is left to do for a block: its tiles are stored, and what it gives to others is kept."""
        return self._kin.slab_of(block) in self.restored and self._kin.home(block) in self.restored

    def unfed(self) -> list[SealedSlab]:
        """Restored slabs of which slabs yet to be made need something, finest level first."""
        return [self.restored[key] for key in sorted(self._held)]

    def reached(self, slab: SlabKey) -> Counter[BlockKey]:
        """Blocks yet to be made that blocks at home in a slab give pixels to, by how many of these."""
        found = self._kin.reached(self._kin.at_home(slab), slab)
        return Counter({block: count for block, count in found.items() if not self.is_restored(block)})

    def records(self, slab: SealedSlab) -> Iterator[Record]:
        """What a restored slab gives to slabs and blocks yet to be made. Raises StoreError."""
        size = slab.scratch.size
        try:
            with self._scratch_file(slab) as file:
                for record, _ in read_records(file, size, self._shape):
                    block = record.level, record.column, record.row
                    if not (self.is_restored(block) if isinstance(record, Gift) else self.is_stored(block)):
                        yield record
        except RecordError as error:
            place = self._notes.location(slab.key)
            raise StoreError(f"{place} was changed while it was in use: {error}") from error
        except OSError as error:
            raise store_error("read", self._notes.location(slab.key), error) from error

    @contextmanager
    def _scratch_file(self, slab: SealedSlab) -> Iterator[BinaryIO]:
        """What was kept of a sealed slab. Raises RecordError when it is shorter than it was."""
        if not slab.scratch.size:
            yield BytesIO()
            return
        file, size = self._notes.open(slab.key)
        with file:
            if size < slab.scratch.size:
                raise RecordError("it ends within a record")
            yield file

    def keep(self, home: SlabKey, record: Record, scratch: Scratch) -> None:
        """Write down what a block at home in a slab gives to others. Raises StoreError.

        Tiles count even when there are none: the slab that they lie in waits for each of its blocks.
        """
        if isinstance(record, Gift) and record.pixels is None and not record.present.any():
            return
        parts, size, crc = pack(record, scratch)
        total = self._opened(home).scratch
        with self._lock:
            if not total[0]:
                self._notes.begin(home)
            offset = total[0]
            total[:] = offset + size, total[1] + 1, total[2] + crc
        self._notes.keep(home, parts, offset)

    def wrote(self, slab: SlabKey, written: WrittenSlab, chunks: Sequence[Chunk]) -> None:
        """A file of a slab is in the store."""
        from isal import isal_zlib

        crc = 0
        for chunk in chunks:
            crc = isal_zlib.crc32(chunk, crc)
        self._opened(slab).files.append((written, crc))

    def slab_done(self, slab: SlabKey, limits: TileLimits | None, tiles: int) -> None:
        """All files of a slab are written. Raises StoreError."""
        entry = self._opened(slab)
        with self._lock:
            entry.whole = limits, tiles
            done = entry.is_done
        if done:
            self._seal(slab, entry)

    def block_done(self, home: SlabKey) -> None:
        """A block at home in a slab is finished and all that others need of it is kept. Raises StoreError."""
        entry = self._opened(home)
        with self._lock:
            entry.blocks -= 1
            done = entry.is_done
        if done:
            self._seal(home, entry)

    def publishing(self) -> None:
        """All slabs are finished: the tree gets its final name from now on. Raises StoreError."""
        self._notes.note({"publishing": True})

    def close(self) -> None:
        """Write no more and leave everything in place."""
        self._notes.close()

    def _opened(self, slab: SlabKey) -> _OpenSlab:
        entry = self._open.get(slab)
        if entry is None:
            blocks = len(self._kin.at_home(slab))
            with self._lock:
                entry = self._open.setdefault(slab, _OpenSlab(blocks))
        return entry

    def _seal(self, slab: SlabKey, entry: _OpenSlab) -> None:
        assert entry.whole is not None
        limits, tiles = entry.whole
        parents = self._kin.parents(slab)
        with self._lock:
            del self._open[slab]
            waiting = parents - self._sealed
        sealed = SealedSlab(slab, limits, tiles, tuple(entry.files), SlabSum(*entry.scratch))
        self._notes.seal(sealed, waiting, lambda: self._is_safe(sealed, parents))

    def _is_safe(self, slab: SealedSlab, parents: set[SlabKey]) -> None:
        """The line of a slab is written."""
        with self._lock:
            self.finished += bool(slab.files)
            self._sealed.add(slab.key)
            self._hold(slab.key, parents)
            for child in self._needed_by.pop(slab.key, ()):
                self._held[child] -= 1
                if not self._held[child]:
                    del self._held[child]
                    self._notes.free(child)

    def _hold(self, slab: SlabKey, parents: set[SlabKey]) -> None:
        """Keep the scratch file of a sealed slab until its parents are sealed."""
        waiting = parents - self._sealed
        if not waiting:
            self._notes.free(slab)
            return
        self._held[slab] = len(waiting)
        for parent in waiting:
            self._needed_by.setdefault(parent, []).append(slab)

    def _survivors(self, state: JournalState, is_whole: Callable[[SealedSlab], bool]) -> None:
        """Find the slabs that need not be made again.

        A slab counts when its files are whole and, unless all slabs above it count, what these need of it. So the
        coarsest come first.
        """
        for key in sorted(state.slabs, reverse=True):
            slab = state.slabs[key]
            if not self._kin.is_planned(key) or not is_whole(slab):
                continue
            needed = any(parent not in self.restored for parent in self._kin.parents(key))
            if needed and not self._records_are_whole(slab):
                continue
            self.restored[key] = slab

    def _records_are_whole(self, slab: SealedSlab) -> bool:
        try:
            with self._scratch_file(slab) as file:
                return record_sum(file, slab.scratch.size, self._shape) == slab.scratch
        except (RecordError, StoreNotFound):
            return False
