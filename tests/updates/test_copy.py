"""Copies of pyramids between stores: the same slabs under the names of the new place, also after interruptions."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from interruptions import DEAD, Steps, die, fill_the_disk, in_a_process, moments, tree
from object_builds import as_objects, use
from object_servers import ObjectServer
from stored_pyramids import Clusters, build_small, contents, link_some

import fastpyr
from fastpyr.cli.main import main
from fastpyr.errors import ConfigError, DescriptorError, FastpyrError, StoreError
from fastpyr.formats import SlabKind
from fastpyr.pyramid.list import parse_list
from fastpyr.store import MemoryStore
from fastpyr.updates import copy_pyramid

PLACES = ["folder", "mem", "s3", "swift", "ceph"]


@pytest.fixture
def clusters(monkeypatch: pytest.MonkeyPatch) -> Clusters:
    return Clusters(monkeypatch)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "X.json"
    build_small(path)
    return path


def place(kind: str, folder: Path, name: str = "Y") -> str:
    if kind == "folder":
        return str(folder / "new" / f"{name}.json")
    return (
        f"mem://{folder}/{name}.json".replace(f"{folder}", folder.name)
        if kind == "mem"
        else f"{kind}://tray/a/{name}.json"
    )


@pytest.mark.parametrize("second", PLACES)
@pytest.mark.parametrize("first", PLACES)
def test_between_all_stores(original: Path, clusters: Clusters, tmp_path: Path, first: str, second: str) -> None:
    there, here = place(first, tmp_path, "ONE"), place(second, tmp_path, "TWO")
    copy_pyramid(original, there)
    result = copy_pyramid(there, here)
    expected = contents(original)
    assert contents(here) == expected
    assert (result.copied, result.kept, result.linked, result.skipped) == (len(expected), 0, 0, 0)
    assert {ref.kind for ref in expected} == {SlabKind.DATA, SlabKind.MASK}
    report = fastpyr.open(here).verify(all_tiles=True)
    assert report.ok
    assert not report.findings


def test_names_descriptor_and_list_are_those_of_a_build(clusters: Clusters, tmp_path: Path, original: Path) -> None:
    build_small("s3://tray/a/X.json")
    built = dict(clusters.tray("s3", "tray").objects)
    copy_pyramid(original, "s3://tray/b/X.json")
    objects = {k: v for k, v in clusters.tray("s3", "tray").objects.items() if k.startswith("b/")}
    assert {k.removeprefix("b/X/"): v for k, v in objects.items() if "_" in k} == as_objects(original.parent, "X")
    assert objects["b/X.json"] == built["a/X.json"].replace(b"a/X", b"b/X")
    assert sorted(objects["b/X.list"].split()) == sorted(built["a/X.list"].replace(b"a/X", b"b/X").split())
    copy_pyramid("s3://tray/b/X.json", tmp_path / "X.json")
    before = {k: v for k, v in tree(original.parent).items() if k != "X.list"}
    assert {k: v for k, v in tree(tmp_path).items() if k != "X.list"} == before
    assert (tmp_path / "X.list").read_text().startswith(f"0={tmp_path}/X\n#\n")


def test_path_depth(original: Path, tmp_path: Path) -> None:
    copy_pyramid(original, tmp_path / "X.json", path_depth=1)
    assert {level.path_depth for level in fastpyr.open(tmp_path / "X.json").descriptor.levels} == {1}
    copy_pyramid(tmp_path / "X.json", tmp_path / "Z.json")
    assert contents(tmp_path / "Z.json") == contents(original)
    assert {len(path.relative_to(tmp_path / "Z").parts) for path in (tmp_path / "Z").rglob("*.tif")} == {4}


def test_small_slabs_are_left_out(original: Path, tmp_path: Path) -> None:
    pyramid = fastpyr.open(original)
    sizes = sorted(pyramid.slab_bytes(ref) for ref in pyramid.slabs())
    limit = sizes[len(sizes) // 2]
    result = copy_pyramid(original, tmp_path / "X.json", slab_limit=limit)
    kept = {ref for ref in pyramid.slabs() if pyramid.slab_bytes(ref) > limit}
    assert set(fastpyr.open(tmp_path / "X.json").slabs()) == kept
    assert result.skipped == len(sizes) - len(kept) > 0


class TestLinks:
    @pytest.fixture(params=["folder", "s3"])
    def linked(self, request: pytest.FixtureRequest, clusters: Clusters, tmp_path: Path) -> str:
        """LINKED.json, whose bottom slabs are those of OWNER.json."""
        base = str(tmp_path / "in") if request.param == "folder" else "s3://tray/in"
        if request.param == "folder":
            (tmp_path / "in").mkdir()
        owner, pyramid = build_small(f"{base}/OWNER.json"), build_small(f"{base}/LINKED.json")
        assert link_some(pyramid, owner, lambda ref: ref.level == "18")
        assert not [f for f in fastpyr.open(f"{base}/LINKED.json").verify().findings if f.severity == "error"]
        return f"{base}/LINKED.json"

    def test_made_again(self, linked: str, tmp_path: Path, clusters: Clusters) -> None:
        target = str(tmp_path / "out" / "Y.json") if "://" not in linked else "s3://other/out/Y.json"
        result = copy_pyramid(linked, target)
        pyramid = fastpyr.open(target)
        assert contents(target) == contents(linked)
        assert result.linked == sum(ref.level == "18" for ref in pyramid.slabs()) > 0
        root = parse_list(pyramid.store.get(pyramid.key.replace(".json", ".list"))).roots[1]
        assert root == (str(tmp_path / "in" / "OWNER") if "://" not in linked else "tray/in/OWNER")
        assert pyramid.verify(all_tiles=True).ok
        again = copy_pyramid(target, target.replace("Y.json", "Z.json"))  # a copy's links lead to the owner in one hop
        assert again.linked == result.linked
        for path in (tmp_path / "out" / "Z").rglob("*.tif"):
            if path.is_symlink():
                assert not os.path.isabs(os.readlink(path))
                assert "OWNER" in os.readlink(path)

    def test_followed(self, linked: str, tmp_path: Path, clusters: Clusters) -> None:
        for target in (str(tmp_path / "out" / "Y.json"), "s3://other/Y.json", "swift://other/Y.json"):
            assert copy_pyramid(linked, target, follow_links=True).linked == 0
            assert contents(target) == contents(linked)
            assert fastpyr.open(target).verify().findings == []
        assert not [path for path in (tmp_path / "out").rglob("*") if path.is_symlink()]

    def test_refused_where_the_owner_is_out_of_reach(self, linked: str, tmp_path: Path, clusters: Clusters) -> None:
        targets = ["swift://tray/Y.json", "mem://far/Y.json"]
        targets.append("s3://other/Y.json" if "://" not in linked else str(tmp_path / "Y.json"))
        for target in targets:
            with pytest.raises(ConfigError, match=r"cannot link to: copy it as a slab .--follow-links."):
                copy_pyramid(linked, target)
        assert not (tmp_path / "Y").exists()
        assert not clusters.tray("swift", "tray").objects

    def test_links_need_the_same_path_depth(self, linked: str, tmp_path: Path) -> None:
        """The list has the owner's path, and other readers count its folders by the copy's depth."""
        if "://" not in linked:
            with pytest.raises(ConfigError, match="another path depth than the 1 of the new pyramid"):
                copy_pyramid(linked, tmp_path / "Y.json", path_depth=1)
        copy_pyramid(linked, tmp_path / "Y.json", path_depth=1, follow_links=True)
        assert contents(tmp_path / "Y.json") == contents(linked)

    def test_the_owner_is_not_replaced(self, linked: str) -> None:
        owner = linked.replace("LINKED", "OWNER")
        before = contents(linked)
        for follow in (True, False):
            with pytest.raises(ConfigError, match=r"choose another name|cannot be replaced"):
                copy_pyramid(linked, owner, overwrite=True, follow_links=follow)
        assert contents(linked) == before

    def test_a_broken_link(self, linked: str, tmp_path: Path) -> None:
        pyramid = fastpyr.open(linked.replace("LINKED", "OWNER"))
        pyramid.store.delete(next(pyramid.slab_key(ref) for ref in pyramid.slabs() if ref.level == "18"))
        for follow in (True, False):
            with pytest.raises(StoreError, match="does not exist"):
                copy_pyramid(linked, tmp_path / "out" / "Y.json", follow_links=follow)
        assert not (tmp_path / "out" / "Y.json").exists()


def test_hard_links_are_slabs_of_the_copy_when_the_list_says_so(tmp_path: Path) -> None:
    """BE4's hlink updates: list root 0, a file shared with the ancestor."""
    owner, pyramid = build_small(tmp_path / "OWNER.json"), build_small(tmp_path / "HARD.json")
    for ref in pyramid.slabs():
        path = Path(pyramid.store.location(pyramid.slab_key(ref)))
        path.unlink()
        os.link(owner.store.location(owner.slab_key(ref)), path)
    result = copy_pyramid(tmp_path / "HARD.json", tmp_path / "Y.json")
    assert result.linked == 0
    assert {path.stat().st_nlink for path in (tmp_path / "Y").rglob("*.tif")} == {1}


def test_sums_of_the_list(original: Path, tmp_path: Path) -> None:
    shutil.copytree(original.parent, tmp_path / "in")
    listing = (tmp_path / "in" / "X.list").read_text().splitlines()
    head, names = listing[:2], listing[2:]

    def md5(name: str) -> str:
        return hashlib.md5((tmp_path / "in" / "X" / name[2:]).read_bytes()).hexdigest().upper()

    (tmp_path / "in" / "X.list").write_text("\n".join(head + [f"{name} {md5(name)}" for name in names]) + "\n")
    copy_pyramid(tmp_path / "in" / "X.json", tmp_path / "Y.json")
    assert contents(tmp_path / "Y.json") == contents(original)
    victim = tmp_path / "in" / "X" / names[3][2:]
    data = bytearray(victim.read_bytes())
    data[-30] ^= 1
    victim.write_bytes(data)
    with pytest.raises(StoreError, match=r"is damaged: its MD5 is .*, the list says"):
        copy_pyramid(tmp_path / "in" / "X.json", tmp_path / "Z.json")
    assert not (tmp_path / "Z.json").exists()


class TestRefusals:
    def test_onto_itself(self, original: Path, tmp_path: Path, clusters: Clusters) -> None:
        copy_pyramid(original, "s3://tray/X.json")
        (tmp_path / "alias").symlink_to(original.parent)
        for source, target in (
            (original, original),
            (original, tmp_path / "alias" / "X.json"),
            ("s3://tray/X.json", "s3://tray/X.json"),
        ):
            with pytest.raises(ConfigError, match="onto itself"):
                copy_pyramid(source, target, overwrite=True)

    def test_existing(self, original: Path, tmp_path: Path) -> None:
        build_small(tmp_path / "X.json", seed=2)
        before = tree(tmp_path)
        with pytest.raises(ConfigError, match="exists: choose another name, or replace it with --overwrite"):
            copy_pyramid(original, tmp_path / "X.json")
        assert tree(tmp_path) == before
        copy_pyramid(original, tmp_path / "X.json", overwrite=True)
        assert contents(tmp_path / "X.json") == contents(original)
        assert fastpyr.open(tmp_path / "X.json").verify().findings == []
        assert not [name for name in tree(tmp_path) if name.startswith(".")]

    def test_missing_and_damaged(self, original: Path, tmp_path: Path) -> None:
        shutil.copytree(original.parent, tmp_path / "in")
        victim = next((tmp_path / "in" / "X").rglob("*.tif"))
        victim.write_bytes(victim.read_bytes()[:100])
        with pytest.raises(StoreError, match="it is truncated"):
            copy_pyramid(tmp_path / "in" / "X.json", tmp_path / "out" / "Y.json")
        victim.unlink()
        with pytest.raises(StoreError, match="is listed, but it does not exist: verify"):
            copy_pyramid(tmp_path / "in" / "X.json", tmp_path / "out" / "Z.json")
        assert not (tmp_path / "out" / "Z.json").exists()
        for wrong in ("out/X", "no.json"):
            with pytest.raises((DescriptorError, StoreError)):
                copy_pyramid(tmp_path / wrong, tmp_path / "W.json")


@pytest.mark.parametrize("overwrite", [False, True])
def test_killed_at_any_step_in_a_folder(original: Path, tmp_path: Path, overwrite: bool) -> None:
    """A process that dies leaves the old pyramid, none, or the new one; the same call finishes the work."""
    target = tmp_path / "out" / "Y.json"
    expected = contents(original)

    def copy() -> None:
        copy_pyramid(original, target, overwrite=overwrite, workers=1)

    def begin() -> dict[object, str]:
        shutil.rmtree(target.parent, ignore_errors=True)
        if overwrite:
            build_small(target, seed=2)
            return dict(contents(target))
        return {}

    old = begin()
    with Steps(None).watched() as steps:
        copy()
    final = tree(target.parent)
    for moment in moments(steps.count, 6, last=30):
        begin()

        def dying(moment: int = moment) -> None:
            with Steps(moment, die).watched():
                copy()

        assert in_a_process(dying) == DEAD
        if target.exists():
            assert contents(target) in (old, expected), moment
        try:
            copy()
        except ConfigError:  # it was killed after its note was removed, when all was done
            assert contents(target) == expected
            assert not (target.parent / ".Y.copying" / "note").exists()
        assert tree(target.parent) == final, moment


@pytest.mark.parametrize("overwrite", [False, True])
def test_killed_at_any_request(original: Path, clusters: Clusters, overwrite: bool) -> None:
    uri, transport = "s3://tray/a/Y.json", clusters.tray("s3", "tray")
    expected = contents(original)

    def begin() -> dict[object, str]:
        transport.objects.clear()
        if overwrite:
            build_small(uri, seed=2)
            return dict(contents(uri))
        return {}

    old = begin()
    started = len(transport.requests)
    copy_pyramid(original, uri, overwrite=overwrite)
    final = dict(transport.objects)
    count = sum(verb in ("put", "delete", "copy") for verb, _ in transport.requests[started:])
    for moment in moments(count, 6, last=24):
        begin()
        with clusters.gone_after("s3", "tray", moment), pytest.raises(StoreError):
            copy_pyramid(original, uri, overwrite=overwrite, workers=1)
        if "a/Y.json" in transport.objects:
            assert contents(uri) in (old, expected), moment
        copy_pyramid(original, uri, overwrite=overwrite)
        assert transport.objects == final, moment


def test_going_on(original: Path, tmp_path: Path) -> None:
    """What is there is not read again; another source begins anew; nothing is kept of a copy that did nothing."""
    target = tmp_path / "out" / "Y.json"
    with Steps(60, fill_the_disk).watched(), pytest.raises(StoreError, match="no space left") as failed:
        copy_pyramid(original, target, workers=1)
    assert failed.value.__notes__ == ["what was written is kept: run the same command again to go on"]
    with pytest.raises(ConfigError, match="limit"):
        copy_pyramid(original, target, slab_limit=-1)
    left = {path.name for path in (tmp_path / "out" / ".Y.building").rglob("*.tif")}
    result = copy_pyramid(original, target)
    assert result.kept == sum(1 for _ in (tmp_path / "out" / "Y").rglob("*.tif")) - result.copied > 0
    assert left
    with Steps(60, fill_the_disk).watched(), pytest.raises(StoreError):
        copy_pyramid(original, tmp_path / "out" / "Z.json", workers=1)
    build_small(tmp_path / "OTHER.json", seed=3)
    assert copy_pyramid(tmp_path / "OTHER.json", tmp_path / "out" / "Z.json").kept == 0
    assert contents(tmp_path / "out" / "Z.json") == contents(tmp_path / "OTHER.json")
    assert not [name for name in tree(tmp_path) if "/." in name]


def test_two_at_once_are_refused(original: Path, tmp_path: Path) -> None:
    def again(done: int, total: int) -> None:
        with pytest.raises(FastpyrError, match="is being built by another"):
            copy_pyramid(original, tmp_path / "Y.json")

    copy_pyramid(original, tmp_path / "Y.json", progress=again)
    assert contents(tmp_path / "Y.json") == contents(original)


def test_a_source_that_changes(tmp_path: Path) -> None:
    build_small(tmp_path / "X.json")

    def change(done: int, total: int) -> None:
        if done == total:
            document = json.loads((tmp_path / "X.json").read_text())
            (tmp_path / "X.json").write_text(json.dumps(document))

    with pytest.raises(StoreError, match="was changed while it was copied"):
        copy_pyramid(tmp_path / "X.json", tmp_path / "Y.json", progress=change)
    assert not (tmp_path / "Y.json").exists()


def test_memory_ends_with_its_process(original: Path) -> None:
    store = MemoryStore.named("failing")
    with pytest.raises(RuntimeError):
        copy_pyramid(original, "mem://failing/Y.json", progress=lambda done, total: _fail())
    assert list(store.list()) == []


def _fail() -> None:
    raise RuntimeError


def test_command(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", str(original), str(tmp_path / "Y.json"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["copied"] == len(contents(original))
    assert facts["descriptor"] == str(tmp_path / "Y.json")
    conf = tmp_path / "pyr2pyr.json"
    document = {
        "logger": {"level": "INFO"},
        "from": {"descriptor": str(original)},
        "to": {"name": "Z", "storage": {"type": "FILE", "root": str(tmp_path), "depth": 1}},
        "process": {"directory": "/tmp", "parallelization": 2, "follow_links": True, "slab_limit": 10, "new": 1},
    }
    conf.write_text(json.dumps(document))
    assert main(["copy", "--config", str(conf)]) == 0
    said = capsys.readouterr()
    assert "unknown key process.new is ignored" in said.err
    assert "copied" in said.out
    assert contents(tmp_path / "Z.json") == contents(original)
    for change in ({"to": {}}, {"from": 3}, {"process": {"slab_limit": "x"}}, {"process": {"follow_links": 1}}):
        conf.write_text(json.dumps({**document, **change}))
        assert main(["copy", "--config", str(conf)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert main(["copy", str(original)]) == 2


def test_s3(original: Path, s3_server: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, s3_server.environment())
    bucket, other = s3_server.bucket(), s3_server.bucket()
    copy_pyramid(original, f"s3://{bucket}/X.json")
    copy_pyramid(f"s3://{bucket}/X.json", f"s3://{other}/deep/Y.json")
    copy_pyramid(f"s3://{other}/deep/Y.json", tmp_path / "Z.json")
    assert contents(tmp_path / "Z.json") == contents(original)
    assert len(s3_server.objects(other)) == len(contents(original)) + 2
    assert fastpyr.open(f"s3://{other}/deep/Y.json").verify().findings == []
