"""Updates in all stores: links and their owners, levels, what is inherited, interruptions, what is refused."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from interruptions import DEAD, Steps, die, in_a_process, moments
from object_builds import use
from small_delivery import tiff, written
from stored_pyramids import Clusters, contents
from updates import QTREE, assert_same, in_memory, random_pixels, scene, state, tiles

import fastpyr
from fastpyr.errors import ConfigError, DecodeError, FastpyrError, SlabError, SourceError, StoreError
from fastpyr.formats import SlabKind
from fastpyr.pyramid.list import parse_list
from fastpyr.pyramid.slabs import SlabRef
from fastpyr.store import open_location
from fastpyr.updates import delete_pyramid, find_linkers

OPTIONS = QTREE.options(width=2, height=2, compression="png", mask=True, interpolation="nn")


OLD = scene(1, 100, 50, 900, 1300)
NEW = scene(2, 600, 300, 300, 200)
THIRD = scene(3, 1200, 700, 400, 500)


def place(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Where descriptors go in a kind of store."""
    if kind == "folder":
        return lambda name: str(tmp_path / f"{name}.json")
    if kind == "memory":
        store = in_memory().rpartition("/")[0]
        return lambda name: f"{store}/{name}.json"
    Clusters(monkeypatch)
    return lambda name: f"{kind}://tray/in/{name}.json"


@pytest.fixture(params=["folder", "memory", "s3", "swift", "ceph"])
def at(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    return place(request.param, tmp_path, monkeypatch)


@pytest.fixture(params=["folder", "s3"])
def linking(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    return place(request.param, tmp_path, monkeypatch)


def update(source: Any, uri: str, base: str, **options: Any) -> fastpyr.Pyramid:
    return fastpyr.update([source], uri, base=base, bottom="18", parallelization=2, **options)


def listing(uri: str) -> Any:
    store, key = open_location(uri)
    return parse_list(store.get(key.removesuffix(".json") + ".list"))


class TestModes:
    @pytest.mark.parametrize("mode", ["slink", "hlink", "copy"])
    def test_every_mode_gives_the_same_pyramid(self, at: Callable[[str], str], mode: str) -> None:
        kind = at("X").partition("://")[0]
        fastpyr.build([OLD], at("OLD"), **OPTIONS)
        before = contents(at("OLD"))
        if (mode == "slink" and kind == "mem") or (mode == "hlink" and "://" in at("X")):
            with pytest.raises(ConfigError, match="choose --mode copy"):
                update(NEW, at("NEW"), at("OLD"), mode=mode)
            return
        updated = update(NEW, at("NEW"), at("OLD"), mode=mode)
        assert assert_same(updated, fastpyr.build([OLD, NEW], in_memory(), **OPTIONS)) > 0
        assert updated.verify(all_tiles=True).ok
        assert contents(at("OLD")) == before
        linked = [entry for entry in listing(at("NEW")).entries if entry.root]
        assert bool(linked) == (mode == "slink")

    def test_links_lead_to_the_owner_never_to_a_link(self, linking: Callable[[str], str]) -> None:
        fastpyr.build([OLD], linking("A"), **OPTIONS)
        update(NEW, linking("B"), linking("A"))
        third = update(THIRD, linking("C"), linking("B"))
        assert assert_same(third, fastpyr.build([OLD, NEW, THIRD], in_memory(), **OPTIONS)) > 0
        assert third.verify().ok
        slabs = listing(linking("C"))
        roots = {os.path.basename(root) for number, root in slabs.roots.items() if number}
        assert roots == {"A", "B"}
        for ref in third.slabs():
            head = third._open_slab(ref)
            assert head is not None
            own = {entry.slab() for entry in slabs.entries if entry.root == 0}
            store, key = third.store, third.slab_key(ref)
            if store.layout.is_file:
                path = Path(store.location(key))
                assert path.is_symlink() == (tuple(ref) not in own)
                if path.is_symlink():
                    assert not os.path.isabs(os.readlink(path))
                    assert not (path.parent / os.readlink(path)).is_symlink()
            else:
                data = store.get(key)
                assert data.startswith(b"SYMLINK#tray/in/") == (tuple(ref) not in own)

    def test_a_copy_of_an_update_needs_nobody(self, linking: Callable[[str], str]) -> None:
        fastpyr.build([OLD], linking("A"), **OPTIONS)
        update(NEW, linking("B"), linking("A"))
        alone = update(THIRD, linking("C"), linking("B"), mode="copy")
        assert listing(linking("C")).roots.keys() == {0}
        delete_pyramid(linking("B"))
        delete_pyramid(linking("A"))
        assert_same(fastpyr.open(linking("C")), fastpyr.build([OLD, NEW, THIRD], in_memory(), **OPTIONS))
        assert alone.verify().ok

    def test_a_hard_link_outlives_the_old_pyramid(self, tmp_path: Path) -> None:
        fastpyr.build([OLD], tmp_path / "A.json", **OPTIONS)
        update(NEW, str(tmp_path / "B.json"), str(tmp_path / "A.json"))
        update(THIRD, str(tmp_path / "C.json"), str(tmp_path / "B.json"), mode="hlink")
        names = list((tmp_path / "C").rglob("*.tif"))
        assert not any(path.is_symlink() for path in names)
        assert any(path.stat().st_nlink > 1 for path in names)
        delete_pyramid(tmp_path / "B.json")
        delete_pyramid(tmp_path / "A.json")
        expected = fastpyr.build([OLD, NEW, THIRD], in_memory(), **OPTIONS)
        assert_same(fastpyr.open(tmp_path / "C.json"), expected)

    def test_into_another_storage(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Clusters(monkeypatch)
        fastpyr.build([OLD], tmp_path / "A.json", **OPTIONS)
        for mode in ("slink", "hlink"):
            with pytest.raises(ConfigError, match="--mode copy"):
                update(NEW, "s3://tray/B.json", str(tmp_path / "A.json"), mode=mode)
        update(NEW, "s3://tray/B.json", str(tmp_path / "A.json"), mode="copy")
        with pytest.raises(ConfigError, match="--mode copy"):
            update(THIRD, "ceph://tray/C.json", "s3://tray/B.json")
        update(THIRD, "s3://other/C.json", "s3://tray/B.json")  # another bucket of the same cluster
        last = update(scene(4, 0, 0, 30, 30), str(tmp_path / "D.json"), "s3://other/C.json", mode="copy")
        expected = fastpyr.build([OLD, NEW, THIRD, scene(4, 0, 0, 30, 30)], in_memory(), **OPTIONS)
        assert_same(last, expected)

    def test_the_old_pyramid_is_not_deleted_while_it_is_needed(self, linking: Callable[[str], str]) -> None:
        fastpyr.build([OLD], linking("A"), **OPTIONS)
        update(NEW, linking("B"), linking("A"))
        store, key = open_location(linking("A"))
        (linker,) = find_linkers(store, key.removesuffix(".json"))
        assert linker.location.endswith("B.list")
        with pytest.raises(ConfigError, match=r"needed by .*B\.list"):
            delete_pyramid(linking("A"))
        for mode in ("slink", "copy"):
            with pytest.raises(ConfigError, match="which the new pyramid would replace: choose another name"):
                update(THIRD, linking("A"), linking("B"), mode=mode, overwrite=True)
        fastpyr.build([OLD], linking("C"), **OPTIONS)
        update(NEW, linking("D"), linking("C"))
        with pytest.raises(ConfigError, match=r"cannot be replaced, .*D\.list needs it"):
            update(THIRD, linking("C"), linking("A"), mode="copy", overwrite=True)
        assert fastpyr.open(linking("B")).verify().ok
        delete_pyramid(linking("B"))
        assert fastpyr.open(linking("A")).verify().ok
        delete_pyramid(linking("A"))

    def test_an_old_pyramid_that_was_moved(self, tmp_path: Path) -> None:
        """Its list names a folder that is no more; another one has no list at all, and lacks the masks of a slab."""
        fastpyr.build([OLD], tmp_path / "a" / "A.json", **OPTIONS)
        (tmp_path / "a").rename(tmp_path / "b")
        moved = update(NEW, str(tmp_path / "B.json"), str(tmp_path / "b" / "A.json"))
        expected = fastpyr.build([OLD, NEW], in_memory(), **OPTIONS)
        assert_same(moved, expected)
        assert listing(str(tmp_path / "B.json")).roots[1] == str(tmp_path / "b" / "A")
        (tmp_path / "b" / "A.list").unlink()
        assert_same(update(NEW, str(tmp_path / "C.json"), str(tmp_path / "b" / "A.json")), expected)
        old = fastpyr.open(tmp_path / "b" / "A.json")
        for level in old.levels:  # under the new pixels: what is stored counts as data then
            column, row = (QTREE.x0 + 600) // 256, (QTREE.y0 + 300) // 256
            shift = int(QTREE.bottom) - int(level.id)
            slab = level.descriptor.slab_of(column >> shift, row >> shift)[:2]
            (tmp_path / "b" / old.slab_key(SlabRef(SlabKind.MASK, level.id, *slab))).unlink()
        last = update(NEW, str(tmp_path / "D.json"), str(tmp_path / "b" / "A.json"))
        for place in tiles(last, expected):
            if place[0] == QTREE.bottom:
                found, wanted = last.tile(*place), expected.tile(*place)
                assert (found is None) == (wanted is None)
                if found is not None and (expected.mask(*place) == 255).all():
                    np.testing.assert_array_equal(found, wanted)

    def test_overwrite(self, linking: Callable[[str], str]) -> None:
        fastpyr.build([OLD], linking("A"), **OPTIONS)
        update(NEW, linking("B"), linking("A"))
        with pytest.raises(ConfigError, match="exists"):
            update(THIRD, linking("B"), linking("A"))
        again = update(THIRD, linking("B"), linking("A"), overwrite=True)
        assert_same(again, fastpyr.build([OLD, THIRD], in_memory(), **OPTIONS))


class TestLevels:
    def test_finer_sources_add_levels_below(self) -> None:
        """Levels that the old pyramid lacks hold the new sources alone; the others hold both."""
        fine = QTREE.source(300, 300, random_pixels(np.random.default_rng(5), 1000, 1000, 3, "uint8"), scale=0.25)
        first, last, said = in_memory(), in_memory(), list[str]()
        fastpyr.build([OLD], first, **OPTIONS)
        updated = fastpyr.update([fine], last, base=first, mode="copy", warn=said.append)
        assert said == ["level(s) 20, 19 are not in pyramid X: they hold the new sources alone"]
        alone = fastpyr.build([fine], in_memory(), **{**OPTIONS, "bottom": "20"})
        assert [level.id for level in updated.levels] == ["20", "19", "18", "17", "16", "15", "14", "13"]
        for level in ("20", "19"):
            np.testing.assert_array_equal(updated.read(level)[0], alone.read(level)[0])
        old = fastpyr.open(first)
        pixels, mask = updated.read("18", old.level("18").bounds)
        new, new_mask = alone.read("18", old.level("18").bounds)
        was, was_mask = old.read("18")
        np.testing.assert_array_equal(pixels, np.where(new_mask[..., None] != 0, new, was))
        np.testing.assert_array_equal(mask, was_mask | new_mask)

    def test_coarser_sources_leave_finer_levels_alone(self) -> None:
        first, last, said = in_memory(), in_memory(), list[str]()
        fastpyr.build([OLD], first, **OPTIONS)
        coarse = QTREE.source(300, 300, random_pixels(np.random.default_rng(5), 90, 90, 3, "uint8"), scale=4.0)
        updated = fastpyr.update([coarse], last, base=first, mode="copy", warn=said.append)
        assert said == ["level(s) 18, 17 are finer than the sources' level 16 and stay as they are"]
        old = fastpyr.open(first)
        for level in ("18", "17"):
            np.testing.assert_array_equal(updated.read(level)[0], old.read(level)[0])
        assert not np.array_equal(updated.read("16")[0], old.read("16")[0])
        top = fastpyr.build([coarse], in_memory(), **{**OPTIONS, "bottom": "16"})
        new, mask = top.read("13", old.level("13").bounds)
        changed = (updated.read("13")[0] != old.read("13")[0]).any(2)
        assert changed.any()
        assert not (changed & (mask == 0) & (old.read("13")[1] == 0)).any()
        assert new.shape == updated.read("13")[0].shape

    def test_a_range_of_levels(self) -> None:
        first = in_memory()
        fastpyr.build([OLD], first, **OPTIONS)
        updated = fastpyr.update([NEW], in_memory(), base=first, mode="copy", bottom="18", top="16")
        both = fastpyr.build([OLD, NEW], in_memory(), **{**OPTIONS, "top": "16"})
        old = fastpyr.open(first)
        for level in ("18", "17", "16"):
            np.testing.assert_array_equal(updated.read(level)[0], both.read(level)[0])
        for level in ("15", "14", "13"):
            np.testing.assert_array_equal(updated.read(level)[0], old.read(level)[0])

    def test_levels_of_several_groups(self, tmp_path: Path) -> None:
        """An old pyramid whose coarse levels are another source's, with a gap: an update ends where its run of levels
        does, and all else is the old pyramid's."""
        fine = fastpyr.build([OLD], tmp_path / "A.json", **{**OPTIONS, "top": "17"})
        coarse = QTREE.source(0, 0, random_pixels(np.random.default_rng(5), 100, 100, 3, "uint8"), scale=16.0)
        both = fastpyr.update(
            [coarse], tmp_path / "B.json", base=tmp_path / "A.json", bottom="14", top="12", mode="slink"
        )
        assert [level.id for level in both.levels] == ["18", "17", "14", "13", "12"]
        last = fastpyr.update([NEW], tmp_path / "C.json", base=tmp_path / "B.json", bottom="18")
        expected = fastpyr.build([OLD, NEW], in_memory(), **{**OPTIONS, "top": "17"})
        for level in ("18", "17"):
            np.testing.assert_array_equal(last.read(level)[0], expected.read(level)[0])
        for level in ("14", "13", "12"):
            np.testing.assert_array_equal(last.read(level)[0], both.read(level)[0])
        assert fine.verify().ok

    def test_a_level_that_would_lack_old_pixels_is_refused(self) -> None:
        first = in_memory()
        fastpyr.build([OLD], first, **OPTIONS)
        with pytest.raises(ConfigError, match=r"level 12 is not in pyramid X.*would lack what its level 13 has"):
            fastpyr.update([NEW], in_memory(), base=first, mode="copy", bottom="18", top="11")
        coarse = QTREE.source(0, 0, random_pixels(np.random.default_rng(5), 9, 9, 3, "uint8"), scale=256.0)
        with pytest.raises(ConfigError, match="level 10, above all levels of pyramid X"):
            fastpyr.update([coarse], in_memory(), base=first, mode="copy")


class TestInherited:
    @pytest.mark.parametrize(
        ("option", "word"),
        [
            ({"compression": "jpg"}, "--compression jpg: pyramid X has png"),
            ({"tms": "LAMB93"}, "--tms LAMB93: pyramid X has PM"),
            ({"mask": False}, "--mask false: pyramid X has true"),
            ({"width": 16}, "--width 16: pyramid X has 2"),
            ({"interpolation": "linear"}, "--interpolation linear: pyramid X has nn"),
            ({"nodata": 0}, "--nodata 0,0,0: pyramid X has 255,255,255"),
            ({"channels": 4}, "--channels 4: pyramid X has 3"),
            ({"sample_format": "float32"}, "--sample-format float32: pyramid X has uint8"),
            ({"path_depth": 3}, "--path-depth 3: pyramid X has 2"),
        ],
    )
    def test_a_contradiction_is_refused(self, option: dict[str, Any], word: str) -> None:
        first = in_memory()
        fastpyr.build([OLD], first, **OPTIONS)
        with pytest.raises(ConfigError, match=word):
            fastpyr.update([NEW], in_memory(), base=first, mode="copy", **option)

    def test_what_agrees_may_be_said(self) -> None:
        first = in_memory()
        fastpyr.build([OLD], first, **OPTIONS)
        more = {**OPTIONS, "nodata": 255, "channels": 3, "sample_format": "uint8", "path_depth": 2}
        updated = fastpyr.update([NEW], in_memory(), base=first, mode="copy", **more)
        assert_same(updated, fastpyr.build([OLD, NEW], in_memory(), **OPTIONS))

    def test_sources_are_converted_to_what_is_there(self) -> None:
        first = in_memory()
        fastpyr.build([OLD], first, **{**OPTIONS, "compression": "jpg"})
        gray = QTREE.source(600, 300, random_pixels(np.random.default_rng(2), 300, 200, 1, "uint8"))
        assert fastpyr.update([gray], in_memory(), base=first, mode="copy").format == fastpyr.open(first).format
        floats = QTREE.source(600, 300, random_pixels(np.random.default_rng(2), 300, 200, 3, "float32"))
        with pytest.raises(SourceError, match="float32"):
            fastpyr.update([floats], in_memory(), base=first, mode="copy")


class TestRefused:
    def test_no_old_pyramid(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"NONE\.json does not exist"):
            update(NEW, str(tmp_path / "B.json"), str(tmp_path / "NONE.json"))
        with pytest.raises(ConfigError, match="no old pyramid"):
            fastpyr.update([NEW], tmp_path / "B.json")
        assert list(tmp_path.iterdir()) == []

    def test_onto_itself(self, at: Callable[[str], str]) -> None:
        fastpyr.build([OLD], at("A"), **OPTIONS)
        before = contents(at("A"))
        with pytest.raises(ConfigError, match="onto itself: choose another name, or change it in place"):
            update(NEW, at("A"), at("A"), mode="copy", overwrite=True)
        assert contents(at("A")) == before

    def test_unknown_mode(self) -> None:
        with pytest.raises(ConfigError, match="unknown mode 'move': expected slink, hlink or copy"):
            fastpyr.update([NEW], in_memory(), base=in_memory(), mode="move")

    def test_sources_elsewhere(self, tmp_path: Path) -> None:
        fastpyr.build([OLD], tmp_path / "A.json", **OPTIONS)
        before = state(tmp_path)
        empty = QTREE.source(0, 0, np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.uint8))
        with pytest.raises(SourceError, match="no data inside"):
            update(empty, str(tmp_path / "B.json"), str(tmp_path / "A.json"))
        assert state(tmp_path) == before

    def test_a_missing_slab(self, linking: Callable[[str], str]) -> None:
        """Of the touched ones and of the others: named, and nothing is written."""
        old = fastpyr.build([OLD], linking("A"), **OPTIONS)
        level = old.levels[0]
        touched = SlabRef(SlabKind.DATA, "18", *_slab_of(old, 600, 300))
        store, _ = open_location(linking("A"))
        data = store.get(old.slab_key(touched))
        store.delete(old.slab_key(touched))
        with pytest.raises(StoreError, match=f"level {level.id}, slab column {touched.col}.* is listed, but"):
            update(NEW, linking("B"), linking("A"))
        store.put(old.slab_key(touched), [data])
        other = SlabRef(SlabKind.DATA, "18", *_slab_of(old, 100, 50))
        assert other != touched
        store.delete(old.slab_key(other))
        with pytest.raises(StoreError, match=f"slab column {other.col}.* is listed, but it does not exist"):
            update(NEW, linking("B"), linking("A"))
        assert not store.exists(linking("B").rpartition("tray/")[2].rpartition("/")[2])

    def test_a_link_that_leads_nowhere(self, tmp_path: Path) -> None:
        fastpyr.build([OLD], tmp_path / "A.json", **OPTIONS)
        update(NEW, str(tmp_path / "B.json"), str(tmp_path / "A.json"))
        shutil.rmtree(tmp_path / "A" / "MASK" / "18")
        before = state(tmp_path)
        with pytest.raises(StoreError, match=r"level 18.* is listed, but it does not exist"):
            update(THIRD, str(tmp_path / "C.json"), str(tmp_path / "B.json"))
        assert state(tmp_path) == before

    @pytest.mark.parametrize("kind", [SlabKind.DATA, SlabKind.MASK])
    def test_a_damaged_tile_under_new_pixels_is_named(self, tmp_path: Path, kind: SlabKind) -> None:
        old = fastpyr.build([OLD], tmp_path / "A.json", **OPTIONS)
        column, row = (QTREE.x0 + 600) // 256, (QTREE.y0 + 300) // 256
        _, _, number = old.level("18").descriptor.slab_of(column, row)
        ref = SlabRef(kind, "18", *_slab_of(old, 600, 300))
        path = tmp_path / old.slab_key(ref)
        data = bytearray(path.read_bytes())
        offset, size = old._open_slab(ref).index.tile_range(number)  # type: ignore[union-attr]
        data[offset + size // 2 : offset + size // 2 + 4] = b"oops"
        path.write_bytes(data)
        before = state(tmp_path)
        with pytest.raises(DecodeError, match=f"old level 18, tile column {column}, row {row}"):
            update(NEW, str(tmp_path / "B.json"), str(tmp_path / "A.json"))
        assert {name: value for name, value in state(tmp_path).items() if not name.startswith(".B")} == before

    def test_a_truncated_slab_is_named(self, tmp_path: Path) -> None:
        old = fastpyr.build([OLD], tmp_path / "A.json", **OPTIONS)
        path = tmp_path / old.slab_key(SlabRef(SlabKind.DATA, "18", *_slab_of(old, 600, 300)))
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(SlabError, match=r"old level 18, tile column .* beyond the end of the slab"):
            update(NEW, str(tmp_path / "B.json"), str(tmp_path / "A.json"))

    def test_a_pyramid_that_changes_meanwhile(self, tmp_path: Path) -> None:
        fastpyr.build([OLD], tmp_path / "A.json", **OPTIONS)

        def change(_: object) -> None:
            path = tmp_path / "A.json"
            path.write_bytes(path.read_bytes() + b"\n")

        with pytest.raises(StoreError, match="was changed while it was updated"):
            update(NEW, str(tmp_path / "B.json"), str(tmp_path / "A.json"), on_plan=change)
        assert not (tmp_path / "B.json").exists()


def _slab_of(old: fastpyr.Pyramid, x: int, y: int) -> tuple[int, int]:
    column, row = (QTREE.x0 + x) // 256, (QTREE.y0 + y) // 256
    return old.level("18").descriptor.slab_of(column, row)[:2]


class TestInterrupted:
    """Updates of files from files: those can be gone on with."""

    @pytest.fixture
    def delivery(self, tmp_path: Path) -> Path:
        files = {"a/a.tif": tiff(700), "b/b.tif": tiff(250, col=300, row=200), "c/c.tif": tiff(200, col=30, row=20)}
        return written(tmp_path / "in", files)

    OPTIONS: ClassVar = {
        "tms": "PM",
        "bottom": "18",
        "top": "14",
        "width": 2,
        "height": 2,
        "compression": "jpg",
        "mask": True,
    }

    @pytest.mark.parametrize("mode", ["slink", "hlink", "copy"])
    def test_killed_at_any_step(self, delivery: Path, tmp_path: Path, mode: str) -> None:
        names = ("write", "writev", "pwritev", "mkdir", "rename", "replace", "rmdir", "unlink", "symlink", "link")
        old, out = tmp_path / "old" / "A.json", tmp_path / "out"
        fastpyr.build(delivery / "a", old, **self.OPTIONS)

        def work(**more: Any) -> None:
            fastpyr.update(delivery / "b", out / "B.json", base=old, mode=mode, bottom="18", parallelization=1, **more)

        with Steps(None, names=names).watched() as steps:
            work()
        expected, before = state(out), state(old.parent)
        for step in moments(steps.count, 4, last=8):
            shutil.rmtree(out)

            def doomed(step: int = step) -> None:
                with Steps(step, die, names).watched():
                    work()

            assert in_a_process(doomed) == DEAD
            if (out / "B.json").exists():
                assert fastpyr.open(out / "B.json").verify().ok
            if not (out / "B.json").exists() or any(name.startswith(".") for name in os.listdir(out)):
                work()
            assert state(out) == expected, step
            assert state(old.parent) == before

    def test_what_is_finished_is_not_made_again(self, delivery: Path, tmp_path: Path) -> None:
        old, new = tmp_path / "A.json", tmp_path / "B.json"
        fastpyr.build(delivery / "a", old, **self.OPTIONS)

        def stop(progress: fastpyr.Progress) -> None:
            if progress.slabs == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fastpyr.update(delivery / "b", new, base=old, bottom="18", parallelization=1, progress=stop)
        with pytest.raises(ConfigError, match="with another mode, or of another pyramid, or that has changed"):
            fastpyr.update(delivery / "b", new, base=old, bottom="18", mode="copy")
        with pytest.raises(ConfigError, match=r"source .*b\.tif is missing"):
            fastpyr.update(delivery / "c", new, base=old, bottom="18")
        seen = list[fastpyr.Progress]()
        fastpyr.update(delivery / "b", new, base=old, bottom="18", progress=seen.append)
        assert seen[-1].resumed_slabs >= 2
        fastpyr.update(delivery / "b", tmp_path / "once.json", base=old, bottom="18", resume=False)
        assert_same(fastpyr.open(new), fastpyr.open(tmp_path / "once.json"))
        assert contents(new) == contents(tmp_path / "once.json")

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_objects(self, delivery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool) -> None:
        clusters = Clusters(monkeypatch)
        old, new = "s3://tray/A.json", "s3://tray/B.json"
        fastpyr.build(delivery / "a", old, **self.OPTIONS)
        if overwrite:
            fastpyr.update(delivery / "c", new, base=old, bottom="18")
        tray = clusters.tray("s3", "tray")
        before = dict(tray.objects)

        def work() -> None:
            fastpyr.update(delivery / "b", new, base=old, bottom="18", parallelization=1, overwrite=overwrite)

        writes = 0
        work()
        expected = dict(tray.objects)
        while True:
            tray.objects.clear()
            tray.objects.update(before)
            try:
                with clusters.gone_after("s3", "tray", writes):
                    work()
                break
            except FastpyrError:
                pass
            if overwrite or "B.json" not in tray.objects or any(key.startswith(".") for key in tray.objects):
                work()
            assert {k: _sum(v) for k, v in tray.objects.items()} == {k: _sum(v) for k, v in expected.items()}, writes
            writes += 3
        assert writes > 10


def _sum(value: Any) -> str:
    return hashlib.sha256(value if isinstance(value, bytes) else repr(value).encode()).hexdigest()


def test_moto_follows_our_links(moto: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a server that speaks S3."""
    use(monkeypatch, moto.environment())
    bucket = moto.bucket()
    fastpyr.build([OLD], f"s3://{bucket}/A.json", **OPTIONS)
    updated = update(NEW, f"s3://{bucket}/B.json", f"s3://{bucket}/A.json")
    assert_same(updated, fastpyr.build([OLD, NEW], in_memory(), **OPTIONS))
    assert any(entry.root for entry in listing(f"s3://{bucket}/B.json").entries)
