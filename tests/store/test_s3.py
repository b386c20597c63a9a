"""The S3 transport against real servers: moto's, and a Ceph where one can be started."""

import socket
import threading

import pytest
from fault_proxy import FaultProxy

from fastpyr.errors import ConfigError, StoreError
from fastpyr.store import StoreNotFound, open_location, s3

KEYS = ["a/b c", "a/é à", "a/100%25", "a/#?&+=~", "a/日本", "a/x'\"<>|\\"]


@pytest.fixture
def store(s3_server):
    return s3_server.store()


def test_verbs(store, s3_server):
    store.put("P/x", [b"0123", memoryview(b"456789")])
    assert store.get("P/x") == b"0123456789"
    assert store.get_range("P/x", 8, 5) == b"89"
    assert store.get_range("P/x", 10, 5) == b""
    assert store.get_range("P/x", 0, 2**40) == b"0123456789"
    assert store.size("P/x") == 10
    store.put("empty", [])
    assert store.get("empty") == b""
    assert store.get_range("empty", 0, 5) == b""
    store.copy("P/x", "P/y")
    assert sorted(s3_server.objects(store.layout.tray)) == ["P/x", "P/y", "empty"]
    store.delete_all(["P/x", "P/y", "nowhere"])
    store.delete("nowhere")
    assert list(store.list()) == ["empty"]
    for verb in (store.get, store.size, lambda key: store.get_range(key, 0, 1), lambda key: store.copy(key, "z")):
        with pytest.raises(StoreNotFound, match="does not exist"):
            verb("nowhere")


def test_keys_of_all_kinds(store, s3_server):
    for key in KEYS:
        store.put(key, [key.encode()])
    found = s3_server.objects(store.layout.tray)
    assert found == {key: key.encode() for key in KEYS}
    assert list(store.list("a")) == sorted(KEYS)
    assert all(store.get(key) == key.encode() for key in KEYS)
    for key in ("a\nb", "x" * 1100):
        with pytest.raises(StoreError, match="cannot name an object") as caught:
            store.put(key, [b""])
        assert "\n" not in str(caught.value)


def test_large_objects_travel_in_parts(store, s3_server, monkeypatch):
    monkeypatch.setattr(s3, "_MULTIPART", 5 * 2**20)  # the least that servers take
    data = bytes(range(256)) * (11 * 2**20 // 256) + b"end"
    store.put("large", [data])
    head = s3_server.client().head_object(Bucket=store.layout.tray, Key="large")
    assert head["ETag"].strip('"').endswith("-3")
    assert store.get("large") == data
    assert store.get_range("large", len(data) - 3, 100) == b"end"


def test_lists_of_more_than_a_page(any_s3):
    store = any_s3.store()
    keys = [f"L/{n:05}" for n in range(1203)]
    pool = [threading.Thread(target=lambda part=keys[i::8]: [store.put(k, [b""]) for k in part]) for i in range(8)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    assert list(store.list("L")) == keys
    assert list(store.list("L", after="L/01200")) == keys[1201:]
    store.delete_all(keys)
    assert list(store.list()) == []


def test_missing_buckets(s3_server):
    store = s3_server.store("no-such-bucket")
    for call in (lambda: store.put("a", [b""]), lambda: store.get("a"), lambda: list(store.list())):
        with pytest.raises(StoreError, match="bucket no-such-bucket does not exist: create it") as caught:
            call()
        assert not isinstance(caught.value, StoreNotFound)


def test_wrong_secret_is_said_once_and_not_retried(ceph):
    with FaultProxy(ceph.url) as proxy:
        store = ceph.store(url=proxy.url, ROK4_S3_SECRETKEY="wrong")
        for call in (lambda: store.put("a", [b""]), lambda: store.get("a"), lambda: list(store.list())):
            before = proxy.requests
            with pytest.raises(StoreError, match=r"access denied, .*403.*check the key") as caught:
                call()
            assert proxy.requests == before + 1
            assert "wrong" not in str(caught.value)


def test_nobody_there():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    pytest.importorskip("obstore")
    access = {"ROK4_S3_URL": url, "ROK4_S3_KEY": "k", "ROK4_S3_SECRETKEY": "s", "ROK4_OBJECT_ATTEMPTS_WAIT": "0"}
    with pytest.raises(StoreError, match=r"cannot be reached: check its address .* \(tried 3 times\)"):
        s3.s3_store("bucket", access).get("a")


def test_locations(moto, monkeypatch):
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)
    bucket, host = moto.bucket(), moto.url.removeprefix("http://")
    store, key = open_location(f"s3://{bucket}/a/ORTHO.json")
    assert (key, store.location(key)) == ("a/ORTHO.json", f"s3://{bucket}/a/ORTHO.json")
    store.put(key, [b"{}"])
    store, key = open_location(f"s3://{bucket}@{host}/a/ORTHO.json")
    assert (store.get(key), store.location(key)) == (b"{}", f"s3://{bucket}@{host}/a/ORTHO.json")
    other = moto.bucket()
    store.beside(other).put("x", [b"1"])
    assert store.beside(other).uri == f"s3://{other}@{host}"
    assert moto.objects(other) == {"x": b"1"}
    with pytest.raises(ConfigError, match="no S3 cluster 'elsewhere'"):
        open_location(f"s3://{bucket}@elsewhere/ORTHO.json")
