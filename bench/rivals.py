"""Programs that do the same job as a fastpyr build, as commands to be measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .environments import environment

__all__ = ["RIVALS", "Rival", "Task"]

_FOREIGN = Path(__file__).parent / "foreign"


@dataclass(frozen=True, slots=True)
class Task:
    """What a rival is asked: ``source`` to levels 0..``bottom`` of Web Mercator, below ``out``, with two cores.

    ``tiles`` is jpeg or png; ``resampling`` nearest, bilinear or cubic.
    """

    source: Path
    out: Path
    bottom: int
    tiles: str
    resampling: str


@dataclass(frozen=True, slots=True)
class Rival:
    """``layout`` tells the checker where tiles are: zxy, zyx-local (rows first, level 0 = one tile of the image), cog.

    ``slow``: one round is enough. ``package`` is the one whose version counts.
    """

    label: str
    environment: str
    package: str
    layout: str
    command: Callable[[Task, Path], list[str]]
    slow: bool = False
    overviews: bool = True
    """Whether coarser levels are asked to hold means of 2 x 2 pixels, as ours do."""

    def version(self) -> str:
        return environment(self.environment).versions[self.package]

    def argv(self, task: Task) -> list[str]:
        """The command. Raises Missing when the rival cannot be installed."""
        return self.command(task, environment(self.environment).python)


def _raster_tile(task: Task, python: Path, overviews: str = "average") -> list[str]:
    form = {"jpeg": ["--output-format", "JPEG", "--creation-option", "QUALITY=75"], "png": ["--output-format", "PNG"]}
    words = ["--tiling-scheme", "WebMercatorQuad", "--min-zoom", "0", "--max-zoom", str(task.bottom)]
    words += ["--resampling", task.resampling, "--overview-resampling", overviews, *form[task.tiles]]
    words += ["--num-threads", "2", "--parallel-method", "thread", "--webviewer", "none", "--no-alpha"]
    return [str(python), str(_FOREIGN / "gdal_algorithm.py"), "raster", "tile", *words, str(task.source), str(task.out)]


def _raster_tile_nearest(task: Task, python: Path) -> list[str]:
    return _raster_tile(task, python, "nearest")


def _cog(task: Task, python: Path) -> list[str]:
    compression = {"jpeg": "jpeg", "png": "deflate"}[task.tiles]
    task.out.mkdir(parents=True)
    program = str(_FOREIGN / "gdal_cog.py")
    target = str(task.out / "cog.tif")
    words = [str(task.source), target, str(task.bottom), compression, task.resampling, "average"]
    return [str(python), program, *words]


def _gdal2tiles(task: Task, python: Path) -> list[str]:
    method = {"nearest": "near"}.get(task.resampling, task.resampling)
    words = ["--legacy", f"--tiledriver={task.tiles.upper()}", f"--zoom=0-{task.bottom}", "-r", method, "--xyz"]
    words += ["-w", "none", "--processes=2", "-q", str(task.source), str(task.out)]
    return [str(python), str(_FOREIGN / "gdal2tiles.py"), *words]


def _rio_tiler(task: Task, python: Path) -> list[str]:
    program = str(_FOREIGN / "rio_tiler_loop.py")
    return [str(python), program, str(task.source), str(task.out), str(task.bottom), task.tiles, task.resampling]


def _dzsave(task: Task, python: Path) -> list[str]:
    return [str(python), str(_FOREIGN / "vips_dzsave.py"), str(task.source), str(task.out), task.tiles]


RIVALS = {
    "raster-tile": Rival("gdal raster tile", "gdal", "rasterio", "zxy", _raster_tile),
    "raster-tile-nearest": Rival(
        "gdal raster tile, overviews by nearest: other pixels",
        "gdal",
        "rasterio",
        "zxy",
        _raster_tile_nearest,
        overviews=False,
    ),
    "cog": Rival("GDAL COG with overviews", "gdal", "rasterio", "cog", _cog),
    "vips": Rival("vips dzsave (image already warped)", "vips", "pyvips-binary", "zyx-local", _dzsave),
    "rio-tiler": Rival("rio-tiler loop, 2 processes", "rio-tiler", "rio-tiler", "zxy", _rio_tiler, slow=True),
    "gdal2tiles": Rival("gdal2tiles --legacy", "gdal2tiles", "gdal-utils", "zxy", _gdal2tiles, slow=True),
}
