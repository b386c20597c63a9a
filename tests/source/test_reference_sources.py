"""The reference data's own sources."""

from __future__ import annotations

import io

import numpy as np
import rasterio
from PIL import Image
from shared_data import shared

from fastpyr.formats import SampleType
from fastpyr.source import ChunkCache, build_mosaic, find_sources, open_source


def test_ortho_delivery_is_one_pack():
    files = find_sources([shared("ortho")])
    assert [file.name[:9] for file in files] == ["0920-6564", "0920-6565", "0921-6564", "0921-6565"]
    with build_mosaic([open_source(f) for f in files], ChunkCache(64 << 20), 3, SampleType.UINT8) as mosaic:
        (pack,) = mosaic.packs
        assert pack.bounds == (920000, 6563000, 922000, 6565000)
        out, mask = np.empty((600, 600, 3), np.uint8), np.empty((600, 600), np.uint8)
        assert pack.read(1700, 1700, 2300, 2300, out, mask) == 2
        assert pack.read(3700, 3700, 4300, 4300, np.empty_like(out), mask) == 1
        assert (mask > 0).sum() == 300 * 300
        corner = {"0920-6564": (0, 300), "0920-6565": (0, 0), "0921-6564": (300, 300), "0921-6565": (300, 0)}
        for file in files:
            x, y = corner[file.name[:9]]
            with rasterio.open(file) as dataset:
                start = (0 if y else 1700, 0 if x else 1700)
                part = dataset.read(window=((start[0], start[0] + 300), (start[1], start[1] + 300)))
            np.testing.assert_array_equal(out[y : y + 300, x : x + 300], part.transpose(1, 2, 0))


def test_elevations_and_map():
    folder = shared("rok4/sources")
    heights = open_source(folder / "RGEALTI" / "RGEALTI.tif", srs="IGNF:LAMB93")
    assert heights.info.transform == (1, 0, 573999.5, 0, -1, 6275000.5)
    assert heights.info.sample is SampleType.FLOAT32
    assert heights.info.has_mask
    assert heights.read(0, 0, 200, 200)[1] is None
    scan = open_source(folder / "SCAN1000" / "SCAN1000.tif", srs="IGNF:LAMB93").info
    assert (scan.channels, scan.transform) == (3, (100, 0, 600000, 0, -100, 6580000))


def test_parcels_are_white_paper():
    """1-bit source; the reference's own tiles at the finest level say which bit is white."""
    folder = shared("rok4")
    source = open_source(folder / "sources" / "BDPARCELLAIRE" / "BDPARCELLAIRE.tif", srs="IGNF:LAMB93")
    pixels, mask = source.read(0, 0, 1000, 1000)
    assert source.info.channels == 1
    assert mask is None
    assert set(np.unique(pixels)) == {0, 255}
    slab = (folder / "golden" / "BDPARCELLAIRE" / "DATA" / "19" / "51TB" / "YL" / "F5.tif").read_bytes()
    offsets, sizes = np.frombuffer(slab, "<u4", 4, 2048), np.frombuffer(slab, "<u4", 4, 2048 + 16)
    tiles = [np.asarray(Image.open(io.BytesIO(slab[o : o + n]))) for o, n in zip(offsets, sizes, strict=True)]
    golden = np.stack(tiles)
    assert set(np.unique(golden)) == {0, 255}
    assert abs((golden == 255).mean() - (pixels == 255).mean()) < 0.1
