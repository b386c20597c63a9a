"""What a check found, as values."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fastpyr.source import RasterInfo

__all__ = ["RASTER", "STANDARD", "FileReport", "Finding", "Report"]

STANDARD = "standard"
"""The check of MD5 signatures."""
RASTER = "raster"
"""The check of the rasters themselves: readable, georeferenced, alike."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or odd.

    Attributes:
        check: ``standard`` or ``raster``.
        code: what kind: ``md5``, ``md5-list``, ``missing``, ``unlisted``; ``empty``, ``unreadable``, ``block``,
            ``crs``, ``resolution``, ``bands``, ``nodata``, ``uniform``, ``overlap``, ``duplicate``, ``gap``.
        severity: ``error`` fails the delivery, ``warning`` does not.
        file: the file it is about, as the delivery calls it; None for the delivery as a whole.
        message: one line that names the file, what was expected and what was found.
    """

    check: str
    code: str
    severity: str
    file: str | None
    message: str

    def __str__(self) -> str:
        return f"{self.severity.upper():<7}  {self.check:<8}  {self.code:<10}  {self.message}"


@dataclass(frozen=True, slots=True)
class FileReport:
    """The verdict about one file.

    ``md5``: computed where a signature was given. ``info``: facts of a raster that could be opened. ``windows``:
    parts of whole blocks that it was decoded in, ``bad_windows`` those that failed.
    """

    name: str
    size: int
    md5: str | None = None
    info: RasterInfo | None = None
    windows: int = 0
    bad_windows: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """No error; warnings may be."""
        return all(finding.severity != "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        info = self.info
        facts: dict[str, Any] = {"file": self.name, "ok": self.ok, "size": self.size, "md5": self.md5}
        if info is not None:
            facts |= {
                "crs": info.crs,
                "width": info.width,
                "height": info.height,
                "channels": info.channels,
                "sample": info.sample.dtype,
                "resolution": list(info.resolution),
                "bounds": list(info.bounds),
            }
        return facts | {"findings": [_plain(finding) for finding in self.findings]}


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict about a delivery.

    Attributes:
        srs: the declared reference system, None when none was.
        files: one report per file, in the order of painting; listed files that are no rasters come last.
        findings: what concerns the delivery as a whole.
        extent: (west, south, east, north) of all rasters in degrees, None when none could be placed.
        footprint: GeoJSON FeatureCollection, longitude first: one polygon per raster, and the gaps and overlaps.
    """

    srs: str | None
    files: tuple[FileReport, ...]
    findings: tuple[Finding, ...]
    extent: tuple[float, float, float, float] | None = None
    footprint: dict[str, Any] = field(default_factory=dict)

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Those of the files, then those of the whole."""
        return tuple(finding for file in self.files for finding in file.findings) + self.findings

    @property
    def errors(self) -> int:
        return _count(self.all_findings, "error")

    @property
    def warnings(self) -> int:
        return _count(self.all_findings, "warning")

    @property
    def ok(self) -> bool:
        """No error: the delivery is good. Warnings may be."""
        return self.errors == 0

    def passed(self, check: str) -> bool:
        """Whether one of the two checks holds."""
        return all(f.severity != "error" for f in self.all_findings if f.check == check)

    def to_json(self) -> str:
        """The whole report as a JSON document, footprint left out."""
        value = {
            "ok": self.ok,
            "srs": self.srs,
            "errors": self.errors,
            "warnings": self.warnings,
            "checks": {check: self.passed(check) for check in (STANDARD, RASTER)},
            "extent": None if self.extent is None else list(self.extent),
            "files": [file.to_json() for file in self.files],
            "findings": [_plain(finding) for finding in self.findings],
        }
        return json.dumps(value, indent=2, ensure_ascii=False)


def _count(findings: Iterable[Finding], severity: str) -> int:
    return sum(finding.severity == severity for finding in findings)


def _plain(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in finding.__slots__}
