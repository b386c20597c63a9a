"""Environments of rivals: virtual environments under the cache, made when first asked for.

``python -m bench --rivals`` makes them all and says which cannot be had.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .data import CACHE

__all__ = ["ENVIRONMENTS", "Environment", "Missing", "environment"]


class Missing(Exception):
    """A rival cannot be installed here; the text says why."""


@dataclass(frozen=True, slots=True)
class Environment:
    """``packages`` are installed with pip; ``python`` is the least version; ``system``: built on the distribution's
    Python with its packages visible, which must include ``needs``."""

    packages: tuple[str, ...]
    python: tuple[int, int] = (3, 9)
    options: tuple[str, ...] = ()
    system: bool = False
    needs: str = ""


ENVIRONMENTS = {
    # Wheels of rasterio 1.5 carry GDAL 3.12, where ``gdal raster tile`` is a library function.
    "gdal": Environment(("rasterio>=1.5", "numpy"), python=(3, 12)),
    "vips": Environment(("pyvips", "pyvips-binary")),
    "titiler": Environment(("titiler.application", "uvicorn", "uvloop", "httptools")),
    "rio-tiler": Environment(("rio-tiler", "rasterio", "pillow")),
    "gdal2tiles": Environment(("gdal-utils",), system=True, needs="osgeo"),
    # It takes the place of Pillow, so it cannot live beside it.
    "pillow-simd": Environment(("pillow-simd", "numpy"), options=("-C", "jpeg=disable", "-C", "zlib=disable")),
}


@dataclass(frozen=True, slots=True)
class Ready:
    """A usable environment: its interpreter and the versions of what was installed by name."""

    python: Path
    versions: dict[str, str]


@cache
def environment(name: str) -> Ready:
    """The environment of that name, made now if need be. Raises Missing with the reason."""
    spec = ENVIRONMENTS[name]
    folder = CACHE / "environments" / name
    marker = folder / "ready.json"
    python = folder / "bin" / "python"
    if not marker.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _create(folder, spec)
        _run(
            [python, "-m", "pip", "install", "--quiet", *spec.options, *spec.packages],
            f"pip install {spec.packages[0]}",
        )
        marker.write_text(json.dumps(_versions(python, spec.packages)))
    return Ready(python, json.loads(marker.read_text()))


def _create(folder: Path, spec: Environment) -> None:
    if spec.system:
        base = Path("/usr/bin/python3")
        if not base.exists() or subprocess.run([base, "-c", f"import {spec.needs}"], capture_output=True).returncode:
            raise Missing(f"the system's Python has no {spec.needs} (Debian: apt install python3-gdal)")
        _run([base, "-m", "venv", "--system-site-packages", folder], "python -m venv")
        return
    base = _interpreter(spec.python)
    if base is not None:
        _run([base, "-m", "venv", folder], "python -m venv")
        return
    wanted = ".".join(map(str, spec.python))
    uv = shutil.which("uv")
    if uv is None:
        raise Missing(f"no Python {wanted} or newer was found, and no uv to get one")
    _run([uv, "venv", "--seed", "--python", f">={wanted}", folder], "uv venv")


def _interpreter(least: tuple[int, int]) -> Path | None:
    """A Python of at least that version: this one, else one from the path, else one of pyenv's."""
    names = [f"python3.{minor}" for minor in range(max(least[1], 12), 16)] + ["python3"]
    found = [sys.executable] + [path for path in map(shutil.which, names) if path]
    found += [str(path) for path in sorted(Path.home().glob(".pyenv/versions/*/bin/python3"))]
    check = f"import sys, venv, ensurepip; sys.exit(sys.version_info[:2] < {least})"
    for path in found:
        # a shim of pyenv's may stand for a version that is not selected: only running it tells
        if not subprocess.run([path, "-c", check], capture_output=True).returncode:
            return Path(path)
    return None


def _versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    names = [name.partition(">")[0] for name in packages]
    code = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {names}}}))"
    versions: dict[str, str] = json.loads(_run([python, "-c", code], "versions"))
    return versions


def _run(command: list[str | Path], what: str) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise Missing(f"{what} failed: {lines[-1].strip() if lines else done.returncode}")
    return done.stdout
