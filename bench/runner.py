"""Runs a job: everybody in turn, round after round, outputs looked at before a time counts."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from . import ROOT, SOURCES
from .check import Verdict
from .data import CACHE
from .environments import Missing
from .jobs import Contender, Job
from .measure import measure_together
from .results import Outcome, Round

__all__ = ["run_job"]

_BUSY_WALL = 2
"""Workers that share the floor's parts when its wall time is told."""

Say = Callable[[str], None]


def run_job(job: Job, rounds: int, *, rivals: Collection[str] = (), slow: bool = True, say: Say = print) -> Outcome:
    """Run ``job`` with those of its rivals that are in ``rivals``. ``slow`` ones run once, or not at all when False."""
    for folder in SOURCES:  # as installed: a checkout has no compiled modules where Python is told not to write any
        compileall.compile_dir(folder, quiet=1)
    outcome = Outcome(job.name, job.title)
    contenders = [*job.ours, *job.floors]
    for name in job.rivals:
        if name not in rivals:
            continue
        try:
            contender = job.rival(name)
        except Missing as missing:
            outcome.skipped[name] = str(missing)
            say(f"  skipped {name}: {missing}")
            continue
        if contender.slow and not slow:
            outcome.skipped[name] = "slow: run with --slow"
            continue
        contenders.append(contender)
    for contender in contenders:
        outcome.labels[contender.name], outcome.kinds[contender.name] = contender.label, contender.kind
        outcome.versions[contender.name] = contender.version
    for number in range(rounds):
        # Everybody follows everybody else in turn: a neighbour's warm caches favour nobody.
        shift = number % len(contenders)
        for contender in contenders[shift:] + contenders[:shift]:
            if contender.slow and number:
                continue
            _run(contender, outcome, say)
    # In the order in which contenders were named, whoever ran first.
    outcome.rounds = {c.name: outcome.rounds[c.name] for c in contenders if c.name in outcome.rounds}
    for target in job.targets:
        value = target.value(outcome)
        met = None if value is None else target.met(value)
        outcome.targets.append({"text": target.text, "value": value, "limit": target.limit, "met": met})
    return outcome


def _run(contender: Contender, outcome: Outcome, say: Say) -> None:
    name = contender.name
    if name in outcome.skipped:
        return
    folder = Path(tempfile.mkdtemp(prefix="out-", dir=_outputs()))
    out = folder / "out"
    if contender.kind != "rival":
        out.mkdir()
    try:
        environment = {} if contender.kind == "rival" else _environment()
        usages = measure_together(contender.commands(out), environment)
        failed = next((usage for usage in usages if usage.code), None)
        if failed is not None:
            lines = [line for line in failed.text.splitlines() if line.strip()]
            outcome.skipped[name] = f"failed with code {failed.code}: {lines[-1] if lines else ''}"
            say(f"  {contender.label}: {outcome.skipped[name]}")
            return
        if name not in outcome.verdicts:
            verdict = contender.verdict(out)
            if verdict is not None:
                outcome.verdicts[name] = verdict
        if contender.kind == "floor":
            done = _floor_round(out, max(usage.rss for usage in usages), outcome, name)
        else:
            done = Round(usages[0].wall, usages[0].cpu, usages[0].rss)
        outcome.rounds.setdefault(name, []).append(done)
        say(f"  {contender.label}: {done.wall:.2f} s wall, {done.cpu:.2f} s CPU, {done.rss / 1e6:.0f} MB")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _floor_round(out: Path, rss: float, outcome: Outcome, name: str) -> Round:
    """The mean of the copies that ran; wall is what two workers would take without waiting."""
    reports = [json.loads(path.read_text()) for path in sorted(out.glob("floor-*.json"))]
    outcome.choices[name] = reports[0]["choices"]
    outcome.verdicts[name] = Verdict(True, reports[0]["tiles"], reports[0]["bytes"], 0.0)
    parts = {part: sum(report["parts"][part] for report in reports) / len(reports) for part in reports[0]["parts"]}
    cpu = sum(parts.values())
    parts["(positions)"] = sum(report["beside"]["positions"] for report in reports) / len(reports)
    return Round(cpu / _BUSY_WALL, cpu, rss, parts)


def _outputs() -> Path:
    folder = CACHE / "out"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _environment() -> dict[str, str]:
    """Variables of our own commands: the checkout's packages first, whether installed or not."""
    paths = [*SOURCES, str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
