"""Inputs of the benchmark: seeded, written once into a cache outside the source tree.

A scene of 2048 x 2048 pixels is repeated, mirrored from one repetition to the next so that nothing breaks at the seams;
photographs also change their tone, so that no two repetitions are equal.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CACHE", "ORTHO_BITS", "Input", "delivery_folder", "jpeg_bits", "large_ortho"]

CACHE = Path(os.environ.get("FASTPYR_BENCH_CACHE", Path(tempfile.gettempdir()) / "fastpyr-bench"))
"""Inputs, environments of rivals and outputs. Put it on a RAM disk to leave the disk out of the figures."""
ORTHO_BITS = (1.8, 2.3)
"""Bits a pixel of an aerial photograph's tiles as JPEG, quality 75, 4:2:0: what an input must have to count as one."""

_SCENE = 2048
_SEED = 7
_PM_CELL = 20037508.342789244 * 2 / 256 / 2**18
_PM_TILE = (132800, 93088)
"""Column and row, at level 18 of PM, of the top-left tile of aligned inputs. Multiples of 32: 8192 pixels are exactly
one tile of level 13."""
_PLACES = {
    "ortho": ("EPSG:2154", 700_000.0, 6_600_000.0, 0.5),
    "scan": ("EPSG:2154", 700_000.0, 6_600_000.0, 5.0),
    "dem": ("EPSG:2154", 700_000.0, 6_600_000.0, 1.0),
    "real": ("EPSG:2154", 920_000.0, 6_565_000.0, 0.5),
    "pm18": (
        "EPSG:3857",
        _PM_TILE[0] * 256 * _PM_CELL - 20037508.342789244,
        20037508.342789244 - _PM_TILE[1] * 256 * _PM_CELL,
        _PM_CELL,
    ),
}
_DEM_NODATA = -99999.0

Pixels = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Input:
    """One input raster. ``kind``: ortho, scan, dem or real (the delivery of the shared data, mirrored).

    ``packing``: ``deflate`` (with predictor) or ``raw``. ``aligned``: in EPSG:3857 on the pixels of PM level 18.
    """

    kind: str
    side: int
    packing: str = "deflate"
    aligned: bool = False

    @property
    def name(self) -> str:
        parts = [self.kind, str(self.side)]
        parts += ["pm18"] if self.aligned else []
        parts += ["raw"] if self.packing == "raw" else []
        return "-".join(parts)

    @property
    def place(self) -> tuple[str, float, float, float]:
        """CRS, left, top, pixel size."""
        return _PLACES["pm18" if self.aligned else self.kind]

    def path(self) -> Path:
        """The file, made now if the cache lacks it."""
        path = CACHE / "inputs" / f"{self.name}.tif"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            self._write(part)
            part.replace(path)
        return path

    def _write(self, path: Path) -> None:
        import rasterio
        from rasterio.transform import from_origin
        from rasterio.windows import Window

        scene = self._scene()
        if self.kind in ("ortho", "real"):
            _check_entropy(self.name, scene)
        crs, left, top, cell = self.place
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "width": self.side,
            "height": self.side,
            "count": scene.shape[2],
            "dtype": scene.dtype.name,
            "crs": crs,
            "transform": from_origin(left, top, cell, cell),
            "tiled": True,
            "blockxsize": 512,
            "blockysize": 512,
            "bigtiff": "if_safer",
            "num_threads": "all_cpus",
        }
        if scene.shape[2] == 3:
            profile["photometric"] = "rgb"
        if self.packing == "deflate":
            profile |= {"compress": "deflate", "predictor": 3 if scene.dtype == np.float32 else 2}
        if self.kind == "dem":
            profile["nodata"] = _DEM_NODATA
        height, width = scene.shape[:2]
        with rasterio.open(path, "w", **profile) as out:
            for row, y in enumerate(range(0, self.side, height)):
                for column, x in enumerate(range(0, self.side, width)):
                    piece = _repeated(scene, row, column, self.kind)
                    piece = piece[: self.side - y, : self.side - x]
                    out.write(np.moveaxis(piece, 2, 0), window=Window(x, y, piece.shape[1], piece.shape[0]))

    def _scene(self) -> Pixels:
        from fastpyr.source.synthetic import dem_scene, ortho_scene, scan_scene

        if self.kind == "real":
            return _delivered()
        makers: dict[str, Callable[[int, int, int], Pixels]] = {
            "ortho": ortho_scene,
            "scan": scan_scene,
            "dem": dem_scene,
        }
        side = min(_SCENE, self.side)
        scene = makers[self.kind](side, side, _SEED)
        return scene if scene.ndim == 3 else _with_holes(scene)[:, :, None]


def _repeated(scene: Pixels, row: int, column: int, kind: str) -> Pixels:
    """The scene as it comes at (row, column) of the repetition."""
    piece = scene[:: -1 if row % 2 else 1, :: -1 if column % 2 else 1]
    if kind != "ortho":
        return piece
    tone = (row * 7 + column * 3) % 23 - 11
    return np.clip(piece.astype(np.int16) + tone, 0, 255).astype(np.uint8)


def _with_holes(heights: Pixels) -> Pixels:
    """Two lakes without measurements, about 3 % of the scene."""
    rows, cols = np.ogrid[: heights.shape[0], : heights.shape[1]]
    side = heights.shape[0]
    for y, x, radius in ((0.3, 0.4, 0.07), (0.7, 0.65, 0.07)):
        heights[(rows - y * side) ** 2 + (cols - x * side) ** 2 < (radius * side) ** 2] = _DEM_NODATA
    return heights


def jpeg_bits(pixels: NDArray[np.uint8]) -> float:
    """Bits a pixel of RGB ``pixels`` cut into 256 x 256 tiles and stored as JPEG (quality 75, 4:2:0, with headers)."""
    from imagecodecs import jpeg8_encode

    height, width = (n // 256 * 256 for n in pixels.shape[:2])
    size = sum(
        len(jpeg8_encode(pixels[y : y + 256, x : x + 256], 75, colorspace="RGB", subsampling="420"))
        for y in range(0, height, 256)
        for x in range(0, width, 256)
    )
    return size * 8 / (height * width)


def _check_entropy(name: str, scene: NDArray[np.uint8]) -> None:
    bits, (low, high) = jpeg_bits(scene), ORTHO_BITS
    if name.startswith("ortho") and not low <= bits <= high:
        raise RuntimeError(f"{name}: {bits:.2f} bit/px as JPEG q75, an aerial photograph has {low} to {high}")
    print(f"{name}: {bits:.2f} bit/px as JPEG q75")


def delivery_folder() -> Path | None:
    """The delivery of the shared test data, None where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "ortho"
    return folder if any(folder.glob("*.tif")) else None


def _delivered() -> Pixels:
    """The shared delivery put together, RGB."""
    import rasterio
    from rasterio.merge import merge

    folder = delivery_folder()
    if folder is None:
        raise FileNotFoundError("the shared delivery is not here")
    files = [rasterio.open(path) for path in sorted(folder.glob("*.tif"))]
    try:
        pixels, _ = merge(files)
    finally:
        for file in files:
            file.close()
    return np.ascontiguousarray(np.moveaxis(pixels, 0, 2))


def large_ortho(side: int) -> Path:
    """The aerial photograph of that side, EPSG:2154, 0.5 m, deflate with predictor."""
    return Input("ortho", side).path()
