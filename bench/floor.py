"""The floor: what the parts of a job cost alone, on the very same pixels, one core, nothing between them.

``python -m bench.floor SOURCE OUT REPORT [--compression jpg] [--interpolation bicubic] [--mask]``

Each part runs the fastest kernel at hand (several are tried where there is a choice) with its memory touched before,
and is timed by the thread's CPU clock. The sum of the parts is the floor; finding positions is reported beside it,
because the best way of doing that costs next to nothing. Nothing is planned, shared or imported in a timed part.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PARTS", "Clock", "decode", "floor"]

PARTS = ("decode", "mask", "warp", "reduce", "encode", "write")
"""What is added up. ``mask``: finding nodata in the source and filling it in tiles that have some."""
_SLAB = 16
_WRITEV = 1024
_PADDING = 48
_REACH = 4
"""Source pixels around positions that a kernel may look at."""

Pixels = NDArray[Any]


class Clock:
    """CPU seconds of the calling thread by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = time.thread_time()
        yield
        self.seconds[name] += time.thread_time() - start


def floor(source: Path, out: Path, *, compression: str, interpolation: str, mask: bool) -> dict[str, Any]:
    """Run the parts and return their CPU seconds; slabs are written to ``out``, which is emptied after."""
    import fastpyr

    clock, choices = Clock(), {}
    plan = fastpyr.plan(
        source, tms="PM", compression=compression, interpolation=interpolation, mask=mask, parallelization=1
    )
    holes = plan.mosaics[0].packs[0].infos[0].may_have_holes
    nodata = [float(value) for value in plan.pixel.nodata] if holes else None
    pixels, source_mask, choices["inflate"] = decode(source, clock, nodata)
    job = _Job(plan, pixels, source_mask, clock, choices)
    try:
        job.run()
        out.mkdir(parents=True, exist_ok=True)
        job.write(out)
    finally:
        shutil.rmtree(out, ignore_errors=True)
        for mosaic in plan.mosaics:
            mosaic.close()
    return {
        "parts": {name: clock.seconds[name] for name in PARTS if name in clock.seconds},
        "cpu": sum(clock.seconds[name] for name in PARTS if name in clock.seconds),
        "beside": {"positions": clock.seconds["positions"]},
        "choices": choices,
        "tiles": job.tiles,
        "bytes": job.bytes,
    }


def decode(path: Path, clock: Clock, nodata: list[float] | None = None) -> tuple[Pixels, Pixels | None, str]:
    """Pixels of a tiled TIFF of this benchmark, their mask if there is a nodata, the name of the fastest inflater."""
    import tifffile

    from fastpyr import _native
    from fastpyr.kernels import nodata_mask

    with tifffile.TiffFile(path) as file, path.open("rb") as raw:
        page = file.pages[0]
        rows, cols, channels = page.tilelength, page.tilewidth, page.samplesperpixel
        pixels = _touched(page.imagelength, page.imagewidth, channels, page.dtype)
        mask = None if nodata is None else _touched(page.imagelength, page.imagewidth, 1, np.uint8)[:, :, 0]
        stored = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        lines = np.zeros((2, rows, cols * channels * pixels.itemsize), np.uint8)
        packed = np.zeros((2, max(page.databytecounts)), np.uint8)
        name, inflate = "none", None
        if page.compression != 1:
            name, inflate = _fastest_inflate(raw, stored[:8], lines)
        across = -(-page.imagewidth // cols)
        for number in range(0, len(stored), 2):
            some = stored[number : number + 2]
            with clock.part("decode"):
                read = packed if inflate else lines.reshape(2, -1)
                data = [line[:size] for line, (_, size) in zip(read, some, strict=False)]
                for block, (offset, _) in zip(data, some, strict=True):
                    os.preadv(raw.fileno(), [block.data], offset)
                if inflate:
                    inflate(data)
            for n in range(number, number + len(some)):
                y, x = n // across * rows, n % across * cols
                place = pixels[y : y + rows, x : x + cols]
                with clock.part("decode"):
                    _native.unpredict(lines[n - number][: len(place)], page.predictor, place)
                if mask is not None and nodata is not None:
                    with clock.part("mask"):
                        nodata_mask(place, nodata, mask[y : y + rows, x : x + cols])
    return pixels, mask, name


def _touched(rows: int, cols: int, channels: int, dtype: Any) -> Pixels:
    """Zeros whose pages are there, and whose rows do not start at the same place of each page: that fills a few lines
    of the caches and leaves the others empty."""
    wide = np.empty((rows, cols + _PADDING, channels), dtype)
    wide.fill(0)
    return wide[:, :cols]


def _fastest_inflate(
    raw: Any, stored: list[tuple[int, int]], lines: NDArray[np.uint8]
) -> tuple[str, Callable[[list[Any]], object]]:
    """An inflater of one or two blocks into ``lines`` (2, rows, bytes). All but libdeflate and ours make bytes anew."""
    from imagecodecs import deflate_decode
    from isal import isal_zlib

    from fastpyr._native import inflate_two

    flat = lines.reshape(2, -1)

    def libdeflate(blocks: list[Any]) -> None:
        for data, out in zip(blocks, flat, strict=False):
            deflate_decode(data, out=out)

    def ours(blocks: list[Any]) -> None:
        if len(blocks) == 1:
            libdeflate(blocks)
        else:
            inflate_two(blocks[0], flat[0], blocks[1], flat[1])

    def copied(inflate: Callable[..., bytes]) -> Callable[[list[Any]], None]:
        def call(blocks: list[Any]) -> None:
            for data, out in zip(blocks, flat, strict=False):
                out[:] = np.frombuffer(inflate(data, bufsize=out.size), np.uint8)

        return call

    candidates = {
        "libdeflate": libdeflate,
        "fastpyr, two at once": ours,
        "isa-l": copied(isal_zlib.decompress),
        "zlib": copied(zlib.decompress),
    }
    blocks = [os.pread(raw.fileno(), length, offset) for offset, length in stored]
    return _fastest(candidates, lambda inflate: [inflate(blocks[n : n + 2]) for n in range(0, len(blocks), 2)])


def _fastest(candidates: dict[str, Any], trial: Callable[[Any], object]) -> tuple[str, Any]:
    """Name and value of the candidate whose trial takes least CPU, best of three."""
    seconds = {}
    for name, candidate in candidates.items():
        runs = []
        for _ in range(3):
            start = time.thread_time()
            trial(candidate)
            runs.append(time.thread_time() - start)
        seconds[name] = min(runs)
    best = min(seconds, key=lambda name: seconds[name])
    return best, candidates[best]


class _Job:
    """Warp, reduce and encode of all levels, block by block as caches like it; then the writing."""

    def __init__(
        self, plan: Any, source: Pixels, source_mask: Pixels | None, clock: Clock, choices: dict[str, str]
    ) -> None:
        from fastpyr.encode.registry import MASK_PIXELS, encoder
        from fastpyr.engine.render import Renderer

        self.plan, self.source, self.clock, self.choices = plan, source, clock, choices
        self.tile = plan.levels[0].matrix.tile_width
        self.side = plan.block * self.tile
        self.renderer = Renderer(
            plan.mosaics[0], plan.levels[0].matrix, plan.tms, plan.pixel, plan.options.interpolation
        )
        self.encode: Callable[[Pixels, Pixels], list[list[Any]]] | None = None
        self.mask_encoder = encoder(MASK_PIXELS, self.tile, self.tile)
        self.source_mask = source_mask
        self.parents: dict[tuple[int, int, int], tuple[Pixels, Pixels]] = {}
        self.slabs: dict[tuple[Any, ...], list[bytes]] = defaultdict(list)
        self.tiles = self.bytes = 0

    def run(self) -> None:
        block = self._block()
        for _, column, row in self.plan.source_blocks():
            block[1].fill(0)
            self._warp(column, row, *block)
            self._finish(0, column, row, *block)
        for index in range(1, len(self.plan.levels)):
            for key in [key for key in self.parents if key[0] == index]:
                self._finish(*key, *self.parents.pop(key))

    def _block(self) -> tuple[Pixels, Pixels]:
        pixel = self.plan.pixel
        pixels = np.empty((self.side, self.side, pixel.channels), pixel.dtype)
        mask = np.empty((self.side, self.side), np.uint8)
        pixels.fill(0)
        mask.fill(0)
        return pixels, mask

    def _warp(self, column: int, row: int, out: Pixels, mask: Pixels) -> None:
        from fastpyr.engine.render import GRID_TOLERANCE
        from fastpyr.grid import coordinate_grid
        from fastpyr.kernels import warp

        view, px, py = self.renderer.views[0], column * self.side, row * self.side
        height, width = self.source.shape[:2]
        if view.copies:
            x, y = round(view.start[0]) + px, round(view.start[1]) + py
            x0, y0, x1, y1 = max(0, x), max(0, y), min(width, x + self.side), min(height, y + self.side)
            if x0 < x1 and y0 < y1:
                with self.clock.part("warp"):
                    out[y0 - y : y1 - y, x0 - x : x1 - x] = self.source[y0:y1, x0:x1]
                    mask[y0 - y : y1 - y, x0 - x : x1 - x] = 255
            return
        size = (view.pack.width, view.pack.height)
        with self.clock.part("positions"):
            nodes, step = coordinate_grid(
                view.to_source, self.renderer.matrix, px, py, self.side, self.side, view.inverse, GRID_TOLERANCE, size
            )
        # Nodes beyond the last pixel of a block may lie outside the source.
        points = nodes.reshape(-1, 2)
        x0, y0 = np.clip(np.floor(points.min(axis=0)).astype(int) - _REACH, 0, (width - 1, height - 1))
        x1, y1 = np.clip(np.ceil(points.max(axis=0)).astype(int) + _REACH + 1, 1, (width, height))
        holes = None if self.source_mask is None else self.source_mask[y0:y1, x0:x1]
        # Only a window with nodata needs the kernels that look at masks.
        holes = None if holes is None or holes.all() else holes
        with self.clock.part("warp"):
            warp(
                self.source[y0:y1, x0:x1],
                nodes - (x0, y0),
                step,
                out,
                interpolation=self.plan.options.interpolation,
                mask=holes,
                out_mask=mask,
                nodata=self.plan.pixel.nodata,
            )

    def _finish(self, index: int, column: int, row: int, pixels: Pixels, mask: Pixels) -> None:
        from fastpyr.kernels import fill_nodata, mask_states, reduce2x2

        states = mask_states(mask, self.tile, self.tile)
        if not states.any():
            return
        full = bool((states == 2).all())
        with self.clock.part("mask"):
            for j, i in zip(*np.nonzero(states == 1), strict=True):
                part = np.s_[j * self.tile : (j + 1) * self.tile, i * self.tile : (i + 1) * self.tile]
                fill_nodata(pixels[part], mask[part], self.plan.pixel.nodata)
        self._encode(index, column, row, pixels, mask, states)
        if index + 1 == len(self.plan.levels):
            return
        key = (index + 1, column // 2, row // 2)
        if key not in self.parents:
            self.parents[key] = self._block()
        half = self.side // 2
        y, x = row % 2 * half, column % 2 * half
        out, out_mask = (array[y : y + half, x : x + half] for array in self.parents[key])
        with self.clock.part("reduce"):
            reduce2x2(pixels, out, mask=None if full else mask, out_mask=out_mask, nodata=self.plan.pixel.nodata)

    def _encode(self, index: int, column: int, row: int, pixels: Pixels, mask: Pixels, states: Pixels) -> None:
        wanted = states != 0
        if self.encode is None:
            self.choices["encode"], self.encode = _fastest(
                self._encoders(), lambda encode: [encode(pixels, wanted) for _ in range(2)]
            )
        kinds = [("DATA", pixels, self.encode, wanted)]
        if self.plan.options.mask:
            kinds.append(("MASK", mask[:, :, None], self.mask_encoder.encode_block, states == 1))
        for kind, array, encode, asked in kinds:
            with self.clock.part("encode"):
                found = encode(array, asked)
            key = (kind, index, column * self.plan.block // _SLAB, row * self.plan.block // _SLAB)
            tiles = [tile for line in found for tile in line if tile is not None]
            self.slabs[key] += tiles
            self.tiles += len(tiles) if kind == "DATA" else 0

    def _encoders(self) -> dict[str, Callable[[Pixels, Pixels], list[list[Any]]]]:
        """Encoders of blocks by name."""
        from imagecodecs import jpeg8_encode

        from fastpyr.encode.jpeg import QUALITIES
        from fastpyr.encode.registry import encoder

        pixel, tile = self.plan.pixel, self.tile
        compression = pixel.format.compression
        if compression not in QUALITIES:
            return {f"fastpyr level {n}": encoder(pixel, tile, tile, n).encode_block for n in (1, 2)}
        quality = QUALITIES[compression]

        def direct(block: Pixels, wanted: Pixels) -> list[list[Any]]:
            return [
                [
                    jpeg8_encode(block[y : y + tile, x : x + tile], quality, colorspace="RGB", subsampling="420")
                    if wanted[y // tile, x // tile]
                    else None
                    for x in range(0, self.side, tile)
                ]
                for y in range(0, self.side, tile)
            ]

        return {"fastpyr": encoder(pixel, tile, tile).encode_block, "imagecodecs": direct}

    def write(self, folder: Path) -> None:
        """Each slab as one file: its tiles behind a header and an index of the usual size."""
        head = bytes(2048 + 8 * _SLAB * _SLAB)
        for number, tiles in enumerate(self.slabs.values()):
            with self.clock.part("write"):
                fd = os.open(folder / str(number), os.O_WRONLY | os.O_CREAT)
                for first in range(0, len(tiles), _WRITEV):
                    self.bytes += os.writev(fd, ([head] if first == 0 else []) + tiles[first : first + _WRITEV - 1])
                os.close(fd)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.floor", description="CPU seconds of a job's parts alone.")
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("report", type=Path)
    parser.add_argument("--compression", default="jpg")
    parser.add_argument("--interpolation", default="bicubic")
    parser.add_argument("--mask", action="store_true")
    given = parser.parse_args()
    facts = floor(
        given.source,
        given.out,
        compression=given.compression,
        interpolation=given.interpolation,
        mask=given.mask,
    )
    given.report.write_text(json.dumps(facts))


if __name__ == "__main__":
    _main()
