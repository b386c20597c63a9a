"""Tiles under load: ``python -m bench.tiles``.

wrk with 64 connections asks for tiles of a pyramid, warm and cold, from ``fastpyr serve`` with one process, from nginx
with one worker that has the same tiles as files, and from titiler on the rasters that the pyramid was made of. Requests
per second, p50 and p99 of the time of an answer, and the processor time of the server per request, which is what a
machine shared with others and with wrk itself still tells.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

import fastpyr
from fastpyr.pyramid import Pyramid

from .data import CACHE
from .environments import Missing, environment

CONNECTIONS = 64
_TILES = 4000
_SCRIPT = """
local paths, at = {}, 0
for line in io.lines(os.getenv("BENCH_PATHS")) do paths[#paths + 1] = line end
function request()
  at = at % #paths + 1
  return wrk.format("GET", paths[at])
end
function done(summary, latency, requests)
  io.write(string.format("RESULT %f %f %f %d %d\\n", summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, summary.requests,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout))
end
"""
_NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; {user}
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 100000000;
  open_file_cache max=20000; types {{ image/jpeg jpg; image/png png; image/tiff tif; }}
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {www}; }}
}}
"""

Tile = tuple[str, int, int]


@dataclass(frozen=True)
class Figures:
    """One run of wrk. ``cpu`` is microseconds of the server's processor time per request."""

    rate: float
    p50: float
    p99: float
    requests: int
    errors: int
    cpu: float


@dataclass(frozen=True)
class Rival:
    """A server that runs: who, its port, the path of a tile, and its processes."""

    name: str
    port: int
    path: Callable[[Tile], str]
    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        """Seconds of processor time of it and its children."""
        total = 0.0
        main = psutil.Process(self.process.pid)
        for one in (main, *main.children(recursive=True)):
            times = one.cpu_times()
            total += times.user + times.system
        return total


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(
    name: str,
    port: int,
    command: Sequence[str],
    path: Callable[[Tile], str],
    log: Path,
    env: dict[str, str] | None = None,
) -> Iterator[Rival]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, start_new_session=True, env={**os.environ, **(env or {})}
        )
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise Missing(f"{name} did not start: {log.read_text(errors='replace')[-300:]}") from None
                time.sleep(0.05)
        yield Rival(name, port, path, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@contextmanager
def ours(descriptor: Path, folder: Path) -> Iterator[Rival]:
    port = _free_port()
    command = [sys.executable, "-m", "fastpyr", "serve", "--pyramid", str(descriptor), "--port", str(port)]
    name = descriptor.stem
    package = str(Path(fastpyr.__file__).parents[1])
    with _running(
        "fastpyr",
        port,
        command,
        lambda tile: "/tiles/{}/{}/{}/{}".format(name, *tile),
        folder / "fastpyr.log",
        {"PYTHONPATH": package},
    ) as rival:
        yield rival


@contextmanager
def nginx(pyramid: Pyramid, tiles: Sequence[Tile], folder: Path) -> Iterator[Rival]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Missing("nginx is not installed (Debian: apt install nginx-light)")
    www = folder / "www"
    for level, col, row in tiles:
        place = www / level / str(col) / f"{row}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(pyramid.tile_bytes(level, col, row) or b"")
    port = _free_port()
    user = "user root;" if os.getuid() == 0 else ""
    conf = folder / "nginx.conf"
    conf.write_text(_NGINX.format(folder=folder, www=www, port=port, user=user))
    command = [program, "-c", str(conf), "-e", str(folder / "nginx.err")]
    with _running("nginx", port, command, lambda tile: "/{}/{}/{}.jpg".format(*tile), folder / "nginx.out") as rival:
        yield rival


@contextmanager
def titiler(sources: Sequence[Path], folder: Path) -> Iterator[Rival]:
    """titiler on a virtual mosaic of the sources."""
    ready = environment("titiler")
    mosaic = folder / "sources.vrt"
    translate = shutil.which("gdalbuildvrt")
    if translate is None:
        raise Missing("gdalbuildvrt is not installed, which makes one raster of the sources (Debian: gdal-bin)")
    subprocess.run([translate, "-q", str(mosaic), *map(str, sources)], check=True)
    port = _free_port()
    command = [str(ready.python), "-m", "uvicorn", "titiler.application.main:app", "--port", str(port)]
    command += ["--log-level", "error", "--no-access-log"]
    query = f"url={mosaic}"
    with _running(
        "titiler",
        port,
        command,
        lambda tile: "/cog/tiles/WebMercatorQuad/{}/{}/{}.jpg?{}".format(*tile, query),
        folder / "titiler.log",
        {"GDAL_CACHEMAX": "200", "VSI_CACHE": "TRUE", "CPL_LOG": os.devnull},
    ) as rival:
        yield rival


def load(rival: Rival, tiles: Sequence[Tile], seconds: int, folder: Path) -> Figures:
    """One run of wrk, one thread."""
    paths, script = folder / "paths.txt", folder / "ask.lua"
    paths.write_text("".join(f"{rival.path(tile)}\n" for tile in tiles))
    script.write_text(_SCRIPT)
    before = rival.cpu()
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--timeout", "30", "-s", str(script)]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{rival.port}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BENCH_PATHS": str(paths)},
    )
    found = re.search(r"RESULT (\S+) (\S+) (\S+) (\d+) (\d+)", done.stdout)
    if found is None:
        raise Missing(f"wrk said nothing of {rival.name}: {done.stdout[-300:]}")
    rate, p50, p99, requests, errors = (float(value) for value in found.groups())
    return Figures(rate, p50, p99, int(requests), int(errors), (rival.cpu() - before) / max(requests, 1) * 1e6)


def _cold(pages: Sequence[Path]) -> None:
    """Drop files from the system's memory; a RAM disk keeps them."""
    os.sync()
    for path in pages:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _right(rival: Rival, tile: Tile) -> int:
    """Bytes of a tile as it comes. Raises Missing when it does not come."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{rival.port}{rival.path(tile)}", timeout=60) as answer:
            return len(answer.read())
    except OSError as error:
        raise Missing(f"{rival.name} does not give a tile: {error}") from error


def _prepared(sources: Sequence[Path], folder: Path) -> Path:
    descriptor = folder / "PYRAMID" / "TILES.json"
    if not descriptor.exists():
        fastpyr.build([str(path) for path in sources], str(descriptor), tms="PM", compression="jpg")
    return descriptor


def _stored(pyramid: Pyramid) -> list[Tile]:
    found: list[Tile] = []
    for level in pyramid.levels:
        limits = level.limits
        for col in range(limits.min_col, limits.max_col + 1):
            found += [(level.id, col, row) for row in range(limits.min_row, limits.max_row + 1)]
        if len(found) >= _TILES:
            break
    found = [tile for tile in found if pyramid.tile_bytes(*tile)]
    random.Random(1).shuffle(found)
    return found[:_TILES]


def _round(names: Sequence[str], seconds: int, sources: Sequence[Path], folder: Path) -> dict[str, list[Figures]]:
    descriptor = _prepared(sources, folder)
    pyramid = fastpyr.open(str(descriptor))
    tiles = _stored(pyramid)
    makers: dict[str, Callable[[], AbstractContextManager[Rival]]] = {
        "fastpyr": lambda: ours(descriptor, folder),
        "nginx": lambda: nginx(pyramid, tiles, folder),
        "titiler": lambda: titiler(sources, folder),
    }
    files = {"fastpyr": descriptor.parent, "nginx": folder / "www"}
    figures: dict[str, list[Figures]] = {}
    for name in names:
        try:
            with makers[name]() as rival:
                _right(rival, tiles[0])
                if name in files:
                    _cold([path for path in files[name].rglob("*") if path.is_file()])
                figures.setdefault(f"{name} cold", []).append(load(rival, tiles, seconds, folder))
                figures.setdefault(f"{name} warm", []).append(load(rival, tiles, seconds, folder))
        except Missing as missing:
            print(f"skipped: {name}: {missing}", file=sys.stderr)
    return figures


def _table(figures: dict[str, list[Figures]]) -> str:
    lines = ["| server | requests/s | p50 ms | p99 ms | CPU us/request | errors |", "|---|---:|---:|---:|---:|---:|"]
    for name, runs in figures.items():
        columns = ("rate", "p50", "p99", "cpu")
        rate, p50, p99, cpu = (statistics.median(getattr(run, column) for run in runs) for column in columns)
        errors = sum(run.errors for run in runs)
        lines.append(f"| {name} | {rate:.0f} | {p50:.2f} | {p99:.2f} | {cpu:.1f} | {errors} |")
    mine = figures.get("fastpyr warm")
    for rival in ("nginx", "titiler"):
        theirs = figures.get(f"{rival} warm")
        if mine and theirs:
            pairs = list(zip(mine, theirs, strict=False))
            rates = statistics.median(a.rate / b.rate for a, b in pairs)
            cores = statistics.median(b.cpu / a.cpu for a, b in pairs)
            lines.append(f"\nwarm, against {rival}: {rates:.2f} x its requests/s, {cores:.2f} x per processor second")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.tiles", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sources", nargs="+", type=Path, help="rasters (3 channels) that the tiles are made of")
    parser.add_argument("--seconds", type=int, default=10, help="of each run of wrk (10)")
    parser.add_argument("--rounds", type=int, default=3, help="each begins with another server (3)")
    parser.add_argument("--against", default="nginx,titiler", help="rivals, by commas")
    parser.add_argument("--json", type=Path, help="keep all figures in this file")
    args = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("bench.tiles: wrk is not installed (Debian: apt install wrk)")
    folder = CACHE / "tiles"
    folder.mkdir(parents=True, exist_ok=True)
    given = [sorted(path.glob("*.tif")) if path.is_dir() else [path] for path in args.sources]
    sources = [path.resolve() for paths in given for path in paths]
    names = ["fastpyr", *(name for name in args.against.split(",") if name)]
    figures: dict[str, list[Figures]] = {}
    for turn in range(args.rounds):
        order = names[turn % len(names) :] + names[: turn % len(names)]
        for key, runs in _round(order, args.seconds, sources, folder).items():
            figures.setdefault(key, []).extend(runs)
    print(_table(dict(sorted(figures.items()))))
    if args.json:
        kept = {key: [asdict(run) for run in runs] for key, runs in figures.items()}
        args.json.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
