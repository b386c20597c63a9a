"""The public names: complete, lazily loaded, never hidden by the rooms of the same name."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fastpyr

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def test_every_public_name_resolves() -> None:
    for name in fastpyr.__all__:
        assert getattr(fastpyr, name) is not None
    assert set(fastpyr.__all__) <= set(dir(fastpyr))


def test_names_for_type_checkers_are_the_runtime_names() -> None:
    tree = ast.parse(Path(fastpyr.__file__).read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        (alias.asname or alias.name, node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    lazy = {(name, room, fastpyr._NAME_IN_ROOM.get(name, name)) for name, room in fastpyr._ROOM_OF.items()}
    assert typed == lazy


@pytest.mark.parametrize(
    "first",
    [
        "import fastpyr",
        "import fastpyr.engine",
        "import fastpyr.planning",
        "from fastpyr.engine import Builder",
        "import fastpyr.cli.main",
        "from fastpyr import build, plan",
    ],
)
def test_build_and_plan_stay_functions_whatever_was_imported_first(first: str) -> None:
    code = f"{first}\nimport fastpyr, fastpyr.run, types\n" + (
        "assert isinstance(fastpyr.build, types.FunctionType) and isinstance(fastpyr.plan, types.FunctionType)\n"
        "from fastpyr.engine import Builder; from fastpyr.planning import Plan\n"
        "assert fastpyr.Plan is Plan and fastpyr.build.__module__ == 'fastpyr.run.build'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(fastpyr.__file__).parents[1])


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fastpyr.nothing  # type: ignore[attr-defined]


def test_version_is_the_same_everywhere() -> None:
    if not PYPROJECT.exists():
        pytest.skip("pyproject.toml is not at hand (tests run outside the project folder)")
    assert tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["version"] == fastpyr.__version__
    changelog = PYPROJECT.with_name("CHANGELOG.md").read_text("utf-8")
    assert f"## [{fastpyr.__version__}]" in changelog


def test_module_is_runnable() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fastpyr", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(fastpyr.__file__).parents[1],
    )
    assert done.stdout.split()[-1] == fastpyr.__version__
