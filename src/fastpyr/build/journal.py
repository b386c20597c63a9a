"""What a build writes down so that another process can go on from where this one stopped.

Of every finished slab it keeps, in a scratch file, what the levels above need of it (as pixels, whatever the format
of the tiles), until the slabs above are finished too; and one line in a logbook, for ever.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from ..errors import StoreError
from ..grid import TileLimits
from ..plan import Plan
from ..store import Chunk
from ..store.atomic import store_error
from .kinship import Kinship
from .logbook import Logbook, boot_id, read_log
from .records import BlockShape, Gift, RecordError, pack, read_records, record_sum, write_at
from .scratch import Scratch
from .written import SealedSlab, SlabKey, SlabSum, WrittenSlab

__all__ = ["Journal", "JournalState", "read_journal"]

LOG_NAME = "journal"
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
        self._open: dict[SlabKey, list[int]] = {}
        self._files: dict[SlabKey, list[tuple[WrittenSlab, int]]] = {}
        self._held: dict[SlabKey, int] = {}
        self._needed_by: dict[SlabKey, list[SlabKey]] = {}
        self._spare: list[str] = []
        self.restored: dict[SlabKey, SealedSlab] = {}
        if state is not None and tree is not None:
            self._survivors(state, tree)
        self._sealed = set(self.restored)
        self.finished = sum(bool(slab.files) for slab in self.restored.values())
        for key in self._sealed:
            self._hold(key)
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

    def slab_of(self, level: int, column: int, row: int) -> SlabKey:
        """The slab that holds a block."""
        return self._kin.slab_of(level, column, row)

    def block_count(self, slab: SlabKey) -> int:
        """Planned blocks of a slab."""
        return self._kin.block_count(slab)

    def is_restored(self, level: int, column: int, row: int) -> bool:
        """Whether a block belongs to a slab that need not be made again."""
        return self._kin.slab_of(level, column, row) in self.restored

    def unfed(self) -> list[SealedSlab]:
        """Restored slabs of which slabs yet to be made need something, finest level first."""
        return [self.restored[key] for key in sorted(self._held)]

    def reached(self, slab: SlabKey) -> Iterator[tuple[int, int, int, int]]:
        """Blocks yet to be made that blocks of a slab reach: level, column, row, number of those blocks."""
        for link, column, row, count in self._kin.reached(slab):
            if not self.is_restored(link.target, column, row):
                yield link.target, column, row, count

    def gifts(self, slab: SealedSlab) -> Iterator[Gift]:
        """What a restored slab gives to blocks yet to be made. Raises StoreError."""
        path = self._scratch_path(slab.key)
        try:
            for gift, _ in read_records(Path(path), slab.scratch.size, self._shape):
                if not self.is_restored(gift.level, gift.column, gift.row):
                    yield gift
        except OSError as error:
            raise store_error("read", path, error) from error
        except RecordError as error:
            raise StoreError(f"{path} was changed while it was in use: {error}") from error

    def keep(self, slab: SlabKey, gift: Gift, scratch: Scratch) -> None:
        """Write down what a block of a slab gives to a block above. Raises StoreError."""
        if gift.pixels is None and not gift.present.any():
            return
        data, crc = pack(gift, scratch)
        path = self._scratch_path(slab)
        try:
            with self._lock:
                total = self._open.get(slab)
                if total is None:
                    total = self._open[slab] = [0, 0, 0]
                    if self._spare:
                        os.rename(self._spare.pop(), path)
                offset = total[0]
                total[:] = offset + data.nbytes, total[1] + 1, total[2] + crc
            write_at(path, data, offset)
        except OSError as error:
            raise store_error("write", path, error) from error

    def wrote(self, slab: SlabKey, written: WrittenSlab, chunks: Sequence[Chunk]) -> None:
        """A file of a slab is in the store."""
        from isal import isal_zlib

        crc = 0
        for chunk in chunks:
            crc = isal_zlib.crc32(chunk, crc)
        with self._lock:
            self._files.setdefault(slab, []).append((written, crc))

    def seal(self, slab: SlabKey, limits: TileLimits | None, tiles: int) -> None:
        """A slab is finished: all its files are written and all its gifts kept. Raises StoreError."""
        with self._lock:
            files = tuple(self._files.pop(slab, ()))
            scratch = SlabSum(*self._open.pop(slab, ()))
        self._log.append(_fact(SealedSlab(slab, limits, tiles, files, scratch)))
        with self._lock:
            self.finished += bool(files)
            self._sealed.add(slab)
            self._hold(slab)
            for child in self._needed_by.pop(slab, ()):
                self._held[child] -= 1
                if not self._held[child]:
                    del self._held[child]
                    self._free(child)

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

    def _hold(self, slab: SlabKey) -> None:
        """Keep the scratch file of a sealed slab until its parents are sealed."""
        waiting = [parent for parent in self._kin.parents(slab) if parent not in self._sealed]
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
