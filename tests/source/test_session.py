"""Open files: shared between threads one at a time, few of them kept."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from fastpyr.source.session import HandlePool, gdal_session


def test_idle_files_are_bounded_and_reused(write, picture):
    paths = [write(f"{n}.tif", picture(8, 8)) for n in range(5)]
    pool = HandlePool(max_idle=3)
    with gdal_session():
        opened = []
        for path in paths:
            with pool.lease(path) as dataset:
                opened.append(dataset)
        assert pool.idle_count == 3
        assert [dataset.closed for dataset in opened] == [True, True, False, False, False]
        with pool.lease(paths[4]) as again, pool.lease(paths[4]) as other:
            assert again is opened[4]
            assert other is not again, "a leased dataset belongs to one user"
        assert pool.idle_count == 3
        pool.discard(paths[4])
        assert again.closed
        assert other.closed
        assert pool.idle_count == 1


def test_a_dataset_that_failed_is_not_kept(write, picture):
    path = write("a.tif", picture(8, 8))
    pool = HandlePool()
    with gdal_session(), pytest.raises(KeyError), pool.lease(path) as dataset:
        raise KeyError
    assert dataset.closed
    assert pool.idle_count == 0


def test_reports_of_damage_are_heard_in_their_session_only():
    logger = logging.getLogger("rasterio._err")
    with gdal_session() as heard:
        logger.warning("CPLE_AppDefined:JPEGLib:%s", "Corrupt JPEG data: bad Huffman code")
        logger.warning("some other warning")
    logger.warning("Corrupt JPEG data: later")
    assert heard == ["Corrupt JPEG data: bad Huffman code"]


def test_nothing_heavy_is_imported_for_names():
    import subprocess
    import sys

    code = "import sys, fastpyr.source; print([m for m in ('rasterio', 'pyproj', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    np.testing.assert_equal(done.stderr, "")
