"""The parameters of a build, named and defaulted as the platform's processing has them, checked once."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError
from ..formats import Compression, Interpolation, SampleType
from ..frozen import frozen

__all__ = ["EXECUTORS", "BuildOptions", "as_bool", "as_compression", "as_int", "as_interpolation", "as_nodata"]

_TRUE = frozenset(("true", "1", "yes", "on"))
_FALSE = frozenset(("false", "0", "no", "off"))
_COMPRESSION_ALIASES = {"none": "raw", "jpeg": "jpg", "jpeg90": "jpg90", "deflate": "zip", "packbits": "pkb"}
_INTERPOLATION_ALIASES = {"nearest": "nn", "bilinear": "linear", "cubic": "bicubic"}
EXECUTORS = ("threads", "processes", "dask")
"""Ways to do the work of a build."""
MAX_SLAB_SIDE = 256
"""Tiles per slab side: 256 x 256 tiles keep the index of one slab within half a mebibyte."""


def as_bool(name: str, value: object) -> bool:
    """A boolean, or one of the words platforms send for it. Raises ConfigError."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ConfigError(f"{name}: expected true or false, got {value!r}")


def as_int(name: str, value: object, least: int, most: int) -> int:
    """An integer in ``least..most``, given as a number or as digits. Raises ConfigError."""
    try:
        number = value if isinstance(value, int) and not isinstance(value, bool) else int(str(value), 10)
    except ValueError:
        raise ConfigError(f"{name}: expected a whole number, got {value!r}") from None
    if not least <= number <= most:
        raise ConfigError(f"{name}: expected {least} to {most}, got {number}")
    return number


def as_compression(value: str) -> Compression:
    """Compression of a command line or configuration word, case-insensitive. Raises ConfigError."""
    word = str(value).strip().lower()
    try:
        return Compression(_COMPRESSION_ALIASES.get(word, word).upper())
    except ValueError:
        known = ", ".join(c.value.lower() for c in Compression)
        raise ConfigError(f"unknown compression {value!r}: expected one of {known}") from None


def as_interpolation(value: str) -> Interpolation:
    """Interpolation of a command line or configuration word, case-insensitive. Raises ConfigError."""
    word = str(value).strip().lower()
    try:
        return Interpolation(_INTERPOLATION_ALIASES.get(word, word))
    except ValueError:
        known = ", ".join(i.value for i in Interpolation)
        raise ConfigError(f"unknown interpolation {value!r}: expected one of {known}") from None


def as_nodata(value: str | Sequence[int | float]) -> tuple[int, ...]:
    """Nodata values from ``"255,255,255"`` or a sequence. Raises ConfigError on anything but integers."""
    items: Sequence[Any] = value.split(",") if isinstance(value, str) else value
    values: list[int] = []
    for item in items:
        try:
            number = float(item)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number) or number != int(number):
            raise ConfigError(f"nodata {value!r}: a pyramid descriptor can only carry whole numbers, one per channel")
        values.append(int(number))
    return tuple(values)


@frozen
class BuildOptions:
    """What a build is asked to do. ``None`` means: decide from the sources.

    Attributes:
        tms: name or path of the tile matrix set (required for a new pyramid).
        bottom, top: level ids; automatic when None.
        width, height: tiles per slab.
        compression: None picks jpg for 3 uint8 channels, png for 1, 2 or 4, zip for float32.
        interpolation: resampling kernel of the levels made from sources.
        parallelization: worker threads or processes; None uses every core the process may run on.
        mask: write mask slabs.
        srs: coordinate reference system of sources that carry none.
        nodata: one integer for all channels, or one per channel.
        channels: 1 to 4; None keeps the channels of the sources.
        sample: sample type the sources must have; None takes theirs.
        gamma: exponent of the 2x2 mean (1 = plain mean), 0 < gamma <= 5.
        overwrite: replace an existing pyramid of the same name.
        path_depth: folders of the base-36 slab path.
        resume: keep a record so that an interrupted build can be gone on with, and go on with one.
        read_attempts: how often a part of a source is read before its error counts.
        executor: ``threads`` of this process, ``processes`` of this machine, or ``dask``: workers of a Dask cluster.
        scheduler: address of the cluster's scheduler; None starts a cluster on this machine.
    """

    tms: str | None = None
    bottom: str | None = None
    top: str | None = None
    width: int = 16
    height: int = 16
    compression: Compression | None = None
    interpolation: Interpolation = Interpolation.BICUBIC
    parallelization: int | None = None
    mask: bool = False
    srs: str | None = None
    nodata: tuple[int, ...] | None = None
    channels: int | None = None
    sample: SampleType | None = None
    gamma: float = 1.0
    overwrite: bool = False
    path_depth: int = 2
    resume: bool = True
    read_attempts: int = 3
    executor: str = "threads"
    scheduler: str | None = None

    @classmethod
    def parse(cls, **given: Any) -> BuildOptions:
        """Options from words and numbers as command lines, configurations and callers give them.

        Keys are the attribute names plus ``sample_format``; ``None`` values mean "not given".
        Raises ConfigError naming the option.
        """
        given = {key: value for key, value in given.items() if value is not None}
        if "sample_format" in given:
            given["sample"] = given.pop("sample_format")
        unknown = set(given) - set(cls.__match_args__)
        if unknown:
            raise ConfigError(f"unknown build option(s): {', '.join(sorted(unknown))}")
        values: dict[str, Any] = {}
        for key, value in given.items():
            values[key] = _PARSERS[key](value)
        return cls(**values)

    def merged(self, **given: Any) -> BuildOptions:
        """These options with the given ones (parsed, ``None`` = keep) on top."""
        other = BuildOptions.parse(**given)
        names = {"sample" if k == "sample_format" else k for k, v in given.items() if v is not None}
        return BuildOptions(*(getattr(other if name in names else self, name) for name in self.__match_args__))

    @property
    def workers(self) -> int:
        """Number of worker threads or processes."""
        if self.parallelization is not None:
            return self.parallelization
        if hasattr(os, "sched_getaffinity"):
            return max(1, len(os.sched_getaffinity(0)))
        return os.cpu_count() or 1


def _level_id(value: object) -> str | None:
    word = str(value).strip()
    return None if word in ("", "<AUTO>") else word


def _sample(value: object) -> SampleType:
    word = value.value if isinstance(value, SampleType) else str(value).strip().upper()
    try:
        return SampleType(word)
    except ValueError:
        raise ConfigError(f"unknown sample format {value!r}: expected uint8 or float32") from None


def _executor(value: object) -> str:
    word = str(value).strip().lower()
    if word not in EXECUTORS:
        raise ConfigError(f"unknown executor {value!r}: expected one of {', '.join(EXECUTORS)}")
    return word


def _scheduler(value: object) -> str:
    word = str(value).strip()
    if "://" not in word:
        raise ConfigError(f"--scheduler {word!r}: expected the address of a Dask scheduler, e.g. tcp://10.0.0.1:8786")
    return word


def _gamma(value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not 0 < number <= 5:
        raise ConfigError(f"gamma: expected a number above 0 and up to 5, got {value!r}")
    return number


_PARSERS: dict[str, Any] = {
    "tms": str,
    "bottom": _level_id,
    "top": _level_id,
    "width": lambda v: as_int("width (tiles per slab)", v, 1, MAX_SLAB_SIDE),
    "height": lambda v: as_int("height (tiles per slab)", v, 1, MAX_SLAB_SIDE),
    "compression": lambda v: v if isinstance(v, Compression) else as_compression(v),
    "interpolation": lambda v: v if isinstance(v, Interpolation) else as_interpolation(v),
    "parallelization": lambda v: as_int("parallelization", v, 1, 1024),
    "mask": lambda v: as_bool("mask", v),
    "srs": str,
    "nodata": lambda v: as_nodata((v,) if isinstance(v, (int, float)) else v),
    "channels": lambda v: as_int("channels", v, 1, 4),
    "sample": _sample,
    "gamma": _gamma,
    "overwrite": lambda v: as_bool("overwrite", v),
    "path_depth": lambda v: as_int("path depth", v, 1, 8),
    "resume": lambda v: as_bool("resume", v),
    "executor": _executor,
    "scheduler": _scheduler,
    "read_attempts": lambda v: as_int("read attempts", v, 1, 100),
}
