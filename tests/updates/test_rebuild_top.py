"""Upper levels made again from a stored level: what a build made of them, in place, whatever became of the old ones."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from changes import ChangeSteps, source
from interruptions import DEAD, JOBS, die, in_a_process, make_source, moments, tree
from object_builds import use
from object_servers import ObjectServer
from stored_pyramids import Clusters, contents

import fastpyr
from fastpyr.cli.main import main
from fastpyr.engine.stored import StoredLevels
from fastpyr.errors import ConfigError
from fastpyr.updates.rebuild import rebuild_top

OPTIONS: dict[str, Any] = {
    "tms": "PM", "bottom": "18", "top": "12", "width": 2, "height": 2, "interpolation": "nn", "compression": "png",
    "mask": True,
}  # fmt: skip


def build(uri: str | Path, **options: Any) -> fastpyr.Pyramid:
    return fastpyr.build(source(900), str(uri), **{**OPTIONS, **options})


def hurt(pyramid: fastpyr.Pyramid, above: str) -> int:
    """Remove every second slab above a level, and exchange the others for something else."""
    ids = list(pyramid.tile_matrix_set.ids)
    victims = [ref for ref in pyramid.slabs() if ids.index(ref.level) > ids.index(above)]
    for number, ref in enumerate(victims):
        if number % 2:
            pyramid.store.delete(pyramid.slab_key(ref))
        else:
            pyramid.store.put(pyramid.slab_key(ref), [b"damaged"])
    return len(victims)


@pytest.mark.parametrize("level", ["18", "15"])
@pytest.mark.parametrize(
    "options", [{}, {"width": 4, "height": 8, "compression": "zip"}, {"mask": False, "compression": "raw"}]
)
def test_equals_a_build(tmp_path: Path, options: dict[str, Any], level: str) -> None:
    pyramid = build(tmp_path / "X.json", **options)
    expected = tree(tmp_path)
    assert hurt(pyramid, level)
    again = rebuild_top(tmp_path / "X.json", level)
    assert {key: value for key, value in tree(tmp_path).items() if key != "X.list"} == {
        key: value for key, value in expected.items() if key != "X.list"
    }
    assert again.verify(all_tiles=True).findings == []


@pytest.mark.parametrize("uri", ["mem://rebuild/X.json", "s3://tray/a/X.json", "swift://tray/X.json"])
def test_stores(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Clusters(monkeypatch)
    pyramid = build(uri, overwrite=True)
    expected = contents(uri)
    hurt(pyramid, "16")
    again = rebuild_top(uri, "16", parallelization=3)
    assert contents(uri) == expected
    assert again.verify(all_tiles=True).findings == []


def test_levels_are_added_and_removed(tmp_path: Path) -> None:
    build(tmp_path / "ALL.json", top="8")
    build(tmp_path / "X.json", top="14")
    rebuild_top(tmp_path / "X.json", "14", "8")
    assert contents(tmp_path / "X.json") == contents(tmp_path / "ALL.json")
    rebuild_top(tmp_path / "X.json", "16", "15")
    levels = [level.id for level in fastpyr.open(tmp_path / "X.json").levels]
    assert levels == ["18", "17", "16", "15"]
    assert sorted(path.name for path in (tmp_path / "X" / "DATA").iterdir()) == ["15", "16", "17", "18"]
    rebuild_top(tmp_path / "X.json", "15")
    assert fastpyr.open(tmp_path / "X.json").levels[-1].id == "0"
    assert fastpyr.open(tmp_path / "X.json").verify(all_tiles=True).findings == []


@pytest.mark.parametrize("level", ["8", "6", "5"])
@pytest.mark.parametrize("job", ["decimated", "decimated 4 x 4"])
def test_nearest_neighbour_graphs(tmp_path: Path, job: str, level: str) -> None:
    raster = make_source(tmp_path / "in", job)
    target = tmp_path / "out" / "X.json"
    pyramid = fastpyr.build(raster, target, **JOBS[job])
    expected = {key: value for key, value in tree(target.parent).items() if key != "X.list"}
    assert hurt(pyramid, level)
    rebuild_top(target, level)
    assert {key: value for key, value in tree(target.parent).items() if key != "X.list"} == expected


def test_new_levels_of_a_graph(tmp_path: Path) -> None:
    raster = make_source(tmp_path / "in", "decimated")
    fastpyr.build(raster, tmp_path / "ALL.json", **JOBS["decimated"])
    fastpyr.build(raster, tmp_path / "X.json", **{**JOBS["decimated"], "top": "6"})
    rebuild_top(tmp_path / "X.json", "6", "3")
    whole, found = fastpyr.open(tmp_path / "ALL.json"), fastpyr.open(tmp_path / "X.json")
    assert found.verify(all_tiles=True).findings == []
    compared = 0
    for level in whole.levels:
        limits = level.limits
        for row in range(limits.min_row, limits.max_row + 1):
            for col in range(limits.min_col, limits.max_col + 1):
                mask = whole.mask(level, col, row)
                if mask is not None and mask.any():
                    assert found.tile_bytes(level.id, col, row) == whole.tile_bytes(level, col, row)
                    compared += int(level.id) < 6
    assert compared == 3
    fastpyr.build(raster, tmp_path / "Y.json", **{**JOBS["decimated"], "bottom": "5", "top": "5"})
    with pytest.raises(ConfigError, match="level 4 needs the sources, and cannot be made from the levels that"):
        rebuild_top(tmp_path / "Y.json", "5", "4")


@pytest.mark.parametrize("job", ["png mask", "nested", "decimated"])
def test_killed_at_any_step(tmp_path: Path, job: str) -> None:
    """Readers see all old levels or all new ones, and the same call finishes the work."""
    target = tmp_path / "out" / "X.json"
    options = {**JOBS[job], "compression": "zip"}  # lossless, so that a build says what is to come
    level, top = ("8", "4") if job == "decimated" else ("17", "14")
    fastpyr.build(make_source(tmp_path / "in", job), target, **options)
    shutil.copytree(target.parent, tmp_path / "saved")
    old = contents(target)

    def rebuild() -> None:
        rebuild_top(target, level, top, gamma=2.0, parallelization=1)

    with ChangeSteps(None).watched() as steps:
        rebuild()
    new, expected = contents(target), tree(target.parent)
    assert new != old
    for step in moments(steps.count, 6, last=6):
        shutil.rmtree(target.parent)
        shutil.copytree(tmp_path / "saved", target.parent)

        def dying(step: int = step) -> None:
            with ChangeSteps(step, die).watched():
                rebuild()

        assert in_a_process(dying) == DEAD
        assert contents(target) in (old, new), step
        rebuild()
        assert tree(target.parent) == expected, step


def test_finished_work_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyramid = build(tmp_path / "X.json")
    expected = contents(tmp_path / "X.json")
    hurt(pyramid, "18")
    blocks: list[tuple[object, ...]] = []
    real = StoredLevels.read

    def read(self: StoredLevels, *args: Any) -> int:
        blocks.append(args[:3])
        return real(self, *args)

    def stop(state: fastpyr.Progress) -> None:
        if state.slabs - state.resumed_slabs >= 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(StoredLevels, "read", read)
    with pytest.raises(KeyboardInterrupt) as stopped:
        rebuild_top(tmp_path / "X.json", "18", progress=stop, parallelization=1)
    assert "run the same command again to go on" in "".join(stopped.value.__notes__)
    before = len(blocks)
    with pytest.raises(ConfigError, match=r"an interrupted change .* is another one"):
        rebuild_top(tmp_path / "X.json", "18", "14")
    rebuild_top(tmp_path / "X.json", "18")
    assert contents(tmp_path / "X.json") == expected
    assert before > 4
    assert len(blocks) < len(set(blocks)) + 4


KILLS = int(os.environ.get("FASTPYR_TEST_KILLS", "2"))
"""Random moments at which a real command is killed; 100 for a full proof."""


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_real_command_killed_at_random_moments(
    kind: str, tmp_path: Path, moto: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL: old or new for whoever reads then; the same command finishes the work."""
    use(monkeypatch, moto.environment())
    uri = str(tmp_path / "X.json") if kind == "folder" else f"s3://{moto.bucket()}/X.json"
    build(uri)
    old = contents(uri)
    dice = random.Random(11)
    command = [sys.executable, "-m", "fastpyr", "rebuild-top", uri, "--from-level", "18"]
    for number in range(2 * KILLS):
        gamma = ["--gamma", "2" if number % 2 == 0 else "1"]
        process = subprocess.Popen([*command, *gamma], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.3, 1.5))
        process.kill()
        process.wait()
        seen = contents(uri)
        done = subprocess.run([*command, *gamma], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        new = contents(uri)
        assert new != old
        assert seen in (old, new)
        old = new
    assert fastpyr.open(uri).verify().ok


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from-level", "99"], "level 99"),
        (["--from-level", "18", "--top", "18"], "not above"),
        (["--from-level", "14", "--top", "16"], "not above"),
        (["--from-level", "18", "--top", "x"], "x"),
        (["--from-level", "18", "--gamma", "-1"], "gamma"),
        (["--from-level", "12", "--tms", "LAMB93"], "tms"),
    ],
)
def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    build(tmp_path / "X.json")
    before = tree(tmp_path)
    assert main(["rebuild-top", str(tmp_path / "X.json"), *arguments]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert said in text
    assert tree(tmp_path) == before


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "X.json")
    assert main(["rebuild-top", str(tmp_path / "X.json"), "--from-level", "17", "--top", "15", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["levels"] == ["18", "17", "16", "15"]
    assert main(["rebuild-top", str(tmp_path / "none.json"), "--from-level", "17"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
