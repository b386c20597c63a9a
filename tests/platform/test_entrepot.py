"""Entities, their states and rules, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_delivery import md5_list, slabs, tiff, written

import fastpyr
from fastpyr.errors import ConfigError, ConflictError, NotFoundError, RequestError, StoreError
from fastpyr.platform import Entrepot
from fastpyr.platform.queries import Query

PYRAMID = "2ae50661-986c-4f47-a3f0-e380417b522c"
HARVEST = "6a54dc92-fc93-4c8e-9f02-046bf889550e"
ENDPOINT = "ae032611-13eb-4a18-8d04-9b7604a031cc"


@pytest.fixture(params=["sqlite", "postgres"])
def idle(request: pytest.FixtureRequest, root: Path) -> Iterator[Entrepot]:
    """A platform that runs no jobs, empty at the start."""
    url = request.getfixturevalue("postgres") if request.param == "postgres" else None
    with Entrepot(root, url, jobs=0) as platform:
        from fastpyr.platform.models import Base

        with platform.database.write() as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(table.delete())
        yield platform


def upload_of(platform: Entrepot, name: str = "U", **more: Any) -> str:
    body = {"name": name, "description": "d", "type": "RASTER", "srs": "EPSG:2154", **more}
    return str(platform.uploads.create(body)["_id"])


def set_status(platform: Entrepot, model: str, id: str, status: str, **more: Any) -> None:
    """What a job would have done."""
    from fastpyr.platform import models

    with platform.database.write() as session:
        row = session.get(getattr(models, model), id)
        row.status = status
        for name, value in more.items():
            setattr(row, name, value)


def request_body(upload: str, name: str = "OUT", **parameters: Any) -> dict[str, Any]:
    return {
        "processing": PYRAMID,
        "inputs": {"upload": [upload]},
        "output": {"stored_data": {"name": name, "storage_tags": ["PYRAMIDE"]}},
        "parameters": {"tms": "PM", **parameters},
    }


def test_life_of_an_upload(idle: Entrepot, tmp_path: Path) -> None:
    uploads = idle.uploads
    id = upload_of(idle)
    created = uploads.get(id)
    assert (created["status"], created["open"], created["size"], created["tags"]) == ("OPEN", True, 0, {})
    assert created["last_event"]["title"] == "Création"
    file = tmp_path / "a.bin"
    file.write_bytes(b"12345")
    assert uploads.add_file(id, file, "d/e/a.bin") == "827ccb0eea8a706c4c34a16891f84e7b"
    with pytest.raises(ConflictError, match=r"d/e/a\.bin"):
        uploads.add_file(id, file, "d/e/a.bin")
    with pytest.raises(ConflictError):
        uploads.add_file(id, file, "d/e/a.bin/below")
    file_entry = {"type": "FILE", "name": "a.bin", "size": 5}
    folder = {"type": "DIRECTORY", "name": "e", "size": 5, "children": [file_entry]}
    assert uploads.tree(id) == [{"type": "DIRECTORY", "name": "d", "size": 5, "children": [folder]}]
    assert uploads.get(id)["size"] == 5
    uploads.close(id)
    for forbidden in (
        lambda: uploads.close(id),
        lambda: uploads.open(id),
        lambda: uploads.delete(id),
        lambda: uploads.add_file(id, file, "b.bin"),
        lambda: uploads.remove_file(id, "d/e/a.bin"),
    ):
        with pytest.raises(ConflictError, match="CHECKING"):
            forbidden()
    assert len(uploads.checks(id)["asked"]) == 2
    set_status(idle, "Upload", id, "UNSTABLE")
    uploads.open(id)
    uploads.remove_file(id, "d/e/a.bin")
    assert uploads.tree(id) == []
    assert not list((idle.root / "uploads" / id / "incoming").iterdir())
    uploads.delete(id)
    with pytest.raises(NotFoundError):
        uploads.get(id)
    assert not (idle.root / "uploads" / id).exists()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"name": ""}, "name"),
        ({"name": 3}, "name"),
        ({"name": "x" * 300}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"type": "VECTOR"}, "type"),
        ({"srs": "EPSG:999999"}, "srs"),
        ({"type_infos": [1]}, "type_infos"),
    ],
)
def test_wrong_uploads(idle: Entrepot, change: dict[str, Any], word: str) -> None:
    with pytest.raises(RequestError, match=word):
        upload_of(idle, **change)


def test_tags_comments_events(idle: Entrepot) -> None:
    id = upload_of(idle)
    uploads = idle.uploads
    uploads.add_tags(id, {"a": "1", "b": "2"})
    assert uploads.add_tags(id, {"b": "3"})["tags"] == {"a": "1", "b": "3"}
    assert uploads.remove_tags(id, ["a", "zzz"])["tags"] == {"b": "3"}
    with pytest.raises(RequestError, match="tag"):
        uploads.add_tags(id, {"c": 1})
    comment = uploads.add_comment(id, {"text": "un"})
    assert uploads.edit_comment(id, comment["_id"], {"text": "deux"})["text"] == "deux"
    with pytest.raises(NotFoundError):
        uploads.remove_comment(upload_of(idle, "other"), comment["_id"])
    uploads.remove_comment(id, comment["_id"])
    assert uploads.comments(id, Query()).items == []
    assert [event["title"] for event in uploads.events(id, Query()).items] == ["Création"]


def test_lists(idle: Entrepot) -> None:
    ids = [upload_of(idle, f"Été_{n:02}") for n in range(12)]
    idle.uploads.add_tags(ids[3], {"k": "v", "été": "oui"})
    first, second = (idle.uploads.find(Query(page=page)) for page in (1, 2))
    assert (first.content_range, second.content_range) == ("1-10/12", "11-12/12")
    assert [one["_id"] for one in first.items + second.items] == ids
    assert idle.uploads.find(Query(page=3)).content_range == "0-0/12"

    def names(pairs: list[tuple[str, str]]) -> list[str]:
        return [one["name"] for one in idle.uploads.find(Query.parse(pairs)).items]

    assert names([("name", "Été_03")]) == ["Été_03"]
    assert names([("name", "%_03")]) == ["Été_03"]
    assert names([("name", "ÉTÉ_03".replace("É", "%"))]) == ["Été_03"]
    assert names([("name", "Été%0_")]) == []  # _ is itself
    assert names([("tags[k]", "v")]) == names([("tags[été]", "OUI")]) == ["Été_03"]
    assert names([("tags[k]", "w")]) == names([("tags[no]", "v")]) == []
    assert names([("status", "open"), ("limit", "2"), ("sort", "name,desc")]) == ["Été_11", "Été_10"]
    assert names([("size", "0"), ("limit", "1")]) == ["Été_00"]
    shown = idle.uploads.find(Query.parse([("fields", "name,srs"), ("fields", "status"), ("limit", "1")])).items
    assert set(shown[0]) == {"_id", "name", "srs", "status"}
    for wrong in ([("nothing", "x")], [("page", "0")], [("limit", "x")], [("sort", "x")], [('tags["]', "x")]):
        with pytest.raises(RequestError, match=wrong[0][0].split("[")[0]):
            names(wrong)


def test_execution_echoes_its_parameters(idle: Entrepot) -> None:
    upload = upload_of(idle)
    body = request_body(upload, "SCAN1000 de la Corse", compression="jpg", interpolation="bicubic")
    execution = idle.executions.create(body | {"callback": {"type": "email"}})
    assert execution["parameters"] == {
        "tms": "PM", "compression": "jpg", "interpolation": "bicubic", "parallelization": 1, "mask": "false",
        "width": 16, "height": 16,
    }  # fmt: skip
    assert execution["status"] == "CREATED"
    assert execution["inputs"] == {
        "upload": [{"_id": upload, "name": "U", "type": "RASTER", "status": "OPEN", "srs": "EPSG:2154"}],
        "stored_data": [],
    }
    output = execution["output"]["stored_data"]
    assert output == {
        "_id": output["_id"], "name": "SCAN1000 de la Corse", "type": "ROK4-PYRAMID-RASTER", "status": "CREATED",
    }  # fmt: skip
    assert len(idle.executions.log(execution["_id"])) == 1
    assert idle.executions.edit(execution["_id"], {"callback": None}).get("callback") is None
    with pytest.raises(RequestError, match="status"):
        idle.executions.edit(execution["_id"], {"status": "SUCCESS"})
    found = idle.executions.find(Query(filters={"input_upload": upload, "output_stored_data": output["_id"]}))
    assert [one["_id"] for one in found.items] == [execution["_id"]]
    idle.executions.delete(execution["_id"])
    with pytest.raises(NotFoundError):
        idle.stored_data.get(output["_id"])


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"tms": "NOPE"}, "tms"),
        ({"tms": None}, "tms"),
        ({"tms": "../../etc/passwd"}, "tms"),
        ({"width": 7}, "width"),
        ({"height": 33}, "height"),
        ({"width": True}, "width"),
        ({"compression": "gif"}, "compression"),
        ({"interpolation": "cubic"}, "interpolation"),
        ({"parallelization": 5}, "parallelization"),
        ({"parallelization": "two"}, "parallelization"),
        ({"mask": "perhaps"}, "mask"),
        ({"mask": 1}, "mask"),
        ({"bottom": "99"}, "bottom"),
        ({"top": "18", "bottom": "10"}, "top"),
        ({"bottom": {}}, "bottom"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_parameters(idle: Entrepot, parameters: dict[str, Any], word: str) -> None:
    upload = upload_of(idle)
    with pytest.raises(RequestError, match=word):
        idle.executions.create(request_body(upload, **parameters))
    assert idle.stored_data.find(Query()).items == []


def test_what_clients_send_for_numbers_and_truth(idle: Entrepot) -> None:
    body = request_body(upload_of(idle), width="8", mask=True, bottom=18, top="0")
    parameters = idle.executions.create(body)["parameters"]
    assert (parameters["width"], parameters["mask"], parameters["bottom"]) == (8, True, "18")
    body = request_body(upload_of(idle), mask="true")
    assert idle.executions.create(body)["parameters"]["mask"] is True


def test_what_cannot_be_created(idle: Entrepot) -> None:
    upload = upload_of(idle)
    with pytest.raises(ConflictError, match="WMS"):
        idle.executions.create(request_body(upload) | {"processing": HARVEST, "inputs": {}})
    with pytest.raises(NotFoundError):
        idle.executions.create(request_body(upload) | {"output": {"stored_data": {"id": "nothing"}}})
    with pytest.raises(NotFoundError):
        idle.executions.create(request_body("nothing"))


def test_launch_needs_a_closed_delivery(idle: Entrepot) -> None:
    upload = upload_of(idle)
    id = idle.executions.create(request_body(upload))["_id"]
    for status in ("OPEN", "CHECKING", "UNSTABLE"):
        set_status(idle, "Upload", upload, status)
        with pytest.raises(ConflictError, match=status):
            idle.executions.launch(id)
    set_status(idle, "Upload", upload, "CLOSED")
    idle.executions.launch(id)
    waiting = idle.executions.get(id)
    assert (waiting["status"], waiting["output"]["stored_data"]["status"]) == ("WAITING", "GENERATING")
    stored = waiting["output"]["stored_data"]["_id"]
    for forbidden in (
        lambda: idle.executions.launch(id),
        lambda: idle.executions.delete(id),
        lambda: idle.uploads.delete(upload),
        lambda: idle.uploads.open(upload),
        lambda: idle.stored_data.delete(stored),
    ):
        with pytest.raises(ConflictError):
            forbidden()
    idle.executions.abort(id)
    aborted = idle.executions.get(id)
    assert (aborted["status"], aborted["output"]["stored_data"]["status"]) == ("ABORTED", "UNSTABLE")
    with pytest.raises(ConflictError):
        idle.executions.abort(id)
    idle.stored_data.delete(stored)
    assert idle.executions.get(id)["output"]["stored_data"]["status"] == "DELETED"
    idle.uploads.delete(upload)
    assert idle.executions.get(id)["inputs"]["upload"][0]["status"] == "DELETED"


def test_dependencies_and_publication_hold_stored_data(idle: Entrepot) -> None:
    from fastpyr.platform.models import Dependency

    upload = upload_of(idle)
    old, new = (idle.executions.create(request_body(upload, n))["output"]["stored_data"]["_id"] for n in ("old", "new"))
    with idle.database.write() as session:
        session.add(Dependency(user_id=new, used_id=old))
    assert idle.stored_data.dependencies(old) == {"used_by": [{"name": "new", "_id": new}], "use": []}
    assert idle.stored_data.dependencies(new) == {"used_by": [], "use": [{"name": "old", "_id": old}]}
    with pytest.raises(ConflictError, match=new):
        idle.stored_data.delete(old)
    body: dict[str, Any] = {
        "type": "WMTS-TMS", "name": "C", "layer_name": "layer",
        "type_infos": {"title": "t", "used_data": [{"stored_data": new, "bottom_level": "18", "top_level": "0"}]},
    }  # fmt: skip
    configurations = idle.configurations
    with pytest.raises(ConflictError, match="CREATED"):
        configurations.create(body)
    set_status(idle, "StoredData", new, "GENERATED", type_infos={"levels": ["0", "18"]})
    configuration = configurations.create(body)["_id"]
    with pytest.raises(ConflictError, match="layer"):
        configurations.create(body)
    with pytest.raises(RequestError, match="layer_name"):
        configurations.create(body | {"layer_name": "1 x"})
    with pytest.raises(ConflictError, match=configuration):
        idle.stored_data.delete(new)
    offering = configurations.publish(configuration, {"endpoint": ENDPOINT, "open": True})
    assert (offering["status"], offering["layer_name"]) == ("PUBLISHED", "layer")
    assert configurations.get(configuration)["status"] == "PUBLISHED"
    with pytest.raises(ConflictError):
        configurations.delete(configuration)
    assert configurations.edit(configuration, {"name": "D"})["name"] == "D"
    configurations.synchronize(offering["_id"], {})
    configurations.remove_offering(offering["_id"])
    assert configurations.offering(offering["_id"])["status"] == "UNPUBLISHED"
    configurations.remove_offering(offering["_id"])
    with pytest.raises(NotFoundError):
        configurations.offering(offering["_id"])
    configurations.delete(configuration)
    idle.stored_data.delete(new)
    idle.stored_data.delete(old)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_delivery_to_pyramid(kind: str, root: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The whole way: the slabs are those of a build without a platform."""
    url = request.getfixturevalue("postgres") if kind == "postgres" else None
    files = {"d/a.tif": tiff(200), "d/b.tif": tiff(200, 200)}
    folder = written(tmp_path / "in", files | {"all.md5": md5_list(files)})
    with Entrepot(root, url) as platform:
        upload = platform.deliver({name: folder / name for name in (*files, "all.md5")}, name="U", srs="EPSG:2154")
        assert upload["status"] == "CLOSED", platform.uploads.checks(upload["_id"])
        execution = platform.executions.create(request_body(upload["_id"], top="15", compression="png", mask=True))
        platform.executions.launch(execution["_id"])
        execution = platform.wait_for(execution["_id"], 120)
        assert execution["status"] == "SUCCESS", platform.executions.log(execution["_id"])
        stored = platform.stored_data.get(execution["output"]["stored_data"]["_id"])
        assert stored["status"] == "GENERATED"
        assert stored["extent"] == upload["extent"]
        assert stored["type_infos"]["levels"] == ["15", "16", "17", "18"]
        log = "\n".join(platform.executions.log(execution["_id"]))
        assert "Niveau du bas : level 18" in log
        found = platform.stored_data.descriptor(stored["_id"])
    fastpyr.build(folder / "d", tmp_path / "OUT.json", tms="PM", top="15", compression="png", mask=True)
    assert slabs(found.parent / "OUT") == slabs(tmp_path / "OUT") != {}


def test_leftovers_of_the_dead_are_swept_away(root: Path) -> None:
    """Interrupted deletions at once; folders of nobody, arrivals and locks when they are old."""
    with Entrepot(root, jobs=0) as platform:
        kept = upload_of(platform)
        arriving = [root / "uploads" / kept / "incoming" / name for name in ("old", "young")]
        for file in (*arriving, root / "owners" / "old.lock", root / "owners" / "young.lock"):
            file.write_bytes(b"")
    folders = [root / "stored_data" / name for name in (".x.0123.deleted", "old", "young")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"")
    for path in (folders[1], arriving[0], root / "owners" / "old.lock", root / "uploads" / kept):
        os.utime(path, (1, 1))
    with Entrepot(root, jobs=0) as platform:
        assert platform.uploads.get(kept)["status"] == "OPEN"
        assert [path.name for path in (root / "stored_data").iterdir()] == ["young"]
        assert [path.name for path in arriving if path.exists()] == ["young"]
        locks = {path.name for path in (root / "owners").iterdir()}
        assert "young.lock" in locks
        assert "old.lock" not in locks


def test_platforms_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="file"):
        Entrepot(tmp_path / "file" / "root")
    with pytest.raises(ConfigError, match="database"):
        Entrepot(tmp_path / "a", "nonsense")
    with pytest.raises(ConfigError, match="database"):
        Entrepot(tmp_path / "a", "nosuchdialect://x")
    with pytest.raises(StoreError, match=r"postgresql.*@127"):
        Entrepot(tmp_path / "a", "postgresql+psycopg://u:secret@127.0.0.1:1/x")


def built(platform: Entrepot, files: dict[str, Path], srs: str) -> str:
    """The log of a pyramid in PM with all parameters left to the processing."""
    upload = platform.deliver(files, name="U", srs=srs)
    assert upload["status"] == "CLOSED", platform.uploads.checks(upload["_id"])
    execution = platform.executions.create(request_body(upload["_id"], compression="jpg", parallelization=2))
    platform.executions.launch(execution["_id"])
    assert platform.wait_for(execution["_id"], 120)["status"] == "SUCCESS"
    return "\n".join(platform.executions.log(execution["_id"]))


def test_levels_that_the_processing_chooses(root: Path, tmp_path: Path) -> None:
    """The reference delivery begins at level 18, with known tiles and slabs; 100 metres in Corsica at level 10."""
    import numpy as np
    import rasterio
    from rasterio.transform import from_origin
    from shared_data import shared

    corsica = tmp_path / "corsica.tif"
    profile = {"driver": "GTiff", "width": 1000, "height": 2000, "count": 3, "dtype": "uint8", "crs": "EPSG:2154"}
    with rasterio.open(corsica, "w", transform=from_origin(1150000, 6239950, 100, 100), **profile) as out:
        out.write(np.random.default_rng(1).integers(0, 255, (3, 2000, 1000)).astype(np.uint8))
    with Entrepot(root) as platform:
        log = built(platform, {path.name: path for path in shared("ortho").glob("*.tif")}, "EPSG:2154")
        assert "Niveau du bas : level 18" in log
        for level, tiles, count in ((18, 420, 4), (17, 110, 2), (16, 30, 2), (15, 9, 1), (0, 1, 1)):
            assert f"Niveau {level} : {tiles} tuiles, {count} dalles" in log
        assert "Niveau du bas : level 10" in built(platform, {corsica.name: corsica}, "EPSG:2154")
