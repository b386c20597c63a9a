"""Small rasters of every kind, written by rasterio, Pillow and tifffile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    """picture(height, width, channels, dtype): smooth seeded pixels, so that lossy formats stay close."""

    def make(height: int, width: int, channels: int = 3, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:height, :width]
        waves = [np.sin(x / rng.uniform(7, 30) + c) + np.cos(y / rng.uniform(7, 30)) for c in range(channels)]
        values = np.stack(waves, axis=2) * 50 + 120 + rng.uniform(0, 5, (height, width, channels))
        return values.astype(dtype)

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """write(name, pixels, **profile): a GeoTIFF in Lambert-93, 0.5 m, unless the profile says otherwise."""

    def make(name: str, pixels: np.ndarray, colormap: dict[int, Any] | None = None, **profile: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = {
            "driver": "GTiff",
            "crs": "EPSG:2154",
            "transform": Affine(0.5, 0, 600000, 0, -0.5, 6600000),
            "dtype": pixels.dtype.name,
            "height": pixels.shape[0],
            "width": pixels.shape[1],
            "count": pixels.shape[2],
        } | profile
        with rasterio.open(path, "w", **facts) as dataset:
            dataset.write(pixels.transpose(2, 0, 1))
            if colormap is not None:
                dataset.write_colormap(1, colormap)
        return path

    return make
