"""The transport contract: pages, filters, error bodies, multipart, credentials, and what must not get in."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from platform_server import DATASTORE, PYRAMID, Server, serving
from small_delivery import md5_list, tiff


def new_upload(server: Server, name: str = "U") -> str:
    body = {"name": name, "description": "d", "type": "RASTER", "srs": "EPSG:2154"}
    return str(server.post("/uploads", body)["_id"])


def test_who_and_where(server: Server) -> None:
    token = server.call("POST", "//token", b"grant_type=password&username=u&password=p&client_id=c").body
    assert token["access_token"]
    assert token["expires_in"] > 0
    user = server.get("//api/users/me")
    assert {"_id", "last_name", "first_name", "email", "communities_member"} <= set(user)
    assert user["communities_member"][0]["community"]["datastore"] == DATASTORE
    datastore = server.get("")
    assert datastore["_id"] == DATASTORE
    endpoints = [one["endpoint"] for one in datastore["endpoints"]]
    assert "ae032611-13eb-4a18-8d04-9b7604a031cc" in [one["_id"] for one in endpoints]
    assert {"_id", "name", "technical_name", "type", "open", "urls"} <= set(endpoints[0])
    assert server.call("GET", "//api/datastores/other/uploads").status == 404


def test_pages(server: Server) -> None:
    for number in range(12):
        new_upload(server, f"page {number}")
    answers = [server.call("GET", f"/uploads?name=page%25&page={page}&limit=10") for page in (1, 2)]
    assert [answer.headers["Content-Range"] for answer in answers] == ["1-10/12", "11-12/12"]
    assert [answer.status for answer in answers] == [206, 206]
    assert sum(len(answer.body) for answer in answers) == 12
    whole = server.call("GET", "/uploads?name=page%25&limit=50&fields=name&fields=status")
    assert (whole.status, whole.headers["Content-Range"]) == (200, "1-12/12")
    assert all(set(one) == {"_id", "name", "status"} for one in whole.body)
    assert server.call("GET", "/uploads?page=x").status == 400


def test_long_log(server: Server, request: pytest.FixtureRequest) -> None:
    """More than 2000 lines come over pages, each once."""
    upload = new_upload(server)
    execution = server.create(upload)["_id"]
    path = f"/processings/executions/{execution}/logs"
    one = server.call("GET", f"{path}?page=1&limit=2000")
    assert (one.status, one.headers["Content-Range"], len(one.body)) == (200, "1-1/1", 1)
    date, _, rest = one.body[0].partition("INFO||")
    assert len(date) == len("2026-07-02 06:05:20,353")
    assert rest.count("||") == 2
    log = next(Path(str(request.getfixturevalue("tmp_path_factory").getbasetemp())).rglob(f"{execution}.log"))
    with log.open("a") as file:
        file.writelines(f"2026-01-01 00:00:00,000INFO||x||0||line {n}\n" for n in range(2, 4501))
    pages = [server.call("GET", f"{path}?page={page}&limit=2000") for page in (1, 2, 3)]
    assert [page.headers["Content-Range"] for page in pages] == ["1-2000/4500", "2001-4000/4500", "4001-4500/4500"]
    lines = [line for page in pages for line in page.body]
    assert lines[1999].endswith("line 2000")
    assert len(set(lines)) == 4500


def test_processings(server: Server) -> None:
    for name in ("Calcul de pyramide raster", "calcul ou mise à jour de pyramide raster"):
        (found,) = server.get(f"/processings?name={urllib.parse.quote(name)}")
        assert found["_id"] == PYRAMID
    detail = server.get(f"/processings/{PYRAMID}")
    assert {"_id", "name", "description", "input_types", "output_type", "parameters", "required_checks"} <= set(detail)
    assert detail["input_types"] == {"upload": ["RASTER"], "stored_data": ["ROK4-PYRAMID-RASTER"]}
    parameters = {one["name"]: one for one in detail["parameters"]}
    seed = {"bottom", "tms", "width", "compression", "interpolation", "parallelization", "top", "mask", "height"}
    assert set(parameters) == seed
    assert parameters["width"]["default_value"] == parameters["height"]["default_value"] == 16
    assert parameters["mask"]["default_value"] == "false"
    assert "PM" in parameters["tms"]["constraints"]["enum"]
    checks = {one["name"]: one["_id"] for one in detail["required_checks"]}
    assert set(checks) == {"Vérification raster", "Vérification standard"}
    assert server.get(f"/checks/{checks['Vérification standard']}")["name"] == "Vérification standard"
    assert len(server.get("/processings")) == 3
    assert len(server.get("/checks")) == 2


def test_the_seeds_execution(server: Server) -> None:
    """The request body of the tutorial: keys, types and meanings of the answer."""
    upload = new_upload(server, "SCAN1000 - Corse")
    body = {
        "processing": PYRAMID,
        "inputs": {"upload": [upload]},
        "output": {"stored_data": {"name": "SCAN1000 de la Corse", "storage_tags": ["PYRAMIDE"]}},
        "parameters": {"tms": "PM", "compression": "jpg", "interpolation": "bicubic"},
    }
    made = server.call("POST", "/processings/executions", body)
    assert made.status == 201
    execution = made.body
    assert set(execution) >= {"processing", "status", "creation", "inputs", "output", "parameters", "_id"}
    assert set(execution["processing"]) == {"name", "_id"}
    assert set(execution["inputs"]) == {"upload", "stored_data"}
    assert set(execution["inputs"]["upload"][0]) == {"type", "name", "status", "srs", "_id"}
    assert set(execution["output"]["stored_data"]) == {"name", "type", "status", "_id"}
    assert execution["parameters"] == body["parameters"] | {
        "parallelization": 1, "mask": "false", "width": 16, "height": 16,
    }  # fmt: skip
    stored = server.get(f"/stored_data/{execution['output']['stored_data']['_id']}")
    assert stored["status"] == "CREATED"
    assert stored["storage"]["labels"] == ["PYRAMIDE"]


@pytest.mark.parametrize(
    ("parameters", "word"),
    [({"tms": "NOPE"}, "tms"), ({"width": 7}, "width"), ({"compression": "gif"}, "compression")],
)
def test_wrong_parameters_are_named(server: Server, parameters: dict[str, Any], word: str) -> None:
    body = {
        "processing": PYRAMID,
        "inputs": {"upload": [new_upload(server)]},
        "output": {"stored_data": {"name": "X"}},
        "parameters": {"tms": "PM", **parameters},
    }
    answer = server.call("POST", "/processings/executions", body)
    assert answer.status == 400
    assert isinstance(answer.body["error"], str)
    assert any(word in line for line in answer.body["error_description"])


def test_errors_have_one_form(server: Server) -> None:
    missing = "11111111-2222-4333-8444-555555555555"
    calls = [
        ("GET", f"/uploads/{missing}", None, 404),
        ("GET", "/nowhere", None, 404),
        ("PUT", "/uploads", {}, 405),
        ("POST", "/uploads", {"name": "x"}, 400),
        ("POST", "/uploads", b"{", 400),
        ("POST", "/uploads", b"[1]", 400),
        ("POST", "/uploads", b"\xff\xfe", 400),
        ("POST", "/uploads", b"[" * 200_000, 400),
        ("POST", "/uploads", b'{"extra": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001, 400),
        ("POST", "/uploads", b'{"name": ' + b"1" * 10_000 + b"}", 400),
        ("POST", f"/uploads/{new_upload(server)}/open", None, 409),
    ]
    for method, path, body, status in calls:
        answer = server.call(method, path, body)
        assert answer.status == status, (method, path, answer)
        assert set(answer.body) == {"error", "error_description"}
        assert all(isinstance(line, str) for line in answer.body["error_description"])


def test_files_of_a_delivery(server: Server) -> None:
    upload = new_upload(server)
    path = f"/uploads/{upload}/data?path="
    assert server.push(f"{path}ain/a%20b.tif", b"x" * 100_000).status == 204
    assert server.push(f"{path}ain/a%20b.tif", b"y").status == 409
    assert server.call("GET", f"{path}ain/a%20b.tif").body == b"x" * 100_000
    assert server.push(f"/uploads/{upload}/md5", b"", "ain.md5").status == 204
    assert server.get(f"/uploads/{upload}/tree") == [
        {
            "type": "DIRECTORY", "name": "ain", "size": 100_000,
            "children": [{"type": "FILE", "name": "a b.tif", "size": 100_000}],
        },
        {"type": "FILE", "name": "ain.md5", "size": 0},
    ]  # fmt: skip
    assert server.get(f"/uploads/{upload}")["size"] == 100_000
    assert server.call("DELETE", f"/uploads/{upload}/md5?path=ain.md5").status == 204
    assert server.call("DELETE", f"{path}ain/a%20b.tif").status == 204
    assert server.call("DELETE", f"{path}ain/a%20b.tif").status == 404
    assert server.get(f"/uploads/{upload}/tree") == []


def test_tags_by_both_clients(server: Server) -> None:
    upload = new_upload(server)
    assert server.post(f"/uploads/{upload}/tags", {"a": "1", "b": "2", "c": "3", "d": "4"})["tags"]["a"] == "1"
    server.call("DELETE", f"/uploads/{upload}/tags?tags[]=a&tags[]=b")
    assert server.call("DELETE", f"/uploads/{upload}/tags?tags=c,x").body["tags"] == {"d": "4"}
    assert [one["_id"] for one in server.get("/uploads?tags[d]=4")] == [upload]


def test_files_too_large(server: Server) -> None:
    """By what is announced and by what comes; nothing of it stays."""
    upload = new_upload(server)
    path = f"/uploads/{upload}/data?path=big.tif"
    answer = server.push(path, b"x" * 3_000_001)
    assert answer.status == 400
    assert "3000000" in answer.body["error_description"][0]
    assert server.push(path, b"x" * 3_000_000).status == 204
    host = urllib.parse.urlsplit(server.url).netloc
    connection = http.client.HTTPConnection(host, timeout=30)
    head = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    pieces = iter([head, *[b"y" * 500_000] * 20])
    target = urllib.parse.urlsplit(server.base).path + f"/uploads/{upload}/data?path=bigger.tif"
    headers = {"content-type": "multipart/form-data; boundary=XX"}
    try:
        connection.request("POST", target, pieces, headers, encode_chunked=True)
        assert connection.getresponse().status == 400
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before all was said
    assert [entry["name"] for entry in server.get(f"/uploads/{upload}/tree")] == ["big.tif"]
    assert server.call("PATCH", f"/uploads/{upload}", b'{"name":"' + b"x" * 2_000_000 + b'"}').status == 400


def test_cut_bodies(server: Server) -> None:
    upload = new_upload(server)
    headers = {"content-type": "multipart/form-data; boundary=XX"}
    head = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    for body in (
        head + b"x",
        head + b"x\r\n--XX",
        b"",
        b"--XX--\r\n",
        head.replace(b"file", b"other") + b"x\r\n--XX--\r\n",
    ):
        answer = server.call("POST", f"/uploads/{upload}/data?path=a", body, headers)
        assert answer.status == 400, body
    assert server.call("POST", f"/uploads/{upload}/data?path=a", b"{}").status == 400
    assert server.get(f"/uploads/{upload}/tree") == []


def test_wrong_signature_and_wrong_system(server: Server) -> None:
    """A byte changed after the list was made; a system that is not the files'."""
    files = {"d/a.tif": tiff(), "d/b.tif": tiff(64, 64)}
    lists = md5_list(files)
    damaged = bytearray(files["d/b.tif"])
    damaged[-10] ^= 0xFF
    wrong = server.deliver("wrong", files | {"d/b.tif": bytes(damaged)}, md5=lists)
    other = server.deliver("other", files, srs="EPSG:3857", md5=lists)
    assert server.checked(wrong)["status"] == server.checked(other)["status"] == "UNSTABLE"

    def log(upload: str, name: str) -> str:
        failed = {one["check"]["name"]: one["_id"] for one in server.get(f"/uploads/{upload}/checks")["failed"]}
        detail = server.get(f"/checks/executions/{failed[name]}")
        assert (detail["status"], detail["upload"]["_id"]) == ("FAILURE", upload)
        return "\n".join(server.get(f"/checks/executions/{failed[name]}/logs?limit=2000"))

    assert "(d/b.tif)" in log(wrong, "Vérification standard")
    assert "Incohérence avec le SRS du fichier d/a.tif" in log(other, "Vérification raster")
    execution = server.create(wrong)["_id"]
    assert server.call("POST", f"/processings/executions/{execution}/launch").status == 409


def test_grids(server: Server) -> None:
    (found,) = server.get("//api/statics/tms?_id=PM")
    assert found == {"_id": "PM", "srs": "EPSG:3857"}
    detail = server.get("//api/statics/tms/PM")
    assert pytest.approx(next(level for level in detail["levels"] if level["id"] == "18")) == {
        "id": "18",
        "resolution": 0.5971642833948135,
    }
    assert server.get("//api/statics/tms/PM/file")["tileMatrices"]
    assert "PM" in {one["_id"] for one in server.get("//api/statics/tms?srs=epsg:3857&limit=500")}
    for name in ("..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "PM.json", "%00"):
        assert server.call("GET", f"//api/statics/tms/{name}").status == 404


def test_documentation(server: Server) -> None:
    """The OpenAPI document and a page that needs nothing from elsewhere."""
    paths = server.get("//openapi.json")["paths"]
    assert len(paths) > 40
    page = server.call("GET", "//docs")
    assert b"http" not in page.body.replace(b"http-equiv", b"")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for name in ("docs.js", "docs.css"):
        assert server.call("GET", f"//static/{name}").status == 200
    for name in ("..%2Fapp.py", "app.py", "%2e%2e/app.py", "__init__.py"):
        assert server.call("GET", f"//static/{name}").status == 404


def test_foreign_pages_and_names(server: Server) -> None:
    body = json.dumps({"name": "x", "type": "RASTER", "srs": "EPSG:2154"}).encode()
    for headers in ({"host": "evil.example"}, {"host": "evil.example:8080"}, {"origin": "http://evil.example"}):
        assert server.call("POST", "/uploads", body, headers).status == 403, headers
    assert server.call("GET", "/uploads", None, {"host": "evil.example"}).status == 403
    assert server.call("POST", "/uploads", body, {"origin": server.url}).status == 201
    assert server.call("GET", "/uploads", None, {"host": "localhost"}).status in (200, 206)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("guarded") / "platform"
    env = {"FASTPYR_PASSWORD": "sésame"}
    with serving(root, "--user", "me", "--token", "fixed", env=env) as running:
        yield running


def test_credentials(guarded: Server) -> None:
    refused = guarded.call("GET", "/uploads")
    assert refused.status == 401
    assert set(refused.body) == {"error", "error_description"}
    wrong = guarded.call("POST", "//token", b"username=me&password=no")
    assert wrong.status == 401
    assert isinstance(wrong.body["error_description"], str)
    form = urllib.parse.urlencode({"grant_type": "password", "username": "me", "password": "sésame"}).encode()
    token = guarded.call("POST", "//token", form).body["access_token"]
    for value, status in (
        (f"Bearer {token}", 200),
        ("Bearer fixed", 200),
        ("Basic bWU6c8Opc2FtZQ==", 200),
        ("Bearer other", 401),
        ("Basic bWU6bm8=", 401),
        ("Basic %%%", 401),
        ("Bearer é", 401),
    ):
        assert guarded.call("GET", "/uploads", None, {"authorization": value}).status == status, value
    assert guarded.call("GET", "//docs").status == 200
