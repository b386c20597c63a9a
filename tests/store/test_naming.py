"""Names of slabs: published vectors, inverses, rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from fastpyr.errors import ConfigError, StoreError
from fastpyr.formats import SlabKind
from fastpyr.store.naming import (
    check_level_id,
    check_pyramid_name,
    object_link,
    object_name,
    parse_object_link,
    parse_object_name,
    parse_slab_path,
    slab_directory,
    slab_key,
    slab_path,
)


@pytest.mark.parametrize(
    ("col", "row", "depth", "path"),
    [
        (4032, 18217, 2, "3E/42/01"),
        (15247, 75846, 2, "01BM/RI/JU"),
        (14, 18217, 1, "0E02/E1"),
        (0, 0, 2, "00/00/00"),
        (0, 0, 0, "00"),
        (35, 36, 0, "01Z0"),
        (25, 1, 1, "00/P1"),
        # 132348 is 2U4C and 16549465 is 9UPND in base 36
        (132348, 16549465, 0, "092UUP4NCD"),
        (132348, 16549465, 2, "092UUP/4N/CD"),
    ],
)
def test_vectors(col: int, row: int, depth: int, path: str) -> None:
    assert slab_path(col, row, depth) == path
    assert parse_slab_path(path) == (col, row)
    assert parse_slab_path(path + ".tif") == (col, row)


def test_golden_names() -> None:
    """The reference tools' own paths, rebuilt from what they mean."""
    files = sorted(shared("rok4/golden").rglob("*.tif"))
    assert len(files) >= 50
    for file in files:
        path = "/".join(file.parts[-3:])
        assert slab_path(*parse_slab_path(path)) + ".tif" == path


@given(st.integers(0, 36**7), st.integers(0, 36**7), st.integers(0, 6))
def test_round_trip(col: int, row: int, depth: int) -> None:
    path = slab_path(col, row, depth)
    assert parse_slab_path(path) == (col, row)
    assert path.count("/") == depth
    assert all(len(part) == 2 for part in path.split("/")[1:])
    digits = path.replace("/", "")
    assert (int(digits[::2], 36), int(digits[1::2], 36)) == (col, row)


@pytest.mark.parametrize(
    "path", ["", "3", "3e/42", "3E/4/201", "3E//42", "/3E/42", "../3E", "3E/42.png", "3E/42\n", "0" * 102]
)
def test_paths_that_are_not_slabs(path: str) -> None:
    with pytest.raises(StoreError, match="is not the path of a slab"):
        parse_slab_path(path)


@pytest.mark.parametrize(("col", "row", "depth"), [(-1, 0, 2), (0, -1, 2), (0, 0, -1), (0, 0, 33)])
def test_impossible_slabs(col: int, row: int, depth: int) -> None:
    with pytest.raises(ConfigError, match="no slab path"):
        slab_path(col, row, depth)


def test_keys() -> None:
    directory = slab_directory("ORTHO", SlabKind.MASK, "18")
    assert directory == "ORTHO/MASK/18"
    assert slab_key(directory, 4032, 18217) == "ORTHO/MASK/18/3E/42/01.tif"
    assert object_name(SlabKind.DATA, "18", 4032, 18217) == "DATA_18_4032_18217"
    assert parse_object_name("MASK_1-5_12_9") == (SlabKind.MASK, "1-5", 12, 9)
    for name in ("DATA_18_1", "DATA_1_8_1_2", "data_18_1_2", "DATA_18_1_2x", "DATA_18_-1_2", "X/DATA_18_1_2"):
        with pytest.raises(StoreError, match="is not the name of a slab object"):
            parse_object_name(name)


def test_links_between_objects() -> None:
    data = object_link("tray/ORTHO/DATA_18_1_2")
    assert data == b"SYMLINK#tray/ORTHO/DATA_18_1_2"
    assert parse_object_link(data) == ("tray", "ORTHO/DATA_18_1_2")
    assert parse_object_link(b"II\x2a\0") is None
    for bad in (b"SYMLINK#", b"SYMLINK#tray", b"SYMLINK#/name", b"SYMLINK#tray/", b"SYMLINK#t/\xff", b"SYMLINK#t/a\nb"):
        with pytest.raises(StoreError, match="no target"):
            parse_object_link(bad)


@pytest.mark.parametrize("name", ["ORTHO", "BD-ORTHO 2024", "été", "a.b", "x" * 200])
def test_good_names(name: str) -> None:
    assert check_pyramid_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a\nb", "a\0b", "x" * 201, "é" * 101])
def test_bad_names(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be used") as caught:
        check_pyramid_name(name)
    assert "\n" not in str(caught.value)


def test_level_ids() -> None:
    assert check_level_id("18") == "18"
    for level in ("", "..", "a_b", "a/b", "a\\b", "1\n", "x" * 101):
        with pytest.raises(ConfigError, match="cannot be used in slab names"):
            check_level_id(level)
