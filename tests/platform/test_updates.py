"""Updates by reference and in place, and fusions, on a platform: what they make, what they depend on, what is refused,
and what is left when they are stopped."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from platform_server import wait_until
from small_delivery import on_grid, written
from updates import assert_same, state

import fastpyr
from fastpyr.errors import ConflictError, NotFoundError, RequestError
from fastpyr.platform import Entrepot
from fastpyr.platform.catalogue import FUSION, RASTER_TO_PYRAMID
from fastpyr.pyramid.list import parse_list

OPTIONS: dict[str, Any] = {
    "tms": "PM", "compression": "png", "interpolation": "nn", "mask": True, "width": 8, "height": 8, "top": "16",
}  # fmt: skip
WEST = on_grid(0, 0, 2560, 200, 1)
EAST = on_grid(2304, 50, 900, 200, 2)
"""Over the last pixels of WEST, which has a slab of 2048 pixels of its own."""


class Bench:
    """A platform whose deliveries are files of one folder."""

    def __init__(self, platform: Entrepot, folder: Path) -> None:
        self.platform = platform
        self.folder = folder
        self.known: dict[str, str] = {}

    def upload(self, name: str, content: bytes) -> str:
        path = written(self.folder, {f"{name}.tif": content}) / f"{name}.tif"
        found = self.platform.deliver({path.name: path}, name=name, srs="EPSG:3857")
        assert found["status"] == "CLOSED"
        return str(found["_id"])

    def create(self, body: dict[str, Any]) -> tuple[str, str]:
        made = self.platform.executions.create({"processing": RASTER_TO_PYRAMID, "parameters": {}, **body})
        return made["_id"], made["output"]["stored_data"]["_id"]

    def launched(self, body: dict[str, Any]) -> tuple[str, str]:
        execution, stored = self.create(body)
        self.platform.executions.launch(execution)
        return execution, stored

    def done(self, body: dict[str, Any], status: str = "SUCCESS") -> str:
        """Id of the stored data of an execution that has ended so."""
        execution, stored = self.launched(body)
        found = self.platform.wait_for(execution, 120)
        assert found["status"] == status, self.platform.executions.log(execution)
        return stored

    def pyramid(self, name: str, content: bytes, **more: Any) -> str:
        return self.done(build_of(self.upload(name, content), name, **more))

    def opened(self, stored: str) -> fastpyr.Pyramid:
        return fastpyr.open(self.platform.stored_data.descriptor(stored))

    def slabs(self, stored: str) -> dict[str, str]:
        """Everything of a pyramid that its readers see."""
        found = state(self.platform.stored_data.descriptor(stored).parent)
        return {name: what for name, what in found.items() if not name.startswith(".")}

    def links(self, stored: str) -> tuple[list[str], list[str]]:
        """Slabs of its own and slabs that are links to others."""
        listing = parse_list(self.platform.stored_data.descriptor(stored).with_suffix(".list").read_bytes())
        own = [entry.path for entry in listing.entries if entry.root == 0]
        return own, [entry.path for entry in listing.entries if entry.root]

    def status(self, stored: str) -> str:
        return str(self.platform.stored_data.get(stored)["status"])


def build_of(upload: str, name: str, **more: Any) -> dict[str, Any]:
    output = {"stored_data": {"name": name}}
    return {"inputs": {"upload": [upload]}, "output": output, "parameters": {**OPTIONS, **more}}


def reference_of(upload: str, old: str, name: str = "NEW") -> dict[str, Any]:
    return {"inputs": {"upload": [upload], "stored_data": [old]}, "output": {"stored_data": {"name": name}}}


def injection_of(upload: str, old: str, key: str = "id") -> dict[str, Any]:
    return {"inputs": {"upload": [upload]}, "output": {"stored_data": {key: old}}}


def fusion_of(*stored: str, name: str = "WHOLE", **parameters: Any) -> dict[str, Any]:
    return {
        "processing": FUSION, "inputs": {"stored_data": list(stored)}, "output": {"stored_data": {"name": name}},
        "parameters": parameters,
    }  # fmt: skip


@pytest.fixture
def bench(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Iterator[Bench]:
    """On SQLite, or on what a test asks for."""
    on_server = getattr(request, "param", "sqlite") == "postgres"
    url = request.getfixturevalue("postgres") if on_server else None
    with Entrepot(root, url, own_jobs_only=on_server) as platform:
        yield Bench(platform, tmp_path / "in")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> fastpyr.Pyramid:
    """A build of both deliveries."""
    folder = written(tmp_path_factory.mktemp("both"), {"a.tif": WEST, "b.tif": EAST})
    return fastpyr.build([folder / "a.tif", folder / "b.tif"], folder / "BOTH.json", **OPTIONS)


def test_update_by_reference(bench: Bench, expected: fastpyr.Pyramid) -> None:
    """The old pyramid stays as it is, and as long as the new one refers to its slabs."""
    stored_data = bench.platform.stored_data
    old = bench.pyramid("OLD", WEST)
    before = bench.slabs(old)
    east = bench.upload("east", EAST)
    new = bench.done(reference_of(east, old))
    assert bench.slabs(old) == before
    assert assert_same(bench.opened(new), expected) > 10
    assert bench.opened(new).verify().ok
    own, links = bench.links(new)
    assert len(links) == 2  # data and mask of the slab that is WEST's alone
    assert stored_data.dependencies(new) == {"used_by": [], "use": [{"name": "OLD", "_id": old}]}
    assert stored_data.dependencies(old)["used_by"] == [{"name": "NEW", "_id": new}]
    found, was, upload = stored_data.get(new), stored_data.get(old), bench.platform.uploads.get(east)
    assert found["type_infos"] == was["type_infos"]
    assert found["srs"] == was["srs"]
    (west, *_), *_ = was["extent"]["coordinates"]
    (_, _, far, *_), *_ = upload["extent"]["coordinates"]
    (first, _, third, *_), *_ = found["extent"]["coordinates"]
    assert (first[0], third[0]) == (west[0], far[0])
    tree = stored_data.descriptor(new).parent
    assert found["size"] == sum((tree / "NEW" / path).stat().st_size for path in own) + sum(
        (tree / f"NEW{suffix}").stat().st_size for suffix in (".json", ".list")
    )
    with pytest.raises(ConflictError, match=new):
        stored_data.delete(old)
    with pytest.raises(ConflictError, match=new):
        bench.launched(injection_of(east, old))
    third_one = bench.done(reference_of(bench.upload("far", on_grid(2600, 0, 64, 64, 3)), new, "THIRD"))
    assert {one["name"] for one in stored_data.dependencies(third_one)["use"]} >= {"OLD"}
    for id in (third_one, new, old):
        stored_data.delete(id)


def test_update_by_reference_that_was_stopped(bench: Bench, expected: fastpyr.Pyramid) -> None:
    """It holds the old pyramid until it is deleted; the next execution takes its work over, and its hold."""
    old = bench.pyramid("OLD", WEST)
    east = bench.upload("east", EAST)
    execution, first = bench.launched(reference_of(east, old))
    with contextlib.suppress(ConflictError):  # it may be quicker
        bench.platform.executions.abort(execution)
        assert bench.status(first) == "UNSTABLE"
        with pytest.raises(ConflictError, match=first):
            bench.platform.stored_data.delete(old)
    second = bench.done(reference_of(east, old))
    assert_same(bench.opened(second), expected)
    assert bench.opened(second).verify().ok
    bench.platform.stored_data.delete(first)
    bench.platform.stored_data.delete(second)
    bench.platform.stored_data.delete(old)


@pytest.mark.parametrize(("bench", "key"), [("sqlite", "id"), ("postgres", "_id")], indirect=["bench"])
def test_update_in_place(bench: Bench, expected: fastpyr.Pyramid, key: str) -> None:
    stored_data = bench.platform.stored_data
    old = bench.pyramid("OLD", WEST)
    was = stored_data.get(old)
    east = bench.upload("east", EAST)
    execution, output = bench.create(injection_of(east, old, key))
    assert output == old
    created = bench.platform.executions.get(execution)
    assert created["parameters"] == {"parallelization": 1}
    assert created["output"]["stored_data"] == {
        "_id": old, "name": "OLD", "type": "ROK4-PYRAMID-RASTER", "status": "GENERATED",
    }  # fmt: skip
    bench.platform.executions.launch(execution)
    seen = [bench.status(old)]
    while bench.platform.executions.get(execution)["status"] not in ("SUCCESS", "FAILURE"):
        seen.append(bench.status(old))
        time.sleep(0.02)
    assert bench.platform.executions.get(execution)["status"] == "SUCCESS", bench.platform.executions.log(execution)
    assert seen[0] == "MODIFYING"
    assert set(seen) <= {"MODIFYING", "GENERATED"}
    assert bench.status(old) == "GENERATED"
    assert assert_same(bench.opened(old), expected) > 10
    found = stored_data.get(old)
    assert found["size"] > was["size"]
    assert found["extent"]["coordinates"][0][2][0] > was["extent"]["coordinates"][0][2][0]
    assert stored_data.dependencies(old) == {"used_by": [], "use": []}
    folder = stored_data.descriptor(old).parent
    wait_until(lambda: [path.name for path in folder.iterdir() if path.name.startswith(".")], lambda names: not names)


def test_update_in_place_of_a_pyramid_with_links(bench: Bench, expected: fastpyr.Pyramid) -> None:
    """The pyramid that owns the slabs stays as it is."""
    old = bench.pyramid("OLD", WEST)
    new = bench.done(reference_of(bench.upload("first", on_grid(2304, 50, 64, 64, 9)), old))
    before = bench.slabs(old)
    bench.done(injection_of(bench.upload("east", EAST), new))
    assert bench.slabs(old) == before
    assert_same(bench.opened(new), expected)
    assert bench.platform.stored_data.dependencies(new)["use"] == [{"name": "OLD", "_id": old}]


def worker_that_has_begun(bench: Bench) -> psutil.Process:
    """The worker of an update in place, suspended when it has written down that some slabs are staged."""
    (worker,) = wait_until(
        lambda: [one for one in psutil.Process().children() if "fastpyr.platform.worker" in " ".join(one.cmdline())],
        bool,
    )

    def look() -> list[bytes]:
        worker.resume()
        time.sleep(0.005)
        worker.suspend()
        journals = (bench.platform.root / "stored_data").rglob(".*.journal/journal")
        return [line for path in journals for line in path.read_bytes().split(b"\n") if line]

    wait_until(look, lambda lines: len(lines) >= 4)  # the first says what is built
    return worker


@pytest.mark.parametrize("end", ["abort", "kill"])
def test_update_in_place_that_was_stopped(bench: Bench, tmp_path: Path, end: str) -> None:
    """Every slab is what it was; the same again goes on, and equals a build of both."""
    east = on_grid(2304, 50, 6000, 1200, 2)
    old = bench.pyramid("OLD", WEST)
    before = bench.slabs(old)
    body = injection_of(bench.upload("east", east), old)
    execution, _ = bench.launched(body)
    worker = worker_that_has_begun(bench)
    assert bench.status(old) == "MODIFYING"
    with pytest.raises(ConflictError, match="MODIFYING"):
        bench.platform.stored_data.delete(old)
    assert bench.opened(old).verify().ok  # readers have the old one meanwhile
    if end == "abort":
        worker.resume()
        bench.platform.executions.abort(execution)
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    else:
        worker.kill()
    ended = bench.platform.wait_for(execution, 60)
    assert ended["status"] == {"abort": "ABORTED", "kill": "FAILURE"}[end]
    wait_until(lambda: bench.status(old), lambda status: status != "MODIFYING", 10)
    assert bench.status(old) == "GENERATED"
    assert bench.slabs(old) == before
    execution, _ = bench.launched(body)
    assert bench.platform.wait_for(execution, 120)["status"] == "SUCCESS"
    assert any("déjà faites ont été reprises" in line for line in bench.platform.executions.log(execution))
    folder = written(tmp_path / "both", {"a.tif": WEST, "b.tif": east})
    both = fastpyr.build([folder / "a.tif", folder / "b.tif"], tmp_path / "BOTH.json", **OPTIONS)
    assert assert_same(bench.opened(old), both) > 10


def test_work_of_another_delivery_is_given_up(bench: Bench, expected: fastpyr.Pyramid) -> None:
    old = bench.pyramid("OLD", WEST)
    execution, _ = bench.launched(injection_of(bench.upload("large", on_grid(0, 0, 6000, 1200, 5)), old))
    worker_that_has_begun(bench).kill()
    assert bench.platform.wait_for(execution, 60)["status"] == "FAILURE"
    wait_until(lambda: bench.status(old), lambda status: status == "GENERATED", 10)
    bench.done(injection_of(bench.upload("east", EAST), old))
    assert_same(bench.opened(old), expected)


@pytest.mark.parametrize("heard", [False, True])
def test_death_between_the_change_and_the_good_news(root: Path, tmp_path: Path, heard: bool) -> None:
    """A change that nobody has heard of is taken back; one that was written down stays, and leaves nothing."""
    from fastpyr.platform.models import Execution, StoredData

    with Entrepot(root) as platform:
        bench = Bench(platform, tmp_path / "in")
        old = bench.pyramid("OLD", WEST)
        before = bench.slabs(old)
        execution, _ = bench.create(injection_of(bench.upload("east", EAST), old))
        descriptor = platform.stored_data.descriptor(old)
    with Entrepot(root, jobs=0) as platform, platform.database.write() as session:
        row = session.get_one(Execution, execution)
        if heard:
            row.status = "SUCCESS"
        else:
            row.status, row.owner = "PROGRESS", "of the dead"
            session.get_one(StoredData, old).status = "MODIFYING"
    fastpyr.inject(tmp_path / "in" / "east.tif", descriptor, keep_old=True, bottom="18")
    with Entrepot(root, jobs=0) as platform:
        bench = Bench(platform, tmp_path / "in")
        assert bench.status(old) == "GENERATED"
        assert platform.executions.get(execution)["status"] == ("SUCCESS" if heard else "FAILURE")
        assert (bench.slabs(old) == before) is not heard
        assert [path for path in descriptor.parent.iterdir() if path.name.startswith(".")] == []


def test_death_after_the_last_link(bench: Bench) -> None:
    """New pyramids that are complete but were never told of: the next execution ends with right ones in its place."""
    from fastpyr.platform.models import Execution, StoredData

    left, right = (bench.pyramid(name, content) for name, content in (("LEFT", WEST), ("RIGHT", EAST)))
    upload = bench.upload("east", EAST)
    for body in (reference_of(upload, left), fusion_of(left, right)):
        found = []
        for _ in range(2):
            execution, stored = bench.launched(body)
            assert bench.platform.wait_for(execution, 60)["status"] == "SUCCESS"
            descriptor = bench.platform.stored_data.descriptor(stored)
            home = descriptor.with_suffix("")
            assert descriptor.with_suffix(".list").read_text().splitlines()[0] == f"0={home}"
            assert bench.opened(stored).verify().ok
            found.append(state(home))
            with bench.platform.database.write() as session:  # what the next server writes down after such a death
                session.get_one(Execution, execution).status = "FAILURE"
                session.get_one(StoredData, stored).status = "UNSTABLE"
        assert found[0] == found[1] != {}
        assert len(list((bench.platform.root / "stored_data").iterdir())) == 3
        bench.platform.stored_data.delete(stored)


def test_fusion_of_two_halves(bench: Bench, tmp_path: Path) -> None:
    """It equals a build of both; only slabs that both have are composed, the others are links."""
    halves = {"left": on_grid(0, 0, 2300, 150, 1), "right": on_grid(2300, 0, 2300, 150, 2)}
    left, right = (bench.pyramid(name, content) for name, content in halves.items())
    before = bench.slabs(left), bench.slabs(right)
    whole = bench.done(fusion_of(left, right))
    folder = written(tmp_path / "both", {f"{name}.tif": content for name, content in halves.items()})
    built = fastpyr.build(sorted(folder.glob("*.tif")), tmp_path / "BOTH.json", **OPTIONS)
    assert assert_same(bench.opened(whole), built) > 10
    assert bench.opened(whole).verify().ok
    own, links = bench.links(whole)
    has = [set().union(*bench.links(id)) for id in (left, right)]
    assert set(own) == has[0] & has[1]
    assert set(links) == has[0] ^ has[1] != set()
    assert (bench.slabs(left), bench.slabs(right)) == before
    stored_data = bench.platform.stored_data
    assert {one["_id"] for one in stored_data.dependencies(whole)["use"]} == {left, right}
    with pytest.raises(ConflictError, match=whole):
        stored_data.delete(left)
    extent = stored_data.get(whole)["extent"]["coordinates"][0]
    assert extent[0] == stored_data.get(left)["extent"]["coordinates"][0][0]
    assert extent[2] == stored_data.get(right)["extent"]["coordinates"][0][2]
    part = bench.done(fusion_of(left, right, name="PART", top="17", bbox=boxes(bench.opened(left))))
    assert bench.opened(part).levels[-1].id == "17"
    assert stored_data.get(part)["extent"]["coordinates"][0][2][0] < extent[2][0]
    assert {one["_id"] for one in stored_data.dependencies(part)["use"]} <= {left, right}


def boxes(pyramid: fastpyr.Pyramid) -> dict[str, float]:
    """The first pixels of a pyramid, in degrees."""
    from fastpyr.grid import Transform
    from fastpyr.grid.bounds import BoundingBox

    left, _, _, top = pyramid.extent
    x, y = Transform("EPSG:3857", "EPSG:4326").forward([left + 1, left + 60], [top - 60, top - 1])
    box = BoundingBox(float(x[0]), float(y[0]), float(x[1]), float(y[1]))
    return {"west": box.left, "south": box.bottom, "east": box.right, "north": box.top}


def test_what_is_refused(bench: Bench) -> None:
    """Parameters that the pyramid has already, inputs that do not fit together, states that stand against it."""
    create = bench.create
    old = bench.pyramid("OLD", WEST)
    other = bench.pyramid("OTHER", EAST)
    foreign = bench.pyramid("FOREIGN", EAST, tms="PM_5cm")
    east = bench.upload("east", EAST)
    for name, value in (("tms", "PM"), ("compression", "jpg"), ("bottom", "18"), ("mask", True), ("width", 8)):
        for body in (reference_of(east, old), injection_of(east, old)):
            with pytest.raises(RequestError, match=name):
                create({**body, "parameters": {name: value}})
    for body, word in (
        (reference_of(east, old) | {"inputs": {"upload": [east], "stored_data": [old, other]}}, "inputs.stored_data"),
        (reference_of(east, old) | {"inputs": {"stored_data": [old]}}, "inputs.upload"),
        (injection_of(east, old) | {"inputs": {"upload": [east], "stored_data": [other]}}, "inputs.stored_data"),
        (injection_of(east, old) | {"inputs": {}}, "inputs.upload"),
        (fusion_of(old), "inputs.stored_data"),
        (fusion_of(old, old), "inputs.stored_data"),
        (fusion_of(old, foreign), "tms"),
        (fusion_of(old, other, tms="PM"), "tms"),
        (fusion_of(old, other, top="99"), "top"),
        (fusion_of(old, other, top="18", bottom="16"), "top"),
        (fusion_of(old, other, bbox=[0, 0, 0, 1]), "bbox"),
        (fusion_of(old, other, bbox="1,2,x,4"), "bbox"),
        (fusion_of(old, other, bbox={"west": 0, "south": 0, "east": 181, "north": 1}), "bbox"),
        (fusion_of(old, other) | {"inputs": {"stored_data": [old, other], "upload": [east]}}, "inputs.upload"),
        (fusion_of(old, other) | {"output": {"stored_data": {"id": old}}}, "output.stored_data.id"),
    ):
        with pytest.raises(RequestError, match=word):
            create(body)
    for body in (reference_of(east, "nothing"), injection_of(east, "nothing"), fusion_of(old, "nothing")):
        with pytest.raises(NotFoundError):
            create(body)
    _, empty = create(build_of(east, "EMPTY"))
    for body in (reference_of(east, empty), injection_of(east, empty), fusion_of(old, empty)):
        with pytest.raises(ConflictError, match="CREATED"):
            create(body)
    execution, _ = create(fusion_of(old, other))
    bench.platform.stored_data.delete(other)
    with pytest.raises(ConflictError, match="DELETED"):
        bench.platform.executions.launch(execution)


def test_changes_one_after_another(bench: Bench) -> None:
    """What is being changed is neither changed nor referred to by others; one that waits can be taken back."""
    old = bench.pyramid("OLD", WEST)
    east = bench.upload("east", EAST)
    with Entrepot(bench.platform.root, own_jobs_only=True, jobs=0) as idle:
        bench.platform.close()
        bench.platform = idle
        waiting = bench.launched(injection_of(east, old))[0]
        assert bench.status(old) == "MODIFYING"
        for body in (injection_of(east, old), reference_of(east, old)):
            with pytest.raises(ConflictError, match="MODIFYING"):
                bench.launched(body)
        idle.executions.abort(waiting)
        assert bench.status(old) == "GENERATED"
        _, new = bench.launched(reference_of(east, old))
        with pytest.raises(ConflictError, match=new):
            bench.launched(injection_of(east, old))
