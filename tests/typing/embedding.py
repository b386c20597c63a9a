"""The public API as an embedding program uses it: must type-check under mypy --strict and run as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import fastpyr
from fastpyr.encode import decode_tile, encoder
from fastpyr.kernels import convert_channels, reduce2x2
from fastpyr.slab import read_index, read_slab, slab_bytes, slab_chunks


def scene() -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[0:512, 0:512]
    return np.stack([x // 2, y // 2, (x + y) // 4], axis=2).astype(np.uint8)


def whole_job(pixels: npt.NDArray[np.uint8]) -> None:
    cell = fastpyr.load_tms("PM").level("16").cell_size
    left, top = 600_000.0, 5_700_000.0
    box = (left, top - 512 * cell, left + 512 * cell, top)
    source = fastpyr.ArraySource(pixels, crs="EPSG:3857", bbox=box, name="scene")
    seen: list[fastpyr.Progress] = []
    decided: fastpyr.Plan = fastpyr.plan([source], tms="PM", compression="png", top="14")
    levels: list[dict[str, Any]] = decided.summary()["levels"]
    pyramid: fastpyr.Pyramid = fastpyr.build(
        [source],
        "mem://embedding/SCENE.json",
        tms="PM",
        compression=fastpyr.Compression.PNG,
        interpolation="linear",
        top="14",
        width=4,
        height=4,
        mask=True,
        progress=seen.append,
    )
    assert [level.id for level in pyramid.levels] == [level["level"] for level in levels] == ["16", "15", "14"]
    assert seen[-1].blocks == seen[-1].blocks_total

    opened = fastpyr.open("mem://embedding/SCENE.json")
    finest = opened.levels[0]
    tile: npt.NDArray[Any] | None = opened.tile(finest.id, finest.limits.min_col, finest.limits.min_row)
    data: bytes | None = opened.tile_bytes(finest.id, finest.limits.min_col, finest.limits.min_row)
    mask: npt.NDArray[np.uint8] | None = opened.mask(finest.id, finest.limits.min_col, finest.limits.min_row)
    assert tile is not None
    assert data is not None
    assert mask is not None
    extent: fastpyr.BoundingBox = opened.extent
    image, valid = opened.read(finest.id, extent)
    assert image.shape == (*valid.shape, opened.format.channels)
    report: fastpyr.VerifyReport = opened.verify()
    assert report.ok


def kernels_alone(pixels: npt.NDArray[np.uint8]) -> None:
    half, half_mask = reduce2x2(pixels)
    assert half.shape == (256, 256, 3)
    assert half_mask is None
    gray = convert_channels(pixels, 1)
    assert gray.shape == (512, 512, 1)


def tiles_and_slab_alone(pixels: npt.NDArray[np.uint8]) -> None:
    fmt = fastpyr.PixelFormat.of(fastpyr.TileFormat.parse("TIFF_PNG_UINT8"), 3)
    tiles: list[bytes] = []
    for row in encoder(fmt, 256, 256).encode_block(pixels):
        tiles.extend(data for data in row if data is not None)
    slab: bytes = slab_bytes(fmt, 256, 256, 2, 2, tiles)
    assert slab == b"".join(slab_chunks(fmt, 256, 256, 2, 2, tiles))
    header, index = read_index(slab)
    assert (header.columns, header.rows, len(index)) == (2, 2, 4)
    np.testing.assert_array_equal(read_slab(slab, fmt), pixels)
    np.testing.assert_array_equal(decode_tile(fmt, 3, 256, 256, tiles[3]), pixels[256:, 256:])


def one_line_errors() -> str:
    try:
        fastpyr.load_tms("NO_SUCH_SET")
    except fastpyr.FastpyrError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    picture = scene()
    whole_job(picture)
    kernels_alone(picture)
    tiles_and_slab_alone(picture)
    assert "NO_SUCH_SET" in one_line_errors()
