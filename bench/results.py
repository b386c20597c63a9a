"""What came out of a job: every round of every contender, medians, and ratios of the same round."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from .check import Verdict

__all__ = ["Outcome", "Round"]


@dataclass(frozen=True, slots=True)
class Round:
    """One run: seconds of wall and CPU, bytes of peak memory. ``parts``: CPU seconds by part, for the floor."""

    wall: float
    cpu: float
    rss: float
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """Rounds by contender; a contender that failed or is wrong has a verdict that says so and takes no part."""

    job: str
    title: str
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    choices: dict[str, Any] = field(default_factory=dict)
    targets: list[dict[str, Any]] = field(default_factory=list)

    def median(self, name: str, what: str) -> float | None:
        """Median of wall, cpu or rss; None without a run that counts."""
        values = [getattr(round_, what) for round_ in self._counted(name)]
        return statistics.median(values) if values else None

    def ratio(self, name: str, other: str, what: str) -> float | None:
        """Median of the ratios of rounds that both ran, which a drift of the machine does not touch."""
        pairs = zip(self._counted(name), self._counted(other), strict=False)
        values = [getattr(a, what) / getattr(b, what) for a, b in pairs if getattr(b, what)]
        return statistics.median(values) if values else None

    def bytes_ratio(self, name: str, other: str) -> float | None:
        mine, theirs = self.verdicts.get(name), self.verdicts.get(other)
        return mine.bytes / theirs.bytes if mine and theirs and theirs.bytes else None

    def _counted(self, name: str) -> list[Round]:
        verdict = self.verdicts.get(name)
        return [] if verdict is not None and not verdict.correct else self.rounds.get(name, [])

    def parts(self, name: str) -> dict[str, float]:
        """Median CPU seconds of each part of a floor."""
        rounds = self.rounds.get(name, [])
        names = rounds[0].parts if rounds else {}
        return {part: statistics.median(r.parts.get(part, 0.0) for r in rounds) for part in names}

    def rows(self) -> list[dict[str, Any]]:
        """One row per contender, in the order in which they ran."""
        base = next((name for name, kind in self.kinds.items() if kind == "ours"), "")
        return [self._row(name, base) for name in self.rounds]

    def _row(self, name: str, base: str) -> dict[str, Any]:
        verdict = self.verdicts.get(name)
        return {
            "name": name,
            "label": self.labels[name],
            "kind": self.kinds[name],
            "version": self.versions.get(name, ""),
            "rounds": len(self.rounds[name]),
            "wall": self.median(name, "wall"),
            "cpu": self.median(name, "cpu"),
            "rss_mb": (self.median(name, "rss") or 0) / 1e6,
            "bytes": verdict.bytes if verdict else None,
            "tiles": verdict.tiles if verdict else None,
            "correct": verdict.correct if verdict else None,
            "quality": verdict.quality if verdict else None,
            "note": verdict.note if verdict else "",
            "cpu_to_ours": self.ratio(name, base, "cpu"),
            "wall_to_ours": self.ratio(name, base, "wall"),
            "cpu_to_floor": self.ratio(name, "floor", "cpu"),
            "parts": self.parts(name),
        }
