"""Bringing the slabs of a merge into a tree under construction: by link, by copy, or composed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from ..errors import ConfigError, StoreError
from ..formats import SlabKind
from ..frozen import frozen
from ..ordered import in_order
from ..pyramid.descriptor import Descriptor
from ..store import FileStore, Store
from .area import Area
from .carry import Budget, Carrier, Mode, slab_list
from .inventory import ListedSlab, Owner
from .merge_plan import Source, Task
from .merge_tiles import Composer

__all__ = ["MergeResult", "Merger", "Progress"]

Progress = Callable[[int, int], object]
"""``progress(done, total)``, in slabs; one call at a time."""


@frozen
class MergeResult:
    """What a merge has done, in slabs, data and masks counted both.

    ``linked`` and ``copied`` are slabs of one source as they are, ``converted`` those of one source in other bytes,
    ``composed`` those of several sources; ``masks`` stand for sources without any. ``kept`` of ``copied``,
    ``converted``, ``composed`` and ``masks`` were there from an interrupted run. ``bytes`` were written.
    ``warnings`` are one line each.
    """

    descriptor: str
    linked: int
    copied: int
    converted: int
    composed: int
    masks: int
    kept: int
    bytes: int
    warnings: tuple[str, ...]


class _Done(NamedTuple):
    """A slab of the result: what was done, its owner (None: the result), its key, bytes written (None: kept)."""

    verb: str
    owner: Owner | None
    key: str
    size: int | None


class Merger:
    """The slabs of one merge."""

    def __init__(
        self,
        store: Store,
        name: str,
        descriptor: Descriptor,
        sources: Sequence[Source],
        tasks: Sequence[Task],
        composer: Composer,
        mode: Mode,
    ) -> None:
        self._store = store
        self._name = name
        self.descriptor = descriptor
        self._depth = descriptor.levels[0].path_depth
        self.sources = sources
        self._tasks = tasks
        self.composer = composer
        self.mode = mode
        self._carriers = [Carrier(source.inventory, store, name, self._depth, mode) for source in sources]
        self._budget = Budget()
        self._done: list[_Done] = []

    def _carried(self, task: Task) -> bool:
        """Whether a slab is taken as it is."""
        return len(task.sources) == 1 and self.composer.alike[task.sources[0]]

    def check_links(self) -> None:
        """Raise ConfigError when slabs cannot be linked, before anything is written: the first of each owner."""
        seen = set()
        for task in self._tasks:
            source = self.sources[task.sources[0]]
            slab = source.slab(SlabKind.DATA, task)
            if not self._carried(task) or slab is None or (task.sources[0], slab.owner and slab.owner.root) in seen:
                continue
            seen.add((task.sources[0], slab.owner and slab.owner.root))
            carrier = self._carriers[task.sources[0]]
            if self.mode is Mode.SLINK:
                carrier.link(slab.ref, carrier.locate(slab))
            elif self.mode is Mode.HLINK:
                self._check_hard_links(source)

    def _check_hard_links(self, source: Source) -> None:
        if not (isinstance(source.inventory.store, FileStore) and isinstance(self._store, FileStore)):
            raise ConfigError(
                f"{self._store.location()} cannot have hard links to {source.inventory.uri}: choose --mode copy, "
                "or slink within one storage"
            )

    def run(self, area: Area, workers: int, progress: Progress | None) -> None:
        """Bring every slab into the area."""
        with ThreadPoolExecutor(workers, "merge") as pool:
            found = in_order(pool, lambda task: self._bring(area, task), self._tasks, ahead=2 * workers)
            for number, done in enumerate(found, 1):
                self._done += done
                if progress is not None:
                    progress(number, len(self._tasks))

    @property
    def keys(self) -> frozenset[str]:
        """Keys of the result's slabs below its tree."""
        return frozenset(done.key for done in self._done)

    def listing(self) -> bytes:
        """The list of the result."""
        root = self._store.layout.root(self._name, self._store.location(self._name))
        return slab_list(root, [(done.owner, done.key) for done in self._done]).to_bytes()

    def result(self, uri: str) -> MergeResult:
        verbs = ("linked", "copied", "converted", "composed", "masks")
        counts = {verb: sum(done.verb == verb for done in self._done) for verb in verbs}
        kept = sum(done.size is None for done in self._done)
        written = sum(done.size or 0 for done in self._done)
        return MergeResult(uri, **counts, kept=kept, bytes=written, warnings=tuple(self._warnings()))

    def _warnings(self) -> list[str]:
        nodata = self.descriptor.format.nodata
        return [
            f"{source.inventory.uri} has nodata {source.descriptor.format.nodata_text}, the result "
            f"{self.descriptor.format.nodata_text}: slabs and tiles of it that are taken as they are keep theirs"
            for source, alike in zip(self.sources, self.composer.alike, strict=True)
            if alike and source.descriptor.format.nodata != nodata
        ]

    def _key(self, kind: SlabKind, task: Task) -> str:
        return self._store.layout.slab(kind, task.level, task.col, task.row, self._depth)

    def _bring(self, area: Area, task: Task) -> list[_Done]:
        if not self._carried(task):
            return self._compose(area, task)
        source = self.sources[task.sources[0]]
        data = source.slab(SlabKind.DATA, task)
        assert data is not None
        done = [self._carry(area, task, data)]
        if self.descriptor.mask:
            mask = source.slab(SlabKind.MASK, task)
            if mask is not None:
                done.append(self._carry(area, task, mask))
            else:
                key = self._key(SlabKind.MASK, task)
                size = self._keep_or_put(area, key, lambda: self.composer.mask_slab(task))
                done.append(_Done("masks", None, key, size))
        return done

    def _carry(self, area: Area, task: Task, slab: ListedSlab) -> _Done:
        carrier = self._carriers[task.sources[0]]
        key = self._key(slab.ref.kind, task)
        place = carrier.locate(slab)
        if self.mode is Mode.SLINK:
            owner, link = carrier.link(slab.ref, place)
            area.link(key, link)
            return _Done("linked", owner, key, 0)
        if self.mode is Mode.HLINK and isinstance(place.store, FileStore):
            area.hard_link(key, os.path.realpath(place.store.path(place.key)))
            return _Done("linked", None, key, 0)

        def read() -> list[bytes]:
            data = place.store.get(place.key)
            if len(data) != place.size:
                where = self.sources[task.sources[0]].inventory.location(slab.ref)
                raise StoreError(f"{where} is being changed: merge again")
            return [data]

        with self._budget.take(place.size):
            return _Done("copied", None, key, self._keep_or_put(area, key, read))

    def _keep_or_put(self, area: Area, key: str, make: Callable[[], list[bytes]]) -> int | None:
        """Bytes written; None for a slab that is there: written in one step, from the same sources, it is whole."""
        if area.found(key) is not None:
            area.keep(key)
            return None
        chunks = make()
        area.put(key, chunks)
        return sum(map(len, chunks))

    def _compose(self, area: Area, task: Task) -> list[_Done]:
        verb = "composed" if len(task.sources) > 1 else "converted"
        kinds = (SlabKind.DATA, SlabKind.MASK) if self.descriptor.mask else (SlabKind.DATA,)
        keys = {kind: self._key(kind, task) for kind in kinds}
        if all(area.found(key) is not None for key in keys.values()):
            for key in keys.values():
                area.keep(key)
            return [_Done(verb, None, key, None) for key in keys.values()]
        with self._budget.take(sum(self._sizes(task))):
            made = self.composer.slab(task)
        done = []
        for kind, chunks in ((SlabKind.DATA, made.data), (SlabKind.MASK, made.mask)):
            if chunks is not None:
                area.put(keys[kind], chunks)
                done.append(_Done(verb, None, keys[kind], sum(map(len, chunks))))
        return done

    def _sizes(self, task: Task) -> Iterator[int]:
        """Bytes of the slabs that a slab is made of. Raises StoreError when one does not exist."""
        for number in task.sources:
            slab = self.sources[number].slab(SlabKind.DATA, task)
            if slab is not None:
                yield self._carriers[number].locate(slab).size
