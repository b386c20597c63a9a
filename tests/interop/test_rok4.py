"""The ``rok4`` package reads every pyramid we write, in the formats that it can decode, and returns our pixels.

It needs GDAL's Python bindings, which have no wheels: point FASTPYR_ROK4_PYTHON at an interpreter that has both (a venv
with access to Debian's python3-gdal and ``pip install rok4``; ``.ci/run`` makes one). Without it these tests use the
interpreter that runs them, or are skipped.
"""

from __future__ import annotations

import functools
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fastpyr

READER = Path(__file__).with_name("rok4_reader.py")
TMS = "PM"
BOTTOM, TOP = "12", "9"
COLUMN, ROW = 2073, 1411  # first tile of the source at the bottom level
SIZE = 600  # source pixels a side: three tiles, the last ones partly nodata
OFFSET = 72  # of the source in its first tile
NODATA = {"uint8": 200, "float32": -99999}
CASES = [
    ("raw", 1, "uint8"),
    ("raw", 3, "uint8"),
    ("raw", 4, "uint8"),
    ("zip", 1, "uint8"),
    ("zip", 3, "uint8"),
    ("zip", 4, "uint8"),
    ("png", 1, "uint8"),
    ("png", 2, "uint8"),
    ("png", 3, "uint8"),
    ("png", 4, "uint8"),
    ("jpg", 3, "uint8"),
    ("jpg90", 3, "uint8"),
    ("raw", 1, "float32"),
    ("zip", 1, "float32"),
]


@functools.cache
def rok4_python() -> str:
    """An interpreter that imports rok4 with its GDAL half, or a skip that says what is missing."""
    python = os.environ.get("FASTPYR_ROK4_PYTHON", sys.executable)
    code = "import rok4.pyramid, osgeo.osr"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, env=_environment())
    if done.returncode == 0:
        return python
    reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
    if "FASTPYR_ROK4_PYTHON" in os.environ:
        pytest.fail(f"FASTPYR_ROK4_PYTHON={python} cannot import rok4: {reason}")
    pytest.skip(f"rok4 is not importable ({reason}): set FASTPYR_ROK4_PYTHON to an interpreter that has it")


def _environment(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | more


def read_with_rok4(descriptor: Path, folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What rok4 says of a pyramid and all its tiles by ``level_column_row``."""
    tms_folder = folder / "tms"
    tms_folder.mkdir(exist_ok=True)
    (tms_folder / f"{TMS}.json").write_text(json.dumps(fastpyr.load_tms(TMS).to_json()))
    out = folder / "tiles.npz"
    done = subprocess.run(
        [rok4_python(), str(READER), str(descriptor), str(out)],
        capture_output=True,
        text=True,
        env=_environment(ROK4_TMS_DIRECTORY=str(tms_folder)),
    )
    assert done.returncode == 0, done.stderr
    with np.load(out) as tiles:
        return json.loads(done.stdout), dict(tiles)


def source_pixels(channels: int, dtype: str) -> np.ndarray:
    """Smooth waves (JPEG keeps them) that no nodata value equals."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    bands = [60 + 50 * np.sin(x / (9 + 5 * c)) * np.cos(y / (11 + 3 * c)) + 10 * c for c in range(channels)]
    pixels = np.stack(bands, axis=2)
    return pixels.astype(np.float32) * 1.37 if dtype == "float32" else pixels.round().astype(np.uint8)


def build(folder: Path, compression: str, channels: int, dtype: str, **options: Any) -> tuple[np.ndarray, Any]:
    """A pyramid whose bottom pixels are the source's own, placed OFFSET pixels inside tile (COLUMN, ROW)."""
    matrix = fastpyr.load_tms(TMS).level(BOTTOM)
    pixels = source_pixels(channels, dtype)
    box = matrix.tile_bounds(COLUMN, ROW)
    left, top = box.left + OFFSET * matrix.cell_size, box.top - OFFSET * matrix.cell_size
    bbox = (left, top - SIZE * matrix.cell_size, left + SIZE * matrix.cell_size, top)
    source = fastpyr.ArraySource(pixels, crs="EPSG:3857", bbox=bbox, name="waves")
    asked = {"width": 2, "height": 2, "bottom": BOTTOM, "top": TOP, "nodata": NODATA[dtype], **options}
    pyramid = fastpyr.build([source], folder / "WAVES.json", tms=TMS, compression=compression, **asked)
    return pixels, pyramid


def bottom_canvas(pixels: np.ndarray, nodata: int) -> np.ndarray:
    """The source on the tiles it touches."""
    tiles = -(-(OFFSET + SIZE) // 256)
    canvas = np.full((tiles * 256, tiles * 256, pixels.shape[2]), nodata, pixels.dtype)
    canvas[OFFSET : OFFSET + SIZE, OFFSET : OFFSET + SIZE] = pixels
    return canvas


def through_pillow(tile: np.ndarray, quality: int) -> np.ndarray:
    packed = io.BytesIO()
    Image.fromarray(tile).save(packed, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(packed))


@pytest.mark.parametrize(("compression", "channels", "dtype"), CASES)
def test_rok4_reads_our_pixels(tmp_path: Path, compression: str, channels: int, dtype: str) -> None:
    rok4_python()
    pixels, pyramid = build(tmp_path, compression, channels, dtype)
    facts, tiles = read_with_rok4(tmp_path / "WAVES.json", tmp_path)

    assert facts["format"] == f"TIFF_{compression.upper()}_{dtype.upper()}"
    assert facts["channels"] == channels
    assert facts["bottom"] == BOTTOM
    assert facts["tms"] == TMS
    assert facts["size"] == sum(path.stat().st_size for path in (tmp_path / "WAVES").rglob("*.tif"))

    canvas = bottom_canvas(pixels, NODATA[dtype])
    for row in range(canvas.shape[0] // 256):
        for column in range(canvas.shape[1] // 256):
            expected = canvas[row * 256 : (row + 1) * 256, column * 256 : (column + 1) * 256]
            if compression.startswith("jpg"):
                expected = through_pillow(expected, 75 if compression == "jpg" else 90)
            np.testing.assert_array_equal(tiles.pop(f"{BOTTOM}_{COLUMN + column}_{ROW + row}"), expected)
    assert not any(key.startswith(f"{BOTTOM}_") for key in tiles)

    assert {key.split("_")[0] for key in tiles} == {"11", "10", "9"}
    for key, theirs in tiles.items():
        level, column, row = key.split("_")
        np.testing.assert_array_equal(theirs, pyramid.tile(level, int(column), int(row)), key)


def test_rok4_reads_our_list_limits_and_masks(tmp_path: Path) -> None:
    rok4_python()
    _, pyramid = build(tmp_path, "png", 3, "uint8", mask=True, width=4, height=2)
    facts, tiles = read_with_rok4(tmp_path / "WAVES.json", tmp_path)
    assert facts["masks"] is True
    assert facts["absent"] == []
    assert facts["interpolation"] == "bicubic"
    assert facts["photometric"] == "rgb"
    assert facts["nodata"] == "200,200,200"
    for level in pyramid.levels:
        limits = level.limits
        assert facts["limits"][level.id] == {
            "min_row": limits.min_row,
            "max_row": limits.max_row,
            "min_col": limits.min_col,
            "max_col": limits.max_col,
        }
        assert sum(key.startswith(f"{level.id}_") for key in tiles) == limits.count
    np.testing.assert_allclose(facts["bottom_bbox"], pyramid.extent, rtol=1e-12)

    stored = {str(path.relative_to(tmp_path / "WAVES")) for path in (tmp_path / "WAVES").rglob("*.tif")}
    assert {slab for *_, slab in facts["slabs"]} == stored
    assert {(kind, level) for kind, level, *_ in facts["slabs"]} == {
        (kind, level.id) for kind in ("DATA", "MASK") for level in pyramid.levels
    }
    bottom = {(column, row) for kind, level, column, row, _, _ in facts["slabs"] if level == BOTTOM and kind == "DATA"}
    assert bottom == {((COLUMN + c) // 4, (ROW + r) // 2) for c in range(3) for r in range(3)}  # slabs of 4 x 2 tiles
    assert not any(link for *_, link, _ in facts["slabs"])


def test_rok4_reads_our_copies_and_their_links(tmp_path: Path) -> None:
    """A copy whose bottom slabs are made links to those of the first pyramid, and a copy of that."""
    from stored_pyramids import link_some

    from fastpyr.updates import copy_pyramid

    rok4_python()
    _, pyramid = build(tmp_path, "png", 3, "uint8", mask=True, width=2, height=2)
    copy_pyramid(tmp_path / "WAVES.json", tmp_path / "a" / "LINKED.json")
    linked = link_some(fastpyr.open(tmp_path / "a" / "LINKED.json"), pyramid, lambda ref: ref.level == BOTTOM)
    copy_pyramid(tmp_path / "a" / "LINKED.json", tmp_path / "b" / "COPY.json")
    copy_pyramid(tmp_path / "a" / "LINKED.json", tmp_path / "c" / "FLAT.json", path_depth=1, follow_links=True)
    (tmp_path / "in").mkdir()
    _, expected = read_with_rok4(tmp_path / "WAVES.json", tmp_path / "in")
    for name in ("a/LINKED", "b/COPY", "c/FLAT"):
        facts, tiles = read_with_rok4(tmp_path / f"{name}.json", (tmp_path / name).parent)
        assert tiles.keys() == expected.keys()
        for key, tile in tiles.items():
            np.testing.assert_array_equal(tile, expected[key], key)
        links = [level for _, level, *_, link, _ in facts["slabs"] if link]
        assert links == ([] if name == "c/FLAT" else [BOTTOM] * len(linked))
    assert linked


def test_rok4_reads_our_updates_and_their_links(tmp_path: Path) -> None:
    """An update of an update, in folders of their own: links lead to the pyramid that owns the slab."""
    from fastpyr.pyramid.list import parse_list

    rok4_python()
    build(tmp_path, "png", 3, "uint8", mask=True, width=2, height=1)
    matrix = fastpyr.load_tms(TMS).level(BOTTOM)
    base, owners = tmp_path / "WAVES.json", set()
    for number, column in enumerate((COLUMN, COLUMN + 2)):
        box = matrix.tile_bounds(column, ROW + 1)
        noise = np.random.default_rng(number).integers(0, 200, (100, 150, 3), np.uint8)
        left, top, cell = box.left + 60 * matrix.cell_size, box.top - 30 * matrix.cell_size, matrix.cell_size
        bbox = (left, top - 100 * cell, left + 150 * cell, top)
        target = tmp_path / f"update{number}" / "WAVES.json"
        source = fastpyr.ArraySource(noise, crs="EPSG:3857", bbox=bbox, name="noise")
        updated = fastpyr.update([source], target, base=base, bottom=BOTTOM)
        base = target
        facts, tiles = read_with_rok4(target, target.parent)
        assert facts["absent"] == []
        for key, theirs in tiles.items():
            level, place_column, place_row = key.split("_")
            np.testing.assert_array_equal(theirs, updated.tile(level, int(place_column), int(place_row)), key)
        assert len(tiles) == sum(level.limits.count for level in updated.levels)
        linked = {(kind, level, column, row) for kind, level, column, row, link, _ in facts["slabs"] if link}
        listing = parse_list(target.with_suffix(".list").read_bytes())
        ours = {entry.slab() for entry in listing.entries if entry.root}
        assert linked == {(name.kind.value, *name[1:]) for name in ours}
        assert linked
        owners |= {Path(root) for index, root in listing.roots.items() if index}
    assert owners == {tmp_path / "WAVES", tmp_path / "update0" / "WAVES"}


def test_rok4_reads_what_was_changed_in_place(tmp_path: Path) -> None:
    """A pyramid after an update in place, and after its upper levels were made again."""
    from fastpyr.updates import rebuild_top

    rok4_python()
    build(tmp_path, "png", 3, "uint8", mask=True, width=2, height=1)
    target = tmp_path / "WAVES.json"
    before = read_with_rok4(target, tmp_path)[1]
    noise = np.random.default_rng(4).integers(0, 200, (100, 150, 3), np.uint8)
    matrix = fastpyr.load_tms(TMS).level(BOTTOM)
    box, cell = matrix.tile_bounds(COLUMN, ROW + 1), matrix.cell_size
    bbox = (box.left, box.top - 100 * cell, box.left + 150 * cell, box.top)
    source = fastpyr.ArraySource(noise, crs="EPSG:3857", bbox=bbox, name="noise")
    for change in (
        lambda: fastpyr.inject([source], target, bottom=BOTTOM),
        lambda: rebuild_top(target, BOTTOM, gamma=2.0),
    ):
        change()
        pyramid = fastpyr.open(target)
        facts, tiles = read_with_rok4(target, tmp_path)
        assert facts["absent"] == []
        for key, theirs in tiles.items():
            level, column, row = key.split("_")
            np.testing.assert_array_equal(theirs, pyramid.tile(level, int(column), int(row)), key)
        assert len(tiles) == sum(level.limits.count for level in pyramid.levels)
        assert any(not np.array_equal(theirs, before[key]) for key, theirs in tiles.items() if key in before)
        before = tiles


def test_rok4_reads_our_merges_and_their_links(tmp_path: Path) -> None:
    """Two pyramids that share some slabs, merged, and that result merged again: links lead to the owners."""
    from fastpyr.pyramid.list import parse_list
    from fastpyr.updates import merge_pyramids

    rok4_python()
    (tmp_path / "other").mkdir()
    build(tmp_path, "png", 3, "uint8", mask=True, width=2, height=1)
    matrix = fastpyr.load_tms(TMS).level(BOTTOM)
    box = matrix.tile_bounds(COLUMN + 2, ROW + 1)
    noise = np.random.default_rng(6).integers(0, 200, (700, 900, 3), np.uint8)
    bbox = (box.left, box.top - 700 * matrix.cell_size, box.left + 900 * matrix.cell_size, box.top)
    source = fastpyr.ArraySource(noise, crs="EPSG:3857", bbox=bbox, name="noise")
    options = {"tms": TMS, "bottom": BOTTOM, "top": TOP, "width": 2, "height": 1, "compression": "png", "mask": True}
    fastpyr.build(source, tmp_path / "other" / "NOISE.json", **options)
    sources = [tmp_path / "WAVES.json", tmp_path / "other" / "NOISE.json"]
    for number in range(2):
        target = tmp_path / f"merge{number}" / "MERGED.json"
        result = merge_pyramids(sources, target, method="top")
        assert result.linked > 0
        assert (result.composed > 0) == (number == 0)
        merged = fastpyr.open(target)
        facts, tiles = read_with_rok4(target, target.parent)
        for key, theirs in tiles.items():
            level, column, row = key.split("_")
            np.testing.assert_array_equal(theirs, merged.tile(level, int(column), int(row)), key)
        assert len(tiles) + len(facts["absent"]) == sum(level.limits.count for level in merged.levels)
        assert all(merged.tile(*key.split("_")[:1], *map(int, key.split("_")[1:])) is None for key in facts["absent"])
        listing = parse_list(target.with_suffix(".list").read_bytes())
        linked = {(kind, level, column, row) for kind, level, column, row, link, _ in facts["slabs"] if link}
        names = [entry.slab() for entry in listing.entries if entry.root]
        assert linked == {(name.kind.value, *name[1:]) for name in names}
        sources = [target]
    roots = {Path(root) for index, root in listing.roots.items() if index}
    assert roots == {tmp_path / "WAVES", tmp_path / "other" / "NOISE", tmp_path / "merge0" / "MERGED"}
