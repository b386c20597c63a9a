"""Raster files through GDAL: GeoTIFF, TIFF + world file, JPEG 2000, PNG, JPEG, VRT, BIL and whatever else it opens."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastpyr.errors import SourceError
from fastpyr.kernels.memory import pooled_empty

from .base import BlockLayout, Mask, Pixels, RasterInfo, check_window, damaged_block, undecodable
from .describe import Bands, crs_of, describe_bands, layout_of, transform_of
from .plain import describe_plain
from .session import HandlePool, gdal_session, open_dataset, opened_raster, reason_of
from .tiff import TiffBlocks, tiff_blocks
from .validity import combine, data_mask

__all__ = ["GdalSource", "open_source"]

_pool = HandlePool()
_LARGE_BLOCK = 64 << 20
"""Bytes; files with larger blocks are read by one thread at a time, so that one block is in memory, not one each."""
_TAIL_BLOCKS = 64
"""Blocks at the end of a TIFF that are looked up at opening: a cut file lacks those."""


def open_source(path: str | os.PathLike[str], srs: str | None = None) -> GdalSource:
    """Opens a raster file and checks all that can be known without decoding it.

    ``srs``: CRS of files that carry none. 1-bit samples come out as 0 and 255 (white is 255, whatever the file's
    photometric), palettes as RGB (RGBA when a colour is transparent), 8-bit min-is-white as stored. Nodata: pixels
    whose bands all equal the nodata value, alpha 0, the dataset's own mask, the sibling ``<stem>.msk`` (any raster of
    the same size, 0 = nodata), NaN. Raises SourceError, naming the file and the cure, for anything unusable.
    """
    path = Path(path)
    if not path.is_file():
        raise SourceError(f"{path}: {'is not a file' if path.exists() else 'no such file'}")
    plain = describe_plain(path, srs)
    if plain is None:
        return _open_with_gdal(path, srs)
    source = GdalSource(path, plain.info, plain.bands, plain.layout, None, plain.blocks)
    # handles that an earlier source left open may belong to a file that has been replaced since
    source.close()
    return source


def _open_with_gdal(path: Path, srs: str | None) -> GdalSource:
    with opened_raster(path) as dataset:
        bands = describe_bands(dataset, path)
        mask_file = _mask_file(path, dataset.width, dataset.height)
        info = RasterInfo(
            name=str(path),
            crs=crs_of(dataset, path, srs),
            transform=transform_of(dataset, path),
            width=dataset.width,
            height=dataset.height,
            channels=bands.channels,
            sample=bands.sample,
            has_mask=bands.nodata is not None or bands.has_alpha or bands.mask_band or mask_file is not None,
        )
        plain = not bands.mask_band and bands.order == tuple(range(1, dataset.count + 1))
        blocks = tiff_blocks(path, dataset) if plain else None
        layout = layout_of(dataset, path)
        if blocks is not None:
            layout = BlockLayout(layout.rows, layout.cols, in_pairs=blocks.is_dense)
        source = GdalSource(path, info, bands, layout, mask_file, blocks)
        source.close()
        lost = _past_end(dataset, path)
    if lost is not None:
        # some writers overstate the last block: only a block that does not decode is an error
        (x0, y0), size = lost, source.layout
        source.read(x0, y0, min(x0 + size.cols, info.width), min(y0 + size.rows, info.height))
    return source


class GdalSource:
    """A raster file; see ``open_source``. Any number of threads may read.

    ``blocks``: how to read the samples of a plain TIFF without GDAL, None for other files.
    """

    def __init__(
        self,
        path: Path,
        info: RasterInfo,
        bands: Bands,
        layout: BlockLayout,
        mask_file: Path | None,
        blocks: TiffBlocks | None = None,
    ) -> None:
        self.info = info
        self.layout = layout
        self._path = path
        self._bands = bands
        self._mask_file = mask_file
        self._blocks = blocks
        block = layout.rows * layout.cols * len(bands.order) * bands.sample.size
        self._turn: AbstractContextManager[Any] = nullcontext()
        if layout.sequential or block > _LARGE_BLOCK:
            self._turn = threading.Lock()

    def __reduce__(self) -> tuple[type[GdalSource], tuple[Any, ...]]:
        """For other processes, whose working directory is another one: by absolute paths, nothing being open."""
        mask_file = None if self._mask_file is None else self._mask_file.absolute()
        blocks = None if self._blocks is None else replace(self._blocks, path=self._blocks.path.absolute())
        return GdalSource, (self._path.absolute(), self.info, self._bands, self.layout, mask_file, blocks)

    def read(self, x0: int, y0: int, x1: int, y1: int) -> tuple[Pixels, Mask | None]:
        """The window in fresh arrays. See ``Source.read``; errors name the file and the block that failed."""
        check_window(self.info, x0, y0, x1, y1)
        bands = self._bands
        raw = pooled_empty((y1 - y0, x1 - x0, len(bands.order)), bands.sample.dtype)
        own = np.empty(raw.shape[:2], np.uint8) if bands.mask_band else None
        with self._turn:
            if self._blocks is None or not self._blocks.read(x0, y0, raw):
                self._decode(self._path, x0, y0, raw, own)
        # an index table turns samples into colours, among them possibly an alpha
        mask = data_mask(raw, bands.nodata, has_alpha=bands.has_alpha and bands.table is None)
        pixels = raw
        if bands.table is not None:
            pixels = bands.table[raw[:, :, 0]]
            if bands.has_alpha:
                mask = combine(mask, pixels[:, :, -1])
        if own is not None:
            mask = combine(mask, own)
        if self._mask_file is not None:
            plane = np.empty((*raw.shape[:2], 1), np.uint8)
            self._decode(self._mask_file, x0, y0, plane, None)
            mask = combine(mask, plane[:, :, 0])
        return pixels, mask

    def _decode(self, path: Path, x0: int, y0: int, out: Pixels, own_mask: Mask | None) -> None:
        import rasterio

        try:
            with gdal_session() as heard, _pool.lease(path) as dataset:
                self._fill(dataset, path, x0, y0, out, own_mask)
                if heard:
                    raise SourceError(heard[0])
        except (rasterio.errors.RasterioError, SourceError) as exc:
            raise self._locate(path, x0, y0, out, own_mask, reason_of(exc)) from exc

    def _fill(self, dataset: Any, path: Path, x0: int, y0: int, out: Pixels, own_mask: Mask | None) -> None:
        from rasterio.windows import Window

        window = Window(x0, y0, out.shape[1], out.shape[0])
        if path == self._mask_file:
            out[:, :, 0] = dataset.read(1, window=window) != 0
        else:
            # the bands land in (rows, cols, channels) memory without a copy
            dataset.read(list(self._bands.order), window=window, out=out.transpose(2, 0, 1))
        if own_mask is not None:
            dataset.read_masks(1, window=window, out=own_mask)

    def _locate(self, path: Path, x0: int, y0: int, out: Pixels, own_mask: Mask | None, known: str) -> SourceError:
        """Error naming the first stored block of a window that fails, and why; the whole window and what is ``known``
        when none fails by itself. A fresh dataset: the old one may keep bad blocks."""
        import rasterio

        height, width = out.shape[:2]
        whole = f"rows {y0}-{y0 + height - 1}, columns {x0}-{x0 + width - 1}"
        with gdal_session() as heard:
            try:
                dataset = open_dataset(path)
            except rasterio.errors.RasterioError as exc:
                return undecodable(str(path), whole, reason_of(exc))
            with dataset:
                rows, cols = dataset.block_shapes[0]
                for y in range(y0 - y0 % rows, y0 + height, rows):
                    for x in range(x0 - x0 % cols, x0 + width, cols):
                        top, left = max(y, y0), max(x, x0)
                        end, right = min(y + rows, y0 + height), min(x + cols, x0 + width)
                        part = np.s_[top - y0 : end - y0, left - x0 : right - x0]
                        reason = ""
                        try:
                            piece = np.empty_like(out[part])
                            plane = None if own_mask is None else np.empty_like(own_mask[part])
                            self._fill(dataset, path, left, top, piece, plane)
                        except rasterio.errors.RasterioError as exc:
                            reason = reason_of(exc)
                        if reason or heard:
                            window = x, y, min(x + cols, self.info.width), min(y + rows, self.info.height)
                            block = x // cols, y // rows
                            return damaged_block(str(path), block, window, self.info.width, reason or heard[0])
        return undecodable(str(path), whole, known)

    @property
    def path(self) -> Path:
        """The file itself."""
        return self._path

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the pixels come from, this one first: a VRT names others."""
        found = [self._path]
        if self._path.suffix.lower() == ".vrt":
            import rasterio

            with gdal_session():
                try:
                    with open_dataset(self._path) as dataset:
                        found += [Path(name) for name in dataset.files]
                except rasterio.errors.RasterioError as exc:
                    raise SourceError(f"{self._path}: not a raster that GDAL can open ({reason_of(exc)})") from exc
        if self._mask_file is not None:
            found.append(self._mask_file)
        return tuple(dict.fromkeys(found))

    @property
    def needs_gdal(self) -> bool:
        """False for a file whose pixels are read without GDAL, unless blocks of it are missing."""
        return self._blocks is None or self._mask_file is not None

    def close(self) -> None:
        """Closes the file in all threads that are not reading it now."""
        _pool.discard(self._path)
        if self._blocks is not None:
            self._blocks.close()
        if self._mask_file is not None:
            _pool.discard(self._mask_file)


def _mask_file(path: Path, width: int, height: int) -> Path | None:
    """The sibling ``.msk``, checked. SourceError when it is not a raster of the same size."""
    import rasterio

    for suffix in (".msk", ".MSK"):
        file = path.with_suffix(suffix)
        if file == path or not file.is_file():
            continue
        try:
            with open_dataset(file) as dataset:
                found = (dataset.width, dataset.height)
                if dataset.count < 1:
                    raise SourceError(f"{file}: the mask of {path.name} has no band")
        except rasterio.errors.RasterioError as exc:
            raise SourceError(f"{file}: not a mask that GDAL can open ({reason_of(exc)})") from exc
        if found != (width, height):
            raise SourceError(
                f"{file}: the mask is {found[0]} x {found[1]} pixels, {path.name} is {width} x {height}: "
                "they must be equal"
            )
        return file
    return None


def _past_end(dataset: Any, path: Path) -> tuple[int, int] | None:
    """Pixel position of a TIFF block that is said to end past the end of the file, None when all is well."""
    if dataset.driver != "GTiff":
        return None
    size = path.stat().st_size
    rows, cols = dataset.block_shapes[0]
    across, down = -(-dataset.width // cols), -(-dataset.height // rows)
    for index in range(max(0, across * down - _TAIL_BLOCKS), across * down):
        x, y = index % across, index // across
        offset, length = (
            dataset.get_tag_item(f"BLOCK_{item}_{x}_{y}", "TIFF", bidx=dataset.count) for item in ("OFFSET", "SIZE")
        )
        if offset and length and int(offset) + int(length) > size:
            return x * cols, y * rows
    return None
