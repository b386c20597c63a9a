"""Slab lists: those of the reference tools, our own, broken ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from fastpyr.errors import DescriptorError
from fastpyr.formats import SlabKind
from fastpyr.pyramid.list import ListEntry, SlabList, SlabName, parse_list

LISTS = [
    "golden/BDPARCELLAIRE",
    "golden/RGEALTI",
    "golden/SCAN1000",
    "reference-runs/SCAN1000_PNG_MASK_M4T50",
    "fixtures/TIFF_PBF_MVT",
]


@pytest.mark.parametrize("name", LISTS)
def test_reference_lists(name: str) -> None:
    path = shared(f"rok4/{name}.list")
    data = path.read_bytes()
    slabs = parse_list(data, path.name)
    assert slabs.to_bytes() == data.rstrip(b"\n") + b"\n"
    files = {str(file.relative_to(path.with_suffix(""))) for file in path.with_suffix("").rglob("*.tif")}
    assert {entry.path for entry in slabs.entries} == files
    assert all(entry.root == 0 and entry.md5 is None for entry in slabs.entries)
    for entry in slabs.entries:
        kind, level, _, _ = entry.slab()
        assert entry.path.startswith(f"{kind.value}/{level}/")


def test_own_list() -> None:
    slabs = SlabList.owned("/data/ORTHO", ["DATA/18/3E/42/01.tif", "MASK/18/3E/42/01.tif"])
    data = slabs.to_bytes()
    assert data == b"0=/data/ORTHO\n#\n0/DATA/18/3E/42/01.tif\n0/MASK/18/3E/42/01.tif\n"
    assert parse_list(data) == slabs


def test_links_checksums_and_order() -> None:
    text = "1=/other/OLD\r\n0=/data/NEW\n#\n\n1/DATA/5/00/00/00.tif\n0/DATA_5_1_2 0123456789abcdef0123456789ABCDEF\n"
    slabs = parse_list(text.encode())
    assert slabs.roots == {0: "/data/NEW", 1: "/other/OLD"}
    assert slabs.entries == [
        ListEntry(1, "DATA/5/00/00/00.tif"),
        ListEntry(0, "DATA_5_1_2", "0123456789abcdef0123456789ABCDEF"),
    ]
    assert slabs.to_bytes().startswith(b"0=/data/NEW\n1=/other/OLD\n#\n1/DATA")
    assert parse_list(slabs.to_bytes()) == slabs


@pytest.mark.parametrize(
    ("path", "slab"),
    [
        ("DATA/18/3E/42/01.tif", SlabName(SlabKind.DATA, "18", 4032, 18217)),
        ("MSK/18/01BM/RI/JU.tif", SlabName(SlabKind.MASK, "18", 15247, 75846)),
        ("IMAGE/18/0E02/E1.tif", SlabName(SlabKind.DATA, "18", 14, 18217)),
        ("MASK_18_4_5", SlabName(SlabKind.MASK, "18", 4, 5)),
    ],
)
def test_what_a_path_says(path: str, slab: SlabName) -> None:
    assert ListEntry(0, path).slab() == slab


@pytest.mark.parametrize("path", ["DATA/18", "DATA/18/xx.tif", "18/3E/42/01.tif", "DATA_18_4", "README"])
def test_paths_that_are_no_slabs(path: str) -> None:
    with pytest.raises(DescriptorError, match="list entry"):
        ListEntry(0, path).slab()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "lacks a line #"),
        (b"0=/a\n", "lacks a line #"),
        (b"#\n", "lacks root 0"),
        (b"1=/a\n#\n", "lacks root 0"),
        (b"0=/a\n0=/b\n#\n", "line 2: '0=/b' does not declare a new root"),
        (b"0=\n#\n", "line 1"),
        (b"zero=/a\n#\n", "line 1"),
        (b"0=/a\n#\nDATA/1/00.tif\n", "line 3"),
        (b"0=/a\n#\n1/DATA/1/00.tif\n", "line 3: .* is not a slab of a declared root"),
        (b"0=/a\n#\n0/../../etc/passwd\n", "line 3"),
        (b"0=/a\n#\n0//etc/passwd\n", "line 3"),
        (b"0=/a\n#\n0/a\0b\n", "line 3"),
        (b"0=/a\n#\n9999999999999/x\n", "line 3"),
        (b"\xff\xfe0", "not UTF-8"),
    ],
)
def test_broken_lists(data: bytes, message: str) -> None:
    with pytest.raises(DescriptorError, match=message) as caught:
        parse_list(data, "P.list")
    assert str(caught.value).startswith("P.list")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("slabs", "message"),
    [
        (SlabList({}, []), "needs root 0"),
        (SlabList({0: "/a"}, [ListEntry(3, "x")]), "root 3, which is not declared"),
        (SlabList({0: "/a\n/b"}, []), "line break"),
        (SlabList({0: "/a"}, [ListEntry(0, "x\r")]), "line break"),
    ],
)
def test_lists_that_cannot_be_written(slabs: SlabList, message: str) -> None:
    with pytest.raises(DescriptorError, match=message):
        slabs.to_bytes()


PATH = st.from_regex(r"[A-Z0-9 _é]{1,8}(/[A-Z0-9 .]{1,4}[A-Z0-9]){0,3}", fullmatch=True)


@given(st.dictionaries(st.integers(1, 30), PATH), PATH, st.data())
def test_round_trip(others: dict[int, str], own: str, data: st.DataObject) -> None:
    roots = {0: own, **others}
    entry = st.builds(
        ListEntry, st.sampled_from(sorted(roots)), PATH, st.none() | st.from_regex(r"[0-9a-f]{32}", fullmatch=True)
    )
    slabs = SlabList(roots, data.draw(st.lists(entry, max_size=6)))
    assert parse_list(slabs.to_bytes()) == slabs


@given(st.binary(max_size=80))
def test_junk(data: bytes) -> None:
    for text in (data, b"0=/a\n#\n" + data):
        try:
            slabs = parse_list(text)
        except DescriptorError as error:
            message = str(error)
        else:
            message = ""
            assert parse_list(slabs.to_bytes()) == slabs
        assert "\n" not in message
