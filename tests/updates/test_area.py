"""The area that a tree is put together in: what an earlier run has left survives a run that fails at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from stored_pyramids import Clusters

from fastpyr.store import open_location
from fastpyr.updates.area import Area, open_area

IDENTITY = {"source": "somewhere"}


def fail_after_one(area: Area, key: str) -> None:
    area.put(key, [b"slab"])
    assert area.get(key) == b"slab"  # it has arrived
    raise RuntimeError


@pytest.mark.parametrize("kind", ["folder", "s3", "ceph"])
def test_a_run_that_fails_at_once_loses_nothing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = Clusters(monkeypatch)
    store, _ = open_location(f"{tmp_path}/X.json" if kind == "folder" else f"{kind}://tray/X.json")
    key = "DATA/1/00/00/00.tif" if kind == "folder" else "DATA_1_0_0"
    with pytest.raises(RuntimeError) as failed, open_area(store, "X", IDENTITY, overwrite=False) as area:
        fail_after_one(area, key)
    assert failed.value.__notes__
    with pytest.raises(RuntimeError), open_area(store, "X", IDENTITY, overwrite=False):
        raise RuntimeError
    with open_area(store, "X", IDENTITY, overwrite=False) as area:
        assert area.found(key) == 4
        assert area.get(key) == b"slab"
        area.keep(key)
        area.publish([key], b"list", b"descriptor")
    assert [store.get(name) for name in ("X.json", "X.list", f"X/{key}")] == [b"descriptor", b"list", b"slab"]
    if kind == "folder":
        assert sorted(path.name for path in tmp_path.iterdir()) == ["X", "X.json", "X.list"]
    else:
        assert sorted(clusters.tray(kind, "tray").objects) == ["X.json", "X.list", f"X/{key}"]


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_run_that_did_nothing_leaves_nothing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clusters = Clusters(monkeypatch)
    uri = f"{tmp_path}/new/deep/X.json" if kind == "folder" else "s3://tray/X.json"
    store, _ = open_location(uri)
    with pytest.raises(RuntimeError), open_area(store, "X", IDENTITY, overwrite=False):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    assert clusters.tray("s3", "tray").objects == {}
