"""Tiles of a platform: stored data by their ids, published layers by their names, what comes and what goes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from platform_server import serving
from small_delivery import tiff

ENDPOINT = "ae032611-13eb-4a18-8d04-9b7604a031cc"
NAMES = {"w": "http://www.opengis.net/wmts/1.0", "o": "http://www.opengis.net/ows/1.1"}


def _layers(server: Any) -> list[str]:
    text = server.call("GET", "//wmts?service=WMTS&request=GetCapabilities").body
    return [one.text or "" for one in ElementTree.fromstring(text).findall(".//w:Layer/o:Identifier", NAMES)]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_from_delivery_to_tiles(tmp_path: Path, workers: str) -> None:
    with serving(tmp_path / "platform", "--workers", workers) as server:
        assert server.call("GET", "//tiles").body == []
        upload = server.deliver("D", {"a.tif": tiff(300)})
        assert server.checked(upload)["status"] == "CLOSED"
        execution = server.launched(upload, "ORTHO", compression="png", top="16", mask="true")
        ended = server.ended(execution)
        assert ended["status"] == "SUCCESS"
        stored = ended["output"]["stored_data"]["_id"]
        listed = server.call("GET", "//tiles").body
        assert [(one["id"], one["name"], one["masks"]) for one in listed] == [(stored, "ORTHO", True)]
        document = server.call("GET", f"//tiles/{stored}/tilejson.json").body
        bottom = document["fastpyr"]["levels"][0]
        limits, level = bottom["tile_limits"], bottom["id"]
        place = f"{level}/{limits['min_col']}/{limits['min_row']}"
        tile = server.call("GET", f"//tiles/{stored}/{place}.png")
        assert tile.status == 200
        assert np.asarray(Image.open(io.BytesIO(tile.body))).shape == (256, 256, 3)
        assert server.call("GET", f"//tiles/{stored}/mask/{place}.png").status == 200
        assert server.call("GET", f"//tiles/{stored}/facts/{place}").body["tile"]["state"] == "data"
        assert _layers(server) == [stored]

        used = {"stored_data": stored, "bottom_level": level, "top_level": level}
        infos = {"title": "Photos & more <1>", "abstract": "-", "used_data": [used]}
        body = {"type": "WMTS-TMS", "name": "N", "layer_name": "ORTHO.WMTS", "type_infos": infos}
        configuration = server.post("/configurations", body)["_id"]
        assert _layers(server) == [stored]
        offering = server.post(f"/configurations/{configuration}/offerings", {"endpoint": ENDPOINT, "open": True})
        assert _layers(server) == ["ORTHO.WMTS"]
        url = offering["urls"][0]["url"]
        assert url == f"{server.url}/wmts"
        assert server.call("GET", f"//tiles/ORTHO.WMTS/{place}.png").body == tile.body
        upper = document["fastpyr"]["levels"][1]
        assert upper["id"] != level
        above = f"{upper['id']}/{upper['tile_limits']['min_col']}/{upper['tile_limits']['min_row']}"
        assert server.call("GET", f"//tiles/ORTHO.WMTS/{above}.png").status == 404
        assert server.call("GET", f"//tiles/{stored}/{above}.png").status == 200

        for _ in range(2):
            assert server.call("DELETE", f"/offerings/{offering['_id']}").status == 204
        assert server.call("DELETE", f"/configurations/{configuration}").status == 204
        assert server.call("DELETE", f"/stored_data/{stored}").status == 204
        _gone(server, stored, place)
        assert server.call("GET", "//tiles").body == []


def _gone(server: Any, stored: str, place: str) -> None:
    from platform_server import wait_until

    wait_until(lambda: server.call("GET", f"//tiles/{stored}/{place}.png"), lambda answer: answer.status == 404, 10)


def test_a_pyramid_in_the_making_has_no_tiles(tmp_path: Path) -> None:
    with serving(tmp_path / "platform") as server:
        upload = server.deliver("D", {"a.tif": tiff(64)})
        server.checked(upload)
        stored = server.create(upload, "SOON")["output"]["stored_data"]["_id"]
        answer = server.call("GET", f"//tiles/{stored}/tilejson.json")
        assert answer.status == 404
        assert "CREATED" in json.dumps(answer.body)
        assert server.call("GET", "//tiles").body == []
