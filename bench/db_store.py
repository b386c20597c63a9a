"""The relational store against what a user would take instead: PostGIS, GeoPackage, MBTiles.

``python -m bench.db_store [--rounds N] [--side PIXELS] [--json FILE]``: one run, everybody in turn in every round. An
RGB photograph on the pixels of web mercator level 18 is imported in blocks of 128 (256 where the format has no other),
lossless, without overviews; then windows of 1, 10 x 10 and 40 x 40 blocks of 128 are read as arrays and compared with
the source. Imports are whole processes; reads are loops in this one. Wall time, the best of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .machine import cpu_model

ROOT = Path(__file__).resolve().parents[1]
CELL = 156543.03392804097 / 2**18
LEFT, TOP = 33000 * 4 * 256 * CELL - 20037508.342789244, 20037508.342789244 - 23000 * 4 * 256 * CELL
WINDOWS = {1: 100, 10: 10, 40: 1}
"""Blocks along a side and windows read per round."""

Reader = Callable[[int, int, int], Any]


def make_input(path: Path, side: int) -> Any:
    """The photograph as a tiled GeoTIFF, and as an array (3, rows, cols)."""
    import rasterio
    from rasterio.transform import from_origin

    from fastpyr.source.synthetic import ortho_scene

    scene = ortho_scene(1024, 1024, 7)
    row = np.hstack([scene, scene[:, ::-1]])
    whole = np.vstack([row, row[::-1]])
    times = -(-side // 2048)
    pixels = np.moveaxis(np.tile(whole, (times, times, 1))[:side, :side], 2, 0).copy()
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "crs": "EPSG:3857"}
    with rasterio.open(path, "w", **profile, transform=from_origin(LEFT, TOP, CELL, CELL), tiled=True) as out:
        out.write(pixels)
    return pixels


def timed(command: list[str] | str, env: dict[str, str] | None = None) -> float:
    """Wall seconds of a process. RuntimeError with its last words when it fails."""
    start = time.perf_counter()
    shell = ["bash", "-o", "pipefail", "-c", command] if isinstance(command, str) else command
    done = subprocess.run(shell, capture_output=True, text=True, env=env)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr[-400:]}")
    return time.perf_counter() - start


class Store:
    """Ours, in a SQLite file or in a database of a PostgreSQL server."""

    def __init__(self, url: str, options: list[str]) -> None:
        self.url, self.options = url, options

    def load(self, source: Path) -> float:
        """Import into a new geodatabase."""
        command = [sys.executable, "-m", "fastpyr", "db"]
        env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        timed([*command, "create", self.url, "--database", "bench"], env)
        return timed([*command, "import", str(source), self.url, "photo", "--pyramid", "0", *self.options], env)

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        from fastpyr.db import Geodatabase

        with Geodatabase(self.url) as database:
            dataset = database.dataset("photo")
            yield lambda x, y, side: dataset.read_bands(window=(x, y, x + side, y + side))[0]

    def size(self) -> int:
        if "://" not in self.url:
            return os.path.getsize(self.url)
        return postgres_size(self.url, "sde_blk_1")


class PostGis:
    """raster2pgsql piped into psql, windows by ST_Clip and ST_Union."""

    def __init__(self, url: str) -> None:
        self.url = url

    def load(self, source: Path) -> float:
        postgres_run(self.url, "CREATE EXTENSION IF NOT EXISTS postgis; CREATE EXTENSION IF NOT EXISTS postgis_raster")
        tool = f"raster2pgsql -q -s 3857 -t 128x128 -I -C -M {source} photo"
        return timed(f"{tool} | psql -q -X -v ON_ERROR_STOP=1 '{self.url}' > /dev/null")

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        import psycopg
        from rasterio.io import MemoryFile

        with psycopg.connect(self.url) as connection:
            connection.execute("SET postgis.gdal_enabled_drivers = 'GTiff'")

            def read(x: int, y: int, side: int) -> Any:
                box = (LEFT + x * CELL, TOP - (y + side) * CELL, LEFT + (x + side) * CELL, TOP - y * CELL)
                inner = (box[0] + CELL / 4, box[1] + CELL / 4, box[2] - CELL / 4, box[3] - CELL / 4)
                query = (
                    "SELECT ST_AsGDALRaster(ST_Union(ST_Clip(rast, e)), 'GTiff') FROM photo, "
                    "ST_MakeEnvelope(%s, %s, %s, %s, 3857) AS e WHERE ST_Intersects(rast, e)"
                )
                row = connection.execute(query, inner, binary=True).fetchone()
                with MemoryFile(row[0]) as file, file.open() as dataset:
                    return dataset.read()

            yield read

    def size(self) -> int:
        return postgres_size(self.url, "photo")


class GdalFile:
    """gdal_translate to a GeoPackage or MBTiles file with PNG tiles; windows by rasterio or GDAL's own tools."""

    def __init__(self, path: Path, driver: str) -> None:
        self.path, self.driver = path, driver

    def load(self, source: Path) -> float:
        self.path.unlink(missing_ok=True)
        options = ["-of", self.driver, "-co", "TILE_FORMAT=PNG"]
        return timed(["gdal_translate", "-q", *options, str(source), str(self.path)])

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        import rasterio
        from rasterio.windows import Window

        # a small cache: what is read twice is to be read twice
        with rasterio.Env(GDAL_CACHEMAX=16 << 20), rasterio.open(self.path) as dataset:
            dx, dy = round((LEFT - dataset.transform.c) / CELL), round((dataset.transform.f - TOP) / CELL)
            yield lambda x, y, side: dataset.read((1, 2, 3), window=Window(x + dx, y + dy, side, side))

    def size(self) -> int:
        return os.path.getsize(self.path)


def postgres_run(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def postgres_size(url: str, table: str) -> int:
    import psycopg

    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_total_relation_size(%s::regclass)", (table,)).fetchone()
        return int(row[0]) if row else 0


def competitors(folder: Path, server: str | None) -> dict[str, Callable[[int], Any]]:
    """Makers of a fresh competitor for a round."""

    def database(name: str) -> str:
        assert server is not None
        postgres_run(server, f"DROP DATABASE IF EXISTS {name}")
        postgres_run(server, f"CREATE DATABASE {name}")
        return server.replace("/postgres?", f"/{name}?")

    def sqlite(name: str) -> str:
        path = folder / name
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        return str(path)

    found: dict[str, Callable[[int], Any]] = {
        "fastpyr SQLite lz77": lambda n: Store(sqlite("ours.sqlite"), []),
        "fastpyr SQLite none": lambda n: Store(sqlite("plain.sqlite"), ["--compression", "none"]),
    }
    if shutil.which("gdal_translate"):
        found["GeoPackage PNG"] = lambda n: GdalFile(folder / "rival.gpkg", "GPKG")
        found["MBTiles PNG"] = lambda n: GdalFile(folder / "rival.mbtiles", "MBTILES")
    if server is not None:
        found["fastpyr PostgreSQL lz77"] = lambda n: Store(database("ours"), [])
        if shutil.which("raster2pgsql"):
            found["PostGIS raster"] = lambda n: PostGis(database("rival"))
    return found


def read_rates(competitor: Any, pixels: Any) -> dict[str, float]:
    """Windows per second by blocks along a side. AssertionError when a window is not the source's."""
    rng, rates = np.random.default_rng(3), {}
    with competitor.reader() as read:
        for blocks, count in WINDOWS.items():
            side = 128 * blocks
            if side > pixels.shape[1]:
                continue
            places = rng.integers(0, (pixels.shape[1] - side) // 128 + 1, (count + 1, 2)) * 128
            x, y = (int(v) for v in places[0])
            found = read(x, y, side)
            assert (found[:3] == pixels[:, y : y + side, x : x + side]).all(), f"wrong pixels in {competitor}"
            start = time.perf_counter()
            for x, y in places[1:].tolist():
                read(x, y, side)
            rates[str(blocks)] = count / (time.perf_counter() - start)
    return rates


def run(rounds: int, side: int, folder: Path, server: str | None) -> dict[str, dict[str, Any]]:
    """Best figures of the rounds by competitor."""
    source = folder / "photo.tif"
    pixels = make_input(source, side)
    results: dict[str, dict[str, Any]] = {}
    for number in range(rounds):
        names = list(makers := competitors(folder, server))
        for name in names[number % len(names) :] + names[: number % len(names)]:
            competitor = makers[name](number)
            best = results.setdefault(name, {"import": 0.0, "reads": {}, "size": 0})
            try:
                best["import"] = max(best["import"], pixels.nbytes / 1e6 / competitor.load(source))
                best["size"] = competitor.size()
                for blocks, rate in read_rates(competitor, pixels).items():
                    best["reads"][blocks] = max(best["reads"].get(blocks, 0.0), rate)
            except Exception as error:
                best["error"] = " ".join(str(error).split())[:200]
            print(f"round {number + 1}: {name}", json.dumps(best), file=sys.stderr, flush=True)
    return results


def show(results: dict[str, dict[str, Any]]) -> None:
    """The table."""
    print(f"{'':26}{'import MB/s':>12}{'1/s':>9}{'10x10/s':>9}{'40x40/s':>9}{'MB':>8}")
    for name, one in results.items():
        rates = "".join(f"{one['reads'].get(str(blocks), 0):9.3g}" for blocks in WINDOWS)
        print(f"{name:26}{one['import']:12.1f}{rates}{one['size'] / 1e6:8.1f}  {one.get('error', '')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=6144)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from postgres_server import running_postgres

    folder = Path(tempfile.mkdtemp(prefix="fastpyr-db-", dir=os.environ.get("FASTPYR_BENCH_CACHE")))
    try:
        try:
            with running_postgres() as server:
                results = run(given.rounds, given.side, folder, server)
        except BaseException as error:  # pytest's skip is no Exception
            if type(error).__name__ != "Skipped":
                raise
            print(f"without PostgreSQL: {error}")
            results = run(given.rounds, given.side, folder, None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(cpu_model())
    show(results)
    if given.json:
        given.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
