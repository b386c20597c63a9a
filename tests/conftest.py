"""Fixtures of all rooms: the vector paths of the native core, and object stores."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from object_servers import ObjectServer, running_ceph, running_moto

from fastpyr import _native

# How long an example takes says something of the machine, and nothing of what is tested.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(params=_native.cpu_paths())
def cpu_path(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once per live path of the native core (FASTPYR_DISABLE_CPU takes paths away)."""
    before = _native.cpu_paths()
    _native.set_cpu_paths([request.param])
    yield request.param
    _native.set_cpu_paths(before)


@pytest.fixture(scope="session")
def moto() -> Iterator[ObjectServer]:
    """An S3 server for logic: right about objects, blind to credentials."""
    with running_moto() as server:
        yield server


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A real S3, Swift and RADOS server; the test is skipped where it cannot run."""
    with running_ceph(tmp_path_factory.mktemp("ceph")) as server:
        yield server


@pytest.fixture(params=["moto", "ceph"])
def s3_server(request: pytest.FixtureRequest) -> ObjectServer:
    """Both S3 servers."""
    server: ObjectServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def any_s3(request: pytest.FixtureRequest) -> ObjectServer:
    """The real S3 server where it can run, else moto's."""
    try:
        server: ObjectServer = request.getfixturevalue("ceph")
    except pytest.skip.Exception:
        server = request.getfixturevalue("moto")
    return server
