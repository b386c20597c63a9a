"""Chunks that nobody waits for any more."""

import threading

import numpy as np

from fastpyr.formats import SampleType
from fastpyr.source import ChunkCache, build_mosaic, open_source
from fastpyr.source.readers import Readers


def test_a_chunk_goes_with_its_last_reader():
    readers = Readers(np.array([(0, 0, 10, 10), (8, 0, 20, 10), (30, 0, 40, 10)], np.int64))
    readers.decoded("left", 0, 0, 8, 10)
    readers.decoded("shared", 8, 0, 12, 10)
    readers.decoded("nobody", 22, 0, 28, 10)
    assert readers.done(0) == ["left"]
    readers.decoded("left", 0, 0, 8, 10)  # again, for somebody unforeseen
    readers.decoded("shared", 8, 0, 12, 10)
    assert readers.done(1) == ["shared"]
    assert readers.done(1) == readers.done(2) == []


def windows(side, step, reach):
    starts = range(0, side, step)
    return [(max(x - reach, 0), max(y - reach, 0), x + step + reach, y + step + reach) for y in starts for x in starts]


def test_chunks_are_decoded_once_and_given_up(tmp_path):
    import rasterio

    pixels = np.random.default_rng(0).integers(0, 255, (3, 2048, 2048), np.uint8)
    profile = {"driver": "GTiff", "width": 2048, "height": 2048, "count": 3, "dtype": "uint8", "tiled": True}
    transform = rasterio.transform.from_origin(10, 20, 1, 1)
    with rasterio.open(
        tmp_path / "a.tif", "w", **profile, crs="EPSG:3857", transform=transform, compress="zstd"
    ) as out:
        out.write(pixels)
    cache = ChunkCache(64 << 20)
    with build_mosaic([open_source(tmp_path / "a.tif")], cache, 3, SampleType.UINT8) as mosaic:
        pack, wanted = mosaic.packs[0], windows(2048, 256, 20)
        pack.expect(np.array(wanted, np.int64))
        todo, failures, most = iter(enumerate(wanted)), [], 0
        lock = threading.Lock()

        def work():
            nonlocal most
            while True:
                with lock:
                    number, (x0, y0, x1, y1) = next(todo, (None, (0, 0, 0, 0)))
                if number is None:
                    return
                x1, y1 = min(x1, 2048), min(y1, 2048)
                out, mask = np.empty((y1 - y0, x1 - x0, 3), np.uint8), np.empty((y1 - y0, x1 - x0), np.uint8)
                if (
                    pack.read(x0, y0, x1, y1, out, mask) != 2
                    or (out != pixels[:, y0:y1, x0:x1].transpose(1, 2, 0)).any()
                ):
                    failures.append(number)
                most = max(most, cache.nbytes)
                pack.done(number)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert cache.decoded == 16
        assert cache.nbytes == 0
        assert most < pixels.nbytes * 0.7
