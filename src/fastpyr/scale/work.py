"""What a worker does: it makes one part of a build after the other.

A part may be made any number of times, by any worker: its slabs and what it leaves have the same bytes every time, and
each is written in one step. Its outcome is written last; where that is found, nothing is left to do.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import cast

import numpy as np

from ..engine import Builder, Journal
from ..engine.block import Block
from ..engine.records import BlockShape, Gift, Record, RecordError, Tiles, pack, read_records
from ..engine.scratch import Scratch
from ..engine.written import SealedSlab, SlabKey, SlabSum, WrittenSlab
from ..errors import StoreError
from ..grid import TileLimits
from ..planning import Link, Plan
from ..store import Chunk, Staging, Store, StoreNotFound
from .job import JobPaper, Task, open_job
from .outcome import Given, Outcome
from .parts import BlockKey, Part, Parts
from .site import Site, SiteStaging, Watch

__all__ = ["Bench", "PartBuilder", "PartLog", "outcome_key", "records_key", "run_task", "scratch_name"]

_NOWHERE = SlabSum()


def outcome_key(part: Part) -> tuple[str, str, str]:
    """What the outcome of a part is called below the scratch of its build."""
    return part.name, "done", "0"


def records_key(part: Part, to: Part) -> tuple[str, str, str]:
    """What a part leaves for a larger one."""
    return part.name, to.name, "0"


def scratch_name(key: tuple[str, str, str]) -> str:
    """As a file is called."""
    return "-".join(key)


class PartLog:
    """What a Builder takes for its journal: it says what belongs to the part, and keeps what others need of it."""

    def __init__(self, plan: Plan, parts: Parts, store: Store, site: Site) -> None:
        self._shape = BlockShape.of(plan)
        self._parts = parts
        self._store = store
        self._site = site
        self._plan = plan
        self.restored: dict[SlabKey, SealedSlab] = {}  # for the Builder: there is nothing
        self.begin(Part(0, 0, 0, 0), ())

    def begin(self, part: Part, inputs: Sequence[tuple[Part, Given]]) -> None:
        """The next part."""
        self.part = part
        self.inputs = dict(inputs)
        self.blocks: Counter[int] = Counter()
        self.slabs: list[SealedSlab] = []
        self._files: dict[SlabKey, list[tuple[WrittenSlab, int]]] = {}
        self._kept: dict[Part, list[bytes]] = {}
        self._counts: dict[Part, Counter[BlockKey]] = {}

    # what the Builder asks

    def home(self, block: BlockKey) -> Part:
        return self._parts.home(block)

    def slab_of(self, block: BlockKey) -> Part:
        """The part that writes a block's slab: only compared with homes."""
        return self._parts.slab_home(self._parts.slab_of(block))

    def is_stored(self, block: BlockKey) -> bool:
        return self.slab_of(block) != self.part

    def is_restored(self, block: BlockKey) -> bool:
        return False

    def block_done(self, home: Part) -> None:
        """Nothing: the part ends as a whole."""

    def keep(self, home: Part, record: Record, scratch: Scratch) -> None:
        block = record.level, record.column, record.row
        to = self.home(block) if isinstance(record, Gift) else self.slab_of(block)
        parts, _, _ = pack(record, scratch)
        self._kept.setdefault(to, []).append(b"".join(parts))

    def gave(self, block: BlockKey, children: int) -> None:
        """So many blocks of this part have given to a block of another one."""
        self._counts.setdefault(self.home(block), Counter())[block] += children

    def wrote(self, slab: SlabKey, written: WrittenSlab, chunks: Sequence[Chunk]) -> None:
        from isal import isal_zlib

        crc = 0
        for chunk in chunks:
            crc = isal_zlib.crc32(chunk, crc)
        self._files.setdefault(slab, []).append((written, crc))

    def slab_done(self, slab: SlabKey, limits: TileLimits | None, tiles: int) -> None:
        self.slabs.append(SealedSlab(slab, limits, tiles, tuple(self._files.pop(slab, ())), _NOWHERE))

    def reached(self, source: SlabKey) -> Counter[BlockKey]:
        return Counter(dict(self.inputs[cast("Part", source)].counts))

    def records(self, slab: SealedSlab) -> Iterator[Record]:
        """What another part left for this one. Raises StoreError."""
        source = cast("Part", slab.key)
        size, name = self.inputs[source].size, self._site.scratch + scratch_name(records_key(source, self.part))
        data = self._store.get(name) if size else b""
        try:
            if len(data) != size:
                raise RecordError("it has another size")
            for record, _ in read_records(BytesIO(data), size, self._shape):
                yield record
        except RecordError as error:
            place = self._store.location(name)
            raise StoreError(f"{place} was changed while it was in use: {error}") from error

    def leave(self, seconds: float) -> Outcome:
        """Write down what others need, then that all is done. Raises StoreError."""
        given = []
        for to in sorted(self._kept.keys() | self._counts.keys()):
            data = b"".join(self._kept.get(to, ()))
            if data:
                self._store.put(self._site.scratch + scratch_name(records_key(self.part, to)), [data])
            given.append((to, Given(len(data), tuple(sorted(self._counts.get(to, {}).items())))))
        blocks = tuple(sorted(self.blocks.items()))
        outcome = Outcome(
            self.part, tuple(sorted(self.slabs, key=lambda slab: slab.key)), blocks, tuple(given), seconds
        )
        self._store.put(self._site.scratch + scratch_name(outcome_key(self.part)), [outcome.to_bytes()])
        return outcome


class PartBuilder(Builder):
    """A Builder that makes the blocks of one part, and leaves for others what their blocks need."""

    def __init__(self, plan: Plan, staging: SiteStaging, log: PartLog) -> None:
        self._log = log
        super().__init__(plan, cast("Staging", staging), None, cast("Journal", log))

    def _announce(self) -> None:
        """Nothing at the beginning: a part announces its own blocks."""

    def expect(self, parts: Parts, part: Part) -> None:
        """Tell the mosaic what will be read for a part."""
        made = parts.made(part)
        if made is None:
            return
        level = self.plan.levels[part.family]
        renderer = self._renderers[part.family]
        if renderer is not None and [other.mosaic for other in self.plan.levels].count(level.mosaic) == 1:
            height, width = (self.plan.block * length for length in self._tile)
            renderer.expect(made, width, height)

    def forget_slabs(self) -> None:
        """The facts of slabs are with the log."""
        self._slabs.clear()

    def _store_tiles(self, tiles: Tiles, worker: object) -> None:
        self._log.blocks[tiles.level] += 1
        super()._store_tiles(tiles, worker)  # type: ignore[arg-type]

    def _is_own(self, key: BlockKey) -> bool:
        return self._log.home(key) == self._log.part

    def _parent(self, key: BlockKey, link: Link) -> Block:
        if self._is_own(key):
            return super()._parent(key, link)
        side = self.plan.block
        return Block(self._pool.take(), np.zeros((side, side), np.bool_))  # for what one block gives, and no longer

    def _given(self, key: BlockKey, parent: Block, children: int) -> bool:
        if self._is_own(key):
            return super()._given(key, parent, children)
        self._log.gave(key, children)
        self._pool.give(parent)
        return False


class Bench:
    """All that a worker keeps from one part of a build to the next. For one thread at a time."""

    def __init__(self, paper: JobPaper) -> None:
        self.plan = plan = open_job(paper)
        self._site = paper.site
        self._store = paper.site.open()
        self._watch = Watch(self._store, paper.site.scratch + paper.key)
        self._staging = SiteStaging(self._store, paper.site, self._watch)
        self._parts = Parts(plan)
        self._log = PartLog(plan, self._parts, self._store, paper.site)
        self._builder = PartBuilder(plan, self._staging, self._log)
        self._worker = self._builder.worker()

    def make(self, task: Task) -> Outcome:
        """Make a part. Raises FastpyrError."""
        begun = time.monotonic()
        self._watch.check()
        known = self._known(task.part)
        if known is not None:
            return known
        log, builder = self._log, self._builder
        log.begin(task.part, task.inputs)
        builder.expect(self._parts, task.part)
        for source, _ in task.inputs:
            self._watch.check()
            builder.run(SealedSlab(cast("SlabKey", source), None, 0, (), _NOWHERE), self._worker)
        for block in self._parts.source_blocks(task.part):
            self._watch.check()
            builder.run(block, self._worker)
        builder.forget_slabs()
        self._staging.settle()
        return log.leave(time.monotonic() - begun)

    def _known(self, part: Part) -> Outcome | None:
        """What an earlier attempt at a part has finished."""
        try:
            return Outcome.of(self._store.get(self._site.scratch + scratch_name(outcome_key(part))))
        except (StoreNotFound, ValueError):
            return None

    def close(self) -> None:
        """Close all files."""
        self._staging.close()
        for mosaic in self.plan.mosaics:
            mosaic.close()


_benches: dict[str, list[Bench]] = {}
_lock = threading.Lock()


@contextlib.contextmanager
def _bench(paper: JobPaper) -> Iterator[Bench]:
    """A bench for this thread; idle ones of other builds are given up. One that has failed is not used again."""
    with _lock:
        idle = [bench for key, benches in _benches.items() if key != paper.key for bench in benches]
        for key in [key for key in _benches if key != paper.key]:
            del _benches[key]
        waiting = _benches.get(paper.key)
        bench = waiting.pop() if waiting else None
    for old in idle:
        old.close()
    bench = bench or Bench(paper)
    try:
        yield bench
    except BaseException:
        bench.close()
        raise
    with _lock:
        _benches.setdefault(paper.key, []).append(bench)


def run_task(task: Task) -> Outcome:
    """Make a part in this process. Raises FastpyrError."""
    with _bench(task.paper) as bench:
        return bench.make(task)
