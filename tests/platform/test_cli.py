"""The verbs of the platform without a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_delivery import md5_list, on_grid, tiff, written
from updates import assert_same

import fastpyr


def run(*args: object, root: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "fastpyr", *map(str, args)],
        capture_output=True, text=True, timeout=120, env={**os.environ, "FASTPYR_ROOT": str(root)},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_from_delivery_to_deletion(root: Path, tmp_path: Path) -> None:
    files = {"a.tif": tiff(64), "b.tif": tiff(64, 64)}
    folder = written(tmp_path / "in", files | {"in.md5": md5_list(files)})
    code, out, err = run(
        "deliver", folder, "--srs", "EPSG:2154", "--name", "ORTHO", "--tag", "k=v", "--json", root=root
    )
    assert code == 0, err
    (upload,) = json.loads(out)
    assert (upload["status"], upload["tags"]) == ("CLOSED", {"k": "v"})
    options = ("-p", "tms=PM", "-p", "top=17", "-p", "mask=true", "-p", "parallelization=2")
    code, out, err = run(
        "run", "raster-to-pyramid", "--upload", "ORTHO", "--name", "OUT", *options, "--clean", "--json", root=root
    )
    assert code == 0, err
    result = json.loads(out)
    assert result["execution"]["status"] == "SUCCESS"
    assert fastpyr.open(result["descriptor"]).verify().ok
    assert json.loads(run("uploads", "list", "--json", root=root)[1]) == []
    assert "OUT" in run("stored", "list", root=root)[1]
    shown = json.loads(run("stored", "show", "OUT", root=root)[1])
    assert (shown["type_infos"]["levels"], shown["descriptor"]) == (["17", "18"], result["descriptor"])
    assert run("stored", "delete", "OUT", root=root)[0] == 0
    assert json.loads(run("stored", "list", "--json", root=root)[1]) == []
    assert not Path(result["descriptor"]).exists()


def test_updates_and_fusion(root: Path, tmp_path: Path) -> None:
    for name, col in (("A", 0), ("B", 2300)):
        folder = written(tmp_path / name, {f"{name}.tif": on_grid(col, 0, 2300, 60, col)})
        assert run("deliver", folder, "--srs", "EPSG:3857", "--name", name, root=root)[0] == 0
    given = ("tms=PM", "top=17", "compression=png", "interpolation=nn", "mask=true", "width=8", "height=8")
    options = [word for one in given for word in ("-p", one)]
    update, merge = ("run", "raster-to-pyramid"), ("run", "merge")
    assert run(*update, "--upload", "A", "--name", "FIRST", *options, root=root)[0] == 0
    assert run(*update, "--upload", "B", "--name", "OTHER", *options, root=root)[0] == 0
    code, out, err = run(*update, "--upload", "B", "--stored", "FIRST", "--name", "NEXT", "--json", root=root)
    assert code == 0, err
    assert fastpyr.open(json.loads(out)["descriptor"]).verify().ok
    shown = json.loads(run("stored", "show", "NEXT", root=root)[1])
    assert [one["name"] for one in shown["dependencies"]["use"]] == ["FIRST"]
    code, _, err = run("stored", "delete", "FIRST", root=root)
    assert code == 2
    assert shown["_id"] in err
    code, out, err = run(*merge, "--stored", "FIRST", "--stored", "OTHER", "--name", "BOTH", "--json", root=root)
    assert code == 0, err
    merged = fastpyr.open(json.loads(out)["descriptor"])
    assert_same(merged, fastpyr.open(shown["descriptor"]))
    for name in ("BOTH", "NEXT"):
        assert run("stored", "delete", name, root=root)[0] == 0
    code, out, err = run(*update, "--upload", "B", "--into", "FIRST", "--clean", "--json", root=root)
    assert code == 0, err
    assert json.loads(out)["stored_data"]["name"] == "FIRST"
    assert [one["name"] for one in json.loads(run("uploads", "list", "--json", root=root)[1])] == ["A"]
    for wrong, word in (
        ((*update, "--upload", "A"), "--into"),
        ((*update, "--upload", "A", "--into", "FIRST", "-p", "tms=PM"), "tms"),
        ((*merge, "--stored", "FIRST", "--name", "X"), "inputs.stored_data"),
    ):
        code, _, err = run(*wrong, root=root)
        assert code == 2
        assert word in err.strip().splitlines()[-1]


def test_lists_beside_the_folder(root: Path, tmp_path: Path) -> None:
    """Paths that begin with the folder's name, and a name that cannot be delivered: then nothing stays."""
    files = {"ain/a.tif": tiff(64)}
    folder = written(tmp_path, files | {"ain.md5": md5_list(files)})
    options = ("--srs", "EPSG:2154", "--md5", folder / "ain.md5", "--json")
    code, out, err = run("deliver", folder / "ain", *options, root=root)
    assert code == 0, err
    (upload,) = json.loads(out)
    tree = json.loads(run("uploads", "show", upload["_id"], root=root)[1])["tree"]
    assert [entry["name"] for entry in tree] == ["ain", "ain.md5"]
    (folder / "ain" / "what?.tif").write_bytes(b"")
    code, _, err = run("deliver", folder / "ain", "--srs", "EPSG:2154", root=root)
    assert code == 2
    assert "what?.tif" in err
    assert len(json.loads(run("uploads", "list", "--json", root=root)[1])) == 1


def test_descriptor_of_the_client(root: Path, tmp_path: Path) -> None:
    """JSON with comments; signatures beside the folder; a delivery that fails its checks stays for inspection."""
    files = {"ain/a.tif": tiff(64)}
    folder = written(tmp_path, files | {"ain.md5": f"{'0' * 32}  ain/a.tif\n".encode()})
    text = """{ // one delivery
      "datasets": [{"data_dirs": ["ain"], /* its infos */ "tags": {"url": "http://x"}, "comments": ["un"],
        "upload_infos": {"name": "AIN", "description": "d // no comment", "srs": "EPSG:2154", "type": "RASTER"}}]}"""
    (folder / "d.jsonc").write_text(text)
    code, out, _ = run("deliver", folder / "d.jsonc", root=root)
    assert code == 1
    assert "(ain/a.tif)" in out
    shown = json.loads(run("uploads", "show", "AIN", root=root)[1])
    assert (shown["status"], shown["description"]) == ("UNSTABLE", "d // no comment")
    assert shown["tags"] == {"url": "http://x"}
    assert [one["check"]["name"] for one in shown["checks"]["failed"]] == ["Vérification standard"]
    code, _, err = run("run", "raster-to-pyramid", "--upload", "AIN", "--name", "X", "-p", "tms=PM", root=root)
    assert code == 2
    assert "UNSTABLE" in err
    assert json.loads(run("stored", "list", "--json", root=root)[1]) == []
    assert run("uploads", "delete", "AIN", root=root)[0] == 0


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("deliver", "nowhere"), "nowhere"),
        (("deliver", "."), "--srs"),
        (("run", "nothing", "--upload", "x", "--name", "y"), "'nothing'"),
        (("run", "merge", "--stored", "x", "--name", "y"), "'x'"),
        (("uploads", "delete", "x"), "'x'"),
        (("stored", "show", "x"), "'x'"),
        (("serve", "--user", "me"), "--password"),
        (("serve", "--host", "192.0.2.1"), "192.0.2.1"),
    ],
)
def test_mistakes_are_one_line(root: Path, args: tuple[str, ...], word: str) -> None:
    code, _, err = run(*args, root=root)
    assert code == 2
    line = err.strip().splitlines()[-1]
    assert line.startswith("fastpyr: error: ")
    assert word in line


@pytest.mark.parametrize(
    ("missing", "verb"), [("sqlalchemy", "uploads list"), ("fastapi", "serve"), ("uvicorn", "serve")]
)
def test_missing_packages_are_named(root: Path, missing: str, verb: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; from fastpyr.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *verb.split(), "--root", str(root)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert f"needs the package {missing}: pip install 'fastpyr[api]'" in done.stderr
    assert not root.exists()
