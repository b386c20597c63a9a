"""Object stores for tests: a dictionary behind the transport interface, moto's S3 server, a real one-node Ceph."""

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fastpyr.store.layout import Layout, StorageType
from fastpyr.store.objects import ObjectStore
from fastpyr.store.retry import RetryPolicy
from fastpyr.store.transport import Entry, ObjectMissing, Part, Stat

START_CEPH = Path(__file__).parents[2].parent / "shared" / "tools" / "start_ceph.sh"
QUICK = {"ROK4_OBJECT_ATTEMPTS_WAIT": "0.01", "ROK4_OBJECT_READ_ATTEMPTS": "4", "ROK4_OBJECT_WRITE_ATTEMPTS": "4"}
_buckets = itertools.count()


class DictTransport:
    """Objects in a dictionary. ``before(verb, key)``, when set, runs before every request and may raise."""

    def __init__(self):
        self.objects = {}
        self.written = {}
        self.requests = []
        self.before = None
        self.page = 3
        self._lock = threading.Lock()

    def _asked(self, verb, key):
        with self._lock:
            self.requests.append((verb, key))
        if self.before:
            self.before(verb, key)

    def _found(self, key):
        try:
            return self.objects[key]
        except KeyError:
            raise ObjectMissing from None

    def put(self, key, data):
        self._asked("put", key)
        with self._lock:
            self.objects[key], self.written[key] = bytes(data), time.time()

    def get(self, key, offset, size):
        self._asked("get", key)
        data = self._found(key)
        return Part(data[offset : offset + size], len(data), str(self.written[key]))

    def stat(self, key):
        self._asked("stat", key)
        return Stat(len(self._found(key)), self.written[key])

    def list(self, folder, after):
        assert folder == "" or folder.endswith("/")
        with self._lock:
            keys = sorted(k for k in self.objects if k.startswith(folder) and (after is None or k > after))
        for start in range(0, len(keys), self.page):
            self._asked("list", folder)
            yield [Entry(key, len(self.objects.get(key, b""))) for key in keys[start : start + self.page]]

    def delete(self, keys):
        self._asked("delete", keys[0])
        with self._lock:
            for key in keys:
                self.objects.pop(key, None)

    def copy(self, source, target):
        self._asked("copy", target)
        with self._lock:
            self.objects[target], self.written[target] = self._found(source), time.time()


def dict_store(transport=None, storage=StorageType.S3, tray="tray", neighbour=None):
    """An ObjectStore over a dictionary, impatient."""
    retry = RetryPolicy(4, 4, 0.001)
    uri = f"{storage.value.lower()}://{tray}"
    return ObjectStore(transport or DictTransport(), Layout(storage, tray), uri, retry, neighbour)


@dataclass
class ObjectServer:
    """An S3 server that runs."""

    name: str
    url: str
    key: str = "testaccess"
    secret: str = "testsecret0123456789"
    facts: dict = field(default_factory=dict)

    def environment(self, url=None, **more):
        """Variables that lead to it (or to ``url``, a proxy in front of it), with impatient retries."""
        access = {"ROK4_S3_URL": url or self.url, "ROK4_S3_KEY": self.key, "ROK4_S3_SECRETKEY": self.secret}
        return QUICK | access | more

    def client(self):
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
        )

    def bucket(self):
        """Name of a new bucket."""
        name = f"bucket-{os.getpid()}-{next(_buckets)}"
        self.client().create_bucket(Bucket=name)
        return name

    def tray(self, scheme):
        """Name of a new bucket, container or pool, and the variables that lead to it."""
        if scheme == "s3":
            return self.bucket(), self.environment()
        name = f"tray-{os.getpid()}-{next(_buckets)}"
        if scheme == "swift":
            import swiftclient

            user, key = self.facts["swift_user"], self.facts["swift_key"]
            connection = swiftclient.Connection(authurl=self.facts["swift_auth"], user=user, key=key)
            connection.put_container(name)
            access = {"ROK4_SWIFT_AUTHURL": self.facts["swift_auth"]}
            return name, QUICK | access | {"ROK4_SWIFT_USER": user, "ROK4_SWIFT_PASSWD": key}
        conf = self.facts["ceph_conf"]
        command = ["ceph", "-c", conf, "osd", "pool", "create", name, "4"]
        subprocess.run(command, check=True, capture_output=True)
        return name, QUICK | {"ROK4_CEPH_CONFFILE": conf, "ROK4_CEPH_USERNAME": "admin"}

    def store(self, bucket=None, url=None, **more):
        from fastpyr.store.s3 import s3_store

        return s3_store(bucket or self.bucket(), self.environment(url, **more))

    def objects(self, bucket, prefix=""):
        """All objects of a bucket below ``prefix``: key to bytes."""
        client, found = self.client(), {}
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                found[entry["Key"]] = client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
        return found


@contextlib.contextmanager
def running_moto():
    """moto's server in a thread. It accepts any secret and keeps all in memory."""
    pytest.importorskip("moto", reason="moto is not installed")
    pytest.importorskip("flask_cors", reason="flask-cors is not installed")
    pytest.importorskip("obstore", reason="obstore is not installed (pip install 'fastpyr[s3]')")
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield ObjectServer("moto", f"http://{host}:{port}")
    finally:
        server.stop()


@contextlib.contextmanager
def running_ceph(folder: Path):
    """A Ceph of one node in memory, or a skip with the reason why not."""
    if os.environ.get("FASTPYR_TEST_CEPH") == "off":
        pytest.skip("no real S3 server: FASTPYR_TEST_CEPH=off")
    missing = [name for name in ("ceph-mon", "ceph-osd", "radosgw", "curl") if not shutil.which(name)]
    if missing:
        pytest.skip(f"no real S3 server: {', '.join(missing)} not installed")
    if not START_CEPH.exists():
        pytest.skip("no real S3 server: ../shared/tools/start_ceph.sh is not here")
    pytest.importorskip("obstore", reason="obstore is not installed (pip install 'fastpyr[s3]')")
    command = ["bash", str(START_CEPH), str(folder), str(_free_ports()), "memstore"]
    give_up = pytest.fail if os.environ.get("FASTPYR_TEST_CEPH") == "required" else pytest.skip
    try:
        started = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        subprocess.run(["bash", str(START_CEPH), "--wipe", str(folder)], capture_output=True)
        give_up("no real S3 server: it did not start within 120 s")
    try:
        if started.returncode:
            give_up(f"no real S3 server: {started.stderr.strip()[-300:]}")
        facts = dict(line.partition("=")[::2] for line in started.stdout.splitlines())
        yield ObjectServer("ceph", facts["endpoint"], facts["access_key"], facts["secret_key"], facts)
    finally:
        subprocess.run(["bash", str(START_CEPH), "--wipe", str(folder)], capture_output=True)


def _free_ports():
    """First of some ports that nobody uses: the server takes it, the next one, and a few from 10 above."""
    for port in range(20000 + os.getpid() % 200 * 50, 32000, 50):
        with contextlib.ExitStack() as stack:
            try:
                for number in (port, port + 1, *range(port + 10, port + 20)):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", number))
            except OSError:
                continue
            return port
    pytest.skip("no real S3 server: no free ports")
