"""What can be imported and mosaicked: raster files of all pixel types, arrays, sources, pyramid levels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import SourceError
from ..grid.bounds import BoundingBox
from ..source.base import Affine, Source, undecodable
from ..source.describe import transform_of
from ..source.session import HandlePool, gdal_session, open_dataset, opened_raster, reason_of
from .colormap import ColorMap
from .pixels import PixelType

__all__ = ["ArrayInput", "EmptyInput", "FileInput", "InputInfo", "RasterInput", "SourceInput", "as_input", "open_input"]

Pixels = npt.NDArray[Any]
Masks = npt.NDArray[np.uint8]

_pool = HandlePool()
_MAX_BANDS = 4096


@dataclass(frozen=True)
class InputInfo:
    """Facts of an input. ``wkt`` empty: the CRS is unknown. ``block``: rows and columns it is best read in."""

    name: str
    width: int
    height: int
    bands: int
    pixel_type: PixelType
    transform: Affine
    wkt: str
    band_names: tuple[str | None, ...] = ()
    colormap: ColorMap | None = None
    block: tuple[int, int] | None = None

    def checked(self) -> InputInfo:
        """The same. SourceError for what cannot be stored."""
        if not self.transform.is_usable or not self.transform.is_north_up:
            raise SourceError(f"{self.name}: is not north-up: rectify it first (gdalwarp)")
        if not 1 <= self.bands <= _MAX_BANDS:
            raise SourceError(f"{self.name}: {self.bands} bands, expected 1 to {_MAX_BANDS}")
        return self


class RasterInput(Protocol):
    """A north-up raster that many threads read windows of."""

    @property
    def info(self) -> InputInfo: ...

    def read(self, x0: int, y0: int, x1: int, y1: int) -> tuple[Pixels, Masks | None]:
        """Pixels (bands, rows, cols) and mask, (rows, cols) or (bands, rows, cols); None: every pixel is data."""
        ...


class ArrayInput:
    """An array (rows, cols) or (bands, rows, cols) with a place on earth; ``mask`` likewise, 0 = nodata."""

    def __init__(
        self,
        pixels: Pixels,
        *,
        transform: Sequence[float],
        crs: str = "",
        mask: npt.NDArray[Any] | None = None,
        pixel_type: PixelType | str | None = None,
        name: str = "array",
        colormap: ColorMap | None = None,
    ) -> None:
        array = np.asarray(pixels)
        array = array[np.newaxis] if array.ndim == 2 else array
        if array.ndim != 3 or 0 in array.shape:
            raise SourceError(f"{name}: shape {array.shape}: expected (rows, cols) or (bands, rows, cols)")
        try:
            kind = PixelType.of(array.dtype if pixel_type is None else pixel_type)
        except Exception as error:
            raise SourceError(f"{name}: samples of {array.dtype} cannot be stored: {error}") from None
        if array.dtype != kind.dtype:
            raise SourceError(f"{name}: samples are {array.dtype}, {kind.name} needs {kind.dtype}")
        if mask is not None and mask.shape not in (array.shape, array.shape[1:]):
            raise SourceError(f"{name}: the mask has shape {mask.shape}, the pixels {array.shape}")
        self._pixels = array
        self._mask = None if mask is None else np.where(np.asarray(mask) != 0, np.uint8(255), np.uint8(0))
        bands, height, width = array.shape
        affine = Affine(*map(float, tuple(transform)[:6]))
        self.info = InputInfo(name, width, height, bands, kind, affine, wkt_of(crs), colormap=colormap).checked()

    def read(self, x0: int, y0: int, x1: int, y1: int) -> tuple[Pixels, Masks | None]:
        here = np.s_[..., y0:y1, x0:x1]
        return self._pixels[here], None if self._mask is None else self._mask[here]


class EmptyInput:
    """A raster of which no pixel has data."""

    def __init__(
        self,
        name: str,
        size: tuple[int, int],
        pixel_type: PixelType,
        extent: BoundingBox,
        crs: str,
        band_names: tuple[str | None, ...],
    ) -> None:
        if not extent.is_valid:
            raise SourceError(f"{name}: its extent {extent} is empty or not finite")
        cell_x, cell_y = extent.width / size[0], extent.height / size[1]
        affine = Affine(cell_x, 0.0, extent.left, 0.0, -cell_y, extent.top)
        self.info = InputInfo(name, *size, len(band_names), pixel_type, affine, wkt_of(crs), band_names).checked()

    def read(self, x0: int, y0: int, x1: int, y1: int) -> tuple[Pixels, Masks | None]:
        pixels = np.zeros((self.info.bands, y1 - y0, x1 - x0), self.info.pixel_type.dtype)
        return pixels, np.zeros(pixels.shape[1:], np.uint8)


class SourceInput:
    """Any source of the build: uint8 or float32, 1 to 4 channels."""

    def __init__(self, source: Source) -> None:
        info = source.info
        self._source = source
        kind = PixelType.of(info.sample.dtype)
        layout = source.layout
        block = None if layout is None else (layout.rows, layout.cols)
        self.info = InputInfo(
            info.name, info.width, info.height, info.channels, kind, info.transform, wkt_of(info.crs), block=block
        ).checked()

    def read(self, x0: int, y0: int, x1: int, y1: int) -> tuple[Pixels, Masks | None]:
        pixels, mask = self._source.read(x0, y0, x1, y1)
        return np.moveaxis(pixels, 2, 0), mask


class FileInput:
    """A raster file as GDAL reads it: bands of any of the pixel types, palettes kept as colour maps.

    Nodata: the bands' nodata values, each for its band; NaN; the file's mask; the sibling ``<stem>.msk``. An alpha
    band is a band like any other.
    """

    def __init__(self, path: Path, info: InputInfo, nodata: tuple[float | None, ...], own_mask: bool, msk: Path | None):
        self.info = info
        self._path = path
        self._nodata = nodata
        self._own_mask = own_mask
        self._msk = msk
        self._float = info.pixel_type.dtype.kind == "f"

    def read(self, x0: int, y0: int, x1: int, y1: int) -> tuple[Pixels, Masks | None]:
        import rasterio
        from rasterio.windows import Window

        window = Window(x0, y0, x1 - x0, y1 - y0)
        own = None
        try:
            with gdal_session() as heard, _pool.lease(self._path) as dataset:
                pixels = dataset.read(window=window)
                if self._own_mask:
                    own = dataset.read_masks(1, window=window)
            if heard:
                raise undecodable(self.info.name, f"rows {y0}-{y1 - 1}", heard[0])
        except (rasterio.errors.RasterioError, OSError, ValueError) as error:
            raise undecodable(self.info.name, f"rows {y0}-{y1 - 1}, columns {x0}-{x1 - 1},", reason_of(error)) from None
        mask = self._mask(pixels, own)
        if self._msk is not None:
            with gdal_session(), _pool.lease(self._msk) as dataset:
                plane = np.where(dataset.read(1, window=window) != 0, np.uint8(255), np.uint8(0))
            mask = plane if mask is None else mask & plane
        return pixels, mask

    def _mask(self, pixels: Pixels, own: Masks | None) -> Masks | None:
        mask = own
        if self._float:
            holes = np.isnan(pixels)
            if holes.any():
                mask = _both(mask, np.where(holes, np.uint8(0), np.uint8(255)))
        if any(value is not None and value == value for value in self._nodata):
            planes = np.full(pixels.shape, 255, np.uint8)
            for plane, band, value in zip(planes, pixels, self._nodata, strict=True):
                if value is not None and value == value:
                    plane[band == np.asarray(value).astype(pixels.dtype)] = 0
            mask = _both(mask, planes)
        return mask


def _both(a: Masks | None, b: Masks) -> Masks:
    return b if a is None else a & b


def wkt_of(crs: str) -> str:
    """WKT of a CRS; empty stays empty. Raises GridError for an unknown one."""
    if not crs:
        return ""
    from ..grid.crs import parse_crs

    return str(parse_crs(crs).to_wkt())


def open_input(path: str | os.PathLike[str], srs: str | None = None) -> FileInput:
    """Open a raster file. SourceError, naming the file and the cure, for anything that cannot be stored."""
    import rasterio

    path = Path(path)
    if not path.is_file():
        raise SourceError(f"{path}: {'is not a file' if path.exists() else 'no such file'}")
    _pool.discard(path)
    with opened_raster(path) as dataset:
        info = _describe(dataset, path, srs)
        kind = info.pixel_type.dtype
        nodata = tuple(_nodata(value, kind) for value in dataset.nodatavals)
        flags = dataset.mask_flag_enums[0]
        own = rasterio.enums.MaskFlags.per_dataset in flags and rasterio.enums.MaskFlags.alpha not in flags
        msk = path.with_suffix(".msk")
        beside = msk if msk.is_file() and msk != path else None
        if beside is not None:
            with open_dataset(beside) as mask:
                if (mask.width, mask.height) != (info.width, info.height):
                    raise SourceError(f"{beside}: has not the size of {path.name}")
        return FileInput(path, info, nodata, own, beside)


def _describe(dataset: Any, path: Path, srs: str | None) -> InputInfo:
    names = {str(name) for name in dataset.dtypes}
    if len(names) != 1:
        raise SourceError(f"{path}: its bands are of different types ({', '.join(sorted(names))})")
    dtype = names.pop()
    bits = int(dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", "8"))
    narrow = {1: "U1", 2: "U2", 4: "U4"}.get(bits) if dtype == "uint8" else None
    try:
        kind = PixelType.of(narrow or dtype)
    except Exception:
        raise SourceError(f"{path}: samples of type {dtype} cannot be stored") from None
    colormap = None
    if dataset.count == 1 and dataset.colorinterp[0].name == "palette" and kind.name in ("U1", "U2", "U4", "U8", "U16"):
        colormap = _colormap(dataset.colormap(1))
    crs = srs or ""
    if dataset.crs:
        crs = dataset.crs.to_wkt()
    return InputInfo(
        str(path),
        dataset.width,
        dataset.height,
        dataset.count,
        kind,
        transform_of(dataset, path),
        wkt_of(crs),
        tuple(dataset.descriptions),
        colormap,
        tuple(dataset.block_shapes[0]),
    ).checked()


def _colormap(table: dict[int, tuple[int, ...]]) -> ColorMap | None:
    if not table:
        return None
    entries = np.zeros((max(table) + 1, 4), np.uint8)
    for index, colour in table.items():
        entries[index] = np.clip(colour, 0, 255)
    opaque = bool((entries[:, 3] == 255).all())
    return ColorMap(entries[:, :3].copy() if opaque else entries)


def _nodata(value: float | None, dtype: np.dtype[Any]) -> float | None:
    """A nodata value that pixels of this type can have."""
    if value is None or dtype.kind == "f":
        return value
    limits = np.iinfo(dtype)
    return value if value == int(value) and limits.min <= value <= limits.max else None


def as_input(given: Any, srs: str | None = None) -> RasterInput:
    """An input from a path, a source, an input, or a stored raster."""
    if isinstance(given, (str, os.PathLike)):
        return open_input(given, srs)
    if isinstance(getattr(given, "info", None), InputInfo):
        found: RasterInput = given
        return found
    if hasattr(given, "info") and hasattr(given, "layout"):
        return SourceInput(given)
    raise SourceError(f"{type(given).__name__} is nothing that can be imported: give a file, an array or a source")
