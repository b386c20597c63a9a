"""Whole builds on object storage: the same slabs as on disk, object by object; reading; replacing; two at once."""

import json

import numpy as np
import pytest
from fault_proxy import FaultProxy
from object_builds import LEVEL, OPTIONS, as_objects, source, use
from object_servers import DictTransport, dict_store

import fastpyr
from fastpyr.cli.main import main
from fastpyr.errors import ConfigError, StoreError
from fastpyr.store import location, open_location
from fastpyr.store.layout import StorageType
from fastpyr.store.naming import object_link


@pytest.mark.parametrize("compression", ["jpg", "zip"])
def test_same_slabs_as_on_disk(s3_server, tmp_path, monkeypatch, compression):
    use(monkeypatch, s3_server.environment())
    bucket = s3_server.bucket()
    fastpyr.build(source(), tmp_path / "X.json", compression=compression, **OPTIONS)
    pyramid = fastpyr.build(source(), f"s3://{bucket}/deep/X.json", compression=compression, **OPTIONS)
    expected = as_objects(tmp_path, "X")
    objects = s3_server.objects(bucket)
    descriptor, listing = objects.pop("deep/X.json"), objects.pop("deep/X.list").decode()
    assert {key.removeprefix("deep/X/"): data for key, data in objects.items()} == expected

    document, on_disk = json.loads(descriptor), json.loads((tmp_path / "X.json").read_bytes())
    for level, other in zip(document["levels"], on_disk["levels"], strict=True):
        assert level.pop("storage") == {
            "type": "S3",
            "bucket_name": bucket,
            "image_prefix": f"deep/X/DATA_{level['id']}",
            "mask_prefix": f"deep/X/MASK_{level['id']}",
        }
        other.pop("storage")
    assert document == on_disk
    head, entries = listing.split("#\n")
    assert head == f"0={bucket}/deep/X\n"
    assert sorted(entries.split()) == sorted(f"0/{name}" for name in expected)

    assert pyramid.verify(all_tiles=True).ok
    disk = fastpyr.open(tmp_path / "X.json")
    assert pyramid.size == disk.size
    for one, two in zip(pyramid.read("16"), disk.read("16"), strict=True):
        np.testing.assert_array_equal(one, two)


def test_one_ranged_get_per_tile(any_s3, monkeypatch):
    bucket = any_s3.bucket()
    with FaultProxy(any_s3.url) as proxy:
        use(monkeypatch, any_s3.environment(proxy.url))
        pyramid = fastpyr.build(source(), f"s3://{bucket}/X.json", compression="zip", **OPTIONS)
        limits = pyramid.levels[0].limits
        pyramid.tile(LEVEL, limits.min_col, limits.min_row)
        before = proxy.requests
        pyramid.tile(LEVEL, limits.min_col, limits.min_row)
        assert [method for method, _ in proxy.log[before:]] == ["GET"]
        assert pyramid.tile(LEVEL, 0, 0) is None
        open_location(f"s3://{bucket}/X/x")[0].delete(pyramid.slab_key(next(pyramid.slabs())))
        assert fastpyr.open(f"s3://{bucket}/X.json").tile(LEVEL, limits.min_col, limits.min_row) is None


def test_links_to_another_bucket_of_the_cluster(any_s3, monkeypatch):
    use(monkeypatch, any_s3.environment())
    bucket, other = any_s3.bucket(), any_s3.bucket()
    pyramid = fastpyr.build(source(), f"s3://{bucket}/X.json", compression="png", **OPTIONS)
    col, row = pyramid.levels[0].limits.min_col, pyramid.levels[0].limits.min_row
    expected = pyramid.tile(LEVEL, col, row)
    key = f"X/DATA_{LEVEL}_{col // 2}_{row // 2}"
    theirs, _ = open_location(f"s3://{other}/Y.json")
    theirs.put("Y/slab", [pyramid.store.get(key)])
    pyramid.store.put(key, [object_link(f"{other}/Y/slab")])
    linked = fastpyr.open(f"s3://{bucket}/X.json")
    np.testing.assert_array_equal(linked.tile(LEVEL, col, row), expected)
    assert linked.verify().ok
    theirs.put("Y/slab", [object_link(f"{other}/Y/real")])
    with pytest.raises(StoreError, match="links cannot be chained"):
        fastpyr.open(f"s3://{bucket}/X.json").tile(LEVEL, col, row)
    report = linked.verify()
    assert [f.check for f in report.findings if f.severity == "error"] == ["link"]


def test_levels_in_another_bucket(any_s3, monkeypatch, tmp_path, capsys):
    """A descriptor may name another bucket of its cluster for a level."""
    use(monkeypatch, any_s3.environment())
    bucket, other = any_s3.bucket(), any_s3.bucket()
    pyramid = fastpyr.build(source(), f"s3://{bucket}/X.json", compression="png", **OPTIONS)
    expected = {level: pyramid.read(level) for level in ("18", "16")}
    size = pyramid.size
    theirs, _ = open_location(f"s3://{other}/X.json")
    for ref in list(pyramid.slabs()):
        if ref.level == "18":
            key = pyramid.slab_key(ref)
            theirs.put(key, [pyramid.store.get(key)])
            pyramid.store.delete(key)
    document = json.loads(pyramid.store.get("X.json"))
    (level,) = (level for level in document["levels"] if level["id"] == "18")
    level["storage"]["bucket_name"] = other
    pyramid.store.put("X.json", [json.dumps(document).encode()])
    moved = fastpyr.open(f"s3://{bucket}/X.json")
    for level_id, images in expected.items():
        for one, two in zip(images, moved.read(level_id), strict=True):
            np.testing.assert_array_equal(one, two)
    assert moved.verify(all_tiles=True).ok
    assert moved.size == size
    (tmp_path / "X.json").write_text(json.dumps(document))
    assert main(["info", str(tmp_path / "X.json")]) == 2
    said = capsys.readouterr().err
    assert "level 15 is in S3 storage, but the descriptor was read from" in said
    assert said.count("\n") == 1


def test_overwriting(any_s3, tmp_path, monkeypatch):
    use(monkeypatch, any_s3.environment())
    bucket = any_s3.bucket()
    uri = f"s3://{bucket}/X.json"
    fastpyr.build(source(1, 1300), uri, compression="png", **OPTIONS)
    old = any_s3.objects(bucket)
    with pytest.raises(ConfigError, match=r"X\.json exists: choose another name, or replace it with --overwrite"):
        fastpyr.build(source(2), uri, compression="png", **OPTIONS)

    class Stop(Exception):
        pass

    def stop(progress):
        if progress.slabs == 5:
            raise Stop

    with pytest.raises(Stop):
        fastpyr.build(source(2), uri, compression="png", overwrite=True, progress=stop, **OPTIONS)
    assert any_s3.objects(bucket) == old
    with pytest.raises(Stop):
        fastpyr.build(source(2), f"s3://{bucket}/Y.json", compression="png", progress=stop, **OPTIONS)
    assert any_s3.objects(bucket) == old

    fastpyr.build(source(2), uri, compression="png", overwrite=True, **OPTIONS)
    fastpyr.build(source(2), tmp_path / "X.json", compression="png", **OPTIONS)
    found = any_s3.objects(bucket, "X/")
    assert {key.removeprefix("X/"): data for key, data in found.items()} == as_objects(tmp_path, "X")
    assert sorted(any_s3.objects(bucket, "X.")) == ["X.json", "X.list"]
    assert any_s3.objects(bucket, ".") == {}


def test_the_second_builder_is_refused(moto, monkeypatch):
    use(monkeypatch, moto.environment())
    bucket = moto.bucket()
    refused = []

    def second(progress):
        if not refused:
            refused.append(None)
            with pytest.raises(StoreError, match="is being built by process") as caught:
                fastpyr.build(source(), f"s3://{bucket}/X.json", compression="png", **OPTIONS)
            refused[0] = str(caught.value)

    fastpyr.build(source(), f"s3://{bucket}/X.json", compression="png", progress=second, **OPTIONS)
    assert refused[0] is not None, "no slab was ever written"
    assert fastpyr.open(f"s3://{bucket}/X.json").verify().ok


@pytest.mark.parametrize("storage", [StorageType.SWIFT, StorageType.CEPH])
def test_swift_and_ceph_descriptors(tmp_path, monkeypatch, storage):
    transport = DictTransport()
    monkeypatch.setattr(location, "_object_store", lambda scheme, tray: dict_store(transport, storage, tray))
    uri = f"{storage.value.lower()}://tray/a/X.json"
    pyramid = fastpyr.build(source(), uri, compression="png", **OPTIONS)
    tray_key = {"SWIFT": "container_name", "CEPH": "pool_name"}[storage.value]
    level = json.loads(transport.objects["a/X.json"])["levels"][0]
    assert level["storage"] == {
        "type": storage.value,
        tray_key: "tray",
        "image_prefix": "a/X/DATA_15",
        "mask_prefix": "a/X/MASK_15",
    }
    assert transport.objects["a/X.list"].startswith(b"0=tray/a/X\n#\n0/DATA_18_")
    assert pyramid.verify().ok
    fastpyr.build(source(), tmp_path / "X.json", compression="png", **OPTIONS)
    slabs = {key.removeprefix("a/X/"): data for key, data in transport.objects.items() if key.startswith("a/X/")}
    assert slabs == as_objects(tmp_path, "X")


def test_commands_take_uris(any_s3, tmp_path, monkeypatch, capsys):
    use(monkeypatch, any_s3.environment())
    bucket = any_s3.bucket()
    host = any_s3.url.removeprefix("http://")
    uri = f"s3://{bucket}@{host}/X.json"
    pyramid = fastpyr.build(source(), uri, compression="png", **OPTIONS)
    limits = pyramid.levels[0].limits
    assert main(["info", uri, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["descriptor"] == uri
    assert main(["info", f"s3://{bucket}/{pyramid.slab_key(next(pyramid.slabs()))}"]) == 0
    assert main(["verify", uri]) == 0
    tile = tmp_path / "tile.png"
    assert main(["tile", uri, LEVEL, str(limits.min_col), str(limits.min_row), "-o", str(tile)]) == 0
    assert tile.stat().st_size > 1000
    assert main(["export", uri, "15", str(tmp_path / "level.tif")]) == 0
    capsys.readouterr()
    for broken in (
        f"s3://{bucket}/NONE.json",
        f"s3://{bucket}@nowhere/X.json",
        "s3://",
        "s3://no-such-bucket-1/X.json",
    ):
        assert main(["info", broken]) == 2
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1
        assert captured.err.startswith("fastpyr: error: ")
