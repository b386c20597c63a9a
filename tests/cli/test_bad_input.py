"""What users do wrong: one clear line that names the culprit, exit code 2, nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from shared_data import shared

LEFT, TOP = 920_000.0, 6_565_000.0


def run(*args, env=None, cwd=None):
    """The command line in a process of its own: (exit code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, "-m", "fastpyr", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )
    return done.returncode, done.stdout, done.stderr


def raster(path, shape=(64, 64), count=3, dtype="uint8", crs="EPSG:2154", left=LEFT, top=TOP, cell=0.5, **profile):
    import rasterio
    from rasterio.transform import from_origin

    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    with rasterio.open(
        path, "w", driver="GTiff", height=shape[0], width=shape[1], count=count, dtype=dtype, crs=crs,
        transform=from_origin(left, top, cell, cell), **profile,
    ) as out:  # fmt: skip
        out.write(rng.integers(0, 255, (count, *shape)).astype(dtype))
    return path


def assert_refused(result, *words):
    code, out, err = result
    assert code == 2, (code, out, err)
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("fastpyr: error: ")
    for word in words:
        assert str(word) in lines[0], (word, lines[0])


def assert_nothing_left(folder):
    """No file but what a test put there: ``folder`` is the target's, absent before."""
    assert not folder.exists() or not any(folder.iterdir()), list(folder.rglob("*"))


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out" / "X.json"


def refused_build(target, sources, *words, options=("--tms", "PM")):
    sources = sources if isinstance(sources, list) else [sources]
    assert_refused(run("build", *sources, target, *options), *words)
    assert_nothing_left(target.parent)


def test_missing_file(tmp_path, target):
    refused_build(target, tmp_path / "absent.tif", "absent.tif")


def test_folder_without_rasters(tmp_path, target):
    (tmp_path / "empty").mkdir()
    refused_build(target, tmp_path / "empty", "empty")


def test_not_a_raster(tmp_path, target):
    path = tmp_path / "letter.tif"
    path.write_text("Dear sir,\n" * 100)
    refused_build(target, path, "letter.tif")


@pytest.mark.parametrize("profile", [{}, {"compress": "deflate"}, {"compress": "deflate", "tiled": True}])
def test_truncated_tiff(tmp_path, target, profile):
    path = raster(tmp_path / "cut.tif", (512, 512), **profile)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    refused_build(target, path, "cut.tif")


def test_no_crs(tmp_path, target):
    refused_build(target, raster(tmp_path / "nowhere.tif", crs=None), "nowhere.tif", "--srs")


def test_unknown_crs(tmp_path, target):
    path = raster(tmp_path / "nowhere.tif", crs=None)
    refused_build(target, path, "EPSG:999999", options=("--tms", "PM", "--srs", "EPSG:999999"))


def test_no_georeferencing(tmp_path, target):
    from PIL import Image

    path = tmp_path / "photo.png"
    Image.new("RGB", (20, 20)).save(path)
    refused_build(target, path, "photo.png", options=("--tms", "PM", "--srs", "EPSG:2154"))


def test_source_outside_the_grid(tmp_path, target):
    path = raster(tmp_path / "far.tif", crs="EPSG:3857", left=5e7, top=5e7)
    refused_build(target, path, "far.tif", "PM", options=("--tms", "PM", "--bottom", "18"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ("--tms",)),
        (("--tms", "NOPE"), ("NOPE",)),
        (("--tms", "PM", "--bottom", "99"), ("99",)),
        (("--tms", "PM", "--top", "99"), ("99",)),
        (("--tms", "PM", "--bottom", "10", "--top", "12"), ("10", "12")),
        (("--tms", "PM", "--compression", "webp"), ("webp",)),
        (("--tms", "PM", "--interpolation", "magic"), ("magic",)),
        (("--tms", "PM", "--width", "0"), ("width",)),
        (("--tms", "PM", "--parallelization", "many"), ("parallelization",)),
        (("--tms", "PM", "--nodata", "1,2"), ("nodata",)),
        (("--tms", "PM", "--nodata", "300"), ("nodata",)),
        (("--tms", "PM", "--mask", "perhaps"), ("mask",)),
        (("--tms", "PM", "--channels", "1", "--compression", "jpg"), ("jpg", "3 channels")),
        (("--tms", "PM", "--channels", "4", "--compression", "jpg"), ("jpg", "3 channels")),
        (("--tms", "PM", "--sample-format", "float32"), ("float32",)),
        (("--tms", "PM", "--name", "OTHER"), ("OTHER",)),
    ],
)
def test_bad_options(tmp_path, target, options, words):
    refused_build(target, raster(tmp_path / "a.tif"), *words, options=options)


@pytest.mark.parametrize("count", [1, 4])
def test_jpeg_of_other_channels(tmp_path, target, count):
    path = raster(tmp_path / "a.tif", count=count)
    refused_build(target, path, "3 channels", options=("--tms", "PM", "--compression", "jpg"))


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "float64"])
def test_unsupported_depth(tmp_path, target, dtype):
    refused_build(target, raster(tmp_path / "deep.tif", count=1, dtype=dtype), "deep.tif", dtype)


def test_mixed_depths(tmp_path, target):
    first = raster(tmp_path / "a.tif", count=1)
    second = raster(tmp_path / "b.tif", count=1, dtype="float32")
    refused_build(target, [first, second], "b.tif", "float32")


def test_descriptor_that_is_no_json(tmp_path):
    path = raster(tmp_path / "a.tif")
    assert_refused(run("build", path, tmp_path / "out" / "X.txt", "--tms", "PM"), "X.txt", ".json")
    assert_nothing_left(tmp_path / "out")


def test_target_exists(tmp_path, target):
    path = raster(tmp_path / "a.tif")
    options = ("--tms", "PM", "--top", "15")
    assert run("build", path, target, *options)[0] == 0
    before = {p: p.read_bytes() for p in target.parent.rglob("*") if p.is_file()}
    assert_refused(run("build", path, target, *options), "X.json", "--overwrite")
    assert {p: p.read_bytes() for p in target.parent.rglob("*") if p.is_file()} == before
    assert run("build", path, target, *options, "--overwrite")[0] == 0
    assert {p: p.read_bytes() for p in target.parent.rglob("*") if p.is_file()} == before


def test_failed_overwrite_keeps_the_old_pyramid(tmp_path, target):
    good = raster(tmp_path / "a.tif", (512, 512), compress="deflate")
    options = ("--tms", "PM", "--top", "15")
    assert run("build", good, target, *options)[0] == 0
    before = {p: p.read_bytes() for p in target.parent.rglob("*") if p.is_file()}
    good.write_bytes(good.read_bytes()[:-20_000])
    assert_refused(run("build", good, target, *options, "--overwrite"), "a.tif")
    assert {p: p.read_bytes() for p in target.parent.rglob("*") if p.is_file()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_target_as_user(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    assert_refused(run("build", raster(tmp_path / "a.tif"), folder / "X.json", "--tms", "PM"), "locked")


def test_unwritable_target(tmp_path):
    """A file stands where a folder is needed: refused for root too."""
    (tmp_path / "file").write_text("x")
    result = run("build", raster(tmp_path / "a.tif"), tmp_path / "file" / "X.json", "--tms", "PM")
    assert_refused(result, str(tmp_path / "file"))


def small_disk(path):
    """Mount a file system of 300 kB on ``path``; skips where that is not allowed."""
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", path], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a small tmpfs here (needs root)")


def test_disk_full(tmp_path):
    disk = tmp_path / "disk"
    small_disk(disk)
    try:
        path = raster(tmp_path / "a.tif", (600, 600))
        result = run("build", path, disk / "X.json", "--tms", "PM", "--compression", "raw")
        assert_refused(result, "no space left", str(disk))
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", disk], check=True)


def test_interrupted(tmp_path, target):
    """Ctrl-C in the middle: exit code 130, nothing left."""
    path = raster(tmp_path / "big.tif", (6000, 6000), compress="deflate", zlevel=1)
    process = subprocess.Popen(
        [sys.executable, "-m", "fastpyr", "build", path, target, "--tms", "PM", "--compression", "png",
         "--interpolation", "lanczos", "--parallelization", "1"],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    building = target.parent / ".X.building"
    deadline = time.monotonic() + 60
    while not building.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert building.exists(), "the build ended before it could be interrupted"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.strip() == "fastpyr: interrupted"
    assert_nothing_left(target.parent)


def wheel_with_damaged_files():
    """Folder of the damaged delivery inside the installed package sdk-entrepot-gpf."""
    import importlib.util

    found = importlib.util.find_spec("sdk_entrepot_gpf")
    if found is None or not found.submodule_search_locations:
        pytest.skip("package sdk-entrepot-gpf (test extra) is not installed")
    folder = Path(next(iter(found.submodule_search_locations)), "_data/datasets/3_dataset_raster/ain")
    if not folder.exists():
        archive = next(folder.parents[1].glob("*.zip"), None)
        if archive is None or not zipfile.is_zipfile(archive):
            pytest.skip(f"package sdk-entrepot-gpf has no {folder.name} data set")
    return folder


def test_damaged_delivery_is_refused(target):
    folder = wheel_with_damaged_files()
    code, _, err = run("build", folder, target, "--tms", "PM")
    assert code == 2
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert any(str(path) in lines[0] for path in folder.glob("*.tif*"))
    assert "block" in lines[0] or "strip" in lines[0]
    assert_nothing_left(target.parent)


def test_whole_delivery_of_the_same_names_is_accepted(tmp_path):
    code, out, err = run("plan", shared("ortho"), tmp_path / "X.json", "--tms", "PM", "--json")
    assert code == 0, err
    plan = json.loads(out)
    assert plan["bottom"] == "18"
    assert plan["levels"][0]["tiles"] == 420
    assert plan["levels"][0]["slabs"] == 4
    assert not list(tmp_path.iterdir())


def test_configuration_with_unknown_key_warns(tmp_path):
    conf = json.loads(shared("rok4/confs/be4-scan1000.json").read_text())
    conf["datasources"][0]["source"]["directory"] = str(shared("rok4/sources/SCAN1000"))
    conf["pyramid"]["storage"]["root"] = str(tmp_path / "out")
    conf["pyramid"]["flavour"] = "vanilla"
    path = tmp_path / "conf.json"
    path.write_text(json.dumps(conf))
    code, out, err = run("build", "--config", path, "--json")
    assert code == 0, err
    assert "flavour" in err
    assert json.loads(out)["levels"][0]["level"] == "10"
