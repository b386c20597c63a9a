"""From an open dataset to facts: which bands, what they mean, where they lie. Everything unsupported stops here."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastpyr.errors import GridError, SourceError
from fastpyr.formats import SampleType
from fastpyr.frozen import frozen

from .base import Affine, BlockLayout, nodata_values

__all__ = ["Bands", "crs_of", "describe_bands", "layout_of", "transform_of"]

_SAMPLES = {"uint8": SampleType.UINT8, "float32": SampleType.FLOAT32}
_SEQUENTIAL_DRIVERS = ("PNG", "JPEG")
_MAX_BLOCK = 1 << 30
"""Bytes of one stored block: GDAL has to hold it whole, once per thread."""


@frozen
class Bands:
    """How to read a dataset's bands.

    ``order``: band numbers, colours before alpha. ``table``: (256, channels) colours for indexes and 1-bit samples.
    ``nodata``: value per stored band. ``mask_band``: the dataset has a mask of its own.
    """

    order: tuple[int, ...]
    sample: SampleType
    channels: int
    table: npt.NDArray[np.uint8] | None
    nodata: tuple[float, ...] | None
    has_alpha: bool
    mask_band: bool


def describe_bands(dataset: Any, path: Path) -> Bands:
    """Meaning of the bands. SourceError for depths, counts and colour models that no pyramid can hold."""
    kinds = set(dataset.dtypes)
    if not 1 <= dataset.count <= 4:
        detail = "no raster band" if dataset.count == 0 else f"{dataset.count} bands"
        raise SourceError(f"{path}: {detail}: a source has 1 to 4 (extract some with gdal_translate -b)")
    if len(kinds) > 1 or not kinds <= _SAMPLES.keys():
        found = ", ".join(sorted(kinds))
        raise SourceError(f"{path}: samples are {found}: convert them to uint8 or float32 (gdal_translate -ot, -scale)")
    sample = _SAMPLES[dataset.dtypes[0]]
    roles = [interp.name for interp in dataset.colorinterp]
    order, has_alpha = _order(roles, path)
    table = _table(dataset, roles, path) if sample is SampleType.UINT8 else None
    flags = {flag.name for flag in dataset.mask_flag_enums[0]}
    has_alpha |= table is not None and table.shape[1] == 4
    return Bands(
        order=order,
        sample=sample,
        channels=dataset.count if table is None else table.shape[1],
        table=table,
        nodata=nodata_values([dataset.nodatavals[band - 1] for band in order], sample, str(path)),
        has_alpha=has_alpha,
        mask_band="per_dataset" in flags and not flags & {"alpha", "nodata"},
    )


def _order(roles: list[str], path: Path) -> tuple[tuple[int, ...], bool]:
    """Band numbers as gray or R, G, B, then alpha; and whether there is an alpha band."""
    if "cyan" in roles:
        raise SourceError(f"{path}: CMYK colours: convert them to RGB")
    ranks = {"red": 0, "green": 1, "blue": 2, "alpha": 9}
    colours = {"red", "green", "blue"} <= set(roles)
    has_alpha = len(roles) > 1 and "alpha" in roles
    if has_alpha and len(roles) == 3:
        raise SourceError(f"{path}: 2 colour bands and an alpha band: expected gray, gray+alpha, RGB or RGBA")
    rank = [ranks.get(role, 3) if colours or role == "alpha" else 3 for role in roles]
    return tuple(sorted(range(1, len(roles) + 1), key=lambda band: rank[band - 1])), has_alpha


def _table(dataset: Any, roles: list[str], path: Path) -> npt.NDArray[np.uint8] | None:
    """Colours of indexed samples, (256, 3) or with alpha (256, 4); (256, 1) for 1-bit; None when samples are values."""
    bits = int(dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", "8"))
    # GDAL gives 8-bit min-is-white images an inverting palette; they are taken as they are stored
    inverted = dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"
    if dataset.count == 1 and roles[0] == "palette" and not (inverted and bits == 8):
        table = np.zeros((256, 4), np.uint8)
        table[:, 3] = 255
        for index, colour in dataset.colormap(1).items():
            if 0 <= index < 256:
                table[index] = np.clip(colour, 0, 255)
        if bits == 1 and (table[:2] == [[0, 0, 0, 255]]).all(axis=1).any() and (table[:2] == 255).all(axis=1).any():
            return table[:, :1].copy()
        return table if (table[:, 3] < 255).any() else table[:, :3].copy()
    if bits == 1 and dataset.count == 1:
        return np.where(np.arange(256) > 0, 255, 0).astype(np.uint8)[:, np.newaxis]
    if bits < 8:
        raise SourceError(f"{path}: {bits}-bit samples: convert them to 8 bits (gdal_translate -scale)")
    return None


def layout_of(dataset: Any, path: Path) -> BlockLayout:
    """Stored blocks. SourceError for blocks that would take too much memory to decode."""
    if dataset.driver == "VRT":
        # its own 128-pixel blocks say nothing about the files behind it
        return BlockLayout(1024, 1024)
    rows, cols = dataset.block_shapes[0]
    if rows < 1 or cols < 1:
        raise SourceError(f"{path}: unusable block size {cols} x {rows}")
    rows, cols = min(rows, dataset.height), min(cols, dataset.width)
    size = rows * cols * dataset.count * np.dtype(dataset.dtypes[0]).itemsize
    if size > _MAX_BLOCK:
        raise SourceError(
            f"{path}: stored in blocks of {cols} x {rows} pixels, {size >> 20} MiB each: "
            "rewrite it in tiles (gdal_translate -co TILED=YES)"
        )
    return BlockLayout(rows, cols, sequential=dataset.driver in _SEQUENTIAL_DRIVERS)


def transform_of(dataset: Any, path: Path) -> Affine:
    """Georeferencing. SourceError when there is none, or only control points."""
    transform = Affine(*tuple(dataset.transform)[:6])
    if transform == (1, 0, 0, 0, 1, 0):
        if dataset.gcps[0] or dataset.rpcs is not None:
            raise SourceError(f"{path}: located by control points or RPC only: rectify it first (gdalwarp)")
        raise SourceError(f"{path}: no georeferencing: add a world file (.tfw, .pgw, .jgw) beside it, or GeoTIFF tags")
    if not transform.is_usable:
        raise SourceError(f"{path}: unusable georeferencing {tuple(transform)}")
    return transform


def crs_of(dataset: Any, path: Path, srs: str | None) -> str:
    """Text of the CRS: the file's, or ``srs`` for a file without a usable one. SourceError when neither is known."""
    from fastpyr.grid.crs import parse_crs

    if dataset.crs:
        text = _stored_crs(dataset.crs.to_wkt())
        if text is not None:
            return text
    if srs is None:
        detail = "an unusable CRS" if dataset.crs else "no CRS"
        raise SourceError(f"{path}: carries {detail}: give one with --srs (for example --srs EPSG:2154)")
    try:
        parse_crs(srs)
    except GridError as exc:
        raise SourceError(f"{path}: {exc}") from exc
    return srs


@lru_cache(maxsize=64)
def _stored_crs(wkt: str) -> str | None:
    """The CRS as an EPSG code where it is exactly that, else as WKT; None for local and unknown ones."""
    import rasterio

    from fastpyr.grid.crs import parse_crs

    code = rasterio.crs.CRS.from_wkt(wkt).to_epsg(confidence_threshold=100)
    for text in (wkt,) if code is None else (f"EPSG:{code}", wkt):
        try:
            parse_crs(text)
        except GridError:
            continue
        return text
    return None
