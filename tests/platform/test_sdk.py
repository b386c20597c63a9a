"""The unmodified client of the Géoplateforme drives our server; only its ini file is ours."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from platform_server import DATASTORE, Server, serving
from shared_data import shared
from updates import assert_same

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


@contextlib.contextmanager
def recorded(client: Client, server: Server) -> Iterator[list[str]]:
    """What the client asks the datastore for, through a server in between that passes everything on."""
    calls: list[str] = []

    class Between(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            calls.append(f"{self.command} {self.path.removeprefix(f'/api/datastores/{DATASTORE}')}")
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            kept = ("content-type", "authorization")
            headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
            connection = HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]))
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.send_response(answer.status)
            for name in ("content-type", "content-range"):
                if answer.headers[name]:
                    self.send_header(name, answer.headers[name])
            if answer.status != 204:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _pass_on

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    between = ThreadingHTTPServer(("127.0.0.1", 0), Between)
    config = client.folder / "config.ini"
    direct = config.read_text()
    config.write_text(INI.format(url=f"http://127.0.0.1:{between.server_port}", datastore=DATASTORE))
    thread = threading.Thread(target=between.serve_forever)
    thread.start()
    try:
        yield calls
    finally:
        between.shutdown()
        thread.join()
        between.server_close()
        config.write_text(direct)


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


def described(client: Client, name: str, files: list[Path]) -> None:
    """A descriptor ``<name>.jsonc`` of a delivery of that name."""
    (client.folder / name).mkdir()
    for path in files:
        shutil.copyfile(path, client.folder / name / path.name)
    infos = {"description": "d", "name": name, "srs": "EPSG:2154", "type": "RASTER"}
    dataset = {"data_dirs": [name], "upload_infos": infos, "comments": [], "tags": {"tuto": "oui"}}
    (client.folder / f"{name}.jsonc").write_text(json.dumps({"datasets": [dataset]}))


def step(inputs: dict[str, str], output: dict[str, str], parameters: dict[str, object]) -> dict[str, object]:
    """A step of a workflow; entities are named, the client looks them up."""
    processing = "{store_entity.processing.infos._id [INFOS(name=Calcul ou mise à jour de pyramide raster)]}"
    body = {
        "processing": processing,
        "inputs": {kind: [f"{{store_entity.{kind}.infos._id [INFOS(name={name})]}}"] for kind, name in inputs.items()},
        "output": {"stored_data": output},
        "parameters": parameters,
    }
    return {"actions": [{"type": "processing-execution", "body_parameters": body}], "parents": []}


def test_then_an_update(client: Client, server: Server, tmp_path: Path) -> None:
    """By reference and in place, as the client's workflows ask for them: both equal a build of both deliveries."""
    files = sorted(shared("ortho").glob("*.tif"))
    halves = {"west": files[:2], "east": files[2:]}
    for name, half in halves.items():
        described(client, name, half)
        client("delivery", f"{name}.jsonc")
    known = "{store_entity.stored_data.infos._id [INFOS(name=first)]}"
    options = {
        "tms": "PM", "compression": "png", "interpolation": "nn", "mask": True, "bottom": "18", "top": "16",
        "width": 8, "height": 8,
    }  # fmt: skip
    steps = {
        "first": step({"upload": "west"}, {"name": "first"}, options),
        "reference": step({"upload": "east", "stored_data": "first"}, {"name": "second"}, {}),
        "injection": step({"upload": "east"}, {"id": known}, {}),
        "again": step({"upload": "east"}, {"_id": known}, {"parallelization": 1}),
    }
    (client.folder / "update.jsonc").write_text(json.dumps({"workflow": {"steps": steps}}))
    for name in ("first", "reference"):
        client("workflow", "-f", "update.jsonc", "-s", name)
    ids = {str(one["name"]): str(one["_id"]) for one in server.get("/stored_data")}
    assert server.get(f"/stored_data/{ids['second']}/dependencies")["use"] == [{"name": "first", "_id": ids["first"]}]
    assert server.call("DELETE", f"/stored_data/{ids['first']}").status == 409
    stored = tmp_path / "platform" / "stored_data"
    found = fastpyr.open(stored / ids["second"] / "second.json")
    both = fastpyr.build(files, tmp_path / "BOTH.json", **options)
    assert assert_same(found, both) > 500
    assert server.call("DELETE", f"/stored_data/{ids['second']}").status == 204

    with recorded(client, server) as calls:
        client("workflow", "-f", "update.jsonc", "-s", "injection")
    execution = server.get(f"/processings/executions?output_stored_data={ids['first']}&sort=creation,desc")[0]
    upload, own = execution["inputs"]["upload"][0]["_id"], f"/processings/executions/{execution['_id']}"
    begin = calls.index("POST /processings/executions")
    output = f"/stored_data/{ids['first']}"
    assert calls[begin + 1 : begin + 5] == [
        f"GET /uploads/{upload}", f"GET {output}", f"GET {output}/comments", f"POST {own}/launch",
    ]  # fmt: skip
    assert set(calls[begin + 5 :]) == {f"GET {own}", f"GET {own}/logs?page=1&limit=2000"}
    assert server.get(f"/stored_data/{ids['first']}")["status"] == "GENERATED"
    assert_same(fastpyr.open(stored / ids["first"] / "first.json"), both)
    assert (execution["status"], execution["parameters"]) == ("SUCCESS", {"parallelization": 1})
    assert execution["output"]["stored_data"]["_id"] == ids["first"]
    out = client("workflow", "-f", "update.jsonc", "-s", "again", "-b", "STOP", code=1)
    assert "déjà été lancé pour mettre à jour cette donnée" in out


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
