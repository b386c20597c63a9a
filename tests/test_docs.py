"""The documents tell the truth: their code runs, their links lead somewhere, the README's commands do what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastpyr

PROJECT = Path(__file__).parents[1]
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")), PROJECT / "CHANGELOG.md"]
SEEN_TILE = ("18", 135340, 93110)  # the tile that the README shows


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``delivery/`` (two GeoTIFFs around SEEN_TILE), ``be4.json`` and a ``fastpyr`` command."""
    import rasterio
    from pyproj import Transformer

    folder = tmp_path_factory.mktemp("readme")
    box = fastpyr.load_tms("PM").level(SEEN_TILE[0]).tile_bounds(*SEEN_TILE[1:])
    to_lambert = Transformer.from_crs("EPSG:3857", "EPSG:2154", always_xy=True)
    x, y = to_lambert.transform((box.left + box.right) / 2, (box.bottom + box.top) / 2)
    (folder / "delivery").mkdir()
    for number, left in enumerate((x - 140, x - 10)):
        path = folder / "delivery" / f"ortho-{number}.tif"
        transform = rasterio.transform.from_origin(round(left), round(y + 100), 0.5, 0.5)
        profile = {"driver": "GTiff", "width": 300, "height": 400, "count": 3, "dtype": "uint8", "crs": "EPSG:2154"}
        with rasterio.open(path, "w", transform=transform, **profile) as out:
            rows, cols = np.mgrid[0:400, 0:300]
            out.write(np.stack([rows // 2, cols // 2, (rows + cols) // 4]).astype(np.uint8))
    configuration = {
        "datasources": [{"top": "12", "source": {"type": "IMAGES", "directory": "delivery", "srs": "EPSG:2154"}}],
        "pyramid": {
            "type": "GENERATION",
            "name": "CONF",
            "tms": "PM.json",
            "compression": "png",
            "slab_size": [4, 4],
            "storage": {"type": "FILE", "root": "out"},
        },
        "process": {"parallelization": 2},
    }
    (folder / "be4.json").write_text(json.dumps(configuration))
    (folder / "bin").mkdir()
    command = folder / "bin" / "fastpyr"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fastpyr "$@"\n')
    command.chmod(0o755)
    return folder


def environment(folder: Path) -> dict[str, str]:
    package = str(Path(fastpyr.__file__).parents[1])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(paths)}


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_readme_commands(delivery: Path) -> None:
    from PIL import Image

    lines = [line for block in blocks(PROJECT / "README.md", "sh") for line in block.splitlines()]
    setup = [line for line in lines if line.startswith("python3 -m venv")]
    verbs = [line for line in lines if line.startswith("fastpyr ")]
    assert len(setup) == 2
    assert len(setup) + len(verbs) == len(lines)
    for line in verbs:
        run(delivery, "sh", "-c", line)
    known = set(_verbs_of_the_command(delivery))
    assert {line.split()[1] for line in verbs} == known - {"demo", "bench", "serve"}
    table = re.findall(r"^\| `([a-z]+)[ `]", (PROJECT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert set(table) == known
    assert Image.open(delivery / "tile.jpg").size == (256, 256)
    assert fastpyr.open(delivery / "out" / "CONF.json").verify().ok
    levels = [level.id for level in fastpyr.open(delivery / "out" / "ORTHO.json").levels]
    assert levels == [str(level) for level in range(18, -1, -1)]


def _verbs_of_the_command(folder: Path) -> list[str]:
    text = run(folder, "fastpyr", "--help")
    return re.findall(r"^  ([a-z]+)  ", text.split("Commands:")[1], re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("README.md", "fastpyr.build"),
        ("docs/database.md", "fastpyr."),
        ("docs/embedding.md", "fastpyr.build"),
        ("docs/platform.md", "Entrepot"),
        ("docs/raster-blocks.md", "fastpyr."),
        ("docs/tiles.md", "TileService"),
    ],
)
def test_python_blocks_run(name: str, word: str, delivery: Path) -> None:
    script = "\n".join(blocks(PROJECT / name, "python"))
    assert word in script
    run(delivery, sys.executable, "-c", script)


def test_no_python_block_is_left_out() -> None:
    found = [path.name for path in DOCUMENTS if blocks(path, "python")]
    assert found == ["README.md", "database.md", "embedding.md", "platform.md", "raster-blocks.md", "tiles.md"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)", path.read_text("utf-8"))
    assert [t for t in targets if "://" not in t and not (path.parent / t).exists()] == []


def test_byte_table_of_the_slab_page() -> None:
    """Where docs/slab.md says that the directory's values are, they are."""
    from fastpyr.slab import slab_header

    fmt = fastpyr.PixelFormat.of(fastpyr.TileFormat.parse("TIFF_JPG_UINT8"), 3)
    header = slab_header(fmt, 256, 128, 4, 2)
    assert header[:2] == b"II"

    def entry(at: int) -> tuple[int, int]:
        return int.from_bytes(header[at : at + 2], "little"), int.from_bytes(header[at + 8 : at + 12], "little")

    assert [entry(at) for at in (18, 30, 54, 66, 78, 90, 102, 114, 126)] == [
        (256, 1024),
        (257, 256),
        (259, 7),
        (262, 6),
        (277, 3),
        (322, 256),
        (323, 128),
        (324, 2048),
        (325, 2048 + 4 * 8),
    ]


def test_paths_of_the_pyramid_page() -> None:
    from fastpyr.store.naming import slab_path

    text = (PROJECT / "docs" / "pyramid.md").read_text("utf-8")
    row_of_table = r"^\| (\d+) \| (\d+) \| (\d+) \| `(.+)` \|$"
    rows = re.findall(row_of_table, text, re.MULTILINE)
    assert len(rows) == 3
    for column, row, depth, path in rows:
        assert path == f"{slab_path(int(column), int(row), int(depth))}.tif"
    column, row = re.findall(r"`DATA_18_(\d+)_(\d+)`", text)[0]
    assert f"0/DATA/18/{slab_path(int(column), int(row), 2)}.tif" in text
