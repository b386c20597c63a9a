"""Jobs in worker processes: stopped, killed, restarted; the states tell the truth and the bytes are right.

FASTPYR_TEST_KILLS: how many random moments of death are tried (default 2).
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from platform_server import Server, serving, wait_until
from small_delivery import slabs, tiff, written

import fastpyr
from fastpyr.platform import Entrepot

KILLS = int(os.environ.get("FASTPYR_TEST_KILLS", "2"))
PARAMETERS: dict[str, Any] = {"compression": "png", "interpolation": "lanczos", "width": 8, "height": 8, "top": "16"}


@pytest.fixture(scope="module")
def large() -> bytes:
    """A raster whose pyramid takes a second or more."""
    return tiff(3000)


@pytest.fixture(scope="module")
def expected(large: bytes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The slabs that a build without a platform makes."""
    folder = tmp_path_factory.mktemp("expected")
    sources = written(folder / "in", {"a.tif": large})
    fastpyr.build(sources, folder / "PYR.json", tms="PM", **PARAMETERS)
    return slabs(folder / "PYR")


def worker_of(server: Server) -> psutil.Process:
    """The worker of a server that is at work."""

    def look() -> list[psutil.Process]:
        children = psutil.Process(server.process.pid).children()
        return [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]

    found: list[psutil.Process] = wait_until(look, bool)
    return found[0]


def pyramid_of(server: Server, root: Path, execution: str) -> dict[str, str]:
    stored = server.get(f"/processings/executions/{execution}")["output"]["stored_data"]["_id"]
    return slabs(root / "stored_data" / stored / "PYR")


def in_progress(server: Server, root: Path) -> psutil.Process:
    """Wait until some slabs are written, the first of them noted.

    Returns the worker, suspended: it works in slices, or it would be ready before anybody looks.
    """
    worker = worker_of(server)

    def look() -> list[Path]:
        worker.resume()
        time.sleep(0.01)
        worker.suspend()
        return [path for path in (root / "stored_data").rglob("*.tif") if path.stat().st_size]

    wait_until(look, lambda slabs: len(slabs) >= 3)
    return worker


def states(server: Server, execution: str) -> tuple[str, str]:
    found = server.get(f"/processings/executions/{execution}")
    return found["status"], found["output"]["stored_data"]["status"]


def test_abort_is_quick_and_a_new_execution_goes_on(root: Path, large: bytes, expected: dict[str, str]) -> None:
    with serving(root) as server:
        upload = server.deliver("U", {"a.tif": large})
        assert server.checked(upload)["status"] == "CLOSED"
        first = server.launched(upload, **PARAMETERS)
        worker = in_progress(server, root)
        worker.resume()
        server.post(f"/processings/executions/{first}/abort")
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
        assert states(server, first) == ("ABORTED", "UNSTABLE")
        assert server.call("POST", f"/processings/executions/{first}/launch").status == 409
        second = server.launched(upload, **PARAMETERS)
        assert server.ended(second)["status"] == "SUCCESS"
        log = "\n".join(server.get(f"/processings/executions/{second}/logs?limit=100"))
        assert f"Reprise du travail de l'exécution {first}" in log
        assert "dalle(s) déjà faites" in log
        assert pyramid_of(server, root, second) == expected
        assert states(server, first) == ("ABORTED", "UNSTABLE")


def test_killed_worker(root: Path, large: bytes, expected: dict[str, str]) -> None:
    with serving(root) as server:
        upload = server.deliver("U", {"a.tif": large})
        server.checked(upload)
        first = server.launched(upload, **PARAMETERS)
        in_progress(server, root).kill()
        assert server.ended(first)["status"] == "FAILURE"
        assert states(server, first) == ("FAILURE", "UNSTABLE")
        log = server.get(f"/processings/executions/{first}/logs?limit=100")
        assert "ERROR" in log[-1]
        assert "signal 9" in log[-1]
        second = server.launched(upload, **PARAMETERS)
        assert server.ended(second)["status"] == "SUCCESS"
        assert pyramid_of(server, root, second) == expected


@pytest.mark.timeout(300 + 60 * KILLS)
def test_moments_of_death(root: Path, large: bytes, expected: dict[str, str]) -> None:
    """The server or a worker dies at a random moment of an execution; the truth is told and the work can be ended."""
    randomly = random.Random(os.environ.get("FASTPYR_TEST_SEED", "1"))
    server = Server(root)
    upload = server.deliver("U", {"a.tif": large})
    server.checked(upload)
    for number in range(KILLS):
        execution = server.launched(upload, **PARAMETERS)
        time.sleep(randomly.uniform(0, 3))
        children = psutil.Process(server.process.pid).children()
        if number % 2:
            for one in children:
                one.kill()
        else:
            server.kill()
            psutil.wait_procs(children, 5)
            assert not any(one.is_running() for one in children), "a worker outlived its server"
            server = Server(root)
        ended = server.ended(execution)  # SUCCESS before the death or, when it was still waiting, after it
        output = ended["output"]["stored_data"]
        assert (ended["status"], output["status"]) in {("SUCCESS", "GENERATED"), ("FAILURE", "UNSTABLE")}
        if ended["status"] == "FAILURE":
            execution = server.launched(upload, **PARAMETERS)
            assert server.ended(execution)["status"] == "SUCCESS"
        assert pyramid_of(server, root, execution) == expected
        for stored in server.get("/stored_data?limit=1000"):
            assert server.call("DELETE", f"/stored_data/{stored['_id']}").status == 204
    server.close()
    assert not [path for path in (root / "stored_data").iterdir() if path.suffix != ".deleted"]


def test_death_between_the_last_file_and_the_good_news(root: Path) -> None:
    """A pyramid that is complete but was never told of: the next execution ends with one that is right in its place."""
    from fastpyr.platform.models import Execution, StoredData

    folder = written(root.parent / "in", {"a.tif": tiff(64)})
    with Entrepot(root) as platform:
        upload = platform.deliver({"a.tif": folder / "a.tif"}, name="U", srs="EPSG:2154")["_id"]
        body = {
            "processing": "2ae50661-986c-4f47-a3f0-e380417b522c",
            "inputs": {"upload": [upload]},
            "output": {"stored_data": {"name": "PYR"}},
            "parameters": {"tms": "PM", **PARAMETERS},
        }
        found = []
        for _ in range(2):
            execution = platform.executions.create(body)
            platform.executions.launch(execution["_id"])
            stored = execution["output"]["stored_data"]["_id"]
            assert platform.wait_for(execution["_id"], 120)["status"] == "SUCCESS"
            descriptor = platform.stored_data.descriptor(stored)
            listed = descriptor.with_suffix(".list").read_text().splitlines()[0]
            assert listed == f"0={descriptor.parent / 'PYR'}"
            assert fastpyr.open(descriptor).verify().ok
            found.append(slabs(descriptor.parent))
            with platform.database.write() as session:  # what the next server writes down after such a death
                session.get_one(Execution, execution["_id"]).status = "FAILURE"
                session.get_one(StoredData, stored).status = "UNSTABLE"
        assert found[0] == found[1] != {}
        assert len(list((root / "stored_data").iterdir())) == 1


def test_a_check_that_lost_its_server_is_done_again(root: Path) -> None:
    server = Server(root)
    upload = server.deliver("U", {f"{n}.tif": tiff(600, 600 * n) for n in range(3)})
    server.kill()
    with serving(root) as server:
        assert server.checked(upload)["status"] == "CLOSED"
        assert len(server.get(f"/uploads/{upload}/checks")["passed"]) == 2


def test_two_jobs_run_side_by_side(root: Path, large: bytes) -> None:
    """Neither waits for the other's end, and a third waits for its turn."""
    with serving(root, "--jobs", "2") as server:
        upload = server.deliver("U", {"a.tif": large})
        server.checked(upload)
        ids = [server.launched(upload, f"P{n}", **PARAMETERS) for n in range(3)]
        ends = {id: server.ended(id) for id in ids}
    assert [one["status"] for one in ends.values()] == ["SUCCESS"] * 3
    first, second, third = (ends[id] for id in ids)
    assert second["start"] < first["finish"]
    assert third["start"] >= min(first["finish"], second["finish"])


def test_what_a_worker_cannot_build_is_said(root: Path) -> None:
    with Entrepot(root) as platform:
        folder = written(root.parent / "in", {"a.tif": tiff(64)})
        upload = platform.deliver({"a.tif": folder / "a.tif"}, name="U", srs="EPSG:2154")
        body = {
            "processing": "2ae50661-986c-4f47-a3f0-e380417b522c",
            "inputs": {"upload": [upload["_id"]]},
            "output": {"stored_data": {"name": "X"}},
            "parameters": {"tms": "LAMB93_1M_MNT"},
        }
        execution = platform.executions.create(body)
        platform.executions.launch(execution["_id"])
        ended = platform.wait_for(execution["_id"], 60)
        assert ended["status"] == "FAILURE"
        assert "0.8 to 1.6" in platform.executions.log(execution["_id"])[-1]
        assert platform.stored_data.get(ended["output"]["stored_data"]["_id"])["status"] == "UNSTABLE"


def test_a_process_takes_only_its_own_jobs_when_told(root: Path) -> None:
    """And what one process leaves, another one does."""
    folder = written(root.parent / "in", {"a.tif": tiff(64)})
    with Entrepot(root, jobs=0) as idle, Entrepot(root, own_jobs_only=True):
        upload = idle.uploads.create({"name": "U", "type": "RASTER", "srs": "EPSG:2154"})["_id"]
        idle.uploads.add_file(upload, folder / "a.tif", "a.tif")
        idle.uploads.close(upload)
        time.sleep(0.6)
        assert len(idle.uploads.checks(upload)["asked"]) == 2
        with Entrepot(root):
            assert idle.wait_for_checks(upload, 60)["status"] == "CLOSED"


def test_files_that_name_others_are_not_opened(root: Path) -> None:
    """A VRT under any name would hand out what lies elsewhere on this machine."""
    folder = written(root.parent / "in", {"secret.tif": tiff(64), "honest.tif": tiff(64, 64)})
    vrt = f"""<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:2154</SRS>
      <GeoTransform>920000, 0.5, 0, 6565000, 0, -0.5</GeoTransform>
      <VRTRasterBand dataType="Byte" band="1"><SimpleSource>
      <SourceFilename relativeToVRT="0">{folder / "secret.tif"}</SourceFilename><SourceBand>1</SourceBand>
      </SimpleSource></VRTRasterBand></VRTDataset>"""
    (folder / "trick.tif").write_text(vrt)
    (folder / "trick.vrt").write_text(vrt)
    assert fastpyr.open_source(folder / "trick.tif").info.width == 64  # outside the platform it is a raster
    names = ["honest.tif", "trick.tif", "trick.vrt"]
    with Entrepot(root) as platform:
        upload = platform.deliver({name: folder / name for name in names}, name="U", srs="EPSG:2154")
        assert upload["status"] == "UNSTABLE"
        (failed,) = platform.uploads.checks(upload["_id"])["failed"]
        errors = [line for line in platform.uploads.check_log(failed["_id"]) if "ERROR||fastpyr.check" in line]
        assert len(errors) == 2
        assert all("not a raster that GDAL can open" in line for line in errors)


def workers_here() -> list[psutil.Process]:
    """The workers of this process."""
    return [one for one in psutil.Process().children() if "fastpyr.platform.worker" in " ".join(one.cmdline())]


def test_closing_ends_the_workers(root: Path, large: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """They know no secrets; the execution has failed, and says why."""
    monkeypatch.setenv("FASTPYR_TOKEN", "secret")
    folder = written(root.parent / "in", {"a.tif": large})
    with Entrepot(root) as platform:
        upload = platform.deliver({"a.tif": folder / "a.tif"}, name="U", srs="EPSG:2154")["_id"]
        body = {
            "processing": "2ae50661-986c-4f47-a3f0-e380417b522c",
            "inputs": {"upload": [upload]},
            "output": {"stored_data": {"name": "X"}},
            "parameters": {"tms": "PM", **PARAMETERS},
        }
        execution = platform.executions.create(body)["_id"]
        platform.executions.launch(execution)
        (worker,) = wait_until(workers_here, bool)
        assert "FASTPYR_TOKEN" not in worker.environ()
    assert workers_here() == []
    with Entrepot(root, jobs=0) as platform:
        assert platform.executions.get(execution)["status"] == "FAILURE"
        assert "closed" in platform.executions.log(execution)[-1]


def test_signal_to_end_is_heard(root: Path) -> None:
    server = Server(root)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(20) in (0, 130)
