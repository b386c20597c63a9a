"""A quick start for the command's own process: work is left out that loading packages does for others.

Nothing here is for a process that only imports fastpyr: what a package does when loaded is then its owner's business.
"""

from __future__ import annotations

import gc
import os
import sys
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["load_pyproj", "spare_this_process", "work_begins"]

_OBJECTS_BEFORE_COLLECTION = 100_000
"""Loading makes some fifty thousand objects that stay: looking for cycles among them takes a tenth of the time."""
_usual: list[tuple[int, int, int]] = []
"""Thresholds of the collector to be restored when all is loaded; the first one stays."""
_UNUSED = ("pyproj._show_versions", "pyproj.sync")
"""Parts of pyproj, for bug reports and downloads, whose imports take as long as the rest of it."""
_DOCUMENTATION = ("numpy._core._add_newdocs", "numpy._core._add_newdocs_scalars")
"""Parts of NumPy that only attach docstrings to its functions, which takes an eighth of loading it."""
_CERTIFICATES = "PROJ_CURL_CA_BUNDLE"
"""Names the certificates for downloads; without it pyproj asks certifi for its own."""


def spare_this_process() -> None:
    """To be called before anything is imported; ``work_begins`` must follow."""
    _usual.append(gc.get_threshold())
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION, *_usual[0][1:])
    # Threads of a linear algebra that is never asked for: they spin for a while when NumPy is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in _DOCUMENTATION:
        sys.modules.setdefault(name, ModuleType(name))
    # rasterio imports boto3 wherever it is installed, for sessions that the command never opens.
    sys.modules.setdefault("boto3", None)  # type: ignore[arg-type]


def work_begins() -> None:
    """What is loaded now stays: from here on, cycles are looked for as usual, but not among that.

    Does nothing in a process that was not spared.
    """
    if _usual:
        gc.freeze()
        gc.set_threshold(*_usual[0])


def load_pyproj() -> None:
    """Import pyproj without what a process that never enables its network has no use for.

    Does nothing in a process that was not spared.
    """
    if "pyproj" in sys.modules or not _usual:
        return
    for name in _UNUSED:
        sys.modules.setdefault(name, _StandIn(name))
    certifi = sys.modules.setdefault("certifi", _StandIn("certifi"))
    absent = _CERTIFICATES not in os.environ
    if absent:
        os.environ[_CERTIFICATES] = ""
    try:
        import pyproj  # noqa: F401
    finally:
        if absent:
            del os.environ[_CERTIFICATES]
        if isinstance(certifi, _StandIn):  # others that ask for it need it
            del sys.modules["certifi"]


class _StandIn(ModuleType):
    """A module whose functions load the real one when they are called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **options: Any) -> Any:
            from importlib import import_module

            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
            return getattr(import_module(self.__name__), name)(*args, **options)

        return call
