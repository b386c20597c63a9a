"""What a build writes down so that another process can go on from where this one stopped.

A slab is sealed when it is written and all blocks at home in it are finished. Until the slabs above are sealed too, a
scratch file keeps what these need: the tiles of blocks that lie in them, and at the borders pixels, whatever the format
of the tiles. A line in a logbook says that it was sealed.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from ..errors import StoreError
from ..grid import TileLimits
from ..planning import Plan
from ..store import Chunk
from ..store.atomic import store_error
from .kinship import BlockKey, Kinship
from .logbook import Logbook, boot_id, read_log
from .records import BlockShape, Gift, Record, RecordError, pack, read_records, record_sum, write_at
from .scratch import Scratch
from .written import SealedSlab, SlabKey, SlabSum, WrittenSlab

__all__ = ["LOG_NAME", "Journal", "JournalState", "read_journal"]

LOG_NAME = "journal"
"""The logbook's file in the journal folder: the last to go."""
_SPARE_FILES = 8
"""Scratch files kept to be overwritten: pages that exist already cost a third of fresh ones."""


@dataclass(frozen=True, slots=True)
class JournalState:
    """What the logbook of an earlier build says.

    ``fingerprint``: of its plan, None when there was none. ``slabs``: the last word about each slab. ``publishing``:
    all slabs were finished. ``trusted``: the system has not been restarted since, so that what was written is there.
    """

    fingerprint: dict[str, Any] | None
    slabs: dict[SlabKey, SealedSlab]
    publishing: bool
    trusted: bool

    @property
    def is_worth_keeping(self) -> bool:
        """Whether a slab with tiles was finished."""
        return any(slab.files for slab in self.slabs.values())


def read_journal(folder: Path) -> JournalState:
    """The state of a journal folder, absent or empty ones included. Raises StoreError when it cannot be read."""
    fingerprint, publishing, boot = None, False, ""
    slabs: dict[SlabKey, SealedSlab] = {}
    for fact in read_log(folder / LOG_NAME):
        if "fingerprint" in fact:
            fingerprint = fact["fingerprint"] if isinstance(fact["fingerprint"], dict) else None
        boot = fact.get("boot", boot)
        publishing = bool(fact.get("publishing", publishing))
        if "slab" in fact:
            with contextlib.suppress(KeyError, TypeError, ValueError, IndexError):
                slab = _parse(fact)
                slabs[slab.key] = slab
    return JournalState(fingerprint, slabs, publishing, bool(boot) and boot == boot_id())


@dataclass(slots=True)
class _OpenSlab:
    """A slab that is not sealed. ``blocks``: those at home in it that are not finished. ``whole``: range and number of
    its tiles, known when it is written."""

    blocks: int
    scratch: list[int] = field(default_factory=lambda: [0, 0, 0])
    files: list[tuple[WrittenSlab, int]] = field(default_factory=list)
    whole: tuple[TileLimits | None, int] | None = None

    @property
    def is_done(self) -> bool:
        return self.blocks == 0 and self.whole is not None


class Journal:
    """The journal of one build. Safe for many threads.

    ``folder`` exists and belongs to this process. ``state`` is what an earlier build left there, None for a build from
    the beginning; ``tree`` is then where its slabs are. ``restored`` are the slabs that need not be made again.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        fingerprint: dict[str, Any],
        state: JournalState | None = None,
        tree: Path | None = None,
    ) -> None:
        matrix, side = plan.levels[0].matrix, plan.block
        self._shape = BlockShape(
            side * matrix.tile_height, side * matrix.tile_width, plan.pixel.channels, plan.pixel.dtype, side
        )
        self._folder = folder
        self._kin = Kinship(plan)
        self._lock = Lock()
        self._open: dict[SlabKey, _OpenSlab] = {}
        self._held: dict[SlabKey, int] = {}
        self._needed_by: dict[SlabKey, list[SlabKey]] = {}
        self._spare: list[str] = []
        self.restored: dict[SlabKey, SealedSlab] = {}
        if state is not None and tree is not None:
            self._survivors(state, tree)
        self._sealed = set(self.restored)
        self.finished = sum(bool(slab.files) for slab in self.restored.values())
        for key in self._sealed:
            self._hold(key, self._kin.parents(key))
        self._remove_strays()
        self._log = Logbook(folder / LOG_NAME)
        self._log.append({"boot": boot_id(), **({} if state else {"fingerprint": fingerprint})})

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

    def lies_at_home(self, block: BlockKey) -> bool:
        """Whether a block's tiles are in the slab that answers for it."""
        return self._kin.home(block) == self._kin.slab_of(block)

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
        path = self._scratch_path(slab.key)
        try:
            for record, _ in read_records(Path(path), slab.scratch.size, self._shape):
                block = record.level, record.column, record.row
                if not (self.is_restored(block) if isinstance(record, Gift) else self.is_stored(block)):
                    yield record
        except OSError as error:
            raise store_error("read", path, error) from error
        except RecordError as error:
            raise StoreError(f"{path} was changed while it was in use: {error}") from error

    def keep(self, home: SlabKey, record: Record, scratch: Scratch) -> None:
        """Write down what a block at home in a slab gives to others. Raises StoreError."""
        if not record.present.any() and (not isinstance(record, Gift) or record.pixels is None):
            return
        parts, size, crc = pack(record, scratch)
        path = self._scratch_path(home)
        total = self._opened(home).scratch
        try:
            with self._lock:
                if not total[0] and self._spare:
                    os.rename(self._spare.pop(), path)
                offset = total[0]
                total[:] = offset + size, total[1] + 1, total[2] + crc
            write_at(path, parts, offset)
        except OSError as error:
            raise store_error("write", path, error) from error

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
        self._log.append({"publishing": True})

    def close(self) -> None:
        """Write no more and leave everything in place."""
        self._log.close()

    def remove_files(self) -> None:
        """Remove all files, the logbook last. Raises StoreError."""
        self._log.close()
        try:
            self._remove_all(keep=frozenset((LOG_NAME,)))
            os.unlink(self._folder / LOG_NAME)
        except OSError as error:
            raise store_error("remove", self._folder, error) from error

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
        self._log.append(_fact(SealedSlab(slab, limits, tiles, tuple(entry.files), SlabSum(*entry.scratch))))
        parents = self._kin.parents(slab)
        with self._lock:
            del self._open[slab]
            self.finished += bool(entry.files)
            self._sealed.add(slab)
            self._hold(slab, parents)
            for child in self._needed_by.pop(slab, ()):
                self._held[child] -= 1
                if not self._held[child]:
                    del self._held[child]
                    self._free(child)

    def _hold(self, slab: SlabKey, parents: set[SlabKey]) -> None:
        """Keep the scratch file of a sealed slab until its parents are sealed."""
        waiting = parents - self._sealed
        if not waiting:
            self._free(slab)
            return
        self._held[slab] = len(waiting)
        for parent in waiting:
            self._needed_by.setdefault(parent, []).append(slab)

    def _free(self, slab: SlabKey) -> None:
        path = self._scratch_path(slab)
        if not os.path.exists(path):
            return
        if len(self._spare) < _SPARE_FILES:
            self._spare.append(path)
        else:
            with contextlib.suppress(OSError):  # removed at the end with all the others
                os.unlink(path)

    def _scratch_path(self, slab: SlabKey) -> str:
        return os.path.join(self._folder, "{}-{}-{}".format(*slab))

    def _survivors(self, state: JournalState, tree: Path) -> None:
        """Find the slabs that need not be made again.

        A slab counts when its files are whole and, unless all slabs above it count, what these need of it. So the
        coarsest come first.
        """
        for key in sorted(state.slabs, reverse=True):
            slab = state.slabs[key]
            if not self._kin.is_planned(key) or not self._files_are_whole(slab, tree, state.trusted):
                continue
            needed = any(parent not in self.restored for parent in self._kin.parents(key))
            if needed and record_sum(Path(self._scratch_path(key)), slab.scratch.size, self._shape) != slab.scratch:
                continue
            self.restored[key] = slab

    def _files_are_whole(self, slab: SealedSlab, tree: Path, trusted: bool) -> bool:
        for written, crc in slab.files:
            try:
                if os.stat(tree / written.key).st_size != written.size:
                    return False
                if not trusted and _file_crc(tree / written.key) != crc:
                    return False
            except OSError:
                return False
        return True

    def _remove_strays(self) -> None:
        """Remove scratch files that nobody needs: of slabs that were in progress, and of those long finished."""
        keep = {os.path.basename(self._scratch_path(key)) for key in self._held}
        self._spare.clear()
        try:
            self._remove_all(keep | {LOG_NAME})
        except OSError as error:
            raise store_error("remove", self._folder, error) from error

    def _remove_all(self, keep: set[str] | frozenset[str]) -> None:
        for name in os.listdir(self._folder):
            if name not in keep:
                os.unlink(self._folder / name)


def _file_crc(path: Path) -> int:
    from isal import isal_zlib

    crc = 0
    with open(path, "rb", buffering=0) as file:
        while part := file.read(1 << 22):
            crc = isal_zlib.crc32(part, crc)
    return crc


def _fact(slab: SealedSlab) -> dict[str, Any]:
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
