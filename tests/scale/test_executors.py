"""Builds that other processes do the work of: the same bytes as with threads, whoever dies and whatever is damaged."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interruptions import JOBS, make_source, tree
from object_builds import OPTIONS, as_objects, use
from object_builds import source as array_source

import fastpyr
from fastpyr.errors import ConfigError, SourceError, StoreError, WorkerError
from fastpyr.scale import dask_cluster, work
from fastpyr.scale import executor as executors
from fastpyr.scale.executor import Done
from fastpyr.scale.job import Task

WORKER = {"processes": "fastpyr-worker", "dask": "Dask Worker process (from Nanny)"}
"""What worker processes are called."""


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a Dask cluster of two processes."""
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster:
        yield str(cluster.scheduler_address)


@pytest.fixture(params=list(WORKER))
def others(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Options that have a build made by other processes."""
    if request.param == "dask":
        return {"executor": "dask", "scheduler": request.getfixturevalue("scheduler")}
    return {"executor": "processes", "parallelization": 2}


class OneProcess:
    """An executor of this process: tasks in any order, some of them twice, as after the loss of a worker."""

    def __init__(self, seed: int, workers: int = 5, twice: float = 0.2) -> None:
        self.workers = workers
        self.made: list[Any] = []
        self._random = random.Random(seed)
        self._twice = twice
        self._tasks: list[Task] = []

    def submit(self, task: Task) -> None:
        self._tasks.append(pickle.loads(pickle.dumps(task)))

    def wait(self, seconds: float) -> list[Done]:
        task = self._tasks.pop(self._random.randrange(len(self._tasks)))
        try:
            if self._random.random() < self._twice:
                lost = work.run_task(task)
                outcome = Path(task.paper.site.uri, task.paper.site.scratch + f"{lost.part.name}-done-0")
                outcome.unlink()  # as if its worker had died before it could tell
            self.made.append(task.part)
            return [Done(task.part, work.run_task(task), None)]
        except Exception as error:
            return [Done(task.part, None, error)]

    def halt(self) -> None:
        self._tasks.clear()

    def __enter__(self) -> OneProcess:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Nothing to end."""


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[OneProcess]]:
    def use_it(seed: int = 1, **more: Any) -> list[OneProcess]:
        opened: list[OneProcess] = []

        def open_it(*_: object) -> OneProcess:
            opened.append(OneProcess(seed + len(opened), **more))
            return opened[-1]

        monkeypatch.setattr(executors, "open_executor", open_it)
        return opened

    return use_it


def _expected(tmp_path: Path, source: Any, **options: Any) -> dict[str, str]:
    """Hashes of all files of a build by threads, in a folder that is free again."""
    fastpyr.build(source, tmp_path / "out" / "X.json", parallelization=2, **options)
    found = tree(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "threads")
    return found


def _check_same(tmp_path: Path, source: Any, others: dict[str, Any], **options: Any) -> None:
    expected = _expected(tmp_path, source, **options)
    fastpyr.build(source, tmp_path / "out" / "X.json", **{**options, **others})
    assert tree(tmp_path / "out") == expected


@pytest.mark.parametrize("job", JOBS)
def test_any_order_gives_the_same_bytes(job: str, tmp_path: Path, one_process: Any) -> None:
    one_process(seed=len(job))
    _check_same(tmp_path, make_source(tmp_path / "in", job), {"executor": "processes"}, **JOBS[job])


@pytest.mark.parametrize("job", ["png mask", "decimated", "jpg"])
def test_other_processes_give_the_same_bytes(job: str, tmp_path: Path, others: dict[str, Any]) -> None:
    _check_same(tmp_path, make_source(tmp_path / "in", job), others, **JOBS[job])


def test_groups_of_sources(tmp_path: Path, one_process: Any) -> None:
    """Levels made from two groups of sources: two graphs in one build."""
    for name in ("fine", "coarse"):
        make_source(tmp_path / name, "jpg", 500)
    ranges = (("fine", "18", "16"), ("coarse", "15", "12"))
    conf = {
        "datasources": [
            {"bottom": bottom, "top": top, "source": {"type": "IMAGES", "directory": str(tmp_path / name)}}
            for name, bottom, top in ranges
        ],
        "pyramid": {
            "type": "GENERATION",
            "name": "X",
            "tms": "PM.json",
            "storage": {"type": "FILE", "root": str(tmp_path / "out")},
            "compression": "png",
            "slab_size": [2, 2],
            "mask": True,
        },
    }
    config = tmp_path / "be4.json"
    config.write_text(json.dumps(conf))
    one_process()
    _check_same(tmp_path, None, {"executor": "processes"}, config=config)


def test_a_worker_that_is_killed_is_made_up_for(tmp_path: Path, others: dict[str, Any]) -> None:
    source, killed = make_source(tmp_path / "in", "png mask"), []
    name = WORKER[others["executor"]]

    def kill_one(_: fastpyr.Progress) -> None:
        workers = [child.pid for child in multiprocessing.active_children() if child.name == name and child.pid]
        if not killed:
            killed.append(workers[-1])
            os.kill(workers[-1], signal.SIGKILL)

    expected = _expected(tmp_path, source, **JOBS["png mask"])
    fastpyr.build(source, tmp_path / "out" / "X.json", progress=kill_one, **others, **JOBS["png mask"])
    assert killed
    assert tree(tmp_path / "out") == expected


def _damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = os.urandom(4000)
    path.write_bytes(data)


def test_a_damaged_source_is_the_same_error(tmp_path: Path, others: dict[str, Any]) -> None:
    source = make_source(tmp_path / "in", "jpg")
    _damage(source)
    options: dict[str, Any] = {**JOBS["jpg"], "read_attempts": 1, "resume": False}
    errors = []
    for name, more in (("threads", {}), ("others", others)):
        with pytest.raises(SourceError, match="damaged or incomplete") as caught:
            fastpyr.build(source, tmp_path / name / "X.json", **more, **options)
        assert not (tmp_path / name).exists()
        errors.append(str(caught.value).partition(" block ")[0])
    assert errors[0] == errors[1]


def test_an_interrupted_build_makes_no_part_again(tmp_path: Path, one_process: Any) -> None:
    source, target = make_source(tmp_path / "in", "png mask"), tmp_path / "out" / "X.json"
    options: dict[str, Any] = {**JOBS["png mask"], "executor": "processes"}
    expected = _expected(tmp_path, source, **JOBS["png mask"])
    opened = one_process(twice=0.0)
    resumed: list[fastpyr.Progress] = []
    for number in range(1, 4):

        def stop(_: fastpyr.Progress, number: int = number) -> None:
            if len(opened) == number and len(opened[-1].made) == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt) as caught:
            fastpyr.build(source, target, progress=stop, **options)
        assert "run the same command again" in caught.value.__notes__[0]
    fastpyr.build(source, target, progress=resumed.append, **options)
    assert tree(tmp_path / "out") == expected
    assert resumed[-1].resumed_slabs > 0
    assert resumed[-1].blocks == resumed[-1].blocks_total
    made = [part for one in opened for part in one.made]
    assert len(made) == len(set(made)), "a finished part was made again"


def test_another_executor_does_not_go_on(tmp_path: Path, one_process: Any) -> None:
    source, target = make_source(tmp_path / "in", "png mask"), tmp_path / "out" / "X.json"
    expected = _expected(tmp_path, source, **JOBS["png mask"])

    def stop(progress: fastpyr.Progress) -> None:
        if progress.slabs > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fastpyr.build(source, target, progress=stop, parallelization=1, **JOBS["png mask"])
    one_process()
    with pytest.raises(ConfigError, match="another --executor"):
        fastpyr.build(source, target, executor="processes", **JOBS["png mask"])
    fastpyr.build(source, target, parallelization=1, **JOBS["png mask"])
    assert tree(tmp_path / "out") == expected


def _is_gone(group: int) -> bool:
    """Whether a group of processes ends, the last helper of multiprocessing included."""
    for _ in range(600):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_ctrl_c_leaves_no_process_and_can_be_gone_on_with(tmp_path: Path) -> None:
    source = make_source(tmp_path / "in", "png mask", 1900)
    words = ["--tms", "PM", "--bottom", "19", "--top", "12", "--width", "2", "--height", "2", "--mask"]
    target = tmp_path / "out" / "X.json"
    command = [sys.executable, "-m", "fastpyr", "build", str(source), str(target), *words]
    ours = [*command, "--executor", "processes", "--parallelization", "2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(fastpyr.__file__).parents[1])}
    with subprocess.Popen(ours, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True) as process:
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            if len(list(tmp_path.glob("out/.X.journal/*-done-0"))) > 7:
                break
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        message = process.communicate()[1]
    assert process.returncode == 130
    assert message.startswith("fastpyr: interrupted;")
    assert message.count("\n") == 1
    assert "run the same command again" in message
    assert _is_gone(process.pid)
    subprocess.run(ours, check=True, env=environment, capture_output=True)
    found = tree(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "processes")
    subprocess.run(command, check=True, env=environment, capture_output=True)
    assert found == tree(tmp_path / "out")


def test_objects(moto: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, moto.environment())
    bucket = moto.bucket()
    options: dict[str, Any] = {**OPTIONS, "compression": "zip"}
    fastpyr.build(array_source(), tmp_path / "X.json", **options)
    shared: dict[str, Any] = {**options, "executor": "processes", "parallelization": 2}
    for overwrite in (False, True):
        pyramid = fastpyr.build(array_source(), f"s3://{bucket}/a/X.json", overwrite=overwrite, **shared)
        assert pyramid.verify().ok
        objects = moto.objects(bucket)
        assert {objects.pop(f"a/X.{end}") is not None for end in ("json", "list")} == {True}
        assert {key.removeprefix("a/X/"): data for key, data in objects.items()} == as_objects(tmp_path, "X")


def test_what_other_processes_cannot_reach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="memory of this one"):
        fastpyr.build(array_source(), "mem://scale/X.json", executor="processes", **OPTIONS)
    pixels = np.zeros((9000, 9000), np.uint8)
    large = fastpyr.ArraySource(pixels, crs="EPSG:3857", bbox=(0, 0, 9000, 9000), name="large")
    with pytest.raises(ConfigError, match="large: arrays in memory go to other processes up to 64 MiB"):
        fastpyr.build(large, tmp_path / "out" / "X.json", executor="processes", **OPTIONS)
    with pytest.raises(ConfigError, match="--scheduler is for --executor dask"):
        fastpyr.build(
            array_source(), tmp_path / "out" / "X.json", executor="processes", scheduler="tcp://x:1", **OPTIONS
        )
    with pytest.raises(ConfigError, match="unknown executor 'spark'"):
        fastpyr.build(array_source(), tmp_path / "out" / "X.json", executor="spark", **OPTIONS)
    assert not (tmp_path / "out").exists()


def test_no_cluster_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.setattr(dask_cluster, "_CONNECT_SECONDS", 1)
    with pytest.raises(WorkerError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9 .*check --scheduler"):
        fastpyr.build(
            array_source(),
            tmp_path / "out" / "X.json",
            executor="dask",
            scheduler="tcp://127.0.0.1:9",
            **OPTIONS,
        )
    assert not (tmp_path / "out").exists()


def test_a_cluster_of_its_own(tmp_path: Path) -> None:
    """Without a scheduler one is started here, and is gone afterwards."""
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    source = make_source(tmp_path / "in", "jpg")
    _check_same(tmp_path, source, {"executor": "dask", "parallelization": 1}, **JOBS["jpg"])


def test_a_worker_that_sees_another_folder_says_so(tmp_path: Path, one_process: Any, monkeypatch: Any) -> None:
    one_process()
    real = work.open_job

    def elsewhere(paper: Any) -> Any:
        site = type(paper.site)(str(tmp_path / "not shared"), paper.site.tree, paper.site.scratch)
        return real(type(paper)(site, paper.key, paper.digest))

    monkeypatch.setattr(work, "open_job", elsewhere)
    with pytest.raises(StoreError, match=r"does not find .*: build into a folder that all workers share"):
        fastpyr.build(array_source(), tmp_path / "out" / "X.json", executor="processes", **OPTIONS)
    assert not (tmp_path / "out").exists()
