"""Builds and reads through a proxy that misbehaves: what can be survived is, the rest is one line."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from fault_proxy import FATAL, RETRYABLE, FaultProxy
from interruptions import JOBS, make_source
from object_builds import OPTIONS, as_objects, source, use

import fastpyr
from fastpyr.cli.main import main
from fastpyr.errors import StoreError

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Slabs of the pyramid as built without faults."""
    folder = tmp_path_factory.mktemp("expected")
    fastpyr.build(source(), folder / "X.json", compression="png", **OPTIONS)
    return as_objects(folder, "X")


def problems(pyramid):
    return [str(finding) for finding in pyramid.verify().findings if finding.severity == "error"]


def first_times(fault, times):
    """Each request of its own fails that many times, and then no more."""
    seen = Counter()

    def choose(number, method, target):
        seen[method, target] += 1
        return fault if seen[method, target] <= times else None

    return choose


def slabs(server, bucket):
    return {key.removeprefix("X/"): data for key, data in server.objects(bucket, "X/").items()}


@pytest.mark.parametrize("fault", RETRYABLE)
def test_retryable_faults_are_survived(any_s3, monkeypatch, expected, fault):
    """Each request fails twice; the timeout is short so that stalls are seen."""
    bucket = any_s3.bucket()
    with FaultProxy(any_s3.url, first_times(fault, 2)) as proxy:
        use(monkeypatch, any_s3.environment(proxy.url, ROK4_NETWORK_TIMEOUT="1.5"))
        few = ("stall", "slow")
        if fault in few:
            proxy.fault = lambda number, method, target: fault if number in (2, 9, 20) else None
        pyramid = fastpyr.build(source(), f"s3://{bucket}/X.json", compression="png", **OPTIONS)
        assert problems(pyramid) == []
        assert proxy.faults >= (2 if fault in few else 15)
    assert slabs(any_s3, bucket) == expected


def test_all_faults_together(any_s3, monkeypatch, expected):
    faults = [fault for fault in RETRYABLE if fault not in ("stall", "slow")]
    bucket = any_s3.bucket()
    for seed in range(2):
        rng = random.Random(seed)
        choose = lambda number, method, target, rng=rng: rng.choice(faults) if rng.random() < 0.3 else None  # noqa: E731
        with FaultProxy(any_s3.url, choose) as proxy:
            more = {"ROK4_OBJECT_READ_ATTEMPTS": "12", "ROK4_OBJECT_WRITE_ATTEMPTS": "12"}
            use(monkeypatch, any_s3.environment(proxy.url, **more))
            uri = f"s3://{bucket}/X.json"
            assert problems(fastpyr.build(source(), uri, compression="png", overwrite=True, **OPTIONS)) == []
        assert slabs(any_s3, bucket) == expected
        assert any_s3.objects(bucket, ".") == {}


@pytest.mark.parametrize("fault", [*FATAL, "503", "reset", "truncate"])
@pytest.mark.parametrize("first", [0, 12])
def test_lasting_faults_are_reported_and_nothing_is_published(moto, monkeypatch, fault, first):
    """From request ``first`` on everything of one kind fails."""
    bucket = moto.bucket()
    wanted = ("PUT",) if fault in FATAL or first else ("PUT", "GET", "HEAD")
    choose = lambda number, method, target: fault if number > first and method in wanted else None  # noqa: E731
    with FaultProxy(moto.url, choose) as proxy:
        use(monkeypatch, moto.environment(proxy.url))
        if fault == "truncate":
            proxy.fault = lambda number, method, target: fault if method == "GET" else None
        with pytest.raises(StoreError) as caught:
            fastpyr.build(source(), f"s3://{bucket}/X.json", compression="png", **OPTIONS).verify()
        message = str(caught.value)
        assert "\n" not in message
        assert f"s3://{bucket}/" in message
        assert ("access denied" in message) == (fault == "403")
        assert ("(tried 4 times)" in message) == (fault not in FATAL)
    if fault != "truncate":
        assert [key for key in moto.objects(bucket) if key.startswith("X")] == []


@pytest.mark.parametrize(
    ("fault", "cure"),
    [
        ("key", "check the key and the secret key"),
        ("clock", "this machine's clock"),
        ("region", "the bucket is in another region, set ROK4_S3_REGION or AWS_REGION"),
        ("moved", "the bucket is in another region, set ROK4_S3_REGION or AWS_REGION"),
        ("token", "the session token has run out"),
        ("quota", "the quota is used up"),
        ("no bucket", "does not exist: create it, or check its name"),
    ],
)
@pytest.mark.parametrize("first", [0, 12])
def test_what_is_wrong_with_the_access_is_said(moto, monkeypatch, tmp_path, capsys, fault, cure, first):
    """At once, or in the middle of a build when a token runs out: one line, nothing half-published, and no retries."""
    bucket = moto.bucket()
    path = make_source(tmp_path, "jpg", 420)
    choose = lambda number, method, target: fault if number > first else None  # noqa: E731
    with FaultProxy(moto.url, choose) as proxy:
        use(monkeypatch, moto.environment(proxy.url))
        if not first and fault in ("region", "token"):
            cure = "check the region (ROK4_S3_REGION, AWS_REGION) and the session token"  # HEAD has no body
        if not first and fault in ("no bucket", "quota"):  # not what is said to HEAD
            proxy.fault = lambda number, method, target: None if method == "HEAD" else fault
        uri = f"s3://{bucket}/X.json"
        assert main(["build", str(path), uri, *(f"--{name}={value}" for name, value in JOBS["jpg"].items())]) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert said.startswith("fastpyr: error: cannot ")
    assert cure in said
    assert "tried" not in said
    assert "X.json" not in moto.objects(bucket)


def test_faults_while_reading(any_s3, monkeypatch):
    bucket = any_s3.bucket()
    use(monkeypatch, any_s3.environment())
    pyramid = fastpyr.build(source(), f"s3://{bucket}/X.json", compression="png", **OPTIONS)
    limits = pyramid.levels[0].limits
    tile = pyramid.tile_bytes(pyramid.levels[0], limits.min_col, limits.min_row)
    with FaultProxy(any_s3.url) as proxy:
        use(monkeypatch, any_s3.environment(proxy.url, ROK4_NETWORK_TIMEOUT="1"))
        for fault in RETRYABLE:
            proxy.fault = lambda number, method, target, fault=fault: fault if number % 2 else None
            again = fastpyr.open(f"s3://{bucket}/X.json")
            assert again.tile_bytes(pyramid.levels[0].id, limits.min_col, limits.min_row) == tile
        proxy.fault = lambda number, method, target: "503"
        with pytest.raises(StoreError, match=r"level 18, tile column .* 503 .*\(SlowDown\) \(tried 4"):
            again.tile_bytes(pyramid.levels[0].id, limits.min_col, limits.min_row)


def test_the_command_says_it_in_one_line(moto, monkeypatch, capsys, tmp_path):
    import numpy as np
    import rasterio
    from rasterio.transform import from_origin

    profile = {"driver": "GTiff", "width": 300, "height": 300, "count": 3, "dtype": "uint8", "crs": "EPSG:3857"}
    with rasterio.open(tmp_path / "a.tif", "w", transform=from_origin(0, 0, 1, 1), **profile) as out:
        out.write(np.full((3, 300, 300), 7, np.uint8))
    bucket = moto.bucket()
    choose = lambda number, method, target: "403" if "DATA" in target else None  # noqa: E731
    with FaultProxy(moto.url, choose) as proxy:
        use(monkeypatch, moto.environment(proxy.url))
        code = main(["build", str(tmp_path / "a.tif"), f"s3://{bucket}/X.json", "--tms", "PM"])
    assert code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning" not in line]
    assert len(lines) == 1
    assert "fastpyr: error: cannot write s3://" in lines[0]
    assert "access denied, the server answered 403 Forbidden (AccessDenied)" in lines[0]
    assert moto.objects(bucket) == {}


_KILLED = """
import os, signal, sys
sys.path.insert(0, {support!r})
from object_builds import OPTIONS, source
import fastpyr

def kill(progress):
    if progress.slabs == {slabs}:
        os.kill(os.getpid(), signal.SIGKILL)

fastpyr.build(source({seed}), {uri!r}, compression="png", overwrite={overwrite}, progress=kill, **OPTIONS)
"""


def killed(server, **values):
    """Run a build in a process that kills itself after so many slabs."""
    code = _KILLED.format(support=str(SUPPORT), **values)
    path = os.pathsep.join([str(Path(fastpyr.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environ = {**os.environ, **server.environment(), "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("number", [1, 9, 20])
def test_a_killed_build_leaves_no_descriptor_and_the_next_one_cleans_up(any_s3, monkeypatch, expected, number):
    use(monkeypatch, any_s3.environment())
    bucket = any_s3.bucket()
    uri = f"s3://{bucket}/X.json"
    killed(any_s3, slabs=number, seed=7, uri=uri, overwrite=False)
    left = any_s3.objects(bucket)
    assert not {"X.json", "X.list"} & left.keys()
    assert left
    fastpyr.build(source(), uri, compression="png", **OPTIONS)
    assert slabs(any_s3, bucket) == expected

    whole = any_s3.objects(bucket)
    killed(any_s3, slabs=number, seed=7, uri=uri, overwrite=True)
    left = any_s3.objects(bucket)
    assert {key: left.get(key) for key in whole} == whole
    fastpyr.build(source(), uri, compression="png", overwrite=True, **OPTIONS)
    assert any_s3.objects(bucket) == whole
