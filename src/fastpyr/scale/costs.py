"""What tasks cost: measured by making a few real blocks on this machine, the rest given."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine.block import Block
from ..engine.render import Renderer
from ..errors import ConfigError
from ..frozen import frozen
from ..planning import Plan
from ..store import MemoryStore
from .parts import Parts
from .site import Site, SiteStaging, Watch
from .work import PartBuilder, PartLog

__all__ = ["Costs", "given_costs", "measured_costs"]

_BLOCKS = 48
"""Blocks that are made to measure what one costs."""
_SITE = Site("memory", "tree/", "scratch/")


@frozen
class Costs:
    """Seconds and bytes of what a build is made of.

    Attributes:
        render: of a worker to read and resample a block of the sources.
        block: to encode a block, reduce it and hand its tiles to their slab.
        block_bytes: of its encoded tiles.
        pixel_bytes: of a pixel that goes to another part.
        slab: to put a slab together.
        task: to begin and end a part.
        put_latency, get_latency: until a request to the store is answered; slabs travel beside the work.
        bandwidth: bytes a second between a worker and the store, for what parts leave for each other.
        hand_out, take_in: of the coordinator for a task, network included.
        start: until workers have opened their job.
        plan_part, publish_slab: of the coordinator for a part before all tasks, and for a slab after them.
    """

    render: float = 0.012
    block: float = 0.005
    block_bytes: float = 262144.0
    pixel_bytes: float = 3.0
    slab: float = 0.004
    task: float = 0.01
    put_latency: float = 0.03
    get_latency: float = 0.02
    bandwidth: float = 1e8
    hand_out: float = 0.0005
    take_in: float = 0.001
    start: float = 5.0
    plan_part: float = 0.0001
    publish_slab: float = 0.000005

    def facts(self) -> dict[str, float]:
        """As plain values."""
        return {name: getattr(self, name) for name in self.__match_args__}


def given_costs(text: str, costs: Costs) -> Costs:
    """Costs with those replaced that ``render=0.01,block=0.004`` names. Raises ConfigError."""
    names = costs.__match_args__
    values: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, equals, word = part.partition("=")
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if name not in names or not equals or not 0 <= value < math.inf or (name == "bandwidth" and not value):
            raise ConfigError(f"--costs {part!r}: expected NAME=SECONDS with one of {', '.join(names)}")
        values[name] = value
    return replace(costs, **values)


class _Timed(PartBuilder):
    """Counts encoded bytes."""

    bytes = 0

    def _encode(self, block: Block, states: Any, worker: Any) -> Any:
        data, masks = super()._encode(block, states, worker)
        for rows in (data, masks or ()):
            self.bytes += sum(len(tile) for row in rows for tile in row if tile is not None)
        return data, masks


class _Clock:
    """A renderer that knows how long it has worked."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self.seconds = 0.0

    def render(self, *arguments: Any) -> int:
        begun = time.thread_time()
        state = self._renderer.render(*arguments)
        self.seconds += time.thread_time() - begun
        return state

    def expect(self, *arguments: Any) -> None:
        self._renderer.expect(*arguments)


def measured_costs(plan: Plan, costs: Costs | None = None) -> tuple[Costs, int]:
    """Costs with those of blocks measured on the plan's own sources, in CPU seconds of one thread, and how many blocks
    were made for it. Nothing is written. Raises SourceError."""
    parts = Parts(plan)
    tasks = [part for part in parts if part.tier == 0 and part.family == 0]
    store = MemoryStore()
    store.put("scratch/beacon", [b"on"])
    watch = Watch(store, "scratch/beacon")
    log = PartLog(plan, parts, store, _SITE)
    builder = _Timed(plan, SiteStaging(store, _SITE, watch), log)
    renderer = builder._renderers[0]
    assert renderer is not None  # level 0 is made from the sources
    clock = _Clock(renderer)
    builder._renderers[0] = clock  # type: ignore[call-overload]
    worker = builder.worker()
    made = derived = 0
    begun = 0.0
    total = 0.0
    for part in tasks[len(tasks) // 2 :] + tasks[: len(tasks) // 2]:  # from the middle: at the edges there is less data
        log.begin(part, ())
        builder.expect(parts, part)
        for block in parts.source_blocks(part):
            if made == 1:  # the first block loads what others find
                clock.seconds, builder.bytes, begun, total = 0.0, 0, time.thread_time(), 0.0
                derived = -sum(log.blocks.values())
            builder.run(block, worker)
            made += 1
            if made > _BLOCKS:
                break
        derived += sum(log.blocks.values())
        if made > _BLOCKS:
            break
    total = time.thread_time() - begun
    counted = max(1, made - 1)
    blocks = max(1, derived)
    pixel = plan.pixel.channels * np.dtype(plan.pixel.dtype).itemsize
    found = replace(
        costs or Costs(),
        render=clock.seconds / counted,
        block=max(total - clock.seconds, 0.0) / blocks,
        block_bytes=builder.bytes / blocks,
        pixel_bytes=float(pixel),
    )
    return found, counted
