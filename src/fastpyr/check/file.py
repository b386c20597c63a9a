"""One file of a delivery: hashed while it is decoded."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from fastpyr.errors import FastpyrError
from fastpyr.source import open_source
from fastpyr.source.cache import chunk_shape
from fastpyr.source.gdal import GdalSource
from fastpyr.source.validity import mask_state

from .report import RASTER, STANDARD, FileReport, Finding

__all__ = ["FileJob"]

_BUDGET = 256 << 20
"""A window takes an eighth of this at most, as decoded pixels; every thread has one."""
_PIECE = 1 << 20
_MAX_BLOCKS = 20
"""Damaged parts named per file; all are counted."""

Window = tuple[int, int, int, int]


class FileJob:
    """The check of one file in parts that any thread may take: ``open`` first, then ``read`` of every part.

    The file is hashed in step with the decoding: before a part is decoded, as large a share of the file is hashed as
    the parts are of the raster, so that what the one reads is in the page cache for the other, however large the file.
    """

    def __init__(self, path: Path, name: str, digest: str | None, is_raster: bool) -> None:
        self.path = path
        self.name = name
        self.parts: list[list[Window]] = []
        self._digest = digest
        self._is_raster = is_raster
        self._lock = threading.Lock()
        self._hash = None if digest is None else hashlib.md5(usedforsecurity=False)
        self._hashed = 0
        self._size = 0
        self._source: GdalSource | None = None
        self._findings: list[Finding] = []
        self._bad = 0
        self._left = 0
        self._has_data = False
        self._uniform: Any = None  # the value of all pixels so far, False when there are several

    def open(self, srs: str | None) -> None:
        """Look at the header. What cannot be opened is a finding."""
        try:
            self._size = self.path.stat().st_size
        except OSError as error:
            self._add(RASTER, "unreadable", f"{self.name}: cannot be read: {error.strerror}")
            return
        if self._is_raster:
            try:
                self._source = open_source(self.path, srs)
            except (FastpyrError, MemoryError, OSError) as error:
                self._add(RASTER, "unreadable", self._relative(error))
        self.parts = [[]] if self._source is None else self._windows(self._source)
        self._left = len(self.parts)

    def _windows(self, source: GdalSource) -> list[list[Window]]:
        info = source.info
        rows, cols = chunk_shape(info.width, info.height, info.channels * info.sample.size, source.layout, _BUDGET)
        windows = [
            (x, y, min(x + cols, info.width), min(y + rows, info.height))
            for y in range(0, info.height, rows)
            for x in range(0, info.width, cols)
        ]
        # rows that decode only from the top are left to one thread
        return [windows] if source.layout.sequential else [[window] for window in windows]

    def read(self, part: int) -> None:
        """Hash and decode one part."""
        try:
            self._hash_until(self._size * (part + 1) // len(self.parts))
            for window in self.parts[part]:
                self._decode(window)
        finally:
            with self._lock:
                self._left -= 1
                last = self._left == 0
            if last:
                self._end()

    def _hash_until(self, end: int) -> None:
        if self._hash is None:
            return
        with self._lock:
            if self._hashed >= end:
                return
            try:
                with open(self.path, "rb", buffering=0) as file:
                    file.seek(self._hashed)
                    piece = bytearray(min(_PIECE, end - self._hashed))
                    while self._hashed < end:
                        count = file.readinto(memoryview(piece)[: end - self._hashed])
                        if not count:
                            break
                        self._hash.update(memoryview(piece)[:count])
                        self._hashed += count
            except OSError as error:
                self._hash = None
                self._add(STANDARD, "md5", f"cannot be read ({self.name}): {error.strerror}")

    def _decode(self, window: Window) -> None:
        assert self._source is not None
        try:
            pixels, mask = self._source.read(*window)
        except (FastpyrError, MemoryError, OSError) as error:
            with self._lock:
                self._bad += 1
                if self._bad <= _MAX_BLOCKS:
                    self._add(RASTER, "block", self._relative(error))
            return
        if not self._has_data:
            self._has_data = mask_state(mask) > 0
        if self._uniform is not False:
            self._look_for_values(pixels)

    def _look_for_values(self, pixels: Any) -> None:
        """Remember the value of all pixels, or that there are several: a few are looked at first."""
        value = pixels[0, 0]
        same = bool((pixels[::31, ::31] == value).all()) and bool((pixels == value).all())
        with self._lock:
            if not same or (self._uniform is not None and not np.array_equal(self._uniform, value)):
                self._uniform = False
            elif self._uniform is None:
                self._uniform = value.copy()

    def _end(self) -> None:
        if self._source is not None:
            self._source.close()

    def report(self) -> FileReport:
        """The verdict, after all parts."""
        md5 = self._verdict_of_signature()
        if self._bad > _MAX_BLOCKS:
            self._add(RASTER, "block", f"{self.name}: {self._bad - _MAX_BLOCKS} more damaged parts")
        info = None if self._source is None else self._source.info
        if info is not None and not self._bad:
            if not self._has_data:
                self._add(RASTER, "nodata", f"{self.name}: holds no data: every pixel is nodata", "warning")
            elif self._uniform is not None and self._uniform is not False:
                shown = ", ".join(f"{value:g}" for value in self._uniform)
                text = f"{self.name}: every pixel is ({shown}): declare it as nodata or leave the file out"
                self._add(RASTER, "uniform", text, "warning")
        windows = sum(map(len, self.parts))
        return FileReport(self.name, self._size, md5, info, windows, self._bad, tuple(self._findings))

    def _verdict_of_signature(self) -> str | None:
        if self._hash is None:
            return None
        md5 = self._hash.hexdigest()
        if md5 != self._digest:
            text = f"wrong MD5 signature ({self.name}): expected {self._digest}, found {md5}: deliver the file again"
            self._add(STANDARD, "md5", text)
        return md5

    def _add(self, check: str, code: str, message: str, severity: str = "error") -> None:
        self._findings.append(Finding(check, code, severity, self.name, message))

    def _relative(self, error: BaseException) -> str:
        """The text of an error, with the file called as in the delivery."""
        text = " ".join(str(error).split()) or type(error).__name__
        return text.replace(os.fspath(self.path), self.name) if os.fspath(self.path) in text else f"{self.name}: {text}"
