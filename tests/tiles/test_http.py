"""Tiles over HTTP by a server as users start it: the fast way and the usual one give the same answers."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from small_pyramid import write
from tile_server import TileServer, tile_server

import fastpyr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pyramids")
    write(path, "SMALL")
    write(path, "HEIGHTS", "TIFF_ZIP_FLOAT32", 1)
    return path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[TileServer]:
    with tile_server("--pyramid", folder / "SMALL.json", "--pyramid", folder / "HEIGHTS.json") as running:
        yield running


def _tiles(folder: Path, name: str = "SMALL") -> list[tuple[str, int, int, bytes]]:
    pyramid = fastpyr.open(folder / f"{name}.json")
    limits = pyramid.levels[0].limits
    places = [(c, r) for c in range(limits.min_col, limits.max_col + 1) for r in range(limits.min_row, limits.max_row)]
    found = [(pyramid.levels[0].id, col, row, pyramid.tile_bytes(pyramid.levels[0], col, row)) for col, row in places]
    return [(level, col, row, data) for level, col, row, data in found if data is not None]


def _without_date(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "date"}


def test_both_ways_give_the_same(server: TileServer, folder: Path) -> None:
    for level, col, row, data in _tiles(folder):
        for path in (
            f"/tiles/SMALL/{level}/{col}/{row}.png",
            f"/xyz/SMALL/{level}/{col}/{row}",
            f"/wmts/1.0.0/SMALL/normal/PM/{level}/{row}/{col}.png",
            f"/wmts?REQUEST=GetTile&LAYER=SMALL&TILEMATRIXSET=PM&TILEMATRIX={level}&TILEROW={row}&TILECOL={col}"
            "&FORMAT=image%2Fpng",
            f"/tms/1.0.0/SMALL/{level}/{col}/{2 ** int(level) - 1 - row}.png",
        ):
            usual = server.get(path, x_unusual="1")
            answers = [server.get(path) for _ in range(3)]
            assert usual.status == 200
            assert usual.body == data
            for answer in answers:
                assert (answer.status, answer.body) == (200, data)
                assert _without_date(answer.headers) == _without_date(usual.headers)
                assert "date" in answer.headers
            etag = usual.headers["etag"]
            same, same_usual = server.get(path, if_none_match=etag), server.get(path, if_none_match=etag, x_unusual="1")
            assert (same.status, same.body) == (304, b"")
            assert _without_date(same.headers) == _without_date(same_usual.headers)
            head = server.get(path, "HEAD")
            assert (head.status, head.body) == (200, b"")
            assert _without_date(head.headers) == _without_date(usual.headers)


def test_kept_connections(server: TileServer, folder: Path) -> None:
    connection = http.client.HTTPConnection(server.host, timeout=30)
    for _ in range(3):
        for level, col, row, data in _tiles(folder):
            for path, expected in ((f"/tiles/SMALL/{level}/{col}/{row}", data), ("/tiles/SMALL/tms.json", None)):
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read()
                assert answer.status == 200
                assert expected is None or body == expected
    connection.close()


def _talk(server: TileServer, *pieces: bytes, pause: float = 0.05) -> bytes:
    host, _, port = server.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as talking:
        for piece in pieces:
            talking.sendall(piece)
            time.sleep(pause)
        talking.shutdown(socket.SHUT_WR)
        got = b""
        while part := talking.recv(1 << 16):
            got += part
        return got


def test_pieces_pipelines_and_smuggling(server: TileServer, folder: Path) -> None:
    level, col, row, data = _tiles(folder)[0]
    get = f"GET /tiles/SMALL/{level}/{col}/{row}.png HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode()
    last = get.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    _talk(server, last)
    in_pieces = _talk(server, get[:20], get[20:], get, get[:3], get[3:] + get + last)
    assert in_pieces.count(data) == 5
    assert in_pieces.count(b"HTTP/1.1 200 OK") == 5
    # what looks like a request is the body of another one
    post = f"POST /nothing HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: {len(get)}\r\n\r\n".encode()
    answer = _talk(server, post, get, last)
    assert answer.count(data) == 1
    chunked = f"GET /docs HTTP/1.1\r\nHost: {server.host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    answer = _talk(server, chunked, b"%x\r\n" % len(get), get, b"\r\n0\r\n\r\n", last)
    assert answer.count(data) == 1


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /tiles/SMALL/{} HTTP/1.1\r\n\r\n",
        b"GET /tiles/SMALL/{} HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /tiles/SMALL/{} HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /tiles/SMALL/{} HTTP/1.1\r\n Host: localhost\r\n\r\n",
        b"GET /tiles/SMALL/{} HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /tiles/SMALL/{}\r\n\r\n",
        b"GET /tiles/SMALL/{}\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_malformed_requests_get_no_tile(server: TileServer, folder: Path, request_: bytes) -> None:
    level, col, row, data = _tiles(folder)[0]
    assert data not in _talk(server, request_.replace(b"{}", f"{level}/{col}/{row}.png".encode()))
    assert server.get("/tiles").status == 200


def test_many_at_once(server: TileServer, folder: Path) -> None:
    tiles = _tiles(folder)
    wrong: list[object] = []

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection(server.host, timeout=60)
        for step in range(60):
            level, col, row, data = tiles[(number + step) % len(tiles)]
            connection.request("GET", f"/tiles/SMALL/{level}/{col}/{row}")
            answer = connection.getresponse()
            if (answer.status, answer.read()) != (200, data):
                wrong.append((number, step, answer.status))
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_replaced_slabs_under_way(tmp_path: Path) -> None:
    """Whoever asks while slabs are replaced gets a tile of the old or of the new ones, and its own etag."""
    write(tmp_path / "a", seed=1)
    write(tmp_path / "b", seed=2)
    write(tmp_path / "live", seed=1)
    tiles = {(c, r): d for _, c, r, d in _tiles(tmp_path / "a")}
    others = {(c, r): d for _, c, r, d in _tiles(tmp_path / "b")}
    with tile_server("--pyramid", tmp_path / "live" / "SMALL.json") as running:
        stop = threading.Event()

        def replace() -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                source = tmp_path / "ab"[turn % 2]
                for slab in (tmp_path / "live" / "SMALL" / "DATA" / "12").rglob("*.tif"):
                    copy = slab.with_suffix(".new")
                    copy.write_bytes((source / slab.relative_to(tmp_path / "live")).read_bytes())
                    os.replace(copy, slab)

        worker = threading.Thread(target=replace)
        worker.start()
        seen: dict[str, bytes] = {}
        try:
            for _ in range(15):
                for (col, row), data in tiles.items():
                    answer = running.get(f"/tiles/SMALL/12/{col}/{row}")
                    assert answer.status == 200
                    assert answer.body in (data, others[col, row])
                    key = f"{col}/{row}/{answer.headers['etag']}"
                    assert seen.setdefault(key, answer.body) == answer.body
        finally:
            stop.set()
            worker.join()


def test_credentials(folder: Path) -> None:
    level, col, row, data = _tiles(folder)[0]
    path = f"/tiles/SMALL/{level}/{col}/{row}"
    environment = {"FASTPYR_USER": "me", "FASTPYR_PASSWORD": "right", "FASTPYR_TOKEN": "ticket"}
    options = ("--pyramid", folder / "SMALL.json", "--workers", "2")
    with tile_server(*options, env=environment) as running:
        basic = base64.b64encode(b"me:right").decode()
        for _ in range(4):
            assert running.get(path).status == 401
            assert running.get(path).headers["www-authenticate"] == 'Basic realm="fastpyr"'
            assert running.get(path, authorization=f"Basic {basic}").body == data
            assert running.get(path, authorization="Bearer ticket").body == data
            assert running.get(path, authorization="Bearer wrong").status == 401
            assert "private" in running.get(path, authorization="Bearer ticket").headers["cache-control"]
        connection = http.client.HTTPConnection(running.host, timeout=30)
        connection.request("POST", "/token", "username=me&password=right&grant_type=password")
        token = json.loads(connection.getresponse().read())["access_token"]
        connection.close()
        for _ in range(12):  # whichever process answers
            assert running.get(path, authorization=f"Bearer {token}").status == 200
            assert running.get(path, authorization=f"Bearer {token}0").status == 401
            assert running.get(path, authorization=f"Bearer 9{token}").status == 401


def test_other_origins(folder: Path) -> None:
    level, col, row, _ = _tiles(folder)[0]
    path = f"/tiles/SMALL/{level}/{col}/{row}"
    with tile_server("--pyramid", folder / "SMALL.json", "--cors", "--max-age", "0") as running:
        for _ in range(2):
            headers = running.get(path, origin="http://elsewhere").headers
            assert headers["access-control-allow-origin"] == "*"
            assert headers["cross-origin-resource-policy"] == "cross-origin"
            assert "no-cache" in headers["cache-control"]
        assert running.get(path, "OPTIONS", origin="http://elsewhere").status == 204
        assert running.get(path, "POST").status == 405


def test_several_processes(folder: Path) -> None:
    level, col, row, data = _tiles(folder)[0]
    path = f"/tiles/SMALL/{level}/{col}/{row}"
    with tile_server("--pyramid", folder / "SMALL.json", "--workers", "3") as running:
        port = int(running.host.rpartition(":")[2])

        def listening() -> set[int]:
            mine = [psutil.Process(), *psutil.Process().children(recursive=True)]
            pids = set()
            for process in mine:
                try:
                    kinds = process.net_connections("tcp") if hasattr(process, "net_connections") else []
                except psutil.Error:
                    continue
                pids |= {process.pid for one in kinds if one.laddr.port == port and one.status == "LISTEN"}
            return pids

        _until(lambda: len(listening()) == 3)
        for _ in range(20):
            assert running.get(path).body == data
        parent = psutil.Process().children()[-1]
        helper = next(pid for pid in listening() if pid != parent.pid)
        os.kill(helper, signal.SIGKILL)
        _until(lambda: len(listening()) == 3 and helper not in listening())
        for _ in range(20):
            assert running.get(path).body == data
        helpers = listening()
    _until(lambda: not any(psutil.pid_exists(pid) for pid in helpers))


def _until(true: object) -> None:
    end = time.monotonic() + 60
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_port_that_is_taken_is_told(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for workers in ("1", "2"):
            with (
                pytest.raises(AssertionError, match="cannot listen on"),
                tile_server("--pyramid", folder / "SMALL.json", "--port", port, "--workers", workers),
            ):
                pass


def test_what_is_served_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="give --root"), tile_server():
        pass
    with pytest.raises(AssertionError, match="does not exist"), tile_server("--pyramid", tmp_path / "NONE.json"):
        pass
