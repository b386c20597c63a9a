"""The schedule of a build on any number of workers, by events: the coordinator's rules on the plan's own task graph."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

from ..frozen import frozen
from .costs import Costs
from .workload import Workload

__all__ = ["Schedule", "simulate"]


@frozen
class Schedule:
    """What a build on ``workers`` workers would be like.

    Attributes:
        seconds: from the first task to the last line of the list.
        efficiency: work of all tasks over what the workers could have done in that time.
        serial_seconds: time in which no block is made from the sources: the end of the largest parts, and what the
            coordinator does before and after all tasks.
        coordinator_load: part of the time for which the coordinator is busy with tasks.
        scratch_bytes, scratch_peak: written for others in all, and lying in the store at most.
        puts, gets: requests of the workers and of the coordinator; reading sources is not among them.
        store_bytes_per_second: mean rate at which slabs and scratch files are written.
    """

    workers: int
    seconds: float
    efficiency: float
    serial_seconds: float
    coordinator_load: float
    scratch_bytes: float
    scratch_peak: float
    puts: int
    gets: int
    store_bytes_per_second: float

    def facts(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {name: getattr(self, name) for name in self.__match_args__}


def simulate(work: Workload, costs: Costs, workers: int, *, mask: bool = False) -> Schedule:
    """The schedule of a workload. Larger parts go first, as the coordinator has it; no worker is ever lost."""
    left = work.tile_blocks * costs.block_bytes + work.pixels * costs.pixel_bytes
    inner = np.bincount(work.outer[work.outer >= 0], minlength=len(work))
    files = left > 0
    read = np.bincount(work.outer[files & (work.outer >= 0)], left[files & (work.outer >= 0)], minlength=len(work))
    slabs = work.slabs * (2 if mask else 1)
    out_bytes = (work.made + work.derived) * costs.block_bytes
    seconds = (
        costs.task
        + work.made * costs.render
        + (work.made + work.derived) * costs.block
        + slabs * costs.slab
        + inner * costs.get_latency
        + (read + left) / costs.bandwidth
        + (1 + files) * costs.put_latency
    )
    end, last_made, busy, peak = _events(work, seconds.tolist(), left.tolist(), inner.tolist(), costs, workers)
    before = costs.start + costs.plan_part * len(work)
    after = costs.publish_slab * float(slabs.sum())
    total = before + end + after
    return Schedule(
        workers,
        total,
        float(seconds.sum()) / (workers * total),
        before + after + (end - last_made),
        busy / total,
        float(left.sum()),
        peak,
        int(slabs.sum() + files.sum()) + len(work) + 2,
        int(inner.sum()) + len(work) + workers + int(total) * workers,
        float(out_bytes.sum() + left.sum()) / total,
    )


def _events(
    work: Workload, seconds: list[float], left: list[float], inner: list[int], costs: Costs, workers: int
) -> tuple[float, float, float, float]:
    """End of the last task, end of the last one that makes blocks from the sources, how long the coordinator was busy,
    and the most scratch bytes at a time. A task begins when the coordinator has come to it: nothing is handed out
    ahead, so that the figures are on the safe side."""
    outer, tiers = work.outer.tolist(), work.tier.tolist()
    waiting = list(inner)
    ready = [(-tiers[part], part) for part in range(len(outer)) if not waiting[part]]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    kept = [0.0] * len(outer)
    free, coordinator, busy, now = workers, 0.0, 0.0, 0.0
    last_made = peak = lying = 0.0
    while ready or running:
        while free and ready:
            part = heapq.heappop(ready)[1]
            coordinator = max(coordinator, now) + costs.hand_out
            busy += costs.hand_out
            free -= 1
            heapq.heappush(running, (coordinator + seconds[part], part))
        now, part = heapq.heappop(running)
        free += 1
        if not tiers[part]:
            last_made = now
        coordinator = max(coordinator, now) + costs.take_in
        busy += costs.take_in
        lying += left[part] - kept[part]
        peak = max(peak, lying)
        above = outer[part]
        if above >= 0:
            kept[above] += left[part]
            waiting[above] -= 1
            if not waiting[above]:
                heapq.heappush(ready, (-tiers[above], above))
    return max(now, coordinator), last_made, busy, peak
