"""The unmodified client of the Géoplateforme drives our server; only its ini file is ours."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from platform_server import DATASTORE, Server, serving
from shared_data import shared

import fastpyr

pytest.importorskip("fastapi", reason="the extra api is not installed")
SDK = importlib.util.find_spec("sdk_entrepot_gpf")
pytestmark = pytest.mark.skipif(SDK is None, reason="package sdk-entrepot-gpf (test extra) is not installed")

INI = """
[store_authentification]
token_url={url}/token
login=me
password=pw
[store_api]
root_url={url}/api
datastore={datastore}
[upload]
nb_sec_between_check_updates=0
[processing_execution]
nb_sec_between_check_updates=0
"""


class Client:
    """``python -m sdk_entrepot_gpf --ini config.ini …`` in a folder."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        (folder / "config.ini").write_text(INI.format(url=server.url, datastore=DATASTORE))

    def __call__(self, *args: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "sdk_entrepot_gpf", "--ini", "config.ini", *args],
            cwd=self.folder, capture_output=True, text=True, timeout=120, input="",
            env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        )  # fmt: skip
        assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "platform") as running:
        yield running


@pytest.fixture
def client(tmp_path: Path, server: Server) -> Client:
    """A client with the reference delivery beside it, described as the client's own example is."""
    folder = tmp_path / "client"
    (folder / "ain").mkdir(parents=True)
    for path in shared("ortho").glob("*.tif"):
        shutil.copyfile(path, folder / "ain" / path.name)
    infos = {"description": "d", "name": "EXAMPLE_DATASET_RASTER", "srs": "EPSG:2154", "type": "RASTER"}
    dataset = {"data_dirs": ["ain"], "upload_infos": infos, "comments": ["un"], "tags": {"tuto": "oui"}}
    (folder / "upload_descriptor.jsonc").write_text(json.dumps({"datasets": [dataset]}))
    assert SDK is not None
    example = Path(next(iter(SDK.submodule_search_locations or [])), "_data/workflows/generic_raster.jsonc")
    shutil.copyfile(example, folder / "generic_raster.jsonc")
    return Client(folder, server)


def only(items: list[dict[str, object]]) -> dict[str, object]:
    assert len(items) == 1, items
    return items[0]


def test_whole_flow(client: Client, server: Server, tmp_path: Path) -> None:
    """Delivery, checks, pyramid, publication, clean-up: exit code 0 at each step, a real pyramid inside."""
    client("delivery", "upload_descriptor.jsonc")
    upload = only(server.get("/uploads?name=EXAMPLE_DATASET_RASTER"))
    assert upload["status"] == "CLOSED"
    assert upload["tags"] == {"tuto": "oui"}
    assert [one["text"] for one in server.get(f"/uploads/{upload['_id']}/comments")] == ["un"]
    tree = {entry["name"]: entry for entry in server.get(f"/uploads/{upload['_id']}/tree")}
    sizes = {path.name: path.stat().st_size for path in shared("ortho").glob("*.tif")}
    assert {child["name"]: child["size"] for child in tree["ain"]["children"]} == sizes
    assert tree["ain"]["size"] == sum(sizes.values())
    assert tree["ain.md5"]["type"] == "FILE"
    checks = server.get(f"/uploads/{upload['_id']}/checks")
    assert {group: len(found) for group, found in checks.items()} == {
        "asked": 0, "in_progress": 0, "passed": 2, "failed": 0,
    }  # fmt: skip

    client("workflow", "-f", "generic_raster.jsonc", "-s", "pyramide")
    stored = only(server.get("/stored_data"))
    infos = stored["type_infos"]
    assert stored["status"] == "GENERATED"
    assert stored["name"] == "local__pyramide"
    assert stored["tags"] == {"tuto": "oui", "tuto_name": "raster"}
    assert infos == {
        "tms": "PM", "levels": [str(n) for n in range(19)], "channels_format": "UINT8", "channels_number": 3,
        "compression": "JPG", "nodata_value": "255,255,255",
    }  # fmt: skip
    folder = tmp_path / "platform" / "stored_data" / str(stored["_id"])
    assert stored["size"] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    (descriptor,) = folder.glob("*.json")
    pyramid = fastpyr.open(descriptor)
    assert pyramid.verify().ok
    assert pyramid.levels[0].limits.count == 420

    for step in ("configuration-WMTS", "publication-WMTS"):
        client("workflow", "-f", "generic_raster.jsonc", "-s", step)
    offering = only(server.get("/offerings"))
    assert offering["status"] == "PUBLISHED"
    assert only(server.get(f"/configurations?stored_data={stored['_id']}"))["status"] == "PUBLISHED"
    assert server.call("DELETE", f"/stored_data/{stored['_id']}").status == 409
    execution = only(server.get(f"/processings/executions?output_stored_data={stored['_id']}"))
    out = client("processing_execution", str(execution["_id"]))
    assert "SUCCESS" in out

    client("upload", str(upload["_id"]), "--delete", "--force")
    assert not (tmp_path / "platform" / "uploads" / str(upload["_id"])).exists()
    client("stored_data", str(stored["_id"]), "--delete", "--cascade", "--force")
    assert server.get("/stored_data") == server.get("/configurations") == server.get("/offerings") == []
    assert not folder.exists()


def test_resumed_delivery(client: Client, server: Server) -> None:
    """Files that are there with their size are not sent again; a corrupted one fails the checks by its name."""
    body = {"name": "EXAMPLE_DATASET_RASTER", "description": "d", "type": "RASTER", "srs": "EPSG:2154"}
    upload = server.post("/uploads", body)["_id"]
    first, second, *_ = sorted(shared("ortho").glob("*.tif"))
    wrong = bytearray(second.read_bytes())
    wrong[-1000] ^= 1
    for path, content in ((first, first.read_bytes()), (second, bytes(wrong))):
        assert server.push(f"/uploads/{upload}/data?path=ain/{path.name}", content).status == 204
    out = client("delivery", "upload_descriptor.jsonc", "-b", "RESUME", code=1)
    assert "2 livré(s)" in out
    assert server.get(f"/uploads/{upload}")["status"] == "UNSTABLE"
    failed = server.get(f"/uploads/{upload}/checks")["failed"]
    assert "Vérification standard" in [one["check"]["name"] for one in failed]
    log = [line for one in failed for line in server.get(f"/checks/executions/{one['_id']}/logs?limit=2000")]
    assert any("ERROR" in line and f"(ain/{second.name})" in line for line in log)


def test_lists_over_pages(client: Client, server: Server) -> None:
    for number in range(12):
        server.post("/uploads", {"name": f"N{number}", "description": "d", "type": "RASTER", "srs": "EPSG:2154"})
    out = client("upload")
    assert all(f"N{number} " in out or f"N{number}" in out.split() for number in range(12)), out
