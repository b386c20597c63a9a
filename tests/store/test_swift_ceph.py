"""Swift and Ceph: on a real server where one runs, and with stand-ins for the client modules."""

import subprocess
import sys
import time
import types

import pytest

from fastpyr.errors import ConfigError, StoreError
from fastpyr.store import StoreNotFound, ceph, open_location, swift
from fastpyr.store.transport import ObjectMissing, Stat, TransportError

SWIFT = {
    "ROK4_SWIFT_AUTHURL": "http://auth",
    "ROK4_SWIFT_USER": "me",
    "ROK4_SWIFT_PASSWD": "secret",
    "ROK4_OBJECT_ATTEMPTS_WAIT": "0",
    "ROK4_OBJECT_READ_ATTEMPTS": "3",
    "ROK4_OBJECT_WRITE_ATTEMPTS": "3",
}


def exercise(store):
    """The verbs of a store on a real server."""
    data = bytes(range(256)) * 70_000  # more than a piece
    store.put("a/big", [data])
    assert store.get("a/big") == data
    assert store.get_range("a/big", len(data) - 3, 9) == data[-3:]
    assert store.get_range("a/big", len(data), 9) == b""
    store.copy("a/big", "b")
    assert store.size("b") == len(data)
    assert abs(store.stat("b").modified - time.time()) < 3600
    store.put("a/big", [b"small"])
    assert store.get("a/big") == b"small"
    store.put("empty", [])
    assert (store.get("empty"), store.get_range("empty", 0, 3)) == (b"", b"")
    for number in range(5):
        store.put(f"a/é {number}", [b""])
    assert list(store.list("a", after="a/é 2")) == ["a/é 3", "a/é 4"]
    assert len(list(store.list())) == 8
    store.delete_all([*store.list(), "nowhere"])
    assert list(store.list()) == []
    with pytest.raises(StoreNotFound):
        store.get("a/big")
    with store.stage("P") as staging:
        staging.put("DATA_1_0_0", [b"slab"])
        staging.publish()
    assert list(store.list()) == ["P/DATA_1_0_0"]


def refuse(store, message):
    for call in (lambda: store.put("a", [b""]), lambda: list(store.list())):
        with pytest.raises(StoreError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_real_swift(ceph, monkeypatch):
    swiftclient = pytest.importorskip("swiftclient")
    account, user = ceph.facts["swift_user"].split(":")
    variables = {"AUTHURL": ceph.facts["swift_auth"], "ACCOUNT": account, "USER": user}
    for name, value in (variables | {"PASSWD": ceph.facts["swift_key"]}).items():
        monkeypatch.setenv(f"ROK4_SWIFT_{name}", value)
    monkeypatch.setenv("ROK4_OBJECT_ATTEMPTS_WAIT", "0.1")
    connection = swiftclient.Connection(
        authurl=ceph.facts["swift_auth"], user=ceph.facts["swift_user"], key=ceph.facts["swift_key"]
    )
    connection.put_container("slabs")
    store, key = open_location("swift://slabs/P.json")
    assert (store.location(key), store.layout.tray) == ("swift://slabs/P.json", "slabs")
    exercise(store)
    refuse(open_location("swift://nowhere/P.json")[0], "container nowhere does not exist: create it")
    monkeypatch.setenv("ROK4_SWIFT_PASSWD", "wrong")
    refuse(open_location("swift://slabs/P.json")[0], "access denied|check ROK4_SWIFT_USER")


def test_real_rados(ceph, monkeypatch):
    pytest.importorskip("rados", reason="the module rados is not installed (Debian: python3-rados)")
    conf = ceph.facts["ceph_conf"]
    subprocess.run(["ceph", "-c", conf, "osd", "pool", "create", "slabs", "4"], check=True, capture_output=True)
    monkeypatch.setenv("ROK4_CEPH_CONFFILE", conf)
    monkeypatch.setenv("ROK4_CEPH_USERNAME", "admin")
    store, key = open_location("ceph://slabs/P.json")
    assert (store.location(key), store.layout.tray) == ("ceph://slabs/P.json", "slabs")
    exercise(store)
    refuse(open_location("ceph://nowhere/P.json")[0], "pool nowhere does not exist: create it")


def test_without_the_clients(monkeypatch):
    monkeypatch.setitem(sys.modules, "swiftclient", None)
    monkeypatch.setitem(sys.modules, "rados", None)
    with pytest.raises(ConfigError, match=r"pip install 'fastpyr\[swift\]'"):
        open_location("swift://c/P.json")
    with pytest.raises(ConfigError, match="apt install python3-rados"):
        open_location("ceph://p/P.json")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {"authurl": "http://auth", "user": "me", "key": "secret", "auth_version": "1", "insecure": False}),
        ({"ROK4_SWIFT_ACCOUNT": "acc", "ROK4_SSL_NO_VERIFY": "1"}, {"user": "acc:me", "insecure": True}),
        (
            {"ROK4_KEYSTONE_DOMAINID": "d", "ROK4_KEYSTONE_PROJECTID": "p", "ROK4_NETWORK_TIMEOUT": "7"},
            {"auth_version": "3", "os_options": {"user_domain_id": "d", "project_id": "p"}, "timeout": 7.0},
        ),
        (
            {"ROK4_SWIFT_PUBLICURL": "http://store"},
            {"os_options": {"object_storage_url": "http://store"}, "auth_version": "1"},
        ),
    ],
)
def test_swift_options(environ, expected):
    options = swift._connection_options(SWIFT | environ)
    assert {name: options[name] for name in expected} == expected


def test_swift_token_file(tmp_path):
    token = tmp_path / "token"
    token.write_text("abc\n")
    environ = {"ROK4_SWIFT_PUBLICURL": "http://store", "ROK4_SWIFT_TOKEN_FILE": str(token)}
    options = swift._connection_options(environ)
    assert (options["preauthurl"], options["preauthtoken"]) == ("http://store", "abc")
    with pytest.raises(ConfigError, match=r"set ROK4_SWIFT_AUTHURL, ROK4_SWIFT_USER, ROK4_SWIFT_PASSWD$"):
        swift._connection_options({"ROK4_SWIFT_TOKEN_FILE": "/nowhere"})


class SwiftError(Exception):
    def __init__(self, text="", http_status=None, http_reason=""):
        super().__init__(text)
        self.http_status, self.http_reason = http_status, http_reason


@pytest.fixture
def swift_with(monkeypatch):
    """``swift_with(*answers)``: a Swift store whose client gives these answers in turn, and the list of its calls."""

    def make(*answers):
        calls, left = [], list(answers)

        class Connection:
            def __init__(self, **options):
                calls.append("connect")

            def __getattr__(self, verb):
                def call(*args, **options):
                    calls.append(verb)
                    answer = left.pop(0)
                    if isinstance(answer, Exception):
                        raise answer
                    return answer

                return call

        module = types.SimpleNamespace(Connection=Connection, ClientException=SwiftError)
        monkeypatch.setitem(sys.modules, "swiftclient", module)
        return swift.swift_store("c", SWIFT), calls

    return make


def test_swift_faults(swift_with):
    store, calls = swift_with(SwiftError("x", 503, "Busy"), ConnectionResetError("reset"), None)
    store.put("a", [b""])
    assert calls == ["connect", "put_object"] * 3
    store, _ = swift_with(*[SwiftError("x", 503, "Busy")] * 3)
    with pytest.raises(StoreError, match=r"^cannot write swift://c/a: the server answered 503 Busy \(tried 3 times\)$"):
        store.put("a", [b""])
    store, calls = swift_with(SwiftError("x", 401), None)  # the token ran out
    store.put("a", [b""])
    assert calls == ["connect", "put_object"] * 2
    store, calls = swift_with(*[SwiftError("x", 403)] * 2)
    with pytest.raises(StoreError, match="access denied, the server answered 403: check ROK4_SWIFT_USER"):
        store.put("a", [b""])
    store, _ = swift_with(SwiftError("x", 413, "Too Large"))
    with pytest.raises(StoreError, match=r"the server answered 413 Too Large$"):
        store.put("a", [b""])


def test_swift_answers(swift_with):
    store, _ = swift_with(({"content-range": "bytes 2-3/10", "etag": "e"}, b"23"))
    assert store.get_range("a", 2, 2) == b"23"
    store, _ = swift_with(({}, b"0123456789"))  # a server that ignores ranges
    assert store.get_range("a", 2, 2) == b"23"
    head = {"content-length": "2", "last-modified": "Fri, 20 Nov 2026 12:00:00 GMT"}
    store, _ = swift_with(SwiftError("x", 416), head, head)
    assert store.get_range("a", 5, 2) == b""
    assert store.stat("a") == Stat(2, 1795176000.0)
    store, _ = swift_with(SwiftError("x", 404))
    with pytest.raises(StoreNotFound):
        store.get("a")


class RadosError(Exception):
    pass


def fake_rados(answers):
    """A stand-in for the module rados whose pool gives ``answers`` in turn."""
    errors = ("ObjectNotFound", "PermissionError", "PermissionDeniedError", "TimedOut", "InterruptedOrTimeoutError")
    module = types.ModuleType("rados")
    module.Error = RadosError
    for name in (*errors, "IOError"):
        setattr(module, name, type(name, (RadosError,), {}))
    module.settings = {}
    left = list(answers)

    class Pool:
        def __getattr__(self, verb):
            def call(*args):
                answer = left.pop(0)
                if isinstance(answer, str):
                    raise getattr(module, answer)("[errno 1] RADOS said no")
                return answer

            return call

    class Rados:
        def __init__(self, **options):
            module.settings |= options

        def conf_set(self, name, value):
            module.settings[name] = value

        def connect(self):
            pass

        def open_ioctx(self, pool):
            return Pool()

    module.Rados = Rados
    return module


def test_ceph_settings_and_faults(monkeypatch):
    def transport(*answers, **environ):
        module = fake_rados(answers)
        monkeypatch.setitem(sys.modules, "rados", module)
        return ceph.CephTransport("pool", environ), module.settings

    names = {"ROK4_CEPH_CONFFILE": "/c", "ROK4_CEPH_USERNAME": "me", "ROK4_CEPH_CLUSTERNAME": "k"}
    one, settings = transport(None, ROK4_NETWORK_TIMEOUT="7.5", **names)
    one.put("a", b"")
    assert settings["conffile"] == "/c"
    assert (settings["name"], settings["clustername"]) == ("client.me", "k")
    assert settings["rados_osd_op_timeout"] == "8"
    for error, retry in (("TimedOut", True), ("IOError", True), ("PermissionError", False), ("Error", False)):
        one, _ = transport(error)
        with pytest.raises(TransportError, match="RADOS said no") as caught:
            one.put("a", b"")
        assert caught.value.retry is retry
    one, _ = transport("ObjectNotFound")
    with pytest.raises(ObjectMissing):
        one.get("a", 0, 5)
    one, _ = transport("ObjectNotFound", None)
    one.delete(["a", "b"])
    moment = time.localtime(1795176000)
    one, _ = transport((3, moment), (3, moment), b"bc")
    assert one.stat("a") == Stat(3, 1795176000.0)
    assert one.get("a", 1, 5).data == b"bc"
