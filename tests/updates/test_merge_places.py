"""Merges in all stores: links, copies, interruptions, areas, levels, and what cannot be merged."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interruptions import DEAD, Steps, die, fill_the_disk, in_a_process, moments, tree
from stored_pyramids import Clusters
from tile_pyramids import TILE, TINY, halves, read_tiny, side, tiny_format, write_tiny

from fastpyr.errors import ConfigError, StoreError
from fastpyr.pyramid import open_pyramid
from fastpyr.pyramid.list import parse_list
from fastpyr.pyramid.slabs import SlabRef
from fastpyr.updates import delete_pyramid, merge_pyramids

OPTIONS: dict[str, Any] = {"method": "top", "tms": TINY}


@pytest.fixture
def clusters(monkeypatch: pytest.MonkeyPatch) -> Clusters:
    return Clusters(monkeypatch)


def place(kind: str, folder: Path) -> str:
    if kind == "folder":
        (folder / "in").mkdir(exist_ok=True)
        return str(folder / "in")
    return f"mem://{folder.name}" if kind == "mem" else f"{kind}://tray/in"


@pytest.mark.parametrize("kind", ["folder", "mem", "s3", "swift", "ceph"])
def test_in_every_store(kind: str, tmp_path: Path, clusters: Clusters) -> None:
    uris = halves(place(kind, tmp_path))
    before = [contents_of(uri) for uri in uris]
    target = f"{place(kind, tmp_path)}/M.json"
    result = merge_pyramids(uris, target, **OPTIONS)
    merged = open_pyramid(target, TINY)
    pixels, mask = read_tiny(merged)["1"]
    assert mask.min() == 255
    assert set(np.unique(pixels[:, : 64 - 4])) == {40}
    assert set(np.unique(pixels[:, 64 - 4 :])) == {140}
    assert merged.verify(all_tiles=True).findings == []
    assert result.composed == 2 * (4 + 2)  # a column of slabs at each level, with masks
    alone = 2 * (3 * 4 + 2)
    assert (result.linked, result.copied) == ((0, alone) if kind == "mem" else (alone, 0))
    assert [contents_of(uri) for uri in uris] == before
    listing = parse_list(merged.store.get(merged.key.replace(".json", ".list")))
    assert sum(entry.root == 0 for entry in listing.entries) == result.composed + result.copied
    if kind != "mem":
        assert {root.rpartition("/")[2] for number, root in listing.roots.items() if number} == {"A", "B"}
        with pytest.raises(ConfigError, match="is needed by"):
            delete_pyramid(uris[0])


def contents_of(uri: str) -> dict[SlabRef, Any]:
    pyramid = open_pyramid(uri, TINY)
    return {ref: pyramid.slab_data(ref)[0] for ref in pyramid.slabs()}  # type: ignore[index]


@pytest.mark.parametrize("mode", ["slink", "hlink", "copy"])
def test_modes(mode: str, tmp_path: Path) -> None:
    uris = halves(place("folder", tmp_path))
    before = tree(tmp_path / "in")
    merge_pyramids(uris, tmp_path / "out" / "M.json", mode=mode, **OPTIONS)
    paths = list((tmp_path / "out" / "M").rglob("*.tif"))
    assert sum(path.is_symlink() for path in paths) == (28 if mode == "slink" else 0)
    assert sum(path.stat(follow_symlinks=False).st_nlink > 1 for path in paths) == (28 if mode == "hlink" else 0)
    assert not any(os.path.isabs(os.readlink(path)) for path in paths if path.is_symlink())
    assert tree(tmp_path / "in") == before
    roots = parse_list((tmp_path / "out" / "M.list").read_bytes()).roots
    assert len(roots) == (3 if mode == "slink" else 1)
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")  # relative links lead back to the same place
    assert open_pyramid(tmp_path / "elsewhere" / "M.json", TINY).verify(all_tiles=True).ok


def test_links_lead_to_the_real_owner(tmp_path: Path) -> None:
    """A merge of a merge: one hop, and the root of the first pyramid in the list."""
    uris = halves(place("folder", tmp_path))
    merge_pyramids(uris, tmp_path / "M.json", **OPTIONS)
    result = merge_pyramids([tmp_path / "M.json"], tmp_path / "N.json", **OPTIONS)
    assert result.composed == 0
    owners = {path.resolve().relative_to(tmp_path).parts[:2] for path in (tmp_path / "N").rglob("*.tif")}
    assert owners == {("in", "A"), ("in", "B"), ("M", "DATA"), ("M", "MASK")}
    assert not any((path.parent / os.readlink(path)).is_symlink() for path in (tmp_path / "N").rglob("*.tif"))
    roots = parse_list((tmp_path / "N.list").read_bytes()).roots
    assert set(roots.values()) == {str(tmp_path / name) for name in ("N", "M", "in/A", "in/B")}
    with pytest.raises(ConfigError, match="is needed by"):
        delete_pyramid(tmp_path / "M.json")
    delete_pyramid(tmp_path / "N.json")
    delete_pyramid(tmp_path / "M.json")
    for uri in uris:
        delete_pyramid(uri)
    assert [name for name in tree(tmp_path) if name.endswith(".tif")] == []


def test_from_one_storage_to_another_needs_copies(tmp_path: Path, clusters: Clusters) -> None:
    uris = halves(place("folder", tmp_path))
    with pytest.raises(ConfigError, match="--mode copy"):
        merge_pyramids(uris, "s3://tray/M.json", **OPTIONS)
    with pytest.raises(ConfigError, match="cannot have hard links"):
        merge_pyramids(uris, "s3://tray/M.json", mode="hlink", **OPTIONS)
    assert not clusters.tray("s3", "tray").objects
    assert merge_pyramids(uris, "s3://tray/M.json", mode="copy", **OPTIONS).copied == 28
    assert open_pyramid("s3://tray/M.json", TINY).verify(all_tiles=True).findings == []


def test_conversion(tmp_path: Path) -> None:
    """Other compressions and channels: slabs of one source are made anew, their masks are as they were."""
    uris = halves(place("folder", tmp_path))
    result = merge_pyramids(uris, tmp_path / "M.json", compression="ZIP", channels=1, **OPTIONS)
    assert (result.linked, result.converted, result.composed) == (0, 28, 12)
    merged = open_pyramid(tmp_path / "M.json", TINY)
    assert (merged.format.format.name, merged.format.channels) == ("TIFF_ZIP_UINT8", 1)
    assert set(np.unique(read_tiny(merged)["1"][0])) == {40, 140}
    assert merged.verify(all_tiles=True).findings == []


class TestInterruptions:
    @pytest.mark.parametrize("overwrite", [False, True])
    def test_killed_at_any_step(self, tmp_path: Path, overwrite: bool) -> None:
        uris = halves(place("folder", tmp_path))
        target = tmp_path / "out" / "M.json"
        merge_pyramids(uris, target, **OPTIONS)
        final, expected = tree(target.parent), contents_of(str(target))

        def begin() -> None:
            shutil.rmtree(target.parent)
            if overwrite:
                write_tiny(
                    target, tiny_format("TIFF_PNG_UINT8", 1), {"1": (np.ones((128, 128, 1)), np.ones((128, 128)))}
                )

        begin()
        older = contents_of(str(target)) if overwrite else {}
        with Steps(None).watched() as steps:
            merge_pyramids(uris, target, overwrite=overwrite, workers=1, **OPTIONS)
        for moment in moments(steps.count, 4, last=12):
            begin()

            def work(moment: int = moment) -> None:
                with Steps(moment, die).watched():
                    merge_pyramids(uris, target, overwrite=overwrite, workers=1, **OPTIONS)

            assert in_a_process(work) == DEAD
            if target.exists():
                assert contents_of(str(target)) in (older, expected), moment
            try:
                merge_pyramids(uris, target, overwrite=overwrite, **OPTIONS)
            except ConfigError:  # it was killed after its note was removed, when all was done
                assert contents_of(str(target)) == expected
                assert not (target.parent / ".M.copying" / "note").exists()
            assert tree(target.parent) == final, moment

    def test_killed_at_any_request(self, clusters: Clusters) -> None:
        uris, transport = halves("s3://tray/in"), clusters.tray("s3", "tray")
        begin = dict(transport.objects)
        started = len(transport.requests)
        merge_pyramids(uris, "s3://tray/M.json", **OPTIONS)
        final = dict(transport.objects)
        count = sum(verb in ("put", "delete", "copy") for verb, _ in transport.requests[started:])
        for moment in moments(count, 4, last=10):
            transport.objects.clear()
            transport.objects.update(begin)
            with clusters.gone_after("s3", "tray", moment), pytest.raises(StoreError):
                merge_pyramids(uris, "s3://tray/M.json", workers=1, **OPTIONS)
            merge_pyramids(uris, "s3://tray/M.json", overwrite="M.json" in transport.objects, **OPTIONS)
            assert transport.objects == final, moment

    def test_what_is_there_is_not_made_again(self, tmp_path: Path) -> None:
        uris = halves(place("folder", tmp_path))
        with Steps(70, fill_the_disk).watched(), pytest.raises(StoreError, match="no space left") as failed:
            merge_pyramids(uris, tmp_path / "M.json", mode="copy", workers=1, **OPTIONS)
        assert "run the same command again" in failed.value.__notes__[0]
        result = merge_pyramids(uris, tmp_path / "M.json", mode="copy", **OPTIONS)
        assert 0 < result.kept < 40
        assert open_pyramid(tmp_path / "M.json", TINY).verify(all_tiles=True).findings == []

    def test_a_source_that_changes(self, tmp_path: Path) -> None:
        uris = halves(place("folder", tmp_path))

        def change(done: int, total: int) -> None:
            if done == total:
                path = Path(uris[1])
                path.write_text(path.read_text() + "\n")

        with pytest.raises(StoreError, match="was changed while it was merged"):
            merge_pyramids(uris, tmp_path / "M.json", progress=change, **OPTIONS)
        assert not (tmp_path / "M.json").exists()


def test_another_nodata_is_said(tmp_path: Path) -> None:
    uris = halves(place("folder", tmp_path))
    result = merge_pyramids(uris, tmp_path / "M.json", nodata=[0, 0, 0], **OPTIONS)
    assert len(result.warnings) == 2
    assert "has nodata 255,255,255, the result 0,0,0" in result.warnings[0]


def test_a_source_without_masks_is_data_as_far_as_its_limits() -> None:
    a, b = halves("mem://unmasked")
    pyramid = open_pyramid(a, TINY)
    size = side("1")
    mask = np.zeros((size, size), np.uint8)
    mask[:40, :40] = 255
    write_tiny(a, pyramid.format, {"1": (np.full((size, size, 3), 9), mask)}, mask=False)
    result = merge_pyramids([a, b], "mem://unmasked/M.json", bottom="1", top="1", **OPTIONS)
    assert result.masks == 2  # the other two slabs are shared
    merged = open_pyramid("mem://unmasked/M.json", TINY)
    expected = np.zeros((size, size), bool)
    expected[: 3 * TILE, : 3 * TILE] = True  # tiles of the limits
    expected[:, size * 15 // 32 :] = True
    np.testing.assert_array_equal(read_tiny(merged)["1"][1] != 0, expected)
