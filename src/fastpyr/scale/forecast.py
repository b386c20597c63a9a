"""What a build would take on many workers, without doing it: of its own sources, or of an area of so many pixels."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..formats import SampleType
from ..grid import load_tms, parse_crs
from ..planning import BuildOptions, Plan, SourceGroup, make_plan
from ..source import Affine, RasterInfo, open_source
from ..source.base import BlockLayout, Mask, Pixels
from .costs import Costs, given_costs, measured_costs
from .parts import Parts
from .simulate import simulate
from .workload import workload_of

__all__ = ["DEFAULT_WORKERS", "area_plan", "as_pixels", "as_workers", "forecast", "sample_costs"]

DEFAULT_WORKERS = (1, 2, 4, 16, 64, 256, 1000, 2000, 4096)
_MOST_WORKERS = 1 << 16
_MOST_PIXELS = 1e15
_PLACE = 0.51, 0.35
"""Where an area lies in its matrix: not where cells of all sizes begin, which would be a happy chance."""
_SAMPLE_SIDE = 4096


class _Area:
    """A source of which only the extent is known."""

    layout: BlockLayout | None = None

    def __init__(self, info: RasterInfo) -> None:
        self.info = info

    def read(self, x0: int, y0: int, x1: int, y1: int) -> tuple[Pixels, Mask | None]:
        """Never: raises ConfigError."""
        raise ConfigError(f"{self.info.name}: an area has no pixels")

    def close(self) -> None:
        """Nothing to give back."""


def as_workers(text: str) -> tuple[int, ...]:
    """Numbers of workers from ``1,2,1000``. Raises ConfigError."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and 1 <= int(word) <= _MOST_WORKERS for word in words):
        raise ConfigError(f"--workers {text!r}: expected numbers from 1 to {_MOST_WORKERS}, e.g. 1,100,1000")
    return tuple(int(word) for word in words)


def as_pixels(text: str) -> float:
    """A number of pixels, ``1.4e13`` for instance. Raises ConfigError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 1 <= value <= _MOST_PIXELS:
        raise ConfigError(f"--pixels {text!r}: expected a number from 1 to {_MOST_PIXELS:.0e}, e.g. 1.4e13")
    return value


def area_plan(pixels: float, options: BuildOptions) -> Plan:
    """The plan of a square of so many pixels of the bottom level, which is the finest one unless ``options`` say.

    Raises ConfigError when it is larger than the level, GridError.
    """
    if options.tms is None:
        raise ConfigError("--pixels needs a tile matrix set: give --tms, for instance --tms PM")
    tms = load_tms(options.tms)
    matrix = tms.level(options.bottom) if options.bottom is not None else tms.matrices[0]
    side = math.isqrt(round(pixels))
    width, height = matrix.matrix_width * matrix.tile_width, matrix.matrix_height * matrix.tile_height
    column, row = (min(int(length * at), length - side) for length, at in zip((width, height), _PLACE, strict=True))
    if min(column, row) < 0:
        raise ConfigError(f"--pixels {pixels:g}: level {matrix.id} of {tms.name} has {width} x {height} pixels")
    info = _info("area", tms.crs, matrix, column, row, side, options.channels or 3)
    return make_plan([SourceGroup([_Area(info)], matrix.id, options.top)], options)


def _info(name: str, crs: str, matrix: Any, column: int, row: int, side: int, channels: int) -> RasterInfo:
    cell = matrix.cell_size
    corner = Affine(cell, 0.0, matrix.origin_x + column * cell, 0.0, -cell, matrix.origin_y - row * cell)
    return RasterInfo(name, crs, corner, side, side, channels, SampleType.UINT8, False)


def sample_costs(plan: Plan, costs: Costs) -> tuple[Costs, int]:
    """As ``measured_costs``, on a synthetic aerial photograph in a temporary file, deflated, off the level's grid."""
    import rasterio

    from ..source.synthetic import ortho_scene

    level = plan.levels[0]
    info = plan.mosaics[0].infos[0]
    a, _, c, _, e, f = info.transform
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.tif"
        side = _SAMPLE_SIDE
        profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "tiled": True}
        crs, corner = parse_crs(plan.tms.crs).to_wkt(), rasterio.Affine(a * 0.97, 0, c + a / 3, 0, e * 0.97, f + e / 3)
        with rasterio.open(path, "w", crs=crs, transform=corner, compress="deflate", predictor=2, **profile) as out:
            out.write(ortho_scene(side, side).transpose(2, 0, 1))
        source = open_source(path, plan.tms.crs)
        sample = make_plan([SourceGroup([source], level.id, plan.levels[-1].id)], plan.options)
        try:
            return measured_costs(sample, costs)
        finally:
            source.close()


def forecast(plan: Plan, workers: tuple[int, ...], given: str | None, *, has_sources: bool) -> dict[str, Any]:
    """The schedules of a plan as plain values, with the costs that they rest on.

    ``given``: costs as ``--costs`` has them; those of blocks are measured unless it names both.
    """
    costs, measured = given_costs(given or "", Costs()), "all given"
    if not all(f"{name}=" in (given or "") for name in ("render", "block")):
        found, blocks = (measured_costs if has_sources else sample_costs)(plan, costs)
        costs = given_costs(given or "", found)
        of = "the sources" if has_sources else "a synthetic picture"
        measured = f"render, block and block_bytes measured on {blocks} blocks of {of}, the others given"
    parts = Parts(plan)
    work = workload_of(plan, parts)
    schedules = [simulate(work, costs, count, mask=plan.options.mask).facts() for count in workers]
    return {
        "parts": len(work),
        "blocks": int(work.made.sum() + work.derived.sum()),
        "slabs": int(work.slabs.sum()) * (2 if plan.options.mask else 1),
        "costs": costs.facts(),
        "costs_are": measured,
        "schedules": schedules,
    }
