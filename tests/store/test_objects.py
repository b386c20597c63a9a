"""Object storage as such: retries, errors in one line, staging without renames, claims. Requests go to a dictionary."""

import json
import os
import threading

import pytest
from object_servers import DictTransport, dict_store

from fastpyr.errors import ConfigError, StoreError
from fastpyr.formats import SlabKind
from fastpyr.store import MemoryStore, Staging, Store, StoreNotFound, TrayStore, claim, objects
from fastpyr.store.layout import FILE_LAYOUT, Layout, StorageType
from fastpyr.store.retry import RetryPolicy, Stopped
from fastpyr.store.transport import Part, TransportError

SLAB = "DATA_3_0_0"


def failing(times, verb="put", error=None):
    """A ``before`` hook that fails the first ``times`` requests of one verb."""
    left = [times]

    def before(asked, key):
        if asked == verb and left[0]:
            left[0] -= 1
            raise error or TransportError("busy", retry=True)

    return before


def test_layouts():
    objects_layout = Layout(StorageType.S3, "tray")
    kind = SlabKind.MASK
    assert FILE_LAYOUT.slab(kind, "8", 4032, 18217, 2) == "MASK/8/3E/42/01.tif"
    assert objects_layout.slab(kind, "8", 4032, 18217, 2) == "MASK_8_4032_18217"
    assert FILE_LAYOUT.level("P", kind, "8") == "P/MASK/8"
    assert objects_layout.level("a/P", kind, "8") == "a/P/MASK_8"
    assert (FILE_LAYOUT.depth(2), objects_layout.depth(2)) == (2, 0)
    assert FILE_LAYOUT.root("P", "out/P") == os.path.abspath("out/P")
    assert objects_layout.root("a/P", "s3://tray@host/a/P") == "tray/a/P"
    assert objects_layout.check_name("a/b/P") == "a/b/P"
    for name in ("a//P", "../P", "a/.P", "", "/P", "a/P/", "x" * 901, "a\n/P"):
        with pytest.raises(ConfigError):
            objects_layout.check_name(name)
    with pytest.raises(ConfigError):
        FILE_LAYOUT.check_name("a/P")


def test_retryable_failures_are_survived_and_others_are_not():
    transport = DictTransport()
    store = dict_store(transport)
    transport.before = failing(3)
    store.put("a", [b"x"])
    assert transport.requests == [("put", "a")] * 4
    transport.before = failing(4)
    with pytest.raises(StoreError, match=r"^cannot write s3://tray/a: busy \(tried 4 times\)$"):
        store.put("a", [b"x"])
    transport.requests.clear()
    transport.before = failing(1, error=TransportError("access\ndenied"))
    with pytest.raises(StoreError, match=r"^cannot write s3://tray/a: access denied$"):
        store.put("a", [b"x"])
    assert len(transport.requests) == 1
    for verb, call in (
        ("get", lambda: store.get("a")),
        ("stat", lambda: store.size("a")),
        ("list", lambda: list(store.list())),
        ("delete", lambda: store.delete("a")),
    ):
        transport.before = failing(3, verb)
        call()
        transport.before = failing(4, verb)
        with pytest.raises(StoreError, match="tried 4 times"):
            call()


def test_a_server_never_reached_is_given_up_early():
    transport = DictTransport()
    transport.before = failing(99, "stat", TransportError("no route", retry=True, unreachable=True))
    store = dict_store(transport)
    with pytest.raises(StoreError, match="tried 3 times"):
        store.exists("a")
    store.put("a", [b"x"])
    with pytest.raises(StoreError, match="tried 4 times"):
        store.exists("a")


def test_retry_settings():
    policy = RetryPolicy.from_environment({})
    assert (policy.read_attempts, policy.write_attempts) == (10, 10)
    assert sum(policy.pause(n) for n in range(1, 10)) > 30
    assert max(policy.pause(n) for n in range(1, 1000)) <= 15
    policy = RetryPolicy.from_environment(
        {
            "ROK4_OBJECT_READ_ATTEMPTS": "1",
            "ROK4_OBJECT_WRITE_ATTEMPTS": "0",
            "ROK4_OBJECT_ATTEMPTS_WAIT": "2.5",
        }
    )
    assert (policy.read_attempts, policy.write_attempts, policy.pause(1), policy.pause(9)) == (1, 1, 2.5, 2.5)
    for value in ("x", "-1", "nan", "1e9"):
        with pytest.raises(ConfigError, match="ROK4_OBJECT_READ_ATTEMPTS"):
            RetryPolicy.from_environment({"ROK4_OBJECT_READ_ATTEMPTS": value})


def test_a_pause_can_be_cut_short():
    stop = threading.Event()
    stop.set()

    def work():
        raise TransportError("busy", retry=True)

    with pytest.raises(Stopped):
        RetryPolicy(5, 5, 3600).run(5, work, stop)


def test_large_objects_are_read_in_parts_of_one_version(monkeypatch):
    monkeypatch.setattr(objects, "_PART", 10)
    transport = DictTransport()
    store = dict_store(transport)
    data = bytes(range(35))
    store.put("a", [data])
    transport.requests.clear()
    assert store.get("a") == data
    assert len(transport.requests) == 4
    assert store.get_range("a", 3, 15) == data[3:18]
    assert store.get_range("a", 30, 15) == data[30:]

    def replace(verb, key):
        if verb == "get" and len(transport.requests) > 1:
            transport.before = None
            transport.put("a", data[::-1])

    transport.requests.clear()
    transport.before = replace
    with pytest.raises(StoreError, match="replaced meanwhile"):
        store.get("a")


def test_short_answers_are_asked_again():
    class Short(DictTransport):
        short = 2

        def get(self, key, offset, size):
            part = super().get(key, offset, size)
            if self.short:
                self.short -= 1
                return Part(part.data[:-1], part.total, part.tag)
            return part

    transport = Short()
    store = dict_store(transport)
    store.put("a", [b"0123456789"])
    assert store.get_range("a", 2, 4) == b"2345"
    transport.short = 4
    with pytest.raises(StoreError, match="arrived"):
        store.get("a")


def test_lists_go_on_where_they_failed():
    transport = DictTransport()
    store = dict_store(transport)
    keys = [f"P/{n:03}" for n in range(20)] + ["P/.hidden/x", "Q"]
    for key in keys:
        store.put(key, [b""])
    count = [0]

    def every_second(verb, key):
        count[0] += verb == "list"
        if verb == "list" and count[0] % 2:
            raise TransportError("busy", retry=True)

    transport.before = every_second
    assert list(store.list("P")) == keys[:20]
    assert list(store.list("P", after="P/016")) == keys[17:20]
    assert list(store.list("P", after="P/0169")) == keys[17:20]
    assert list(store.keys("P/.hidden/")) == ["P/.hidden/x"]


def test_names_cannot_climb():
    store = dict_store()
    for verb in (store.get, store.size, store.exists, lambda key: list(store.list(key))):
        with pytest.raises(StoreError, match="cannot name an object"):
            verb("../other/x")


def test_neighbours():
    stores = {"b": dict_store(tray="b")}
    store = dict_store(tray="a", neighbour=stores.__getitem__)
    assert isinstance(store, TrayStore)
    assert not isinstance(MemoryStore(), TrayStore)
    assert store.beside("a") is store
    assert store.beside("b") is stores["b"]


def test_new_tree_goes_to_its_final_names_and_abort_removes_it():
    store = dict_store()
    assert isinstance(store, Store)
    staging = store.stage("a/P")
    assert isinstance(staging, Staging)
    staging.put(SLAB, [b"sl", b"ab"])
    assert staging.get(SLAB) == b"slab"
    assert staging.get_range(SLAB, 1, 2) == b"la"
    assert list(store.list()) == [f"a/P/{SLAB}"]
    staging.publish()
    staging.abort()
    assert store.transport.objects == {f"a/P/{SLAB}": b"slab"}
    for verb in (lambda: staging.put("x", [b""]), staging.publish):
        with pytest.raises(StoreError, match="has ended"):
            verb()
    second = store.stage("Q")
    second.put(SLAB, [b"1"])
    second.put("MASK_3_0_0", [b"2"])
    second.abort()
    assert store.transport.objects == {f"a/P/{SLAB}": b"slab"}


def test_existing_pyramid_stays_whole_until_the_new_one_is():
    transport = DictTransport()
    store = dict_store(transport)
    old = {"P/DATA_3_0_0": b"old", "P/DATA_3_0_1": b"old", "P/notes.txt": b"mine", "P/sub/DATA_3_0_0": b"other"}
    old |= {"P.json": b"{}", "P.list": b"list"}
    for key, data in old.items():
        store.put(key, [data])
    with pytest.raises(StoreError, match=r"P\.json exists"):
        store.stage("P")
    staging = store.stage("P", overwrite=True)
    staging.put(SLAB, [b"new"])
    assert staging.get(SLAB) == b"new"
    assert {key: store.get(key) for key in store.list()} == old
    staging.abort()
    assert transport.objects == old

    # Whenever a descriptor is there, all slabs are of one pyramid.
    def watch(verb, key):
        if "P.json" in transport.objects:
            slabs = {v for k, v in transport.objects.items() if k.startswith("P/DATA_")}
            assert slabs == {b"old"}

    transport.before = watch
    with store.stage("P", overwrite=True) as staging:
        staging.put(SLAB, [b"new"])
        staging.publish(overwrite=True)
    transport.before = None
    assert transport.objects == {
        "P/DATA_3_0_0": b"new",
        "P/notes.txt": b"mine",
        "P/sub/DATA_3_0_0": b"other",
    }


@pytest.mark.parametrize("verb", ["put", "copy", "delete", "stat", "list"])
def test_replacing_survives_a_fault_at_every_step(verb):
    """One fault too many at each request in turn: the old pyramid stays, or no descriptor is left, never a mix."""
    refused = 0
    for number in range(40):
        transport = DictTransport()
        store = dict_store(transport)
        for key in ("P/DATA_3_0_0", "P/DATA_3_0_1"):
            store.put(key, [b"old"])
        store.put("P.json", [b"{}"])
        count = [0]

        def before(asked, key, count=count, number=number):
            if asked == verb:
                count[0] += 1
                if count[0] == number + 1:
                    raise TransportError("broken")

        transport.before = before
        try:
            with store.stage("P", overwrite=True) as staging:
                staging.put(SLAB, [b"new"])
                staging.publish(overwrite=True)
        except StoreError:
            refused += 1
            slabs = {v for k, v in transport.objects.items() if k.startswith("P/DATA_")}
            assert "P.json" not in transport.objects or slabs == {b"old"}
        if count[0] <= number:
            break
        transport.before = None
        with store.stage("P", overwrite=True) as staging:  # and another try always succeeds
            staging.put(SLAB, [b"newer"])
            staging.publish(overwrite=True)
        assert {k: v for k, v in transport.objects.items() if k != "P.json"} == {"P/DATA_3_0_0": b"newer"}
    else:
        pytest.fail("more requests than expected")
    assert refused


def test_slabs_without_a_descriptor_are_not_touched_unasked():
    store = dict_store()
    store.put("P/DATA_3_0_1", [b"whose?"])
    with pytest.raises(StoreError, match="holds slabs although"):
        store.stage("P")
    assert list(store.transport.objects) == ["P/DATA_3_0_1"]
    with store.stage("P", overwrite=True) as staging:
        staging.put(SLAB, [b"new"])
        staging.publish(overwrite=True)
    assert list(store.transport.objects) == [f"P/{SLAB}"]


def test_failed_uploads_surface_and_leave_nothing():
    transport = DictTransport()
    store = dict_store(transport)
    transport.before = lambda verb, key: failing(1, error=TransportError("denied"))(verb, key) if "_9_" in key else None
    staging = store.stage("P")
    staging.put(SLAB, [b"1"])
    staging.put("DATA_9_0_0", [b"2"])
    with pytest.raises(StoreError, match="cannot write s3://tray/P/DATA_9_0_0: denied"):
        staging.publish()
    with pytest.raises(StoreError, match="DATA_9_0_0: denied"):
        staging.put("DATA_3_0_5", [b"3"])
    with pytest.raises(StoreError, match="DATA_9_0_0: denied"):
        staging.get(SLAB)
    staging.abort()
    assert transport.objects == {}


def test_two_builders_of_one_tree():
    store = dict_store()
    first = store.stage("P")
    with pytest.raises(StoreError, match=rf"being built by process {os.getpid()} on"):
        store.stage("P", overwrite=True)
    store.stage("Q").abort()
    first.abort()
    store.stage("P").abort()
    assert store.transport.objects == {}


def dead_builder(store, name="P", **owner):
    """What a builder leaves that was killed: a claim and slabs."""
    store.put(f".{name}.building/claim-0123", [json.dumps(owner).encode()])
    store.put(f"{name}/DATA_3_7_7", [b"left"])
    store.put(f".{name}.building/DATA_3_7_7", [b"left"])


def test_what_dead_builders_left_is_removed():
    store = dict_store()
    gone = 2**22 + 1  # above the largest process id of Linux
    dead_builder(store, machine=claim._machine(), pid=gone, host="here")
    with store.stage("P") as staging:
        staging.put(SLAB, [b"new"])
        staging.publish()
    assert list(store.transport.objects) == [f"P/{SLAB}"]


def test_old_claims_are_dead_and_young_ones_alive():
    store = dict_store()
    dead_builder(store, machine="elsewhere", pid=1, host="other")
    with pytest.raises(StoreError, match="process 1 on other"):
        store.stage("P")
    assert len(store.transport.objects) == 3
    store.transport.written[".P.building/claim-0123"] -= 1000
    with store.stage("P") as staging:
        staging.put(SLAB, [b"new"])
        staging.publish()
    assert list(store.transport.objects) == [f"P/{SLAB}"]


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"pid": "x"}', b"[" * 5000])
def test_strange_claims_count_as_alive_while_young(content):
    store = dict_store()
    store.put(".P.building/claim-x", [content])
    with pytest.raises(StoreError, match="is being built by process"):
        store.stage("P")


def test_claims_are_renewed_and_their_loss_is_noticed(monkeypatch):
    monkeypatch.setattr(claim, "_RENEW_SECONDS", 0.02)
    store = dict_store()
    staging = store.stage("P")
    (key,) = (key for key in store.transport.objects if "claim-" in key)
    first = store.transport.written[key]
    waited = threading.Event()
    while store.transport.written[key] == first:
        waited.wait(0.01)
    store.delete(key)
    staging.put(SLAB, [b"1"])
    with pytest.raises(StoreError, match="another builder took the name over"):
        staging.publish()
    staging.abort()
    assert store.transport.objects == {}


def test_missing_objects_have_their_own_error():
    with pytest.raises(StoreNotFound, match=r"^s3://tray/a/b does not exist$"):
        dict_store().get("a/b")
