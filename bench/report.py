"""Results as text, JSON and a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .results import Outcome

__all__ = ["as_json", "plot", "save", "table"]

_HEADER = ("", "wall s", "CPU s", "peak MB", "MB out", "CPU/ours", "wall/ours", "CPU/floor", "check")


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _check(row: dict[str, Any]) -> str:
    if row["kind"] == "floor" or row["correct"] is None:
        return ""
    return f"ok {row['quality']:g}" if row["correct"] else f"WRONG: {row['note']}"


def table(outcome: Outcome) -> str:
    """A Markdown table of one job, with its targets and those who could not take part."""
    lines = [f"### {outcome.title}", "", "| " + " | ".join(_HEADER) + " |", "|---" + "|---:" * 7 + "|---|"]
    for row in outcome.rows():
        label = row["label"] + (f" ({row['version']})" if row["version"] else "")
        megabytes = None if row["bytes"] is None else row["bytes"] / 1e6
        cells = [f"**{label}**" if row["kind"] == "ours" else label]
        cells += [_number(row["wall"]), _number(row["cpu"]), _number(row["rss_mb"], 0), _number(megabytes, 1)]
        cells += [_number(row[key]) for key in ("cpu_to_ours", "wall_to_ours", "cpu_to_floor")]
        lines.append("| " + " | ".join([*cells, _check(row)]) + " |")
    lines.append("")
    for name, kind in outcome.kinds.items():
        if kind == "floor" and name in outcome.rounds:
            parts = ", ".join(f"{part} {seconds:.2f}" for part, seconds in outcome.parts(name).items())
            lines.append(f"{name}: {parts} (inflate: {_choice(outcome, name, 'inflate')}, "
                         f"encode: {_choice(outcome, name, 'encode')})")  # fmt: skip
    lines += [f"skipped {name}: {reason}" for name, reason in outcome.skipped.items()]
    for target in outcome.targets:
        said = "not measured" if target["met"] is None else ("met" if target["met"] else "NOT met")
        lines.append(f"target, {target['text']}: {_number(target['value'])} - {said}")
    return "\n".join(lines) + "\n"


def _choice(outcome: Outcome, name: str, part: str) -> str:
    return str(outcome.choices.get(name, {}).get(part, "-"))


def as_json(machine: dict[str, Any], outcomes: list[Outcome], rounds: int) -> dict[str, Any]:
    """All of it as plain values."""
    jobs = {}
    for outcome in outcomes:
        runs = {
            name: [[round(r.wall, 4), round(r.cpu, 4), int(r.rss)] for r in found]
            for name, found in outcome.rounds.items()
        }
        jobs[outcome.job] = {
            "title": outcome.title,
            "rows": outcome.rows(),
            "runs": {"columns": ["wall_s", "cpu_s", "rss_bytes"], **runs},
            "choices": outcome.choices,
            "skipped": outcome.skipped,
            "targets": outcome.targets,
        }
    return {"machine": machine, "rounds": rounds, "jobs": jobs}


def plot(results: dict[str, Any], path: Path) -> bool:
    """CPU seconds of everybody in each job as bars, PNG. False when matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    jobs = results["jobs"]
    heights = [1 + 0.35 * len(job["rows"]) for job in jobs.values()]
    figure, axes = pyplot.subplots(
        len(jobs), 1, figsize=(9, sum(heights)), height_ratios=heights, squeeze=False, layout="constrained"
    )
    colours = {"ours": "#1b7f4d", "floor": "#9aa5b1", "rival": "#b5542b"}
    for axis, job in zip(axes[:, 0], jobs.values(), strict=True):
        rows = [row for row in job["rows"] if row["cpu"] is not None][::-1]
        bars = axis.barh(
            [row["label"] for row in rows], [row["cpu"] for row in rows], color=[colours[row["kind"]] for row in rows]
        )
        axis.bar_label(bars, [f" {row['cpu']:.2f} s CPU, {row['wall']:.2f} s wall" for row in rows], fontsize=8)
        axis.set_title(job["title"], fontsize=9, loc="left")
        axis.margins(x=0.3)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    machine = results["machine"]
    figure.suptitle(
        f"CPU seconds; {machine['cpu']}, {machine['cores']} cores, {', '.join(machine['paths'])}", fontsize=9
    )
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True


def save(results: dict[str, Any], path: Path) -> None:
    """Write the results as JSON, creating the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
