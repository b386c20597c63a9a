"""The benchmark measures what it says, and lets nothing wrong count."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tiny():
    from bench.data import Input

    return Input("ortho", 512)


def test_a_job_end_to_end(tmp_path):
    pytest.importorskip("tifffile")
    env = {**os.environ, "FASTPYR_BENCH_CACHE": str(tmp_path)}
    words = ["-m", "bench", "--jobs", "tiny", "--rounds", "1", "--no-rivals", "--name", str(tmp_path / "kept")]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = json.loads((tmp_path / "kept.json").read_text())
    rows = {row["name"]: row for row in kept["jobs"]["tiny"]["rows"]}
    assert rows["fastpyr"]["correct"]
    assert rows["fastpyr"]["cpu_to_floor"] > 1
    assert set(rows["floor"]["parts"]) >= {"decode", "warp", "reduce", "encode", "write"}
    assert kept["machine"]["paths"]
    assert not list((tmp_path / "out").iterdir()), "outputs are left behind"


@pytest.mark.parametrize("words", [("--jobs", "nothing"), ("--against", "nothing")])
def test_unknown_jobs_and_rivals_are_refused(words):
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "nothing" in done.stdout


class TestMeasure:
    def test_children_and_memory_count(self):
        from bench.measure import measure

        burn = "import time\nwhile time.process_time() < 0.3: pass"
        hold = "data = bytearray(90_000_000)\nfor i in range(0, len(data), 4096): data[i] = 1"
        code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); exec({hold!r})"
        usage = measure([sys.executable, "-c", code])
        assert usage.code == 0
        assert usage.cpu >= 0.3
        assert 90e6 < usage.rss < 150e6

    def test_failures_are_told(self):
        from bench.measure import measure

        usage = measure([sys.executable, "-c", "import sys; print('why'); sys.exit(3)"])
        assert (usage.code, usage.text.strip()) == (3, "why")

    def test_a_command_that_hangs_is_ended(self):
        from bench.measure import measure

        assert measure([sys.executable, "-c", "import time; time.sleep(60)"], timeout=1).code == -9


class TestInputs:
    def test_photograph_compresses_like_one(self):
        from bench.data import ORTHO_BITS, jpeg_bits
        from fastpyr.source.synthetic import ortho_scene

        low, high = ORTHO_BITS
        assert low <= jpeg_bits(ortho_scene(1024, 1024, 7)) <= high

    def test_map_has_few_colours(self):
        from fastpyr.source.synthetic import scan_scene

        pixels = scan_scene(1024, 1024, 7).reshape(-1, 3)
        assert 60 < len(np.unique(pixels, axis=0)) <= 160

    def test_terrain_has_holes_and_is_seeded(self):
        from fastpyr.source.synthetic import dem_scene

        heights = dem_scene(300, 400, 7)
        assert heights.dtype == np.float32
        assert 0 < heights.min() < heights.max() < 2000
        np.testing.assert_array_equal(heights, dem_scene(300, 400, 7))
        assert (heights != dem_scene(300, 400, 8)).any()

    def test_aligned_input_lies_on_the_grid(self, tiny):
        import rasterio

        import fastpyr
        from bench.data import Input

        matrix = fastpyr.load_tms("PM").level("18")
        with rasterio.open(Input("ortho", 512, aligned=True).path()) as file:
            px, py = matrix.pixel_of(file.transform.c, file.transform.f)
            assert file.transform.a == pytest.approx(matrix.cell_size, rel=1e-12)
        for position in (px / 256, py / 256):
            assert position == pytest.approx(round(position), abs=1e-7)


@pytest.fixture(scope="module")
def built(tiny, tmp_path_factory):
    import fastpyr

    uri = tmp_path_factory.mktemp("built") / "TINY.json"
    fastpyr.build(tiny.path(), uri, tms="PM", compression="jpg")
    return uri


class TestCheck:
    def test_ours_is_right(self, built, tiny):
        from bench.check import check_pyramid

        verdict = check_pyramid(built, tiny, 18, "cubic")
        assert verdict.correct, verdict
        assert verdict.quality > 28

    def test_another_place_is_wrong(self, built, tiny, monkeypatch):
        import bench.data
        from bench.check import check_pyramid, exact_tile

        crs, left, top, cell = bench.data._PLACES["ortho"]
        monkeypatch.setitem(bench.data._PLACES, "ortho", (crs, left + 2, top, cell))
        exact_tile.cache_clear()
        verdict = check_pyramid(built, tiny, 18, "cubic")
        exact_tile.cache_clear()
        assert not verdict.correct

    def test_tiles_of_a_rival(self, built, tiny, tmp_path):
        """Our tiles as z/x/y files are right; one level gone, or gray pixels, are not."""
        import fastpyr
        from bench.check import check_folder

        pyramid = fastpyr.open(built)
        for level in pyramid.levels:
            limits = level.limits
            for column in range(limits.min_col, limits.max_col + 1):
                for row in range(limits.min_row, limits.max_row + 1):
                    path = tmp_path / level.id / str(column) / f"{row}.jpg"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(pyramid.tile_bytes(level.id, column, row))
        assert check_folder(tmp_path, "zxy", tiny, 18, "cubic").correct
        gone = next((tmp_path / "12").rglob("*.jpg"))
        gone.rename(gone.with_suffix(".txt"))
        verdict = check_folder(tmp_path, "zxy", tiny, 18, "cubic")
        assert (verdict.correct, "missing" in verdict.note) == (False, True)
        gone.with_suffix(".txt").rename(gone)
        nodata = pyramid.tile_bytes("0", *(limits.min_col, limits.min_row)) if limits.count else b""
        for path in (tmp_path / "18").rglob("*.jpg"):
            path.write_bytes(nodata)
        assert check_folder(tmp_path, "zxy", tiny, 18, "cubic").note == "pixels are off"

    def test_overviews_must_be_means(self, tmp_path):
        """A map as z/x/y files counts with means above; with every second pixel only where that is not asked."""
        import io

        from PIL import Image

        import fastpyr
        from bench.check import check_folder, check_pyramid
        from bench.data import Input

        scan, uri, folder = Input("scan", 2048), tmp_path / "SCAN.json", tmp_path / "zxy"
        fastpyr.build(scan.path(), uri, tms="PM", compression="png", interpolation="nn")
        pyramid = fastpyr.open(uri)
        bottom = max(int(level.id) for level in pyramid.levels)
        assert check_pyramid(uri, scan, bottom, "nearest").correct
        for level in pyramid.levels:
            limits = level.limits
            for column in range(limits.min_col, limits.max_col + 1):
                for row in range(limits.min_row, limits.max_row + 1):
                    path = folder / level.id / str(column) / f"{row}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(pyramid.tile_bytes(level.id, column, row))
        assert check_folder(folder, "zxy", scan, bottom, "nearest").correct
        for path in (folder / str(bottom - 1)).rglob("*.png"):
            column, row = 2 * int(path.parent.name), 2 * int(path.stem)
            four = [[folder / str(bottom) / str(column + x) / f"{row + y}.png" for x in (0, 1)] for y in (0, 1)]
            if all(tile.exists() for pair in four for tile in pair):
                pixels = np.concatenate([np.concatenate([np.asarray(Image.open(t)) for t in pair], 1) for pair in four])
                memory = io.BytesIO()
                Image.fromarray(np.ascontiguousarray(pixels[::2, ::2])).save(memory, "PNG")
                path.write_bytes(memory.getvalue())
        verdict = check_folder(folder, "zxy", scan, bottom, "nearest")
        assert (verdict.correct, "means" in verdict.note) == (False, True)
        assert check_folder(folder, "zxy", scan, bottom, "nearest", False).correct


def test_the_floor_makes_every_tile(tiny, built, tmp_path):
    """As many tiles as the pyramid holds besides nodata ones."""
    pytest.importorskip("tifffile")
    import fastpyr
    from bench.floor import PARTS, floor

    facts = floor(tiny.path(), tmp_path / "out", compression="jpg", interpolation="bicubic", mask=False)
    pyramid = fastpyr.open(built)
    tiles = sum(
        (pyramid.tile(level.id, column, row) < 250).any()
        for level in pyramid.levels
        for column in range(level.limits.min_col, level.limits.max_col + 1)
        for row in range(level.limits.min_row, level.limits.max_row + 1)
    )
    assert facts["tiles"] == tiles
    assert facts["cpu"] == pytest.approx(sum(facts["parts"].values()))
    assert set(facts["parts"]) <= set(PARTS)


@pytest.mark.parametrize(("kind", "packing"), [("ortho", "deflate"), ("ortho", "raw"), ("dem", "deflate")])
def test_the_floor_decodes_what_gdal_does(kind, packing):
    pytest.importorskip("tifffile")
    import rasterio

    from bench.data import Input
    from bench.floor import Clock, decode

    path = Input(kind, 700, packing).path()
    with rasterio.open(path) as file:
        wanted = np.moveaxis(file.read(), 0, 2)
    np.testing.assert_array_equal(decode(path, Clock())[0], wanted)


class TestReport:
    def _outcome(self):
        from bench.check import Verdict
        from bench.results import Outcome, Round

        rounds = {
            "fastpyr": [Round(1, 2, 1e6), Round(2, 4, 1e6), Round(1, 2, 1e6)],
            "floor": [Round(0.5, 1, 1e6), Round(1, 2, 1e6), Round(1, 2, 1e6)],
            "bad": [Round(0.1, 0.1, 1e6)],
        }
        names = {name: name for name in rounds}
        kinds = {"fastpyr": "ours", "floor": "floor", "bad": "rival"}
        verdicts = {"fastpyr": Verdict(True, 9, 100, 33.0), "bad": Verdict(False, 9, 50, 5.0, "pixels are off")}
        return Outcome("job", "a job", rounds, names, {}, kinds, verdicts, {"vips": "no wheel here"})

    def test_ratios_are_of_the_same_round(self):
        outcome = self._outcome()
        assert outcome.ratio("fastpyr", "floor", "cpu") == 2
        assert outcome.median("fastpyr", "wall") == 1

    def test_what_is_wrong_does_not_count(self):
        from bench.report import table

        outcome = self._outcome()
        assert outcome.median("bad", "cpu") is None
        assert outcome.ratio("bad", "fastpyr", "cpu") is None
        text = table(outcome)
        assert "WRONG: pixels are off" in text
        assert "skipped vips: no wheel here" in text

    def test_targets(self):
        from bench.jobs import Target

        assert Target("", lambda _: 1.0, 1.25).met(1.2)
        assert not Target("", lambda _: 1.0, 1.25).met(1.3)
        assert Target("", lambda _: 1.0, 6, at_most=False).met(6.5)
        assert not Target("", lambda _: 1.0, 6, at_most=False).met(5.5)

    def test_picture(self, tmp_path):
        pytest.importorskip("matplotlib")
        from bench.report import as_json, plot

        machine = {"cpu": "x", "cores": 2, "paths": ["generic"]}
        assert plot(as_json(machine, [self._outcome()], 3), tmp_path / "p.png")
        assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_the_verb_hands_over(tmp_path, monkeypatch, capfd):
    import fastpyr.cli.bench as verb
    from fastpyr.cli.main import main

    monkeypatch.chdir(ROOT)
    assert main(["bench", "--help"]) == 0
    assert "--rounds" in capfd.readouterr().out
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verb, "__file__", str(tmp_path / "lib" / "fastpyr" / "cli" / "bench.py"))
    assert main(["bench"]) == 2
    assert "source checkout" in capfd.readouterr().err
