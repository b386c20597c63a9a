"""Sources that are decoded in bands as wide as they are: the order of blocks decodes each band once."""

from __future__ import annotations

import numpy as np
import pytest

from fastpyr.engine import Builder
from fastpyr.formats import SampleType
from fastpyr.planning import BuildOptions, SourceGroup, make_plan
from fastpyr.source import Affine, BlockLayout, RasterInfo
from fastpyr.store import MemoryStore

SIDE = 4096


class Banded:
    """A flat picture at level 18 of PM, stored in strips of 16 rows or in tiles; counts the pixels it has decoded."""

    def __init__(self, layout: BlockLayout) -> None:
        cell = 20037508.342789244 * 2 / 256 / 2**18
        transform = Affine(cell, 0, 100 * 256 * cell, 0, -cell, -100 * 256 * cell)
        self.info = RasterInfo("flat", "EPSG:3857", transform, SIDE, SIDE, 1, SampleType.UINT8, False)
        self.layout = layout
        self.decoded = 0

    def read(self, x0, y0, x1, y1):
        self.decoded += (x1 - x0) * (y1 - y0)
        return np.full((y1 - y0, x1 - x0, 1), 7, np.uint8), None

    def close(self):
        pass


def decoded(layout: BlockLayout, cache_bytes: int) -> tuple[float, list[tuple[int, int]]]:
    """How often the picture is decoded, and the blocks in their order."""
    source = Banded(layout)
    options = BuildOptions.parse(tms="PM", top="18", width=4, height=4, compression="raw", interpolation="nn")
    plan = make_plan([SourceGroup([source])], options, cache_bytes)
    store = MemoryStore()
    builder = Builder(plan, store.stage("P"))
    worker = builder.worker()
    for task in plan.source_blocks():
        builder.run(task, worker)
    return source.decoded / SIDE**2, [(column, row) for _, column, row in plan.source_blocks()]


@pytest.mark.parametrize(("rows", "cache_mebibytes"), [(1, 6), (16, 6), (128, 6), (16, 10)])
def test_a_band_is_decoded_once(rows, cache_mebibytes):
    """1024 rows under one row of blocks are 4 MiB; the whole picture is 16 MiB."""
    times, blocks = decoded(BlockLayout(rows, SIDE), cache_mebibytes << 20)
    assert times == 1
    assert [row for _, row in blocks] == sorted(row for _, row in blocks)


def test_the_z_curve_would_decode_them_again(monkeypatch):
    monkeypatch.setattr("fastpyr.source.Mosaic.band_row_bytes", 0)
    times, _ = decoded(BlockLayout(16, SIDE), 6 << 20)
    assert times > 1.4


def test_tiles_and_pictures_that_fit_keep_to_the_z_curve():
    tiled, z_curve = decoded(BlockLayout(256, 256), 6 << 20)
    banded, all_cached = decoded(BlockLayout(16, SIDE), 17 << 20)
    assert tiled == banded == 1
    assert z_curve == all_cached
