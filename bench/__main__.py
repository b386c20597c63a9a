"""``python -m bench``: whole jobs against rivals and the floor."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import machine, report
from .data import CACHE
from .environments import ENVIRONMENTS, Missing, environment
from .jobs import JOBS, job
from .results import Outcome
from .rivals import RIVALS
from .runner import run_job

RESULTS = Path(__file__).parent / "results"
_DEFAULT = "ortho8k,ortho8k-raw,aligned8k,scan8k,dem8k,masks,small,scaling,be4"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--jobs", default=_DEFAULT, help=f"comma-separated, or all; known: {', '.join(JOBS)}")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; medians are told (default 3)")
    parser.add_argument("--name", help="keep results as bench/results/NAME.json and NAME.png; or an absolute path")
    parser.add_argument("--against", metavar="NAMES", help=f"only these rivals; known: {', '.join(RIVALS)}")
    parser.add_argument("--no-rivals", action="store_true", help="ours and the floor only")
    parser.add_argument("--slow", action="store_true", help="the slow rivals too, one round each")
    parser.add_argument("--rivals", action="store_true", help="make the rivals' environments and stop")
    return parser


def main(args: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 when an output of ours is wrong or missing; 2 for an unknown job or rival."""
    given = _parser().parse_args(args)
    if given.rivals:
        return _install()
    names = list(JOBS) if given.jobs == "all" else [name for name in given.jobs.split(",") if name]
    chosen = set() if given.no_rivals else set(given.against.split(",") if given.against else RIVALS)
    unknown = [name for name in names if name not in JOBS] + sorted(chosen - set(RIVALS))
    if unknown or given.rounds < 1:
        print(f"bench: unknown {', '.join(unknown)}" if unknown else "bench: --rounds must be 1 or more")
        return 2
    facts = machine.facts()
    print(f"{facts['cpu']}, {facts['cores']} cores, {', '.join(facts['paths'])}; load {facts['load_before']}")
    outcomes = []
    for name in names:
        todo = job(name)
        print(f"{name}: {todo.title}", flush=True)
        if todo.absent:
            print(f"  skipped: {todo.absent}")
            continue
        outcomes.append(run_job(todo, given.rounds, rivals=chosen, slow=given.slow, say=lambda s: print(s, flush=True)))
    facts["load_after"] = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    print()
    for outcome in outcomes:
        print(report.table(outcome))
    if given.name:
        _keep(report.as_json(facts, outcomes, given.rounds), given.name)
    return int(any(_failed(outcome) for outcome in outcomes))


def _failed(outcome: Outcome) -> bool:
    """Whether anything of ours did not run or came out wrong."""
    ours = [name for name, kind in outcome.kinds.items() if kind == "ours"]
    verdicts = outcome.verdicts
    return any(name in outcome.skipped or (name in verdicts and not verdicts[name].correct) for name in ours)


def _keep(results: dict[str, object], name: str) -> None:
    path = RESULTS / f"{name}.json"  # a NAME that is an absolute path replaces the folder
    report.save(results, path)
    drawn = report.plot(results, path.with_suffix(".png"))
    print(f"kept in {path}" + ("" if drawn else "; no picture, matplotlib is not installed"))


def _install() -> int:
    for name in ENVIRONMENTS:
        try:
            ready = environment(name)
        except Missing as missing:
            print(f"{name}: skipped, {missing}")
        else:
            print(f"{name}: {', '.join(f'{package} {found}' for package, found in ready.versions.items())}")
    print(f"in {CACHE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
