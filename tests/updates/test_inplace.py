"""Changes in place: whoever reads sees the old pyramid or the new one, whenever and however the work ends."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from changes import Changed, ChangeSteps, Saved, source
from interruptions import DEAD, NEED_SPACE, die, fill_the_disk, in_a_process, moments, tree
from object_builds import use
from object_servers import DictTransport, ObjectServer
from stored_pyramids import WRITES, Clusters, build_small, contents, link_some

import fastpyr
from fastpyr.engine import object_notes
from fastpyr.errors import ConfigError, StoreError
from fastpyr.store import exchange
from fastpyr.updates import copy_pyramid, delete_pyramid
from fastpyr.updates.inplace import open_change, rollback, settle

NOTHING = "there is nothing to take back"


@pytest.fixture
def clusters(monkeypatch: pytest.MonkeyPatch) -> Clusters:
    monkeypatch.setattr(object_notes, "_PACE", 0.0)
    return Clusters(monkeypatch)


def place(kind: str, folder: Path) -> str:
    if kind == "folder":
        return str(folder / "in" / "X.json")
    return f"mem://{folder.name}/X.json" if kind == "mem" else f"{kind}://tray/a/X.json"


@pytest.mark.parametrize("kind", ["folder", "mem", "s3", "swift", "ceph"])
def test_there_and_back(kind: str, tmp_path: Path, clusters: Clusters) -> None:
    changed = Changed(place(kind, tmp_path))
    store = changed.store

    def everything() -> dict[str, str]:
        if kind == "folder":
            return tree(tmp_path / "in")
        objects = clusters.tray(kind, "tray").objects if kind != "mem" else {k: store.get(k) for k in store.list()}
        return {key: hashlib.sha256(data).hexdigest() for key, data in objects.items()}

    before = everything()
    assert changed.seen() == "old"
    with open_change(store, changed.name, None) as change:
        change.staging.put("DATA_18_0_0" if not store.layout.is_file else "DATA/18/00/00/00.tif", [b"thrown away"])
    assert everything() == before
    assert changed.run(keep_old=True)
    assert changed.seen() == "new"
    assert settle(store, changed.name) is None
    assert rollback(store, changed.name) is True
    assert changed.seen() == "old"
    assert everything() == before
    with pytest.raises(ConfigError, match=NOTHING):
        rollback(store, changed.name)
    changed.run()
    assert changed.seen() == "new"
    assert not [key for key in everything() if key.startswith(".") or "/." in key]
    with pytest.raises(ConfigError, match=NOTHING):
        rollback(store, changed.name)


def test_no_way_back_over_a_later_change(tmp_path: Path, clusters: Clusters) -> None:
    for kind in ("folder", "mem", "s3"):
        changed = Changed(place(kind, tmp_path))
        changed.run(keep_old=True)
        listing = changed.store.get(f"{changed.name}.list")
        changed.store.put(f"{changed.name}.list", [listing + b"\n"])
        with pytest.raises(ConfigError, match="was changed since the change that could be taken back"):
            rollback(changed.store, changed.name)
        changed.store.put(f"{changed.name}.list", [listing])
        assert rollback(changed.store, changed.name)
        assert changed.seen() == "old"


def read_by(changed: Changed) -> str:
    """What a reader sees; "nothing" for the moment between two renames where trees cannot be exchanged."""
    return changed.seen() if Path(changed.uri).exists() else "nothing"


@pytest.mark.parametrize(("keep", "at_once"), [(False, True), (True, True), (True, False)])
def test_killed_at_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool, at_once: bool) -> None:
    changed = Changed(place("folder", tmp_path))
    if not at_once:
        monkeypatch.setattr(exchange, "_exchanged", lambda *_: False)
    folder = tmp_path / "in"
    before, saved = tree(folder), Saved(folder, tmp_path / "saved")
    with ChangeSteps(None).watched() as steps:
        changed.build(keep_old=keep)
    after = tree(folder)
    found = set()
    for step in steps.moments():
        saved.again()

        def dying(step: int = step) -> None:
            with ChangeSteps(step, die).watched():
                changed.build(keep_old=keep)

        assert in_a_process(dying) == DEAD
        seen = read_by(changed)
        assert seen in ("old", "new") or not at_once, step
        found.add(seen)
        left = Saved(folder, tmp_path / "left")
        if has_note(folder) and (keep or not is_over(folder)):
            assert rollback(changed.store, changed.name) is (seen != "old" or is_decided(tmp_path / "left")), step
            assert changed.seen(verify=False) == "old", step
            assert tree(folder) == before, step
        elif not has_note(folder) and seen == "old":
            with pytest.raises(ConfigError, match=NOTHING):
                rollback(changed.store, changed.name)
        left.again()
        left.forget()
        changed.build(keep_old=keep)
        assert changed.seen(verify=False) == "new"
        if has_note(tmp_path / "saved") or seen != "new":
            assert {k: v for k, v in tree(folder).items() if ".kept" not in k} == {
                k: v for k, v in after.items() if ".kept" not in k
            }, step
    assert {"old", "new"} <= found


def has_note(folder: Path) -> bool:
    return (folder / ".X.change" / "note").exists()


def is_decided(folder: Path) -> bool:
    return '"committing"' in (folder / ".X.change" / "note").read_text()


def is_over(folder: Path) -> bool:
    return '"done"' in (folder / ".X.change" / "note").read_text()


def test_killed_on_the_way_back(tmp_path: Path) -> None:
    changed = Changed(place("folder", tmp_path))
    folder = tmp_path / "in"
    before = tree(folder)
    changed.run(keep_old=True)
    saved = Saved(folder, tmp_path / "saved")
    with ChangeSteps(None).watched() as steps:
        rollback(changed.store, changed.name)
    for step in steps.moments():
        saved.again()

        def dying(step: int = step) -> None:
            with ChangeSteps(step, die).watched():
                rollback(changed.store, changed.name)

        assert in_a_process(dying) == DEAD
        seen = changed.seen()
        if step % 2:  # the next change goes through with it first
            undone = seen == "old" or has_note(folder)
            with open_change(changed.store, changed.name, None):
                assert changed.seen() == ("old" if undone else "new"), step
        with contextlib.suppress(ConfigError):
            rollback(changed.store, changed.name)
        assert changed.seen(verify=False) == "old", step
        assert tree(folder) == before, step


def requests(transport: DictTransport, work: Callable[[], object]) -> int:
    """Requests of ``work`` that write."""
    before = len(transport.requests)
    work()
    return sum(verb in WRITES for verb, _ in transport.requests[before:])


@pytest.mark.parametrize("keep", [False, True])
def test_killed_at_any_request(clusters: Clusters, keep: bool) -> None:
    changed = Changed("s3://tray/a/X.json")
    transport = clusters.tray("s3", "tray")
    before = dict(transport.objects)
    count = requests(transport, lambda: changed.build(keep_old=keep))
    after = dict(transport.objects)
    found = set()
    for moment in moments(count, 6, last=10):
        set_to(transport, before)
        with clusters.gone_after("s3", "tray", moment), contextlib.suppress(StoreError):
            changed.build(keep_old=keep)
        left, seen = dict(transport.objects), changed.seen()
        note = left.get("a/.X.change/note", b"")
        found.add(seen)
        if note and (keep or b'"done"' not in note):
            assert rollback(changed.store, changed.name) is (b'"staging"' not in note)
            assert changed.seen(verify=False) == "old", moment
            assert transport.objects == before, moment
        set_to(transport, left)
        changed.build(keep_old=keep)
        assert changed.seen(verify=False) == "new"
        assert {k: v for k, v in transport.objects.items() if ".kept" not in k} == {
            k: v for k, v in after.items() if ".kept" not in k
        }, moment
    assert found == {"old", "new"}


def set_to(transport: DictTransport, objects: dict[str, bytes]) -> None:
    transport.objects.clear()
    transport.objects.update(objects)


def test_killed_on_the_way_back_at_any_request(clusters: Clusters) -> None:
    changed = Changed("s3://tray/a/X.json")
    transport = clusters.tray("s3", "tray")
    before = dict(transport.objects)
    changed.run(keep_old=True)
    saved = dict(transport.objects)
    count = requests(transport, lambda: rollback(changed.store, changed.name))
    found = set()
    for moment in moments(count, 6, last=6):
        set_to(transport, saved)
        with clusters.gone_after("s3", "tray", moment), contextlib.suppress(StoreError):
            rollback(changed.store, changed.name)
        found.add(changed.seen())
        with contextlib.suppress(ConfigError):
            rollback(changed.store, changed.name)
        assert changed.seen(verify=False) == "old", moment
        assert transport.objects == before, moment
    assert found == {"old", "new"}


def test_a_reader_of_the_moment_between(clusters: Clusters) -> None:
    """Opened while objects are on their way, a pyramid is the new one then and when they have arrived."""
    changed = Changed("s3://tray/a/X.json")
    transport = clusters.tray("s3", "tray")
    before = dict(transport.objects)
    count = requests(transport, changed.run)
    set_to(transport, before)
    for moment in range(count - 30, 2 * count):  # on a slow machine a journal is written more often
        set_to(transport, before)
        with clusters.gone_after("s3", "tray", moment), contextlib.suppress(StoreError):
            changed.build()
        if b"fastpyr_change" in transport.objects["a/X.json"]:
            break
    else:
        pytest.fail("no moment between was met")
    pyramid = fastpyr.open(changed.uri)
    ref = next(iter(changed.new.keys() - changed.old.keys()))
    assert pyramid.slab_bytes(ref) > 0
    assert settle(changed.store, changed.name) is not None
    assert pyramid.verify(all_tiles=True).ok
    assert dict.fromkeys(pyramid.slabs()).keys() == changed.new.keys()
    plain = len(transport.requests)
    fastpyr.open(changed.uri)
    assert len(transport.requests) == plain + 1  # what is not being changed is opened as ever


class TestLinks:
    def test_files_of_others_stay(self, tmp_path: Path) -> None:
        """Hard links and symbolic links of the pyramid to others' slabs: replaced, never written through."""
        changed = Changed(place("folder", tmp_path))
        shutil.copytree(tmp_path / "in", tmp_path / "ancestor")
        for number, path in enumerate(sorted((tmp_path / "in" / "X").rglob("*.tif"))):
            owner = tmp_path / "ancestor" / "X" / path.relative_to(tmp_path / "in" / "X")
            path.unlink()
            if number % 2:
                os.link(owner, path)
            else:
                path.symlink_to(os.path.relpath(owner, path.parent))
        ancestor = tree(tmp_path / "ancestor")
        changed.run(keep_old=True)
        assert contents(changed.uri) == changed.new
        links = [path for path in (tmp_path / "in" / "X").rglob("*.tif") if path.is_symlink()]
        assert links
        assert not any(os.path.isabs(os.readlink(path)) for path in links)
        assert tree(tmp_path / "ancestor") == ancestor
        rollback(changed.store, changed.name)
        assert contents(changed.uri) == changed.old
        assert tree(tmp_path / "ancestor") == ancestor

    @pytest.mark.parametrize("kind", ["folder", "s3"])
    def test_others_that_would_change(self, kind: str, tmp_path: Path, clusters: Clusters) -> None:
        changed = Changed(place(kind, tmp_path))
        other = build_small(changed.uri.replace("X.json", "OTHER.json"))
        owner = fastpyr.open(changed.uri)
        assert link_some(other, owner, lambda ref: ref.level == "18" and ref in changed.old)
        with pytest.raises(ConfigError, match=r"is linked to by .*OTHER.list.*add --even-if-linked"):
            changed.run()
        assert changed.seen() == "old"
        changed.run(even_if_linked=True)
        assert changed.seen() == "new"

    def test_slabs_elsewhere(self, tmp_path: Path) -> None:
        changed = Changed(place("folder", tmp_path))
        folder = tmp_path / "in"
        (folder / "Y.json").write_bytes((folder / "X.json").read_bytes())
        (folder / "Y.list").write_bytes((folder / "X.list").read_bytes())
        with (
            pytest.raises(ConfigError, match=r"the slabs of its level .* are in X/DATA/.*: copy it first"),
            open_change(changed.store, "Y", None),
        ):
            pass
        (folder / "Y.json").unlink()
        (folder / "Y.list").unlink()
        (folder / "X").rename(tmp_path / "far")
        (folder / "X").symlink_to(tmp_path / "far")
        with pytest.raises(ConfigError, match="is a link: change the pyramid where it is"):
            changed.run()
        (folder / "X").unlink()
        (tmp_path / "far").rename(folder / "X")
        (folder / "X" / "DATA" / "18").rename(tmp_path / "far")
        (folder / "X" / "DATA" / "18").symlink_to(tmp_path / "far")
        before = tree(folder)
        with pytest.raises(ConfigError, match="is a link to a folder: copy the pyramid first"):
            changed.run()
        assert tree(folder) == before


@pytest.mark.parametrize("kind", ["folder", "mem", "s3"])
def test_one_at_a_time(kind: str, tmp_path: Path, clusters: Clusters) -> None:
    changed = Changed(place(kind, tmp_path))
    with open_change(changed.store, changed.name, None):
        for work in (
            changed.run,
            lambda: fastpyr.build(source(300), changed.uri, overwrite=True, **changed.options),
            lambda: rollback(changed.store, changed.name),
        ):
            if kind == "mem" and work is not changed.run:
                continue
            with pytest.raises((StoreError, ConfigError), match=r"is being built by|is kept beside"):
                work()
    assert changed.seen() == "old"


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_unfinished_changes_are_in_the_way(kind: str, tmp_path: Path, clusters: Clusters) -> None:
    changed = Changed(place(kind, tmp_path))
    interrupted(changed, clusters, kind)
    assert changed.seen() == "old"
    build_small(changed.uri.replace("X.json", "OTHER.json"))
    for work in (
        lambda: fastpyr.build(source(300), changed.uri, overwrite=True, **changed.options),
        lambda: copy_pyramid(changed.uri.replace("X.json", "OTHER.json"), changed.uri, overwrite=True),
        lambda: delete_pyramid(changed.uri),
    ):
        with pytest.raises(ConfigError, match=r"an interrupted .* is kept beside it"):
            work()
    assert changed.seen() == "old"
    assert rollback(changed.store, changed.name) is False
    delete_pyramid(changed.uri)


def interrupted(changed: Changed, clusters: Clusters, kind: str) -> None:
    """A change that ends in the middle of its staging."""
    if kind == "folder":

        def dying() -> None:
            with ChangeSteps(100, die).watched():
                changed.build()

        assert in_a_process(dying) == DEAD
        return
    with clusters.gone_after(kind, "tray", 50), pytest.raises(StoreError):
        changed.build()


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_kept_slabs_go_with_the_pyramid(kind: str, tmp_path: Path, clusters: Clusters) -> None:
    changed = Changed(place(kind, tmp_path))
    changed.run(keep_old=True)
    delete_pyramid(changed.uri)
    assert not (list((tmp_path / "in").iterdir()) if kind == "folder" else clusters.tray("s3", "tray").objects)


def test_a_disk_that_fills_up_at_any_step(tmp_path: Path) -> None:
    changed = Changed(place("folder", tmp_path))
    folder = tmp_path / "in"
    before, saved = tree(folder), Saved(folder, tmp_path / "saved")
    names = (*NEED_SPACE, "link", "symlink")
    with ChangeSteps(None, names=names).watched() as steps:
        changed.build()
    for step in {*moments(steps.count, 3, last=4), *range(steps.log.index("symlink") - 4, steps.count, 2)}:
        for work in (changed.build, changed.run):
            saved.again()
            with ChangeSteps(step, fill_the_disk, names).watched():
                error = error_of(work)
            assert error is None or "no space left" in str(error), step
            assert error is not None or work == changed.run  # which has fewer steps
            kept = bool(getattr(error, "__notes__", ()))
            assert changed.seen() in ("old", "new")
            if work == changed.run:  # nothing is kept of what cannot be gone on with
                assert not has_note(folder)
                assert changed.seen() == "new" or tree(folder) == before
            elif not kept:
                assert tree(folder) == before, step
            changed.build()
            assert changed.seen(verify=False) == "new"


def error_of(work: Callable[[], object]) -> StoreError | None:
    try:
        work()
    except StoreError as error:
        return error
    return None


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o"]
    if subprocess.run([*mount, "size=200m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("cannot mount a small tmpfs here (needs root)")
    try:
        changed = Changed(folder / "X.json", compression="raw")
        before = tree(folder)
        used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        subprocess.run([*mount, f"remount,size={used + 2_000_000}", "tmpfs", folder], check=True)
        with pytest.raises(StoreError, match="no space left"):
            changed.build()
        assert changed.seen() == "old"
        if has_note(folder):
            rollback(changed.store, changed.name)
        assert tree(folder) == before
        subprocess.run([*mount, "remount,size=200m", "tmpfs", folder], check=True)
        changed.build()
        assert changed.seen() == "new"
    finally:
        subprocess.run(["umount", folder], check=True)


def test_s3(moto: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, moto.environment())
    bucket = moto.bucket()
    changed = Changed(f"s3://{bucket}/deep/X.json")
    before = moto.objects(bucket)
    changed.build(keep_old=True)
    assert changed.seen() == "new"
    rollback(changed.store, changed.name)
    assert moto.objects(bucket) == before
    changed.build()
    assert changed.seen() == "new"
    assert not [key for key in moto.objects(bucket) if "/." in key]
