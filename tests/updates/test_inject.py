"""Updates in place, by the verbs that users have: what comes out, what is refused, what an interruption leaves."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from interruptions import DEAD, Steps, die, in_a_process, moments
from small_delivery import tiff, written
from stored_pyramids import Clusters, contents
from updates import QTREE, Job, assert_same, in_memory, jobs, scene, state

import fastpyr
from fastpyr.cli.main import main
from fastpyr.errors import ConfigError, SourceError
from fastpyr.pyramid.list import parse_list
from fastpyr.updates.inject import inject, rollback

OPTIONS = QTREE.options(width=2, height=2, compression="png", mask=True, interpolation="nn")
OLD = scene(1, 100, 50, 900, 1300)
NEW = scene(2, 600, 300, 300, 200)
THIRD = scene(3, 1200, 700, 400, 500)


@pytest.fixture(params=["folder", "memory", "s3", "swift", "ceph"])
def at(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Where descriptors go in a kind of store."""
    if request.param == "folder":
        return lambda name: str(tmp_path / f"{name}.json")
    if request.param == "memory":
        store = in_memory().rpartition("/")[0]
        return lambda name: f"{store}/{name}.json"
    Clusters(monkeypatch)
    return lambda name: f"{request.param}://tray/in/{name}.json"


def test_it_becomes_the_pyramid_of_all_and_goes_back(at: Callable[[str], str]) -> None:
    fastpyr.build([OLD], at("A"), **OPTIONS)
    before = contents(at("A"))
    changed = inject([NEW], at("A"), bottom="18", keep_old=True)
    assert assert_same(changed, fastpyr.build([OLD, NEW], in_memory(), **OPTIONS)) > 0
    assert changed.verify(all_tiles=True).ok
    assert rollback(at("A")) is True
    assert contents(at("A")) == before
    assert_same(fastpyr.open(at("A")), fastpyr.build([OLD], in_memory(), **OPTIONS))
    with pytest.raises(ConfigError, match="nothing to take back"):
        rollback(at("A"))
    inject([NEW], at("A"), bottom="18")
    again = inject([THIRD], at("A"), bottom="18")
    assert_same(again, fastpyr.build([OLD, NEW, THIRD], in_memory(), **OPTIONS))


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(jobs())
def test_injection_equals_a_build_of_all(job: Job) -> None:
    old, new = job.sources()
    place = in_memory()
    fastpyr.build([old], place, **job.options)
    changed = inject([new], place, bottom=job.grid.bottom)
    assert_same(changed, fastpyr.build([old, new], in_memory(), **job.options))
    assert changed.verify().ok


@pytest.mark.parametrize("mode", ["slink", "hlink"])
def test_the_owner_of_a_replaced_slab_stays_as_it_is(tmp_path: Path, mode: str) -> None:
    """Links are replaced, not written through; those that are not touched stay links."""
    fastpyr.build([OLD], tmp_path / "A.json", **OPTIONS)
    before = state(tmp_path)
    base = tmp_path / "A.json"
    fastpyr.update([NEW], tmp_path / "B.json", base=base, mode=mode, bottom="18")
    listed = {entry.slab(): entry.root for entry in parse_list((tmp_path / "B.list").read_bytes()).entries}
    changed = inject([THIRD], tmp_path / "B.json", bottom="18")
    assert_same(changed, fastpyr.build([OLD, NEW, THIRD], in_memory(), **OPTIONS))
    assert {name: value for name, value in state(tmp_path).items() if name in before} == before
    after = {entry.slab(): entry.root for entry in parse_list((tmp_path / "B.list").read_bytes()).entries}
    assert {after[name] for name in after} == ({0, 1} if mode == "slink" else {0})
    assert all(listed[name] == 1 for name in listed if after[name] == 1)
    assert any(listed.get(name) == 1 and after[name] == 0 for name in after) == (mode == "slink")


def test_one_that_others_link_to_is_refused(at: Callable[[str], str]) -> None:
    if at("A").startswith("mem:"):
        return  # where there are no links
    fastpyr.build([OLD], at("A"), **OPTIONS)
    fastpyr.update([NEW], at("B"), base=at("A"), bottom="18")
    before = contents(at("A"))
    with pytest.raises(ConfigError, match=r"linked to by .*B\.list.* make a new pyramid instead \(--from\)"):
        inject([THIRD], at("A"), bottom="18")
    assert contents(at("A")) == before
    inject([THIRD], at("A"), bottom="18", even_if_linked=True)


def test_nothing_changes_without_data(at: Callable[[str], str]) -> None:
    fastpyr.build([OLD], at("A"), **OPTIONS)
    before = contents(at("A"))
    empty = scene(1, 0, 0, 20, 20, empty=True)
    with pytest.raises(SourceError, match="no data inside"):
        inject([empty], at("A"), bottom="18")
    with pytest.raises(ConfigError, match="--compression jpg: pyramid A has png"):
        inject([NEW], at("A"), bottom="18", compression="jpg")
    assert contents(at("A")) == before


class TestFiles:
    OPTIONS: ClassVar = {
        "tms": "PM",
        "bottom": "18",
        "top": "15",
        "width": 1,
        "height": 1,
        "compression": "png",
        "mask": True,
    }

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        files = {"in/a/a.tif": tiff(700), "in/b/b.tif": tiff(250, col=300, row=200)}
        written(tmp_path, files)
        fastpyr.build(tmp_path / "in" / "a", tmp_path / "out" / "A.json", **self.OPTIONS)
        return tmp_path

    def test_killed_at_any_step(self, folder: Path) -> None:
        """The pyramid is the old one or the new one; the same command then ends with the new one."""
        names = ("write", "writev", "pwritev", "mkdir", "rename", "replace", "rmdir", "unlink", "symlink", "link")
        out, kept = folder / "out", folder / "kept"
        shutil.copytree(out, kept)
        old = contents(out / "A.json")

        def work() -> None:
            inject(folder / "in" / "b", out / "A.json", bottom="18", parallelization=1)

        with Steps(None, names=names).watched() as steps:
            work()
        new, expected = contents(out / "A.json"), state(out)
        for step in moments(steps.count, 4, last=8):
            shutil.rmtree(out)
            shutil.copytree(kept, out)

            def doomed(step: int = step) -> None:
                with Steps(step, die, names).watched():
                    work()

            assert in_a_process(doomed) == DEAD
            assert contents(out / "A.json") in (old, new), step
            work()
            assert state(out) == expected, step

    def test_be4_configurations(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        old, new = folder / "out" / "A.json", folder / "out" / "B.json"
        source = {"bottom": "18", "top": "15", "source": {"type": "IMAGES", "directory": str(folder / "in" / "b")}}
        for pyramid in (
            {"type": "UPDATE", "pyramid_to_update": str(old), "name": "B", "update_mode": "hlink"},
            {"type": "INJECTION", "pyramid_to_inject": str(old)},
        ):
            config = folder / "be4.json"
            document = {"datasources": [source], "pyramid": pyramid, "process": {"parallelization": 1}}
            config.write_text(json.dumps(document))
            assert main(["build", "--config", str(config)]) == 2
            assert f"run it with fastpyr update --config {config}" in capsys.readouterr().err
            before = contents(old)
            assert main(["update", "--config", str(config), "--json"]) == 0
            printed = json.loads(capsys.readouterr().out)
            if pyramid["type"] == "UPDATE":
                assert contents(old) == before
                assert any(path.stat().st_nlink > 1 for path in (folder / "out" / "B").rglob("*.tif"))
                assert printed["descriptor"] == str(new)
            else:
                assert contents(old) == contents(new)
        assert fastpyr.open(new).verify().ok

    @pytest.mark.parametrize(
        ("command", "message"),
        [
            ("update {b} {out}/B.json", "no old pyramid: say which one is updated (--from OLD.json)"),
            ("update {b} {out}/B.json --from {out}/NONE.json", "NONE.json does not exist"),
            ("update {b} {out}/A.json --from {out}/A.json", "would be updated onto itself"),
            ("update {b} {out}/B.json --from {out}/A.json --mode move", "unknown mode 'move'"),
            ("update {b} {out}/B.json --from {out}/A.json --tms LAMB93", "--tms LAMB93: pyramid A has PM"),
            ("update {b} {out}/B.json --from {out}/A.json --keep-old", "--keep-old goes with --inject alone"),
            ("update {b} {out}/A.json --inject --mode copy", "--mode goes without --inject"),
            ("update {b} {out}/A.json --inject --overwrite", "--overwrite goes without --inject"),
            ("update {b} {out}/NONE.json --inject", "NONE.json does not exist"),
            ("update {out}/A.json --inject", "give at least one SOURCE"),
            ("update {out}/A.json --rollback", "nothing to take back"),
            ("update {b} {out}/A.json --rollback", "--rollback goes with the pyramid alone"),
            ("update {b}/none.tif {out}/A.json --inject", "none.tif"),
            ("update {b} {out}/A.json --inject --bottom 12", "level 12"),
        ],
    )
    def test_mistakes_are_one_line(
        self, folder: Path, capsys: pytest.CaptureFixture[str], command: str, message: str
    ) -> None:
        before = state(folder)
        arguments = command.format(b=folder / "in" / "b", out=folder / "out").split()
        assert main(arguments) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert message in said.err
        assert state(folder) == before

    def test_on_the_command_line(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out, source = folder / "out", str(folder / "in" / "b")
        before = contents(out / "A.json")
        assert main(["update", source, str(out / "B.json"), "--from", str(out / "A.json"), "--bottom", "18"]) == 0
        assert "slab(s) of the old pyramid" in capsys.readouterr().out
        (out / "B.list").unlink()
        os.rename(out / "B.json", folder / "B.json")  # links of a pyramid that nobody knows hinder nobody
        assert main(["update", source, str(out / "A.json"), "--inject", "--keep-old", "--bottom", "18"]) == 0
        assert contents(out / "A.json") != before
        assert main(["update", str(out / "A.json"), "--rollback"]) == 0
        assert "is again what it was" in capsys.readouterr().out
        assert contents(out / "A.json") == before
