"""The task graph in numbers, and the simulator of its schedule."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interruptions import JOBS, make_source

import fastpyr
from fastpyr.cli.main import main
from fastpyr.planning import BuildOptions, Plan
from fastpyr.scale.costs import Costs
from fastpyr.scale.forecast import area_plan
from fastpyr.scale.parts import GROUPING, Part, Parts
from fastpyr.scale.simulate import simulate
from fastpyr.scale.workload import Workload, workload_of

FREE = Costs(
    render=1.0, block=0.0, slab=0.0, task=0.0, put_latency=0.0, get_latency=0.0, hand_out=0.0, take_in=0.0, start=0.0,
    plan_part=0.0, publish_slab=0.0,
)  # fmt: skip
"""Nothing costs anything but blocks made from the sources."""


@pytest.fixture(params=["png mask", "nested", "odd slabs", "decimated", "large"])
def plan(request: pytest.FixtureRequest, tmp_path: Path) -> Plan:
    if request.param == "large":
        return area_plan(3e10, BuildOptions.parse(tms="PM", bottom="18", top="9"))
    source = make_source(tmp_path, request.param)
    return fastpyr.plan(source, tmp_path / "X.json", **JOBS[request.param])


def _blocks(plan: Plan, level: int) -> list[tuple[int, int, int]]:
    cells = plan.levels[level].blocks
    return [(level, x + cells.column, y + cells.row) for y, x in np.argwhere(cells.cells).tolist()]


def _inside(parts: Parts, part: Part, outer: Part) -> bool:
    while part != outer:
        above = parts.parent(part)
        if above is None:
            return False
        part = above
    return True


def test_homes_hold_what_blocks_are_made_from(plan: Plan) -> None:
    parts = Parts(plan)
    order = {part: at for at, part in enumerate(parts)}
    for level in range(len(plan.levels)):
        for block in _blocks(plan, level):
            home = parts.home(block)
            assert home in order
            assert _inside(parts, home, parts.slab_home(parts.slab_of(block)))
            for link in plan.links_of(level):
                for row in link.rows.targets(block[2]):
                    for column in link.columns.targets(block[1]):
                        if (column, row) in plan.levels[link.target].blocks:
                            assert _inside(parts, home, parts.home((link.target, column, row)))
    for part, at in order.items():
        above = parts.parent(part)
        assert above is None or order[above] > at


def test_every_source_block_is_made_by_one_part(plan: Plan) -> None:
    parts = Parts(plan)
    made = Counter(block for part in parts for block in parts.source_blocks(part))
    assert set(made.values()) == {1}
    assert set(made) == set(plan.source_blocks())


def test_workload_counts_what_homes_say(plan: Plan) -> None:
    parts = Parts(plan)
    order = list(parts)
    work = workload_of(plan, parts)
    made: Counter[Part] = Counter()
    derived: Counter[Part] = Counter()
    leaving: Counter[Part] = Counter()
    slabs: dict[tuple[int, int, int], Part] = {}
    for level, one in enumerate(plan.levels):
        for block in _blocks(plan, level):
            home, slab = parts.home(block), parts.slab_of(block)
            (made if one.mosaic is not None else derived)[home] += 1
            slabs[slab] = parts.slab_home(slab)
            leaving[home] += slabs[slab] != home
    for counts, found in ((made, work.made), (derived, work.derived), (leaving, work.tile_blocks)):
        assert [counts[part] for part in order] == found.tolist()
    assert [Counter(slabs.values())[part] for part in order] == work.slabs.tolist()
    inner = np.bincount(work.outer[work.outer >= 0], minlength=len(order))
    assert inner.max(initial=0) <= GROUPING * GROUPING


def _chain(count: int) -> Workload:
    """So many equal tasks below one root that makes nothing."""
    zeros = np.zeros(count + 1)
    made = np.append(np.ones(count), 0.0)
    outer = np.append(np.full(count, count), -1)
    return Workload(outer, np.append(np.zeros(count, np.int64), 1), made, zeros, zeros, zeros, zeros)


@pytest.mark.parametrize(("tasks", "workers", "seconds"), [(10, 1, 10), (10, 3, 4), (10, 10, 1), (10, 50, 1)])
def test_equal_tasks(tasks: int, workers: int, seconds: float) -> None:
    found = simulate(_chain(tasks), FREE, workers)
    assert found.seconds == pytest.approx(seconds)
    assert found.efficiency == pytest.approx(tasks / (workers * seconds))


def test_a_coordinator_that_is_busy_all_the_time_decides() -> None:
    from dataclasses import replace

    slow: Any = replace(FREE, hand_out=0.5, take_in=0.5)
    found = simulate(_chain(100), slow, 1000)
    assert 100 <= found.seconds <= 103
    assert found.coordinator_load > 0.95


def test_france_on_a_thousand_workers() -> None:
    """1.4e13 pixels: the coordinator and the largest parts leave more than nine tenths of the time to the work."""
    plan = area_plan(1.4e13, BuildOptions.parse(tms="PM", bottom="19"))
    parts = Parts(plan)
    work = workload_of(plan, parts)
    assert work.made.sum() + work.derived.sum() == sum(len(level.blocks) for level in plan.levels)
    found = {count: simulate(work, Costs(), count) for count in (1, 1000, 4096)}
    assert found[1].efficiency > 0.999
    assert found[1000].efficiency >= 0.9
    assert found[4096].seconds < found[1000].seconds
    assert found[1000].scratch_peak < 0.1 * found[1000].scratch_bytes
    # nothing but facts passes the coordinator, and what one part brings together fits in memory
    left = work.tile_blocks * Costs().block_bytes + work.pixels * 3
    read = np.bincount(work.outer[work.outer >= 0], left[work.outer >= 0])
    assert read.max() < 256 << 20


def test_the_command_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["plan", "--pixels", "1e10", "--tms", "PM", "--bottom", "18", "--workers", "1,10", "--json"]
    assert main([*asked, "--costs", "render=0.01,block=0.005"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["costs_are"] == "all given"
    assert [one["workers"] for one in found["schedules"]] == [1, 10]
    source = make_source(tmp_path / "in", "jpg", 600)
    words = ["--tms", "PM", "--bottom", "18", "--simulate"]
    assert main(["plan", str(source), str(tmp_path / "X.json"), *words]) == 0
    text = capsys.readouterr().out
    assert "measured on" in text
    assert "4096" in text
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pixels", "lots", "--tms", "PM"], "--pixels 'lots': expected a number"),
        (["--pixels", "1e10"], "--pixels needs a tile matrix set"),
        (["--pixels", "1e10", "--tms", "PM", "--bottom", "3"], "level 3 of PM has 2048 x 2048 pixels"),
        (["--pixels", "1e10", "--tms", "PM", "--workers", "0"], "--workers '0': expected numbers"),
        (["--pixels", "1e10", "--tms", "PM", "--costs", "tea=1"], "--costs 'tea=1': expected NAME=SECONDS"),
        (["a.tif", "X.json", "--pixels", "1e10", "--tms", "PM"], "--pixels stands for sources"),
        (["--simulate"], "--simulate needs SOURCE"),
    ],
)
def test_bad_words_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
