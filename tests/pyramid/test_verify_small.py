"""Verification of pyramids of our own making: every format, object storage, absent slabs, gamma, reports."""

import json

import numpy as np
import pytest
import small_pyramid

from fastpyr import kernels
from fastpyr.encode import encoder
from fastpyr.errors import ConfigError
from fastpyr.formats import TILE_FORMATS, SlabKind
from fastpyr.pyramid import open_pyramid
from fastpyr.pyramid.verify import verify, verify_pyramid
from fastpyr.store import Layout, MemoryStore, StorageType
from fastpyr.store.naming import object_link


def errors(report, check=None):
    return [f for f in report.findings if f.severity == "error" and check in (None, f.check)]


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("format", [f.name for f in TILE_FORMATS])
def test_every_format_passes(format, mask):
    store = MemoryStore()
    channels = 3 if "JPG" in format else 1
    key, _ = small_pyramid.write(store, format=format, channels=channels, mask=mask)
    report = verify_pyramid(store, key, all_tiles=True)
    assert report.ok, [str(f) for f in report.findings]
    assert report.counts["upper_tiles"] > 0
    assert report.counts["mask_tiles"] == (report.counts["tiles"] if mask else 0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_channel_count_passes(channels):
    store = MemoryStore()
    key, _ = small_pyramid.write(store, channels=channels, mask=False)
    report = verify_pyramid(store, key, all_tiles=True)
    assert report.ok, [str(f) for f in report.findings]


@pytest.mark.parametrize("format", ["TIFF_PNG_UINT8", "TIFF_JPG_UINT8"])
@pytest.mark.parametrize("mask", [True, False])
def test_swapped_upper_tiles_are_found(tmp_path, format, mask):
    key, _ = small_pyramid.write(tmp_path, format=format, mask=mask, bottom=12, corner=(2072, 1408), tiles=(4, 4))
    pyramid = open_pyramid(tmp_path / key)
    ref = next(r for r in pyramid.slabs() if r.level == "11" and r.kind is SlabKind.DATA)
    path = pyramid.store.path(pyramid.slab_key(ref))
    # Rows 2 and 3 of the bottom have no gap in their masks, so only the pixels are wrong.
    cells = [(ref.col * 2 + x, ref.row * 2 + 1) for x in range(2)]
    tiles = [pyramid.tile_bytes("11", *cell) for cell in cells]
    small_pyramid.replace_tile(path, 2, tiles[1], pyramid.format)
    small_pyramid.replace_tile(path, 3, tiles[0], pyramid.format)
    found = errors(verify(tmp_path / key, all_tiles=True), "upper-level")
    assert {f.tile for f in found if f.level == "11"} == set(cells)
    assert all(f.path == str(path) for f in found if f.level == "11")


def test_absent_upper_slab_is_found(tmp_path):
    key, _ = small_pyramid.write(tmp_path, corner=(2072, 1408), tiles=(4, 4))
    pyramid = open_pyramid(tmp_path / key)
    lines = (tmp_path / "SMALL.list").read_text().splitlines()
    gone = [line for line in lines if "/10/" in line]
    for line in gone:
        (tmp_path / "SMALL" / line[2:]).unlink()
    (tmp_path / "SMALL.list").write_text("\n".join(line for line in lines if line not in gone) + "\n")
    assert pyramid.tile("10", 518, 352) is None
    found = errors(verify(tmp_path / key))
    assert {(f.check, f.level) for f in found} == {("upper-level", "10")}


def test_gamma(tmp_path):
    key, _ = small_pyramid.write(tmp_path, levels=2, mask=False, corner=(2072, 1408), tiles=(4, 4))
    pyramid = open_pyramid(tmp_path / key)
    packer = encoder(pyramid.format, 256, 256)
    for ref in list(pyramid.slabs()):
        if ref.level != "11":
            continue
        for number in range(4):
            col, row = ref.col * 2 + number % 2, ref.row * 2 + number // 2
            below = np.concatenate(
                [
                    np.concatenate([pyramid.tile("12", 2 * col + x, 2 * row + y) for x in range(2)], axis=1)
                    for y in range(2)
                ]
            )
            valid = kernels.nodata_mask(below, pyramid.nodata)
            parent, parent_mask = kernels.reduce2x2(below, mask=valid, nodata=pyramid.nodata, gamma=1.8)
            kernels.fill_nodata(parent, parent_mask, pyramid.nodata)
            path = pyramid.store.path(pyramid.slab_key(ref))
            small_pyramid.replace_tile(path, number, packer.encode(parent), pyramid.format)
    assert verify(tmp_path / key, gamma=1.8, all_tiles=True).ok
    assert errors(verify(tmp_path / key), "upper-level")
    for gamma in (0, -1, 6, float("nan")):
        with pytest.raises(ConfigError, match="gamma"):
            verify(tmp_path / key, gamma=gamma)


def test_object_storage_and_links():
    store = MemoryStore("tray", Layout(StorageType.S3, "tray"))
    key, _ = small_pyramid.write(store, storage=StorageType.S3)
    report = verify_pyramid(store, key)
    assert report.ok, [str(f) for f in report.findings]
    name = "SMALL/DATA_12_1036_704"
    store.put("OTHER/DATA_12_1036_704", [store.get(name)])
    store.put(name, [object_link("tray/OTHER/DATA_12_1036_704")])
    assert verify_pyramid(store, key).ok
    store.put("OTHER/DATA_12_1036_704", [object_link("tray/X/Y")])
    report = verify_pyramid(store, key)
    assert [f.slab for f in errors(report, "link")] == [(1036, 704)]
    store.put("SMALL/DATA_12_stray", [b""])
    assert len(errors(verify_pyramid(store, key), "unlisted-slab")) == 1


def test_sample_is_seeded_and_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr("fastpyr.pyramid.verify_levels.SAMPLED_SLABS", 2)
    monkeypatch.setattr("fastpyr.pyramid.verify_levels.SAMPLED_TILES", 1)
    key, _ = small_pyramid.write(tmp_path, tiles=(6, 6), levels=2)
    sampled, again = verify(tmp_path / key), verify(tmp_path / key, threads=1)
    everything = verify(tmp_path / key, all_tiles=True)
    assert sampled.ok
    assert everything.ok
    assert sampled.counts == again.counts
    assert sampled.counts["upper_tiles"] == 2
    assert everything.counts["upper_tiles"] == 4 * 4  # six tiles from an odd column and row have four parents a side
    assert sampled.counts["tiles"] == everything.counts["tiles"]


def test_report_as_json(tmp_path):
    key, _ = small_pyramid.write(tmp_path)
    next((tmp_path / "SMALL/DATA/12").rglob("*.tif")).unlink()
    seen = []
    report = verify(tmp_path / key, progress=lambda stage, done, total: seen.append((stage, done, total)))
    document = json.loads(report.to_json())
    assert document["ok"] is False
    assert document["errors"] == report.errors == 2  # the slab, and its mask that is alone now
    assert {f["check"] for f in document["findings"] if f["severity"] == "error"} == {"listed-slab", "mask"}
    status = {check["name"]: check["status"] for check in document["checks"]}
    assert status["listed-slab"] == "failed"
    assert status["tile"] == "passed"
    assert seen[-1][0] == "upper levels"
    assert seen[-1][1] == seen[-1][2]


def test_findings_are_capped(tmp_path):
    key, _ = small_pyramid.write(tmp_path, levels=1)
    root = tmp_path / "SMALL/DATA/12"
    for number in range(130):
        (root / f"stray{number}.tif").write_bytes(b"")
    report = verify(tmp_path / key)
    assert report.errors == 130
    assert len(report.findings) == 100
