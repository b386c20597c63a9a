"""Whatever is asked of the tile services, the answer is no server error, and nothing outside is read."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_pyramid import write

from fastpyr.api import create_tile_app
from fastpyr.api.app import FastTiles
from fastpyr.tiles import DescriptorCatalogue

quick = settings(max_examples=150, suppress_health_check=list(HealthCheck))
WORDS = st.sampled_from(
    [
        "SMALL",
        "SECRET",
        "12",
        "10",
        "2073",
        "1409",
        "1409.png",
        "1409.bil",
        "tilejson.json",
        "tms.json",
        "mask",
        "view",
        "facts",
        "1.0.0",
        "normal",
        "PM",
        "PM_10_12",
        "WMTSCapabilities.xml",
        "..",
        ".",
        "%2e%2e",
        "%00",
        "%ff",
        "%",
        "../../SECRET.json",
        "-1",
        "+1",
        "12345678901",
        "²",
        "٣",
        "1e3",
        "0x10",
        "\\",
        "1409.png;x",
        "'",
        "<x>",
    ]
)
PARTS = st.lists(WORDS | st.just("") | st.text(max_size=12), max_size=8)
KEYS = st.sampled_from(
    [
        "service",
        "REQUEST",
        "Version",
        "layer",
        "style",
        "TileMatrixSet",
        "tilematrix",
        "TileRow",
        "tilecol",
        "format",
        "min",
        "max",
        "acceptversions",
        "x",
    ]
)
VALUES = WORDS | st.sampled_from(["WMTS", "GetTile", "GetCapabilities", "image/png", "image/tiff", "nan", "1e999"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("served") / "in"
    write(folder, "SMALL")
    write(folder, "SECRET")
    with TestClient(
        create_tile_app(DescriptorCatalogue([folder / "SMALL.json"])), raise_server_exceptions=True
    ) as client:
        yield client


def _fine(client: TestClient, url: str) -> None:
    answer = client.get(url)
    assert answer.status_code < 500 or answer.status_code == 501, (url, answer.text)
    if answer.status_code >= 400 and answer.headers["content-type"] == "application/xml":
        ElementTree.fromstring(answer.content)
    fast: FastTiles = client.app.state.fast  # type: ignore[attr-defined]
    target = answer.request.url.raw_path
    reply = fast.reply(target, b" HTTP/1.1\r\nHost: testserver\r\n\r\n")
    if reply is not None:
        assert answer.status_code == 200
        assert bytes(reply[1]) == answer.content


@quick
@given(st.sampled_from(["tiles", "xyz", "tms", "wmts"]), PARTS, st.booleans())
def test_paths(world: TestClient, root: str, parts: list[str], quoted: bool) -> None:
    shown = "/".join(quote(part, safe="") if quoted else quote(part, safe="/%.") for part in parts)
    _fine(world, f"http://testserver/{root}/{shown}")


@quick
@given(st.dictionaries(KEYS, VALUES, max_size=9))
def test_keys(world: TestClient, values: dict[str, str]) -> None:
    _fine(
        world, "http://testserver/wmts?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in values.items())
    )


@quick
@given(st.dictionaries(KEYS, VALUES | st.text(max_size=10), max_size=4), st.sampled_from(["view", "mask", "facts"]))
def test_tiles_with_queries(world: TestClient, values: dict[str, str], what: str) -> None:
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in values.items())
    _fine(world, f"http://testserver/tiles/SMALL/{what}/12/2073/1409?{query}")


@quick
@given(st.binary(max_size=200), st.binary(max_size=300))
def test_bytes_before_the_parser(world: TestClient, target: bytes, rest: bytes) -> None:
    fast: FastTiles = world.app.state.fast  # type: ignore[attr-defined]
    assert fast.reply(target, rest) is None
    assert fast.reply(b"/tiles/" + target, b" HTTP/1.1\r\nHost: testserver\r\n\r\n") is None


def test_only_what_was_named_is_served(world: TestClient) -> None:
    assert [one["id"] for one in world.get("/tiles").json()] == ["SMALL"]
    for id in ("SECRET", "../SECRET", "..%2FSECRET", "SECRET.json", "%2e%2e%2fin%2fSECRET"):
        assert world.get(f"/tiles/{id}/tilejson.json").status_code in (400, 404)
