"""Types and style: mypy --strict on the package and the embedding example, ruff, the native stub against its module."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastpyr
from fastpyr import _native

PACKAGE = Path(fastpyr.__file__).parent
PROJECT = Path(__file__).parents[1]
EXAMPLE = Path(__file__).parent / "typing" / "embedding.py"

needs_project = pytest.mark.skipif(
    not (PROJECT / "src" / "fastpyr").is_dir(), reason="the project's src folder is not beside the tests"
)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_project
@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_mypy_strict(tmp_path: Path) -> None:
    """One run over the package and the example; the cache is kept out of the project."""
    _run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "src/fastpyr", str(EXAMPLE))


@needs_project
@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("verb", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff(verb: tuple[str, ...]) -> None:
    folders = [name for name in ("src", "tests", "bench", "setup.py") if (PROJECT / name).exists()]
    _run(sys.executable, "-m", "ruff", *verb, "--no-cache", *folders)


def test_the_example_runs(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")])}
    shutil.copy(EXAMPLE, tmp_path)
    subprocess.run([sys.executable, EXAMPLE.name], check=True, cwd=tmp_path, env=environment)


def _stub_functions() -> dict[str, list[tuple[str, bool]]]:
    """Functions of the stub: (parameter, has a default) in order."""
    tree = ast.parse((PACKAGE / "_native.pyi").read_text("utf-8"))
    functions = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            args = node.args
            positional = args.posonlyargs + args.args
            given = [False] * (len(positional) - len(args.defaults)) + [True] * len(args.defaults)
            keyword = [
                (arg.arg, default is not None) for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)
            ]
            functions[node.name] = [(arg.arg, has) for arg, has in zip(positional, given, strict=True)] + keyword
    return functions


def test_native_stub_matches_the_module() -> None:
    runtime = {
        name: [(p.name, p.default is not p.empty) for p in inspect.signature(value).parameters.values()]
        for name, value in vars(_native).items()
        if not name.startswith("_") and callable(value) and not isinstance(value, type)
    }
    assert _stub_functions() == runtime


def test_every_native_function_is_documented() -> None:
    tree = ast.parse((PACKAGE / "_native.pyi").read_text("utf-8"))
    assert [n.name for n in tree.body if isinstance(n, ast.FunctionDef) and not ast.get_docstring(n)] == []
