"""Whether an output may be compared: every level there, pixels where they belong.

Expected pixels are computed here in float64 from the input and pyproj, apart from anything the engine does.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data import Input

__all__ = ["Verdict", "check_folder", "check_pyramid", "exact_tile", "sample"]

_WORLD = 20037508.342789244
_TILE = 256
_SPOTS = ((0.31, 0.42), (0.62, 0.57), (0.47, 0.81))
"""Where tiles are compared, as fractions of the source's width and height."""
_MARGIN = 20
"""Source pixels at the border of the source that are not compared."""
_JPEG_SLACK = 1.5
"""dB that a JPEG tile may be further from the exact pixels than the exact pixels after one JPEG pass."""
_LOSSLESS_PSNR = 40.0
"""dB of tiles without loss; GDAL's default tolerance of positions gives about 47."""
_EQUAL_SHARE = 0.95
"""Share of pixels that must be equal under nearest neighbour; on cell borders any side may win."""
_FLOAT_ERROR = 0.05
"""Metres that 99 % of heights may be away."""

Reader = Callable[[int, int, int], NDArray[Any] | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``correct``: complete and close. ``quality``: PSNR in dB, share of equal pixels or metres, worst of the spots."""

    correct: bool
    tiles: int
    bytes: int
    quality: float
    note: str = ""


def check_pyramid(uri: Path, source: Input, bottom: int, interpolation: str) -> Verdict:
    """A pyramid of ours."""
    import fastpyr

    pyramid = fastpyr.open(uri)
    counts = {level.id: level.limits for level in pyramid.levels}

    def present(level: int, column: int, row: int) -> bool:
        limits = counts.get(str(level))
        return limits is not None and limits.contains(column, row)

    tiles = sum(limits.count for limits in counts.values())
    size = sum(path.stat().st_size for path in Path(str(uri).removesuffix(".json")).rglob("*") if path.is_file())
    lossy = pyramid.format.format.compression.is_lossy
    reader: Reader = lambda level, column, row: pyramid.tile(str(level), column, row)  # noqa: E731
    return _judge(source, bottom, interpolation, reader, present, tiles, size, lossy)


def check_folder(
    folder: Path, layout: str, source: Input, bottom: int, interpolation: str, overviews: bool = True
) -> Verdict:
    """The output of a rival. ``layout`` and ``overviews`` as in ``Rival``."""
    if layout == "cog":
        return _check_cog(folder / "cog.tif", source, bottom, interpolation)
    # vips adds one file that is no tile
    pictures = (path for path in folder.rglob("*") if path.suffix in (".jpg", ".jpeg", ".png"))
    files = [path for path in pictures if path.name != "blank.png"]
    size = sum(path.stat().st_size for path in files)
    suffix = files[0].suffix if files else ""
    locate = _image_levels(folder, suffix, source, bottom) if layout == "zyx-local" else _grid_levels(folder, suffix)

    def read(level: int, column: int, row: int) -> NDArray[Any] | None:
        path = locate(level, column, row)
        return _picture(path.read_bytes()) if path is not None and path.exists() else None

    def present(level: int, column: int, row: int) -> bool:
        path = locate(level, column, row)
        return path is None or path.exists()

    lossy = suffix != ".png"
    return _judge(source, bottom, interpolation, read, present, len(files), size, lossy, overviews=overviews)


def _grid_levels(folder: Path, suffix: str) -> Callable[[int, int, int], Path | None]:
    return lambda level, column, row: folder / str(level) / str(column) / f"{row}{suffix}"


def _image_levels(folder: Path, suffix: str, source: Input, bottom: int) -> Callable[[int, int, int], Path | None]:
    """A pyramid of the image alone: its coarsest level is one tile. Coarser levels of the grid are None: not asked."""
    _, left, top, cell = source.place
    column0, row0 = round((left + _WORLD) / cell) // _TILE, round((_WORLD - top) / cell) // _TILE
    deepest = (source.side - 1).bit_length() - (_TILE - 1).bit_length()

    def locate(level: int, column: int, row: int) -> Path | None:
        own, shift = deepest - (bottom - level), bottom - level
        if own < 0:
            return None
        return folder / str(own) / str(row - (row0 >> shift)) / f"{column - (column0 >> shift)}{suffix}"

    return locate


def _check_cog(path: Path, source: Input, bottom: int, interpolation: str) -> Verdict:
    """Overviews stand for levels; they end where the image fits in a block, so coarser levels are not asked."""
    import rasterio
    from rasterio.windows import Window

    with rasterio.open(path) as file:
        factors = [1, *file.overviews(1)]
        cell, left, top = file.transform.a, file.transform.c, file.transform.f
        lossy = file.profile.get("compress") == "jpeg"
        column0, row0 = round((left + _WORLD) / cell), round((_WORLD - top) / cell)
        tiles = sum(-(-file.width // f // _TILE) * -(-file.height // f // _TILE) for f in factors)

    def read(level: int, column: int, row: int) -> NDArray[Any] | None:
        if level != bottom:
            return None
        with rasterio.open(path) as file:
            window = Window(column * _TILE - column0, row * _TILE - row0, _TILE, _TILE)
            return np.moveaxis(file.read(window=window), 0, 2)

    def present(level: int, column: int, row: int) -> bool:
        factor = 1 << (bottom - level)
        return factor in factors or factor > factors[-1]

    note = f"{len(factors)} levels"
    return _judge(source, bottom, interpolation, read, present, tiles, path.stat().st_size, lossy, note)


def _picture(data: bytes) -> NDArray[Any]:
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(data)))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _judge(
    source: Input,
    bottom: int,
    interpolation: str,
    read: Reader,
    present: Callable[[int, int, int], bool],
    tiles: int,
    size: int,
    lossy: bool,
    note: str = "",
    overviews: bool = True,
) -> Verdict:
    missing = [tile for tile in _footprint(source, bottom) if not present(*tile)]
    if missing:
        return Verdict(False, tiles, size, 0.0, f"{len(missing)} tiles missing, the first is {missing[0]}")
    worst, close = None, True
    for level, column, row in _spots(source, bottom):
        got = read(level, column, row)
        if got is None:
            return Verdict(False, tiles, size, 0.0, f"tile {level}/{column}/{row} cannot be read")
        exact, inside = exact_tile(source, level, column, row, interpolation)
        if got.shape[:2] != exact.shape[:2] or got.shape[2] < exact.shape[2]:
            return Verdict(False, tiles, size, 0.0, f"tile {level}/{column}/{row} has shape {got.shape}")
        quality, good = _compare(got[:, :, : exact.shape[2]], exact, inside, interpolation, lossy)
        close &= good
        worst = quality if worst is None else (max if exact.dtype == np.float32 else min)(worst, quality)
    if close and overviews and not lossy and not all(_is_mean(read, *spot) for spot in _spots(source, bottom)):
        return Verdict(False, tiles, size, round(worst or 0.0, 4), "overviews are not means of 2 x 2 pixels")
    return Verdict(close, tiles, size, round(worst or 0.0, 4), note if close else "pixels are off")


def _is_mean(read: Reader, level: int, column: int, row: int) -> bool:
    """Whether the tile above one at the bottom holds the means of its four; True where they are not there to be read,
    or hold heights, whose holes have a say."""
    above, column, row = read(level - 1, column // 2, row // 2), column // 2 * 2, row // 2 * 2
    four = [[read(level, column + x, row + y) for x in (0, 1)] for y in (0, 1)]
    if above is None or above.dtype != np.uint8 or any(tile is None for pair in four for tile in pair):
        return True
    pixels = np.concatenate([np.concatenate(pair, 1) for pair in four]).astype(np.float64)  # type: ignore[arg-type]
    means = pixels.reshape(_TILE, 2, _TILE, 2, -1).mean(axis=(1, 3))
    return above.shape == means.shape and _psnr(above, means) >= _LOSSLESS_PSNR


def _compare(
    got: NDArray[Any], exact: NDArray[Any], inside: NDArray[np.bool_], interpolation: str, lossy: bool
) -> tuple[float, bool]:
    once = _once(exact)[inside] if lossy else None
    got, exact = got[inside], exact[inside]
    if exact.dtype == np.float32:
        error = float(np.quantile(np.abs(got - exact), 0.99))
        return error, error <= _FLOAT_ERROR
    if interpolation == "nearest" and not lossy:
        share = float((got == exact).all(axis=1).mean())
        return share, share >= _EQUAL_SHARE
    quality = _psnr(got, exact)
    if once is None:
        return quality, quality >= _LOSSLESS_PSNR
    return quality, quality >= _psnr(once, exact) - _JPEG_SLACK


def _once(pixels: NDArray[Any]) -> NDArray[Any]:
    """The pixels after JPEG, quality 75."""
    from PIL import Image

    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "JPEG", quality=75)
    return _picture(memory.getvalue())


def _psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


@functools.cache
def _footprint(source: Input, bottom: int) -> tuple[tuple[int, int, int], ...]:
    """(level, column, row) of tiles that surely hold data: those under points well inside the source."""
    inset = min(8, source.side // 8)
    line = np.linspace(inset, source.side - inset, max(16, source.side // 96))
    x, y = _to_mercator(source, *np.meshgrid(line, line))
    tiles = []
    for level in range(bottom + 1):
        size = 2 * _WORLD / 2**level
        pairs = np.stack([np.floor((x + _WORLD) / size), np.floor((_WORLD - y) / size)], axis=-1)
        tiles += [(level, int(c), int(r)) for c, r in np.unique(pairs.reshape(-1, 2), axis=0)]
    return tuple(tiles)


def _spots(source: Input, bottom: int) -> list[tuple[int, int, int]]:
    x, y = _to_mercator(source, *(np.array([spot[i] * source.side for spot in _SPOTS]) for i in (0, 1)))
    size = 2 * _WORLD / 2**bottom
    return [(bottom, int(c), int(r)) for c, r in zip((x + _WORLD) // size, (_WORLD - y) // size, strict=True)]


def _to_mercator(source: Input, columns: NDArray[Any], rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """EPSG:3857 coordinates of pixel corners."""
    crs, left, top, cell = source.place
    x, y = left + columns * cell, top - rows * cell
    if crs == "EPSG:3857":
        return x, y
    from pyproj import Transformer

    return Transformer.from_crs(crs, "EPSG:3857", always_xy=True).transform(x, y)


@functools.cache
def exact_tile(
    source: Input, level: int, column: int, row: int, interpolation: str
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Pixels of a tile of Web Mercator, every position transformed on its own, weights in float64.

    The second array (rows, cols) is True well inside the source, where nodata and edges have no say.
    """
    import rasterio
    from rasterio.windows import Window

    crs, left, top, cell = source.place
    size = 2 * _WORLD / 2**level / _TILE
    x = -_WORLD + (column * _TILE + np.arange(_TILE) + 0.5) * size
    y = _WORLD - (row * _TILE + np.arange(_TILE) + 0.5) * size
    x, y = np.meshgrid(x, y)
    if crs != "EPSG:3857":
        from pyproj import Transformer

        x, y = Transformer.from_crs("EPSG:3857", crs, always_xy=True).transform(x, y)
    u, v = (x - left) / cell - 0.5, (top - y) / cell - 0.5
    x0, y0 = max(0, int(u.min()) - 3), max(0, int(v.min()) - 3)
    x1, y1 = min(source.side, int(u.max()) + 4), min(source.side, int(v.max()) + 4)
    with rasterio.open(source.path()) as file:
        window = np.moveaxis(file.read(window=Window(x0, y0, x1 - x0, y1 - y0)), 0, 2)
    last = source.side - 1 - _MARGIN
    inside = (u >= _MARGIN) & (v >= _MARGIN) & (u <= last) & (v <= last)
    pixels = sample(window, np.clip(u - x0, 2, x1 - x0 - 4), np.clip(v - y0, 2, y1 - y0 - 4), interpolation)
    if pixels.dtype == np.float32:
        inside &= (pixels > -1000).all(axis=2)
    return pixels, inside


def sample(window: NDArray[Any], u: NDArray[Any], v: NDArray[Any], interpolation: str) -> NDArray[Any]:
    taps, weight = _KERNELS[interpolation]
    first = taps // 2 - 1
    base_u, base_v = np.floor(u).astype(int), np.floor(v).astype(int)
    if interpolation == "nearest":
        return window[np.ceil(v - 0.5).astype(int), np.ceil(u - 0.5).astype(int)]
    total = np.zeros((*u.shape, window.shape[2]))
    for j in range(taps):
        for i in range(taps):
            column, row = base_u - first + i, base_v - first + j
            share = weight(np.abs(u - column)) * weight(np.abs(v - row))
            total += share[:, :, None] * window[row, column]
    if window.dtype == np.float32:
        return total.astype(np.float32)
    return np.clip(np.floor(total + 0.5), 0, 255).astype(np.uint8)


def _cubic(d: NDArray[Any]) -> NDArray[Any]:
    """Keys' kernel, a = -1/2."""
    near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d < 1, near, np.where(d < 2, far, 0.0))


_KERNELS: dict[str, tuple[int, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "nearest": (0, np.abs),
    "bilinear": (2, lambda d: np.maximum(0.0, 1 - d)),
    "cubic": (4, _cubic),
}
"""Taps and weight by distance."""
