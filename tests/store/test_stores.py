"""The same verbs, the same answers, in folders, in memory and in object storage."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from object_servers import ObjectServer, dict_store

from fastpyr.errors import StoreError
from fastpyr.store import FileStore, MemoryStore, Staging, Store, StoreNotFound, open_location
from fastpyr.store.base import check_key, normal_key


@pytest.fixture(params=["file", "memory", "objects", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        server: ObjectServer = request.getfixturevalue("moto")
        return server.store()
    if request.param == "objects":
        return dict_store()
    return FileStore(tmp_path / "root") if request.param == "file" else MemoryStore()


@pytest.fixture(params=["file", "memory"])
def tree_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Stores whose trees appear at once."""
    return FileStore(tmp_path / "root") if request.param == "file" else MemoryStore()


def test_put_and_get(store: Store) -> None:
    assert isinstance(store, Store)
    key = "P/DATA/1/00/00/00.tif"
    assert not store.exists(key)
    store.put(key, [b"abc", bytearray(b""), memoryview(b"defgh"), b"i"])
    assert store.get(key) == b"abcdefghi"
    assert store.size(key) == 9
    assert store.exists(key)
    assert not store.exists("P/DATA")
    store.put(key, [])
    assert store.get(key) == b""


def test_ranges(store: Store) -> None:
    store.put("a", [bytes(range(10))])
    assert store.get_range("a", 2, 3) == b"\2\3\4"
    assert store.get_range("a", 8, 10) == b"\x08\x09"
    assert store.get_range("a", 10, 5) == b""
    assert store.get_range("a", 2**40, 2**40) == b""
    assert store.get_range("a", 0, 2**40) == bytes(range(10))
    assert store.get_range("a", 3, 0) == b""
    for offset, size in ((-1, 2), (0, -1)):
        with pytest.raises(StoreError, match="cannot read"):
            store.get_range("a", offset, size)


def test_what_is_not_there(store: Store) -> None:
    for verb in (store.get, store.size, lambda key: store.get_range(key, 0, 1)):
        with pytest.raises(StoreNotFound, match=r"nowhere/x\.tif does not exist"):
            verb("nowhere/x.tif")
    store.delete("nowhere/x.tif")
    assert list(store.list()) == []
    assert list(store.list("nowhere")) == []


def test_below_a_file_there_is_nothing(store: Store) -> None:
    store.put("a", [b"x"])
    assert not store.exists("a/b")
    with pytest.raises(StoreNotFound):
        store.get("a/b")


def test_list_and_delete(store: Store) -> None:
    keys = ["P.json", "P/DATA/1/00.tif", "P/DATA/10/00.tif", "P/MASK/1/00.tif", "PP/x"]
    for key in reversed(keys):
        store.put(key, [b"x"])
    assert sorted(store.list()) == keys
    assert list(store.list("P")) == keys[1:4]
    assert list(store.list("P/")) == keys[1:4]
    assert list(store.list("P/DATA/1")) == keys[1:2]
    store.delete(keys[1])
    assert list(store.list("P")) == keys[2:4]


@pytest.mark.parametrize("key", ["", "/etc/passwd", "a\0b"])
def test_keys_that_name_nothing(store: Store, key: str) -> None:
    for verb in (store.get, store.exists, store.size, store.delete, lambda k: store.put(k, [b""]), store.stage):
        with pytest.raises(StoreError, match="cannot name an object"):
            verb(key)


@pytest.mark.parametrize("key", ["..", "../x", "a/../../x", ".", "a/..", "a/"])
def test_nothing_is_written_outside(store: Store, key: str) -> None:
    for verb in (store.delete, lambda k: store.put(k, [b"x"]), store.stage):
        with pytest.raises(StoreError, match="cannot be written"):
            verb(key)


def test_reading_may_climb_to_a_neighbour(tmp_path: Path) -> None:
    FileStore(tmp_path / "b").put("slab", [b"x"])
    (tmp_path / "a").mkdir()
    assert FileStore(tmp_path / "a").get("../b/slab") == b"x"


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", "..."]), min_size=1, max_size=8))
def test_written_keys_stay_inside(parts: list[str]) -> None:
    key = "/".join(parts)
    try:
        normal = check_key(key)
    except StoreError:
        return
    root = Path("/root/of/the/store")
    inside = Path(os.path.normpath(root / key))
    assert inside.is_relative_to(root)
    assert inside != root
    assert root / normal == inside
    assert normal_key(key) == normal


# moto's server itself does not bear an object that is written and read at the same time
@pytest.mark.parametrize("store", ["file", "memory", "objects"], indirect=True)
def test_many_threads(store: Store) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(40):
                store.put(f"P/{i % 5}/{number}-{i}", [bytes([number]) * 100, bytes([i])])
                store.put("P/shared", [bytes([number]) * 5000])
                assert len(set(store.get("P/shared"))) == 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(list(store.list())) == 6 * 40 + 1
    assert store.get("P/3/5-38") == b"\5" * 100 + b"\x26"


def test_staged_tree_appears_at_once(tree_store: Store) -> None:
    staging = tree_store.stage("P")
    assert isinstance(staging, Staging)
    staging.put("DATA/1/00.tif", [b"slab"])
    assert staging.get("DATA/1/00.tif") == b"slab"
    assert staging.get_range("DATA/1/00.tif", 1, 2) == b"la"
    assert list(tree_store.list()) == []
    assert not tree_store.exists("P/DATA/1/00.tif")
    staging.publish()
    assert list(tree_store.list()) == ["P/DATA/1/00.tif"]
    staging.abort()
    assert list(tree_store.list()) == ["P/DATA/1/00.tif"]
    for verb in (lambda: staging.put("x", [b""]), staging.publish):
        with pytest.raises(StoreError, match="this staging has ended"):
            verb()


def test_aborted_tree_leaves_nothing(tree_store: Store) -> None:
    tree_store.put("P.json", [b"{}"])
    staging = tree_store.stage("P")
    staging.put("DATA/1/00.tif", [b"slab"])
    staging.abort()
    staging.abort()
    assert list(tree_store.list()) == ["P.json"]
    with pytest.raises(StoreError, match="this staging has ended"):
        staging.put("x", [b""])


def _leave_by_an_error(tree_store: Store) -> None:
    with tree_store.stage("P") as staging:
        staging.put("a", [b"1"])
        raise RuntimeError("stop")


def test_leaving_the_block_aborts(tree_store: Store) -> None:
    with pytest.raises(RuntimeError, match="stop"):
        _leave_by_an_error(tree_store)
    with tree_store.stage("P") as staging:
        staging.put("b", [b"2"])
    assert list(tree_store.list()) == []
    with tree_store.stage("P") as staging:
        staging.put("c", [b"3"])
        staging.publish()
    assert list(tree_store.list()) == ["P/c"]


def test_an_existing_tree_is_only_replaced_on_demand(tree_store: Store) -> None:
    tree_store.put("P/old", [b"old"])
    tree_store.put("PP", [b"other"])
    staging = tree_store.stage("P")
    staging.put("new", [b"new"])
    with pytest.raises(StoreError, match=r"P exists: choose another name, or overwrite it \(--overwrite\)"):
        staging.publish()
    assert sorted(tree_store.list()) == ["P/old", "PP"]
    staging.publish(overwrite=True)
    assert sorted(tree_store.list()) == ["P/new", "PP"]


def test_two_builders_of_one_tree(tree_store: Store) -> None:
    first = tree_store.stage("P")
    with pytest.raises(StoreError, match="is being built by another"):
        tree_store.stage("P")
    tree_store.stage("Q").abort()
    first.abort()
    tree_store.stage("P").abort()


def test_locations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    uris: list[tuple[str | Path, str]] = [
        ("ORTHO.json", "ORTHO.json"),
        ("out/ORTHO.json", "out/ORTHO.json"),
        (tmp_path / "x" / "O.json", "x/O.json"),
        ((tmp_path / "with space" / "O.json").as_uri(), "with space/O.json"),
    ]
    for uri, path in uris:
        store, key = open_location(uri)
        store.put(key, [b"{}"])
        assert (tmp_path / path).read_bytes() == b"{}"
    store, key = open_location("mem://test-locations/a/ORTHO.json")
    store.put(key, [b"1"])
    assert open_location("mem://test-locations/x")[0] is store
    assert (key, store.get("a/ORTHO.json")) == ("a/ORTHO.json", b"1")
    assert store.location(key) == "mem://test-locations/a/ORTHO.json"


NO_FILES = ["", "file://host/x", "out/", "/", "..", "a\0b"]
NO_OBJECTS = ["s4://b/x.json", "s3://b", "s3://b/", "swift:///x", "ceph://", "mem://", "mem:///x", "mem://n"]


@pytest.mark.parametrize("uri", NO_FILES + NO_OBJECTS)
def test_locations_that_are_none(uri: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_location(uri)
    assert "\n" not in str(caught.value)
