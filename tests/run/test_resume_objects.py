"""Builds on object storage that die and go on: at every request that writes, at random moments, on another machine."""

from __future__ import annotations

import _thread
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from interruptions import JOBS, make_source, moments, rendered
from object_builds import use
from object_servers import DictTransport, ObjectServer, dict_store

import fastpyr
from fastpyr.engine import object_notes
from fastpyr.errors import ConfigError, FastpyrError, StoreError
from fastpyr.run.object_place import object_store
from fastpyr.store import claim, location, object_staging, open_location
from fastpyr.store.layout import StorageType
from fastpyr.store.transport import TransportError

KILLS = int(os.environ.get("FASTPYR_TEST_KILLS", "3"))
"""Random moments at which a real build is killed; 100 for a full proof."""

WRITES = ("put", "delete", "copy")


class Tray:
    """A source, and a tray in a dictionary that its pyramid goes to, with the objects of an uninterrupted build."""

    uri = "s3://tray/a/X.json"

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, job: str, storage: StorageType, side: int
    ) -> None:
        self.transport = DictTransport()
        self.transport.page = 1000
        monkeypatch.setattr(location, "_object_store", lambda scheme, tray: dict_store(self.transport, storage, tray))
        monkeypatch.setattr(object_notes, "_FAREWELL_SECONDS", 1.0)
        self.job = job
        self.source = make_source(folder / "in", job, side)
        self.build(resume=False)
        self.expected = self.objects
        self.transport.objects.clear()

    @property
    def objects(self) -> dict[str, bytes]:
        return dict(self.transport.objects)

    def build(self, workers: int = 1, **options: Any) -> fastpyr.Pyramid:
        return fastpyr.build(self.source, self.uri, parallelization=workers, **{**JOBS[self.job], **options})

    def steps(self, **options: Any) -> int:
        """Requests of a build that write."""
        before = len(self.transport.requests)
        self.build(**options)
        return sum(verb in WRITES for verb, _ in self.transport.requests[before:])

    def die(self, step: int, **options: Any) -> None:
        """Build, with a server that is gone from a writing request on: all that a dead process would leave.

        Lines are written together as it comes, so that there may be fewer requests than the last time.
        """
        left = [step]

        def before(verb: str, key: str) -> None:
            left[0] -= verb in WRITES
            if left[0] < 0:
                raise TransportError("gone")

        self.transport.before = before
        try:
            self.build(**options)
        except StoreError as error:
            if "gone" not in str(error):
                raise
        else:
            self.assert_whole()
        finally:
            self.transport.before = None
            claim._live.clear()

    def finish(self, **options: Any) -> None:
        if options.get("overwrite") or not ("a/X.json" in self.objects and not self.left()):
            self.build(workers=2, **options)
        self.assert_whole()

    def left(self) -> list[str]:
        """What is for builders only."""
        return [key for key in self.objects if "/." in key]

    def assert_whole(self) -> None:
        assert self.objects == self.expected


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are written as soon as slabs are finished."""
    monkeypatch.setattr(object_notes, "_PACE", 0.0)


@pytest.fixture
def tray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tray:
    return Tray(tmp_path, monkeypatch, "png mask", StorageType.S3, 420)


def interrupted_after(tray: Tray, slabs: int, **options: Any) -> BaseException:
    """Stop a build by Ctrl-C when it has made a number of slabs."""

    def progress(state: fastpyr.Progress) -> None:
        if state.slabs - state.resumed_slabs >= slabs:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        tray.build(progress=progress, **options)
    return caught.value


@pytest.mark.parametrize(("job", "storage"), [("png mask", "S3"), ("nested", "SWIFT"), ("decimated", "CEPH")])
@pytest.mark.usefixtures("at_once")
def test_death_at_every_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str, storage: str) -> None:
    tray = Tray(tmp_path, monkeypatch, job, StorageType(storage), 420)
    steps = tray.steps()
    tray.transport.objects.clear()
    assert steps > 30
    for step in moments(steps, 12, 20 if job == "png mask" else 4):
        tray.die(step)
        assert "a/X.json" not in tray.objects or step > steps // 2
        if step % 3 == 1 and tray.left() and "a/X.json" not in tray.objects:  # and again while it goes on
            tray.die(step * 7 % 40)
        tray.finish()
        tray.transport.objects.clear()


@pytest.mark.usefixtures("at_once")
def test_death_at_every_request_of_a_replacement(tray: Tray) -> None:
    other: dict[str, Any] = {"interpolation": "nn", "resume": False}
    tray.build(**other)
    old = tray.objects
    steps = tray.steps(overwrite=True)
    for step in moments(steps, 8, 24):
        tray.transport.objects.clear()
        tray.transport.objects.update(old)
        tray.die(step, overwrite=True)
        found = tray.objects
        if "a/X.json" in found:  # never over slabs of two pyramids
            assert any(all(found.get(name) == part for name, part in whole.items()) for whole in (old, tray.expected))
        tray.finish(overwrite=True)


@pytest.mark.usefixtures("at_once")
def test_finished_work_is_not_done_again(tray: Tray) -> None:
    with rendered() as all_blocks:
        tray.build()
    tray.transport.objects.clear()
    with rendered() as before:
        note = "".join(interrupted_after(tray, 16).__notes__)
    assert "finished slab(s) are kept in s3://tray/a/X/: run the same command again to go on" in note
    assert not [key for key in tray.objects if key.endswith((".json", ".list"))]
    assert not [key for key in tray.objects if "claim-" in key]
    states: list[fastpyr.Progress] = []
    with rendered() as after:
        tray.build(progress=states.append)
    tray.assert_whole()
    assert set(before) | set(after) == set(all_blocks)
    assert len(set(before) & set(after)) <= 2  # the slab in flight
    assert states[-1].resumed_slabs >= 14
    assert states[-1].blocks == states[-1].blocks_total


def test_a_stop_writes_down_what_is_finished(tray: Tray) -> None:
    """Lines wait for company; an orderly end does not."""
    interrupted_after(tray, 16)
    with rendered() as after:
        tray.build()
    tray.assert_whole()
    assert len(after) < 25


def test_many_interruptions_of_one_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tray = Tray(tmp_path, monkeypatch, "decimated", StorageType.CEPH, 700)
    with rendered() as blocks:
        for _ in range(100):
            try:
                interrupted_after(tray, 9)
            except pytest.fail.Exception:
                break
    tray.assert_whole()
    assert len(blocks) < 2 * len(set(blocks))


@pytest.mark.parametrize("pace", [0.0, 5.0])
def test_little_is_stored_beside_the_slabs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pace: float) -> None:
    monkeypatch.setattr(object_notes, "_PACE", pace)
    tray = Tray(tmp_path, monkeypatch, "jpg", StorageType.S3, 1500)
    slabs = sum("/X/" in key for key in tray.expected)
    most = [0, 0]

    def look(_: fastpyr.Progress) -> None:
        sizes = [len(data) for key, data in tray.objects.items() if "scratch-" in key]
        most[:] = max(most[0], len(sizes)), max(most[1], sum(sizes))

    tray.build(progress=look)
    tray.assert_whole()
    assert most[0] < slabs / 3
    assert most[1] < slabs * 4 * 256 * 256 * 3 / 10
    assert (most[0] > 0) == (pace == 0)  # this build does not last so long that anything is needed


def test_others_are_refused(tray: Tray, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted_after(tray, 8)
    before = tray.objects
    with pytest.raises(ConfigError, match=r"s3://tray/a/X/ holds an unfinished build, but .*gamma 1\.0 .now 1\.5"):
        tray.build(gamma=1.5)
    status = tray.source.stat()
    os.utime(tray.source, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    with pytest.raises(ConfigError, match=r"source .*source\.tif has changed since"):
        tray.build()
    assert tray.objects == before
    tray.build(gamma=1.5, overwrite=True)
    found = tray.objects
    tray.transport.objects.clear()
    tray.build(gamma=1.5, resume=False)
    assert tray.objects == found


def test_no_resume_starts_anew_and_keeps_nothing(tray: Tray) -> None:
    interrupted_after(tray, 8)
    interrupted_after(tray, 8, resume=False)
    assert tray.objects == {}
    interrupted_after(tray, 8)
    tray.build(resume=False)
    tray.assert_whole()


def test_an_early_interruption_leaves_nothing(tray: Tray) -> None:
    error = interrupted_after(tray, 0)
    assert not getattr(error, "__notes__", ())
    assert tray.objects == {}


def test_lost_and_damaged_objects_are_made_again(tray: Tray) -> None:
    dice = random.Random(4)
    for kind in ("/DATA_", "scratch-", "log-"):
        interrupted_after(tray, 13)
        found = [key for key in tray.objects if kind in key]
        assert found
        for key in dice.sample(sorted(found), max(1, len(found) // 3)):
            if dice.random() < 0.5:
                del tray.transport.objects[key]
            else:
                tray.transport.objects[key] = tray.transport.objects[key][:-1]
        if not [key for key in tray.objects if "log-" in key]:  # nobody can know whose slabs these are
            with pytest.raises(StoreError, match="holds slabs although there is no"):
                tray.build()
        tray.build(overwrite=True)
        tray.assert_whole()
        tray.transport.objects.clear()


def test_another_pyramid_that_came_in_between_is_replaced_as_a_whole(tray: Tray) -> None:
    interrupted_after(tray, 13)
    for key, data in tray.expected.items():
        tray.transport.objects[key] = data if key.endswith((".json", ".list")) else b"x" * len(data)
    with pytest.raises(ConfigError, match="exists"):
        tray.build()
    tray.build(overwrite=True)
    tray.assert_whole()


def test_a_builder_that_was_taken_for_dead_writes_no_more(tray: Tray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that slept: its claim is gone, and another builder may be at work."""

    def sleep(state: fastpyr.Progress) -> None:
        if state.slabs == 5:
            for key in [key for key in tray.objects if "claim-" in key]:
                del tray.transport.objects[key]
            monkeypatch.setattr(claim, "_DOUBT_SECONDS", -1.0)

    with pytest.raises(StoreError, match="another builder took the name over"):
        tray.build(progress=sleep)
    assert len([key for key in tray.objects if "/DATA_" in key or "/MASK_" in key]) <= 6


def test_a_stop_does_not_wait_for_a_bucket_that_says_nothing(tray: Tray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that wait for room are let go; the next build makes what did not arrive."""
    monkeypatch.setattr(object_staging, "UPLOAD_BYTES", 1)
    monkeypatch.setattr(object_staging, "_PATIENCE", 0.1)
    line, asked = threading.Event(), threading.Event()
    before = set(threading.enumerate())  # other tests leave builds that died as they were

    def silence(verb: str, key: str) -> None:
        if verb == "put" and "/DATA_" in key:
            asked.set()
            line.wait()

    def interrupt() -> None:
        asked.wait()
        time.sleep(0.3)  # all workers wait by now
        _thread.interrupt_main()

    threading.Thread(target=interrupt, daemon=True).start()
    tray.transport.before = silence
    with pytest.raises(KeyboardInterrupt):
        tray.build(workers=3)
    tray.transport.before = None
    line.set()
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("upload-"):
            thread.join(60)
            assert not thread.is_alive()
    tray.transport.objects.clear()
    tray.build()
    tray.assert_whole()


COMMAND = """
import sys
from fastpyr.engine import object_notes
object_notes._PACE = {pace}
from fastpyr.cli.main import main
sys.argv = ["fastpyr", *{arguments!r}]
sys.exit(main())
"""


class Bucket:
    """A bucket of a real server and the command that builds into it."""

    def __init__(self, folder: Path, server: ObjectServer, job: str, side: int, scheme: str = "s3") -> None:
        self.server = server
        self.name, environment = server.tray(scheme)
        self.uri = f"{scheme}://{self.name}/X.json"
        options = [f"--{name}={value}" for name, value in JOBS[job].items()]
        source = str(make_source(folder / "in", job, side))
        self.arguments = ["build", source, self.uri, *options, "--parallelization=2"]
        path = os.pathsep.join([str(Path(fastpyr.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        self.environ = {**os.environ, **environment, "PYTHONPATH": path}
        with pytest.MonkeyPatch.context() as patch:
            use(patch, environment)
            self.store = open_location(self.uri)[0]

    def start(self, pace: float = 5.0) -> subprocess.Popen[str]:
        code = COMMAND.format(pace=pace, arguments=self.arguments)
        return subprocess.Popen(
            [sys.executable, "-c", code], env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def finish(self, pace: float = 5.0) -> str:
        process = self.start(pace)
        said, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        return said

    def begun(self, process: subprocess.Popen[str], logs: int = 0) -> float:
        """The time when there is something in the bucket, so many parts of a journal for instance."""
        while process.poll() is None:
            found = self.objects()
            if found and sum("log-" in key for key in found) >= logs:
                break
            time.sleep(0.01)
        return time.monotonic()

    def objects(self) -> list[str]:
        return list(object_store(self.store).keys(""))

    def content(self) -> dict[str, bytes]:
        return {key: self.store.get(key) for key in self.objects()}

    def clear(self) -> None:
        object_store(self.store).delete_all(self.objects())


@pytest.fixture
def bucket(tmp_path: Path, any_s3: ObjectServer) -> Iterator[Bucket]:
    found = Bucket(tmp_path, any_s3, "png mask", 1500)
    yield found
    found.clear()


def test_a_real_build_killed_at_random_moments(bucket: Bucket) -> None:
    """SIGKILL of the command line; FASTPYR_TEST_KILLS=100 for the full proof."""
    kill_at_random(bucket, KILLS)


@pytest.mark.parametrize("scheme", ["swift", "ceph"])
def test_swift_and_rados_builds_killed_at_random_moments(tmp_path: Path, ceph: ObjectServer, scheme: str) -> None:
    pytest.importorskip({"swift": "swiftclient", "ceph": "rados"}[scheme])
    kill_at_random(Bucket(tmp_path, ceph, "jpg", 1500, scheme), KILLS // 3)


def kill_at_random(bucket: Bucket, kills: int) -> None:
    process = bucket.start()
    lasts = -bucket.begun(process)
    said, _ = process.communicate()
    lasts += time.monotonic()
    assert "interrupted" not in said
    expected = bucket.content()
    bucket.clear()
    dice, midway, resumed = random.Random(11), 0, 0
    for number in range(kills):
        pace = 0.1 if number % 4 == 3 else 0.0
        process = bucket.start(pace)
        bucket.begun(process, logs=0 if number else 3)  # the first time surely in the middle
        time.sleep(dice.uniform(0, lasts) if number else 0)
        process.kill()
        process.communicate()
        keys = bucket.objects()
        assert "X.json" not in keys or not [key for key in keys if key.startswith(".X.building/DATA")]
        if "X.json" in keys:
            lasts *= 0.9
        if "X.json" not in keys or [key for key in keys if key.startswith(".")]:
            midway += "X.json" not in keys
            said = bucket.finish(pace)
            resumed += "from an interrupted build" in said or "slabs    0 " in said  # all were there
        assert bucket.content() == expected
        bucket.clear()
    print(f"{bucket.uri}: {kills} kills, {midway} midway, {resumed} gone on with, {kills} equal buckets")
    assert midway
    assert resumed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_build_in_order(bucket: Bucket, number: signal.Signals) -> None:
    process = bucket.start()
    while process.poll() is None and sum("/DATA_" in key for key in bucket.objects()) < 4:
        time.sleep(0.005)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert len(said.strip().splitlines()) == 1
    assert said.startswith(f"fastpyr: {'interrupted' if number == signal.SIGINT else 'terminated'}; ")
    assert f"are kept in s3://{bucket.name}/X/: run the same command again to go on" in said
    assert not [key for key in bucket.objects() if "claim-" in key or key.endswith((".json", ".list"))]
    bucket.finish()
    assert fastpyr_verifies(bucket)


def fastpyr_verifies(bucket: Bucket) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        use(patch, bucket.server.environment())
        return fastpyr.open(bucket.uri).verify().ok


def test_a_machine_that_died_is_replaced(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its claim says nothing to other machines but its age: refused at first, then gone on with."""
    process = bucket.start(pace=0.0)
    bucket.begun(process, logs=3)
    process.kill()
    process.communicate()
    use(monkeypatch, bucket.server.environment())
    monkeypatch.setattr(claim, "_machine", lambda: "another machine")
    with pytest.raises(FastpyrError, match=r"being built by process .* its claim ends 120 s after its last sign"):
        fastpyr.build(bucket.arguments[1], bucket.uri, **JOBS["png mask"])
    monkeypatch.setattr(claim, "_DEAD_SECONDS", 0.0)
    states: list[fastpyr.Progress] = []
    fastpyr.build(bucket.arguments[1], bucket.uri, progress=states.append, **JOBS["png mask"])
    assert not states or states[-1].resumed_slabs > 0  # none when every slab was there
    assert fastpyr_verifies(bucket)
