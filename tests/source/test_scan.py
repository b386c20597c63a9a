"""Files, folders and globs become one sorted list."""

from __future__ import annotations

import os

import pytest

from fastpyr.errors import SourceError
from fastpyr.source import find_sources


@pytest.fixture
def delivery(tmp_path, monkeypatch):
    names = [
        "b/2.tif", "a/10.TIF", "a/1.jp2", "c/1.jp2", "a/1.msk", "a/1.jp2.aux.xml", "b/2.tfw", "b/2.tif.msk",
        ".hidden/0.tif", "b/.0.tif", "d/readme.txt", "d/odd.dat", "b/deep/er/3.png",
    ]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(found):
    return [path.as_posix() for path in found]


def test_folders_are_searched_and_sorted_by_file_name(delivery):
    assert names(find_sources(["."])) == ["a/1.jp2", "c/1.jp2", "a/10.TIF", "b/2.tif", "b/deep/er/3.png"]


def test_order_does_not_depend_on_the_arguments_and_files_come_once(delivery):
    assert names(find_sources(["b/2.tif", "a", "b/*.tif", "a/1.jp2"])) == ["a/1.jp2", "a/10.TIF", "b/2.tif"]
    os.symlink(delivery / "b" / "2.tif", delivery / "z.tif")
    assert names(find_sources(["b/2.tif", "z.tif"])) == ["b/2.tif"]


def test_globs(delivery):
    assert names(find_sources(["?/*.jp2"])) == ["a/1.jp2", "c/1.jp2"]
    assert names(find_sources(["b/**"])) == ["b/2.tif", "b/deep/er/3.png"]
    # an existing file whose name has glob characters is that file
    (delivery / "x[1].tif").touch()
    assert names(find_sources(["x[1].tif"])) == ["x[1].tif"]


def test_a_named_file_is_taken_as_it_is(delivery):
    assert names(find_sources(["d/odd.dat"])) == ["d/odd.dat"]


@pytest.mark.parametrize("argument", ["nowhere.tif", "nowhere", "d", "d/*.tif", "q*"])
def test_nothing_found_is_an_error(delivery, argument):
    with pytest.raises(SourceError, match=r"no such file or folder|no raster found"):
        find_sources(["a", argument])


def test_no_argument():
    with pytest.raises(SourceError, match="no source"):
        find_sources([])
