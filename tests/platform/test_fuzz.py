"""Whatever comes in: no answer of 500, nothing written outside the delivery."""

from __future__ import annotations

import json
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastpyr.api import create_app
from fastpyr.errors import RequestError
from fastpyr.platform import Entrepot
from fastpyr.platform.files import safe_path

pytest.importorskip("httpx", reason="package httpx (test extra) is not installed")
B = "/api/datastores/11111111-1111-4111-8111-111111111111"
PYRAMID = "2ae50661-986c-4f47-a3f0-e380417b522c"
JSON_TYPE = {"content-type": "application/json"}
quick = settings(max_examples=60, suppress_health_check=list(HealthCheck))

SEGMENT = st.sampled_from(["..", ".", "", "a", "a.tif", "~", "%2e%2e", "..\\", "C:", "\0", "é", " ", "x" * 300, "a\nb"])
PATHS = st.one_of(
    st.lists(SEGMENT, min_size=1, max_size=5).map("/".join),
    st.text(max_size=40),
    st.just("/etc/passwd"),
    st.just("a/b"),
)
TEXT = st.text(st.characters() | st.sampled_from("\0\ud800\udfff"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[TestClient, Entrepot, Path]]:
    """A platform in a folder of a folder, so that what leaves it is seen."""
    with tempfile.TemporaryDirectory() as outer, Entrepot(Path(outer) / "in" / "platform", jobs=0) as platform:
        client = TestClient(create_app(platform, max_upload=100_000), raise_server_exceptions=False)
        yield client, platform, Path(outer)


@pytest.fixture(scope="module")
def upload(world: tuple[TestClient, Entrepot, Path]) -> str:
    body = {"name": "U", "description": "d", "type": "RASTER", "srs": "EPSG:2154"}
    return str(world[0].post(f"{B}/uploads", json=body).json()["_id"])


def fine(answer: Any) -> None:
    assert answer.status_code < 500, (answer.request.url, answer.text)
    if answer.status_code >= 400:
        assert set(answer.json()) == {"error", "error_description"}


def files_outside(outer: Path, data: Path) -> list[Path]:
    """Files that are neither the delivery's nor the platform's own."""
    own = outer / "in" / "platform"
    return [
        path
        for path in outer.rglob("*")
        if path.is_file()
        and not path.is_relative_to(data)
        and not (path.is_relative_to(own) and (path.parent == own or path.parent.name in ("logs", "owners")))
    ]


@quick
@given(path=PATHS, content=st.binary(max_size=200))
def test_paths_of_files(world: tuple[TestClient, Entrepot, Path], upload: str, path: str, content: bytes) -> None:
    client, platform, outer = world
    target = f"{B}/uploads/{upload}/data?path={urllib.parse.quote(path, safe='', errors='replace')}"
    answer = client.post(target, files={"file": ("f", content)})
    fine(answer)
    folder = platform.uploads.files(upload)
    assert files_outside(outer, folder.data) == []
    if answer.status_code == 204:
        assert folder.existing(path).read_bytes() == content
        assert client.get(target).content == content
        fine(client.delete(target))
    fine(client.get(target))
    fine(client.delete(target))


@quick
@given(name=PATHS)
def test_names_of_lists(world: tuple[TestClient, Entrepot, Path], upload: str, name: str) -> None:
    client, platform, outer = world
    safe = name.encode("utf-8", "replace").replace(b'"', b"%22").replace(b"\r", b"").replace(b"\n", b"")
    body = b'--X\r\nContent-Disposition: form-data; name="file"; filename="' + safe + b'"\r\n\r\nx\r\n--X--\r\n'
    fine(
        client.post(
            f"{B}/uploads/{upload}/md5", content=body, headers={"content-type": "multipart/form-data; boundary=X"}
        )
    )
    assert files_outside(outer, platform.uploads.files(upload).data) == []


@quick
@given(
    body=st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.sampled_from(
                [
                    b"--X\r\n",
                    b"--X--\r\n",
                    b"\r\n",
                    b'Content-Disposition: form-data; name="file"\r\n',
                    b"\r\n\r\n",
                    b"data",
                ]
            ),
            max_size=12,
        ).map(b"".join),
    ),
    kind=st.sampled_from(
        ["multipart/form-data; boundary=X", "multipart/form-data", "text/plain", "", "multipart/form-data; boundary="]
    ),
)
def test_bodies(world: tuple[TestClient, Entrepot, Path], upload: str, body: bytes, kind: str) -> None:
    client, platform, outer = world
    answer = client.post(f"{B}/uploads/{upload}/data?path=fuzz", content=body, headers={"content-type": kind})
    fine(answer)
    area = platform.uploads.files(upload)
    if answer.status_code == 204:
        client.delete(f"{B}/uploads/{upload}/data?path=fuzz")
    assert not list((area.folder / "incoming").iterdir())
    assert files_outside(outer, area.data) == []


LISTS = [
    "/uploads",
    "/stored_data",
    "/processings",
    "/processings/executions",
    "/configurations",
    "/offerings",
    "/checks",
]
NAMES = st.one_of(
    st.sampled_from(
        ["page", "limit", "fields", "sort", "name", "status", "tags[a]", "tags[]", "size", "_id", "open", "type"]
    ),
    st.text(max_size=12),
)
VALUES = st.one_of(
    st.text(max_size=12), st.integers().map(str), st.sampled_from(["%", "_", "\\", "'", '"', "name,desc"])
)


@quick
@given(path=st.sampled_from(LISTS), pairs=st.lists(st.tuples(NAMES, VALUES), max_size=4))
def test_filters(world: tuple[TestClient, Entrepot, Path], path: str, pairs: list[tuple[str, str]]) -> None:
    fine(world[0].get(f"{B}{path}?{urllib.parse.urlencode(pairs, errors='replace')}"))


@quick
@given(
    id=st.text(min_size=1, max_size=60),
    path=st.sampled_from(
        [
            "/uploads/{}",
            "/stored_data/{}/dependencies",
            "/offerings/{}",
            "/uploads/{}/tree",
            "/checks/executions/{}/logs",
        ]
    ),
)
def test_ids(world: tuple[TestClient, Entrepot, Path], id: str, path: str) -> None:
    fine(world[0].get(B + path.format(urllib.parse.quote(id, safe="", errors="replace"))))


BODIES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            "name",
            "type",
            "srs",
            "description",
            "extra",
            "processing",
            "inputs",
            "output",
            "parameters",
            "text",
            "layer_name",
            "type_infos",
            "endpoint",
            "open",
            "metadata",
            "callback",
        ),
        JSON,
    ),
)


@quick
@given(
    path=st.sampled_from(
        [
            "/uploads",
            "/processings/executions",
            "/configurations",
            "/uploads/{u}/tags",
            "/uploads/{u}/comments",
            "/uploads/{u}/checks",
        ]
    ),
    body=BODIES | JSON,
)
def test_json_bodies(world: tuple[TestClient, Entrepot, Path], upload: str, path: str, body: Any) -> None:
    fine(world[0].post(B + path.format(u=upload), content=json.dumps(body), headers=JSON_TYPE))


@quick
@given(
    parameters=st.dictionaries(
        st.sampled_from(["tms", "bottom", "top", "width", "mask", "compression", "parallelization", "x"]),
        JSON,
        max_size=4,
    )
)
def test_parameters(world: tuple[TestClient, Entrepot, Path], upload: str, parameters: dict[str, Any]) -> None:
    body = {
        "processing": PYRAMID,
        "inputs": {"upload": [upload]},
        "output": {"stored_data": {"name": "X"}},
        "parameters": {"tms": "PM", **parameters},
    }
    fine(world[0].post(f"{B}/processings/executions", content=json.dumps(body), headers=JSON_TYPE))


@quick
@given(more=BODIES)
def test_uploads_that_are_nearly_right(world: tuple[TestClient, Entrepot, Path], more: dict[str, Any]) -> None:
    body = json.dumps({"name": "x", "type": "RASTER", "srs": "EPSG:2154", **more})
    made = world[0].post(f"{B}/uploads", content=body, headers=JSON_TYPE)
    fine(made)
    if made.status_code == 201:
        path = f"{B}/uploads/{made.json()['_id']}"
        fine(world[0].patch(path, content=json.dumps(more), headers=JSON_TYPE))
        fine(world[0].post(f"{path}/tags", content=json.dumps(more), headers=JSON_TYPE))
        fine(world[0].get(path))


@given(PATHS)
def test_safe_paths_stay_inside(path: str) -> None:
    try:
        kept = safe_path(path)
    except RequestError:
        return
    base = Path("/base/of/it")
    assert (base / kept).is_relative_to(base)
    assert ".." not in Path(kept).parts
    assert Path(kept).as_posix() == path
