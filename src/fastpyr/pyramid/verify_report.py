"""What a verification found, and the names of its checks."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["CHECKS", "MAX_FINDINGS", "Finding", "Severity", "VerifyReport"]

Severity = Literal["error", "warning"]

MAX_FINDINGS = 100
"""Findings kept per check; the others are only counted."""

_REMEMBERED = 50 * MAX_FINDINGS
"""Findings per check that are sorted before ``MAX_FINDINGS`` of them are kept: bounds memory, not the counts."""

CHECKS = {
    "descriptor": "the descriptor pleases all known loaders",
    "list": "the list file exists, its own root comes first, its entries are slabs of the pyramid's levels",
    "listed-slab": "every listed slab exists and can be read",
    "unlisted-slab": "every stored slab is listed, under the path readers compute",
    "slab-place": "slabs are inside the tile matrix and the tile limits",
    "link": "links lead to a real slab in one hop",
    "temporary": "no temporary file is left under the data root",
    "header": "slab headers are at their fixed places and agree with the descriptor",
    "index": "tiles are inside the file, aligned, in order, without holes, gaps zero, none empty",
    "tile": "every tile decodes under the restricted rules that readers need",
    "limits": "the tile limits are inside the matrix, hold all data, and are tight at the bottom",
    "nodata-slab": "no slab of the bottom level is nodata only",
    "mask": "masks exist for exactly the slabs of data, with values 0 and 255 only",
    "mask-nodata": "pixels are nodata where the mask is 0",
    "upper-level": "upper levels are the reduction of the level below",
}
"""Name of each check, and what holds when it finds nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be (error), or is allowed but a waste or a risk (warning).

    ``path`` is the file or object, ``slab`` and ``tile`` are (column, row) in the level's matrix.
    """

    severity: Severity
    check: str
    message: str
    path: str | None = None
    level: str | None = None
    slab: tuple[int, int] | None = None
    tile: tuple[int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; keys that do not apply are left out."""
        values = {
            "severity": self.severity,
            "check": self.check,
            "message": self.message,
            "path": self.path,
            "level": self.level,
            "slab": list(self.slab) if self.slab else None,
            "tile": list(self.tile) if self.tile else None,
        }
        return {key: value for key, value in values.items() if value is not None}

    def __str__(self) -> str:
        where = [f"level {self.level}"] if self.level is not None else []
        where += [f"slab {self.slab[0]},{self.slab[1]}"] if self.slab else []
        where += [f"tile {self.tile[0]},{self.tile[1]}"] if self.tile else []
        where += [self.path] if self.path else []
        return f"{self.severity}: {self.check}: " + (", ".join(where) + ": " if where else "") + self.message


@dataclass(slots=True)
class VerifyReport:
    """Findings of a verification, errors first, and how much was looked at.

    ``counts`` are levels, slabs, mask_slabs, tiles, mask_tiles, bytes, and upper_tiles (tiles compared with the level
    below). ``found`` counts (check, severity), the findings beyond ``MAX_FINDINGS`` of a check included. ``skipped``
    says why a check did not take place.
    """

    pyramid: str
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    found: Counter[tuple[str, Severity]] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def ok(self) -> bool:
        """True when no check found an error; warnings are allowed."""
        return self.errors == 0

    @property
    def errors(self) -> int:
        return sum(number for (_, severity), number in self.found.items() if severity == "error")

    @property
    def warnings(self) -> int:
        return sum(number for (_, severity), number in self.found.items() if severity == "warning")

    def add(self, finding: Finding) -> None:
        """Record a finding; threads may."""
        with self._lock:
            self.found[finding.check, finding.severity] += 1
            if self.found[finding.check, finding.severity] <= _REMEMBERED:
                self.findings.append(finding)

    def count(self, **numbers: int) -> None:
        """Add to ``counts``; threads may."""
        with self._lock:
            self.counts.update(numbers)

    def settle(self) -> None:
        """Put findings in an order that does not depend on threads, and drop those beyond the limit of a check."""
        order = {name: rank for rank, name in enumerate(CHECKS)}
        self.findings.sort(
            key=lambda f: (
                f.severity,
                order[f.check],
                f.level or "",
                f.slab or (),
                f.tile or (),
                f.path or "",
                f.message,
            )
        )
        kept: Counter[tuple[str, Severity]] = Counter()
        findings = []
        for finding in self.findings:
            kept[finding.check, finding.severity] += 1
            if kept[finding.check, finding.severity] <= MAX_FINDINGS:
                findings.append(finding)
        self.findings = findings

    def status(self, check: str) -> str:
        """``failed``, ``warned``, ``skipped`` or ``passed``."""
        if self.found[check, "error"]:
            return "failed"
        if self.found[check, "warning"]:
            return "warned"
        return "skipped" if check in self.skipped else "passed"

    def to_json(self) -> str:
        """The report as a JSON document."""
        document = {
            "pyramid": self.pyramid,
            "ok": self.ok,
            "errors": self.errors,
            "warnings": self.warnings,
            "counts": dict(sorted(self.counts.items())),
            "checks": [
                {"name": name, "holds": text, "status": self.status(name)}
                | ({"skipped": self.skipped[name]} if name in self.skipped else {})
                for name, text in CHECKS.items()
            ],
            "findings": [finding.to_json() for finding in self.findings],
        }
        return json.dumps(document, indent=2, ensure_ascii=False)
