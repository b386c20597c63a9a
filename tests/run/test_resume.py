"""Builds that die and go on: at every step that writes, at random moments, with a full disk, after a power cut."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interruptions import (
    DEAD,
    JOBS,
    NEED_SPACE,
    Steps,
    build,
    die,
    fill_the_disk,
    in_a_process,
    make_source,
    moments,
    reference,
    rendered,
    tree,
)

import fastpyr
from fastpyr.engine import folder_notes
from fastpyr.errors import ConfigError, FastpyrError, StoreError

KILLS = int(os.environ.get("FASTPYR_TEST_KILLS", "5"))
"""Random moments at which a real build is killed; 100 for a full proof."""


class Site:
    """A source, where its pyramid goes, and the tree of an uninterrupted build."""

    def __init__(self, folder: Path, job: str, side: int = 420, **options: Any) -> None:
        self.job = job
        self.options = options
        self.source = make_source(folder / "in", job, side)
        self.target = folder / "out" / "X.json"
        self.folder = self.target.parent
        self.expected = reference(self.source, self.target, job, **options)

    def build(self, workers: int = 1, **options: Any) -> fastpyr.Pyramid:
        return build(self.source, self.target, self.job, workers, **{**self.options, **options})

    def steps(self) -> int:
        """Writing steps of a build."""
        with Steps(None).watched() as steps:
            self.build()
        self.clear()
        return steps.count

    def die(self, before: int) -> int:
        """Build in a process that ends before its step number ``before``: its exit code."""

        def work() -> None:
            with Steps(before, die).watched():
                self.build()

        return in_a_process(work)

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def is_complete(self) -> bool:
        """Whether all is published, and nothing is left of the journal."""
        return self.target.exists() and not list(self.folder.glob(".X.*"))

    def finish(self) -> None:
        """Go on until the pyramid is complete."""
        if self.is_complete and not self.options.get("overwrite"):
            with pytest.raises(ConfigError, match="exists"):
                self.build()
        else:
            self.build(workers=2)
        self.assert_whole()

    def assert_whole(self) -> None:
        assert tree(self.folder) == self.expected


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, "png mask")


def interrupted_after(site: Site, slabs: int, **options: Any) -> BaseException:
    """Stop a build of one worker by Ctrl-C when it has written a number of slabs: the exception."""

    def progress(state: fastpyr.Progress) -> None:
        if state.slabs - state.resumed_slabs >= slabs:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        site.build(progress=progress, **options)
    return caught.value


@pytest.mark.parametrize("job", JOBS)
def test_death_at_every_step(tmp_path: Path, job: str) -> None:
    site = Site(tmp_path, job)
    steps = site.steps()
    assert steps > 30
    for step in moments(steps, *{"png mask": (30, 16), "decimated": (20, 2)}.get(job, (8, 2))):
        assert site.die(step) == DEAD
        if step % 3 == 1 and not site.is_complete:  # and again while it goes on
            assert site.die(step * 7 % 40) in (0, DEAD)
        site.finish()
        site.clear()


def test_slabs_beside_whole_slabs_without_data(tmp_path: Path) -> None:
    # Blocks above a slab that is empty are finished with it, long before the slab of theirs that holds others too.
    import rasterio

    site = Site(tmp_path, "nested", side=900, bottom="21")
    with rasterio.open(site.source, "r+") as file:
        pixels = file.read()
        pixels[:, :, :640] = 0
        file.write(pixels)
    site.expected = reference(site.source, site.target, "nested", bottom="21")
    for slabs in range(1, 12):
        interrupted_after(site, slabs)
        site.finish()
        site.clear()


@pytest.mark.parametrize("job", ["png mask", "decimated"])
def test_death_at_every_step_of_a_replacement(tmp_path: Path, job: str) -> None:
    site = Site(tmp_path, job, side=300, overwrite=True)
    other: dict[str, Any] = {"interpolation": "nn", "resume": False}
    steps = site.steps()
    for step in moments(steps, 10, 20 if job == "png mask" else 4):
        site.build(**other)
        old = tree(site.folder)
        assert site.die(step) == DEAD
        found = tree(site.folder)
        # The old pyramid is there until the new one is, but for the moment of the exchange.
        assert any(all(found.get(name) == part for name, part in whole.items()) for whole in (old, site.expected)) or (
            (site.folder / ".X.journal").exists()
        )
        if step % 3 == 1:
            assert site.die(step * 5 % 40) in (0, DEAD)
        site.finish()
        site.clear()


def test_a_disk_that_fills_up_at_any_step(tmp_path: Path) -> None:
    site = Site(tmp_path, "jpg")
    with Steps(None, names=NEED_SPACE).watched() as steps:
        site.build()
    site.clear()
    kept = 0
    for step in moments(steps.count, 20):
        with (
            Steps(step, fill_the_disk, NEED_SPACE).watched(),
            pytest.raises(StoreError, match="no space left") as caught,
        ):
            site.build()
        assert not site.target.exists()
        left = {path.name for path in site.folder.iterdir()} if site.folder.exists() else set()
        notes = "".join(getattr(caught.value, "__notes__", ()))
        assert left == ({".X.building", ".X.journal"} if notes else set())
        if notes:
            kept += 1
            assert str(site.folder / ".X.building") in notes
            assert "run the same command again" in notes
        site.build(workers=2)
        site.assert_whole()
        site.clear()
    assert kept > 3


def command(site: Site, *more: str) -> list[str]:
    options = [f"--{name}={value}" for name, value in {**JOBS[site.job], **site.options}.items()]
    build = [sys.executable, "-m", "fastpyr", "build", str(site.source), str(site.target)]
    return [*build, *options, "--parallelization=2", *more]


@pytest.mark.parametrize("job", ["png mask", "nested"])
def test_a_real_build_killed_at_random_moments(tmp_path: Path, job: str) -> None:
    """SIGKILL of the command line; FASTPYR_TEST_KILLS=100 for the full proof."""
    site = Site(tmp_path, job, side=1500)
    subprocess.run(command(site), check=True, capture_output=True)
    site.assert_whole()
    site.clear()
    dice, midway, kills = random.Random(7), 0, max(1, KILLS // 2)
    for _ in range(kills):
        process = subprocess.Popen(command(site), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        building = site.folder / ".X.building"
        while not building.exists() and process.poll() is None:
            time.sleep(0.002)
        time.sleep(dice.uniform(0, 0.4 if job == "png mask" else 0.8))
        process.kill()
        process.wait()
        midway += building.exists()
        if not site.is_complete:
            done = subprocess.run(command(site), capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        site.assert_whole()
        site.clear()
    assert midway > kills // 3
    print(f"{job}: {kills} kills, {midway} of them midway, {kills} equal trees")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_command_line_in_order(tmp_path: Path, number: signal.Signals) -> None:
    site = Site(tmp_path, "png mask", side=1500)
    process = subprocess.Popen(command(site), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    tiles = site.folder / ".X.building" / "DATA"
    while process.poll() is None and not any(tiles.rglob("*.tif")):
        time.sleep(0.002)
    time.sleep(0.05)
    process.send_signal(number)
    process.send_signal(number if number != signal.SIGINT else 0)  # some send it twice
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert len(said.strip().splitlines()) == 1
    assert said.startswith(f"fastpyr: {'interrupted' if number == signal.SIGINT else 'terminated'}; ")
    assert "run the same command again to go on" in said
    assert sorted(path.name for path in site.folder.iterdir()) == [".X.building", ".X.journal"]
    done = subprocess.run(command(site), capture_output=True, text=True, check=True)
    assert "from an interrupted build" in done.stdout
    site.assert_whole()


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    site = Site(tmp_path, "png mask", side=600)
    mount = ["mount", "-t", "tmpfs", "-o"]
    site.folder.mkdir()
    if subprocess.run([*mount, "size=900k", "tmpfs", site.folder], capture_output=True).returncode:
        pytest.skip("cannot mount a small tmpfs here (needs root)")
    try:
        done = subprocess.run(command(site, "--parallelization=1"), capture_output=True, text=True)
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert "no space left" in done.stderr
        assert "run the same command again to go on" in done.stderr
        assert {path.name for path in site.folder.iterdir()} == {".X.building", ".X.journal"}
        subprocess.run([*mount, "remount,size=20m", "tmpfs", site.folder], check=True)
        subprocess.run(command(site), check=True, capture_output=True)
        site.assert_whole()
    finally:
        subprocess.run(["umount", site.folder], check=True)


def test_finished_work_is_not_done_again(site: Site) -> None:
    with rendered() as all_blocks:
        site.build()
    site.clear()
    states: list[fastpyr.Progress] = []
    with rendered() as before:
        note = "".join(interrupted_after(site, 16).__notes__)
    with rendered() as after:
        site.build(progress=states.append)
    site.assert_whole()
    assert "finished slab(s) are kept" in note
    assert set(before) | set(after) == set(all_blocks)
    assert len(set(before) & set(after)) <= 2  # the slab in flight
    assert len(after) < len(all_blocks)
    assert states[-1].resumed_slabs >= 14
    assert states[-1].slabs == sum(name.endswith(".tif") for name in site.expected)
    assert states[-1].blocks == states[-1].blocks_total


def test_a_build_without_work_left_says_what_there_is(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.build()
    site.clear()

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fastpyr.engine.Journal.publishing", stop)
        with pytest.raises(KeyboardInterrupt):
            site.build()
    states: list[fastpyr.Progress] = []
    site.build(progress=states.append)
    site.assert_whole()
    (state,) = states
    assert state.slabs == state.resumed_slabs == sum(name.endswith(".tif") for name in site.expected)
    assert state.blocks == state.blocks_total
    assert 0 < state.pixels == state.resumed_pixels


def test_many_interruptions_of_one_build(tmp_path: Path) -> None:
    site = Site(tmp_path, "decimated", side=700)
    with rendered() as blocks:
        for _ in range(100):
            try:
                interrupted_after(site, 9)
            except pytest.fail.Exception:
                break
    site.assert_whole()
    assert len(blocks) < 2 * len(set(blocks))


def test_scratch_files_are_few_and_small(tmp_path: Path) -> None:
    """Slabs of 8 x 8 tiles: what is kept is bounded by the slabs in progress, not by the size of the pyramid."""
    site = Site(tmp_path, "jpg", side=3000, width=8, height=8, bottom="19", top="10")
    most = [0, 0]

    def look(_: fastpyr.Progress) -> None:
        sizes = [path.stat().st_size for path in (site.folder / ".X.journal").iterdir() if path.name != "journal"]
        most[:] = max(most[0], len(sizes)), max(most[1], sum(sizes))

    site.build(progress=look)
    site.assert_whole()
    slabs = sum(name.endswith(".tif") for name in site.expected)
    raw = slabs * 64 * 256 * 256 * 3
    assert 0 < most[0] <= 30
    assert most[1] < raw / 10
    assert not (site.folder / ".X.journal").exists()


def test_other_sources_are_refused(site: Site) -> None:
    interrupted_after(site, 8)
    before = tree(site.folder)
    status = site.source.stat()
    os.utime(site.source, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    with pytest.raises(ConfigError, match=r"unfinished build, but source .*source\.tif has changed since") as caught:
        site.build()
    assert "--overwrite" in str(caught.value)
    assert tree(site.folder) == before
    more = site.source.with_name("zweite.tif")
    shutil.copy(site.source, more)
    os.utime(site.source, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ConfigError, match=r"source .*zweite.tif is new"):
        build(site.source.parent, site.target, site.job)
    more.unlink()
    mask = site.source.with_suffix(".msk")
    mask.write_bytes(site.source.read_bytes())
    with pytest.raises(ConfigError, match=r"source .*source.tif has changed since"):
        site.build()
    mask.unlink()
    site.build()
    site.assert_whole()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gamma": 1.5}, "gamma 1.0 .now 1.5"),
        ({"interpolation": "nn"}, "interpolation bicubic .now nn"),
        ({"compression": "zip"}, "another tile format"),
        ({"top": "13"}, "another levels"),
        ({"mask": False}, "mask True .now False"),
        ({"height": 4}, "height 2 .now 4"),
    ],
)
def test_other_options_are_refused(site: Site, change: dict[str, Any], said: str) -> None:
    interrupted_after(site, 8)
    with pytest.raises(ConfigError, match=said):
        site.build(**change)
    with rendered() as blocks:
        site.build(**change, overwrite=True)
    assert blocks
    found = tree(site.folder)
    assert found != site.expected
    site.clear()
    assert found == reference(site.source, site.target, site.job, **change)


def test_options_without_effect_may_change(site: Site) -> None:
    interrupted_after(site, 8)
    with rendered() as all_blocks:
        site.build(workers=3, read_attempts=1, overwrite=True)
    site.assert_whole()
    assert len(all_blocks) < 25


def test_no_resume_starts_anew_and_keeps_nothing(site: Site) -> None:
    interrupted_after(site, 8)
    interrupted_after(site, 8, resume=False)
    assert not site.folder.exists() or not list(site.folder.iterdir())
    site.build(resume=False)
    site.assert_whole()


def test_an_early_interruption_leaves_nothing(site: Site) -> None:
    error = interrupted_after(site, 0)
    assert not getattr(error, "__notes__", ())
    assert not site.folder.exists()


def test_a_second_build_is_refused(site: Site) -> None:
    ends, begins = os.pipe(), os.pipe()

    def wait(state: fastpyr.Progress) -> None:
        if state.slabs == 3:
            os.write(begins[1], b"x")
            os.read(ends[0], 1)

    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            site.build(progress=wait)
            code = 0
        os._exit(code)
    os.read(begins[0], 1)
    for options in ({}, {"overwrite": True}, {"resume": False}, {"gamma": 2.0}):
        with pytest.raises(StoreError, match="being built by another process: wait for its end"):
            site.build(**options)
    os.write(ends[1], b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    site.assert_whole()


def test_sources_in_memory_keep_no_record(tmp_path: Path) -> None:
    matrix = fastpyr.load_tms("PM").level("18")
    cell = matrix.cell_size
    corner = matrix.origin_x + 34_646_000 * cell, matrix.origin_y - 23_834_000 * cell
    transform = (cell, 0.0, corner[0], 0.0, -cell, corner[1])
    source = fastpyr.ArraySource(np.full((700, 700, 3), 9, np.uint8), transform=transform, crs="EPSG:3857")
    seen = []

    def look(_: fastpyr.Progress) -> None:
        seen.append((tmp_path / ".X.journal").exists())

    fastpyr.build(source, tmp_path / "X.json", tms="PM", width=2, height=2, progress=look)
    assert seen
    assert not any(seen)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 0x40
    path.write_bytes(data)


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [_flip, _zero, _cut, Path.unlink])
@pytest.mark.parametrize("part", [".X.building", ".X.journal", "logbook"])
@pytest.mark.parametrize("job", ["png mask", "nested", "decimated"])
def test_what_a_power_cut_took_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str, part: str, damage: Callable[[Path], None]
) -> None:
    site = Site(tmp_path, job)
    interrupted_after(site, 13)
    dice = random.Random(3)
    logbook = site.folder / ".X.journal" / "journal"
    files = [logbook]
    if part != "logbook":
        files = sorted(path for path in (site.folder / part).rglob("*") if path.is_file() and path != logbook)
    assert files
    for path in dice.sample(files, max(1, len(files) // 3)):
        damage(path)
    monkeypatch.setattr(folder_notes, "boot_id", lambda: "after the power cut")
    with contextlib.suppress(pytest.fail.Exception):
        interrupted_after(site, 3)
    if not site.is_complete:
        site.build()
    site.assert_whole()


def test_a_slab_that_shrank_is_seen_without_a_restart(site: Site) -> None:
    interrupted_after(site, 13)
    for path in sorted((site.folder / ".X.building").rglob("*.tif"))[::3]:
        _cut(path)
    site.build()
    site.assert_whole()


def test_a_hidden_read_error_is_tried_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastpyr.source import GdalSource

    monkeypatch.setattr(time, "sleep", lambda _: None)
    real, failures = GdalSource.read, {"left": 2, "all": False}

    def read(self: GdalSource, *window: int) -> Any:
        if failures["all"] or failures["left"]:
            failures["left"] -= 1
            raise fastpyr.SourceError(f"{self.info.name}: the network hiccups")
        return real(self, *window)

    monkeypatch.setattr(GdalSource, "read", read)
    site.build()
    site.assert_whole()
    site.clear()
    failures["left"] = 1
    with pytest.raises(FastpyrError, match=r"source\.tif: the network hiccups"):
        site.build(read_attempts=1)
    assert not site.folder.exists()
    failures["all"] = True
    with pytest.raises(FastpyrError, match=r"source\.tif: the network hiccups"):
        site.build()
