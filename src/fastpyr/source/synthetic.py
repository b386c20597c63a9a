"""Seeded scenes that compress like the real thing: an aerial photograph, a scanned map, a terrain model.

For demonstrations, benchmarks and tests. The same seed and size give the same bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["dem_scene", "ortho_scene", "scan_scene"]

_FIELD_PIXELS = 230
"""Mean side of a field in pixels."""
_GRAIN = 11.5
"""Standard deviation of the grain that all three colours share, in levels of 255."""
_CROPS = np.array(
    [(96, 128, 62), (150, 158, 92), (188, 172, 118), (120, 104, 78), (74, 104, 58), (168, 150, 104), (110, 146, 84)],
    np.float32,
)


def ortho_scene(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """An RGB picture (height, width, 3): fields with furrows, hedges, woods, roads and roofs, with sensor-like grain.

    The grain is set so that tiles of 256 x 256 take 1.8 to 2.3 bits a pixel as JPEG of quality 75, as aerial
    photographs of 0.5 m do.
    """
    rng = np.random.default_rng(seed)
    field, edge, angle = _fields(height, width, rng)
    colours = _CROPS[rng.integers(0, len(_CROPS), field.max() + 1)] * rng.uniform(0.85, 1.12, (field.max() + 1, 1))
    picture = colours.astype(np.float32)[field]
    relief = _noise(height, width, rng, (512, 128, 32, 8))
    rows, cols = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None, :]
    furrows = np.sin((rows * np.cos(angle) + cols * np.sin(angle)) * 0.55)
    picture += (furrows * 5 + relief * 16)[:, :, None]
    woods = _noise(height, width, rng, (400, 150)) > 0.75
    crowns = _noise(height, width, rng, (12, 5, 3))
    picture[woods] = np.array((52, 76, 44), np.float32) + crowns[woods][:, None] * 26
    picture[(edge < 3) & ~woods] *= 0.62
    _roads(picture, rng)
    _roofs(picture, rng)
    picture += rng.normal(0, _GRAIN, (height, width, 1)).astype(np.float32)
    picture += rng.normal(0, 1.2, picture.shape).astype(np.float32)
    pixels: NDArray[np.uint8] = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
    return pixels


_INKS = np.array(
    [
        (253, 253, 250), (222, 236, 204), (186, 216, 168), (250, 240, 206), (206, 226, 240), (168, 204, 232),
        (238, 222, 196), (244, 226, 230), (228, 228, 228), (214, 206, 190), (246, 246, 222), (200, 222, 214),
        (250, 222, 160), (190, 204, 226), (206, 206, 200), (176, 200, 140),
        (40, 36, 40), (150, 96, 52), (204, 56, 48), (240, 172, 60),
    ],
    np.float32,
)  # fmt: skip
"""Printed colours of a map: sixteen area tints, then lines and lettering."""
_TINTS, _SHADES = 16, 8
_BLACK, _CONTOUR, _RED, _ORANGE = 16, 17, 18, 19


def scan_scene(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A scanned topographic map, RGB (height, width, 3), of at most 160 colours: 20 inks in 8 shades of scanner noise.

    Area tints, contour lines, roads with casings and lettering. Tiles take about 4 bits a pixel as PNG without
    filters, as scans at 5 m do.
    """
    rng = np.random.default_rng(seed)
    field, edge, _ = _fields(height, width, rng)
    ink = rng.integers(0, _TINTS, field.max() + 1)[field]
    relief = _noise(height, width, rng, (600, 220, 90)) * 9
    steps = np.floor(relief)
    lines = (steps[:-1, :-1] != steps[1:, :-1]) | (steps[:-1, :-1] != steps[:-1, 1:])
    ink[:-1, :-1][lines] = _CONTOUR
    ink[edge < 1] = _BLACK
    _map_roads(ink, rng)
    _letters(ink, rng)
    # Paper and scanner: a slow tone and a fast one, in few steps, so that runs are broken as in a real scan.
    tone = _noise(height, width, rng, (300, 40)) * 0.5 + rng.normal(0, 0.45, (height, width)).astype(np.float32)
    shade = np.clip(np.floor(tone * 1.3 + _SHADES / 2), 0, _SHADES - 1).astype(np.intp)
    palette = _INKS[:, None, :] + (np.arange(_SHADES) - _SHADES + 1)[None, :, None] * np.float32(3)
    pixels: NDArray[np.uint8] = np.clip(palette, 0, 255).astype(np.uint8)[ink, shade]
    return pixels


def _map_roads(ink: NDArray[np.intp], rng: np.random.Generator) -> None:
    height, width = ink.shape
    rows, cols = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None, :]
    for n in range(max(3, (height + width) // 500)):
        turn = rng.uniform(0, np.pi)
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        bend = 25 * np.sin(cols / rng.uniform(80, 300))
        away = np.abs((rows - y + bend) * np.cos(turn) - (cols - x) * np.sin(turn))
        ink[away < 4] = _BLACK
        ink[away < 2.5] = _RED if n % 3 == 0 else _ORANGE


def _letters(ink: NDArray[np.intp], rng: np.random.Generator) -> None:
    """Words of strokes: rows of boxes with bars, as dense as place names."""
    height, width = ink.shape
    for _ in range(height * width // 30000):
        size, count = int(rng.integers(7, 16)), int(rng.integers(4, 12))
        if height <= size + 2 or width <= count * size + 2:
            continue
        y, x = int(rng.integers(0, height - size)), int(rng.integers(0, width - count * size))
        for letter in range(count):
            left = x + letter * size
            bars = rng.integers(0, 2, 4)
            ink[y : y + size, left : left + 2] = _BLACK
            for bar, at in zip(bars, (0, size // 2, size - 2, size - 2), strict=True):
                if bar:
                    ink[y + at : y + at + 2, left : left + size - 3] = _BLACK
            if bars[3]:
                ink[y : y + size, left + size - 5 : left + size - 3] = _BLACK


def dem_scene(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    """Terrain heights in metres, (height, width) float32 rounded to centimetres: relief from 4 to 1024 pixels."""
    rng = np.random.default_rng(seed)
    total = np.full((height, width), 420, np.float32)
    for period in (1024, 512, 256, 128, 64, 32, 16, 8, 4):
        total += _noise(height, width, rng, (period,)) * np.float32(0.22 * period**0.9)
    heights: NDArray[np.float32] = np.round(total, 2)
    return heights


def _noise(height: int, width: int, rng: np.random.Generator, periods: tuple[int, ...]) -> NDArray[np.float32]:
    """Sum of smooth noises, each of unit amplitude at its period in pixels, scaled to about -1..1."""
    total = np.zeros((height, width), np.float32)
    for period in periods:
        grid = rng.uniform(-1, 1, (height // period + 2, width // period + 2)).astype(np.float32)
        total += _stretch(_stretch(grid, height, period, 0), width, period, 1)
    total /= np.float32(len(periods) ** 0.5)
    return total


def _stretch(grid: NDArray[np.float32], length: int, period: int, axis: int) -> NDArray[np.float32]:
    """Interpolate linearly along an axis, ``period`` pixels between grid points."""
    at: NDArray[np.float32] = np.arange(length, dtype=np.float32) / np.float32(period)
    low = at.astype(np.intp)
    part = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
    result: NDArray[np.float32] = np.take(grid, low, axis) * (1 - part) + np.take(grid, low + 1, axis) * part
    return result


def _fields(
    height: int, width: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]:
    """Cells around jittered points: number of the cell, distance to its border (pixels), furrow angle."""
    down, across = height // _FIELD_PIXELS + 3, width // _FIELD_PIXELS + 3
    points_y = (np.arange(down)[:, None] - 1 + rng.uniform(0, 1, (down, across))) * _FIELD_PIXELS
    points_x = (np.arange(across)[None, :] - 1 + rng.uniform(0, 1, (down, across))) * _FIELD_PIXELS
    angles = rng.uniform(0, np.pi, down * across).astype(np.float32)
    number = np.empty((height, width), np.intp)
    edge = np.empty((height, width), np.float32)
    x = np.arange(width, dtype=np.float32)[None, :]
    for top in range(0, height, 64):  # a band at a time keeps the distances small
        y = np.arange(top, min(top + 64, height), dtype=np.float32)[:, None]
        first = np.full((len(y), width), np.inf, np.float32)
        second = first.copy()
        best = np.zeros(first.shape, np.intp)
        row = top // _FIELD_PIXELS + 1
        for j in range(max(row - 2, 0), min(row + 3, down)):
            for i in range(across):
                distance = np.hypot(y - np.float32(points_y[j, i]), x - np.float32(points_x[j, i]))
                nearer = distance < first
                second = np.where(nearer, first, np.minimum(second, distance))
                first = np.where(nearer, distance, first)
                best[nearer] = j * across + i
        number[top : top + 64] = best
        edge[top : top + 64] = (second - first) / 2
    return number, edge, angles[number]


def _roads(picture: NDArray[np.float32], rng: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    rows, cols = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None, :]
    for _ in range(max(2, (height + width) // 1500)):
        turn, half = rng.uniform(0, np.pi), rng.uniform(3, 6)
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        bend = 30 * np.sin(cols / rng.uniform(200, 500))
        away = np.abs((rows - y + bend) * np.cos(turn) - (cols - x) * np.sin(turn))
        picture[away < half] = (158, 156, 152)
        picture[(away >= half) & (away < half + 1.5)] = (196, 190, 176)


def _roofs(picture: NDArray[np.float32], rng: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    for _ in range(height * width // 40000):
        h, w = rng.integers(10, 34, 2)
        if height <= h + 4 or width <= w + 4:
            continue
        y, x = int(rng.integers(0, height - h - 4)), int(rng.integers(0, width - w - 4))
        picture[y + 3 : y + h + 4, x + 3 : x + w + 4] *= 0.45  # its shadow
        tone = np.array((176, 96, 74), np.float32) * rng.uniform(0.75, 1.2)
        picture[y : y + h, x : x + w] = tone
        picture[y : y + h // 2, x : x + w] *= 0.86  # the slope away from the sun
