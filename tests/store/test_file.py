"""What only folders can do wrong: half-written files, full disks, dead builders, links, odd files."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from fastpyr.errors import StoreError
from fastpyr.store import FileStore


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def raising(error: BaseException) -> Callable[..., object]:
    def stand_in(*args: object, **kwargs: object) -> object:
        raise error

    return stand_in


@pytest.mark.parametrize("call", ["writev", "replace", "close"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), MemoryError()], ids=repr)
def test_a_failure_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    store = FileStore(tmp_path)
    store.put("a/slab.tif", [b"old"])
    before = everything(tmp_path)
    closed: list[int] = []
    real_close = os.close

    def close(descriptor: int) -> None:
        real_close(descriptor)
        if not closed:
            closed.append(descriptor)
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, call, close if call == "close" else raising(error))
        expected = StoreError if isinstance(error, OSError) else type(error)
        with pytest.raises(expected):
            store.put("a/slab.tif", [b"new" * 100])
    assert everything(tmp_path) == before
    assert store.get("a/slab.tif") == b"old"


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left on the device: free some, or choose another folder"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "permission denied: choose another folder"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "input/output error"),
    ],
)
def test_failures_name_the_file_and_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    store = FileStore(tmp_path)
    monkeypatch.setattr(os, "writev", raising(OSError(number, os.strerror(number))))
    with pytest.raises(StoreError, match=message) as caught:
        store.put("P/slab.tif", [b"x"])
    assert str(caught.value).startswith(f"cannot write {tmp_path / 'P' / 'slab.tif'}: ")
    assert "\n" not in str(caught.value)


def test_a_really_full_device(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    from fastpyr.store.atomic import _write_all

    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError) as caught:
            _write_all(descriptor, [b"x"])
        assert caught.value.errno == errno.ENOSPC
    finally:
        os.close(descriptor)


def test_partial_writes_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.writev, []

    def dribble(descriptor: int, views: list[memoryview]) -> int:
        """At most 7 bytes a call, over buffer ends."""
        calls.append(len(views))
        taken = b"".join(views)[:7]
        return real(descriptor, [taken])

    monkeypatch.setattr(os, "writev", dribble)
    chunks = [bytes([n]) * (n % 5) for n in range(1, 60)]
    FileStore(tmp_path).put("x", chunks)
    assert (tmp_path / "x").read_bytes() == b"".join(chunks)
    assert len(calls) > 10


def test_more_chunks_than_one_call_takes(tmp_path: Path) -> None:
    chunks = [n.to_bytes(2, "big") for n in range(5000)]
    FileStore(tmp_path).put("x", chunks)
    assert (tmp_path / "x").read_bytes() == b"".join(chunks)


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        FileStore(tmp_path).put("a/x", [b"x"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a" / "x").stat().st_mode) == 0o640


def test_a_folder_that_vanished_is_made_again(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("a/b/x", [b"1"])
    (tmp_path / "a/b/x").unlink()
    (tmp_path / "a/b").rmdir()
    store.put("a/b/x", [b"2"])
    assert store.get("a/b/x") == b"2"


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StoreError, match="a part of the path is a file, not a folder"):
        FileStore(tmp_path / "file").put("a/x", [b""])
    with pytest.raises(StoreError, match="a part of the path is a file, not a folder"):
        FileStore(tmp_path / "file").stage("P")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="a folder has that name"):
        FileStore(tmp_path).put("folder", [b""])
    assert everything(tmp_path) == ["file", "folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(StoreError, match="permission denied"):
        FileStore(tmp_path / "locked").put("x", [b""])


def test_unfinished_work_is_not_listed(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("P/a", [b""])
    (tmp_path / "P" / ".a.123-0.part").write_bytes(b"half")
    (tmp_path / ".Q.building").mkdir()
    (tmp_path / ".Q.building" / "x").write_bytes(b"")
    assert list(store.list()) == ["P/a"]


def test_links(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("P/real", [b"data"])
    (tmp_path / "P" / "link").symlink_to("real")
    (tmp_path / "P" / "loop").symlink_to(".")
    (tmp_path / "P" / "dangling").symlink_to("nothing")
    assert store.get("P/link") == b"data"
    assert list(store.list()) == ["P/link", "P/real"]
    assert not store.exists("P/dangling")
    # Writing replaces the link itself, never the file it points to.
    store.put("P/link", [b"own"])
    assert store.get("P/real") == b"data"
    assert not (tmp_path / "P" / "link").is_symlink()


def test_hard_links_keep_the_other_name(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("old", [b"ancestor"])
    os.link(tmp_path / "old", tmp_path / "new")
    store.put("new", [b"update"])
    assert store.get("old") == b"ancestor"


def test_pipes_do_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    store = FileStore(tmp_path)
    for read in (store.get, lambda key: store.get_range(key, 0, 10)):
        with pytest.raises(StoreError, match="not a regular file"):
            read("pipe")
    with pytest.raises(StoreError, match="not a regular file"):
        store.get(".")


def test_building_happens_in_a_hidden_sibling(tmp_path: Path) -> None:
    staging = FileStore(tmp_path).stage("P")
    staging.put("DATA/x", [b"1"])
    assert everything(tmp_path) == [".P.building", ".P.building/DATA", ".P.building/DATA/x"]
    staging.publish()
    assert everything(tmp_path) == ["P", "P/DATA", "P/DATA/x"]


def test_abort_also_removes_the_folders_it_made(tmp_path: Path) -> None:
    staging = FileStore(tmp_path / "new" / "folder").stage("P")
    staging.put("DATA/x", [b"1"])
    staging.abort()
    assert everything(tmp_path) == []
    (tmp_path / "used").mkdir()
    staging = FileStore(tmp_path / "used").stage("P")
    staging.abort()
    assert everything(tmp_path) == ["used"]


CHILD = """
    import os, signal, sys
    from fastpyr.store import FileStore
    staging = FileStore(sys.argv[1]).stage("P")
    staging.put("DATA/half", [b"x"])
    print("ready", flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
"""


def child(folder: Path, what: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(folder), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_what_a_dead_builder_left_is_replaced(tmp_path: Path) -> None:
    child(tmp_path, "die").communicate()
    assert ".P.building/DATA/half" in everything(tmp_path)
    staging = FileStore(tmp_path).stage("P")
    staging.put("whole", [b"y"])
    staging.publish()
    assert everything(tmp_path) == ["P", "P/whole"]


def test_a_living_builder_is_left_alone(tmp_path: Path) -> None:
    process = child(tmp_path, "wait")
    with pytest.raises(StoreError, match="being built by another process: wait for its end"):
        FileStore(tmp_path).stage("P")
    assert ".P.building/DATA/half" in everything(tmp_path)
    process.communicate("")
    FileStore(tmp_path).stage("P").abort()
    assert everything(tmp_path) == []


def test_overwriting_keeps_the_old_tree_until_the_new_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileStore(tmp_path)
    store.put("P/old", [b"old"])
    staging = store.stage("P")
    staging.put("new", [b"new"])
    real = os.rename

    def fail_on_the_new_one(source: Path, target: Path) -> None:
        if str(source).endswith(".building"):
            raise OSError(errno.ENOSPC, "full")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail_on_the_new_one)
        with pytest.raises(StoreError, match="no space left"):
            staging.publish(overwrite=True)
    assert store.get("P/old") == b"old"
    staging.publish(overwrite=True)
    assert everything(tmp_path) == ["P", "P/new"]


def test_death_between_the_two_renames_is_mended(tmp_path: Path) -> None:
    (tmp_path / ".P.replaced").mkdir()
    (tmp_path / ".P.replaced" / "old").write_bytes(b"old")
    (tmp_path / ".P.building").mkdir()
    staging = FileStore(tmp_path).stage("P")
    assert everything(tmp_path) == [".P.building", "P", "P/old"]
    staging.abort()
    # Death after both of them: the old tree is only refuse then.
    (tmp_path / ".P.replaced").mkdir()
    FileStore(tmp_path).stage("P").abort()
    assert everything(tmp_path) == ["P", "P/old"]


def test_overwriting_a_link_spares_what_it_points_to(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("real/x", [b"x"])
    (tmp_path / "P").symlink_to("real")
    staging = store.stage("P")
    staging.put("y", [b"y"])
    staging.publish(overwrite=True)
    assert everything(tmp_path) == ["P", "P/y", "real", "real/x"]
