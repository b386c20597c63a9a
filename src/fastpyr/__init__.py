"""fastpyr: georeferenced rasters in, ROK4 tile pyramids out.

``build`` makes a pyramid, ``plan`` says what it would do, ``update`` puts new data on one, ``open`` reads one. The
pieces embed alone: ``fastpyr.kernels`` (functions on arrays), ``fastpyr.encode`` (tiles to bytes), ``fastpyr.slab``
(tiles to slab files and back), ``fastpyr.grid`` (tile matrix sets). Importing this package loads none of them: names
load at first use.
"""

from __future__ import annotations

from .errors import (
    ConfigError,
    DatabaseError,
    DecodeError,
    DescriptorError,
    EncodeError,
    FastpyrError,
    GridError,
    SlabError,
    SourceError,
    StoreError,
    WorkerError,
)

TYPE_CHECKING = False  # type checkers know better; typing itself takes a while to load
if TYPE_CHECKING:
    from .engine import Progress, ProgressCallback
    from .formats import Compression, Interpolation, PixelFormat, SampleType, SlabKind, TileFormat
    from .grid import BoundingBox, TileLimits, TileMatrix, TileMatrixSet, load_tms, tms_names
    from .planning import BuildOptions, Plan
    from .pyramid import Pyramid, VerifyReport
    from .pyramid import open_pyramid as open
    from .run.build import build, plan
    from .source import ArraySource, Source, open_source
    from .updates.inject import inject
    from .updates.update import update

__version__ = "0.1.0"

__all__ = [
    "ArraySource",
    "BoundingBox",
    "BuildOptions",
    "Compression",
    "ConfigError",
    "DatabaseError",
    "DecodeError",
    "DescriptorError",
    "EncodeError",
    "FastpyrError",
    "GridError",
    "Interpolation",
    "PixelFormat",
    "Plan",
    "Progress",
    "ProgressCallback",
    "Pyramid",
    "SampleType",
    "SlabError",
    "SlabKind",
    "Source",
    "SourceError",
    "StoreError",
    "TileFormat",
    "TileLimits",
    "TileMatrix",
    "TileMatrixSet",
    "VerifyReport",
    "WorkerError",
    "__version__",
    "build",
    "inject",
    "load_tms",
    "open",
    "open_source",
    "plan",
    "tms_names",
    "update",
]

_ROOMS = {
    "formats": ("Compression", "Interpolation", "PixelFormat", "SampleType", "SlabKind", "TileFormat"),
    "grid": ("BoundingBox", "TileLimits", "TileMatrix", "TileMatrixSet", "load_tms", "tms_names"),
    "source": ("ArraySource", "Source", "open_source"),
    "pyramid": ("Pyramid", "VerifyReport", "open"),
    "planning": ("BuildOptions", "Plan"),
    "engine": ("Progress", "ProgressCallback"),
    "run.build": ("build", "plan"),
    "updates.inject": ("inject",),
    "updates.update": ("update",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}
_NAME_IN_ROOM = {"open": "open_pyramid"}


def __getattr__(name: str):  # type: ignore[no-untyped-def]
    """Load a public name from its room at first use."""
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module 'fastpyr' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{room}"), _NAME_IN_ROOM.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
