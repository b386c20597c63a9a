"""What the command loads, and what it must not: whole processes, asked for their modules at the end."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

GDAL = {"rasterio", "osgeo"}
OTHER_HEAVY = {"numba", "rich", "obstore", "boto3", "botocore", "swiftclient", "PIL", "scipy", "matplotlib", "certifi"}
NEEDLESS = {"importlib.metadata", "importlib.resources", "urllib.request", "http.client", "ssl", "email", "tempfile"}
NEEDLESS |= {"hashlib", "secrets", "numpy.ma", "numpy.random", "numpy.testing", "asyncio", "multiprocessing"}
ENGINE = {
    "numpy",
    "pyproj",
    "imagecodecs",
    "isal",
    "fastpyr.run",
    "fastpyr.engine",
    "fastpyr.planning",
    "fastpyr._native",
}
VERBS = ("build", "plan", "info", "verify", "tile", "export", "tms", "demo")

PROGRAM = """
import sys
from fastpyr.cli.main import main
sys.argv = ["fastpyr", *sys.argv[1:]]
code = main()
names = {name for name, module in sys.modules.items() if module is not None}
print("\\n:", *sorted(names), file=sys.stderr)
sys.exit(code)
"""


def loaded(*words: object, **environment: str) -> set[str]:
    """Names in ``sys.modules`` after a command that must succeed."""
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    env = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.rpartition("\n:")[2].split())


@pytest.fixture
def delivery(tmp_path):
    """A plain GeoTIFF in Lambert-93, deflated as most are."""
    path = tmp_path / "a.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (3, 300, 300)).astype(np.uint8)
    profile = {"driver": "GTiff", "crs": "EPSG:2154", "transform": Affine(0.5, 0, 600000, 0, -0.5, 6600000)}
    size = {"width": 300, "height": 300, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, **size, compress="deflate", predictor=2) as out:
        out.write(pixels)
    return path


def build(source, out, *more):
    return loaded("build", source, out, "--tms", "PM", "--top", "16", *more)


@pytest.mark.parametrize("mask", [(), ("--mask",)], ids=["", "mask"])
@pytest.mark.parametrize("compression", ["jpg", "png", "zip"])
def test_a_plain_build(delivery, tmp_path, compression, mask):
    names = build(delivery, tmp_path / "X.json", "--compression", compression, *mask)
    assert names & (GDAL | OTHER_HEAVY | NEEDLESS) == set()
    assert {"numpy", "pyproj"} <= names


def test_a_build_that_needs_gdal_gets_it(delivery, tmp_path):
    (tmp_path / "a.tif.aux.xml").write_text("<PAMDataset/>")
    assert "rasterio" in build(delivery, tmp_path / "X.json")


def test_a_plan(delivery, tmp_path):
    names = loaded("plan", delivery, tmp_path / "X.json", "--tms", "PM")
    assert names & (GDAL | OTHER_HEAVY | NEEDLESS) == set()


@pytest.mark.parametrize("words", [["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)], ids=" ".join)
def test_help(words):
    assert loaded(*words) & (ENGINE | GDAL | OTHER_HEAVY | NEEDLESS) == set()


def test_the_version_needs_no_parser():
    assert loaded("--version") & {"click", "typing", "dataclasses", "inspect"} == set()


@pytest.mark.parametrize("words", [["tms"], ["tms", "PM"], ["tms", "PM", "--json"], ["info", "--cpu"]], ids=" ".join)
def test_facts_of_grids_and_of_the_machine(words):
    allowed = {"fastpyr._native", "numpy"} if "--cpu" in words else set()
    allowed |= {"numpy", "pyproj"} if "--json" in words else set()  # the unit of the CRS
    assert loaded(*words) & ((ENGINE | GDAL | OTHER_HEAVY | NEEDLESS) - allowed) == set()


def test_facts_of_a_pyramid(delivery, tmp_path):
    build(delivery, tmp_path / "X.json")
    slab = next(path for path in sorted((tmp_path / "X").rglob("*.tif")))
    for path in (tmp_path / "X.json", slab):
        names = loaded("info", path)
        assert names & ((GDAL | OTHER_HEAVY | NEEDLESS | {"pyproj", "imagecodecs", "isal"}) - {"numpy"}) == set()
        assert not any(name.startswith(("fastpyr.engine", "fastpyr.planning", "fastpyr.source")) for name in names)


def test_what_is_left_out_of_pyproj_is_there_when_it_is_asked_for():
    code = (
        "from fastpyr.cli import start; start.spare_this_process(); start.load_pyproj(); import os, sys\n"
        "assert 'PROJ_CURL_CA_BUNDLE' not in os.environ and 'certifi' not in sys.modules\n"
        "import certifi, pyproj; assert certifi.where() == pyproj.network.certifi.where()\n"
        "pyproj.show_versions()\n"
        "pyproj.transformer._download_resource_file('file:///nowhere', 'x', '/nowhere', False)\n"
    )
    env = {name: value for name, value in os.environ.items() if name != "PROJ_CURL_CA_BUNDLE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.stdout.startswith("pyproj info:")
    assert "URLError" in done.stderr.splitlines()[-1]


def test_numpy_works_without_its_docstrings():
    code = (
        "from fastpyr.cli import start; start.spare_this_process(); import numpy, numpy.ma, numpy.random, sys\n"
        "assert not hasattr(sys.modules['numpy._core._add_newdocs'], '__file__')\n"
        "assert numpy.ma.arange(5).sum() == 10 and numpy.random.default_rng(0).integers(1) == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_changes_nothing_of_the_process():
    code = (
        "import gc, os, sys; before = gc.get_threshold(), dict(os.environ)\n"
        "import fastpyr, fastpyr.cli.main, fastpyr.cli.start, fastpyr.run\n"
        "fastpyr.cli.main.main(['--version']); fastpyr.cli.main.main(['tms', 'PM', '--json'])\n"
        "assert before == (gc.get_threshold(), dict(os.environ)) and gc.get_freeze_count() == 0\n"
        "assert 'boto3' not in sys.modules and 'certifi' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
