"""Deliveries, good and bad in one way each, against rasters made with rasterio and signatures made with hashlib."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import shared

from fastpyr.check import Report, check_delivery
from fastpyr.check.coverage import coverage
from fastpyr.check.md5 import read_md5_list, resolve
from fastpyr.errors import ConfigError, SourceError
from fastpyr.grid import BoundingBox

LEFT, TOP, CELL = 920_000.0, 6_565_000.0, 0.5


def raster(path: Path, col: float = 0, row: float = 0, size: int = 64, **profile: Any) -> Path:
    """A GeoTIFF whose top-left corner lies ``col``, ``row`` pixels from LEFT, TOP."""
    import rasterio
    from rasterio.transform import from_origin

    given = {"count": 3, "dtype": "uint8", "crs": "EPSG:2154", "cell": CELL, "compress": "deflate", "tiled": True}
    given |= {"blockxsize": 16, "blockysize": 16, **profile}
    cell, fill = given.pop("cell"), given.pop("fill", None)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(3).integers(0, 255, (given["count"], size, size)).astype(given["dtype"])
    if fill is not None:
        pixels[:] = fill
    transform = from_origin(LEFT + col * CELL, TOP - row * CELL, cell, cell)
    with rasterio.open(path, "w", driver="GTiff", width=size, height=size, transform=transform, **given) as out:
        out.write(pixels)
    return path


def digest(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def codes(report: Report) -> set[str]:
    return {finding.code for finding in report.all_findings}


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    """Four rasters side by side, each with its signature in ``all.md5``."""
    folder = tmp_path / "delivery"
    files = [raster(folder / "sub" / f"{c}{r}.tif", 64 * c, 64 * r) for c in (0, 1) for r in (0, 1)]
    (folder / "all.md5").write_text("".join(f"{digest(f)}  sub/{f.name}\n" for f in files))
    return folder


def test_good_delivery(delivery: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = check_delivery(delivery, srs="EPSG:2154", progress=lambda done, total: calls.append((done, total)))
    assert report.ok
    assert report.all_findings == ()
    assert [file.name for file in report.files] == ["sub/00.tif", "sub/01.tif", "sub/10.tif", "sub/11.tif"]
    assert [file.md5 for file in report.files] == [digest(delivery / file.name) for file in report.files]
    assert calls == [(n + 1, len(calls)) for n in range(len(calls))]


@pytest.mark.parametrize("threads", [1, 3])
def test_changed_byte(delivery: Path, threads: int) -> None:
    """Both checks see it: the signature and, in a deflate stream, the block."""
    path = delivery / "sub" / "10.tif"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    report = check_delivery(delivery, srs="EPSG:2154", threads=threads)
    assert [file.ok for file in report.files] == [True, True, False, True]
    (finding,) = [f for f in report.all_findings if f.check == "standard"]
    assert "(sub/10.tif)" in finding.message
    assert not report.passed("standard")
    assert not report.passed("raster")


def test_several_damaged_blocks_are_all_found(tmp_path: Path) -> None:
    """Each of the blocks by its place, and only those; where they lie is asked of tifffile."""
    import tifffile

    path = raster(tmp_path / "a.tif", size=2048, blockxsize=512, blockysize=512)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))  # type: ignore[union-attr]
    data = bytearray(path.read_bytes())
    for index in (1, 6, 15):
        start, size = places[index]
        data[start + size // 2 : start + size // 2 + 8] = b"\xff" * 8
    path.write_bytes(data)
    report = check_delivery([path], srs="EPSG:2154")
    texts = [f.message for f in report.all_findings if f.code == "block"]
    assert len(texts) == 3
    for column, row in ((1, 0), (2, 1), (3, 3)):
        assert any(f"block ({column}, {row})" in text for text in texts), texts


def test_declared_system_differs(delivery: Path) -> None:
    report = check_delivery(delivery, srs="EPSG:3857")
    assert not report.passed("raster")
    assert report.passed("standard")
    assert all("Incohérence avec le SRS du fichier sub/" in f.message for f in report.all_findings)
    assert len(report.all_findings) == 4


def test_same_system_under_another_name(delivery: Path) -> None:
    assert check_delivery(delivery, srs="IGNF:LAMB93").ok


def test_system_only_declared(tmp_path: Path) -> None:
    path = raster(tmp_path / "a.tif", crs=None)
    assert check_delivery(path, srs="EPSG:2154").ok
    report = check_delivery(path)
    assert not report.ok
    assert "--srs" in report.all_findings[0].message


@pytest.mark.parametrize(
    ("odd", "code"),
    [({"cell": 0.51}, "resolution"), ({"count": 1}, "bands"), ({"dtype": "float32"}, "bands")],
)
def test_one_file_is_unlike_the_others(delivery: Path, odd: dict[str, Any], code: str) -> None:
    raster(delivery / "odd.tif", 0, 200, **odd)
    report = check_delivery(delivery, srs="EPSG:2154")
    assert [(f.file, f.code) for f in report.all_findings if f.severity == "error"] == [("odd.tif", code)]


def test_pixels_that_are_not_square_agree_with_themselves(tmp_path: Path) -> None:
    import rasterio

    paths = [tmp_path / f"{n}.tif" for n in range(2)]
    for number, path in enumerate(paths):
        grid = rasterio.Affine(0.5, 0, LEFT + 32 * number, 0, -0.8, TOP)
        with rasterio.open(
            path, "w", driver="GTiff", width=64, height=64, count=1, dtype="uint8", crs="EPSG:2154", transform=grid
        ) as out:
            out.write(np.arange(4096, dtype=np.uint8).reshape(1, 64, 64))
    assert check_delivery(paths, srs="EPSG:2154").all_findings == ()


def test_resolutions_a_thousandth_apart_agree(delivery: Path) -> None:
    raster(delivery / "odd.tif", 0, 200, cell=0.5005)
    assert check_delivery(delivery, srs="EPSG:2154").ok


@pytest.mark.parametrize(
    ("profile", "code"),
    [
        ({"nodata": 0, "fill": 0}, "nodata"),
        ({"fill": 255}, "uniform"),
        ({"dtype": "float32", "fill": np.nan}, "nodata"),
    ],
)
def test_files_of_nothing_are_warned_of(tmp_path: Path, profile: dict[str, Any], code: str) -> None:
    report = check_delivery(raster(tmp_path / "a.tif", **profile), srs="EPSG:2154")
    assert report.ok
    assert codes(report) == {code}


def test_missing_unlisted_and_strange_lines(delivery: Path) -> None:
    raster(delivery / "new.tif", 0, 128)
    with (delivery / "all.md5").open("a") as lines:
        lines.write(f"{'0' * 32}  sub/gone.tif\nwhat is this?\n")
    report = check_delivery(delivery, srs="EPSG:2154")
    found = {f.code: (f.severity, f.message) for f in report.all_findings if f.check == "standard"}
    assert {code: severity for code, (severity, _) in found.items()} == {
        "missing": "error",
        "md5-list": "error",
        "unlisted": "warning",
    }
    assert "(sub/gone.tif)" in found["missing"][1]
    assert "(new.tif)" in found["unlisted"][1]


def test_listed_files_that_are_no_rasters_are_hashed_too(delivery: Path) -> None:
    text = delivery / "read.me"
    text.write_text("one")
    with (delivery / "all.md5").open("a") as lines:
        lines.write(f"{digest(text)}  read.me\n")
    assert check_delivery(delivery, srs="EPSG:2154").ok
    text.write_text("two")
    assert not check_delivery(delivery, srs="EPSG:2154").passed("standard")


def test_names_with_two_underscores_are_passed_over(delivery: Path) -> None:
    raster(delivery / "__draft.tif", crs="EPSG:3857")
    report = check_delivery(delivery, srs="EPSG:2154")
    assert report.ok
    assert len(report.files) == 4


def test_no_raster_at_all(tmp_path: Path) -> None:
    report = check_delivery(tmp_path, srs="EPSG:2154")
    assert not report.ok
    assert codes(report) == {"empty"}


def test_what_cannot_be_judged(tmp_path: Path, delivery: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere"):
        check_delivery(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"EPSG:999999"):
        check_delivery(delivery, srs="EPSG:999999")
    with pytest.raises(SourceError, match=r"absent\.md5"):
        check_delivery(delivery, md5=[tmp_path / "absent.md5"])


def test_overlap_duplicate_and_gap(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif", 0, 0)
    raster(tmp_path / "b.tif", 60, 0)
    raster(tmp_path / "c.tif", 60, 0)
    raster(tmp_path / "d.tif", 126, 0)
    report = check_delivery(tmp_path, srs="EPSG:2154")
    assert report.ok
    found = sorted((f.code, f.file) for f in report.all_findings)
    assert found == [("duplicate", "c.tif"), ("gap", None), ("overlap", "b.tif"), ("overlap", "c.tif")]
    kinds = [feature["properties"]["kind"] for feature in report.footprint["features"]]
    assert sorted(kinds) == ["gap", *["overlap"] * 3, *["raster"] * 4]


def test_footprint_lies_where_gdal_says(delivery: Path) -> None:
    from rasterio.warp import transform_bounds

    report = check_delivery(delivery, srs="EPSG:2154")
    wanted = transform_bounds("EPSG:2154", "EPSG:4326", LEFT, TOP - 64, LEFT + 64, TOP)
    assert report.extent == pytest.approx(wanted, abs=1e-7)
    ring = report.footprint["features"][0]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    json.dumps(report.footprint)


def square(col: int, row: int, size: int = 1) -> BoundingBox:
    return BoundingBox(col * 100.0, row * 100.0, (col + size) * 100.0, (row + size) * 100.0)


def test_hole_is_a_gap_and_a_bay_is_not() -> None:
    ring = [square(c, r) for c in range(3) for r in range(3) if (c, r) != (1, 1)]
    assert coverage(ring, (1, 1)).gaps == (square(1, 1),)
    bay = [box for box in ring if box != square(2, 1)]
    assert coverage(bay, (1, 1)).gaps == ()


def test_slivers_are_gaps_and_edges_a_pixel_fraction_apart_are_not() -> None:
    left, right = BoundingBox(0, 0, 100, 100), BoundingBox(103, 0, 203, 100)
    assert coverage([left, right], (1, 1)).gaps == (BoundingBox(100, 0, 103, 100),)
    assert coverage([left, BoundingBox(100.4, 0, 200, 100)], (1, 1)).gaps == ()


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 4)), min_size=1, max_size=12))
def test_overlaps_against_counting(places: list[tuple[int, int, int]]) -> None:
    """Every pair that shares a cell of a counted grid is an overlap, and no other."""
    found = {(o.first, o.second) for o in coverage([square(*place) for place in places], (1, 1)).overlaps}
    cells = [{(c + i, r + j) for i in range(n) for j in range(n)} for c, r, n in places]
    assert found == {(a, b) for a in range(len(cells)) for b in range(a + 1, len(cells)) if cells[a] & cells[b]}


def test_forms_of_lists(tmp_path: Path) -> None:
    low, high = "0123456789abcdef0123456789abcdef", "0123456789ABCDEF0123456789ABCDEF"
    file = tmp_path / "x.tif.md5"
    file.write_bytes(
        b"\xef\xbb\xbf# made by hand\r\n"
        + f"{low}  a b.tif\r\n{high} *bin.tif\r\nMD5 (bsd (1).tif) = {low}\r\n".encode()
        + f"\r\n{low}\t\td\\e.tif\r\n{low}\r\nno\r\n".encode()
    )
    read = read_md5_list(file)
    assert [(s.digest, s.path) for s in read.signatures] == [
        (low, "a b.tif"),
        (low, "bin.tif"),
        (low, "bsd (1).tif"),
        (low, "d/e.tif"),
        (low, "x.tif"),
    ]
    assert read.strange == ((8, "no"),)


def test_md5sum_writes_what_we_read(delivery: Path) -> None:
    done = subprocess.run(
        ["md5sum", "-b", *sorted(str(f.relative_to(delivery)) for f in delivery.rglob("*.tif"))],
        cwd=delivery, capture_output=True, check=True,
    )  # fmt: skip
    (delivery / "all.md5").write_bytes(done.stdout)
    report = check_delivery(delivery, srs="EPSG:2154")
    assert report.ok
    assert all(file.md5 for file in report.files)


@pytest.mark.parametrize("written", ["sub/a.tif", "data/sub/a.tif", "root/sub/a.tif", "./sub/a.tif"])
def test_paths_of_lists(tmp_path: Path, written: str) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a.tif").write_text("x")
    assert resolve(written, tmp_path / "elsewhere", [root]) == root / "sub" / "a.tif"


@pytest.mark.parametrize("written", ["../secret", "/etc/passwd", "sub/../../secret", "", ".", "a\0b"])
def test_lists_cannot_reach_outside(tmp_path: Path, written: str) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "root" / "sub").mkdir(parents=True)
    assert resolve(written, tmp_path / "root", [tmp_path / "root"]) is None


def command(*args: object) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "fastpyr", "check", *map(str, args)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_command(delivery: Path, tmp_path: Path) -> None:
    code, out, err = command(delivery, "--srs", "EPSG:2154", "--footprint", tmp_path / "f.geojson")
    assert (code, err) == (0, "")
    assert "sub/00.tif" in out
    assert len(json.loads((tmp_path / "f.geojson").read_text())["features"]) == 4
    code, out, _ = command(delivery, "--srs", "EPSG:3857", "--json")
    assert code == 1
    assert json.loads(out)["checks"] == {"standard": True, "raster": False}
    assert command(tmp_path / "nowhere")[0] == 2


def test_reference_delivery() -> None:
    report = check_delivery(shared("ortho"), srs="EPSG:2154")
    assert report.all_findings == ()
    assert report.passed("standard")
    assert all(file.md5 for file in report.files)


def test_damaged_delivery_of_the_wheel_fails_though_its_signatures_hold() -> None:
    found = importlib.util.find_spec("sdk_entrepot_gpf")
    if found is None or not found.submodule_search_locations:
        pytest.skip("package sdk-entrepot-gpf (test extra) is not installed")
    folder = Path(next(iter(found.submodule_search_locations)), "_data/datasets/3_dataset_raster")
    if not (folder / "ain").is_dir():
        pytest.skip("package sdk-entrepot-gpf has no data set 3_dataset_raster/ain")
    report = check_delivery(folder / "ain", srs="EPSG:2154", md5=[folder / "ain.md5"])
    assert report.passed("standard")
    assert [file.ok for file in report.files] == [False] * 4
    assert all("block" in f.message for f in report.all_findings)


def test_every_byte_is_read_from_the_disk_once(tmp_path: Path) -> None:
    """Hashing and decoding share what was read: the kernel counts what it fetched for the process."""
    if not hasattr(os, "posix_fadvise") or not Path("/proc/self/io").exists():
        pytest.skip("the system does not count what is read from disks")
    path = raster(tmp_path / "a.tif", size=2048, compress=None)
    (tmp_path / "a.md5").write_text(f"{digest(path)}  a.tif\n")
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)
    code = f"""
import rasterio, imagecodecs
from fastpyr.check import check_delivery
from fastpyr.check import file, delivery
from fastpyr.grid import Transform
def count(): return int(dict(line.split(":") for line in open("/proc/self/io"))["read_bytes"])
Transform("EPSG:2154", "EPSG:4326").forward([920000.0], [6565000.0])
before = count()
assert check_delivery({str(tmp_path)!r}, srs="EPSG:2154").ok
print(count() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, size = int(done.stdout), path.stat().st_size
    if count == 0:
        pytest.skip("this file system has its files in memory")
    assert count < 1.2 * size
