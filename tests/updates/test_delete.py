"""Removing pyramids: all of theirs goes, nothing of anybody else's, also when it is interrupted."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

import pytest
from interruptions import DEAD, Steps, die, in_a_process, moments, tree
from object_builds import use
from object_servers import ObjectServer
from stored_pyramids import Clusters, build_small, contents, link_some

import fastpyr
from fastpyr.cli.main import main
from fastpyr.errors import ConfigError, DescriptorError, StoreError
from fastpyr.store import FileStore, MemoryStore, StoreNotFound
from fastpyr.updates import copy_pyramid, delete_pyramid, find_linkers


@pytest.fixture
def clusters(monkeypatch: pytest.MonkeyPatch) -> Clusters:
    return Clusters(monkeypatch)


def others(folder: Path) -> dict[str, str]:
    """Things beside and inside a pyramid that are not its own."""
    (folder / "notes.txt").write_text("keep")
    (folder / "Z").mkdir()
    (folder / "Z" / "DATA_1_2_3").write_text("keep")
    (folder / "X" / "DATA" / "readme.txt").write_text("keep")
    (folder / "X.json.bak").write_text("keep")
    return {name: content for name, content in tree(folder).items() if "tif" not in name}


def test_a_folder(tmp_path: Path) -> None:
    build_small(tmp_path / "X.json")
    others(tmp_path)
    deletion = delete_pyramid(tmp_path / "X.json")
    assert len(deletion.keys) > 10
    assert not deletion.left
    files = {name for name, content in tree(tmp_path).items() if content != "folder"}
    assert files == {"notes.txt", "Z/DATA_1_2_3", "X/DATA/readme.txt", "X.json.bak"}
    assert {name for name in tree(tmp_path) if name.startswith("X/")} == {"X/DATA", "X/DATA/readme.txt"}
    with pytest.raises(StoreError, match="there is nothing to delete"):
        delete_pyramid(tmp_path / "X.json")


@pytest.mark.parametrize("scheme", ["s3", "swift", "ceph"])
def test_objects(clusters: Clusters, scheme: str) -> None:
    build_small(f"{scheme}://tray/a/X.json")
    keep = {"a/X/other": b"1", "a/XX/DATA_1_2_3": b"2", "a/X": b"3", "X/DATA_1_2_3": b"4", "a/X/DATA_77_1_1": b"5"}
    transport = clusters.tray(scheme, "tray")
    for key, data in keep.items():
        transport.put(key, data)
    delete_pyramid(f"{scheme}://tray/a/X.json")
    assert transport.objects == keep


def test_memory() -> None:
    build_small("mem://gone/X.json")
    MemoryStore.named("gone").put("other", [b"1"])
    delete_pyramid("mem://gone/X.json")
    assert list(MemoryStore.named("gone").list()) == ["other"]


class TestLinks:
    @pytest.fixture(params=["folder", "s3"])
    def base(self, request: pytest.FixtureRequest, clusters: Clusters, tmp_path: Path) -> str:
        """Where LINKED.json has links to OWNER.json."""
        base = str(tmp_path / "in") if request.param == "folder" else "s3://tray/in"
        if request.param == "folder":
            (tmp_path / "in").mkdir()
        link_some(build_small(f"{base}/LINKED.json"), build_small(f"{base}/OWNER.json"), lambda ref: ref.level == "18")
        return base

    def test_the_owner_is_kept(self, base: str) -> None:
        before = contents(f"{base}/LINKED.json")
        with pytest.raises(ConfigError, match=r"is needed by .*LINKED.list: its list has slabs of this pyramid"):
            delete_pyramid(f"{base}/OWNER.json")
        assert contents(f"{base}/LINKED.json") == before
        delete_pyramid(f"{base}/OWNER.json", force=True)
        with pytest.raises(StoreError):
            delete_pyramid(f"{base}/OWNER.json")

    def test_the_linking_one_goes_without_its_targets(self, base: str) -> None:
        before = contents(f"{base}/OWNER.json")
        delete_pyramid(f"{base}/LINKED.json")
        assert contents(f"{base}/OWNER.json") == before
        assert fastpyr.open(f"{base}/OWNER.json").verify().findings == []
        delete_pyramid(f"{base}/OWNER.json")

    def test_broken_links_go_too(self, base: str) -> None:
        delete_pyramid(f"{base}/OWNER.json", force=True)
        delete_pyramid(f"{base}/LINKED.json")
        if "://" not in base:
            assert tree(Path(base)) == {}

    def test_elsewhere(self, base: str, tmp_path: Path) -> None:
        away = str(tmp_path / "far" / "away") if "://" not in base else "s3://other/far"
        copy_pyramid(f"{base}/LINKED.json", f"{away}/COPY.json")
        delete_pyramid(f"{base}/LINKED.json")
        search = str(tmp_path / "far") if "://" not in base else away
        with pytest.raises(ConfigError, match=r"COPY.list"):
            delete_pyramid(f"{base}/OWNER.json", search=[search])
        delete_pyramid(f"{base}/OWNER.json", search=[base])

    def test_a_list_that_cannot_be_read_counts(self, base: str) -> None:
        pyramid = fastpyr.open(f"{base}/LINKED.json")
        pyramid.store.put(pyramid.key.replace(".json", ".list"), [b"\xff"])
        with pytest.raises(ConfigError, match="its list cannot be read"):
            delete_pyramid(f"{base}/OWNER.json")


def test_what_is_reached_through_links_or_is_of_others_stays(tmp_path: Path) -> None:
    real = tmp_path / "disk2"
    shutil.copytree(Path(str(build_small(tmp_path / "X.json").store.location("X"))), real)
    shutil.rmtree(tmp_path / "X")
    (tmp_path / "X").symlink_to(real)
    before = tree(real)
    deletion = delete_pyramid(tmp_path / "X.json")
    assert all("reached through the link" in line for line in deletion.left)
    assert tree(real) == before
    assert (tmp_path / "X").is_symlink()

    build_small(tmp_path / "A.json")
    (tmp_path / "B.json").write_bytes((tmp_path / "A.json").read_bytes())
    before = contents(tmp_path / "A.json")
    with pytest.raises(ConfigError, match=r"B.json: its level .* is in this pyramid's folder"):
        delete_pyramid(tmp_path / "A.json")
    assert all("belong to A" in line for line in delete_pyramid(tmp_path / "B.json").left)
    assert contents(tmp_path / "A.json") == before

    (tmp_path / "sub").mkdir()
    document = json.loads((tmp_path / "A.json").read_text())
    for level in document["levels"]:
        for key in ("image_directory", "mask_directory"):
            level["storage"][key] = "../" + level["storage"][key]
    (tmp_path / "sub" / "C.json").write_text(json.dumps(document))
    assert all("outside" in line for line in delete_pyramid(tmp_path / "sub" / "C.json").left)
    assert contents(tmp_path / "A.json") == before
    assert not (tmp_path / "sub" / "C.json").exists()


def test_unfinished_work_is_in_the_way(tmp_path: Path) -> None:
    build_small(tmp_path / "X.json")
    build_small(tmp_path / "Y.json", seed=2)
    with Steps(60, lambda: (_ for _ in ()).throw(OSError(28, "full"))).watched(), pytest.raises(StoreError):
        copy_pyramid(tmp_path / "X.json", tmp_path / "Y.json", overwrite=True, workers=1)
    with pytest.raises(ConfigError, match="interrupted build or copy"):
        delete_pyramid(tmp_path / "Y.json")
    with FileStore(tmp_path).stage("X", overwrite=True), pytest.raises(StoreError, match="is being built by another"):
        delete_pyramid(tmp_path / "X.json")
    assert (tmp_path / "X.json").exists()


def test_killed_in_a_folder(tmp_path: Path) -> None:
    master, folder = tmp_path / "master", tmp_path / "out"
    master.mkdir()
    build_small(master / "X.json")

    def begin() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(master, folder)
        others(folder)

    begin()
    whole = tree(folder)
    with Steps(None).watched() as steps:
        delete_pyramid(folder / "X.json")
    final = tree(folder)
    for moment in moments(steps.count, 8, last=8):
        begin()

        def dying(moment: int = moment) -> None:
            with Steps(moment, die).watched():
                delete_pyramid(folder / "X.json")

        assert in_a_process(dying) == DEAD
        left = tree(folder)
        if "X.json" in left:
            assert {name: left[name] for name in whole} == whole, moment
        with contextlib.suppress(StoreNotFound):
            delete_pyramid(folder / "X.json")
        assert tree(folder) == final, moment


def test_killed_in_a_tray(clusters: Clusters) -> None:
    transport = clusters.tray("s3", "tray")
    build_small("s3://tray/X.json")
    whole = dict(transport.objects)
    for moment in range(8):
        transport.objects.clear()
        transport.objects.update(whole | {"X/other": b"1"})
        transport.written.update(dict.fromkeys(transport.objects, 0.0))
        with clusters.gone_after("s3", "tray", moment), contextlib.suppress(StoreError):
            delete_pyramid("s3://tray/X.json")
        if "X.json" in transport.objects:
            assert transport.objects.items() >= whole.items()
        with contextlib.suppress(StoreNotFound):
            delete_pyramid("s3://tray/X.json")
        assert {key for key in transport.objects if "claim-" not in key} == {"X/other"}


def test_s3(any_s3: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, any_s3.environment())
    bucket = any_s3.bucket()
    link_some(build_small(f"s3://{bucket}/B.json"), build_small(f"s3://{bucket}/A.json"), lambda ref: ref.level == "17")
    with pytest.raises(ConfigError, match=r"B.list"):
        delete_pyramid(f"s3://{bucket}/A.json")
    delete_pyramid(f"s3://{bucket}/B.json")
    delete_pyramid(f"s3://{bucket}/A.json")
    assert any_s3.objects(bucket) == {}


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build_small(tmp_path / "X.json")
    assert main(["delete", str(tmp_path / "X.json")]) == 2
    assert "confirm it with --yes" in capsys.readouterr().err
    assert os.path.exists(tmp_path / "X.json")
    assert main(["delete", str(tmp_path / "X.json"), "--yes", "--search", str(tmp_path)]) == 0
    assert "deleted" in capsys.readouterr().out
    assert tree(tmp_path) == {}
    (tmp_path / "W.json").write_text("{}")
    with pytest.raises(DescriptorError):
        delete_pyramid(tmp_path / "W.json")
    assert main(["delete", str(tmp_path / "W.json"), "--yes"]) == 2
    with pytest.raises(StoreError, match="not a folder"):
        find_linkers(FileStore(tmp_path), "W", [tmp_path / "none"])
