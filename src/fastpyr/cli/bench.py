"""``fastpyr bench``: hand over to the benchmark of a source checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from ..errors import ConfigError

__all__ = ["bench"]


def _checkout() -> Path:
    """The source checkout: the one this package is imported from, or the current folder. Raises ConfigError."""
    for folder in (Path(__file__).resolve().parents[3], Path.cwd()):
        if (folder / "bench" / "__main__.py").is_file() and (folder / "src" / "fastpyr").is_dir():
            return folder
    raise ConfigError("the benchmark is in the source checkout only: run it there, with the extra bench installed")


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Measure whole jobs against rivals and against the floor. It lives in the source checkout, not in the package.

    \b
    Example:
      fastpyr bench --jobs ortho8k,scan8k --rounds 3
    """
    root = _checkout()
    # -m finds a package in the current folder, which stays the caller's: the checkout goes in front by the path
    path = os.pathsep.join(part for part in (str(root), os.environ.get("PYTHONPATH", "")) if part)
    command = [sys.executable, "-m", "bench", *arguments]
    code = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode
    if code:
        raise click.exceptions.Exit(code if code > 0 else 1)
