"""docs/platform.md: its commands do what it says, in its order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from small_delivery import tiff, written

import fastpyr

PAGE = Path(__file__).parents[2] / "docs" / "platform.md"


def test_commands(tmp_path: Path) -> None:
    written(tmp_path, {"delivery/a.tif": tiff(64), "delivery/b.tif": tiff(64, 64)})
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "fastpyr"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fastpyr "$@"\n')
    command.chmod(0o755)
    found = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    package = str(Path(fastpyr.__file__).parents[1])
    env = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": package}
    script = "set -e\n" + "".join(found)
    assert script.count("fastpyr ") == 16
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ORTHO_PM" in done.stdout
