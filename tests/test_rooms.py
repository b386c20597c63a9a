"""The shape of the package: imports go one way, heavy packages are imported late, files and functions stay short."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastpyr

PACKAGE = Path(fastpyr.__file__).parent
PROJECT = Path(__file__).parents[1]
# A room may import only from rooms before it, and from itself.
ORDER = ["frozen", "lazy", "ordered", "errors", "formats", "_native", "grid", "kernels", "encode", "slab", "store"]
ORDER += ["source", "check", "pyramid", "db", "planning", "engine", "scale", "run", "updates", "tiles", "platform"]
ORDER += ["api", "cli", "__main__"]
OPTIONAL = {"sqlalchemy", "psycopg", "pyogrio", "fastapi", "starlette", "uvicorn", "pydantic", "python_multipart"}
HEAVY = {"rasterio", "pyproj", "numba", "imagecodecs", "isal", "rich", "PIL", "dask", "boto3", "obstore", "swiftclient"}
HEAVY |= {"distributed"}
LATE = HEAVY | OPTIONAL | {"numpy", "click"}  # what ``import fastpyr`` alone must not load
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70

FILES = sorted(path for path in PACKAGE.rglob("*.py*") if path.suffix in (".py", ".pyi"))


def _room(module: str) -> str:
    """Room of a dotted module name below fastpyr; empty for the package's own ``__init__``."""
    return module.split(".")[1] if "." in module else ""


def _module(path: Path) -> str:
    parts = ["fastpyr", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of everything that a file imports, wherever in the file."""
    module = _module(path)
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            prefix = ".".join(part for part in (base, node.module) if part)
            yield from ((node.lineno, f"{prefix}.{alias.name}") for alias in node.names)


def _at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when a module is imported: not function bodies, not blocks for type checkers."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from _at_import(node.orelse)
            continue
        yield node
        for field in ("body", "orelse", "finalbody"):
            yield from _at_import(getattr(node, field, []))
        for handler in getattr(node, "handlers", []):
            yield from _at_import(handler.body)


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []


def test_every_room_has_a_place_in_the_order() -> None:
    found = {_room(_module(path)) for path in FILES}
    assert found - {""} == set(ORDER)


def test_imports_go_one_way() -> None:
    wrong = []
    for path in FILES:
        own = _room(_module(path))
        for line, name in _imports(path):
            if not name.startswith("fastpyr") or name == "fastpyr.__version__" or not own:
                continue
            target = _room(name)
            if target not in ORDER or ORDER.index(target) > ORDER.index(own):
                wrong.append(f"{path.relative_to(PACKAGE)}:{line}: {own} imports {name}")
    assert wrong == []


def test_heavy_packages_are_imported_late() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {name}"
        for path in FILES
        for node in _at_import(ast.parse(path.read_text("utf-8")).body)
        for name in _names(node)
        if name.split(".")[0] in HEAVY
    ]
    assert wrong == []


def _loaded_by(statement: str) -> set[str]:
    """Top-level packages in ``sys.modules`` of a fresh interpreter after one statement."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_import_is_cheap() -> None:
    assert _loaded_by("import fastpyr") & LATE == set()


@pytest.mark.parametrize("room", [room for room in ORDER if room not in ("cli", "__main__")] + ["cli.main", "cli.db"])
def test_a_room_loads_no_heavy_package(room: str) -> None:
    assert _loaded_by(f"import fastpyr.{room}") & (HEAVY | OPTIONAL) == set()


def _sources() -> list[Path]:
    """Hand-written files of the package and of the native core (the core only where the project is at hand)."""
    native = [p for p in (PROJECT / "ext").rglob("*") if p.suffix in (".c", ".h", ".pyx", ".pxi", ".pxd")]
    return FILES + native


def test_files_are_short() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in _sources()}
    assert {str(path): lines for path, lines in lengths.items() if lines >= MAX_FILE_LINES} == {}


def _own_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without those of the functions inside it, which are counted for themselves."""
    inner = [n for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n is not node]
    covered = {line for n in inner for line in range(n.lineno, (n.end_lineno or n.lineno) + 1)}
    return (node.end_lineno or node.lineno) - node.lineno + 1 - len(covered)


def test_functions_are_short() -> None:
    long = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _own_lines(node) > MAX_FUNCTION_LINES
    ]
    assert long == []
