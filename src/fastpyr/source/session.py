"""GDAL on a leash: options that hold for our calls only, damage told by warnings, and a pool of open files."""

from __future__ import annotations

import logging
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import SourceError

__all__ = ["HandlePool", "gdal_session", "open_dataset", "opened_raster", "reason_of"]

_OPTIONS = {
    # our cache sits above: GDAL's only has to hold the blocks of one call
    "GDAL_CACHEMAX": 32 << 20,
    # threads are ours
    "GDAL_NUM_THREADS": "1",
    # sidecar files are looked up by name instead of listing a folder of thousands for each file
    "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
    # a damaged JPEG is an error, not gray pixels
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "TRUE",
    # the fast path reads truncated PNG files without a word
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",
    # a VRT is data, not a program
    "GDAL_VRT_ENABLE_PYTHON": "NO",
}
_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG")
"""libtiff only warns about these, and hands out garbage."""
_MAX_IDLE = 64
"""Open files kept for the next read, all sources together."""

_thread = threading.local()
# rasterio warns about rasters without georeferencing (mask files have none); silencing it swaps Python's list of
# warning filters, which is the process's: one thread at a time
_open_lock = threading.Lock()


class _DamageListener(logging.Handler):
    """Collects what GDAL says about damage in the thread that is in a session."""

    def emit(self, record: logging.LogRecord) -> None:
        heard: list[str] | None = getattr(_thread, "heard", None)
        if heard is not None:
            message = record.getMessage()
            heard += [message[message.index(sign) :] for sign in _DAMAGE if sign in message]


_listener = _DamageListener(logging.WARNING)


@contextmanager
def gdal_session() -> Iterator[list[str]]:
    """Options for the GDAL calls of this thread until the end of the block; the list fills with reports of damage."""
    import rasterio

    logger = logging.getLogger("rasterio")
    if _listener not in logger.handlers:
        logger.addHandler(_listener)
    heard: list[str] = []
    _thread.heard = heard
    try:
        with rasterio.Env(**_OPTIONS):
            yield heard
    finally:
        _thread.heard = None


def open_dataset(path: Path) -> Any:
    """A new rasterio dataset, for one thread at a time. Call it in a session; raises rasterio's errors."""
    import rasterio

    with _open_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        return rasterio.open(path, sharing=False)


@contextmanager
def opened_raster(path: Path) -> Iterator[Any]:
    """A new rasterio dataset in a session, closed at the end. SourceError for a file that is no raster."""
    import rasterio

    with gdal_session():
        try:
            dataset = open_dataset(path)
        except rasterio.errors.RasterioError as exc:
            raise SourceError(f"{path}: not a raster that GDAL can open ({reason_of(exc)})") from exc
        with dataset:
            yield dataset


def reason_of(error: BaseException) -> str:
    """What GDAL said first about an error of rasterio's, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    # libtiff prints -1 as the line where it knows none
    text = " ".join(str(error).split()).replace(" at scanline 4294967295", "") or type(error).__name__
    return text.partition(" (this error can be turned")[0]


class HandlePool:
    """Open files by path. One that is leased belongs to the thread that has it; idle ones wait, a bounded number.

    ``opener``: makes what is leased, an object with ``close()``; rasterio datasets unless told otherwise. After an
    error the file is closed, not kept: its state is unknown.
    """

    def __init__(self, max_idle: int = _MAX_IDLE, opener: Callable[[Path], Any] = open_dataset) -> None:
        self._max_idle = max_idle
        self._open = opener
        self._lock = threading.Lock()
        self._idle: OrderedDict[Path, list[Any]] = OrderedDict()
        self._count = 0

    @contextmanager
    def lease(self, path: Path) -> Iterator[Any]:
        """A file for this thread; call it in a session for datasets. Raises what the opener raises."""
        dataset = self._take(path)
        if dataset is None:
            dataset = self._open(path)
        try:
            yield dataset
        except BaseException:
            dataset.close()
            raise
        self._give(path, dataset)

    def _take(self, path: Path) -> Any:
        with self._lock:
            waiting = self._idle.get(path)
            if not waiting:
                return None
            self._count -= 1
            dataset = waiting.pop()
            if not waiting:
                del self._idle[path]
            return dataset

    def _give(self, path: Path, dataset: Any) -> None:
        surplus: list[Any] = []
        with self._lock:
            self._idle.setdefault(path, []).append(dataset)
            self._idle.move_to_end(path)
            self._count += 1
            while self._count > self._max_idle:
                oldest = next(iter(self._idle))
                surplus.append(self._idle[oldest].pop(0))
                self._count -= 1
                if not self._idle[oldest]:
                    del self._idle[oldest]
        for each in surplus:
            each.close()

    @property
    def idle_count(self) -> int:
        """Open files that no thread is using."""
        return self._count

    def discard(self, path: Path) -> None:
        """Closes what is idle of a file."""
        with self._lock:
            waiting = self._idle.pop(path, [])
            self._count -= len(waiting)
        for dataset in waiting:
            dataset.close()
