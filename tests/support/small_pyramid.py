"""Small pyramids written to a store from NumPy pixels, upper levels by the slow oracle, and tools to damage them."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from pyramid_oracle import Canvas

from fastpyr.encode import encoder, mask_encoder
from fastpyr.formats import Interpolation, PixelFormat, SlabKind, TileFormat
from fastpyr.grid import TileLimits
from fastpyr.pyramid.descriptor import Descriptor
from fastpyr.pyramid.level import LevelDescriptor, StorageType
from fastpyr.pyramid.list import SlabList
from fastpyr.slab.reader import read_index, tile_bytes
from fastpyr.slab.writer import slab_bytes
from fastpyr.store import FileStore

SLAB = 2
"""Tiles per slab in both directions."""


def scene(height, width, channels, dtype="uint8", seed=1):
    """Pixels with a hole of nodata-to-be: smooth relief plus noise, and a mask with two gaps."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base = 120 + 60 * np.sin(x / 37)[..., None] * np.cos(y / 23)[..., None] + np.arange(channels) * 15
    pixels = base + rng.normal(0, 12, (height, width, channels))
    pixels = np.clip(pixels, 0, 255).astype("uint8") if dtype == "uint8" else (pixels * 3.7).astype("float32")
    mask = np.full((height, width), 255, np.uint8)
    mask[: height // 5, width // 2 :] = 0
    mask[height // 2 : height // 2 + 31, width // 3 : width // 3 + 17] = 0
    return pixels, mask


def write(
    target,
    name="SMALL",
    format="TIFF_PNG_UINT8",
    channels=3,
    *,
    mask=True,
    bottom=12,
    levels=3,
    tiles=(3, 3),
    corner=(2073, 1409),
    seed=1,
    storage=StorageType.FILE,
):
    """Write a PM pyramid below ``target`` (folder or store); (descriptor key, canvases finest first).

    ``corner`` is the (column, row) of the bottom level's top-left tile, ``tiles`` its (columns, rows).
    """
    store = target if hasattr(target, "put") else FileStore(target)
    pixel_format = PixelFormat.of(TileFormat.parse(format), channels)
    pixels, valid = scene(256 * tiles[1], 256 * tiles[0], channels, pixel_format.dtype, seed)
    pixels[valid == 0] = pixel_format.nodata
    canvas = Canvas(256 * corner[0], 256 * corner[1], pixels, valid)
    described, paths, canvases = [], [], []
    for number in range(bottom, bottom - levels, -1):
        canvases.append(canvas)
        level = _level(name, str(number), canvas, mask, storage)
        paths += _write_level(store, name, level, canvas, pixel_format, mask)
        described.insert(0, level)
        canvas = canvas.parent(pixel_format.nodata)
    descriptor = Descriptor(name, "PM", pixel_format, mask, Interpolation.BICUBIC, tuple(described))
    store.put(f"{name}.list", [SlabList.owned(f"/elsewhere/{name}", paths).to_bytes()])
    store.put(f"{name}.json", [descriptor.to_json()])
    return f"{name}.json", canvases


def _level(name, id, canvas, mask, storage):
    h, w = canvas.mask.shape
    rows, columns = np.nonzero(canvas.mask.reshape(h // 256, 256, w // 256, 256).any((1, 3)))
    col, row = canvas.x0 // 256, canvas.y0 // 256
    limits = TileLimits(
        *(int(v) for v in (row + rows.min(), row + rows.max(), col + columns.min(), col + columns.max()))
    )
    level = LevelDescriptor.placed(name, id, SLAB, SLAB, limits, mask=mask)
    if storage is StorageType.FILE:
        return level
    return replace(
        level,
        image_directory=f"{name}/DATA_{id}",
        mask_directory=f"{name}/MASK_{id}" if mask else None,
        path_depth=0,
        storage=storage,
        tray="tray@host",
    )


def _write_level(store, name, level, canvas, pixel_format, mask):
    pixel_encoder, masks = encoder(pixel_format, 256, 256), mask_encoder(256, 256)
    empty = np.empty((256, 256, pixel_format.channels), pixel_format.dtype)
    empty[...] = pixel_format.nodata
    area = level.slab_limits
    for slab_row in range(area.min_row, area.max_row + 1):
        for slab_col in range(area.min_col, area.max_col + 1):
            cells = [canvas.tile(slab_col * SLAB + x, slab_row * SLAB + y) for y in range(SLAB) for x in range(SLAB)]
            if not any(valid is not None and valid.any() for _, valid in cells):
                continue
            kinds = {SlabKind.DATA: (pixel_format, [pixel_encoder.encode(empty if p is None else p) for p, _ in cells])}
            if mask:
                none = np.zeros((256, 256), np.uint8)
                kinds[SlabKind.MASK] = (masks.format, [masks.encode(none if m is None else m) for _, m in cells])
            for kind, (fmt, tiles) in kinds.items():
                key = level.key(kind, slab_col, slab_row)
                store.put(key, [slab_bytes(fmt, 256, 256, SLAB, SLAB, tiles)])
                yield key.removeprefix(f"{name}/")


def copy(source: Path, folder: Path) -> Path:
    """Copy a pyramid (descriptor, list, data) into ``folder``, writable; the descriptor's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (source, source.with_suffix(".list")):
        (folder / path.name).write_bytes(path.read_bytes())
    shutil.copytree(source.with_suffix(""), folder / source.stem, copy_function=shutil.copyfile)
    for path in [folder / source.stem, *(folder / source.stem).rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder / source.name


def replace_tile(slab: Path, number: int, data: bytes, fmt: PixelFormat) -> None:
    """Rewrite a slab with another payload for one tile."""
    whole = slab.read_bytes()
    header, index = read_index(whole)
    tiles = [tile_bytes(whole, index, i) for i in range(len(index))]
    tiles[number] = data
    slab.write_bytes(slab_bytes(fmt, header.tile_width, header.tile_height, header.columns, header.rows, tiles))
